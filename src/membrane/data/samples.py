"""Samples at rest: one part of a data set as tensors in memory.

Two recordings of two samples each, of which the last three samples are taken:

>>> import torch
>>> x = torch.arange(8, dtype=torch.uint8).reshape(4, 1, 2)  # [n,C,S]
>>> samples = Samples(x, y=torch.tensor([0, 0, 1, 1]), recording=torch.tensor([0, 0, 1, 1]), scale=1 / 255)
>>> part = samples.take(torch.tensor([1, 2, 3]))
>>> len(part), part.recording.tolist()
(3, [0, 1, 1])
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """x [n,…] or [n,T,…] (uint8 or float32), y int64 [n], recording int64 [n]; the model sees ``x.float() * scale``.

    In regression y is float32 [n,K], K targets for each sample. Samples with the same ``recording`` were cut from one.
    """

    x: Tensor
    y: Tensor
    recording: Tensor
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Tensor) -> "Samples":
        """Return the samples at ``indices`` [m], in that order."""
        return Samples(self.x[indices], self.y[indices], self.recording[indices], self.scale)

    def to(self, device: torch.device) -> "Samples":
        """Return the same samples on another device."""
        return Samples(self.x.to(device), self.y.to(device), self.recording.to(device), self.scale)

    def digest(self) -> str:
        """Return the SHA-256 over dtype, shape and bytes of x, y and recording, and over the scale."""
        sha = hashlib.sha256()
        for tensor in (self.x, self.y, self.recording):
            array = tensor.contiguous().cpu().numpy()
            sha.update(f"{array.dtype}{array.shape}".encode())
            sha.update(array.tobytes())
        sha.update(repr(self.scale).encode())
        return sha.hexdigest()


def dataset_digest(*parts: Samples) -> str:
    """Return the SHA-256 over the digests of a data set's parts, in order: ``data_hash`` in provenance.json."""
    return hashlib.sha256("".join(part.digest() for part in parts).encode()).hexdigest()
