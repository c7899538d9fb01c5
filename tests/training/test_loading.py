"""A loaded learner takes x as the data set stores it, or as floats that were scaled, and predicts what the run did."""

import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import train
from run_paths import only

import membrane as package
from membrane.data.diabetes import Diabetes
from membrane.data.digits import Digits
from membrane.data.idx import FashionMNIST
from membrane.data.saccades import DigitsEvents
from membrane.errors import DataError
from membrane.learner import Learner
from membrane.training import checkpoints
from membrane.training.loading import load

Run = Callable[..., int]
CopyOfRun = Callable[[str], Path]
STRIPES = """
import torch
from membrane.data.samples import Samples

class Stripes:
    def load(self, root, timesteps):
        numbers = torch.Generator().manual_seed(0)
        y = torch.arange(90) % 2
        x = torch.randint(0, 100, (90, 1, 4, 4), generator=numbers, dtype=torch.{dtype})
        x[:, :, ::2] += 100
        x[y == 1] = x[y == 1].transpose(2, 3).clone()
        samples = Samples(x, y, torch.arange(90), 1 / 199)
        return samples.take(torch.arange(60)), samples.take(torch.arange(60, 90))
"""
OWN = (
    "dataset._target_=their_stripes.Stripes",
    "dataset.name=stripes",
    "dataset.shape=[1,4,4]",
    "dataset.classes=2",
    "trust=[their_stripes.Stripes]",
)


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with finished runs on normalised digits and on their events; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    small = ("logger=csv", "model=smlp", "model.units=[16]", "timesteps=2", "threads=1", "epochs=1", "figures=false")
    with chdir(folder):
        assert train([*small, "augmentation=[normalise]"]) == 0
        assert train([*small, "framework=multistep_tid"]) == 0
    return folder / "runs"


@pytest.fixture
def copy_of_run(finished_runs: Path, tmp_path: Path) -> CopyOfRun:
    """Return a function that copies the finished run on a data set, and returns its folder."""
    [digits], [events] = (list(finished_runs.glob(f"{name}/*/seed0")) for name in ("digits", "digits_events"))
    runs = {"digits": digits, "digits_events": events}
    return lambda name: Path(shutil.copytree(runs[name], tmp_path / name))


@pytest.fixture(scope="module")
def events_of_test() -> torch.Tensor:
    """Return the digits' test set as events."""
    return DigitsEvents().load(Path(), 2)[1].x


def predict(learner: Learner, x: torch.Tensor) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return learner(x).numpy()


def saved_outputs(run: Path) -> np.ndarray[Any, Any]:
    """The read-out outputs of the test set, as the run measured them."""
    with np.load(run / "outputs" / "test.npz") as saved:
        assert (saved["index"] == np.arange(len(saved["index"]))).all()
        return saved["output"]


def forget_scale(run: Path) -> None:
    """Make a run's best checkpoint one of an earlier version."""
    path = run / "checkpoints" / "best.ckpt"
    checkpoint = checkpoints.read_checkpoint(path)
    del checkpoint["scale"]
    checkpoints.write_checkpoint(checkpoint, path)


@pytest.mark.parametrize("earlier", [False, True])
def test_whole_numbers_and_scaled_floats_are_the_same_digits(copy_of_run: CopyOfRun, earlier: bool) -> None:
    run, (_, test) = copy_of_run("digits"), Digits().load(Path(), 2)
    if earlier:
        forget_scale(run)
    learner = package.load(run)
    assert learner.scale == 1 / 16
    expected = saved_outputs(run)
    for x in (test.x, test.x.to(torch.int64), test.x.float() / 16, test.x.double() / 16):
        np.testing.assert_allclose(predict(learner, x), expected, rtol=1e-5, atol=1e-6)
    # floats are taken as they are, whatever they are
    assert not np.allclose(predict(learner, test.x.float()), expected, atol=1e-2)


@pytest.mark.parametrize("earlier", [False, True])
def test_counts_of_events_are_not_scaled(copy_of_run: CopyOfRun, earlier: bool, events_of_test: torch.Tensor) -> None:
    run = copy_of_run("digits_events")
    if earlier:
        forget_scale(run)
    learner = package.load(run)
    for x in (events_of_test, events_of_test.float()):
        np.testing.assert_allclose(predict(learner, x), saved_outputs(run), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_the_scale_of_a_users_data_travels_with_the_checkpoint(
    small: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    (tmp_path / "their_stripes.py").write_text(STRIPES.format(dtype=dtype))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "their_stripes", raising=False)
    assert small("~dataset", *(f"+{word}" if word.startswith("dataset") else word for word in OWN)) == 0
    run = only("*/*/seed0")
    from their_stripes import Stripes

    _, test = Stripes().load(Path(), 2)
    learner = package.load(run, trust=["their_stripes.Stripes"])
    scaled = test.x.float() * (1 / 199)
    for x in (test.x, scaled):
        np.testing.assert_allclose(predict(learner, x), saved_outputs(run), rtol=1e-5, atol=1e-6)
    forget_scale(run)
    learner = package.load(run, trust=["their_stripes.Stripes"])
    np.testing.assert_allclose(predict(learner, scaled), saved_outputs(run), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=rf"^x is torch\.{dtype}, but the scale of .*: set learner\.scale to .*$"):
        learner(test.x)
    learner.scale = 1 / 199
    np.testing.assert_allclose(predict(learner, test.x), saved_outputs(run), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", ["1/16", float("nan"), [0.5], torch.tensor(0.5)])
def test_a_scale_that_is_no_number_is_refused(copy_of_run: CopyOfRun, scale: Any) -> None:
    path = copy_of_run("digits") / "checkpoints" / "best.ckpt"
    checkpoints.write_checkpoint({**checkpoints.read_checkpoint(path), "scale": scale}, path)
    with pytest.raises(DataError, match=r"^the checkpoint's scale is .*, not a finite number$"):
        load(path)


def test_the_scale_that_a_data_set_is_known_by_is_that_of_its_samples() -> None:
    for dataset in (Digits(), DigitsEvents(), Diabetes()):
        assert {part.scale for part in dataset.load(Path(), 2)} == {dataset.scale}
    assert FashionMNIST.scale == 1 / 255


def test_lengths_of_nothing_are_refused(copy_of_run: CopyOfRun) -> None:
    learner = package.load(copy_of_run("digits_events"))
    x = torch.zeros(3, 2, 2, 16, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"^lengths must be at least 1, sample 1 has 0$"):
        learner(x, torch.tensor([2, 0, 1]))
    assert predict(learner, x).shape == (3, 10)
