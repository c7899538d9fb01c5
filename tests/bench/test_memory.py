"""The memory of a process, as the system tells it."""

import mmap
import resource
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from membrane.bench import memory


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell the peak only")
def test_memory_that_comes_and_goes_is_seen_in_the_peak() -> None:
    size = 2**26
    before = memory.resident_bytes()
    with mmap.mmap(-1, size) as pages:  # the system's own: an allocator may keep what is freed
        np.frombuffer(pages, np.uint8)[:] = 1
        held = memory.resident_bytes() - before
    assert held == pytest.approx(size, rel=0.1)
    assert memory.resident_bytes() - before < size / 2
    assert memory.resident_bytes("VmHWM") - before >= 0.9 * size


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd14", 1024)])
def test_elsewhere_the_peak_is_told_in_bytes_or_kibibytes(
    platform: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "Path", lambda path: SimpleNamespace(exists=lambda: False))
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3000))
    monkeypatch.setattr(sys, "platform", platform)
    assert memory.resident_bytes() == 3000 * unit
