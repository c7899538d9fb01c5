"""Samples of frames by settings that all event sets share."""

import numpy as np
import pytest
from cases import check_each
from event_files import recording
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.events import framing
from membrane.data.events.frames import frames
from membrane.data.events.framing import Framing
from membrane.data.events.layout import FrameLayout
from membrane.data.events.recording import Events
from membrane.errors import ConfigError

NOTHING = Events(*np.empty((4, 0), np.int64))
SENSOR = (34, 30)


def events_at(*times: int, pixel: int = 0) -> Events:
    """Return ON events of one pixel."""
    t = np.array(times, np.uint32)
    return Events(t, np.full(len(t), pixel), np.zeros(len(t), int), np.ones(len(t), int))


def per_frame(settings: Framing, events: Events, timesteps: int) -> list[list[int]]:
    """Return the sums of the frames of each sample."""
    return settings.camera_columns(events, SENSOR, timesteps)["x"].sum((2, 3, 4)).tolist()


@pytest.mark.parametrize("split", ["time", "number", "time_spikingjelly", "number_spikingjelly"])
def test_all_pixels_are_kept_unless_they_are_counted_together(split) -> None:
    events = recording(400, 34, 30)
    whole = frames(events, 5, 30, 34, split)
    np.testing.assert_array_equal(Framing(split=split).camera_columns(events, SENSOR, 5)["x"], [whole])
    fours = np.pad(whole, [(0, 0), (0, 0), (0, 2), (0, 2)]).reshape(5, 2, 8, 4, 9, 4).sum((3, 5))
    settings = Framing(split=split, downsample=4)
    np.testing.assert_array_equal(settings.camera_columns(events, SENSOR, 5)["x"], [fours])
    assert settings.shape([2, 30, 34]) == [2, 8, 9]


def test_counts_take_no_more_bytes_than_they_need() -> None:
    many = recording(70_000, 30, 1)._replace(x=np.zeros(70_000, np.uint8), p=np.zeros(70_000, np.uint8))
    for count, dtype in ((255, "uint8"), (256, "uint16"), (65_536, "uint32")):
        few = many._make(column[:count] for column in many)
        assert Framing().camera_columns(few, (30, 1), 1)["x"].dtype == dtype


def test_spikes_of_channels_have_neither_polarity_nor_rows() -> None:
    t, channel = np.array([0, 5, 9, 9]), np.array([699, 0, 4, 5])
    trains = Framing().channel_columns(t, channel, 700, 2, y=3)
    assert (trains["x"].shape, trains["y"].tolist()) == ((1, 2, 1, 700), [3])
    assert np.argwhere(trains["x"][0]).tolist() == [[0, 0, 699], [1, 0, 0], [1, 0, 4], [1, 0, 5]]
    fives = Framing(downsample=5).channel_columns(t, channel, 700, 1)["x"][0]
    assert np.argwhere(fives).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 139]]


