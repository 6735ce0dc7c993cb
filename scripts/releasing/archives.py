"""Writes archives whose bytes depend on their content alone, not on user or time of the build."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file or directory (`content` is `None`) of an archive."""

    path: str
    content: bytes | None = None
    mode: int = 0o644
    owner: int = 0


def program(path: str, content: bytes) -> Entry:
    """An executable file."""
    return Entry(path, content, 0o755)


def directories(*paths: str, owner: int = 0) -> list[Entry]:
    """Directories."""
    return [Entry(path, None, 0o755, owner) for path in paths]


def tar(entries: Sequence[Entry], time: int) -> bytes:
    """A tar archive of the entries, in their order. `time` is that of all files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.mtime, member.mode = time, entry.mode
            member.uid = member.gid = entry.owner
            if entry.content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(entry.content)
                archive.addfile(member, io.BytesIO(entry.content))
    return buffer.getvalue()


def tar_xz(entries: Sequence[Entry], time: int) -> bytes:
    """A tar archive, compressed for size: an executable is half a snapshot of memory."""
    return lzma.compress(tar(entries, time), preset=9)


def tar_gz(entries: Sequence[Entry], time: int) -> bytes:
    """A tar archive for readers that know gzip only."""
    return gzip.compress(tar(entries, time), compresslevel=9, mtime=0)


def ar(members: Sequence[tuple[str, bytes]], time: int) -> bytes:
    """An archive of ar(5), the outer form of a Debian package."""
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(f"{name:<16}{time:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)
