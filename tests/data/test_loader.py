"""Batches by index: every sample once, in the order that was asked for."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.loader import Batches
from membrane.data.samples import Samples


def samples(n: int, scale: float = 1.0) -> Samples:
    x = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 2, 3, 3).contiguous()
    return Samples(x, torch.arange(n) % 3, torch.arange(n) // 2, scale)


@given(st.integers(1, 40), st.integers(1, 12), st.randoms(use_true_random=False))
def test_every_sample_comes_once_in_the_order_given(n: int, size: int, chance) -> None:
    order = torch.tensor(chance.sample(range(n), n))
    place = torch.arange(n) + 100
    loader = Batches(samples(n), place, size, order=lambda: order)
    batches = list(loader)
    assert len(batches) == len(loader) == -(-n // size)
    assert [len(batch.y) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert torch.cat([batch.x[:, 0, 0, 0] for batch in batches]).tolist() == order.tolist()
    assert torch.cat([batch.y for batch in batches]).tolist() == [i % 3 for i in order.tolist()]
    assert torch.cat([batch.recording for batch in batches]).tolist() == [i // 2 for i in order.tolist()]
    assert torch.cat([batch.index for batch in batches]).tolist() == [i + 100 for i in order.tolist()]


def test_pixels_become_floats_at_their_scale() -> None:
    batch = next(iter(Batches(samples(4, scale=0.5), torch.arange(4), 4)))
    assert batch.x.dtype == torch.float32
    assert batch.x[:, 0, 0, 0].tolist() == [0, 0.5, 1, 1.5]


def test_what_runs_before_the_accelerator_sees_the_step() -> None:
    loader = Batches(
        samples(5), torch.arange(5), 2, transform=lambda batch, step: batch._replace(x=batch.x + 10 * step)
    )
    assert [batch.x[0, 0, 0, 0].item() for batch in loader] == [0, 12, 24]
