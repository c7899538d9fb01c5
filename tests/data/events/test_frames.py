from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.events.frames import Events, Split, frames
from membrane.errors import ConfigError

HEIGHT, WIDTH = 3, 5
EVEN: tuple[Split, ...] = ("time", "number")
SPLITS: tuple[Split, ...] = (*EVEN, "time_spikingjelly", "number_spikingjelly")
EVENT = st.tuples(st.integers(0, 50), st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, 1))


def recording(rows: list[tuple[int, int, int, int]], dtype: type = np.int64) -> Events:
    table = np.array(rows, dtype=dtype).reshape(-1, 4)
    return Events(*(table[:, column] for column in range(4)))


def loop(rows: list[tuple[int, int, int, int]], timesteps: int, split: Split) -> np.ndarray:
    """The obvious way: event by event, asking every slice whether the event is its own."""
    counts = np.zeros((timesteps, 2, HEIGHT, WIDTH), dtype=np.int64)
    rows = sorted(rows, key=lambda row: row[0])
    for number, (t, x, y, p) in enumerate(rows):
        if split == "time":
            position, whole = t - rows[0][0], rows[-1][0] - rows[0][0] + 1
        else:
            position, whole = number, len(rows)
        own = [k for k in range(timesteps) if k * whole <= position * timesteps < (k + 1) * whole]
        assert len(own) == 1
        counts[own[0], p, y, x] += 1
    return counts


@given(rows=st.lists(EVENT, max_size=40), timesteps=st.integers(1, 9), split=st.sampled_from(EVEN))
def test_equals_the_loop_and_conserves_the_events(
    rows: list[tuple[int, int, int, int]], timesteps: int, split: Split
) -> None:
    counts = frames(recording(rows), timesteps, HEIGHT, WIDTH, split)
    np.testing.assert_array_equal(counts, loop(rows, timesteps, split))
    assert counts.sum() == len(rows)


@given(rows=st.lists(EVENT, min_size=1, max_size=40), timesteps=st.integers(1, 9))
def test_numbers_of_events_differ_by_at_most_one(rows: list[tuple[int, int, int, int]], timesteps: int) -> None:
    per_slice = frames(recording(rows), timesteps, HEIGHT, WIDTH, "number").sum((1, 2, 3))
    assert per_slice.max() - per_slice.min() <= 1


@pytest.fixture(scope="module")
def spikingjelly() -> Callable[..., np.ndarray]:
    """SpikingJelly's integrator, (rows, timesteps, split_by): IndexError where a slice of time is empty."""
    from spikingjelly.datasets.utils import integrate_events_by_fixed_frames_number as integrate  # seconds: torchaudio

    return lambda rows, timesteps, by: integrate(recording(rows)._asdict(), by, timesteps, HEIGHT, WIDTH)


@given(rows=st.lists(EVENT, min_size=1, max_size=40), timesteps=st.integers(1, 9))
def test_numbers_as_spikingjelly_counts_them(
    spikingjelly: Callable[..., np.ndarray], rows: list[tuple[int, int, int, int]], timesteps: int
) -> None:
    counts = frames(recording(rows), timesteps, HEIGHT, WIDTH, "number_spikingjelly")
    np.testing.assert_array_equal(counts, spikingjelly(rows, timesteps, "number"))


@given(
    rows=st.lists(EVENT, max_size=40),
    timesteps=st.integers(1, 9),
    width=st.integers(1, 6),
    rest=st.integers(0, 8),
    start=st.integers(-5, 5),
)
def test_times_as_spikingjelly_divides_them(
    spikingjelly: Callable[..., np.ndarray],
    rows: list[tuple[int, int, int, int]],
    timesteps: int,
    width: int,
    rest: int,
    start: int,
) -> None:
    # an event at the start of every slice and one at the end, so that SpikingJelly meets no empty slice
    end = timesteps * width + rest % timesteps
    rows = [(t % (end + 1), x, y, p) for t, x, y, p in rows]
    rows += [(t * width, 0, 0, 0) for t in range(timesteps)] + [(end, 0, 0, 0)]
    rows = sorted((t + start, x, y, p) for t, x, y, p in rows)
    counts = frames(recording(rows), timesteps, HEIGHT, WIDTH, "time_spikingjelly")
    np.testing.assert_array_equal(counts, spikingjelly(rows, timesteps, "time"))


def test_five_hundred_events_in_six_frames() -> None:
    rows = [(t * 7, 0, 0, 0) for t in range(500)]  # 3493 µs: five slices of 582 µs, 84, 83, 83, 83 and 83 events
    totals = {split: frames(recording(rows), 6, HEIGHT, WIDTH, split).sum((1, 2, 3)).tolist() for split in SPLITS}
    assert totals["number_spikingjelly"] == [83, 83, 83, 83, 83, 85]
    assert totals["number"] == [84, 83, 83, 84, 83, 83]
    assert totals["time_spikingjelly"] == [84, 83, 83, 83, 83, 84]


