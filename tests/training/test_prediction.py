"""Predictions for files against the outputs that a run wrote of its test, and means by hand."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from membrane.cli.main import main
from membrane.data.digits import Digits
from membrane.errors import ConfigError
from membrane.training.prediction import load_predictor, load_predictors, predict_file, recording_means, require_alike


@pytest.fixture(scope="module")
def run(small_runs: Path) -> Path:
    """A finished run on the digits, not to be changed."""
    return next(small_runs.glob("digits/*/seed0"))


@pytest.fixture(scope="module")
def expected(run: Path) -> np.ndarray:
    """The probabilities [n,K] that the run's test outputs are."""
    with np.load(run / "outputs" / "test.npz") as saved:
        powers = np.exp(saved["output"].astype(np.float64))
    return np.asarray(powers / powers.sum(1, keepdims=True))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    _, test = Digits().load(Path(), 2)
    return test.x.numpy()


def predicted(*arguments: object) -> int:
    return main(["predict", *map(str, arguments)])


def test_a_file_of_the_test_set_gives_what_the_test_gave(
    run: Path, expected: np.ndarray, pixels: np.ndarray, tmp_path: Path
) -> None:
    np.savez(tmp_path / "digits.npz", x=pixels.transpose(0, 2, 3, 1))
    Image.fromarray(np.round(pixels[7, 0] * 255.0 / 16).astype(np.uint8)).save(tmp_path / "seven.png")
    out = tmp_path / "out.json"
    assert predicted(run, tmp_path / "digits.npz", tmp_path / "seven.png", "-o", out) == 0
    content = json.loads(out.read_text())
    *many, one = content["predictions"]
    assert (content["ensemble"], content["runs"]) == (False, [str(run)])
    np.testing.assert_allclose([each["probabilities"] for each in many], expected, atol=1e-6)
    assert [each["label"] for each in many] == expected.argmax(1).tolist()
    assert [each["sample"] for each in many] == list(range(360))
    assert one["label"] == expected[7].argmax()
    assert one["confidence"] == pytest.approx(expected[7].max(), abs=0.02)  # pixels are rounded to 1/255


def test_what_cannot_be_read_is_named_and_the_others_are_answered(
    run: Path, expected: np.ndarray, pixels: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "=one.npy", pixels[0])
    (tmp_path / "two.wav").write_bytes(b"RIFF")
    assert predicted(run, tmp_path / "two.wav", tmp_path / "=one.npy", "--format", "csv", "--timesteps") == 1
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert "two.wav: a run on digits reads .png" in line
    rows = list(csv.DictReader(printed.out.splitlines()))
    assert [row["timesteps"] for row in rows] == ["1", "2"]
    assert int(rows[-1]["label"]) == expected[0].argmax()
    assert float(rows[-1]["confidence"]) == pytest.approx(expected[0].max(), abs=1e-6)


def test_the_answers_in_between_are_those_of_fewer_timesteps(run: Path, pixels: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels[:9])
    predictor = load_predictor(run)
    builds_up = predictor.predictions(tmp_path / "a.npy")
    for steps in (1, 2):
        predictor.learner.framework.timesteps = steps  # type: ignore[attr-defined]
        with torch.no_grad():
            alone = predictor.learner(torch.from_numpy(pixels[:9])).double().softmax(1)
        torch.testing.assert_close(builds_up[steps - 1], alone, rtol=0, atol=1e-6)


def test_several_runs_are_an_ensemble_and_said_to_be(
    run: Path, pixels: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", pixels[:5])
    first, second = load_predictors([run, run])
    with torch.no_grad():
        for parameter in second.learner.model.parameters():
            parameter.mul_(1.5)
    alone = [each.predictions(tmp_path / "a.npy")[-1] for each in (first, second)]
    assert not torch.allclose(alone[0], alone[1])
    together = predict_file([first, second], tmp_path / "a.npy")
    by_hand = (alone[0] + alone[1]) / 2
    np.testing.assert_allclose([each.values[-1] for each in together], by_hand, atol=1e-12)
    again = Path(shutil.copytree(run, tmp_path / "again"))
    assert predicted(run, again, tmp_path / "a.npy") == 0
    assert "ensemble of 2 runs, the mean of what each predicts" in " ".join(capsys.readouterr().out.split())
    named = [replace(first, classes=list(names)) for names in ("0123456789", "zyxwvutsrq")]
    require_alike(run, first, named[0])
    with pytest.raises(ConfigError, match="an ensemble needs the same classes in all runs"):
        require_alike(run, *named)


@pytest.mark.parametrize(
    "order", ["{options} {run} -- {file}", "{run} -- {file} {options}", "{run} {options} -- {file}"]
)
def test_options_stand_on_either_side_of_the_dashes(
    order: str, run: Path, pixels: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", pixels[0])
    words = order.format(
        run=run, file=tmp_path / "a.npy", options=f"--timesteps --format csv -o {tmp_path / 'out.txt'}"
    )
    assert predicted(*words.split()) == 0
    assert capsys.readouterr() == ("", "")
    rows = list(csv.DictReader((tmp_path / "out.txt").open()))
    assert [row["file"] for row in rows] == [str(tmp_path / "a.npy")] * 2  # the run has two timesteps


def test_classes_have_the_names_that_the_run_wrote(run: Path, pixels: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels[0])
    named = Path(shutil.copytree(run, tmp_path / "named"))
    outputs = dict(np.load(run / "outputs" / "test.npz"))
    for names, expected_name in (([f"digit {k}" for k in range(10)], "digit "), (["too", "few"], None)):
        np.savez(named / "outputs" / "test.npz", **outputs, classes=np.array(names))
        for path in (named, named / "checkpoints" / "best.ckpt"):
            [prediction] = predict_file([load_predictor(path)], tmp_path / "a.npy")
            answer = prediction.answer(1)
            assert answer.get("class") == (expected_name and f"{expected_name}{answer['label']}")


def test_recordings_are_averaged_in_the_order_of_their_numbers() -> None:
    predictions = torch.tensor([[[1.0], [2.0], [6.0]]])  # [T,n,K]
    assert recording_means(predictions, torch.tensor([5, 3, 5])).tolist() == [[[2.0], [3.5]]]


def test_a_run_comes_first_and_a_file_last(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for typed, why in (
        ([tmp_path / "a.npy"], "no run, which comes first"),
        ([run], "no file to predict for"),
        ([run, "--"], "no file to predict for"),
        ([tmp_path, "--", tmp_path / "a.npy"], "neither a run folder with checkpoints nor a checkpoint"),
    ):
        assert predicted(*typed) in (1, 2)
        assert why in capsys.readouterr().err
