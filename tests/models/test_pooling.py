"""The global sum pool counts spikes, with or without time in front."""

import pytest
import torch

from membrane.models.pooling import GlobalSumPool


@pytest.mark.parametrize(("dims", "size"), [(1, (7,)), (2, (3, 4))])
def test_sum_over_all_positions(dims: int, size: tuple[int, ...]) -> None:
    spikes = (torch.rand(5, 2, 6, *size, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    counts = GlobalSumPool(dims)(spikes)
    assert counts.shape == (5, 2, 6)
    for t in range(5):
        for n in range(2):
            assert counts[t, n].tolist() == [int(spikes[t, n, c].count_nonzero()) for c in range(6)]
    assert torch.equal(GlobalSumPool(dims)(spikes[0]), counts[0])
