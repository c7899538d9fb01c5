"""Static digits as an event camera would record them: the simulation and its data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from membrane.data.digits import bundled, parts
from membrane.data.events.frames import Events, Split, check, frames
from membrane.data.samples import Samples
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
    """A square event sensor of ``size`` pixels a side before which an image moves in three saccades, 300 ms.

    The image, magnified 1.5 times and interpolated bilinearly, moves along a triangle of base and height
    ``amplitude`` (sensor pixels). A pixel emits an ON or OFF event each time its log intensity has risen or fallen by
    its threshold since its last event (Lichtsteiner et al., 2008; the movement after N-MNIST, Orchard et al., 2015).
    No two recordings start alike: nobody fixates exactly, so the image's place is drawn for each, uniformly within
    ``fixation`` pixels both ways of the centre. Thresholds (log units) differ from pixel to pixel and between ON and
    OFF by a relative standard deviation ``mismatch``, for all recordings alike: it is one sensor. Every pixel adds
    ``background`` events a second, of either polarity, at random.

    All that is random comes from ``noise_seed`` through raw PCG64 output, and every quantity is an integer (cells of
    1/8 pixel, 1/1024 log units, µs), so that all machines and versions of NumPy make the same recordings.
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
        """Images [n,8,8] from 0 to 16 → n recordings, in order of time."""
        keys = np.concatenate([self._signal(images), self._background(len(images))])
        # Sorting whole events leaves nothing to the order in which they were found.
        keys.sort()
        pixel, p, t, recording = keys & 0xFFFF, keys >> 16 & 1, keys >> 17 & 0xFFFFF, keys >> 37
        ends = np.cumsum(np.bincount(recording, minlength=len(images)))[:-1]
        columns = (t, pixel % self.size, pixel // self.size, p)
        return [Events(*row) for row in zip(*(np.split(column, ends) for column in columns), strict=True)]

    def views(self, images: NDArray[np.uint8]) -> Iterator[Integers]:
        """Images [n,8,8] → quantised log intensity [n,size,size] at the start and after each of the 75 steps."""
        table = log_intensity()
        scene = images.astype(np.float32)
        side = images.shape[-1] * MAGNIFICATION
        centres = np.arange(images.shape[-1]) * MAGNIFICATION + MAGNIFICATION // 2
        pixels = np.arange(self.size) * CELLS + CELLS // 2 + (side - self.size * CELLS) // 2
        reach = round(self.fixation * CELLS)
        start = _below(2 * reach + 1, derive(self.noise_seed, "events.fixation"), 2 * len(images)) - reach
        for place in _triangle(round(self.amplitude * CELLS)):
            at = pixels - (start.reshape(2, -1, 1) + place[:, None, None])
            # Bilinear weights, "hats" of integers: products and sums below 2**24 are exact in float32 in any order.
            rows, columns = np.maximum(MAGNIFICATION - np.abs(at[..., None] - centres), 0).astype(np.float32)
            yield table[(rows @ scene @ columns.transpose(0, 2, 1)).astype(np.int64)]

    def thresholds(self) -> Integers:
        """[2,size,size] for OFF and ON in 1/1024 log units, at least a quarter of the nominal threshold."""
        shape = (12, 2, self.size, self.size)
        # Twelve uniform numbers add up to a normal one (Irwin-Hall), without a logarithm that differs by machine.
        uniform = _below(2**16, derive(self.noise_seed, "events.threshold"), int(np.prod(shape))).reshape(shape)
        normal = (uniform.sum(0) - 12 * 2**15) / 2**16
        nominal = self.threshold * LOG_UNIT
        quantised: Integers = np.rint(nominal * np.maximum(1 + self.mismatch * normal, 0.25)).astype(np.int64)
        return quantised

    def _signal(self, images: NDArray[np.uint8]) -> Integers:
        """Images [n,8,8] → keys [events] of the events that the movement causes."""
        off, on = (threshold.ravel() for threshold in self.thresholds())
        views = (view.ravel() for view in self.views(images))
        before = next(views)
        reference = before.copy()
        found = []
        for step, now in enumerate(views):
            change = (now - reference).reshape(len(images), -1)
            at = np.flatnonzero((change >= on) | (change <= -off))
            while len(at):
                p = (now[at] > reference[at]).astype(np.int64)
                pixel = at % self.size**2
                reference[at] += np.where(p == 1, on[pixel], -off[pixel])
                # The intensity is taken as linear between two views: the time at which it met the threshold.
                late = STEP * np.abs(reference[at] - before[at]) // np.abs(now[at] - before[at])
                found.append(_key(at // self.size**2, step * STEP + late, p, pixel))
                change = now[at] - reference[at]
                at = at[np.where(p == 1, change >= on[pixel], change <= -off[pixel])]
            before = now
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def _background(self, recordings: int) -> Integers:
        """Keys [events] of the background: uniform over recordings, pixels, polarities and time.

        Their total is the expected one; given the total, a Poisson process is uniform in place and time.
        """
        total = round(self.background * recordings * self.size**2 * DURATION * 1e-6)
        seed = derive(self.noise_seed, "events.background")
        place = _below(recordings * 2 * self.size**2, seed, total)
        t = _below(DURATION, derive(seed, "time"), total)
        return _key(place // (2 * self.size**2), t, place % 2, place // 2 % self.size**2)


class DigitsEvents:
    """1437 training and 360 test recordings, frames [n,T,2,size,size] of counts (uint8, scale 1), 10 classes.

    The images of ``Digits``, in the same parts and order, as ``Camera`` records them (its parameters are explained
    there), in T frames by ``split``: ``time`` or ``number`` of events. Any T re-bins the same recordings.
    """

    def __init__(
        self,
        *,
        split: Split = "time",
        size: int = 16,
        amplitude: float = 3.0,
        fixation: float = 0.75,
        threshold: float = 0.6,
        mismatch: float = 0.1,
        background: float = 0.5,
        noise_seed: int = 0,
    ) -> None:
        check(1, split)
        self.split = split
        self.camera = Camera(
            size=size,
            amplitude=amplitude,
            fixation=fixation,
            threshold=threshold,
            mismatch=mismatch,
            background=background,
            noise_seed=noise_seed,
        )

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """(train, test); nothing is read from ``root``."""
        images, labels = bundled()
        size = self.camera.size
        x = np.stack([frames(events, timesteps, size, size, self.split) for events in self.camera.record(images)])
        if x.max() > 255:
            raise ConfigError(f"{x.max()} events in one pixel and frame exceed 8 bits: raise threshold or timesteps")
        samples = Samples(torch.from_numpy(x.astype(np.uint8)), labels, torch.arange(len(labels)))
        train, test = parts(labels)
        return samples.take(train), samples.take(test)


def log_intensity() -> Integers:
    """Log of intensity in 1/1024, for each interpolated intensity from 0 to 16 in steps of 1/144 [2305]."""
    area = MAGNIFICATION**2
    quantised: Integers = np.rint(np.log(DARK + np.arange(16 * area + 1) / area) * LOG_UNIT).astype(np.int64)
    return quantised


def _triangle(amplitude: int) -> Integers:
    """The image's place (row, column) [76,2] in cells, about its centre: down right, up right, back to the left."""
    corners = np.array([[0, 0], [amplitude, amplitude // 2], [0, amplitude], [0, 0]]) - amplitude // 2
    steps = np.arange(SACCADE)[:, None]
    sides = [a + (b - a) * steps // SACCADE for a, b in pairwise(corners)]
    return np.concatenate([*sides, corners[-1:]])


def _below(bound: int, seed: int, size: int) -> Integers:
    """``size`` integers from 0 to bound - 1 (bound < 2**31): the raw stream of PCG64, which NumPy never changes."""
    raw = np.random.PCG64(seed).random_raw(size) >> np.uint64(32)
    return (raw * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def _key(recording: Integers, t: Integers, p: Integers, pixel: Integers) -> Integers:
    """Events [n] as sortable numbers [n]: recording, t (20 bits), p (1), pixel (16)."""
    return recording << 37 | t << 17 | p << 16 | pixel
