"""Where converted data lie. Without torch."""

import hashlib
import stat
import tempfile
from pathlib import Path

from membrane.files.presence import is_folder


def remembered_digests(root: Path, name: str, file: str = "sources.json") -> Path | None:
    """Return where `file_digests` keeps those of a data set's files; None if nothing can be written."""
    folder = writable_cache(root)
    return None if folder is None else folder / name / file


def writable_cache(root: Path) -> Path | None:
    """Return the folder of the cache: in ``paths.data``, or the person's own where that cannot be written.

    None if neither can be.
    """
    for folder in cache_folders(root):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def cache_folders(root: Path) -> list[Path]:
    """Return the folders that may hold the cache, in ``paths.data`` and the person's own, in the order of preference.

    A folder of data that is not there is not made for it, and one that nobody may write stays as it is, even where the
    administrator could.
    """
    own = own_cache() / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    writable = is_folder(root) and root.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    return [root / ".cache", own] if writable else [own]


def readable_caches(root: Path) -> list[Path]:
    """Return the folders of which entries are read: those of `cache_folders`, and one that came with the data."""
    return list(dict.fromkeys([root / ".cache", *cache_folders(root)]))


def own_cache() -> Path:
    """Return the folder in which this person's converted data lie if ``paths.data`` cannot be written."""
    from platformdirs import user_cache_path

    return user_cache_path("membrane") / "data"
