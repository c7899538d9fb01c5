"""Time how events become frames, beside SpikingJelly's integrator: ``python scripts/framing_speed.py``.

400,000 events in 16 frames of 2×128×128, which are the same, in processor time of one core. Above 1 × ours is faster.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable

from bare_clone import use_source

EVENTS, TIMESTEPS, SIDE = 400_000, 16, 128


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """Return the processor time of the quickest of some calls."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best * 1000


def show(column_type: str, by: str, repeats: int) -> None:
    """Print the line of one type of the columns and one way to split. Raises SystemExit if the frames differ."""
    import numpy as np
    from spikingjelly.datasets.utils import integrate_events_by_fixed_frames_number

    from membrane.data.events.frames import Events, frames

    generator = np.random.default_rng(0)
    t = np.sort(generator.integers(0, 1_000_000, EVENTS))
    x, y, p = (generator.integers(0, bound, EVENTS).astype(column_type) for bound in (SIDE, SIDE, 2))
    events = Events(t, x, y, p)
    ours = lambda: frames(events, TIMESTEPS, SIDE, SIDE, f"{by}_spikingjelly")  # noqa: E731
    theirs = lambda: integrate_events_by_fixed_frames_number(events._asdict(), by, TIMESTEPS, SIDE, SIDE)  # noqa: E731
    if not np.array_equal(ours(), theirs()):
        raise SystemExit(f"by {by}: the frames differ")
    times = [milliseconds(function, repeats) for function in (ours, theirs)]
    print(f"{column_type:8}by {by:8}{times[0]:6.2f} ms, {times[1] / times[0]:.1f} × SpikingJelly", flush=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50, help="calls, of which the quickest counts")
    repeats = parser.parse_args().repeats
    use_source()
    for column_type in ("uint16", "int64"):
        for by in ("time", "number"):
            show(column_type, by, repeats)
