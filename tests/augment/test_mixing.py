"""Mixup and CutMix against their formulas.

One-hot samples show the weight and the partner of each in the result itself.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from membrane.augment.mixing import CutMix, Mixup
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError

seeds = st.integers(0, 2**31)


def mixed(batch: Batch, classes: int, seed: int, timesteps: bool) -> Batch:
    return Pipeline({"mixup": Mixup(alpha=1.0)}, classes, timesteps, seed).run(batch, "after", True, 0, 0)


@settings(max_examples=25)
@given(seeds, st.integers(1, 9), st.integers(1, 4))
def test_labels_are_mixed_as_the_samples_are(seed: int, n: int, timesteps: int) -> None:
    # x[i, t] = (t+1)·e_i: each frame of the result holds (t+1)·(λ e_i + (1−λ) e_j), each label λ e_i + (1−λ) e_j.
    # Behind its last valid frame a sample adds nothing.
    time = torch.arange(1.0, timesteps + 1)
    x = torch.eye(n)[:, None, None] * time[None, :, None, None]
    lengths = torch.arange(1, n + 1)
    out = mixed(Batch(x, torch.arange(n), lengths, torch.arange(n), torch.arange(n)), n, seed, True)
    assert out.x.shape == x.shape
    for frame in range(timesteps):
        torch.testing.assert_close(out.x[:, frame, 0], out.y * (lengths > frame) * time[frame])
    torch.testing.assert_close(out.y.sum(1), torch.ones(n))
    assert (out.y >= 0).all()
    assert out.lengths is not None
    for row, length in zip(out.y, out.lengths, strict=True):
        assert length == (row.nonzero().max() + 1)  # lengths grow with the index


@settings(max_examples=25)
@given(seeds)
def test_mixup_is_the_formula(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(6, 2, 4, 5, generator=generator), torch.randint(3, (6,), generator=generator)
    augmentation = Mixup(alpha=0.4)
    parameters = augmentation.draw(6, generator)
    soft = augmentation.labels(y, parameters, 3)
    out = augmentation.apply(x, parameters)
    again = augmentation.labels(soft, parameters, 3)
    for i, (weight, j) in enumerate(zip(parameters["weight"].tolist(), parameters["partner"].tolist(), strict=True)):
        torch.testing.assert_close(out[i], weight * x[i] + (1 - weight) * x[j])
        label = torch.zeros(3)
        label[y[i]] += weight
        label[y[j]] += 1 - weight
        torch.testing.assert_close(soft[i], label)
        torch.testing.assert_close(again[i], weight * soft[i] + (1 - weight) * soft[j])


def test_plain_data_and_no_lengths() -> None:
    batch = Batch(torch.eye(4)[:, None], torch.arange(4), None, torch.arange(4) + 9, torch.arange(4) + 5)
    out = mixed(batch, 4, 0, False)
    torch.testing.assert_close(out.x[:, 0], out.y)
    assert not torch.equal(out.y, torch.eye(4))
    assert out.lengths is None
    assert torch.equal(out.recording, batch.recording)
    assert torch.equal(out.index, batch.index)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_weights_are_beta_and_partners_a_permutation(alpha: float) -> None:
    parameters = Mixup(alpha=alpha).draw(2000, torch.Generator().manual_seed(0))
    weight = parameters["weight"].double().numpy()
    assert stats.kstest(weight, stats.beta(alpha, alpha).cdf).pvalue > 0.001
    assert torch.equal(parameters["partner"].sort().values, torch.arange(2000))


@pytest.mark.parametrize("alpha", [0, -1, float("inf"), float("nan")])
def test_bad_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="Mixup: alpha must be a finite number above 0"):
        Mixup(alpha=alpha)


def test_targets_are_mixed_as_they_are() -> None:
    # x of a sample is its target: mixed alike, they stay equal
    y = torch.tensor([[1.0], [-3.0], [10.0], [0.5]])
    out = mixed(Batch(y[:, None], y, None, torch.arange(4), torch.arange(4)), 1, 3, False)
    torch.testing.assert_close(out.x[:, 0], out.y)
    assert not torch.equal(out.y, y)


@pytest.mark.parametrize("shape", [(9, 2, 12, 7), (9, 3, 2, 12, 7), (9, 2, 30)])
def test_cutmix_takes_a_box_from_the_partner_and_weighs_labels_by_its_area(shape: tuple[int, ...]) -> None:
    # sample i is i everywhere
    timesteps = len(shape) == 5
    x = torch.arange(9.0).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    index = torch.arange(9)
    out = Pipeline({"cutmix": CutMix()}, 9, timesteps, seed=1).run(
        Batch(x, index, None, index, index), "after", True, 0, 0
    )
    frames = out.x.flatten(1, 2) if timesteps else out.x
    assert torch.equal(frames, frames[:, :1].expand_as(frames))
    boxes = 0
    for i, (frame, label) in enumerate(zip(frames[:, 0], out.y, strict=True)):
        inside = np.argwhere(frame.numpy() != i)
        share = torch.zeros(9)
        share[i] = 1 - len(inside) / frame.numel()
        if len(inside):
            boxes += 1
            assert len(frame[frame != i].unique()) == 1
            assert len(inside) == (inside.max(0) - inside.min(0) + 1).prod()
            share[int(frame[frame != i][0])] = len(inside) / frame.numel()
        torch.testing.assert_close(label, share)
    assert boxes > 4


def test_cutmix_box_by_hand() -> None:
    # half the area of 8 × 8: sides of 5 pixels, 2 before the centre; at the corner 3 × 3 are left
    parameters = {
        "weight": torch.tensor([0.5, 0.5]),
        "partner": torch.tensor([1, 0]),
        "centre": torch.tensor([[0.5, 0.5], [0.0, 0.0]]),
    }
    resolved = CutMix().resolve(torch.rand(2, 1, 8, 8), torch.empty(0), parameters)
    assert resolved["taken"][0, 0].nonzero().aminmax(dim=0)[0].tolist() == [2, 2]
    assert resolved["taken"].flatten(1).sum(1).tolist() == [25, 9]
    assert resolved["weight"].tolist() == pytest.approx([1 - 25 / 64, 1 - 9 / 64])
