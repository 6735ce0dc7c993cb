"""The cache of build products: a directory for each product, named by the hash of its inputs."""

import fcntl
import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from report import BuildError, say

# Older products of each kind that stay beside the current one: branches often alternate.
KEPT_OLD_PRODUCTS = 2


def hash_of(*parts: object) -> str:
    """The SHA-256 of values (by their text) and files (by their name and content)."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        label = part.name if isinstance(part, Path) else ""
        digest.update(f"{label}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content alone."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(source: Path, target: Path) -> None:
    """Copies `source` to `target` atomically (rename(2)): readers never see a part of a file.

    An equal target keeps its modification time, so cargo does not rebuild its dependents.
    """
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


class Store:
    """The cache directory of the Python image."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def for_user(cls) -> "Store":
        """The store in the user's cache directory."""
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(cache) / "serpentarium" / "python")

    @property
    def downloads(self) -> Path:
        """The directory of fetched files."""
        return self.root / "downloads"

    def log(self, name: str) -> Path:
        """The log of a step in the latest build."""
        return self.root / "logs" / f"{name}.log"

    def clear_logs(self) -> None:
        """Removes the logs of earlier builds."""
        shutil.rmtree(self.root / "logs", ignore_errors=True)

    @contextmanager
    def locked(self, product: str) -> Iterator[None]:
        """Holds an exclusive lock on a product (flock(2)), against builds of other checkouts."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / product).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another build of {product}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def product(self, kind: str, key: str) -> Path:
        """The directory of a product; it may be missing or incomplete."""
        return self.root / "stages" / kind / key[:20]

    def stage(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """Returns the product of a step, and builds it unless it is in the store.

        Products hold absolute paths, so `build` works in the final directory. The file `.complete`
        marks a finished product; an interrupted build leaves none.
        """
        directory = self.product(kind, key)
        mark = directory / ".complete"
        with self.locked(f"{kind}-{directory.name}"):
            if not mark.exists():
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir(parents=True)
                build(directory)
                mark.touch()
            os.utime(mark)
        self._drop_old(directory.parent.glob("*/.complete"), keep=mark)
        return directory

    @staticmethod
    def _drop_old(marks: Iterable[Path], keep: Path) -> None:
        """Removes the least recently used products. A directory without a mark may be in use."""
        others = sorted(
            (mark for mark in marks if mark != keep),
            key=lambda mark: mark.stat().st_mtime,
            reverse=True,
        )
        for mark in others[KEPT_OLD_PRODUCTS:]:
            shutil.rmtree(mark.parent, ignore_errors=True)


def verify(path: Path, expected: str, what: str) -> None:
    """Compares a fetched file with its pinned SHA-256; removes it and raises if they differ."""
    actual = file_sha256(path)
    if actual != expected:
        path.unlink()
        raise BuildError(
            f"  {what} differs from its pin:\n    pinned  {expected}\n    fetched {actual}\n"
            "  to do: find out why; if the change is wanted, put the new sum into "
            "wasm/recipe/inputs.toml"
        )
