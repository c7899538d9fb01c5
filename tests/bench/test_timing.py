"""Turns: who is timed when, and until when, by a clock that only the steps move."""

from collections.abc import Callable

import pytest

from membrane.bench.timing import MOST_STEPS, SLICE, Rounds


class World:
    """A clock, and steps that take what they are said to and are written down."""

    def __init__(self, **costs: float) -> None:
        self.now, self.costs, self.log = 0.0, costs, []

    def clock(self) -> float:
        return self.now

    def step(self, name: str) -> Callable[[], None]:
        def take() -> None:
            self.log.append(name)
            self.now += self.costs[name]

        return take

    def steps(self) -> dict[str, Callable[[], None]]:
        return {name: self.step(name) for name in self.costs}


def test_peers_take_turns_and_each_begins_a_round() -> None:
    world = World(a=1.0, b=2.0, c=3.0)
    seconds = Rounds(world.clock).run(world.steps(), world.costs, rounds=4, until=float("inf"))
    assert "".join(world.log) == "abc" + "bca" + "cab" + "abc"
    assert seconds == {"a": [1.0] * 4, "b": [2.0] * 4, "c": [3.0] * 4}


def test_short_steps_are_timed_several_at_once() -> None:
    world = World(short=SLICE / 8, long=1.0, none=0.0)
    seconds = Rounds(world.clock).run(world.steps(), world.costs, rounds=2, until=float("inf"))
    assert world.log.count("short") == 2 * 8
    assert world.log.count("long") == 2
    assert world.log.count("none") == 2 * MOST_STEPS
    assert seconds["short"] == pytest.approx([SLICE / 8] * 2)


def test_no_round_begins_after_the_time_is_up_but_the_first() -> None:
    world = World(a=1.0, b=1.0)
    assert Rounds(world.clock).run(world.steps(), world.costs, rounds=9, until=5.0)["b"] == [1.0] * 3
    assert Rounds(world.clock).run(world.steps(), world.costs, rounds=9, until=0.0)["b"] == [1.0]


def test_the_device_is_waited_for_before_the_clock_is_read() -> None:
    """A step that only hands work to the device, which does it when it is waited for."""
    world, handed = World(), [0.0]

    def step() -> None:
        handed[0] += 0.5

    def wait() -> None:
        world.now, handed[0] = world.now + handed[0], 0.0

    rounds = Rounds(world.clock, wait)
    assert rounds.run({"a": step}, {"a": 1.0}, rounds=2, until=9.0) == {"a": [0.5, 0.5]}
    assert rounds.warm_up(step, until=9.0) == 0.5


def test_warming_up_gives_the_time_of_the_last_call() -> None:
    world = World(a=4.0)
    take = world.step("a")

    def slower_at_first() -> None:
        take()
        world.costs["a"] = 1.0

    assert Rounds(world.clock).warm_up(slower_at_first, until=5.0) == 1.0
    assert len(world.log) == 2
    assert Rounds(world.clock).warm_up(slower_at_first, until=5.0) == 1.0
    assert len(world.log) == 3  # the time is up
