from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from membrane.data.digits import Digits, load_images
from membrane.data.events.camera import Camera
from membrane.data.events.frames import Events
from membrane.data.saccades import DigitsEvents
from membrane.errors import ConfigError

NOWHERE = Path("does/not/exist")


@pytest.fixture(scope="module")
def recordings() -> Iterator[list[Events]]:
    """Return the recordings of all digits, made once for all data sets of the module."""
    camera, images, record = DigitsEvents().camera, load_images()[0], Camera.record
    recorded = record(camera, images)

    def recorded_once(self: Camera, others: Any) -> list[Events]:
        return recorded if self == camera and np.array_equal(others, images) else record(self, others)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Camera, "record", recorded_once)
        yield recorded


@pytest.mark.parametrize("split", ["time", "number", "time_spikingjelly", "number_spikingjelly"])
def test_data_set_is_that_of_digits(split: str, recordings: list[Events]) -> None:
    data = DigitsEvents(split=split)  # type: ignore[arg-type]
    parts = data.load(NOWHERE, timesteps=4)
    again = data.load(NOWHERE, timesteps=3)
    for part, other, static in zip(parts, again, Digits().load(NOWHERE, timesteps=4), strict=True):
        assert tuple(part.x.shape) == (len(static), 4, 2, 16, 16)
        assert tuple(other.x.shape) == (len(static), 3, 2, 16, 16)
        assert part.x.dtype == torch.uint8
        assert part.scale == 1.0
        assert torch.equal(part.y, static.y)
        assert torch.equal(part.recording, static.recording)
        # Another T re-bins the same events.
        assert torch.equal(part.x.sum(1), other.x.sum(1))
        assert part.x.sum((1, 2, 3, 4)).tolist() == [len(recordings[k].t) for k in part.recording]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"split": "duration"}, "split must be one of time, number"),
        ({"size": 0}, "size must be 1…256"),
        ({"threshold": 0.0}, "threshold must be at least 0.016 log units, not 0.0"),
        ({"threshold": float("nan")}, "threshold must be"),
        ({"background": -1.0}, "background must not be negative, but is -1.0"),
        ({"mismatch": -0.1}, "mismatch must not be negative"),
    ],
)
def test_what_cannot_be_recorded_is_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DigitsEvents(**parameters)  # type: ignore[arg-type]


def test_counts_beyond_8_bits_take_more() -> None:
    train, _ = DigitsEvents(size=1, background=900.0, threshold=0.02).load(NOWHERE, timesteps=1)
    assert train.x.dtype == torch.uint16
    assert int(train.x.long().max()) > 255


def test_a_recording_gives_several_samples_with_its_number() -> None:
    once, _ = DigitsEvents(frames=8).load(NOWHERE, timesteps=8)
    parts = DigitsEvents(frames=8, samples="all").load(NOWHERE, timesteps=3)
    for part, static in zip(parts, Digits().load(NOWHERE, timesteps=1), strict=True):
        assert torch.equal(part.recording, static.recording.repeat_interleave(2))
        assert torch.equal(part.y, static.y.repeat_interleave(2))
        assert part.lengths is None
    assert torch.equal(parts[0].x.reshape(-1, 6, 2, 16, 16), once.x[:, :6])
