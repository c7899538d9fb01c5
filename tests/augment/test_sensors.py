"""Amplitude and the rotation of sensors, against scipy's rotations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from membrane.augment.sensors import Amplitude, SensorRotation
from membrane.errors import ConfigError


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_amplitude_is_one_factor_a_sample() -> None:
    augmentation = Amplitude(low=0.5, high=2)
    x = torch.rand(2000, 2, 3, generator=generator()) - 0.5
    factor = augmentation.apply(x, augmentation.draw(2000, generator())) / x
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor))
    assert 0.5 <= factor.min() < 0.51
    assert 1.99 < factor.max() <= 2
    assert abs(factor.mean() - 1.25) < 0.03


def test_every_triple_of_channels_is_turned_by_scipys_rotation() -> None:
    x = torch.randn(7, 6, 20, generator=generator())
    augmentation = SensorRotation(degrees=120)
    parameters = augmentation.draw(7, generator())
    out = augmentation.apply(x, parameters)
    for sample, result, axis, angle in zip(x, out, parameters["axis"], parameters["angle"], strict=True):
        rotation = Rotation.from_rotvec(axis.numpy() * np.radians(float(angle)))
        for triple in (slice(0, 3), slice(3, 6)):
            np.testing.assert_allclose(result[triple].T, rotation.apply(sample[triple].T.numpy()), atol=1e-5)


def test_axes_are_uniform_over_the_sphere_and_angles_within_their_bound() -> None:
    parameters = SensorRotation(degrees=30).draw(4000, generator())
    torch.testing.assert_close(parameters["axis"].norm(dim=1), torch.ones(4000))
    # each coordinate of a point that is uniform over the sphere is U(−1, 1)
    assert parameters["axis"].mean(0).abs().max() < 0.04
    assert (parameters["axis"].std(0) - 3**-0.5).abs().max() < 0.02
    assert 29.9 < parameters["angle"].abs().max() <= 30


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Amplitude(low=2, high=1), "low at most high"),
        (lambda: Amplitude(high=float("inf")), "finite numbers"),
        (lambda: SensorRotation(degrees=181), "degrees must be from 0 to 180"),
        (lambda: SensorRotation().apply(torch.rand(2, 4, 8), {}), r"of 3, 6, 9 … channels, got \[2, 4, 8\]"),
        (lambda: SensorRotation().apply(torch.rand(2, 3, 8, 8), {}), r"is for signals \[M,C,S\]"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
