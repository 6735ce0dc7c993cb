"""Writes archives whose bytes depend on their content alone, not on user or time of the build."""

import gzip
import io
import lzma
import tarfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

# Zip files have no earlier time: 1980.
FIRST_ZIP_TIME = 315_532_800


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


def tar(entries: Sequence[Entry], seconds: int) -> bytes:
    """A tar archive of the entries, in their order. `seconds` is the time of all files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.mtime, member.mode = seconds, entry.mode
            member.uid = member.gid = entry.owner
            if entry.content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(entry.content)
                archive.addfile(member, io.BytesIO(entry.content))
    return buffer.getvalue()


def tar_xz(entries: Sequence[Entry], seconds: int) -> bytes:
    """A tar archive, compressed for size: an executable is half a snapshot of memory."""
    return lzma.compress(tar(entries, seconds), preset=9)


def tar_gz(entries: Sequence[Entry], seconds: int) -> bytes:
    """A tar archive for readers that know gzip only."""
    return gzip.compress(tar(entries, seconds), compresslevel=9, mtime=0)


def zipped(entries: Sequence[Entry], seconds: int) -> bytes:
    """A zip archive of the files among the entries."""
    buffer = io.BytesIO()
    moment = time.gmtime(max(seconds, FIRST_ZIP_TIME))[:6]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry in entries:
            if entry.content is not None:
                member = zipfile.ZipInfo(entry.path, moment)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.create_system = 3  # Unix: the modes of files are kept.
                member.external_attr = (0o100000 | entry.mode) << 16
                archive.writestr(member, entry.content, compresslevel=9)
    return buffer.getvalue()


def ar(members: Sequence[tuple[str, bytes]], seconds: int) -> bytes:
    """An archive of ar(5), the outer form of a Debian package."""
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(
            f"{name:<16}{seconds:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        )
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)
