"""The members of zip and tar archives, each checked before it is read: its name, its type, and how much it is."""

import gzip
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

CHUNK = 2**20
"""Bytes that are read at once at most."""
MOST_MEMBERS = 500_000
MOST_BYTES = 2**38
RATIO, SPARED = 200, 2**26
"""An archive unpacks to so many times its size at most, and to 64 MiB whatever its size."""
LISTING = 2**26
"""Bytes of a zip's list of members at most."""
END, END64, GZIP = b"PK\x05\x06", b"PK\x06\x06", b"\x1f\x8b"
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, struct.error, zipfile.BadZipFile, tarfile.TarError)
"""Errors of the disk, and of zipfile, tarfile and gzip for what is damaged or has an unknown form."""


class UnsafeMember(ValueError):
    """A member of an archive that is not unpacked."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name!r} {why}")


@dataclass(frozen=True)
class Member:
    """A file in an archive, or a folder, of which ``read`` is None: its name and its size as the archive says."""

    name: str
    size: int
    read: Callable[[], IO[bytes]] | None


class Allowance:
    """The most that an archive of ``size`` bytes may unpack to, while ``free`` bytes are free on the disk."""

    def __init__(self, size: int, free: int) -> None:
        self.most = min(RATIO * size + SPARED, MOST_BYTES)
        self.free = free
        self.members = self.bytes = 0

    def admit(self, name: str, size: int) -> None:
        """Count another member. Raises UnsafeMember if that makes too many, or too much."""
        self.members += 1
        self.bytes += max(size, 0)
        if size < 0:
            raise UnsafeMember(name, f"has {size} bytes, as it says")
        if self.members > MOST_MEMBERS:
            raise UnsafeMember(name, f"is one of more than {MOST_MEMBERS} members")
        if self.bytes > self.most:
            raise UnsafeMember(name, f"makes it unpack to {self.bytes} bytes, {self.most} at most: a bomb?")
        if self.bytes > self.free:
            raise UnsafeMember(name, f"makes it need {self.bytes} bytes, {self.free} are free on the disk")


def archive_members(archive: Path, allowance: Allowance) -> Iterator[Member]:
    """Yield the members of a zip or tar archive, to be read one after the other.

    Raises UnsafeMember for one that is not to be unpacked: in a zip, before any is yielded. Raises one of DAMAGE for
    what cannot be read.
    """
    with archive.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    yield from (zip_members if is_zip else tar_members)(archive, allowance)


def safe_parts(name: str) -> list[str]:
    """Return the parts of a member's name. Raises UnsafeMember if it could lead out of the folder, or is no name."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        raise UnsafeMember(name, "is an absolute path")
    if ".." in parts:
        raise UnsafeMember(name, "leads out of the folder")
    if "\\" in name or not name.isprintable():
        raise UnsafeMember(name, "has a backslash or a control character in its name")
    return parts


def zip_members(archive: Path, allowance: Allowance) -> Iterator[Member]:
    """Yield the members of a zip, of which all are checked first."""
    if (listing := listing_bytes(archive)) > LISTING:
        raise ValueError(f"its list of members has {listing} bytes, {LISTING} at most")
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            safe_parts(info.orig_filename)
            mode = info.external_attr >> 16  # of Unix, 0 elsewhere
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeMember(info.filename, "is a link" if stat.S_ISLNK(mode) else "is no file")
            allowance.admit(info.filename, info.file_size)
        for info in opened.infolist():
            yield Member(info.filename, info.file_size, None if info.is_dir() else partial(opened.open, info))


def listing_bytes(archive: Path) -> int:
    """Return how many bytes of a zip list its members, as the records at its end say; zipfile reads them at once."""
    with archive.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 2**16 - 98))  # the longest comment, and the two records before it
        tail = file.read()
    end = len(tail) - 22 if tail[-22:].startswith(END) and tail.endswith(b"\0\0") else tail.rfind(END)
    listings = [0]
    if end >= 0 and len(tail) >= end + 22:
        listings += struct.unpack_from("<I", tail, end + 12)
        if end >= 76 and tail[end - 76 :].startswith(END64):
            listings = list(struct.unpack_from("<Q", tail, end - 36))
    return max(listings)


def tar_members(archive: Path, allowance: Allowance) -> Iterator[Member]:
    """Yield the members of a tar, each checked when it comes."""
    with archive.open("rb") as packed:
        compressed = packed.read(2) == GZIP
        packed.seek(0)
        stream: Any = gzip.GzipFile(fileobj=packed) if compressed else packed
        forward = ForwardStream(stream, allowance.most)
        # a stream's reader would gather a header of any length in memory; this one asks for it at once, and is refused
        with tarfile.open(fileobj=forward, mode="r:") as opened:  # type: ignore[call-overload]
            while (info := opened.next()) is not None:
                forward.member = info.name
                safe_parts(info.name)
                if not (info.isreg() or info.isdir()) or info.issparse():
                    raise UnsafeMember(info.name, "is a link" if info.issym() or info.islnk() else "is no plain file")
                tarfile.data_filter(info, ".")
                allowance.admit(info.name, info.size)
                yield Member(info.name, info.size, partial(opened.extractfile, info) if info.isreg() else None)
        while compressed and forward.read(CHUNK):  # gzip compares its checksum at the end
            pass


class ForwardStream:
    """A stream that goes forward only, gives CHUNK bytes at once at most and ``most`` bytes in all.

    ``member`` is the name of the one that was reached, for messages.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self.stream, self.most, self.position, self.member = stream, most, 0, ""

    def read(self, size: int) -> bytes:
        """Return the next bytes. Raises ValueError if so many are too many."""
        if not 0 <= size <= CHUNK:
            raise self.refusal(f"a header of {size} bytes, {CHUNK} at most")
        content = self.stream.read(size)
        self.position += len(content)
        if self.position > self.most:
            raise self.refusal(f"more than {self.most} bytes in all: a bomb?")
        return content

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self.position

    def seek(self, position: int) -> int:
        """Read on to a position. Raises ValueError if it lies behind."""
        if position < self.position:
            raise self.refusal("a member that begins in it")
        while self.position < position and self.read(min(CHUNK, position - self.position)):
            pass
        return self.position

    def refusal(self, why: str) -> ValueError:
        """Build the error for what comes after the member that was reached."""
        return UnsafeMember(self.member, f"is followed by {why}") if self.member else ValueError(f"begins with {why}")
