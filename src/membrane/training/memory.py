"""Running out of memory: recognising it, and cutting batches into smaller pieces."""

import ctypes
import gc
import logging
import sys

import torch

from membrane.data.feed.batch import batch_sizes
from membrane.errors import one_line

log = logging.getLogger(__name__)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers for two parameters of mallopt, from <malloc.h>."""


class OutOfMemory(RuntimeError):
    """A step does not fit into memory; the message says in one line what can be done."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory has run out, on a GPU or on the CPU."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def halve_pieces(error: BaseException, batch_size: int, pieces: int, on_oom: str) -> int:
    """Return twice as many pieces for a batch. Raises OutOfMemory if ``on_oom`` or the batch size forbids it."""
    size = micro_batch_size(batch_size, pieces)
    reason = f"out of memory in a step of {size} samples ({one_line(error)})"
    if on_oom != "halve":
        raise OutOfMemory(
            f"{reason}; the same command, without rerun=true, goes on from its last checkpoint, "
            "on_oom=halve (a run of its own) halves batches and accumulates, batch_size makes them smaller"
        )
    if pieces * 2 > batch_size:
        raise OutOfMemory(f"{reason}; it cannot be halved any further")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("%s: on_oom=halve goes on with %d samples at a time", reason, micro_batch_size(batch_size, pieces * 2))
    return pieces * 2


def reuse_large_memory() -> None:
    """Make glibc keep freed memory of large tensors for the next ones, as it does with that of small ones.

    By default every tensor over 32 MB is mapped anew and its pages are cleared by the system: measured, that takes
    longer than a layer of neurons. Without glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 1 << 30)
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def give_back_memory() -> None:
    """Make glibc give freed memory that `reuse_large_memory` keeps back to the system. Without glibc do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def micro_batch_size(batch_size: int, pieces: int) -> int:
    """Return the largest number of samples that are in memory at once."""
    return -(-batch_size // pieces)


def largest_micro_batch(samples: int, batch_size: int, last: str, pieces: int) -> int:
    """Return the same of an epoch of so many samples; the ``last`` batch may be larger, as in `batch_sizes`."""
    return micro_batch_size(max(batch_sizes(samples, batch_size, last)), pieces)
