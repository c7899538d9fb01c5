"""Crop against numpy's padding and slicing; resized crop against torchvision on one sample."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms.v2 import functional as vision

from membrane.augment.crop import Crop, ResizedCrop
from membrane.errors import ConfigError


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def cropped(crop: Crop, x: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The result, and the first pixel of each window."""
    parameters = crop.resolve(x, torch.full((len(x),), x.shape[-1]), crop.draw(len(x), generator(seed)))
    return crop.apply(x, parameters), parameters["first"]


@pytest.mark.parametrize("shape", [(20, 2, 9), (20, 3, 6, 7)])
@pytest.mark.parametrize(("padding", "size"), [(0, None), (3, None), (9, None), (0, 4), (2, 5), (1, 1)])
def test_crop_is_a_window_of_the_padded_image_in_the_middle(
    shape: tuple[int, ...], padding: int, size: int | None
) -> None:
    x = 1 + torch.rand(shape, generator=generator(1))
    sides = shape[2:]
    out, first = cropped(Crop(padding=padding, size=size), x)
    for sample, result, begin in zip(x.numpy(), out.numpy(), first.tolist(), strict=True):
        padded = np.pad(sample, [(0, 0)] + [(padding, padding)] * len(sides))
        window = padded[:, *(slice(b + padding, b + padding + (size or s)) for b, s in zip(begin, sides, strict=True))]
        expected = np.zeros_like(sample)
        middle = [(s - (size or s)) // 2 for s in sides]
        expected[:, *(slice(m, m + (size or s)) for m, s in zip(middle, sides, strict=True))] = window
        np.testing.assert_array_equal(result, expected)


def test_every_position_of_the_window_is_as_likely() -> None:
    _, first = cropped(Crop(padding=2, size=6), torch.rand(4000, 1, 6, 8))
    rows, counts = first[:, 0].unique(return_counts=True)
    assert rows.tolist() == [-2, -1, 0, 1, 2]
    assert counts.min() > 700  # 800 expected
    assert first[:, 1].unique().tolist() == [-2, -1, 0, 1, 2, 3, 4]


def test_sides_of_a_window_may_differ() -> None:
    out, _ = cropped(Crop(size=[2, 6]), torch.ones(1, 1, 4, 8))
    assert out[0, 0].tolist() == [[0] * 8, *[[0, 1, 1, 1, 1, 1, 1, 0]] * 2, [0] * 8]


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_resized_crop_is_torchvisions_with_the_same_window(interpolation: str) -> None:
    x = torch.rand(12, 2, 11, 14, generator=generator(1))
    augmentation = ResizedCrop(interpolation=interpolation)  # type: ignore[arg-type]
    parameters = augmentation.resolve(x, torch.empty(0), augmentation.draw(12, generator()))
    out = augmentation.apply(x, parameters)
    mode = vision.InterpolationMode("nearest-exact" if interpolation == "nearest" else interpolation)
    windows = zip(parameters["first"].int().tolist(), parameters["size"].int().tolist(), strict=True)
    for sample, result, ((top, left), (height, width)) in zip(x, out, windows, strict=True):
        assert 0 <= top <= 11 - height
        assert 0 <= left <= 14 - width
        expected = vision.resized_crop(sample, top, left, height, width, [11, 14], mode, antialias=False)
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_a_signal_is_interpolated_along_its_length() -> None:
    x = torch.rand(8, 3, 30, generator=generator(1))
    augmentation = ResizedCrop(smallest=0.3)
    parameters = augmentation.resolve(x, torch.empty(0), augmentation.draw(8, generator()))
    out = augmentation.apply(x, parameters)
    for sample, result, first, size in zip(x, out, parameters["first"], parameters["size"], strict=True):
        begin, length = int(first[1]), int(size[1])
        assert 9 <= length <= 30
        # out pixel i shows the window at (i + ½) · length / 30 − ½
        source = np.clip((np.arange(30) + 0.5) * length / 30 - 0.5, 0, length - 1)
        for channel in range(3):
            window = sample[channel, begin : begin + length].numpy()
            np.testing.assert_allclose(result[channel], np.interp(source, np.arange(length), window), atol=1e-5)


def test_share_and_ratio_of_windows_are_within_their_bounds() -> None:
    augmentation = ResizedCrop(smallest=0.25, ratio=2)
    drawn = augmentation.draw(4000, generator())
    assert 0.25 <= drawn["share"].min() < 0.26
    assert 0.99 < drawn["share"].max() <= 1
    assert abs(drawn["share"].mean() - 0.625) < 0.02
    assert 0.5 <= drawn["aspect"].min() < 0.51
    assert 1.98 < drawn["aspect"].max() <= 2
    assert abs(drawn["aspect"].log().mean()) < 0.03
    size = augmentation.resolve(torch.rand(1, 1, 40, 40), torch.empty(0), drawn)["size"]
    area = size.prod(1)[(size < 40).all(1)]  # those that are not cut to the image
    share = drawn["share"][(size < 40).all(1)]
    assert (area / 1600 - share).abs().max() < 0.03


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Crop(padding=-1), "padding of at least 0"),
        (lambda: Crop(size=0), "size above 0"),
        (lambda: Crop(size=[2, 0]), "size above 0"),
        (lambda: cropped(Crop(size=9), torch.rand(2, 1, 8)), r"size=9 does not fit into \[8\]"),
        (lambda: cropped(Crop(size=[2, 2]), torch.rand(2, 1, 8)), r"does not fit into \[8\]"),
        (lambda: ResizedCrop(smallest=0), "smallest above 0"),
        (lambda: ResizedCrop(ratio=0.5), "ratio of at least 1"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
