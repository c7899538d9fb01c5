"""Samples at rest: one part of a data set, as tensors in memory or mapped from files.

Two recordings of two samples each, of which the last three samples are taken:

>>> import torch
>>> x = torch.arange(8, dtype=torch.uint8).reshape(4, 1, 2)  # [n,C,S]
>>> samples = Samples(x, y=torch.tensor([0, 0, 1, 1]), recording=torch.tensor([0, 0, 1, 1]), scale=1 / 255)
>>> part = samples.take(torch.tensor([1, 2, 3]))
>>> len(part), part.recording.tolist()
(3, [0, 1, 1])
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from membrane.data.mapped import MappedPages

COLUMNS = ("x", "y", "recording", "lengths", "group")
"""The fields with an entry for each sample."""
VALUES_AT_ONCE = 2**18


@dataclass(frozen=True)
class Samples:
    """One part of a data set: n samples, each with what is to be predicted from it.

    A NumPy array, memory-mapped or not, becomes a tensor that shares its memory. Nothing else is checked here: what a
    data set hands over is checked before training, where a refusal can name the part.

    Arguments:
        x: [n,…] or, with timesteps in the data, [n,T,…]; any real type. The model sees ``x.float() * scale``.
        y: the labels, whole numbers [n] from 0 to K−1; in regression float [n,K], K targets for each sample.
        recording: whole numbers [n], numbered in each part on its own: samples with the same number were cut from one
            recording, and are never divided between training and validation. None: each sample is its own recording.
        lengths: valid timesteps [n] of each sample, 1 to T; what lies behind them is padding. None: all of them.
        group: whole numbers [n], numbered alike in all parts: the subject or speaker, for example. A group is never
            divided between training and validation either. None: there are none.
        scale: the factor of x, finite and above 0; the same in all parts.
        classes: names of the K classes. None: they have none.
    """

    x: Tensor
    y: Tensor
    recording: Tensor = None  # type: ignore[assignment]  # filled in below
    lengths: Tensor | None = None
    group: Tensor | None = None
    scale: float = 1.0
    classes: Sequence[str] | None = None
    pages: MappedPages | None = field(default=None, init=False, repr=False, compare=False)
    stored_digest: str | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.fill(pages=MappedPages.of(self.x))
        if isinstance(self.lengths, float) and self.scale == 1:  # the scale was the fourth before there were lengths
            self.fill(scale=self.lengths, lengths=None)
        self.fill(**{name: as_tensor(getattr(self, name)) for name in COLUMNS})
        if self.recording is None and isinstance(self.x, Tensor) and self.x.dim():
            self.fill(recording=torch.arange(len(self.x)))

    def fill(self, **fields: Any) -> None:
        """Set fields while the object is made; afterwards it does not change."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Tensor) -> "Samples":
        """Return the samples at ``indices`` [m], in that order."""
        return self.mapped(lambda column: column[indices])

    def to(self, device: torch.device) -> "Samples":
        """Return the same samples on another device."""
        return self.mapped(lambda column: column.to(device))

    def with_columns(self, **columns: Any) -> "Samples":
        """Return the samples with other columns in place of some, but the same x."""
        samples = replace(self, **columns)
        samples.fill(pages=self.pages)
        return samples

    def gather(self, positions: Tensor, following: Tensor | None = None, timesteps: int | None = None) -> Tensor:
        """Return x at ``positions`` [m] → [m,…], or its first ``timesteps`` → [m,timesteps,…], a copy.

        Where x is mapped from a file, reading what is wanted next, at ``following``, begins meanwhile.
        """
        if self.pages is not None and following is not None:
            self.pages.fetch(following.numpy())
        x = (self.x if timesteps is None else self.x[:, :timesteps]).index_select(0, positions)
        self.count_read(len(positions))
        return x

    def count_read(self, rows: int) -> None:
        """Take note that so many samples were read, if x is mapped from a file."""
        if self.pages is not None:
            self.pages.count(rows)

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "Samples":
        """Return samples of which each column is ``function`` of this one's."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        changed: dict[str, Any] = {name: function(each) for name, each in columns.items() if each is not None}
        return replace(self, **changed)

    def digest(self) -> str:
        """Return the SHA-256 over dtype, shape and bytes of each column that there is, and over the scale.

        It is the stored one, without reading the data, if they come from a cache.
        """
        if self.stored_digest is not None:
            return self.stored_digest
        sha = hashlib.sha256()
        for name in COLUMNS:
            tensor = getattr(self, name)
            if tensor is None:
                continue
            if name in ("lengths", "group"):  # the other three are always there, and were always hashed without names
                sha.update(name.encode())
            sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".removeprefix("torch.").encode())
            for each in chunks(tensor.detach()):
                sha.update(each.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
                if name == "x":
                    self.count_read(len(each))
        sha.update(repr(self.scale).encode())
        return sha.hexdigest()


def chunks(column: Tensor) -> tuple[Tensor, ...]:
    """Split a column [n,…] into views of some rows each, about a MB, so that work on them needs little memory."""
    return torch.split(column, max(1, VALUES_AT_ONCE // max(1, column[:1].numel())))


def as_tensor(values: Any) -> Any:
    """Return a NumPy array of numbers as a tensor that shares its memory where it can, all else as it is."""
    if type(values) not in (np.ndarray, np.memmap) or values.dtype.kind not in "biufc":
        return values
    if not values.dtype.isnative or any(stride < 0 for stride in values.strides):
        values = values.astype(values.dtype.newbyteorder("="), order="C")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nobody writes here
            return torch.from_numpy(values)
    except TypeError:  # a type that torch does not have, such as float128
        return values


def dataset_digest(*parts: Samples) -> str:
    """Return the SHA-256 over the digests of a data set's parts, in order: ``data_hash`` in provenance.json."""
    return hashlib.sha256("".join(part.digest() for part in parts).encode()).hexdigest()
