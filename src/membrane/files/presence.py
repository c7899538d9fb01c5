"""Files and folders that may lie where one may not look: Path's own tests raise PermissionError then."""

import os
from pathlib import Path


def is_folder(path: Path | os.DirEntry[str]) -> bool:
    """Return whether a folder, or a link to one, is there and may be reached; a link to itself is none."""
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
