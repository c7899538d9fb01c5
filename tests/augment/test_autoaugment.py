"""AutoAugment against torchvision's on one sample, with the global generator seeded as the sample's was."""

from collections.abc import Callable

import pytest
import torch
from torchvision.transforms import v2

from membrane.augment.autoaugment import AutoAugment
from membrane.errors import ConfigError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("policy", ["cifar10", "svhn", "imagenet"])
@pytest.mark.parametrize("shape", [(12, 3, 10, 10), (12, 2, 1, 10, 10)])
def test_each_sample_is_torchvisions_with_its_seed(policy: str, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, generator=generator(1))
    augmentation = AutoAugment(policy=policy)  # type: ignore[arg-type]
    parameters = augmentation.draw(12, generator())
    out = augmentation.apply(x, parameters)
    transform = v2.AutoAugment(v2.AutoAugmentPolicy(policy))
    with torch.random.fork_rng(devices=[]):
        for sample, result, seed in zip(x, out, parameters["seed"].tolist(), strict=True):
            torch.manual_seed(seed)
            assert torch.equal(result, transform(sample))
    assert parameters["seed"].unique().numel() == 12
    assert (out != x).flatten(1).any(1).sum() > 6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AutoAugment(policy="mine"), "policy must be cifar10, svhn or imagenet"),  # type: ignore[arg-type]
        (lambda: AutoAugment().apply(torch.rand(2, 2, 8, 8), {}), "images of 1 or 3 channels"),
        (lambda: AutoAugment().apply(torch.rand(2, 3, 8), {}), "images of 1 or 3 channels"),
        (lambda: AutoAugment().apply(torch.rand(2, 3, 8, 8) - 0.5, {}), "values from 0 to 1, got -0"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
