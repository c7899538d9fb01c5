"""Files and folders that may lie where one may not look: Path's own tests raise PermissionError then."""

from pathlib import Path


def is_folder(path: Path) -> bool:
    """Return whether a folder is there and may be reached."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Return whether a file is there and may be reached."""
    try:
        return path.is_file()
    except OSError:
        return False
