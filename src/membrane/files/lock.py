"""One process at a time: a lock that the system lets go of when its holder dies, and that says who holds it."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOKS = 6
PAUSE = 0.05
"""How often it is looked whether a lock is free, and the seconds in between."""


class Occupied(RuntimeError):
    """Another process holds it: which one, in one line."""


@contextmanager
def held(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock file inside. Occupied, naming ``what`` and the holder, where another process does."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        for look in range(1, LOOKS + 1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                # its holder may not have written its name yet, or only be looking
                if look == LOOKS or (holder and look > 1):
                    raise Occupied(f"{what} is being run by {holder or 'another process'}; wait for it") from None
                time.sleep(PAUSE)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
