"""The settings by which events become frames, and the shape of a frame that follows from them. Without numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from membrane.errors import ConfigError

Split = Literal["time", "number", "time_spikingjelly", "number_spikingjelly"]
SampleChoice = Literal["first", "all"]
Values = Literal["counts", "binary", "signed"]
LONGEST_REFRACTORY = 10**9
"""µs: a thousand seconds."""


@dataclass(frozen=True, kw_only=True)
class FrameLayout:
    """Settings by which recordings become frames, and those samples of T frames. Raises ConfigError if out of range.

    Arguments:
        split: how events are put into a number of frames: by ``time`` (the default) or by ``number`` of events, or as
            SpikingJelly does it, ``time_spikingjelly`` or ``number_spikingjelly``; `frames` says how they differ.
        downsample: side of the squares of pixels (runs of channels, in 1-D) whose events are counted together; 1, the
            default, keeps all pixels. Where it does not divide a side of the sensor, the last squares are smaller.
        duration: of a frame, in µs; frames follow each other from the first event on. None: a number of frames.
        frames: their number in a recording. None: T, or as many as the duration gives.
        samples: ``first``: the first T frames of a recording are its sample; ``all``: as many samples as it has.
        stride: frames from the start of a sample to that of the next, for ``all``. None: T, so that none overlap.
        values: ``counts`` of events; ``binary``: 1 where there is any; ``signed``: ON minus OFF, in one channel.
        hot_pixels: leave out pixels of more events than this many standard deviations above the mean, over the pixels
            of a recording that have any. None: keep all.
        refractory: leave out events of a pixel within so many µs of its last one that was kept. None: keep all.
        silence: let empty frames behind a recording's last one, up to T, be a part of it, in which a network goes on.
            By default they are padding, on which no result depends. Only with ``duration``.
    """

    split: Split = "time"
    downsample: int = 1
    duration: int | None = None
    frames: int | None = None
    samples: SampleChoice = "first"
    stride: int | None = None
    values: Values = "counts"
    hot_pixels: float | None = None
    refractory: int | None = None
    silence: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("downsample", "duration", "frames", "stride", "hot_pixels", "refractory"):
            number = getattr(self, name)
            if number is not None and not (number > 0 if name == "hot_pixels" else number >= 1):
                raise ConfigError(f"{name} must be {'above 0' if name == 'hot_pixels' else 'at least 1'}, not {number}")
        if self.refractory is not None and self.refractory > LONGEST_REFRACTORY:
            raise ConfigError(f"refractory is in µs and at most {LONGEST_REFRACTORY}, not {self.refractory}")
        if self.duration is not None and self.split != "time":
            raise ConfigError(f"split={self.split} is of a number of frames, duration={self.duration}: leave one out")
        if self.duration is not None and self.frames is not None:
            raise ConfigError(f"duration={self.duration} decides how many frames there are: leave frames out")
        if self.silence and self.duration is None:
            raise ConfigError("silence=true is behind frames of a duration: add duration, in µs, or leave it out")
        if self.samples == "all" and self.duration is None and self.frames is None:
            raise ConfigError("samples=all needs more frames than timesteps: add duration, in µs, or frames")
        if self.stride is not None and self.samples != "all":
            raise ConfigError(f"stride={self.stride} is from one sample of a recording to the next: add samples=all")

    def shape(self, sensor: Sequence[int]) -> list[int]:
        """Return the shape of a frame of a sensor [C,H,W] or [C,W]. Raises ConfigError if it has no ON and OFF."""
        channels, *sides = sensor
        if self.values == "signed" and channels != 2:
            raise ConfigError("values=signed is ON minus OFF, these events have no polarity: use counts or binary")
        return [1 if self.values == "signed" else channels, *(-(-side // self.downsample) for side in sides)]


def check_choices(layout: FrameLayout) -> None:
    """Raise ConfigError unless each choice is a known one."""
    for name, choices in (("split", Split), ("samples", SampleChoice), ("values", Values)):
        if getattr(layout, name) not in get_args(choices):
            raise ConfigError(f"{name} must be one of {', '.join(get_args(choices))}, not {getattr(layout, name)!r}")
