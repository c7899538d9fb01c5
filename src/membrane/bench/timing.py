"""Timing steps in turns, so that other load on the machine affects all of them alike."""

from collections.abc import Callable, Mapping
from math import ceil
from time import perf_counter

Clock = Callable[[], float]
SLICE = 0.05
"""Seconds that a turn takes at least; a single step of a small net is too short to time."""
MOST_STEPS = 100


def no_wait() -> None:
    """Return at once: the CPU has finished when a step returns."""


class Rounds:
    """A round robin over steps: every round gives each one a turn and begins with another of them.

    ``wait`` waits for the device. ``until`` is a time of ``clock`` after which no further round begins; the first
    always does.
    """

    def __init__(self, clock: Clock = perf_counter, wait: Callable[[], None] = no_wait) -> None:
        self.clock = clock
        self.wait = wait

    def warm_up(self, step: Callable[[], None], until: float) -> float:
        """Call a step twice, once if the time is up, and return the seconds of the last call."""
        seconds = self.turn(step, 1)
        return seconds if self.clock() >= until else self.turn(step, 1)

    def turn(self, step: Callable[[], None], steps: int) -> float:
        """Return the seconds a step, over so many one after another."""
        self.wait()
        start = self.clock()
        for _ in range(steps):
            step()
        self.wait()
        return (self.clock() - start) / steps

    def run(
        self, steps: Mapping[str, Callable[[], None]], guesses: Mapping[str, float], rounds: int, until: float
    ) -> dict[str, list[float]]:
        """Return each step's seconds, one number a round; ``guesses`` at them determine how many steps make a turn."""
        labels = list(steps)
        counts = {each: min(MOST_STEPS, max(1, ceil(SLICE / max(guesses[each], 1e-9)))) for each in labels}
        seconds: dict[str, list[float]] = {each: [] for each in labels}
        for number in range(rounds):
            if number and self.clock() >= until:
                break
            first = number % len(labels) if labels else 0
            for each in labels[first:] + labels[:first]:
                seconds[each].append(self.turn(steps[each], counts[each]))
        return seconds
