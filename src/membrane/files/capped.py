"""Files that somebody else may have written: regular ones alone, and no more of them than such a file can need."""

import errno
from pathlib import Path

from membrane.files.regular import open_regular

JSON_BYTES = 1 << 24
"""Bytes in a JSON file of a run or a sweep, at most."""
TEXT_BYTES = 1 << 20
"""Bytes in a configuration, at most."""


def read_capped(path: Path, most: int) -> bytes:
    """Return the content of a regular file. Raises OSError if it is none, or holds more than ``most`` bytes."""
    with open(path, "rb", opener=open_regular) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than the {most >> 20} MiB that such a file can need", str(path))
    return content
