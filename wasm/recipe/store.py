"""Where builds are kept: one directory for each product, named by the hash of everything that went into it."""

import fcntl
import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from report import BuildError, say

# Beside the one in use, so many older products of each kind stay, for going back and forth between branches.
KEPT_OLD_PRODUCTS = 2


def hash_of(*parts: object) -> str:
    """The SHA-256 of some values (by their text) and files (by their name and content)."""
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
    """Puts a copy of `source` at `target` in one move: a reader sees the old file or the new one, never a part. A
    target that is the same already keeps its date, so that what depends on it is not built again."""
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
        """Where fetched files lie."""
        return self.root / "downloads"

    def log(self, name: str) -> Path:
        """The log of one step; begun anew with every build."""
        return self.root / "logs" / f"{name}.log"

    def clear_logs(self) -> None:
        """Forgets the logs of the build before."""
        shutil.rmtree(self.root / "logs", ignore_errors=True)

    @contextmanager
    def locked(self, product: str) -> Iterator[None]:
        """Keeps a second build of the same product out until this one has ended."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / product).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another build of the same is running; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def product(self, kind: str, key: str) -> Path:
        """The directory of a product, built or not."""
        return self.root / "stages" / kind / key[:20]

    def stage(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """The product of a slow step: from the store, or built into it. Products hold absolute paths, so they are
        built where they stay, and count only once their mark is there."""
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
        """Removes the products, by their marks, that were not used for longest. One without a mark may be under way."""
        others = sorted((mark for mark in marks if mark != keep), key=lambda mark: mark.stat().st_mtime, reverse=True)
        for mark in others[KEPT_OLD_PRODUCTS:]:
            shutil.rmtree(mark.parent, ignore_errors=True)


def verify(path: Path, expected: str, what: str) -> None:
    """Holds a fetched file against its pin."""
    actual = file_sha256(path)
    if actual != expected:
        path.unlink()
        raise BuildError(
            f"  {what} is not the file that was pinned:\n    pinned  {expected}\n    fetched {actual}\n"
            "  to do: find out where that comes from; if it is wanted, put the new sum into wasm/recipe/inputs.toml"
        )
