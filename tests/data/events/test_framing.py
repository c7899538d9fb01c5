"""Frames of counts by settings that all event sets share."""

import numpy as np
import pytest
from event_files import recording

from membrane.data.events.frames import frames
from membrane.data.events.framing import Framing
from membrane.errors import ConfigError


@pytest.mark.parametrize("split", ["time", "number", "time_spikingjelly", "number_spikingjelly"])
def test_all_pixels_are_kept_unless_they_are_counted_together(split) -> None:
    events = recording(400, 34, 30)
    whole = frames(events, 5, 30, 34, split)
    np.testing.assert_array_equal(Framing(split=split).images(events, (34, 30), 5), whole)
    fours = np.pad(whole, [(0, 0), (0, 0), (0, 2), (0, 2)]).reshape(5, 2, 8, 4, 9, 4).sum((3, 5))
    np.testing.assert_array_equal(Framing(split=split, downsample=4).images(events, (34, 30), 5), fours)


def test_counts_take_no_more_bytes_than_they_need() -> None:
    many = recording(70_000, 30, 1)._replace(x=np.zeros(70_000, np.uint8), p=np.zeros(70_000, np.uint8))
    for count, dtype in ((255, "uint8"), (256, "uint16"), (65_536, "uint32")):
        few = many._make(column[:count] for column in many)
        assert Framing().images(few, (30, 1), 1).dtype == dtype


def test_spikes_of_channels_have_neither_polarity_nor_rows() -> None:
    t, channel = np.array([0, 5, 9, 9]), np.array([699, 0, 4, 5])
    trains = Framing().spike_trains(t, channel, 700, 2)
    assert trains.shape == (2, 1, 700)
    assert np.argwhere(trains).tolist() == [[0, 0, 699], [1, 0, 0], [1, 0, 4], [1, 0, 5]]
    assert np.argwhere(Framing(downsample=5).spike_trains(t, channel, 700, 1)).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 139],
    ]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="downsample must be at least 1, not 0"):
        Framing(downsample=0)
    with pytest.raises(ConfigError, match="split must be one of time, number"):
        Framing(split="duration")  # type: ignore[arg-type]
