"""The tool in wasm/compiler, which makes the native image. It is built with a code generator that is patched: its crates are
fetched by cargo as the tool's lock file pins them, and the patches of each, in patches/CRATE, are applied to a copy."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from report import BuildError, run
from store import Store, hash_of

NAME = "serpentarium-image"
# Settings of a cargo that runs this build would otherwise reach the cargo that is run here, and those of a git around it.
FOREIGN_PREFIXES = ("CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "GIT_")
# Where crates come from, and how.
KEPT_PREFIXES = ("CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_")


def inputs(wasm: Path) -> list[Path]:
    """All that the tool is made of."""
    compiler = wasm / "compiler"
    return [
        Path(__file__),
        *sorted(path for path in (compiler / "src").glob("*.rs") if path.name != "tests.rs"),
        *_patches(compiler),
        compiler / "Cargo.toml",
        compiler / "Cargo.lock",
        wasm.parent / "src" / "sandbox" / "codegen.rs",
    ]


@contextmanager
def built_beside(store: Store, wasm: Path) -> Iterator[None]:
    """Builds the tool while something else goes on that leaves a core to spare."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        building = beside.submit(build, store, wasm)
        yield
        building.result()


def build(store: Store, wasm: Path, into: Path | None = None) -> None:
    """Builds the tool where it is not current, and puts a copy into a directory: other checkouts build theirs in the same
    place."""
    with store.locked("tool"):
        target = _cargo(store, wasm, "build", "building")
        if into:
            shutil.copy2(target / "release" / NAME, into / NAME)


def test(store: Store, wasm: Path) -> None:
    """Runs the tool's own tests."""
    with store.locked("tool"):
        _cargo(store, wasm, "test", "testing")


def _cargo(store: Store, wasm: Path, command: str, doing: str) -> Path:
    """Runs cargo on the tool, and returns the directory of its products."""
    target = store.root.parent / "compiler"
    manifest = _manifest(store, wasm, target / "manifest")
    words = [_found("cargo"), command, "--release", "--offline", "--manifest-path", manifest, "--target-dir", target]
    progress = f"{doing} the snapshot tool"
    run(words, log=store.log("compiler"), env=_environment(), advice="mend wasm/compiler", progress=lambda: progress)
    return target


def _manifest(store: Store, wasm: Path, place: Path) -> Path:
    """The tool's manifest, in which the code generator is the patched one; with a lock file of its own, because that says
    where crates come from."""
    compiler = wasm / "compiler"
    place.mkdir(parents=True, exist_ok=True)
    text = (compiler / "Cargo.toml").read_text(encoding="utf-8")
    text += f'\n[[bin]]\nname = "{NAME}"\npath = {json.dumps(str(compiler / "src" / "main.rs"))}\n'
    text += "\n[patch.crates-io]\n"
    text += "".join(f"{crate.name} = {{ path = {json.dumps(str(crate))} }}\n" for crate in _patched(store, compiler))
    (place / "Cargo.toml").write_text(text, encoding="utf-8")
    shutil.copyfile(compiler / "Cargo.lock", place / "Cargo.lock")
    return place / "Cargo.toml"


def _patched(store: Store, compiler: Path) -> list[Path]:
    """The directories of the patched crates, each with the name of its crate."""
    patches = _patches(compiler)
    crates = sorted({patch.parent.name for patch in patches})
    originals = _fetched(compiler, crates)

    def build(directory: Path) -> None:
        for crate in crates:
            shutil.copytree(originals[crate], directory / crate)
        # A repository around the cache is none of its business.
        env = _environment() | {"GIT_CEILING_DIRECTORIES": str(directory)}
        for patch in patches:
            crate = patch.parent.name
            advice = f"bring {patch.name} up to date with the {crate} that is pinned"
            run([_found("git"), "apply", patch], log=store.log("patch"), cwd=directory / crate, env=env, advice=advice)

    built = store.stage("codegen", hash_of(Path(__file__), compiler / "Cargo.lock", *crates, *patches), build)
    return [built / crate for crate in crates]


def _fetched(compiler: Path, crates: list[str]) -> dict[str, Path]:
    """Where cargo keeps these crates, fetched if need be, and checked against the lock file."""
    machine = f"{platform.machine()}-unknown-linux-gnu"
    words = ["metadata", "--locked", "--format-version", "1", "--filter-platform", machine]
    command = [_found("cargo"), *words, "--manifest-path", compiler / "Cargo.toml"]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildError(f"  cargo cannot tell or fetch the crates of wasm/compiler\n{done.stderr.strip()}")
    packages = json.loads(done.stdout)["packages"]
    places = {crate: [p["manifest_path"] for p in packages if p["name"] == crate] for crate in crates}
    for crate, found in places.items():
        if len(found) != 1:
            raise BuildError(f"  wasm/compiler/patches/{crate} is for a crate that Cargo.lock has {len(found)} times")
    return {crate: Path(manifest).parent for crate, [manifest] in places.items()}


def _patches(compiler: Path) -> list[Path]:
    return sorted((compiler / "patches").glob("*/*.patch"))


def _found(program: str) -> str:
    found = os.environ.get("CARGO") if program == "cargo" else None
    found = found or shutil.which(program)
    if found is None:
        raise BuildError(f"  {program} was not found\n  to do: install it, and have it on the PATH")
    return found


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT_PREFIXES)}
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)} | kept
