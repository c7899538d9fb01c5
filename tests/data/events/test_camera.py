import hashlib
from itertools import pairwise
from math import floor, log

import numpy as np
import pytest

from membrane.data.digits import load_images
from membrane.data.events.camera import Camera
from membrane.data.events.frames import Events
from membrane.data.saccades import DigitsEvents


def camera(**parameters: float) -> Camera:
    """A small quiet camera."""
    quiet = {"size": 6, "amplitude": 2.0, "fixation": 0.0, "threshold": 0.3, "mismatch": 0.2, "background": 0.0}
    return Camera(**(quiet | {"noise_seed": 5} | parameters))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def recordings() -> list[Events]:
    return DigitsEvents().camera.record(load_images()[0])


def bilinear(image: np.ndarray, row: float, column: float) -> float:
    """Value [0,16] of image [8,8] at a place in image pixels, centres at 0.5, black around; in plain arithmetic."""
    value = 0.0
    for i in (floor(row - 0.5), floor(row - 0.5) + 1):
        for j in (floor(column - 0.5), floor(column - 0.5) + 1):
            if 0 <= i < 8 and 0 <= j < 8:
                value += float(image[i, j]) * (1 - abs(row - 0.5 - i)) * (1 - abs(column - 0.5 - j))
    return value


def slow(image: np.ndarray, sensor: Camera) -> list[tuple[int, int, int, int]]:
    """Events (t, x, y, p) of one image [8,8] without fixation error and background, pixel by pixel, step by step."""
    amplitude = round(sensor.amplitude * 8)
    corners = [(0, 0), (amplitude, amplitude // 2), (0, amplitude), (0, 0)]
    places = []
    for (r0, c0), (r1, c1) in pairwise(corners):
        places += [(r0 + (r1 - r0) * k // 25, c0 + (c1 - c0) * k // 25) for k in range(25)]
    places.append((0, 0))
    events = []
    for y in range(sensor.size):
        for x in range(sensor.size):
            levels = []
            for r, c in places:
                # In sensor pixels from the centre of both sensor and image; 1.5 sensor pixels are one image pixel.
                row = y + 0.5 - sensor.size / 2 - (r - amplitude // 2) / 8
                column = x + 0.5 - sensor.size / 2 - (c - amplitude // 2) / 8
                levels.append(round(1024 * log(1 + bilinear(image, 4 + row / 1.5, 4 + column / 1.5))))
            off, on = (int(threshold) for threshold in sensor.thresholds()[:, y, x])
            last = levels[0]
            for step, (before, now) in enumerate(pairwise(levels)):
                while now - last >= on or last - now >= off:
                    p = int(now > last)
                    last += on if p else -off
                    events.append((4000 * step + 4000 * abs(last - before) // abs(now - before), x, y, p))
    return sorted(events)


@pytest.mark.parametrize("amplitude", [1.0, 2.5])
def test_equals_the_slow_simulation(amplitude: float) -> None:
    sensor = camera(amplitude=amplitude)
    images = load_images()[0][[3, 50]]
    for image, events in zip(images, sensor.record(images), strict=True):
        expected = slow(image, sensor)
        assert len(expected) > 100
        assert sorted(zip(*(column.tolist() for column in events), strict=True)) == expected


def test_recordings_never_change(recordings: list[Events]) -> None:
    digest = hashlib.sha256()
    for events in recordings:
        digest.update(len(events.t).to_bytes(8, "little"))
        for column in events:
            digest.update(column.astype("<i8").tobytes())
    assert digest.hexdigest() == "0c7bd5e0dcce85a7e0c53a1aa6bdcdb4748dffabc244c964ffa2a1453c71774e"


def test_events_are_in_order_and_on_the_sensor(recordings: list[Events]) -> None:
    for t, x, y, p in recordings:
        assert (np.diff(t) >= 0).all()
        assert 0 <= t[0] <= t[-1] <= 300_000
        assert 0 <= min(x.min(), y.min()) <= max(x.max(), y.max()) < 16
        assert set(p.tolist()) == {0, 1}


def test_events_of_a_pixel_add_up_to_its_change_of_intensity() -> None:
    # The triangle is closed: the image ends where it began, so what is left is below one threshold.
    sensor = camera(size=16, fixation=2.0, amplitude=3.0)
    off, on = sensor.thresholds()
    for _, x, y, p in sensor.record(load_images()[0][:40]):
        total = np.zeros((16, 16))
        np.add.at(total, (y, x), np.where(p == 1, on[y, x], -off[y, x]))
        assert (total < off).all()
        assert (-total < on).all()


def test_a_camera_at_rest_sees_nothing() -> None:
    assert [len(events.t) for events in camera(amplitude=0.0).record(load_images()[0][:3])] == [0, 0, 0]


def test_background_is_a_poisson_process() -> None:
    # 400 dark recordings of 36 pixels, 0.3 s, 10 Hz: 43200 events, 3 a pixel and recording, variance equal to the mean.
    recorded = camera(background=10.0).record(np.zeros((400, 8, 8), dtype=np.uint8))
    assert sum(len(events.t) for events in recorded) == 43_200
    counts = np.stack([np.bincount(y * 6 + x, minlength=36) for _, x, y, _ in recorded])
    assert abs(counts.var() - 3.0) < 5 * (21 / counts.size) ** 0.5  # fourth central moment of Poisson(3): 3 + 3·9
    t, p = (np.concatenate([getattr(events, name) for events in recorded]) for name in ("t", "p"))
    assert abs(p.mean() - 0.5) < 5 * 0.5 / 43_200**0.5
    assert abs(t.mean() - 150_000) < 5 * 300_000 / (12 * 43_200) ** 0.5
    assert 0 <= t.min() <= t.max() < 300_000


def test_thresholds_have_the_mismatch_asked_for() -> None:
    thresholds = camera(size=100, threshold=0.5, mismatch=0.1).thresholds()
    assert thresholds.shape == (2, 100, 100)
    assert abs(thresholds.mean() / 512 - 1) < 5 * 0.1 / 20_000**0.5
    assert abs(thresholds.std() / 51.2 - 1) < 0.03
    assert camera(mismatch=3.0).thresholds().min() == round(0.3 * 1024 * 0.25)
    assert (camera(mismatch=0.0).thresholds() == round(0.3 * 1024)).all()


def test_recordings_start_at_places_of_their_own() -> None:
    images = np.repeat(load_images()[0][:1], 30, axis=0)
    steady, fixating = (camera(size=16, fixation=fixation).record(images) for fixation in (0.0, 1.0))
    assert len({events.x.tobytes() for events in steady}) == 1
    assert len({events.x.tobytes() for events in fixating}) > 20


def test_log_intensities_are_far_from_the_edge_of_rounding() -> None:
    # A logarithm wrong in its last digits must not move a recording.
    exact = np.array([1024 * log(1 + k / 144) for k in range(2305)])
    assert abs(exact - np.floor(exact) - 0.5).min() > 1e-6


def test_noise_seed_belongs_to_the_data_set() -> None:
    images = load_images()[0][:5]
    records = [camera(noise_seed=seed, background=5.0).record(images) for seed in (0, 0, 1)]
    events = [b"".join(column.tobytes() for recording in record for column in recording) for record in records]
    assert events[0] == events[1] != events[2]
