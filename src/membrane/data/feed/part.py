"""A part of a data set: positions in its samples, so that no part has a copy of x."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from membrane.data.samples import Samples

VALUES_AT_ONCE = 2**22
"""Values of x in one of the pieces from which statistics are taken."""


@dataclass(frozen=True)
class Part:
    """The samples at positions ``index`` [m] of a data set of one or more sources, whose samples are numbered in a row.

    Training and validation are parts of the same sources; the test set is a part of its own.

    Arguments:
        sources: the samples, of the same shape and scale; shared with other parts.
        index: int64 [m].
    """

    sources: tuple[Samples, ...]
    index: Tensor

    @classmethod
    def whole(cls, *sources: Samples) -> "Part":
        """Return the part of all samples."""
        return cls(sources, torch.arange(sum(map(len, sources))))

    def __len__(self) -> int:
        return len(self.index)

    def take(self, positions: Tensor) -> "Part":
        """Return the samples at positions [k] of this part, in that order."""
        return Part(self.sources, self.index[positions])

    def of_samples(self, column: Tensor) -> Tensor:
        """Select this part's entries [m,…] of a column of the whole data set."""
        return column[self.index.to(column.device)]

    @property
    def shape(self) -> list[int]:
        """The shape of a sample."""
        return list(self.sources[0].x.shape[1:])

    @property
    def scale(self) -> float:
        """The factor of x."""
        return self.sources[0].scale

    @property
    def classes(self) -> Sequence[str] | None:
        """The names of the classes, if they have any."""
        return self.sources[0].classes

    @cached_property
    def y(self) -> Tensor:
        """The labels [m], or targets [m,K]."""
        return self.of_samples(torch.cat([source.y for source in self.sources]))

    @cached_property
    def recording(self) -> Tensor:
        """The recording of each sample [m]; no two sources have one in common."""
        numbers = [self.sources[0].recording]
        for source in self.sources[1:]:  # each numbers its own
            numbers.append(source.recording - source.recording.min() + numbers[-1].max() + 1)
        return self.of_samples(torch.cat(numbers))

    @cached_property
    def lengths(self) -> Tensor | None:
        """The valid timesteps of each sample [m], T where a source does not say; None where none does."""
        if all(source.lengths is None for source in self.sources):
            return None
        return self.of_samples(torch.cat([all_lengths(source) for source in self.sources]))

    @cached_property
    def group(self) -> Tensor | None:
        """The group of each sample [m]; None unless all sources have groups."""
        groups = [source.group for source in self.sources if source.group is not None]
        return self.of_samples(torch.cat(groups)) if len(groups) == len(self.sources) else None

    def to(self, device: torch.device) -> "Part":
        """Return the part with its sources on another device."""
        return Part(tuple(source.to(device) for source in self.sources), self.index)

    def gather(self, index: Tensor, following: Tensor | None = None, timesteps: int | None = None) -> Tensor:
        """Return x at ``index`` [k], positions in the data set, → [k,…]; ``following`` is wanted next.

        ``timesteps``: only so many of them, the first. None: all.
        """
        if len(self.sources) == 1:
            return self.sources[0].gather(index, following, timesteps)
        x, start = None, 0
        for source in self.sources:
            here = (index >= start) & (index < start + len(source))
            rows = source.gather(index[here] - start, timesteps=timesteps)
            if x is None:
                x = rows.new_empty(len(index), *rows.shape[1:])
            x = x.to(torch.promote_types(x.dtype, rows.dtype))
            x[here] = rows.to(x.dtype)
            start += len(source)
        assert x is not None  # a data set has a source
        return x

    def valid_x(self) -> Iterable[Tensor]:
        """Return x in order, some samples [k,…] at a time, or where there is padding its valid frames [1,frames,…]."""
        return ValidFrames(self)


@dataclass(frozen=True)
class ValidFrames:
    """The x of a part, without padding; can be read more than once."""

    part: Part

    def __iter__(self) -> Iterator[Tensor]:
        part = self.part
        for at in torch.split(torch.arange(len(part)), max(1, VALUES_AT_ONCE // max(1, math.prod(part.shape)))):
            x = part.gather(part.index[at])
            if part.lengths is not None:
                x = x[torch.arange(x.shape[1]) < part.lengths[at][:, None]][None]
            yield x


def all_lengths(samples: Samples) -> Tensor:
    """Return the valid timesteps [n] of samples x [n,T,…], T where none are given."""
    return torch.full((len(samples),), samples.x.shape[1]) if samples.lengths is None else samples.lengths
