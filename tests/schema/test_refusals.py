"""A configuration that cannot run is refused before anything is written: exit code 2, one line, no folder."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import evaluate

Run = Callable[..., int]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["framework=multistep_tid", "dataset.size=300"], "size"),
        (["dataset.fold=6/5"], "dataset.fold: 6/5: there is no fold 6 of 5"),
        (["dataset.fold=1/5", "protocol=last"], "protocol=last has none: use protocol=val_best"),
        (["dataset.fold=1/5", "protocol=paper_best_on_test"], "protocol=paper_best_on_test has none: use protocol=val"),
        (["dataset.fold=1/5", "dataset.validation=0.2"], "both say what validates: leave one out"),
        (["dataset.leave_out=a"], "dataset.leave_out: expected the number of a group"),
        (["precision=16-mixed"], "this device has no precision=16-mixed: use precision=bf16-mixed"),
        (["trainer.devices=2"], "trainer.devices: must be 1, got 2"),
        (["callbacks=[early_stop]", "callbacks.early_stop.monitor=val/acc"], "use callbacks.early_stop.mode=max"),
        (["augmentation=[normalise]", "augmentation.normalise.mean=[0.1,0.2]"], "needs one mean and one std a channel"),
        (["neuron._target_=spikingjelly.activation_based.neuron.SimpleLIFNode"], "SimpleLIFNode: missing a required"),
        (["model=spikformer", "neuron=relu"], "model spikformer has no ANN twin"),
        (["model=spiking_vgg", "dataset=diabetes"], "model spiking_vgg is for 2-D data, dataset diabetes is 1-D"),
        (["model=ms_resnet", "neuron=sliding_psn", "framework=singlestep"], "use framework=multistep"),
        (["neuron=masked_psn", "neuron.lambda_init=0.5", "framework=singlestep"], "or neuron.lambda_init=1"),
        (["model.recurrent=linear", "neuron=relu"], "use model.recurrent=none or a spiking neuron"),
        (["model=smlp", "model.synapse_tau=2.0", "neuron=relu"], "leave it out or use a spiking neuron"),
        (["model=smlp", "model.max_delay=5", "neuron=relu"], "model.max_delay delays inputs in time"),
        (["model=smlp", "model.max_delay=0"], "max_delay"),
        (["optimizer.lr_delay=0.1"], "no layer of the model learns delays: use model=smlp model.max_delay=10"),
        (["model=smlp", "model.max_delay=5", "scheduler=cosine", "scheduler.delays=cosine"], "add optimizer.lr_delay"),
        (["optimizer.lr_delay=0.1", "scheduler=plateau", "scheduler.delays=cosine"], "plateau follows a metric"),
        (["model=smlp", "model.votes=10"], "votes=10 are of neurons behind the head: add head_neuron=true"),
        (["model.votes=10"], "votes=10 are of neurons behind the head: add head_neuron=true"),
        (["model=smlp", "model.head_detach_reset=true"], "head_detach_reset is of the neuron behind the head"),
        (["model=smlp", "model.head_potential=true"], "head_potential is of the neuron behind the head"),
        (["model=smlp", "model.head_neuron=true", "model.head_potential=true"], "needs neuron=leaky, got neuron=lif"),
        (["readout=crossings", "loss=cross_entropy"], "is one of its prediction: use loss=tet"),
        (["model.recurrent=linear", "neuron=psn"], "use model.recurrent=none or another neuron"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    typed: list[str], message: str, membrane: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert membrane("logger=csv", "trainer=cpu", *typed) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert [line for line in lines if line.startswith("membrane:")] == lines[-1:]
    assert not (tmp_path / "runs").exists()


def test_a_sweep_names_the_job_that_cannot_be_built_and_goes_on_without_it(
    membrane: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = (
        "-m",
        "logger=csv",
        "epochs=1",
        "timesteps=2",
        "threads=1",
        "figures=false",
        "model.filters=[4]",
        "model.kernel_sizes=3,50",
    )
    assert membrane(*sweep) == 2
    output = capsys.readouterr()
    assert "refused: logger=csv epochs=1" in output.out + output.err
    assert "model.kernel_sizes=50: conv1 has a window of 50" in output.out + output.err
    assert not (tmp_path / "runs" / "digits").exists()
    assert membrane(*sweep, "keep_going=true") == 1
    assert len(list((tmp_path / "runs").glob("digits/*/seed0"))) == 1


def test_secrets_are_masked_in_what_is_refused(membrane: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert membrane("-m", "seed=0,1", "+dataset.api_key=hunter2") == 2
    output = capsys.readouterr()
    assert "dataset.api_key=***" in output.out + output.err
    assert "hunter2" not in output.out + output.err


def test_evaluation_under_settings_that_the_weights_do_not_fit_is_one_line(
    small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("neuron=psn", "paths.run=run") == 0
    assert evaluate(["run", "timesteps=3"]) == 2
    assert "do not fit the trained weights" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_removes_no_file_of_the_persons(small: Run, tmp_path: Path) -> None:
    mine = [tmp_path / "multirun.yaml", tmp_path.parent / "multirun.yaml"]
    for path in mine:
        path.write_text("mine")
    assert small() == 0
    assert [path.read_text() for path in mine] == ["mine", "mine"]
    mine[1].unlink()


def test_what_was_typed_is_recorded_and_secrets_are_not(small: Run, tmp_path: Path) -> None:
    assert small("paths.run=run", "optimizer.lr=0.01") == 0
    command = json.loads((tmp_path / "run" / "provenance.json").read_text())["command"]
    assert command[-2:] == ["paths.run=run", "optimizer.lr=0.01"]


def test_a_gpu_that_is_not_there_is_refused(membrane: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert membrane("logger=csv", "trainer.accelerator=gpu") == 2
    assert (
        "membrane: trainer: No supported gpu backend found; trainer.accelerator=auto takes what there is"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "runs").exists()


def test_a_runs_folder_that_is_a_file_is_one_line(
    small: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert small("paths.runs=file") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("membrane: file/digits/")
    assert line.endswith(": file is a file, not a folder")


def test_a_runs_folder_that_cannot_be_made_fails_in_one_line(
    small: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = Path.mkdir

    def refuse(self: Path, *arguments: Any, **settings: Any) -> None:
        if "mine" in self.parts:
            raise PermissionError(13, "Permission denied", str(self))
        original(self, *arguments, **settings)

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert small("paths.runs=mine") == 1
    output = capsys.readouterr()
    assert re.search("membrane: the run's folder cannot be used: .*mine/digits/.*: Permission denied", output.out)
    assert "Traceback" not in output.out + output.err


def test_a_data_set_that_returns_something_else_is_told_what_is_wanted() -> None:
    from membrane.data.feed.module import DataModule
    from membrane.errors import DataError

    class Arrays:
        def load(self, root: Path, timesteps: int) -> tuple[str, str]:
            return "x", "y"

    arguments = {"root": Path(), "shape": [1, 2], "classes": 2, "timesteps": 2, "timesteps_in_data": False}
    module = DataModule(Arrays(), **arguments, protocol="last", batch_size=1, seed=0)
    with pytest.raises(DataError, match=r"load must return .*Samples, the training part is a str"):
        module.setup()
