"""Folders that are written at a command's end, checked at its start."""

import os
from pathlib import Path

from membrane.errors import ConfigError


def require_writable(option: str, folder: Path) -> None:
    """Raise ConfigError if nothing can be written in the folder that an option names, which may be missing yet."""
    present = next(each for each in (folder, *folder.absolute().parents) if os.path.lexists(each))
    if not present.is_dir():
        raise ConfigError(f"{option}: {present} is not a folder")
    if not os.access(present, os.W_OK | os.X_OK):
        raise ConfigError(f"{option}: nothing can be written in {present}; name another folder")
