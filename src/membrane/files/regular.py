"""Regular files alone: nothing is opened through a link, no FIFO is waited for, no device is read."""

import errno
import os
import stat
from pathlib import Path

LINK = "a link, through which nothing is read or written"
HARD_LINK = "another name of the same file exists (a hard link), which would change with it; copy the file"
KINDS = {
    stat.S_IFLNK: (errno.ELOOP, LINK),
    stat.S_IFDIR: (errno.EISDIR, "a folder, where a file should be"),
    stat.S_IFIFO: (errno.EINVAL, "a pipe (FIFO), where a file should be"),
    stat.S_IFSOCK: (errno.EINVAL, "a socket, where a file should be"),
    stat.S_IFCHR: (errno.EINVAL, "a device, where a file should be"),
    stat.S_IFBLK: (errno.EINVAL, "a device, where a file should be"),
}
"""Type of a file in its mode → the error's number, and what it is in words."""


class Irregular(OSError):
    """A path names something else than a regular file or a real folder; ``strerror`` says what, in a few words."""


def open_regular(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor: an ``opener`` of `open`, for reading and for writing.

    Raises Irregular for a link and everything else that is no regular file, without waiting for a FIFO's other end; and
    for writing in place into a file that has another name.
    """
    truncate, flags = flags & os.O_TRUNC, flags & ~os.O_TRUNC  # nothing is emptied before it is known to be a file
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise irregular(path) or error from None
    try:
        status = os.fstat(descriptor)
        if (reason := KINDS.get(stat.S_IFMT(status.st_mode))) is not None:
            raise Irregular(*reason, os.fspath(path))
        if flags & (os.O_WRONLY | os.O_RDWR) and status.st_nlink > 1:
            raise Irregular(errno.EMLINK, HARD_LINK, os.fspath(path))
        if truncate:
            os.ftruncate(descriptor, 0)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_folder(path: str | os.PathLike[str]) -> int:
    """Return a descriptor of a folder. Raises Irregular if its name is a link; names before it may be links."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if Path(path).is_symlink():
            raise Irregular(*KINDS[stat.S_IFLNK], os.fspath(path)) from None
        raise error from None


def irregular(path: str | os.PathLike[str]) -> Irregular | None:
    """Return the error that says what lies at a path if that is no regular file; None if it is one, or is missing."""
    try:
        reason = KINDS.get(stat.S_IFMT(os.lstat(path).st_mode))
    except OSError:
        return None
    return None if reason is None else Irregular(*reason, os.fspath(path))
