"""Files that are there whole or not at all, whenever the process is killed or the power fails."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file that ``fill`` fills, flushed to the disk before it takes its name; a failure leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = write_beside(path, fill)
    beside.replace(path)
    flush_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    text = json.dumps(content, indent=2) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))


def write_beside(path: Path, fill: Callable[[IO[bytes]], object]) -> Path:
    """Write a file's content under a temporary name in its folder, flush it to the disk and return that path."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        with beside.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)  # on a full disk it would take the room that FAILED.json needs
        raise
    return beside


def flush_folder(folder: Path) -> None:
    """Flush a folder's names to the disk: a rename alone may be forgotten when the power fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
