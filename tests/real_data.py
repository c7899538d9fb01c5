"""Real data sets, for tests that need them."""

import os
from pathlib import Path

import pytest


def real_data(*names: str) -> Path:
    """The folder of the data, which holds these; without one the test is skipped."""
    root = Path(os.environ.get("MEMBRANE_DATA", "data"))
    for name in names:
        if not (root / name).exists():
            pytest.skip(f"needs real data: set MEMBRANE_DATA to a folder that holds {name} (no data in {root})")
    return root


def real_file(name: str) -> Path:
    """A file or folder of the data; without it the test is skipped."""
    return real_data(name) / name
