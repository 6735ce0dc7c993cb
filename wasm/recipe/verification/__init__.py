"""Verifies the image's native code with the tool in wasm/verifier.

The result is stored under the hash of the image and of the verifier: a change of the verifier
verifies the image again and does not build it again. This file is in a directory of its own,
because the files of wasm/recipe itself are inputs of the module.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import tool
from report import BuildError, fail_line, run, say, step
from store import Store, file_sha256, hash_of

NAME = "serpentarium-verify"
COUNTS = "verified.json"
WASM = Path(__file__).resolve().parent.parent.parent


def ensure_verified(store: Store, wasm: Path, image: Path, module: Path | None) -> Path:
    """Returns the file with the counts of a verified image, and verifies the image if needed.

    `module` is the WebAssembly that the image was made of.
    """
    sums = [file_sha256(path) for path in (image, module) if path]
    key = hash_of(sums, *_sources(wasm))

    def prove(directory: Path) -> None:
        program = directory / NAME
        with step("Building the verifier"):
            build(store, wasm, program)
        with step("Verifying the native code"):
            advice = "find the change of the code generator or of the verifier behind these lines"
            command = [program, image, directory / COUNTS, *([module] if module else [])]
            log = store.log("verify")
            # The end of the log is shown: it must be about this image.
            log.unlink(missing_ok=True)
            run(command, log=log, advice=advice)
        program.unlink()
        say(f"    {_summary(directory / COUNTS)}")

    return store.stage("verified", key, prove) / COUNTS


def _sources(wasm: Path) -> list[Path]:
    verifier = wasm / "verifier"
    return [
        Path(__file__),
        *sorted((verifier / "src").rglob("*.rs")),
        verifier / "Cargo.toml",
        verifier / "Cargo.lock",
    ]


def _summary(counts: Path) -> str:
    return str(json.loads(counts.read_text(encoding="utf-8"))["summary"])


def build(store: Store, wasm: Path, copy: Path) -> None:
    """Builds the verifier unless it is current, and copies it before another build replaces it."""
    target = store.root.parent / "verifier"
    mark, sources = target / "sources", hash_of(*_sources(wasm))
    place = ["--manifest-path", str(wasm / "verifier" / "Cargo.toml"), "--target-dir", str(target)]

    def cargo(*words: str) -> None:
        command = [tool.located("cargo"), *words, *place]
        run(command, log=store.log("verifier"), env=tool.environment(), advice="fix wasm/verifier")

    with store.locked("verifier-tool"):
        # Cargo compares times. Those of another checkout say nothing of this one's sources.
        if not mark.exists() or mark.read_text(encoding="utf-8") != sources:
            cargo("clean", "--release", "--locked", "--package", "serpentarium-verifier")
        cargo("build", "--release", "--locked")
        mark.write_text(sources, encoding="utf-8")
        shutil.copy2(target / "release" / NAME, copy)


def main(argv: list[str]) -> int:
    """Verifies an image that a person names; returns the exit status, 0 or 1."""
    parser = argparse.ArgumentParser(
        prog="verify-image",
        description="Prove that the native code of an image stays within its sandbox.",
        epilog="docs/decisions/0033-verify-native-code.md says what is proved and what is trusted.",
    )
    parser.add_argument(
        "image",
        nargs="?",
        type=Path,
        default=WASM / "build" / "python.cwasm",
        help="the image (default: wasm/build/python.cwasm)",
    )
    image = parser.parse_args(argv).image
    # The build places the module beside the image.
    module = image.with_name("python.wasm")
    try:
        if not image.is_file():
            raise BuildError(f"  {image} is missing\n  to do: build it with scripts/build-python")
        beside = module if module.is_file() else None
        print(_summary(ensure_verified(Store.for_user(), WASM, image, beside)))
    except BuildError as error:
        fail_line(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
