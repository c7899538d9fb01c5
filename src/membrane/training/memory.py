"""Running out of memory: how it is recognised, and a step in smaller pieces as the way out."""

import ctypes
import gc
import logging
import sys

import torch

from membrane.errors import one_line

log = logging.getLogger(__name__)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The names of glibc's settings in <malloc.h>."""


class OutOfMemory(RuntimeError):
    """A step does not fit the memory; what can be done, in one line."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out, on a GPU or in the processor's allocator."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def halved(error: BaseException, batch_size: int, pieces: int, on_oom: str) -> int:
    """Into how many pieces a batch is cut next. OutOfMemory where it may not be, or cannot."""
    size = micro_batch(batch_size, pieces)
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
    log.warning("%s: on_oom=halve goes on with %d samples at a time", reason, micro_batch(batch_size, pieces * 2))
    return pieces * 2


def reuse_large_memory() -> None:
    """Keep freed memory of large tensors in the process, as glibc does with that of small ones.

    Otherwise every tensor over 32 MB is mapped anew and its pages are cleared by the system: measured, that takes
    longer than a layer of neurons. Elsewhere than under glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 1 << 30)
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def micro_batch(batch_size: int, pieces: int) -> int:
    """The samples that are in memory at once."""
    return -(-batch_size // pieces)
