"""Time the readers of event files, on bytes in memory and from files: ``python scripts/reading_speed.py``.

In processor time of one core, with all checks; beside them evio and eventcv where they are installed.
"""

import importlib
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from bare_clone import use_source

EVENTS = 200_000
PEERS = {"nmnist": ("evio",), "dat": ("evio", "eventcv"), "evt2": ("eventcv",), "evt3": ("eventcv",)}


def rate(read: Callable[[], object], seconds: float = 1.0) -> float:
    """Return millions of events a second: the best of as many readings as fit into the time."""
    best, end = float("inf"), time.process_time() + seconds
    while (start := time.process_time()) < end:
        read()
        best = min(best, time.process_time() - start)
    return EVENTS / best / 1e6


def peer(name: str, path: Path) -> Callable[[], object] | None:
    """Return what reads the file with another library, or None if that is not installed."""
    try:
        library = importlib.import_module(name)
    except ImportError:
        return None
    return lambda: library.read(path) if name == "evio" else library.load(str(path)).numpy()


def show(folder: Path, name: str, suffix: str, content: bytes) -> None:
    """Print the line of one format."""
    from membrane.data import read_events
    from membrane.data.events.formats.source import EventFile
    from membrane.data.events.reading import decode_events

    path = folder / f"{name}{suffix}"
    path.write_bytes(content)
    file = EventFile.read(path)
    ours = rate(lambda: read_events(path))
    others = [(library, peer(library, path)) for library in PEERS.get(name, ())]
    ratios = [f"{ours / rate(read):.1f} × {library}" for library, read in others if read is not None]
    print(f"{name:8}{rate(lambda: decode_events(file)):8.1f}{ours:8.1f}  {', '.join(ratios)}", flush=True)


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()
    use_source()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from event_files import WRITERS, recording

    print("million events/s: from memory, from a file, and against others from a file")
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, width, height, write) in WRITERS.items():
            show(Path(folder), name, suffix, write(recording(EVENTS, width, height, longest=4_000_000)))
