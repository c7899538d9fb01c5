"""Folders and files from which code is loaded: nobody but the person, or the system's owner, may change them."""

import grp
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def own_folder(base: Path, *names: str) -> Path:
    """Make the folder base/names… for the person alone and return its real path.

    ``base`` may lie behind a link, the folders of ``names`` may not. Raises OSError, with the folder, if somebody else
    could put a file into it or rename one above it, or if it cannot be made.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = trusted_path(base)
    for name in names:
        folder /= name
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
        require_trusted(folder)
        if about.st_uid != os.geteuid() or others_write(about):
            raise PermissionError(f"{folder} is not yours alone")
    return folder


def trusted_path(folder: Path) -> Path:
    """Return a folder's real path. Raises OSError if somebody else could put another folder in its place."""
    real = folder.resolve(strict=True)
    for each in (*reversed(real.parents), real):
        require_trusted(each)
    return real


def require_trusted(folder: Path) -> None:
    """Raise OSError for a link, and for a folder whose entries somebody else may rename, but the person and root."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(f"{folder} is a link, or no folder")
    if about.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{folder} belongs to another user")
    if others_write(about) and not about.st_mode & stat.S_ISVTX:  # in /tmp nobody renames what is another's
        raise PermissionError(f"others may write into {folder}: chmod go-w helps")


def others_write(about: os.stat_result) -> bool:
    """Return whether others than its owner may write a file or folder, by its permissions."""
    in_group = about.st_mode & stat.S_IWGRP and not (about.st_uid == os.geteuid() and is_own_group(about.st_gid))
    return bool(in_group or about.st_mode & stat.S_IWOTH)


def is_own_group(number: int) -> bool:
    """Return whether a group is the person's alone, of their name, as where new files may be written by the group."""
    try:
        group, person = grp.getgrgid(number), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == person and set(group.gr_mem) <= {person}


def read_own(path: Path, most: int) -> bytes:
    """Return the content of a file that only the person may write.

    Raises OSError if it is missing, a link, no plain file, or larger than ``most`` bytes, or if others may write it.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or others_write(about):
            raise PermissionError(f"{path} is not a file of yours alone")
        if about.st_size > most:
            raise PermissionError(f"{path} has {about.st_size} bytes, {most} at most")
        return file.read(most)


@contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Make a folder for the person alone and remove it afterwards. Raises OSError if others could put another there."""
    with tempfile.TemporaryDirectory(dir=trusted_path(Path(tempfile.gettempdir())), prefix="membrane-") as name:
        yield Path(name)