def test_a_rest_of_time_goes_to_the_last_frame(spikingjelly: Callable[..., np.ndarray]) -> None:
    # 11 µs in 4 slices of 2 µs, the last of 5: SpikingJelly itself fails, because the second and third are empty
    rows = [(0, 0, 0, 0), (1, 0, 0, 0), (6, 0, 0, 0), (10, 0, 0, 0), (11, 0, 0, 0)]
    with pytest.raises(IndexError):
        spikingjelly(rows, 4, "time")
    assert frames(recording(rows), 4, HEIGHT, WIDTH, "time_spikingjelly").sum((1, 2, 3)).tolist() == [2, 0, 0, 3]
    # less time, or fewer events, than frames: all of them are the rest
    assert frames(recording(rows), 12, HEIGHT, WIDTH, "time_spikingjelly").sum((1, 2, 3)).tolist() == [0] * 11 + [5]
    assert frames(recording(rows), 6, HEIGHT, WIDTH, "number_spikingjelly").sum((1, 2, 3)).tolist() == [0] * 5 + [5]


def test_by_hand() -> None:
    # Span 0…99 µs. By time, in two: 0…49 and 50…99. By number: two events and two.
    rows = [(0, 4, 2, 1), (10, 0, 0, 0), (49, 4, 2, 1), (99, 3, 1, 0)]
    time = frames(recording(rows), 2, HEIGHT, WIDTH, "time")
    assert time.shape == (2, 2, 3, 5)
    assert time[0, 1, 2, 4] == 2
    assert time[0, 0, 0, 0] == time[1, 0, 1, 3] == 1
    number = frames(recording(rows), 2, HEIGHT, WIDTH, "number")
    assert number[0, 1, 2, 4] == number[0, 0, 0, 0] == number[1, 1, 2, 4] == number[1, 0, 1, 3] == 1
    assert time.sum() == number.sum() == 4


@pytest.mark.parametrize("split", SPLITS)
def test_empty_recording(split: Split) -> None:
    counts = frames(recording([]), 4, HEIGHT, WIDTH, split)
    assert counts.shape == (4, 2, HEIGHT, WIDTH)
    assert counts.sum() == 0


def test_single_timestamp() -> None:
    rows = [(7, 1, 1, 1)] * 6
    assert frames(recording(rows), 3, HEIGHT, WIDTH, "time").sum((1, 2, 3)).tolist() == [6, 0, 0]
    assert frames(recording(rows), 3, HEIGHT, WIDTH, "number").sum((1, 2, 3)).tolist() == [2, 2, 2]


def test_empty_slices() -> None:
    rows = [(0, 0, 0, 0), (1, 0, 0, 0), (1000, 0, 0, 0)]
    assert frames(recording(rows), 4, HEIGHT, WIDTH, "time").sum((1, 2, 3)).tolist() == [2, 0, 0, 1]
    assert frames(recording(rows[:1]), 4, HEIGHT, WIDTH, "number").sum() == 1


def test_narrow_and_unsigned_columns_do_not_overflow() -> None:
    # As files hold them: the flat index and t·T leave uint8 and uint32 far behind.
    t = np.array([2**32 - 101, 2**32 - 1], dtype=np.uint32)
    small = np.array([200, 100], dtype=np.uint8)
    counts = frames(Events(t, small, small, np.array([True, False])), 16, 256, 256, "time")
    assert counts[0, 1, 200, 200] == counts[15, 0, 100, 100] == 1
    assert counts.sum() == 2


@pytest.mark.parametrize("dtype", ["<u8", ">u2", ">i4", "<i8", "<i2"])
@pytest.mark.parametrize("split", SPLITS)
def test_columns_of_any_type_that_nobody_may_write_to(split: Split, dtype: str) -> None:
    rows = [(t * 37 % 101, t * 7 % WIDTH, t * 5 % HEIGHT, t % 2) for t in range(60)]
    table = np.array(rows, dtype)
    table.flags.writeable = False
    whole = frames(recording(rows), 7, HEIGHT, WIDTH, split)
    np.testing.assert_array_equal(frames(Events(*table.T), 7, HEIGHT, WIDTH, split), whole)
    assert table.tolist() == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, WIDTH, 0, 0), r"x 5…5, but 0…4"),
        ((0, 0, HEIGHT, 0), r"y 3…3, but 0…2"),
        ((0, -1, 0, 0), r"x -1…-1"),
        ((0, 0, 0, -1), r"polarity -1…-1, but 0…1"),
    ],
)
def test_events_off_the_sensor_are_refused(row: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frames(recording([row]), 2, HEIGHT, WIDTH, "time")


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(ConfigError, match="timesteps must be at least 1, not 0"):
        frames(recording([]), 0, HEIGHT, WIDTH, "time")
    with pytest.raises(
        ConfigError, match="split must be one of time, number, time_spikingjelly, number_spikingjelly, not 'duration'"
    ):
        frames(recording([]), 1, HEIGHT, WIDTH, "duration")  # type: ignore[arg-type]
