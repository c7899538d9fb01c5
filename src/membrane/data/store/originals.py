"""The original files of a data set, in a folder or in their ZIP archive, which need not be unpacked."""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, TypeAlias

from membrane.errors import DataError

LARGEST = 1 << 26
"""Bytes that a file in an archive may have; a recording is much smaller."""
LONGEST = 1 << 20
"""Bytes that a table of labels may have."""
LOCAL_HEADER = struct.Struct("<4s22xHH")  # magic … length of the name and of the extra field behind it
MAGIC = b"PK\x03\x04"


class ZippedFile(NamedTuple):
    """A file in a ZIP archive. It is small and picklable, and any process can read it.

    Arguments:
        archive: path of the archive.
        name: of the file in it.
        start: byte of the archive at which the file's own header begins.
        packed: bytes in the archive.
        size: bytes when unpacked.
        method: 0 is stored, 8 is deflated.
        checksum: CRC-32 of the content.
    """

    archive: Path
    name: str
    start: int
    packed: int
    size: int
    method: int
    checksum: int

    def __str__(self) -> str:
        """Return the path by which messages name the file."""
        return str(self.archive / self.name)

    def read(self) -> bytes:
        """Return the content; no more than its declared size is unpacked. Raises DataError if it is damaged."""
        try:
            with self.archive.open("rb") as file:
                begins = seek_content(file, self.start)
                content = packed = file.read(self.packed)
            if self.method == zipfile.ZIP_DEFLATED:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.size + 1)
        except (OSError, struct.error, zlib.error) as error:
            raise self.damaged(str(error)) from error
        if not begins or len(content) != self.size or zlib.crc32(content) != self.checksum:
            raise self.damaged(f"not the {self.size} bytes that the archive lists")
        return content

    def damaged(self, why: str) -> DataError:
        """Build the error for a file that is not what the archive lists."""
        return DataError(f"{self.archive}: byte {self.start}: {self.name}: {why}")


OriginalFile: TypeAlias = Path | ZippedFile


def seek_content(file: IO[bytes], header: int) -> bool:
    """Move to the content of a file in a ZIP archive, whose own header begins at byte ``header``.

    Return whether one begins there. Raises struct.error if the archive ends before it does.
    """
    file.seek(header)
    magic, *lengths = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    file.seek(sum(lengths), os.SEEK_CUR)
    return bool(magic == MAGIC)


def table_lines(path: Path) -> list[str]:
    """Return the lines of a text file. Raises DataError if it cannot be read, or is longer than LONGEST bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > LONGEST:
        raise DataError(f"{path}: byte {LONGEST}: a table of at most so many bytes is expected")
    return content.decode("utf-8", "replace").splitlines()


def files_inside(original: Path, suffix: str) -> dict[PurePosixPath, OriginalFile]:
    """Return the files of a folder or ZIP archive that end in ``suffix``, by their path in it, in order of path.

    Hidden ones are left out. Raises DataError if the folder or archive cannot be read.
    """
    every = files_in_folder(original) if original.is_dir() else files_in_archive(original)
    named = ((name.split("/"), file) for name, file in every if name.lower().endswith(suffix))
    wanted = {tuple(parts): file for parts, file in named if not parts[-1].startswith(".")}
    return {PurePosixPath("/".join(parts)): wanted[parts] for parts in sorted(wanted)}


def files_read(originals: Iterable[Path], suffix: str) -> list[Path]:
    """Return the files of folders that end in ``suffix``, and archives as they are, in order.

    Raises DataError if a folder cannot be read.
    """
    files: list[Path] = []
    for original in originals:
        inside = files_in_folder(original) if original.is_dir() else iter([(suffix, original)])
        files += [path for name, path in inside if name.lower().endswith(suffix)]
    return sorted(files)


def files_in_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder with their paths in it."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror or error}") from error

    for parent, _, names in os.walk(folder, onerror=refuse):
        inside = Path(parent).relative_to(folder).as_posix()
        for name in names:
            yield name if inside == "." else f"{inside}/{name}", Path(parent, name)


def files_in_archive(archive: Path) -> Iterator[tuple[str, ZippedFile]]:
    """Yield the files of a ZIP archive with their paths in it, without reading them.

    Raises DataError if it is no such archive, or one of its files cannot be read or is larger than LARGEST.
    """
    try:
        length = archive.stat().st_size
        with zipfile.ZipFile(archive) as directory:
            entries = [entry for entry in directory.infolist() if not entry.filename.endswith("/")]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, struct.error) as error:
        raise DataError(f"{archive}: no ZIP archive that can be read: {error}") from error
    for entry in entries:
        file = ZippedFile(
            archive,
            entry.filename,
            entry.header_offset,
            entry.compress_size,
            entry.file_size,
            entry.compress_type,
            entry.CRC,
        )
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise file.damaged("encrypted, or compressed in another way than by deflate")
        if not 0 <= entry.header_offset <= length - entry.compress_size:
            raise file.damaged(f"{entry.compress_size} bytes, but the archive has {length}")
        if max(entry.file_size, entry.compress_size) > LARGEST:
            raise file.damaged(f"{entry.file_size} bytes, at most {LARGEST} expected")
        yield entry.filename, file
