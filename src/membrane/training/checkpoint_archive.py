"""The archive that a checkpoint is: what is in its directory is checked before any member is read.

torch writes a zip of uncompressed members, one for the pickled structure and one for each tensor's values, each with a
checksum that it does not compare when it reads.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from membrane.data.store.archives import DAMAGE, listing_bytes
from membrane.errors import DataError, one_line, printable_text
from membrane.training.pickle_depth import require_shallow_pickle

LISTING = 2**23
"""Bytes of the list of members at most: some 80,000 tensors."""
PICKLE = 2**24
"""Bytes of the pickled structure at most; that of a large network with its optimiser has some 100 KB."""


def require_plain_archive(path: Path) -> None:
    """Raise DataError for what torch would not have written, before it takes more memory than the file has bytes."""
    try:
        listing = listing_bytes(path)
        members = directory(path) if listing <= LISTING else []
    except DAMAGE as error:
        raise DataError(f"{path}: not a checkpoint, or damaged: no whole zip ({type(error).__name__})") from None
    if listing > LISTING:
        raise DataError(f"{path}: its list of members has {listing} bytes, {LISTING} at most")
    for member in members:
        name = printable_text(member.filename)
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            sizes = f"from {member.compress_size} to {member.file_size} bytes"
            raise DataError(f"{path}: {name} unpacks {sizes}; members of checkpoints are not compressed")
        if name.endswith(".pkl") and member.file_size > PICKLE:
            raise DataError(f"{path}: {name} has {member.file_size} bytes, {PICKLE} at most")
    if len({member.filename for member in members}) < len(members):
        raise DataError(f"{path}: two members have the same name")
    if (unpacked := sum(member.file_size for member in members)) > (size := path.stat().st_size):
        raise DataError(f"{path}: its members have {unpacked} bytes, more than the file, which has {size}")
    require_shallow_structure(path, [member for member in members if member.filename.endswith(".pkl")])


def require_shallow_structure(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise DataError if a pickled member cannot be read, or nests its values so deep that reading it would crash."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in members:
                require_shallow_pickle(archive.read(member))
    except (*DAMAGE, ValueError) as error:
        raise DataError(f"{path}: not a checkpoint, or damaged ({printable_text(one_line(error))})") from None


def directory(path: Path) -> list[zipfile.ZipInfo]:
    """Return the members of an archive. Raises one of DAMAGE if there is none."""
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def require_checksums(path: Path) -> None:
    """Raise DataError if the content of a member, read a piece at a time, differs from its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except DAMAGE as error:
        raise DataError(f"{path}: damaged ({printable_text(str(error)) or type(error).__name__})") from None
    if damaged is not None:
        raise DataError(f"{path}: damaged (the checksum of {printable_text(damaged)} is another)")
