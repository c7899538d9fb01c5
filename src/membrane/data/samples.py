"""Samples at rest: one part of a data set as tensors in memory."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """x [n,…] or [n,T,…] (uint8 or float32), y int64 [n], recording int64 [n]; the model sees ``x.float() * scale``.

    In regression y is float32 [n,K]: K targets a sample.
    """

    x: Tensor
    y: Tensor
    recording: Tensor
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Tensor) -> "Samples":
        """The samples at ``indices`` [m], in that order."""
        return Samples(self.x[indices], self.y[indices], self.recording[indices], self.scale)

    def to(self, device: torch.device) -> "Samples":
        """The same samples on another device."""
        return Samples(self.x.to(device), self.y.to(device), self.recording.to(device), self.scale)

    def digest(self) -> str:
        """SHA-256 over type, shape and bytes of x, y and recording, and the scale: the identity of the data."""
        digest = hashlib.sha256()
        for tensor in (self.x, self.y, self.recording):
            array = tensor.contiguous().cpu().numpy()
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        digest.update(repr(self.scale).encode())
        return digest.hexdigest()


def digest_of(*parts: Samples) -> str:
    """SHA-256 over the digests of several parts, in order: the identity of a whole data set in provenance."""
    return hashlib.sha256("".join(part.digest() for part in parts).encode()).hexdigest()
