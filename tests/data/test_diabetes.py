"""The bundled regression set against scikit-learn's copy of it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes

from membrane.data.diabetes import Diabetes
from membrane.data.samples import Samples

NOWHERE = Path("does/not/exist")
# age, sex, bmi, blood pressure, cholesterol, low and high density, their ratio, log triglycerides, sugar
DIVISORS = [100, 2, 50, 150, 350, 250, 100, 10, 7, 150]


def load() -> tuple[Samples, Samples]:
    return Diabetes().load(NOWHERE, timesteps=4)


def test_shapes_types_and_range() -> None:
    for part, size in zip(load(), (353, 89), strict=True):
        assert tuple(part.x.shape) == (size, 1, 10)
        assert tuple(part.y.shape) == (size, 1)
        assert part.x.dtype == part.y.dtype == torch.float32
        assert part.recording.dtype == torch.int64
        assert part.scale == 1
        assert 0 <= part.x.min() < part.x.max() <= 1


def test_the_first_patient_is_the_one_of_the_published_table() -> None:
    # 59 years, second sex, BMI 32.1, pressure 101, 157, 93.2, 38, 4, 4.8598, 87 mg/dl; progression 151
    expected = [0.59, 1.0, 0.642, 101 / 150, 157 / 350, 0.3728, 0.38, 0.4, 4.8598 / 7, 0.58]
    [place] = [(part, int(i)) for part in load() for i in (part.recording == 0).nonzero().flatten()]
    part, index = place
    assert part.x[index, 0].tolist() == pytest.approx(expected, abs=1e-5)
    assert part.y[index].tolist() == pytest.approx([1.51])


def test_samples_are_scikit_learns_in_its_order() -> None:
    source = load_diabetes(scaled=False)
    for part in load():
        assert (part.recording.diff() > 0).all()
        np.testing.assert_allclose(part.x[:, 0].numpy() * DIVISORS, source.data[part.recording], rtol=1e-6)
        np.testing.assert_allclose(part.y[:, 0].numpy() * 100, source.target[part.recording], rtol=1e-6)


def test_parts_cover_the_data_once_and_the_test_set_never_changes() -> None:
    train, test = load()
    assert sorted(torch.cat([train.recording, test.recording]).tolist()) == list(range(442))
    digest = hashlib.sha256(test.recording.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "17598c49039803e1633bf540ba3197dea52427de8042f7f90b73ab69c33aed9e"


def test_the_test_patients_are_like_the_others() -> None:
    train, test = load()
    # the difference of two means of 353 and 89 draws: four of its standard errors
    error = train.y.std() * (1 / 353 + 1 / 89) ** 0.5
    assert abs(train.y.mean() - test.y.mean()) < 4 * error


def test_nothing_global_reaches_the_parts() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    first = [part.digest() for part in load()]
    torch.manual_seed(2)
    np.random.seed(2)
    assert [part.digest() for part in Diabetes().load(NOWHERE, timesteps=8)] == first
