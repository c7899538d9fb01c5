"""A run that was stopped gets its numbers: from its checkpoints as they are, or as a result that says so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import evaluate
from run_paths import only
from sklearn.metrics import accuracy_score

from membrane.runs.table import read_rows
from membrane.training import checkpoints

Run = Callable[..., int]
EPOCHS = 5


@pytest.fixture
def stopped(small: Run, stop_at: Callable[[int], None]) -> Callable[..., Path]:
    """Start a run of five epochs, 20 steps and 4 batches of validation each, and stop it at a look; its folder."""

    def run(look: int, *arguments: str) -> Path:
        stop_at(look)
        assert small(f"epochs={EPOCHS}", *arguments) == 75
        return only("digits/*/seed0")

    return run


@pytest.fixture
def in_third_epoch(stopped_runs: Path, membrane: Run) -> Path:
    """Return the folder of a run of five epochs, in the working directory, that was stopped in the third."""
    shutil.copytree(stopped_runs, "runs")
    return only("digits/*/seed0")


def result_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def test_a_stopped_run_is_ended_by_the_same_command_with_finish(in_third_epoch: Path, small: Run) -> None:
    run = in_third_epoch
    last = checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert small(f"epochs={EPOCHS}", "finish=true", "save_outputs=readout") == 0
    result = result_of(run)
    step = last["global_step"]
    assert 40 < step < 60
    assert result["ended"] == f"finish=true at step {step}, after 2 of {EPOCHS} epochs"
    assert (result["status"], result["epochs"]) == ("finished", 2)
    assert result["samples_per_second"] == pytest.approx((2 * 1221 + 64 * (step - 40)) / result["fit_seconds"], rel=0.2)
    rows = read_rows(run / "metrics.csv")
    assert max(row["step"] for row in rows) <= step
    best = max((row for row in rows if "val/acc" in row), key=lambda row: (row["val/acc"], -row["val/loss"]))
    assert result["best"]["epoch"] == best["epoch"]
    assert result["metrics"]["val/acc"] == pytest.approx(best["val/acc"], abs=1e-9)
    saved = np.load(run / "outputs" / "test.npz")
    assert result["metrics"]["test/acc"] == pytest.approx(accuracy_score(saved["label"], saved["output"].argmax(1)))
    assert checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == step


def test_what_was_ended_is_finished_evaluates_and_can_be_extended(
    in_third_epoch: Path, small: Run, membrane: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_third_epoch
    assert small(f"epochs={EPOCHS}", "finish=true") == 0
    capsys.readouterr()
    assert small(f"epochs={EPOCHS}") == 0
    assert f"after 2 of {EPOCHS} epochs" in capsys.readouterr().out
    assert evaluate([str(run), "checkpoint=best,last"]) == 0
    assert capsys.readouterr().out.count("came back to the last digit") == 2
    assert membrane(f"extend={run}", f"epochs={EPOCHS}", "name=longer", "logger=csv") == 0
    longer = result_of(only("longer/*/seed0"))
    assert longer["epochs"] == EPOCHS
    assert "ended" not in longer
    table = run / "metrics.csv"
    table.write_bytes(table.read_bytes()[:-3])
    capsys.readouterr()
    assert membrane(f"extend={run}", f"epochs={EPOCHS + 1}", "name=damaged", "logger=csv") == 2
    output = capsys.readouterr()
    assert output.out == ""  # not even the model's summary
    assert f"extend={run} cannot be continued: {table}: damaged (shorter than its checkpoint says)" in output.err
    assert "rerun" not in output.err
    assert not list(Path("runs").glob("damaged*"))


def test_finish_after_the_last_epoch_ends_nothing_early(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("membrane.training.results.finish", None)
        assert small("epochs=2") == 1
    assert small("epochs=2", "finish=true") == 0
    result = result_of(only("digits/*/seed0"))
    assert result["epochs"] == 2
    assert "ended" not in result
    assert small("epochs=2", "name=whole") == 0
    assert result_of(only("whole/*/seed0"))["metrics"] == result["metrics"]


def test_a_run_without_selection_is_ended_by_its_last_step(stopped: Callable[..., Path], small: Run) -> None:
    run = stopped(7, "protocol=last")
    assert small(f"epochs={EPOCHS}", "protocol=last", "finish=true") == 0
    result = result_of(run)
    assert result["ended"] == f"finish=true at step 7, after 0 of {EPOCHS} epochs"
    assert result["metrics"]["test/acc"] == result["metrics"]["test_last/acc"]


def test_a_damaged_last_checkpoint_is_replaced_by_the_one_before(in_third_epoch: Path, small: Run) -> None:
    run = in_third_epoch
    with (run / "checkpoints" / "last.ckpt").open("r+b") as file:
        file.truncate(1000)
    assert small(f"epochs={EPOCHS}", "finish=true") == 0
    assert result_of(run)["ended"] == f"finish=true after 2 of {EPOCHS} epochs"


def test_what_was_killed_before_its_best_checkpoint_was_written_is_ended_with_it(
    small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_checkpoint = checkpoints.link_checkpoint

    def dies(source: Path, path: Path) -> None:
        if path.name == "best.ckpt" and checkpoints.read_checkpoint(source)["global_step"] == 40:
            raise RuntimeError("killed")
        link_checkpoint(source, path)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "link_checkpoint", dies)
        assert small(f"epochs={EPOCHS}") == 1
    assert small(f"epochs={EPOCHS}", "finish=true") == 0
    result = result_of(only("digits/*/seed0"))
    assert result["ended"] == f"finish=true after 2 of {EPOCHS} epochs"
    assert result["best"]["step"] == 40
    assert result["metrics"]["test/acc"] == result["metrics"]["test_last/acc"]


def test_where_there_is_nothing_to_end_a_line_says_so(
    stopped: Callable[..., Path], small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("finish=true") == 2
    run = stopped(5)
    for changes, line in (
        ((), "has validated no epoch yet, so none is selected; without finish=true the run goes on"),
        (("rerun=true",), "rerun=true would move it aside: say one of them"),
        (("debug=fast",), "a debug run leaves no result"),
    ):
        assert small(f"epochs={EPOCHS}", "finish=true", *changes) == 2
        assert line in capsys.readouterr().err
    assert not (run / "result.json").exists()
    assert small(f"epochs={EPOCHS}") == 0


def test_an_unfinished_run_is_evaluated_and_told_to_be_one(
    in_third_epoch: Path, small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_third_epoch
    step = checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    capsys.readouterr()
    assert evaluate([str(run), "checkpoint=best,last"]) == 0
    printed = capsys.readouterr().out
    assert f"{run} is unfinished: its last.ckpt was written at step {step}, after 2 of {EPOCHS} epochs" in printed
    files = {path.name: json.loads(path.read_text()) for path in (run / "evaluations").iterdir()}
    fingerprint = run.parent.name
    best, last = files[f"{fingerprint}.json"], files[f"{fingerprint}.last.json"]
    assert (best["checkpoint"], last["checkpoint"], last["step"]) == ("best.ckpt", "last.ckpt", step)
    assert not best["finished"]
    assert best["parent"] == {"fingerprint": fingerprint, "seed": 0}
    assert small(f"epochs={EPOCHS}", "finish=true") == 0
    metrics = result_of(run)["metrics"]
    for measured, prefix in ((best, "test"), (last, "test_last")):
        assert {f"{prefix}/{name.partition('/')[2]}": value for name, value in measured["metrics"].items()} == {
            name: value for name, value in metrics.items() if name.startswith(f"{prefix}/")
        }


def test_a_checkpoint_file_is_evaluated_wherever_it_lies(
    in_third_epoch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_third_epoch
    for name in ("best.ckpt", "previous.ckpt"):
        assert evaluate([str(run / "checkpoints" / name)]) == 0
    assert len(list((run / "evaluations").iterdir())) == 2
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    capsys.readouterr()
    assert evaluate([str(alone), "timesteps=2"]) == 0
    undigested, first, numbers, *_ = capsys.readouterr().out.splitlines()
    assert undigested == f"{alone} has no alone.ckpt.sha256 beside it: only the checksums inside it were compared"
    assert f"{alone} was written at step" in first
    recorded = json.loads(next((run / "evaluations").glob("*.json")).read_text())
    assert f"test/acc {100 * recorded['metrics']['test/acc']:.2f} %" in numbers
    assert {path.name for path in tmp_path.iterdir()} == {"alone.ckpt", "runs"}


def test_a_run_without_a_checkpoint_has_no_numbers(
    stopped: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = stopped(5)
    capsys.readouterr()
    assert evaluate([str(run), "checkpoint=best"]) == 2
    assert evaluate([str(run), "checkpoint=worst"]) == 2
    assert evaluate([str(run), "finish=true"]) == 2
    (run / "checkpoints" / "last.ckpt").unlink()
    assert evaluate([str(run)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(f"{run} has no best checkpoint")
    assert lines[1].endswith("checkpoint=worst: expected best or last")
    assert "goes with the command that began the run" in lines[2]
    assert lines[3].endswith(f"{run} is unfinished and has no checkpoint yet")
