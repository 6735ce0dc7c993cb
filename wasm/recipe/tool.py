"""Builds the tool in wasm/compiler, which snapshots the module and compiles it to native code.

Cargo fetches the code generator's crates as the tool's lock file pins them. The patches in
patches/CRATE apply to a copy of each crate. `SERPENTARIUM_CODEGEN=stock` omits the patches: the
native code is slower and consumes the same fuel.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import targets
from report import BuildError, run, step
from store import Store, hash_of

NAME = "serpentarium-image"
# Settings of an outer cargo (build.rs runs this recipe) or git would change how the tool is built.
FOREIGN_PREFIXES = ("CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "GIT_")
# Settings that say where cargo fetches crates from stay.
KEPT_PREFIXES = (
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
)
CODEGEN = "SERPENTARIUM_CODEGEN"


def is_stock() -> bool:
    """Whether `SERPENTARIUM_CODEGEN` asks for the code generator without patches."""
    chosen = os.environ.get(CODEGEN) or "patched"
    if chosen not in ("patched", "stock"):
        raise BuildError(
            f"  {CODEGEN} is {chosen!r}\n  to do: set it to stock or patched, or unset it"
        )
    return chosen == "stock"


def sources(wasm: Path) -> list[Path]:
    """The tool's own sources and its lock file, without the patches."""
    compiler = wasm / "compiler"
    return [
        Path(__file__),
        *sorted(path for path in (compiler / "src").glob("*.rs") if path.name != "tests.rs"),
        compiler / "Cargo.toml",
        compiler / "Cargo.lock",
        wasm.parent / "src" / "sandbox" / "codegen.rs",
        wasm.parent / "src" / "sandbox" / "target.rs",
    ]


def patches(wasm: Path) -> list[Path]:
    """The patches of the chosen code generator: none for the stock one."""
    return [] if is_stock() else sorted((wasm / "compiler" / "patches").glob("*/*.patch"))


@contextmanager
def built_beside(store: Store, wasm: Path) -> Iterator[None]:
    """Builds the tool on a second thread: most steps of CPython's build leave a core idle."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        building = beside.submit(_build, store, wasm)
        yield
        building.result()


@contextmanager
def built(store: Store, wasm: Path, directory: Path, foreign: bool = False) -> Iterator[Path]:
    """Yields a copy of the built tool in `directory`, and removes it afterwards.

    A `foreign` one compiles for other architectures too.
    A copy, because other checkouts build their tool in the same target directory.
    """
    copy = directory / NAME
    with step("Building the image tool"):
        _build(store, wasm, copy, foreign)
    yield copy
    copy.unlink()


def test(store: Store, wasm: Path) -> None:
    """Runs the tool's own tests."""
    with store.locked("tool-stock" if is_stock() else "tool"):
        _cargo(store, wasm, "test", "testing", foreign=False)


def _build(store: Store, wasm: Path, copy: Path | None = None, foreign: bool = False) -> None:
    """Builds the tool unless it is current, and copies it while no other build can replace it."""
    with store.locked("tool-stock" if is_stock() else "tool"):
        _cargo(store, wasm, "build", "building", foreign)
        if copy:
            shutil.copy2(_target(store) / "release" / NAME, copy)


def _target(store: Store) -> Path:
    """The cargo target directory; one per code generator, so that neither waits for the other."""
    return store.root.parent / ("compiler-stock" if is_stock() else "compiler")


def _cargo(store: Store, wasm: Path, command: str, doing: str, foreign: bool) -> None:
    """Runs `cargo COMMAND` on the tool."""
    target = _target(store)
    manifest = _manifest(store, wasm, target / "manifest")
    words = [located("cargo"), command, "--release", "--offline"]
    words += ["--manifest-path", str(manifest), "--target-dir", str(target)]
    features = [name for name, on in {"stock": is_stock(), "cross": foreign}.items() if on]
    words += ["--features", ",".join(features)]
    run(
        words,
        log=store.log("compiler"),
        env=environment(),
        advice="fix wasm/compiler",
        progress=lambda: f"{doing} the image tool",
    )


def _manifest(store: Store, wasm: Path, directory: Path) -> Path:
    """Writes the manifest that replaces the crates that have patches.

    It gets a lock file of its own: `[patch]` changes where the lock file says crates come from.
    """
    compiler = wasm / "compiler"
    directory.mkdir(parents=True, exist_ok=True)
    text = (compiler / "Cargo.toml").read_text(encoding="utf-8")
    text += f'\n[[bin]]\nname = "{NAME}"\n'
    text += f"path = {json.dumps(str(compiler / 'src' / 'main.rs'))}\n"
    text += "\n[patch.crates-io]\n"
    for crate in patched_crates(store, wasm):
        text += f"{crate.name} = {{ path = {json.dumps(str(crate))} }}\n"
    (directory / "Cargo.toml").write_text(text, encoding="utf-8")
    shutil.copyfile(compiler / "Cargo.lock", directory / "Cargo.lock")
    return directory / "Cargo.toml"


def patched_crates(store: Store, wasm: Path) -> list[Path]:
    """The directories of the patched crates, each named after its crate."""
    chosen = patches(wasm)
    crates = sorted({patch.parent.name for patch in chosen})
    originals = _fetched(wasm / "compiler", crates)
    if not crates:
        return []

    def build(directory: Path) -> None:
        for crate in crates:
            shutil.copytree(originals[crate], directory / crate)
        # Without the ceiling, `git apply` skips files when a repository surrounds the cache.
        env = environment() | {"GIT_CEILING_DIRECTORIES": str(directory)}
        for patch in chosen:
            crate = patch.parent.name
            advice = (
                f"update {patch.name} for the pinned {crate}, "
                f"or build with {CODEGEN}=stock until it is updated"
            )
            command = [located("git"), "apply", patch]
            run(command, log=store.log("patch"), cwd=directory / crate, env=env, advice=advice)

    lock = wasm / "compiler" / "Cargo.lock"
    built = store.stage("codegen", hash_of(Path(__file__), lock, *crates, *chosen), build)
    return [built / crate for crate in crates]


def _fetched(compiler: Path, crates: list[str]) -> dict[str, Path]:
    """Fetches all crates of the lock file and returns the directories of these ones."""
    words = ["metadata", "--locked", "--format-version", "1", "--filter-platform", targets.host()]
    command = [located("cargo"), *words, "--manifest-path", str(compiler / "Cargo.toml")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"  cargo cannot fetch the crates of wasm/compiler\n{done.stderr.strip()}")
    packages = json.loads(done.stdout)["packages"]
    places = {c: [p["manifest_path"] for p in packages if p["name"] == c] for c in crates}
    for crate, found in places.items():
        if len(found) != 1:
            raise BuildError(
                f"  wasm/compiler/Cargo.lock has {len(found)} versions of {crate}, not one\n"
                f"  to do: update the lock file, or remove wasm/compiler/patches/{crate}"
            )
    return {crate: Path(manifest).parent for crate, [manifest] in places.items()}


def located(program: str) -> str:
    """The path of a program; raises `BuildError` without it."""
    found = os.environ.get("CARGO") if program == "cargo" else None
    found = found or shutil.which(program)
    if found is None:
        raise BuildError(f"  {program} is not on the PATH\n  to do: install it")
    return found


def environment() -> dict[str, str]:
    """The environment of programs that this recipe runs."""
    kept = {name: text for name, text in os.environ.items() if name.startswith(KEPT_PREFIXES)}
    own = {n: text for n, text in os.environ.items() if not n.startswith(FOREIGN_PREFIXES)}
    return own | kept
