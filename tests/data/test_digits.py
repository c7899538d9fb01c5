import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from membrane.data import digits
from membrane.data.digits import Digits
from membrane.errors import DataError

NOWHERE = Path("does/not/exist")


def test_shapes_and_range() -> None:
    train, test = Digits().load(NOWHERE, timesteps=4)
    assert tuple(train.x.shape) == (1437, 1, 8, 8)
    assert tuple(test.x.shape) == (360, 1, 8, 8)
    for part in (train, test):
        assert part.x.dtype == torch.uint8
        assert part.y.dtype == part.recording.dtype == torch.int64
        assert part.scale == 1 / 16
        assert (part.x.min(), part.x.max()) == (0, 16)


def test_samples_are_scikit_learns_in_its_order() -> None:
    source = load_digits()
    for part in Digits().load(NOWHERE, timesteps=4):
        assert (part.recording.diff() > 0).all()
        np.testing.assert_array_equal(part.x[:, 0].numpy(), source.images[part.recording])
        np.testing.assert_array_equal(part.y.numpy(), source.target[part.recording])


def test_parts_cover_the_data_once_and_hold_every_class_in_proportion() -> None:
    train, test = Digits().load(NOWHERE, timesteps=4)
    assert sorted(torch.cat([train.recording, test.recording]).tolist()) == list(range(1797))
    share = np.bincount(load_digits().target) * 360 / 1797
    assert (abs(test.y.bincount().numpy() - share) < 1).all()


def test_the_test_set_never_changes() -> None:
    _, test = Digits().load(NOWHERE, timesteps=4)
    digest = hashlib.sha256(test.recording.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "dec6c057ecc001ef1b083e4207477cd4857a13bcb1ee1afcfb486d5feb2d7405"


def test_nothing_global_reaches_the_parts() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    first = [part.digest() for part in Digits().load(NOWHERE, timesteps=4)]
    torch.manual_seed(2)
    np.random.seed(2)
    assert [part.digest() for part in Digits().load(NOWHERE, timesteps=8)] == first


def test_a_library_without_its_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="scikit-learn, which is not installed"):
        digits.load_images()
    found = SimpleNamespace(origin=str(tmp_path / "sklearn" / "__init__.py"))
    monkeypatch.setattr(digits, "find_spec", lambda name: found)
    with pytest.raises(DataError, match=r"without .*digits\.csv\.gz"):
        digits.load_images()
