"""Recordings to arrays, one by one, in several processes where it is worth it."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from membrane.data.store.columns import Column
from membrane.errors import DataError

PARALLEL = 2**25
"""Bytes of source files from which on several processes convert them: 32 MiB."""
AHEAD = 16
"""Recordings that a process may be ahead, so that finished ones do not fill the memory."""

Columns = dict[str, Column]
"""Column → rows [k,…] of the samples of one recording, x and y at least."""


def converted(
    items: Sequence[Any], convert: Callable[[Any], Columns], files: Sequence[Path], label: str
) -> Iterator[Columns]:
    """Yield ``convert(item)`` for each item in order, with a progress bar on a terminal.

    ``convert`` returns the columns of one recording's samples; ``recording`` is added where it has none: the item's
    number. Raises what ``convert`` raises, DataError if one of its processes dies.
    """
    with tqdm(total=len(items), desc=label, unit="rec", disable=None) as bar:
        for number, columns in enumerate(in_processes(items, convert, files)):
            bar.update()
            columns.setdefault("recording", np.full(len(columns["y"]), number))
            yield columns


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread inside: for something as small as a recording several wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_processes(items: Sequence[Any], convert: Callable[[Any], Columns], files: Sequence[Path]) -> Iterator[Columns]:
    """Yield ``convert(item)`` for each item, in this process if the files are small."""
    processes = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)
    if processes == 1 or sum(path.stat().st_size for path in files) < PARALLEL:
        for item in items:
            with one_thread():
                columns = convert(item)
            yield columns
        return
    try:
        # One thread each: torch's threads do not survive the fork, and waiting for them would never end.
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(processes, fork, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for start in range(0, len(items), AHEAD * processes):
                yield from pool.map(convert, items[start : start + AHEAD * processes], chunksize=4)
    except BrokenProcessPool as error:
        raise DataError("a process that converts recordings was killed (out of memory?)") from error
