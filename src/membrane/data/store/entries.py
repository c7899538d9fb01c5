"""The cache as folders: what is in it, how much, and how it is emptied. Without torch.

Only what `store.cache` and `store.identity` write there counts, and is ever removed: ``paths.data`` may be a folder of
which ``.cache`` holds more than this.
"""

import logging
import re
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from membrane.data.store.location import cache_folders, readable_caches
from membrane.files.lock import Occupied, hold_lock

KEY = "[0-9a-f]{16}"
ENTRY = re.compile(KEY)
BESIDE = re.compile(rf"\.({KEY})\..+")
"""A folder in which an entry is being built, or that was left so."""
NOTE = rf"({KEY}|sources|md5|sha256)\.json"
NOTES = re.compile(rf"{NOTE}|\.{NOTE}(\.{KEY})?\.tmp")
COLUMN = re.compile(rf"\w+\.(x|y|recording|lengths|group)(\.narrow)?|manifest\.json|\.manifest\.json(\.{KEY})?\.tmp")
"""The name of a file of an entry."""

log = logging.getLogger(__name__)


def cached_sets(root: Path) -> list[str]:
    """Return the names of the data sets that have entries in the cache of the data in ``root``."""
    return sorted({path.parent.name for path in every_entry(root)})


def cached_entries(root: Path, name: str) -> list[Path]:
    """Return the entries of a data set, one for each of its settings that were used."""
    return sorted(path for path in every_entry(root) if path.parent.name == name)


def every_entry(root: Path) -> Iterator[Path]:
    """Yield the entries of all data sets."""
    for folder in readable_caches(root):
        yield from (path.parent for path in folder.glob("*/*/manifest.json") if ENTRY.fullmatch(path.parent.name))


def cached_bytes(root: Path, name: str) -> int:
    """Return how much the entries of a data set take."""
    return sum(map(bytes_below, cached_entries(root, name)))


def bytes_below(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder, without following links; 0 if there is none."""
    total = 0
    for each in [path] if path.is_symlink() or not path.is_dir() else path.rglob("*"):
        with suppress(OSError):  # another process may have removed it
            total += 0 if stat.S_ISDIR((state := each.lstat()).st_mode) else state.st_size
    return total


def remove_caches(root: Path, names: Collection[str] | None = None) -> int:
    """Delete what was cached of some data sets, of all by default, and return the number of bytes that were freed.

    What another process is building stays, with a line.
    """
    freed = 0
    for folder in cache_folders(root):
        for path in [path for path in folder.glob("*") if names is None or path.name in names]:
            if path.is_dir() and not path.is_symlink():
                freed += remove_set(path)
                with suppress(OSError):  # if something else is in it
                    path.rmdir()
        with suppress(OSError):
            folder.rmdir()
    return freed


def remove_set(folder: Path) -> int:
    """Delete what was cached in the folder of one data set, and return the number of bytes that were freed."""
    children, freed = list(folder.iterdir()), 0
    keys = {path.name: [path] for path in children if ENTRY.fullmatch(path.name)}
    for path in children:
        if beside := BESIDE.fullmatch(path.name):
            keys.setdefault(beside[1], []).append(path)
        elif path.suffix == ".lock" and ENTRY.fullmatch(path.stem):
            keys.setdefault(path.stem, [])
        elif NOTES.fullmatch(path.name):
            freed += removed(path)
    for key, paths in keys.items():
        lock = folder / f"{key}.lock"
        try:
            with hold_lock(lock, str(folder / key)):
                freed += sum(map(removed, paths))
                lock.unlink()
        except (Occupied, OSError) as error:
            log.warning("cache: not removed: %s", error)
    return freed


def remove_columns(entry: Path) -> None:
    """Delete the files that `store.cache` writes into an entry, and the entry if nothing else lies in it."""
    for path in entry.iterdir():
        if COLUMN.fullmatch(path.name) and (path.is_symlink() or path.is_file()):
            path.unlink(missing_ok=True)
    if not any(entry.iterdir()):
        entry.rmdir()


def removed(path: Path) -> int:
    """Delete a file or folder, and return the bytes that were freed; a line tells of what may not be deleted."""
    size = bytes_below(path)
    try:
        if ENTRY.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            remove_columns(path)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cache: not removed: %s", error)
    return size - bytes_below(path)
