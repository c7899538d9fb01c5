"""Filters of events, against one that looks at event after event."""

import numpy as np
import pytest
from event_files import columns, recording, rows
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.events.filters import outside_refractory_period, without_hot_pixels
from membrane.data.events.recording import Events

SENSOR = (5, 3)
EVENT = st.tuples(st.integers(-20, 60), st.integers(0, 4), st.integers(0, 2), st.integers(0, 1))
NOTHING = Events(*np.empty((4, 0), np.int64))


@given(table=st.lists(EVENT, max_size=50), period=st.sampled_from([1, 2, 5, 30, 10**9]))
def test_events_in_the_refractory_period_of_their_pixel_are_left_out(
    table: list[tuple[int, int, int, int]], period: int
) -> None:
    last: dict[tuple[int, int], int] = {}
    keep = []
    for number in sorted(range(len(table)), key=lambda number: table[number][0]):
        t, x, y, _ = table[number]
        if t - last.get((x, y), -(10**10)) >= period:
            last[x, y] = t
            keep.append(number)
    expected = [table[number] for number in sorted(keep)]  # those that stay keep the recording's order
    assert rows(outside_refractory_period(columns(table), SENSOR, period)) == expected


def test_a_burst_without_end_is_thinned_out() -> None:
    # an event each µs at two pixels: the first of each and then every tenth
    t = np.repeat(np.arange(5000, dtype=np.uint32), 2)
    x, zeros = np.tile(np.array([0, 4], np.uint8), 5000), np.zeros(10_000, np.uint8)
    kept = outside_refractory_period(Events(t, x, zeros, zeros), SENSOR, 10)
    assert kept.t.tolist() == [time for time in range(0, 5000, 10) for _ in range(2)]
    assert kept.x.dtype == np.uint8


def test_pixels_far_above_the_mean_of_those_that_fire_are_left_out() -> None:
    # 30 pixels with one event each and one with 32: mean 2, variance 30·31/31, limit 2 + 5·√30 = 29.4
    few = [(k, k % 10, k // 10, k % 2) for k in range(30)]
    sensor = (10, 6)
    hot = [(k, 9, 5, 0) for k in range(32)]
    assert rows(without_hot_pixels(columns(few + hot), sensor, 5.0)) == few
    assert rows(without_hot_pixels(columns(hot + few), sensor, 5.4)) == few  # 31.6
    assert rows(without_hot_pixels(columns(few + hot), sensor, 5.5)) == few + hot  # 32.1
    assert rows(without_hot_pixels(columns(few), sensor, 0.1)) == few  # none above the mean


def test_none_and_one_event_and_those_off_the_sensor() -> None:
    one = columns([(3, 4, 2, 1)])
    for events in (NOTHING, one):
        assert rows(without_hot_pixels(events, SENSOR, 1.0)) == rows(events)
        assert rows(outside_refractory_period(events, SENSOR, 5)) == rows(events)
    for sensor, line in (((4, 3), r"x 4…4, but 0…3"), ((5, 2), r"y 2…2, but 0…1")):
        with pytest.raises(ValueError, match=line):
            without_hot_pixels(one, sensor, 1.0)
        with pytest.raises(ValueError, match=line):
            outside_refractory_period(one, sensor, 5)


def test_filters_change_no_recording() -> None:
    events = recording(300, 34, 30)
    before = rows(events)
    for column in events:
        column.flags.writeable = False
    assert len(without_hot_pixels(events, (34, 30), 1.0).t) < 300
    assert len(outside_refractory_period(events, (34, 30), 20_000).t) < 300
    assert rows(events) == before
