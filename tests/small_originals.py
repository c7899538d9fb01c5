"""Origins of data sets for tests that write small files in the place of the original ones."""

from dataclasses import replace

import pytest

from membrane.data.origins import ORIGINS


def take_small_originals(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a data set take files of any content, and download none."""
    origin = ORIGINS[name]
    files = tuple(replace(file, digest=None, urls=()) for file in origin.files)
    monkeypatch.setitem(ORIGINS, name, replace(origin, files=files))
