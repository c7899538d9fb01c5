"""The lines with which a run begins, and the provenance that it writes."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import layer
from torch import nn

from membrane.errors import DataError
from membrane.runs import provenance
from membrane.runs.folder import RunFolder
from membrane.training.announcement import (
    announce,
    refuse_other_data,
    warn_of_other_conditions,
    write_provenance,
)
from membrane.training.assembly import build_data, build_learner

LEAST = ("model=smlp", "timesteps=2")
HASHES = {"data_hash": "a" * 64, "split_hash": "b" * 64}
MACHINE = {"processor": "one", "device": "cpu", "kernels": "ours"}
BATCH_NORM = "batch norm: in training, multi-step normalises over T·N at once, single-step at each timestep"


class NoNeuron(nn.Sequential):
    """A model of one's own that never calls ``neuron()``."""

    def __init__(self, input_shape: list[int], classes: int, timesteps: int, neuron: Callable[[], nn.Module]) -> None:
        super().__init__(layer.Flatten(), layer.Linear(64, classes))


class OneNeuron(nn.Sequential):
    """A model of one's own that calls it."""

    def __init__(self, input_shape: list[int], classes: int, timesteps: int, neuron: Callable[[], nn.Module]) -> None:
        super().__init__(layer.Flatten(), layer.Linear(64, classes), neuron())


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Return a function from a command line to the lines that its run begins with."""

    def announced(*typed: str) -> list[str]:
        config = configured(*LEAST, *typed)
        learner = build_learner(config)
        data = build_data(config, learner)
        data.setup()
        caplog.clear()
        with caplog.at_level(logging.INFO, "membrane"):
            announce(RunFolder(config), config, data, learner)
        return caplog.messages

    return announced


def test_a_run_says_what_it_trains_on_and_where_it_lies(lines: Callable[..., list[str]]) -> None:
    begun = lines("epochs=7", "paths.run=somewhere")
    assert begun == [
        "data: digits (1221 train, 216 val, 360 test), protocol val_best, split d5154998eb7e",
        "augmentation: no augmentation",
        "precision: 32-true",
        "epochs: 0 to 6, as in metrics.csv and the figures",
        "folder: somewhere",
    ]
    begun = lines("protocol=last", "precision=bf16-mixed", "trainer.channels_last=true", "paths.run=there")
    assert begun[0].startswith("data: digits (1437 train, 360 test), protocol last, split ")
    assert begun[2] == "precision: bf16-mixed, channels last"


@pytest.mark.parametrize(
    ("shape", "timed", "line"),
    [
        ((12, 16, 16, 3), False, "data: each sample is [C,H,W] = [3, 16, 16], 2 classes"),
        ((12, 6, 5, 2), True, "data: each sample is [T,C,S] = [6, 2, 5], 2 classes"),
        ((12, 3, 16, 16), False, "data: each sample is [C,H,W] = [16, 3, 16], 2 classes; if x has its channels first"),
        ((12, 28, 28), False, "data: each sample is [C,S] = [28, 28], 2 classes; if x are images without an axis"),
    ],
)
def test_the_axes_of_own_arrays_are_named(tmp_path, lines, shape: tuple[int, ...], timed: bool, line: str) -> None:
    x, y = np.zeros(shape, np.float32), np.arange(12) % 2
    np.savez(tmp_path / "my.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    typed = ["framework=multistep_tid", "dataset.timesteps_in_data=true", "timesteps=6"] if timed else []
    begun = lines("dataset=arrays", f"dataset.path={tmp_path}/my.npz", "model=smlp", *typed)
    (about,) = [each for each in begun if each.startswith("data: each")]
    assert about == line if "; if" not in line else about.startswith(line)


def test_only_multi_step_with_spikes_is_told_of_its_batch_norm(lines: Callable[..., list[str]]) -> None:
    norm, few = "model.norm=batch", "epochs=1"
    assert BATCH_NORM in lines("framework=multistep", norm, few)
    assert BATCH_NORM not in lines("framework=multistep", few)
    assert BATCH_NORM not in lines("framework=singlestep", norm, few)
    assert BATCH_NORM not in lines("framework=multistep", "neuron=relu", norm, few)


def test_a_warning_of_length_and_of_data_is_for_real_runs(lines: Callable[..., list[str]]) -> None:
    short = ("scheduler.warmup=1", "dataset.validation=0.02", "epochs=1")
    beginnings = ("scheduler.warmup=1 takes all", "only 29 validation samples")
    begun = lines(*short)
    assert [sum(line.startswith(each) for line in begun) for each in beginnings] == [1, 1]
    begun = lines(*short, "debug=overfit")
    assert [sum(line.startswith(each) for line in begun) for each in beginnings] == [0, 0]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (("neuron=lif",), None),
        (("neuron=relu",), "surrogate: none, relu takes none"),
        (("neuron=ifsrl", "surrogate=sigmoid", "surrogate.alpha=1"), None),
        (
            ("neuron=ifsrl", "surrogate=sigmoid", "surrogate.alpha=2"),
            "surrogate: sigmoid, alpha 2.0; ifsrl was published with surrogate=sigmoid surrogate.alpha=1",
        ),
        (
            ("neuron=atif", "surrogate=atan"),
            "surrogate: atan, alpha 2.0; atif was published with surrogate=sigmoid surrogate.alpha=1",
        ),
    ],
)
def test_another_surrogate_than_the_published_one_is_named(
    lines: Callable[..., list[str]], typed: tuple[str, ...], line: str | None
) -> None:
    begun = [each for each in lines(*typed) if each.startswith("surrogate")]
    assert begun == ([] if line is None else [line])


@pytest.mark.parametrize(("name", "warned"), [("NoNeuron", True), ("OneNeuron", False)])
def test_a_model_without_the_neuron_of_its_configuration_is_warned(
    lines: Callable[..., list[str]], name: str, warned: bool
) -> None:
    own = f"{__name__}.{name}"
    begun = lines(f"model={{_target_: {own}}}", f"trust=[{own}]")
    assert ("neuron: the model has no lif, so neuron=… changes nothing" in begun) is warned


# provenance


@pytest.fixture
def recorded() -> dict[str, Any]:
    """What a run of this code and these versions wrote, as far as it is compared."""
    code = {"code_digest": provenance.code_digest(), "versions": dict(provenance.library_versions())}
    return {**HASHES, **MACHINE, **code}


def test_a_resumed_run_is_warned_of_what_else_has_changed(
    recorded: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_other_conditions(recorded, recorded)
    assert caplog.messages == []
    warn_of_other_conditions({**recorded, "code_digest": "0" * 64, "kernels": "theirs", "device": "cuda"}, recorded)
    changes = f"code {'0' * 12} → {recorded['code_digest'][:12]}, device cuda → cpu, kernels theirs → ours"
    assert caplog.messages == [f"resumed under other conditions ({changes}): the result is no longer that of one code"]


@pytest.mark.parametrize("name", list(HASHES))
def test_a_run_goes_on_with_its_data_only(tmp_path: Path, name: str) -> None:
    folder, data = RunFolder(configured(f"paths.run={tmp_path}/run")), cast("Any", SimpleNamespace(**HASHES))
    (tmp_path / "run").mkdir()
    for earlier in (HASHES, {key: value for key, value in HASHES.items() if key != name}):
        folder.write("provenance.json", earlier)
        refuse_other_data(folder, data)
    folder.write("provenance.json", {**HASHES, name: "0" * 64})
    with pytest.raises(DataError, match=rf"\({name} {'0' * 12} → {HASHES[name][:12]}\); rerun=true"):
        refuse_other_data(folder, data)


def test_provenance_keeps_what_every_earlier_start_wrote(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = configured(*LEAST, f"paths.run={tmp_path}", "threads=1", "seed=3", "trainer.compile=true")
    learner = build_learner(config)
    data = build_data(config, learner)
    data.setup()
    folder = RunFolder(config)

    def written(resumed: bool) -> dict[str, Any]:
        write_provenance(folder, config, data, learner, torch.device("cpu"), resumed)
        return folder.read("provenance.json") or {}

    first = written(False)
    assert first["seed"] == 3
    assert first["threads"] == torch.get_num_threads()
    assert (first["data_hash"], first["split_hash"]) == (data.data_hash, data.split_hash)
    assert first["device"] == "cpu"
    assert first["kernels"].endswith("; in training the model is compiled by torch")
    assert "earlier" not in first
    assert written(True)["earlier"] == [first]
    assert written(True)["earlier"] == [first, first]
    assert "earlier" not in written(False)


def test_only_spiking_networks_are_told_what_computes_their_neurons(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for neuron, told in (("lif", 1), ("relu", 0)):
        config = configured(*LEAST, f"neuron={neuron}", f"paths.run={tmp_path / neuron}")
        learner = build_learner(config)
        data = build_data(config, learner)
        data.setup()
        caplog.clear()
        with caplog.at_level(logging.INFO, "membrane"):
            write_provenance(RunFolder(config), config, data, learner, torch.device("cpu"))
        assert len(caplog.messages) == told
