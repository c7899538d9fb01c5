"""One process at a time: a lock that the system releases when its holder dies, and that names its holder."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from membrane.files.regular import open_regular

HELD = "is being run by"
"""Words of every message that says who holds a lock."""
ATTEMPTS = 6
PAUSE = 0.05
"""Seconds between two attempts to take a lock."""


class Occupied(RuntimeError):
    """Another process holds the lock: which one, in one line."""


@contextmanager
def hold_lock(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock file inside. Raises Occupied, naming ``what`` and the holder, if another process holds it.

    Raises Irregular if the lock is a link or no file: the holder's name would be written into another one.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a+", encoding="utf-8", opener=open_regular) as file:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                # its holder may not have written its name yet, or only be looking
                if attempt == ATTEMPTS or (holder and attempt > 1):
                    raise Occupied(f"{what} {HELD} {holder or 'another process'}; wait for it") from None
                time.sleep(PAUSE)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
