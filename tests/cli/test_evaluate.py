"""A finished run gives its numbers again, from its folder alone, wherever that lies."""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import evaluate, train
from configurations import configured, shared_composer
from omegaconf import OmegaConf

import membrane as package
from membrane.cli.evaluate import changed_config, read_subject
from membrane.errors import ConfigError, DataError
from membrane.files.digest import sha256
from membrane.runs.fingerprint import fingerprint
from membrane.schema import Config
from membrane.training import checkpoints

SETTINGS = ["logger=csv", "epochs=1", "model=smlp", "model.units=[16]", "timesteps=2", "augmentation=[normalise,shift]"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished run, for all tests here to copy."""
    runs = tmp_path_factory.mktemp("runs")
    assert train([*SETTINGS, f"paths.runs={runs}"]) == 0
    return next(runs.glob("digits/*/seed0"))


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_the_test_numbers_come_back_to_the_last_digit_in_a_moved_folder(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "a run"
    moved.parent.mkdir()
    shutil.move(run, moved)
    assert evaluate([str(moved)]) == 0
    recorded = json.loads((moved / "result.json").read_text())
    file = moved / "evaluations" / f"{recorded['fingerprint']}.json"
    again = json.loads(file.read_text())
    for name, value in again["metrics"].items():
        assert value == recorded["metrics"][name], name
    assert again["checkpoint_sha256"] == sha256(moved / "checkpoints" / "best.ckpt")
    assert again["parent"] == {"fingerprint": recorded["fingerprint"], "seed": 0}


def test_other_numbers_than_recorded_are_noticed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads((run / "result.json").read_text())
    result["metrics"]["test/acc"] += 1 / 360
    (run / "result.json").write_text(json.dumps(result))
    assert evaluate([str(run)]) == 1
    assert "test/acc: the run recorded" in capsys.readouterr().out


def test_numbers_that_an_earlier_version_did_not_record_are_no_others(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = json.loads((run / "result.json").read_text())
    for name in ("test/precision", "test/recall"):
        del result["metrics"][name]
    (run / "result.json").write_text(json.dumps(result))
    assert evaluate([str(run)]) == 0
    printed = capsys.readouterr().out
    assert "test/recall " in printed
    assert "the run's test numbers came back to the last digit" in printed


def test_the_scores_of_each_class_are_printed_unless_several_settings_are_measured(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (run / "outputs" / "per_class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert evaluate([str(run)]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    for row in rows:
        shares = [f"{100 * float(row[name]):.2f}" for name in ("precision", "recall", "f1")]
        assert [row["class"], shares[0], "%", shares[1], "%", shares[2], "%", row["support"]] in printed
    assert evaluate([str(run), "timesteps=1,2"]) == 0
    assert "support" not in capsys.readouterr().out


def test_other_settings_are_recorded_beside_each_other(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(run), "timesteps=1,3"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    found = [json.loads(path.read_text()) for path in (run / "evaluations").glob("*.json")]
    for each in found:
        assert f"test/acc {100 * each['metrics']['test/acc']:.2f} %" in printed
        assert f"test/loss {each['metrics']['test/loss']:.4f}" in printed
    assert sorted(each["overrides"] for each in found) == [["timesteps=1"], ["timesteps=3"]]
    assert {each["config"]["timesteps"] for each in found} == {1, 3}


def test_choices_can_be_made_anew_and_come_before_their_settings(run: Path) -> None:
    assert evaluate([str(run), "readout.tau=4.0", "readout=membrane"]) == 0
    assert evaluate([str(run), "readout=max,last", "framework=singlestep"]) == 0
    found = [json.loads(path.read_text()) for path in (run / "evaluations").glob("*.json")]
    readouts = {each["config"]["readout"]["_target_"].rpartition(".")[2]: each for each in found}
    assert set(readouts) == {"Membrane", "Max", "Last"}
    assert readouts["Membrane"]["config"]["readout"]["tau"] == 4.0
    assert readouts["Max"]["config"]["framework"] == {"_target_": "membrane.framework.SingleStep"}
    assert readouts["Max"]["metrics"] != readouts["Last"]["metrics"]


def test_the_data_are_where_the_command_or_the_environment_says_now(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def data(*changes: str) -> str:
        return changed_config(shared_composer(), read_subject(run).config, changes).paths.data

    monkeypatch.delenv("MEMBRANE_DATA", raising=False)
    assert data() == read_subject(run).config.paths.data
    monkeypatch.setenv("MEMBRANE_DATA", "/data/of/the/lab")
    assert data() == "/data/of/the/lab"
    assert data("paths.data=/mine") == "/mine"


def test_another_data_set_is_what_the_model_is_measured_on(run: Path, tmp_path: Path) -> None:
    """A data set whose test images are the 1437 that digits has for training."""
    theirs = tmp_path / "their_digits.py"
    theirs.write_text(
        "from membrane.data.digits import Digits\n"
        "class Turned(Digits):\n"
        "    def load(self, root, timesteps):\n"
        "        train, test = super().load(root, timesteps)\n"
        "        return test, train\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        typed = ["dataset=diabetes", "dataset=digits", "dataset._target_=their_digits.Turned"]
        assert evaluate([str(run), *typed[1:], "trust=[their_digits.Turned]"]) == 0
        assert evaluate([str(run), typed[0]]) == 2
    finally:
        sys.path.remove(str(tmp_path))
    [found] = [json.loads(path.read_text()) for path in (run / "evaluations").glob("*.json")]
    assert found["config"]["dataset"]["_target_"] == "their_digits.Turned"
    correct = found["metrics"]["test/acc"] * 1437
    assert correct == pytest.approx(round(correct), abs=1e-3)


def test_other_arrays_have_their_own_timesteps_and_digest_and_the_runs_classes(tmp_path: Path) -> None:
    def saved(name: str, timesteps: int, classes: int) -> str:
        y = np.arange(6) % classes
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.savez(tmp_path / name, x_train=np.ones((6, timesteps, 5, 2)), y_train=y)
        return f"dataset.path={tmp_path / name}"

    trained, same = saved("mine.npz", 4, 3), saved("copy/mine.npz", 4, 3)
    tid = ("framework=multistep_tid", "model=smlp")
    run = configured("dataset=arrays", trained, "dataset.timesteps_in_data=true", *tid).model_dump(by_alias=True)
    run.pop("trust")

    def config(*changes: str) -> Config:
        return changed_config(shared_composer(), OmegaConf.create(run), changes)

    mine, other = config(), config(saved("other.npz", 7, 2))
    assert (other.timesteps, other.dataset.classes) == (7, 3)
    assert other.dataset.parameters() == {**mine.dataset.parameters(), "path": str(tmp_path / "other.npz")}
    assert fingerprint(config(same)) == fingerprint(mine) != fingerprint(other)
    assert fingerprint(config(saved("third.npz", 4, 2))) != fingerprint(mine)
    with pytest.raises(ConfigError, match=r"timesteps=4, but .* has 7"):
        config(f"dataset.path={tmp_path / 'other.npz'}", "timesteps=4")


def test_what_a_new_run_alone_can_choose_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(run), "experiment=fashion_mnist_scnn"]) == 2
    assert evaluate([str(run), "readout=maximum"]) == 2
    assert evaluate([str(run), "model=scnn"]) == 2
    experiment, readout, model = capsys.readouterr().err.splitlines()
    assert "experiment=fashion_mnist_scnn: chooses a whole run" in experiment
    assert "readout=maximum: no such choice; did you mean" in readout
    assert "do not fit the trained weights" in model


def test_a_refused_override_and_a_missing_run_are_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(run), "timesteps=0"]) == 2
    assert evaluate(["nowhere"]) == 2
    assert evaluate([str(run.parent)]) == 2
    assert evaluate([str(run.parent.parent)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "timesteps" in lines[0]
    assert "nowhere: no such folder or file; membrane status" in lines[1]
    assert lines[2].endswith(f"nor one that has begun; did you mean {run}?")
    assert lines[3].endswith(f"nor one that has begun; did you mean {run}?")


def test_a_loaded_model_predicts_what_the_run_saved(run: Path) -> None:
    import numpy as np

    from membrane.data.digits import Digits

    learner = package.load(run)
    _, test = Digits().load(Path(), 2)
    saved = np.load(run / "outputs" / "test.npz")
    with torch.no_grad():
        prediction = learner(test.x[:5] * test.scale)
    np.testing.assert_allclose(prediction.numpy(), saved["output"][:5], atol=1e-5)
    assert not learner.training


def test_only_files_of_ours_are_loaded(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only files on this machine"):
        package.load("https://example.org/best.ckpt")
    with pytest.raises(DataError, match="neither a run folder"):
        package.load(tmp_path)


def test_a_checkpoint_cannot_trust_itself(run: Path, tmp_path: Path) -> None:
    checkpoint = checkpoints.read_checkpoint(run / "checkpoints" / "best.ckpt")
    checkpoint["membrane"]["config"]["trust"] = ["os.system"]
    checkpoints.write_checkpoint(checkpoint, tmp_path / "evil.ckpt")
    with pytest.raises(ConfigError, match="trust"):
        package.load(tmp_path / "evil.ckpt")
    del checkpoint["membrane"]["config"]["trust"]
    checkpoint["membrane"]["config"]["model"] = {"_target_": "os.system", "command": "true"}
    checkpoints.write_checkpoint(checkpoint, tmp_path / "evil.ckpt")
    with pytest.raises(ConfigError, match="not on membrane's list"):
        package.load(tmp_path / "evil.ckpt")


@pytest.mark.parametrize(("name", "content"), [("result.json", "{"), ("config.yaml", "a: [")])
def test_a_damaged_file_of_a_run_is_named(
    run: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_text(content)
    assert evaluate([str(run)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert name in line


def test_training_answers_a_damaged_result_as_evaluation_does(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "result.json").write_text("{")
    codes = evaluate([str(run)]), train([*SETTINGS, f"paths.run={run}"])
    lines = capsys.readouterr().err.splitlines()
    assert codes == (1, 1)
    assert len(lines) == 2
    assert lines[0] == lines[1]


def test_nothing_is_measured_unless_all_can_be(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(run), "timesteps=3,0"]) == 2
    assert not (run / "evaluations").exists()


def test_what_cannot_be_set_or_listed_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for override, line in (
        ("model.filters.a=3", "model.filters.a: no such setting in this run: "),
        ("dataset.task=[a]", "dataset.task: expected 'classification' or 'regression', got ['a']"),
        ("timesteps=range(1,1000000000)", "999999999 combinations of values: at most 10000 are tried at once"),
        ("model={a: b}", "model: no such setting"),
        ("chekpoint=last", "chekpoint: no such setting; did you mean checkpoint? valid: "),
        ("timesteps=1..t", "timesteps=1..t: expected a whole number, or 1..T, as far as the run goes, or 1..8"),
        ("timesteps=1...8", "timesteps=1...8: expected a whole number, or 1..T"),
    ):
        assert evaluate([str(run), override]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith(f"membrane: {line}") or "model" in override


def test_ctrl_c_keeps_what_was_measured(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from membrane.training import evaluation

    original = evaluation.measure_checkpoint

    def interrupted(checkpoint: Path, config: Config) -> Any:
        if config.timesteps == 3:
            raise KeyboardInterrupt
        return original(checkpoint, config)

    monkeypatch.setattr(evaluation, "measure_checkpoint", interrupted)
    assert evaluate([str(run), "timesteps=1,3"]) == 130
    assert capsys.readouterr().err == "membrane: stopped; what was measured is kept\n"
    assert len(list((run / "evaluations").iterdir())) == 1
