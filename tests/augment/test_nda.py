"""NDA: which operations each sample gets, and that they are those operations."""

from collections.abc import Callable

import pytest
import torch
from torchvision.transforms.v2 import functional as vision

from membrane.augment.nda import NDA
from membrane.errors import ConfigError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("operations", [1, 2, 3, 4])
def test_so_many_different_operations_are_chosen_for_each_sample(operations: int) -> None:
    chosen = NDA(operations=operations).draw(2000, generator())["chosen"]
    assert (chosen.sum(1) == operations).all()
    assert (chosen.float().mean(0) - operations / 4).abs().max() < 0.05


@pytest.mark.parametrize(("magnitude", "pixels", "degrees", "side"), [(1, 3, 15, 8), (2, 5, 30, 16), (3, 7, 45, 24)])
def test_bounds_of_the_published_magnitudes(magnitude: int, pixels: int, degrees: float, side: int) -> None:
    drawn = NDA(magnitude=magnitude).draw(4000, generator())  # type: ignore[arg-type]
    assert drawn["roll.offset"].aminmax() == (-pixels, pixels)
    assert drawn["cut.sides"].aminmax() == (1, side)
    for name in ("rotate", "shear"):
        low, high = drawn[f"{name}.angle"].aminmax()
        assert -degrees <= low < -0.99 * degrees
        assert 0.99 * degrees < high <= degrees
    assert abs(drawn["flip"].float().mean() - 0.5) < 0.04


def test_each_sample_is_what_torch_and_torchvision_make_of_it_in_order() -> None:
    x = torch.randint(4, (40, 2, 20, 24), generator=generator(1)).float()
    augmentation = NDA(magnitude=2, operations=2)
    drawn = augmentation.draw(40, generator())
    out = augmentation.apply(x, drawn)
    for i, sample in enumerate(x):
        expected = sample.flip(-1) if drawn["flip"][i] else sample
        roll, rotate, shear, cut = drawn["chosen"][i].tolist()
        if roll:
            expected = expected.roll(drawn["roll.offset"][i].tolist(), (-2, -1))
        if rotate:
            expected = vision.rotate(expected, float(drawn["rotate.angle"][i]))
        if shear:
            angles = [float(drawn["shear.angle"][i]), 0.0]
            expected = vision.affine(expected, angle=0, translate=[0, 0], scale=1, shear=angles)
        if cut:
            expected, side = expected.clone(), int(drawn["cut.sides"][i])
            top, left = (int(u * size) - side // 2 for u, size in zip(drawn["cut.centre"][i], (20, 24), strict=True))
            expected[:, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = 0
        assert (out[i] != expected).float().mean() < 0.01, i  # a pixel half way between two is rounded either way


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NDA(magnitude=4), "magnitude from 1 to 3"),  # type: ignore[arg-type]
        (lambda: NDA(operations=5), "operations from 1 to 4"),
        (lambda: NDA().apply(torch.rand(8, 2, 9), NDA().draw(8, generator())), "is for images"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
