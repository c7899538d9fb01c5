"""Files that are there whole or not at all, whenever the process is killed or the power fails.

No link is followed and no file that lies there already is written into: a file is filled under a random name, which no
one can have put there before, and then takes its name, by way of a descriptor of its folder.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from membrane.files.regular import open_folder, open_regular

TEMPORARY = re.compile(r"\.(.+?)(?:\.[0-9a-f]{16})?\.tmp")
"""The name of a file that a process was writing when it was killed; earlier versions used no random part."""


Fill = Callable[[IO[bytes]], object]
"""A function that writes a file's content."""


def write_whole(path: Path, fill: Fill, *, flushed: bool = True) -> None:
    """Write a file that ``fill`` fills, flushed to the disk before it takes its name; a failure leaves nothing.

    Its folder is created if it is missing. Raises Irregular if the folder is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened_folder(path.parent) as folder:
        beside = fill_beside(folder, path.name, fill, flushed)
        try:
            os.replace(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(beside, dir_fd=folder)
            raise
        if flushed:
            os.fsync(folder)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_utf8(path, json.dumps(content, indent=2) + "\n")


def write_utf8(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_copy(source: Path, path: Path) -> None:
    """Write a copy of a regular file, whole or not at all."""
    with open(source, "rb", opener=open_regular) as file:
        write_whole(path, lambda target: shutil.copyfileobj(file, target))


def write_beside(path: Path, fill: Fill) -> Path:
    """Write a file's content under a temporary name in its folder, flush it to the disk and return that path."""
    with opened_folder(path.parent) as folder:
        return path.with_name(fill_beside(folder, path.name, fill))


def fill_beside(folder: int, name: str, fill: Fill, flushed: bool = True) -> str:
    """Write a new file under a temporary name in an open folder, flush it to the disk and return the name."""
    beside = temporary_name(name)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            fill(file)
            file.flush()
            if flushed:
                os.fsync(descriptor)
    except BaseException:
        with suppress(FileNotFoundError):  # on a full disk it would take the room that FAILED.json needs
            os.unlink(beside, dir_fd=folder)
        raise
    return beside


def temporary_name(name: str) -> str:
    """Return a name that nobody can guess for a file until it is whole."""
    return f".{name}.{os.urandom(8).hex()}.tmp"


@contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """Open a folder and yield its descriptor. Raises Irregular if its name is a link."""
    descriptor = open_folder(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Flush a folder's names to the disk: a rename alone may be forgotten when the power fails."""
    with opened_folder(folder) as descriptor:
        os.fsync(descriptor)


def in_real_folder(path: Path) -> Path:
    """Return a path whose folder is no link: the person's folders of data and figures may be links to another disk."""
    return path.parent.resolve() / path.name
