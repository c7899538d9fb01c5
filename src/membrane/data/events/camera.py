"""A simulated event camera before which images move."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.recording import Events
from membrane.errors import ConfigError
from membrane.randomness import derive

Integers: TypeAlias = NDArray[np.int64]

CELLS = 8  # positions of the image in a sensor pixel
MAGNIFICATION = 12  # cells in an image pixel: 1.5 sensor pixels
LOG_UNIT = 1024  # steps in one unit of log intensity
DARK = 1  # intensity of black, on the images' scale of 0…16
STEP = 4_000  # µs between two views of the scene
SACCADE = 25  # steps
DURATION = 3 * SACCADE * STEP  # µs


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A square event sensor before which an image moves in three saccades, 300 ms.

    The image is magnified 1.5 times and interpolated bilinearly. A pixel emits an ON or OFF event each time its log
    intensity has risen or fallen by its threshold since its last event (Lichtsteiner et al., 2008; the movement after
    N-MNIST, Orchard et al., 2015). All that is random comes from raw PCG64 output, and every quantity is an integer
    (cells of 1/8 pixel, 1/1024 log units, µs), so that all machines and versions of NumPy make the same recordings.
    Raises ConfigError for parameters out of range.

    Arguments:
        size: pixels a side, 1 to 256.
        amplitude: base and height, in sensor pixels, of the triangle along which the image moves.
        fixation: the image starts this many sensor pixels from the centre at most, both ways, drawn for each recording.
        threshold: change of log intensity for an event, in log units.
        mismatch: relative standard deviation of the thresholds between pixels, and between ON and OFF. They are the
            same for all recordings, as of one sensor.
        background: random events of either polarity for each pixel and second.
        noise_seed: of all draws.
    """

    size: int
    amplitude: float
    fixation: float
    threshold: float
    mismatch: float
    background: float
    noise_seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 256:
            raise ConfigError(f"size must be 1…256 pixels, not {self.size}")
        if not self.threshold * LOG_UNIT >= 16:
            raise ConfigError(f"threshold must be at least {16 / LOG_UNIT:.3f} log units, not {self.threshold}")
        for name in ("amplitude", "fixation", "mismatch", "background"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, but is {getattr(self, name)}")

    def record(self, images: NDArray[np.uint8]) -> list[Events]:
        """Record images [n,8,8] from 0 to 16 → n recordings, each in order of time."""
        keys = np.concatenate([self.signal(images), self.noise(len(images))])
        # sorted as whole events, so that the result does not depend on the order of computation
        keys.sort()
        pixel, p, t, recording = keys & 0xFFFF, keys >> 16 & 1, keys >> 17 & 0xFFFFF, keys >> 37
        ends = np.cumsum(np.bincount(recording, minlength=len(images)))[:-1]
        columns = (t, pixel % self.size, pixel // self.size, p)
        return [Events(*row) for row in zip(*(np.split(column, ends) for column in columns), strict=True)]

    def views(self, images: NDArray[np.uint8]) -> Iterator[Integers]:
        """Yield the quantised log intensity [n,size,size] of images [n,8,8] at the start and after each of 75 steps."""
        table = log_intensity()
        scene = images.astype(np.float32)
        side = images.shape[-1] * MAGNIFICATION
        centres = np.arange(images.shape[-1]) * MAGNIFICATION + MAGNIFICATION // 2
        pixels = np.arange(self.size) * CELLS + CELLS // 2 + (side - self.size * CELLS) // 2
        reach = round(self.fixation * CELLS)
        start = below(2 * reach + 1, derive(self.noise_seed, "events.fixation"), 2 * len(images)) - reach
        for displacement in triangle(round(self.amplitude * CELLS)):
            position = pixels - (start.reshape(2, -1, 1) + displacement[:, None, None])
            # Bilinear weights are integers: products and sums below 2**24 are exact in float32, in any order.
            rows, columns = np.maximum(MAGNIFICATION - np.abs(position[..., None] - centres), 0).astype(np.float32)
            yield table[(rows @ scene @ columns.transpose(0, 2, 1)).astype(np.int64)]

    def thresholds(self) -> Integers:
        """Draw thresholds [2,size,size] for OFF and ON, in 1/1024 log units, at least a quarter of the nominal one."""
        shape = (12, 2, self.size, self.size)
        # the sum of twelve uniform numbers is about normal (Irwin-Hall), without a logarithm that differs by machine
        uniform = below(2**16, derive(self.noise_seed, "events.threshold"), int(np.prod(shape))).reshape(shape)
        normal = (uniform.sum(0) - 12 * 2**15) / 2**16
        nominal = self.threshold * LOG_UNIT
        quantised: Integers = np.rint(nominal * np.maximum(1 + self.mismatch * normal, 0.25)).astype(np.int64)
        return quantised

    def signal(self, images: NDArray[np.uint8]) -> Integers:
        """Return the keys [events] of the events that images [n,8,8] cause by moving."""
        off, on = (threshold.ravel() for threshold in self.thresholds())
        views = (view.ravel() for view in self.views(images))
        before = next(views)
        reference = before.copy()
        keys = []
        for step, now in enumerate(views):
            change = (now - reference).reshape(len(images), -1)
            at = np.flatnonzero((change >= on) | (change <= -off))
            while len(at):
                p = (now[at] > reference[at]).astype(np.int64)
                pixel = at % self.size**2
                reference[at] += np.where(p == 1, on[pixel], -off[pixel])
                # the time at which the intensity, linear between two views, reached the threshold
                late = STEP * np.abs(reference[at] - before[at]) // np.abs(now[at] - before[at])
                keys.append(event_key(at // self.size**2, step * STEP + late, p, pixel))
                change = now[at] - reference[at]
                at = at[np.where(p == 1, change >= on[pixel], change <= -off[pixel])]
            before = now
        return np.concatenate(keys) if keys else np.empty(0, dtype=np.int64)

    def noise(self, recordings: int) -> Integers:
        """Return the keys [events] of background events, uniform over recordings, pixels, polarities and time.

        Their total is the expected one. Given its total, a Poisson process is uniform in space and time.
        """
        total = round(self.background * recordings * self.size**2 * DURATION * 1e-6)
        seed = derive(self.noise_seed, "events.background")
        cell = below(recordings * 2 * self.size**2, seed, total)
        t = below(DURATION, derive(seed, "time"), total)
        return event_key(cell // (2 * self.size**2), t, cell % 2, cell // 2 % self.size**2)


def log_intensity() -> Integers:
    """Tabulate the log intensity in 1/1024 for intensities from 0 to 16 in steps of 1/144 → [2305]."""
    area = MAGNIFICATION**2
    quantised: Integers = np.rint(np.log(DARK + np.arange(16 * area + 1) / area) * LOG_UNIT).astype(np.int64)
    return quantised


def triangle(amplitude: int) -> Integers:
    """Return the image's displacements (row, column) [76,2] in cells: down right, up right, back to the left."""
    corners = np.array([[0, 0], [amplitude, amplitude // 2], [0, amplitude], [0, 0]]) - amplitude // 2
    steps = np.arange(SACCADE)[:, None]
    sides = [a + (b - a) * steps // SACCADE for a, b in pairwise(corners)]
    return np.concatenate([*sides, corners[-1:]])


def below(bound: int, seed: int, size: int) -> Integers:
    """Draw ``size`` integers from 0 to bound − 1 (bound < 2**31) from raw PCG64, which NumPy promises not to change."""
    raw = np.random.PCG64(seed).random_raw(size) >> np.uint64(32)
    return (raw * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def event_key(recording: Integers, t: Integers, p: Integers, pixel: Integers) -> Integers:
    """Pack events [n] into sortable integers [n]: recording, t (20 bits), p (1), pixel (16)."""
    return recording << 37 | t << 17 | p << 16 | pixel