def loop(events: Events, duration: int) -> np.ndarray:
    """Count events one by one in frames that follow each other from the earliest one on."""
    t = [int(each) for each in events.t]
    counts = np.zeros(((max(t) - min(t)) // duration + 1, 2, 30, 34), int)
    for time, x, y, p in zip(t, *(column.tolist() for column in events[1:]), strict=True):
        counts[(time - min(t)) // duration, p, y, x] += 1
    return counts


@given(seed=st.integers(0, 999), count=st.integers(1, 60), duration=st.integers(1, 9000), timesteps=st.integers(1, 5))
def test_frames_of_a_duration_are_those_of_the_loop(seed: int, count: int, duration: int, timesteps: int) -> None:
    events = recording(count, 34, 30, seed, longest=20_000)
    mixed = Events(*(column[np.random.default_rng(seed).permutation(count)] for column in (events)))
    expected = loop(mixed, duration)
    first = Framing(duration=duration).camera_columns(mixed, SENSOR, timesteps)
    length = min(len(expected), timesteps)
    assert first["lengths"].tolist() == [length]
    np.testing.assert_array_equal(first["x"][0, :length], expected[:length])
    assert first["x"].shape[1] == timesteps
    assert not first["x"][0, length:].any()
    whole = Framing(duration=duration, samples="all").camera_columns(mixed, SENSOR, timesteps, y=7)
    groups = max(1, len(expected) // timesteps)
    assert len(whole["x"]) == len(whole["y"]) == groups
    grouped = whole["x"].reshape(-1, 2, 30, 34)[: len(expected)]
    np.testing.assert_array_equal(grouped, expected[: groups * timesteps])


def test_frames_of_a_duration_as_spikingjelly_has_them() -> None:
    from spikingjelly.datasets.utils import integrate_events_by_fixed_duration as integrate  # seconds: torchaudio

    events = recording(500, 34, 30)
    assert (events.t[-1] - events.t[0]) % 7000  # else its last frame takes the last event too
    theirs = integrate(events._asdict(), 7000, 30, 34)
    ours = Framing(duration=7000).camera_columns(events, SENSOR, len(theirs))
    np.testing.assert_array_equal(ours["x"][0], theirs)
    assert ours["lengths"].tolist() == [len(theirs)]


def test_few_events_equal_times_and_none_at_all() -> None:
    def check_few(case: tuple[Events, list[int], int]) -> None:
        events, sums, length = case
        columns = Framing(duration=10).camera_columns(events, SENSOR, 3)
        assert columns["x"].sum((2, 3, 4)).tolist() == [sums]
        assert columns["lengths"].tolist() == [length]

    check_each(
        [
            (NOTHING, [0, 0, 0], 1),
            (events_at(5), [1, 0, 0], 1),
            (events_at(5, 5, 5), [3, 0, 0], 1),
            (events_at(5, 14), [2, 0, 0], 1),
            (events_at(5, 15), [1, 1, 0], 2),
            (events_at(5, 26), [1, 0, 1], 3),  # a frame without events
            (events_at(5, 26, 2**32 - 1), [1, 0, 1], 3),  # what comes later is cut off
        ],
        check_few,
    )
    for settings in (Framing(), Framing(frames=5), Framing(frames=6, samples="all"), Framing(values="signed")):
        assert not np.any(settings.camera_columns(NOTHING, SENSOR, 3)["x"])


def test_samples_of_all_frames_and_windows_that_slide_over_them() -> None:
    events = events_at(*(10 * k for k in range(7) for _ in range(k + 1)))  # frames of 1, 2, … 7 events
    assert per_frame(Framing(duration=10, samples="all"), events, 3) == [[1, 2, 3], [4, 5, 6]]
    assert per_frame(Framing(duration=10, samples="all", stride=2), events, 3) == [[1, 2, 3], [3, 4, 5], [5, 6, 7]]
    assert per_frame(Framing(duration=10, samples="all", stride=5), events, 3) == [[1, 2, 3]]
    assert per_frame(Framing(duration=10, samples="all"), events, 9) == [[1, 2, 3, 4, 5, 6, 7, 0, 0]]
    assert per_frame(Framing(frames=7, split="number", samples="all"), events, 3) == [[4] * 3, [4] * 3]
    assert per_frame(Framing(frames=7, split="number"), events, 3) == [[4] * 3]


def test_fewer_frames_than_timesteps_are_refused() -> None:
    """They would be padded, and without a duration no length says so."""
    with pytest.raises(ConfigError, match="frames=5 are fewer than timesteps=6: use so many or more"):
        Framing(frames=5).camera_columns(recording(10, 34, 30), SENSOR, 6)
    assert per_frame(Framing(frames=6), events_at(*range(6)), 6) == [[1] * 6]


def test_too_many_frames_are_refused_and_many_counted_in_pieces(monkeypatch) -> None:
    events = recording(3000, 34, 30)
    settings = Framing(duration=100, samples="all")
    whole = settings.camera_columns(events, SENSOR, 2)["x"]
    monkeypatch.setattr(framing, "AT_ONCE", 7 * 2 * 34 * 30)
    np.testing.assert_array_equal(settings.camera_columns(events, SENSOR, 2)["x"], whole)
    monkeypatch.setattr(framing, "MOST_FRAMES", 300)
    line = r"duration=100 cuts a recording into more than 300 frames, the most that are possible"
    with pytest.raises(ConfigError, match=line):
        settings.camera_columns(events, SENSOR, 2)


def test_values_are_counts_or_whether_there_are_any_or_the_difference_of_polarities() -> None:
    events = recording(2000, 34, 30, longest=300)
    counts = frames(events, 2, 30, 34, "time")
    np.testing.assert_array_equal(Framing(values="binary").camera_columns(events, SENSOR, 2)["x"][0], counts > 0)
    signed = Framing(values="signed", downsample=2).camera_columns(events, SENSOR, 2)["x"][0]
    coarse = counts.reshape(2, 2, 15, 2, 17, 2).sum((3, 5))
    np.testing.assert_array_equal(signed, coarse[:, 1:] - coarse[:, :1])
    assert signed.dtype == np.int8
    many = Events(*(np.zeros(200, int) for _ in range(4)))
    wide = Framing(values="signed").camera_columns(many, SENSOR, 1)["x"]
    assert (wide.min(), wide.dtype, Framing(values="signed").shape([2, 30, 34])) == (-200, np.int16, [1, 30, 34])


def test_filters_come_before_frames_and_see_every_pixel() -> None:
    still = events_at(0, 3, 6, 50)
    moved = events_at(4, pixel=1)
    both = Events(*(np.concatenate(pair) for pair in zip(still, moved, strict=True)))
    settings = Framing(duration=10, refractory=5, downsample=2)
    assert per_frame(settings, both, 6) == [[3, 0, 0, 0, 0, 1]]  # 0, 6 and 50 of one pixel, 4 of the next
    # the only event of the first frame is of the hot pixel: frames begin at the first that remains
    hot = Events(*(np.concatenate(pair) for pair in zip(events_at(*range(90)), recording(60, 34, 30), strict=True)))
    rest = hot._make(column[(hot.x != 0) | (hot.y != 0)] for column in hot)
    filtered = Framing(hot_pixels=5.0).camera_columns(hot, SENSOR, 4)["x"]
    np.testing.assert_array_equal(filtered, Framing().camera_columns(rest, SENSOR, 4)["x"])


def test_recordings_are_not_changed() -> None:
    events = recording(300, 34, 30)
    before = [column.copy() for column in events]
    for column in events:
        column.flags.writeable = False
    for settings in (
        Framing(split="number", downsample=2),
        Framing(duration=500, samples="all", values="binary", hot_pixels=1.0, refractory=90),
        Framing(frames=9, samples="all", stride=1, values="signed"),
    ):
        settings.camera_columns(events, SENSOR, 3)
    assert all(np.array_equal(column, copy) for column, copy in zip(events, before, strict=True))


def test_settings_that_do_not_go_together_are_refused() -> None:
    def check_refused(case: tuple[dict, str]) -> None:
        settings, line = case
        with pytest.raises(ConfigError, match=line):
            FrameLayout(**settings)

    check_each(
        [
            ({"downsample": 0}, "downsample must be at least 1, not 0"),
            ({"duration": 0}, "duration must be at least 1, not 0"),
            ({"hot_pixels": 0.0}, "hot_pixels must be above 0, not 0.0"),
            ({"hot_pixels": float("nan")}, "hot_pixels must be above 0, not nan"),
            ({"refractory": 10**9 + 1}, "refractory is in µs and at most 1000000000"),
            (
                {"split": "duration"},
                "split must be one of time, number, time_spikingjelly, number_spikingjelly, not 'd",
            ),
            ({"values": "rate"}, "values must be one of counts, binary, signed, not 'rate'"),
            ({"samples": "some"}, "samples must be one of first, all, not 'some'"),
            ({"duration": 9, "split": "number"}, "split=number is of a number of frames, duration=9: leave one out"),
            ({"duration": 9, "frames": 3}, "duration=9 decides how many frames there are: leave frames out"),
            ({"samples": "all"}, "samples=all needs more frames than timesteps: add duration, in µs, or frames"),
            ({"silence": True}, "silence=true is behind frames of a duration: add duration, in µs, or leave it out"),
            ({"stride": 3, "frames": 9}, "stride=3 is from one sample of a recording to the next: add samples=all"),
        ],
        check_refused,
    )
    with pytest.raises(ConfigError, match="timesteps must be at least 1, not 0"):
        Framing().camera_columns(NOTHING, SENSOR, 0)
    with pytest.raises(ConfigError, match="values=signed is ON minus OFF, these events have no polarity"):
        Framing(values="signed").channel_columns(np.array([1]), np.array([1]), 700, 2)
