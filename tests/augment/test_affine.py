"""Rotation and shear against torchvision on one sample with the same angle."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from membrane.augment.affine import Affine, Rotation, Shear, Turning
from membrane.errors import ConfigError

ANGLES = torch.tensor([0.0, 7.5, -31.0, 44.0])


def torchvisions(augmentation: Turning, sample: Tensor, angle: float) -> Tensor:
    mode = vision.InterpolationMode(augmentation.interpolation)
    if isinstance(augmentation, Rotation):
        return vision.rotate(sample, angle, mode)
    return vision.affine(sample, angle=0, translate=[0, 0], scale=1, shear=[angle, 0], interpolation=mode)


@pytest.mark.parametrize("kind", [Rotation, Shear])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_each_sample_is_torchvisions_at_its_angle(kind: type[Turning], interpolation: str) -> None:
    x = torch.rand(4, 3, 10, 13, generator=torch.Generator().manual_seed(0))
    augmentation = kind(degrees=45, interpolation=interpolation)  # type: ignore[arg-type]
    out = augmentation.apply(x, {"angle": ANGLES})
    for sample, result, angle in zip(x, out, ANGLES.tolist(), strict=True):
        torch.testing.assert_close(result, torchvisions(augmentation, sample, angle), rtol=1e-5, atol=1e-5)


def test_a_quarter_turn_is_anticlockwise() -> None:
    x = torch.tensor([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    out = Rotation(degrees=90).apply(x, {"angle": torch.tensor([90.0])})
    torch.testing.assert_close(out[0, 0], torch.tensor([[3.0, 6, 9], [2, 5, 8], [1, 4, 7]]))


def test_nearest_pixels_keep_counts_whole() -> None:
    counts = torch.randint(5, (4, 2, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    for kind in (Rotation, Shear):
        out = kind(degrees=45, interpolation="nearest").apply(counts, {"angle": ANGLES})
        assert torch.equal(out, out.round())


def test_angles_are_uniform_on_both_sides() -> None:
    angle = Rotation(degrees=20).draw(4000, torch.Generator().manual_seed(0))["angle"]
    assert -20 <= angle.min() < -19.9
    assert 19.9 < angle.max() <= 20
    assert abs(angle.mean()) < 1
    assert abs(angle.std() - 20 / 3**0.5) < 0.5


@pytest.mark.parametrize(("kind", "degrees"), [(Rotation, -1), (Rotation, float("inf")), (Shear, 90), (Shear, -1)])
def test_bad_degrees_are_refused(kind: type[Turning], degrees: float) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__}: degrees must be at least 0 and below"):
        kind(degrees=degrees)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_affine_is_torchvisions_for_each_sample(interpolation: str) -> None:
    x = torch.rand(4, 3, 10, 13, generator=torch.Generator().manual_seed(0))
    factor = torch.tensor([1.0, 0.85, 1.11, 0.9])
    shift = torch.tensor([[0.0, 0.0], [0.11, 0.0], [0.0, -0.15], [-0.12, 0.09]])  # of 10 and 13: 1.1; −1.95; −1.2, 1.17
    pixels = [[0, 0], [0, 1], [-2, 0], [1, -1]]  # torchvision's order is (right, down)
    augmentation = Affine(degrees=45, translate=0.15, scale=(0.85, 1.11), interpolation=interpolation)  # type: ignore[arg-type]
    out = augmentation.apply(x, {"angle": ANGLES, "shift": shift, "factor": factor})
    for n, angle in enumerate(ANGLES.tolist()):
        expected = vision.affine(
            x[n], -angle, pixels[n], float(factor[n]), [0.0, 0.0], vision.InterpolationMode(interpolation)
        )
        torch.testing.assert_close(out[n], expected, rtol=1e-5, atol=1e-5)


def test_affine_draws_from_its_ranges() -> None:
    drawn = Affine(degrees=30, translate=0.15, scale=(0.85, 1.11)).draw(4000, torch.Generator().manual_seed(0))
    for name, low, high in (("angle", -30, 30), ("shift", -0.15, 0.15), ("factor", 0.85, 1.11)):
        values = drawn[name]
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.02 * (high - low)
        assert abs(values.std() - (high - low) / 12**0.5) < 0.02 * (high - low)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"degrees": -1}, "degrees"),
        ({"translate": 2}, "translate"),
        ({"scale": (1.1, 0.9)}, "scale"),
        ({"scale": (0, 1)}, "scale"),
        ({"degrees": float("inf")}, "degrees"),
        ({"scale": (1, float("inf"))}, "scale"),
        ({"scale": (1, 1, 1)}, "scale"),
    ],
)
def test_ranges_that_cannot_be_are_refused(settings: dict, line: str) -> None:
    with pytest.raises(ConfigError, match=f"Affine: .*{line}"):
        Affine(**settings)


def test_the_ends_of_the_ranges_are_allowed() -> None:
    edge = Affine(degrees=0, translate=1, scale=(0.5, 0.5))
    drawn = edge.draw(1000, torch.Generator().manual_seed(0))
    assert drawn["angle"].tolist() == [0] * 1000
    assert drawn["factor"].tolist() == [0.5] * 1000
    # uniform in [−1, 1]: standard deviation 1/√3
    assert drawn["shift"].std(0).tolist() == pytest.approx([3**-0.5] * 2, abs=0.05)


def test_signals_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"is for images \[M,C,H,W\], got \[4, 1, 8\]"):
        Rotation(degrees=1).apply(torch.rand(4, 1, 8), {"angle": ANGLES})
