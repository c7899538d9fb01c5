"""One folder, one path: however a run's folder is named, by links, `.` or `..`, it is locked and moved as the same.

Imports nothing that is slow: `membrane status` looks at thousands of folders.
"""

import os
from pathlib import Path


def real_path(typed: Path) -> Path:
    """Return a path without links, `.` and `..`, relative if it was typed so and lies below the working folder."""
    real, here = Path(os.path.realpath(typed)), Path.cwd()
    return real.relative_to(here) if here in real.parents and not typed.is_absolute() else real


def lock_path(folder: Path) -> Path:
    """Return the lock of a run's folder, which lies beside the real folder."""
    real = Path(os.path.realpath(folder))
    return real.with_name(f".{real.name}.lock")
