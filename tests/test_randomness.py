"""Randomness is a function of (seed, stream, indices) and of nothing else."""

import hashlib
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from membrane.randomness import derive, generator, reseed, scoped


def test_derived_seed_is_the_head_of_a_sha256() -> None:
    expected = int(hashlib.sha256(b"3:order:7").hexdigest()[:16], 16) // 2
    assert derive(3, "order", 7) == expected


@given(st.integers(0, 2**31), st.text(max_size=8), st.lists(st.integers(-1, 1000), max_size=3))
def test_a_derived_seed_fits_torch(seed: int, stream: str, indices: list[int]) -> None:
    assert 0 <= derive(seed, stream, *indices) < 2**63


def test_streams_and_indices_do_not_run_together() -> None:
    seeds = [
        derive(1, "a"),
        derive(1, "b"),
        derive(2, "a"),
        derive(1, "a", 1),
        derive(1, "a", 11),
        derive(1, "a", 1, 1),
    ]
    assert len(set(seeds)) == len(seeds)


def test_a_generator_begins_its_stream_anew() -> None:
    first = torch.rand(5, generator=generator(0, "order", 3))
    torch.rand(100)
    assert torch.equal(first, torch.rand(5, generator=generator(0, "order", 3)))
    assert not torch.equal(first, torch.rand(5, generator=generator(0, "order", 4)))


def test_a_scope_leaves_the_global_generators_as_they_were() -> None:
    def draw() -> tuple[float, float, float]:
        return torch.rand(1).item(), float(np.random.rand()), random.random()

    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    undisturbed = draw()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    with scoped(0, "model", 4, 2):
        inside = draw()
    assert draw() == undisturbed
    with scoped(0, "model", 4, 2):
        assert draw() == inside
    assert inside != undisturbed


def test_a_scope_restores_after_an_error() -> None:
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), scoped(0, "model"):
        torch.rand(1 // 0)
    assert torch.equal(state, torch.get_rng_state())


def test_every_generator_is_seeded_with_all_the_bits_that_it_takes() -> None:
    """With few bits of each seed, some of 3000 would draw what others draw."""
    numpy, python, of_torch = set(), set(), set()
    for seed in range(3000):
        with scoped(seed, "model", 1, 2):
            inside = float(np.random.random()), random.random(), torch.default_generator.initial_seed()
        with scoped(0, "nothing"):
            reseed(seed, "model", 1, 2)
            assert (float(np.random.random()), random.random(), torch.default_generator.initial_seed()) == inside
        value = int(hashlib.sha256(f"{seed}:model:1:2".encode()).hexdigest()[:16], 16) // 2
        expected = np.random.RandomState(value % 2**32).random_sample(), random.Random(value).random(), value
        assert inside == expected
        for drawn, values in zip(inside, (numpy, python, of_torch), strict=True):
            values.add(drawn)
    assert len(numpy) == len(python) == len(of_torch) == 3000
