"""Flip, shift and cutout against slow loops over samples and pixels."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation
from membrane.augment.image import Cutout, HorizontalFlip, Roll, Shift
from membrane.errors import ConfigError

SHAPES = [(6, 2, 9), (6, 1, 5, 7), (5, 3, 8, 8)]
seeds = st.integers(0, 2**31)


def generator(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def random_x(shape: tuple[int, ...], seed: int) -> Tensor:
    """Values in [1, 2): a 0 in the result was put there by an augmentation."""
    return 1 + torch.rand(shape, generator=generator(seed))


@settings(max_examples=25)
@given(st.sampled_from(SHAPES), seeds)
def test_flip_mirrors_exactly_the_samples_that_were_drawn(shape: tuple[int, ...], seed: int) -> None:
    x = random_x(shape, seed)
    augmentation = HorizontalFlip()
    parameters = augmentation.draw(len(x), generator(seed))
    out = augmentation.apply(x, parameters)
    for sample, result, flipped in zip(x, out, parameters["flip"].tolist(), strict=True):
        expected = torch.stack(list(reversed(sample.unbind(-1))), -1) if flipped else sample
        assert torch.equal(result, expected)


def test_flip_has_the_probability_that_was_asked_for() -> None:
    def share(probability: float) -> float:
        flips = HorizontalFlip(probability=probability).draw(4000, generator(0))["flip"]
        return float(flips.float().mean())

    assert share(0) == 0
    assert share(1) == 1
    assert abs(share(0.3) - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5


@settings(max_examples=25)
@given(st.sampled_from(SHAPES), st.integers(0, 12), seeds)
def test_shift_equals_a_loop_over_samples_with_torch_roll(shape: tuple[int, ...], pixels: int, seed: int) -> None:
    x = random_x(shape, seed)
    augmentation = Shift(pixels=pixels)
    parameters = augmentation.draw(len(x), generator(seed))
    out = augmentation.apply(x, parameters)
    for sample, result, (down, right) in zip(x, out, parameters["offset"].tolist(), strict=True):
        expected = rolled(sample, right, -1)
        if x.dim() == 4:
            expected = rolled(expected, down, -2)
        assert torch.equal(result, expected)


def rolled(sample: Tensor, offset: int, axis: int) -> Tensor:
    """torch.roll with what came round set to 0."""
    size = sample.shape[axis]
    result = sample.roll(offset, axis)
    count = min(abs(offset), size)
    result.narrow(axis, 0 if offset > 0 else size - count, count).zero_()
    return result


@settings(max_examples=25)
@given(st.sampled_from(SHAPES), st.integers(0, 20), seeds)
def test_roll_equals_a_loop_over_samples_with_torch_roll(shape: tuple[int, ...], pixels: int, seed: int) -> None:
    x = random_x(shape, seed)
    augmentation = Roll(pixels=pixels)
    parameters = augmentation.draw(len(x), generator(seed))
    out = augmentation.apply(x, parameters)
    for sample, result, (down, right) in zip(x, out, parameters["offset"].tolist(), strict=True):
        expected = sample.roll(right, -1)
        assert torch.equal(result, expected if x.dim() == 3 else expected.roll(down, -2))


def test_shift_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]).repeat(2, 1, 1, 1)
    out = Shift(pixels=1).apply(x, {"offset": torch.tensor([[0, 1], [-1, 0]])})
    assert out.tolist() == [[[[0, 1], [0, 3]]], [[[3, 4], [0, 0]]]]


def test_shift_draws_every_offset_up_to_pixels_on_each_axis() -> None:
    offsets = Shift(pixels=2).draw(2000, generator(0))["offset"]
    pairs, counts = offsets.unique(dim=0, return_counts=True)
    assert pairs.tolist() == [[down, right] for down in range(-2, 3) for right in range(-2, 3)]
    assert counts.min() > 40  # 80 expected


@settings(max_examples=25)
@given(st.sampled_from(SHAPES), st.integers(0, 10), seeds)
def test_cutout_zeroes_a_square_and_nothing_else(shape: tuple[int, ...], size: int, seed: int) -> None:
    x = random_x(shape, seed)
    augmentation = Cutout(size=size)
    parameters = augmentation.draw(len(x), generator(seed))
    out = augmentation.apply(x, parameters)
    spans = [range(length) for length in shape[2:]]
    for sample, result, centre in zip(x, out, parameters["centre"].tolist(), strict=True):
        expected = sample.clone()
        firsts = [int(u * len(span)) - size // 2 for u, span in zip(centre[-len(spans) :], spans, strict=True)]
        for place in torch.cartesian_prod(*(torch.tensor(span) for span in spans)).reshape(-1, len(spans)).tolist():
            if all(first <= position < first + size for position, first in zip(place, firsts, strict=True)):
                expected[(slice(None), *place)] = 0
        assert torch.equal(result, expected)


@pytest.mark.parametrize(
    ("size", "centre", "area"),
    # side 3 on 5×7; centres (2, 3) inside, (0, 0) and (4, 6) in corners; even side 4 from centre − 2 to centre + 1
    [
        (3, (0.5, 0.5), 9),
        (3, (0.0, 0.0), 4),
        (3, (0.99, 0.99), 4),
        (4, (0.0, 0.5), 8),
        (1, (0.3, 0.3), 1),
        (99, (0.5, 0.5), 35),
    ],
)
def test_cutout_area_by_hand(size: int, centre: tuple[float, float], area: int) -> None:
    out = Cutout(size=size).apply(torch.ones(1, 2, 5, 7), {"centre": torch.tensor([centre])})
    assert int((out == 0).sum()) == 2 * area


def test_a_cutout_of_random_size_is_one_of_each_size_drawn() -> None:
    augmentation = Cutout(size=5, smallest=2)
    x = torch.ones(600, 1, 21, 21)
    parameters = augmentation.draw(600, generator(0)) | {"centre": torch.full((600, 2), 0.5)}
    areas = (augmentation.apply(x, parameters) == 0).flatten(1).sum(1)
    assert torch.equal(areas, parameters["sides"][:, 0].square())
    sizes, counts = areas.unique(return_counts=True)
    assert sizes.tolist() == [4, 9, 16, 25]
    assert counts.min() > 100  # 150 expected


def test_a_random_size_leaves_the_draws_of_the_centre_as_they_are() -> None:
    fixed, varied = (Cutout(size=5, smallest=each).draw(9, generator(3)) for each in (None, 1))
    assert [*fixed] == ["centre"]
    assert torch.equal(fixed["centre"], varied["centre"])


def test_cutout_segment_by_hand() -> None:
    out = Cutout(size=3).apply(torch.ones(1, 1, 6), {"centre": torch.tensor([[0.9, 0.5]])})
    assert out.tolist() == [[[1, 1, 0, 0, 0, 1]]]


def test_cutout_centres_are_uniform_over_all_pixels() -> None:
    augmentation = Cutout(size=1)
    out = augmentation.apply(torch.ones(3000, 1, 3, 5), augmentation.draw(3000, generator(0)))
    counts = (out == 0).sum((0, 1)).flatten().float()
    assert counts.sum() == 3000
    assert ((counts - 200) ** 2 / 200).sum() < 36.1  # χ² of 14 degrees of freedom, 0.1 %


@pytest.mark.parametrize("augmentation", [HorizontalFlip(probability=1), Shift(pixels=3), Cutout(size=4)])
@pytest.mark.parametrize("shape", SHAPES)
def test_x_itself_stays_what_it_was(augmentation: Augmentation, shape: tuple[int, ...]) -> None:
    x = random_x(shape, 0)
    kept = x.clone()
    out = augmentation.apply(x, augmentation.draw(len(x), generator(1)))
    assert not torch.equal(out, kept)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("augmentation", [Shift(pixels=1), Cutout(size=1)])
def test_unmerged_time_is_refused(augmentation: Augmentation) -> None:
    with pytest.raises(ValueError, match=r"\[M,C,S\] or \[M,C,H,W\], got \[2, 3, 1, 4, 4\]"):
        augmentation.apply(torch.ones(2, 3, 1, 4, 4), augmentation.draw(2, generator(0)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HorizontalFlip(probability=1.1), r"HorizontalFlip: probability must be in \[0, 1\], got 1.1"),
        (lambda: HorizontalFlip(probability=-0.1), "probability"),
        (lambda: HorizontalFlip(probability=float("nan")), "probability"),
        (lambda: Shift(pixels=-1), "Shift: pixels must be a whole number of at least 0, got -1"),
        (lambda: Shift(pixels=0.5), "pixels"),  # type: ignore[arg-type]
        (lambda: Cutout(size=-2), "Cutout: size must be a whole number of at least 0, got -2"),
        (lambda: Shift(pixels=1, after=False), "before=true or after=true"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
