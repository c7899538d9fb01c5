"""Running out of memory: which errors say so, how batches are halved, and what a person reads."""

import ctypes
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from membrane.training import memory
from membrane.training.memory import OutOfMemory, halve_pieces, largest_micro_batch, micro_batch_size, out_of_memory

FULL = MemoryError("no room\nat all")


def test_which_errors_say_that_memory_has_run_out() -> None:
    for error in (
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    ):
        assert out_of_memory(error) is True
    for other in (RuntimeError("shapes differ"), ValueError("can't allocate memory"), OSError()):
        assert out_of_memory(other) is False


def test_the_cpu_says_it_so() -> None:
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(1 << 60)
    assert out_of_memory(refusal.value)


def test_the_largest_piece_of_a_batch() -> None:
    for batch_size in range(1, 30):
        for pieces in range(1, batch_size + 1):
            expected = max(map(len, torch.arange(batch_size).chunk(pieces)))
            assert micro_batch_size(batch_size, pieces) == expected


def test_pieces_are_doubled_until_a_sample_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(memory.gc, "collect", lambda: calls.append("collect"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty"))
    with caplog.at_level(logging.WARNING):
        assert halve_pieces(FULL, 6, 1, "halve") == 2
        assert halve_pieces(FULL, 6, 3, "halve") == 6
    assert calls == ["collect", "empty"] * 2
    assert caplog.messages == [
        f"out of memory in a step of {before} samples (no room): on_oom=halve goes on with {after} samples at a time"
        for before, after in ((6, 3), (2, 1))
    ]
    with pytest.raises(OutOfMemory, match=r"a step of 1 samples \(no room\); it cannot be halved any further$"):
        halve_pieces(FULL, 6, 6, "halve")
    with pytest.raises(OutOfMemory, match=r"a step of 2 samples .*; it cannot be halved any further$"):
        halve_pieces(FULL, 7, 4, "halve")
    assert len(calls) == 4


def test_without_a_gpu_none_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: pytest.fail("there is none"))
    assert halve_pieces(FULL, 2, 1, "halve") == 2


def test_unless_halving_is_chosen_the_ways_out_are_named() -> None:
    with pytest.raises(OutOfMemory) as refusal:
        halve_pieces(FULL, 64, 2, "fail")
    reason, ways_out = str(refusal.value).split("; ")
    assert reason == "out of memory in a step of 32 samples (no room)"
    assert all(way in ways_out for way in ("goes on from its last checkpoint", "on_oom=halve", "batch_size"))


def test_glibc_is_told_to_keep_large_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda parameter, value: calls.append((parameter, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(sys, "platform", "linux")
    memory.reuse_large_memory()
    # M_MMAP_THRESHOLD is -3 and M_TRIM_THRESHOLD -1 in <malloc.h>; a gibibyte, and the largest int
    assert calls == [(-3, 1073741824), (-1, 2147483647)]
    monkeypatch.setattr(sys, "platform", "darwin")
    memory.reuse_large_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())  # another library of C
    memory.reuse_large_memory()
    assert len(calls) == 2


def test_a_joined_batch_is_the_largest() -> None:
    """221 samples in batches of 100: 100 and 121, or 100, 100 and 21; 40 samples fill no batch of 64."""
    sizes = [largest_micro_batch(221, 100, last, pieces) for last in ("join", "keep") for pieces in (1, 4)]
    assert sizes == [121, 31, 100, 25]
    assert largest_micro_batch(40, 64, "keep", 1) == 40


RESIDENT = """
import resource, sys
import torch
from membrane.training.memory import give_back_memory, reuse_large_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

reuse_large_memory()
before = resident()
tensors = [torch.ones(2**22) for _ in range(8)]
last = torch.ones(1)
del tensors
kept = resident() - before
give_back_memory()
print(kept, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_kept_memory_is_given_back() -> None:
    """Eight tensors of 16 MiB are kept when they are freed, until they are given back."""
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 2**27 - 2**24
    assert left < 2**25
