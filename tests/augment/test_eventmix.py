"""EventMix against a plain loop over voxels."""

import numpy as np
import pytest
import torch
from torch import Tensor

from membrane.augment.eventmix import EventMix, highest, mixture
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch

LENGTHS = torch.full((6,), 4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def events(shape: tuple[int, ...] = (6, 4, 2, 9, 10)) -> Tensor:
    """Counts 0 to 3, with other rates in each sample, so that a value tells little of where it came from."""
    rate = torch.rand(shape[0], generator=generator(7)).reshape(-1, *[1] * (len(shape) - 1))
    return torch.poisson(rate.expand(shape), generator=generator(8)).clamp(max=3)


def resolved(augmentation: EventMix, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    drawn = augmentation.draw(len(x), generator(1))
    return drawn, augmentation.resolve(x, LENGTHS, drawn)


@pytest.mark.parametrize("shape", [(6, 4, 2, 9, 10), (6, 4, 2, 10)])
def test_the_mixture_is_a_sum_of_gaussians(shape: tuple[int, ...]) -> None:
    drawn, _ = resolved(EventMix(), events(shape))
    size = (shape[1], *shape[3:])
    axes = (0, 1, 2) if len(size) == 3 else (0, 2)
    density = mixture(drawn, size).double().numpy()
    height, mean, std = (drawn[name].double().numpy() for name in ("height", "mean", "std"))
    for sample in range(6):
        for voxel in np.ndindex(size):
            total = 0.0
            for k in range(4):
                exponent = 0.0
                for position, length, axis in zip(voxel, size, axes, strict=True):
                    centre = np.floor(mean[sample, k, axis] * length)
                    exponent -= 0.5 * ((position - centre) / (std[sample, k, axis] * length)) ** 2
                total += height[sample, k] * np.exp(exponent)
            assert abs(density[sample][voxel] - total) < 1e-5


def test_mixtures_have_two_to_four_gaussians_that_are_not_too_narrow() -> None:
    drawn = EventMix().draw(600, generator())
    count, times = (drawn["height"] > 0).sum(1).unique(return_counts=True)
    assert count.tolist() == [2, 3, 4]
    assert times.min() > 150  # 200 expected
    assert drawn["std"].min() == pytest.approx(0.05)
    assert 0.49 < drawn["std"].max() <= 0.5


@pytest.mark.parametrize(("size", "tolerance"), [((10, 20, 20), 0.0005), ((16, 128, 128), 0.02)])
def test_the_highest_share_is_taken(size: tuple[int, ...], tolerance: float) -> None:
    density = mixture(EventMix().draw(5, generator()), size)
    share = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    taken = highest(density, share)
    assert (taken.flatten(1).double().mean(1) - share).abs().max() <= tolerance
    for values, mask in zip(density, taken, strict=True):
        if mask.any() and not mask.all():
            assert values[mask].min() > values[~mask].max()


@pytest.mark.parametrize("shape", [(6, 4, 2, 9, 10), (6, 4, 2, 10)])
def test_samples_are_put_together_and_labels_weighed_by_events(shape: tuple[int, ...]) -> None:
    x = events(shape)
    augmentation = EventMix()
    drawn, parameters = resolved(augmentation, x)
    out = augmentation.apply(x, parameters)
    labels = augmentation.labels(torch.arange(6), parameters, 6)
    for i, j in enumerate(drawn["partner"].tolist()):
        taken = parameters["taken"][i].expand_as(x[i]).numpy()
        own, other = x[i].numpy(), x[j].numpy()
        assert np.array_equal(out[i], np.where(taken, other, own))
        kept, gained = own[~taken].sum() / own.sum(), other[taken].sum() / other.sum()
        expected = np.zeros(6)
        expected[i] += kept / (kept + gained)
        expected[j] += gained / (kept + gained)
        np.testing.assert_allclose(labels[i], expected, atol=1e-5)


def test_labels_weighed_by_distance() -> None:
    x = events()
    augmentation = EventMix(weight="distance")
    drawn, parameters = resolved(augmentation, x)
    out = augmentation.apply(x, parameters).double().numpy()

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        """The mean squared difference of means over 3 × 3 pixels, a loop over the nine."""
        padded = np.pad(a - b, [(0, 0), (0, 0), (1, 1), (1, 1)])
        nine = [padded[..., row : row + 9, column : column + 10] for row in range(3) for column in range(3)]
        return float(np.square(np.mean(nine, 0)).mean())

    for i, j in enumerate(drawn["partner"].tolist()):
        if i != j:
            own, other = distance(out[i], x[i].double().numpy()), distance(out[i], x[j].double().numpy())
            assert float(parameters["weight"][i]) == pytest.approx(other**2 / (own**2 + other**2), abs=1e-5)


def test_recordings_without_events_are_weighed_by_what_was_drawn() -> None:
    for weight in ("events", "distance"):
        drawn, parameters = resolved(EventMix(weight=weight), torch.zeros(6, 4, 2, 9, 10))  # type: ignore[arg-type]
        assert torch.equal(parameters["weight"], drawn["weight"])


def test_a_batch_gets_soft_labels_and_the_longer_length() -> None:
    index, lengths = torch.arange(6), torch.arange(6) % 4 + 1
    batch = Batch(events(), index, lengths, index, index)
    out = Pipeline({"mix": EventMix()}, 6, True, seed=0).run(batch, "after", True, 0, 0)
    torch.testing.assert_close(out.y.sum(1), torch.ones(6))
    partners = out.y.clone().fill_diagonal_(0)
    assert out.lengths is not None
    for i, row in enumerate(partners):
        other = int(row.argmax()) if row.any() else i
        assert out.lengths[i] in (lengths[i], max(lengths[i], lengths[other]))
