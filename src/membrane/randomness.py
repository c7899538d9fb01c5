"""Randomness as a function of (seed, stream, epoch, step or index), never of how much was drawn before.

Streams are names: ``initialisation``, ``order``, ``augmentation.<name>``, ``model``. Two streams, or two indices of
one stream, are independent, so that adding a draw in one place changes no draw in another.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, stream: str, *indices: int) -> int:
    """Return a 63-bit seed for (seed, stream, indices): the first bits of the SHA-256 of their text."""
    text = ":".join([str(seed), stream, *map(str, indices)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, stream: str, *indices: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Build a generator at the start of the stream."""
    return torch.Generator(device=device).manual_seed(derive(seed, stream, *indices))


def reseed(seed: int, stream: str, *indices: int) -> None:
    """Seed the global generators (torch, numpy, python) from a stream; nothing restores them but a `scoped` around it.

    numpy takes a hundred times as long to restore its generator as to seed it. So each step of training is seeded
    alone, inside one `scoped` for the whole of it.
    """
    value = derive(seed, stream, *indices)
    torch.default_generator.manual_seed(value)  # torch.manual_seed asks every kind of device, at each step
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(value)
    elif torch.backends.mps.is_available():
        torch.mps.manual_seed(value)
    random.seed(value)
    np.random.seed(value % 2**32)


@contextmanager
def scoped(seed: int, stream: str, *indices: int) -> Iterator[None]:
    """Seed the global generators (torch, numpy, python) from a stream inside the block and restore them after it.

    For library code that takes no generator: weight initialisation, dropout.
    """
    on_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = list(range(torch.cuda.device_count())) if on_cuda else []
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        reseed(seed, stream, *indices)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
