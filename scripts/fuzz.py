"""Reads damaged files of each format: ``python scripts/fuzz.py evt3 --n 10000``. Exits 1 at the first fault."""

import signal
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

from bare_clone import use_source

WAV = "wav"
SECONDS = 5.0
"""The longest that one file may take."""


def hang(*_: object) -> None:
    raise TimeoutError(f"longer than {SECONDS:.0f} s")


def fuzz(name: str, count: int) -> str:
    """Read so many mutants of a format's sample, and return a line of figures."""
    import event_mutants
    import wav_mutants

    refused = memory = 0
    slowest = 0.0
    for number in range(count):
        content = wav_mutants.wav_mutant(number) if name == WAV else event_mutants.mutant(name, number)
        start = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            wav = name == WAV
            result = wav_mutants.wav_outcome(content) if wav else event_mutants.outcome(name, content, number)
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

    formats = (*SAMPLES, WAV)
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(formats)}; all by default")
    parser.add_argument("--n", type=int, default=10_000, help="mutants of each")
    chosen = parser.parse_args()
    if unknown := set(chosen.formats) - set(formats):
        parser.error(f"no such format: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGALRM, hang)
    for each in chosen.formats or formats:
        print(fuzz(each, chosen.n), flush=True)
