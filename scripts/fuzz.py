"""Reads damaged files of each format: ``python scripts/fuzz.py evt3 --n 10000``. Exits 1 at the first fault."""

import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from bare_clone import use_source

FURTHER = {"wav": "wav_mutants", "hdf5": "container_mutants", "zip": "container_mutants"}
"""Formats that are no event files → the module of their mutants."""
SECONDS = 5.0
"""The longest that one file may take."""


def hang(*_: object) -> None:
    raise TimeoutError(f"longer than {SECONDS:.0f} s")


def readers(name: str) -> tuple[Callable[[int], bytes], Callable[[bytes, int], Any]]:
    """Return what makes the numbered mutant of a format, and what reads it."""
    if name in FURTHER:
        module = import_module(FURTHER[name])
        return getattr(module, f"{name}_mutant"), getattr(module, f"{name}_outcome")
    import event_mutants

    return partial(event_mutants.mutant, name), partial(event_mutants.outcome, name)


def fuzz(name: str, count: int) -> str:
    """Read so many mutants of a format's sample, and return a line of figures."""
    mutant, outcome = readers(name)
    refused = memory = 0
    slowest = 0.0
    for number in range(count):
        content = mutant(number)
        start = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            result = outcome(content, number)
        except BaseException:
            print(f"{name}: mutant {number} of {len(content)} bytes:", file=sys.stderr)
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.perf_counter() - start)
        refused, memory = refused + (result.refused is not None), max(memory, result.memory)
    figures = f"slowest {1000 * slowest:.0f} ms, most memory {memory / 1e6:.1f} MB"
    return f"{name}: {count} mutants, {refused} refused, {count - refused} read; {figures}"


if __name__ == "__main__":
    use_source()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from event_mutants import SAMPLES

    known = (*SAMPLES, *FURTHER)
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--n", type=int, default=10_000, help="mutants of each")
    chosen = parser.parse_args()
    if unknown := set(chosen.formats) - set(known):
        parser.error(f"no such format: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGALRM, hang)
    for each in chosen.formats or known:
        print(fuzz(each, chosen.n), flush=True)
