"""Normalisation against numpy in double precision."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch

from membrane.augment.normalise import Normalise, training_statistics
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError

SHAPES = [((50, 3, 8), False), ((50, 2, 4, 5), False), ((50, 4, 3, 8), True), ((50, 3, 2, 4, 5), True)]


def counts(shape: tuple[int, ...], seed: int, high: int = 17) -> torch.Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def batch_of(x: torch.Tensor) -> Batch:
    index = torch.arange(len(x))
    return Batch(x, index, None, index, index)


@pytest.mark.parametrize(("shape", "timesteps"), SHAPES)
def test_training_part_gets_mean_0_and_std_1_and_evaluation_uses_its_statistics(
    shape: tuple[int, ...], timesteps: bool
) -> None:
    train, test, scale = counts(shape, 0), counts(shape, 1, high=5), 1 / 16
    channel = 2 if timesteps else 1
    others = tuple(axis for axis in range(len(shape)) if axis != channel)
    pipeline = Pipeline({"normalise": Normalise()}, 2, timesteps, seed=0)
    pipeline.fit([train], scale)

    out = pipeline.run(batch_of(train.float() * scale), "after", True, 0, 0).x.double().numpy()
    np.testing.assert_allclose(out.mean(others), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(others), 1, atol=1e-6)

    values = train.double().numpy() * scale
    expected = (test.double().numpy() * scale - values.mean(others, keepdims=True)) / values.std(others, keepdims=True)
    out = pipeline.run(batch_of(test.float() * scale), "after", False, 0, 0).x.numpy()
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_statistics_taken_in_parts_are_those_of_the_whole() -> None:
    x = 1000 + torch.randn(50, 3, 8, generator=torch.Generator().manual_seed(0))
    mean, std = training_statistics(x.split(7))
    np.testing.assert_allclose(mean, x.double().numpy().mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, x.double().numpy().std((0, 2)), rtol=1e-12)


@pytest.mark.parametrize(("shape", "timesteps"), SHAPES)
def test_each_position_has_statistics_over_samples_and_timesteps(shape: tuple[int, ...], timesteps: bool) -> None:
    train, test, scale = counts(shape, 0), counts(shape, 1, high=5), 1 / 16
    pipeline = Pipeline({"normalise": Normalise(per="position")}, 2, timesteps, seed=0)
    pipeline.fit(train.split(7), scale)
    values = train.double().numpy() * scale
    over = (0, 1) if timesteps else 0
    expected = (test.double().numpy() * scale - values.mean(over)) / values.std(over)
    out = pipeline.run(batch_of(test.float() * scale), "after", False, 0, 0).x.numpy()
    np.testing.assert_allclose(out, expected, atol=1e-4)

    file = io.BytesIO()
    torch.save(pipeline.state_dict(), file)
    file.seek(0)
    fresh = Pipeline({"normalise": Normalise(per="position")}, 2, timesteps, seed=0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert np.array_equal(fresh.run(batch_of(test.float() * scale), "after", False, 0, 0).x, out)


def test_a_constant_position_is_shifted_and_not_scaled() -> None:
    augmentation = Normalise(per="position")
    augmentation.fit([torch.tensor([[[3.0, 0.0]], [[3.0, 4.0]]])], 1.0)
    assert augmentation.apply(torch.tensor([[[5.0, 4.0]]]), {}).tolist() == [[[2, 1]]]


def test_constant_channel_becomes_0() -> None:
    augmentation = Normalise()
    augmentation.fit([torch.full((4, 1, 5), 3.0)], 1.0)
    assert augmentation.apply(torch.full((2, 1, 5), 3.0), {}).tolist() == [[[0] * 5]] * 2


@pytest.mark.parametrize("per", ["channel", "position"])
def test_a_constant_in_float64_whose_sum_is_rounded_is_not_scaled(per: str) -> None:
    constants = torch.linspace(0.1, 9.7, 40, dtype=torch.double)  # 997 · 0.1 / 997 is not 0.1
    augmentation = Normalise(per=per)
    augmentation.fit([constants[None, :, None].expand(997, 40, 2)], 1.0)
    assert augmentation.std.unique().tolist() == [1]


def test_neighbours_in_float32_are_no_constant() -> None:
    augmentation = Normalise()
    augmentation.fit([torch.tensor([[[3.0, 3 + 2**-22]]])], 1.0)
    assert augmentation.std.tolist() == [2**-23]


@pytest.mark.parametrize("scale", [1.0, 1 / 16])
def test_a_constant_channel_is_shifted_and_not_scaled(scale: float) -> None:
    """Channel 0 is 3 in all of the training part, channel 1 is 0 or 4: mean 2, standard deviation 2."""
    train = torch.tensor([[[3, 3], [0, 4]], [[3, 3], [4, 0]]], dtype=torch.uint8)
    augmentation = Normalise()
    augmentation.fit([train], scale)
    assert augmentation.mean.tolist() == [3 * scale, 2 * scale]
    assert augmentation.std.tolist() == [1, 2 * scale]
    test = torch.tensor([[[5.0, 1.0], [4.0, 2.0]]]) * scale
    assert augmentation.apply(test, {}).tolist() == [[[2 * scale, -2 * scale], [1, 0]]]


def test_given_statistics_are_used_and_not_fitted_over() -> None:
    augmentation = Normalise(mean=[1, 2], std=[2, 4])
    augmentation.fit([torch.rand(4, 2, 5)], 1.0)
    assert augmentation.apply(torch.tensor([[[5.0], [6.0]]]), {}).tolist() == [[[2], [1]]]


def test_statistics_travel_in_the_checkpoint() -> None:
    fitted = Pipeline({"normalise": Normalise()}, 2, False, seed=0)
    fitted.fit([counts((50, 3, 8), 0)], 1 / 16)
    file = io.BytesIO()
    torch.save(fitted.state_dict(), file)
    file.seek(0)
    fresh = Pipeline({"normalise": Normalise()}, 2, False, seed=0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    batch = batch_of(torch.rand(4, 3, 8))
    assert torch.equal(fresh.run(batch, "after", False, 0, 0).x, fitted.run(batch, "after", False, 0, 0).x)

    other = Pipeline({"normalise": Normalise()}, 2, False, seed=0)
    other.fit([torch.rand(4, 1, 8)], 1.0)
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(fitted.state_dict())


def test_unfitted_state_loads_too() -> None:
    loaded = Normalise()
    loaded.load_state_dict(Normalise().state_dict())
    assert loaded.mean.numel() == loaded.std.numel() == 0


def test_refuses_to_run_unfitted() -> None:
    with pytest.raises(RuntimeError, match="call fit with the training part"):
        Normalise().apply(torch.rand(2, 1, 4), {})


@pytest.mark.parametrize(("shape", "timesteps"), [((4, 2, 1, 3, 3), False), ((4, 1, 8), True), ((0, 1, 8), False)])
def test_fit_refuses_a_shape_that_does_not_fit(shape: tuple[int, ...], timesteps: bool) -> None:
    with pytest.raises(ValueError, match="needs the training part as"):
        Normalise().fit([torch.zeros(shape)], 1.0, timesteps)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Normalise(mean=[0.5]), "one mean and one std a channel, or neither"),
        (lambda: Normalise(std=[0.5]), "or neither"),
        (lambda: Normalise(mean=[], std=[]), "or neither"),
        (lambda: Normalise(mean=[0.5, 0.5], std=[1.0]), "or neither"),
        (lambda: Normalise(mean=[0.5], std=[0.0]), "stds above 0"),
        (lambda: Normalise(mean=[float("nan")], std=[1.0]), "finite means"),
        (lambda: Normalise(before=True), "normalise twice"),
        (lambda: Normalise(mean=[0.5], std=[1.0], per="position"), "for per=channel alone"),
        (lambda: Normalise(mean=[0.5, 0.5], std=[1.0, 1.0]).apply(torch.rand(2, 1, 4), {}), "2 channels, x has 1"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
