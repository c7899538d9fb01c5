"""Starting from another run's weights: what is taken, what is not, and what is refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from configurations import configured
from torch import nn

import membrane as package
from membrane.data.feed.division import Division
from membrane.data.samples import Samples
from membrane.errors import ConfigError
from membrane.files.digest import sha256
from membrane.neurons.normalised_lif import MPBNLIF
from membrane.runs.fingerprint import fingerprint
from membrane.schema import Extend, Init
from membrane.training import checkpoints
from membrane.training.initial import (
    copy_from,
    require_extendable,
    require_unseen_test_share,
    start_from,
    trained_on_validation_part,
)

Run = Callable[..., int]


def saved(path: Path, **tensors: torch.Tensor) -> Path:
    """A checkpoint that holds these tensors of a model."""
    state = {f"model.{name.replace('__', '.')}": tensor for name, tensor in tensors.items()}
    checkpoints.write_checkpoint({"membrane": {}, "state_dict": {**state, "loss.weight": torch.ones(1)}}, path)
    return path


def init(path: Path, *skip: str) -> Init:
    return Init(path=str(path), skip=list(skip), sha256=sha256(path))


@pytest.fixture
def tiny() -> nn.Module:
    """fc1 → neuron1 (a learned τ) → head."""
    from spikingjelly.activation_based import neuron

    net = nn.Sequential()
    net.add_module("fc1", nn.Linear(2, 3))
    net.add_module("neuron1", neuron.ParametricLIFNode())
    net.add_module("head", nn.Linear(3, 4))
    return net


FITTING = {
    "fc1__weight": torch.full((3, 2), 5.0),
    "fc1__bias": torch.full((3,), 6.0),
    "head__weight": torch.full((4, 3), 7.0),
    "head__bias": torch.full((4,), 8.0),
}


def test_weights_are_taken_and_a_neurons_own_parameter_may_be_missing(tiny: nn.Module, tmp_path: Path) -> None:
    tau = tiny.get_parameter("neuron1.w").item()
    start_from(init(saved(tmp_path / "a.ckpt", **FITTING)), tiny)
    assert {name: parameter.unique().item() for name, parameter in tiny.named_parameters()} == {
        "fc1.weight": 5, "fc1.bias": 6, "neuron1.w": tau, "head.weight": 7, "head.bias": 8,
    }  # fmt: skip


def test_a_neurons_own_parameter_is_taken_where_both_have_it_and_left_where_this_one_has_not(
    tiny: nn.Module, tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.ckpt", **FITTING, neuron1__w=torch.tensor(0.75), neuron1__k=torch.tensor(2.0))
    start_from(init(path), tiny)
    assert tiny.get_parameter("neuron1.w").item() == 0.75


def test_the_norm_of_a_neuron_is_its_own_parameter(tiny: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", **FITTING, neuron1__norm__weight=torch.ones(3))
    assert start_from(init(path), tiny).endswith("; left: neuron1.norm.weight")
    tiny.neuron1 = MPBNLIF()
    tiny(torch.zeros(2, 2))
    start_from(init(saved(tmp_path / "b.ckpt", **FITTING)), tiny)
    assert tiny.get_parameter("head.bias").tolist() == [8] * 4


def test_a_skipped_module_begins_anew_whatever_its_shape(tiny: nn.Module, tmp_path: Path) -> None:
    before = tiny.get_parameter("head.weight").clone()
    for head in (torch.zeros(4, 3), torch.zeros(9, 3)):
        path = saved(tmp_path / f"{len(head)}.ckpt", **{**FITTING, "head__weight": head})
        start_from(init(path, "head"), tiny)
        assert torch.equal(tiny.get_parameter("head.weight"), before)
        assert (tiny.get_parameter("fc1.weight") == 5).all()


@pytest.mark.parametrize(
    ("changes", "skip", "message"),
    [
        ({"head__weight": torch.zeros(9, 3)}, (), r"init: head.weight is \[9, 3\] in the checkpoint and is \[4, 3\]"),
        (
            {"fc2__weight": torch.zeros(2)},
            (),
            r"fc2.weight is \[2\] in the checkpoint and does not exist in this model",
        ),
        ({"head__bias": None}, (), r"head.bias does not exist in the checkpoint and is \[4\] .*: init.skip=\[head\]"),
        ({}, ("tail",), r"init.skip: neither the model nor the checkpoint has tail; the model has fc1, neuron1, head"),
    ],
)
def test_what_does_not_fit_is_one_line(
    changes: dict[str, Any], skip: tuple[str, ...], message: str, tiny: nn.Module, tmp_path: Path
) -> None:
    tensors = {name: tensor for name, tensor in {**FITTING, **changes}.items() if tensor is not None}
    with pytest.raises(ConfigError, match=message):
        start_from(init(saved(tmp_path / "a.ckpt", **tensors), *skip), tiny)


def test_a_checkpoint_that_changed_is_refused(tiny: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", **FITTING)
    settings = init(path)
    saved(path, **{**FITTING, "head__bias": torch.zeros(4)})
    with pytest.raises(ConfigError, match="is not the checkpoint that it was"):
        start_from(settings, tiny)


@pytest.mark.parametrize("names", [("last",), ("best", "last")])
def test_the_table_and_checkpoints_of_the_run_that_is_extended_are_copied(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    former, folder = tmp_path / "former", tmp_path / "new"
    (former / "checkpoints").mkdir(parents=True)
    (former / "metrics.csv").write_text("epoch,step\n0,1\n")
    for name in names:
        saved(former / "checkpoints" / f"{name}.ckpt", fc1__bias=torch.rand(2))
    (former / "result.json").touch()
    last = former / "checkpoints" / "last.ckpt"
    copy_from(Extend(path=str(former), sha256=sha256(last)), folder)
    copied = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (former / "result.json").unlink()
    assert copied == {path.relative_to(former): path.read_bytes() for path in former.rglob("*") if path.is_file()}
    last.write_bytes(b"another")
    with pytest.raises(
        ConfigError, match=r"extend=.*former is not the run that it was: its last checkpoint is another"
    ):
        copy_from(Extend(path=str(former), sha256=sha256(folder / "checkpoints" / "last.ckpt")), tmp_path / "newer")
    assert not (tmp_path / "newer").exists()


def test_a_damaged_file_of_the_run_that_is_extended_is_named(tmp_path: Path) -> None:
    last, table = tmp_path / "checkpoints" / "last.ckpt", tmp_path / "metrics.csv"
    table.write_text("epoch,step\n0,1\n")
    progress = {"fit_loop": {"epoch_progress": {"current": {"processed": 1, "ready": 1}}}}
    resumed = {"epoch": 0, "global_step": 1, "loops": progress, "optimizer_states": []}
    resumed |= {"membrane": {}, "state_dict": {}, "callbacks": {"Recorder": {"bytes": table.stat().st_size}}}
    checkpoints.write_checkpoint(resumed, last)
    extend = Extend(path=str(tmp_path), sha256=sha256(last))
    require_extendable(extend)

    def check_refused(message: str) -> None:
        with pytest.raises(ConfigError, match=rf"^extend=\S+ cannot be continued: {message}") as refused:
            require_extendable(extend)
        assert "rerun" not in str(refused.value)

    table.write_text("epoch,step\n0,?\n")
    check_refused(r"\S+/metrics\.csv: damaged")
    whole = last.read_bytes()
    last.write_bytes(whole[:-1])
    check_refused(r"\S+/last\.ckpt: damaged")
    checkpoints.digest_file(last).unlink()
    check_refused(r"\S+/last\.ckpt: its digest file last\.ckpt\.sha256 is missing")
    del resumed["loops"]
    checkpoints.write_checkpoint(resumed, last)
    check_refused(r"\S+/last\.ckpt: training cannot go on from it, it has no loops:")


def test_the_fingerprint_knows_the_digest_and_not_the_path(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first.ckpt", "second.ckpt", "other.ckpt"))
    saved(first, **FITTING)
    second.write_bytes(first.read_bytes())
    saved(other, **{**FITTING, "head__bias": torch.zeros(4)})
    prints = [fingerprint(configured(f"init={path}")) for path in (first, second, other)]
    assert prints[0] == prints[1]
    without = fingerprint(configured())
    skipping = fingerprint(configured(f"init={first}", "init.skip=[head]"))
    assert len({*prints, without, skipping}) == 4
    assert configured(f"init={first}").init.sha256 == sha256(first)
    with pytest.raises(ConfigError, match=r"init: .*nowhere: neither a run folder with checkpoints nor a checkpoint"):
        configured(f"init={tmp_path}/nowhere")
    with pytest.raises(ConfigError, match=r"init: https.*: only files on this machine"):
        configured("init='https://example.org/a.ckpt'")


def test_an_anns_weights_start_its_snn_and_the_run_remembers(small: Run, tmp_path: Path) -> None:
    assert small("name=ann", "neuron=relu", "paths.run=ann") == 0
    assert small("name=snn", "neuron=plif", "paths.run=snn", "init=ann", "optimizer.lr=1e-12") == 0
    ann, snn = package.load("ann").model, package.load("snn").model
    for name, parameter in ann.named_parameters():
        torch.testing.assert_close(snn.get_parameter(name), parameter, atol=1e-6, rtol=1e-4)
    assert "begun anew: neuron1.w" in (tmp_path / "snn" / "run.log").read_text()
    # what it started from may be gone: the run needs it no more
    (tmp_path / "ann").rename(tmp_path / "elsewhere")
    assert isinstance(package.load("snn").model, nn.Module)


def test_weights_that_do_not_fit_are_refused_before_a_folder_is_made(
    small: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("paths.run=first") == 0
    assert small("paths.run=second", "init=first", "model.units=[17]") == 2
    assert "init: fc1" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()


def test_what_only_the_checkpoint_has_is_refused_unless_it_is_skipped(tiny: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", **FITTING, neuron1__rc__weight=torch.zeros(3, 6))
    with pytest.raises(ConfigError, match=r"neuron1.rc.weight is .* does not exist .*: init.skip=\[neuron1.rc\]"):
        start_from(init(path), tiny)
    assert "left: neuron1.rc.weight" in start_from(init(path, "neuron1.rc"), tiny)


def test_a_neurons_parameter_of_another_shape_is_refused(tiny: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", **FITTING, neuron1__w=torch.zeros(4, 4))
    with pytest.raises(ConfigError, match=r"neuron1.w is \[4, 4\] .* init.skip=\[neuron1\] leaves it out"):
        start_from(init(path), tiny)


DIGITS = "membrane.data.digits.Digits"
SAMPLES_THAT_VALIDATE = [
    # the former run; this one; whether the data's own part validates; what the line names
    ({"protocol": "last"}, (), False, "with protocol=last these"),
    ({"protocol": "paper_best_on_test"}, (), True, "with protocol=paper_best_on_test these"),
    ({}, ("dataset.fold=1/5",), False, "with dataset.fold=null these"),
    ({"dataset": {"fold": "2/5"}}, ("dataset.fold=1/5",), False, "with dataset.fold=2/5 these"),
    ({"dataset": {"split_seed": "${seed}"}, "seed": 3}, (), False, "with dataset.split_seed=3 these"),
    ({"dataset": {"validation": 0.1}}, ("dataset.split_seed=1",), False, "validation=0.1, dataset.split_seed=0 these"),
    ({"dataset": {"leave_out": [2, 1]}}, ("dataset.leave_out=1",), False, "with dataset.leave_out=[1, 2] these"),
    # the same samples train
    ({}, (), False, None),
    ({"protocol": "val_best", "dataset": {"split_seed": 0}}, (), False, None),
    ({"dataset": {"fold": "1/5"}}, ("dataset.fold=1/5",), False, None),
    ({"dataset": {"leave_out": 1}}, ("dataset.leave_out=[1]",), False, None),
    ({"dataset": {"split_seed": 4}}, ("dataset.validation=0.1",), True, None),
    # nothing validates, or another data set
    ({}, ("protocol=last",), False, None),
    ({"protocol": "last", "dataset": {"_target_": "membrane.data.idx.MNIST"}}, (), False, None),
]


@pytest.mark.parametrize(("former", "typed", "official", "named"), SAMPLES_THAT_VALIDATE)
def test_weights_that_know_the_samples_that_validate_are_told(
    former: dict[str, Any], typed: tuple[str, ...], official: bool, named: str | None, tmp_path: Path
) -> None:
    config = {**former, "dataset": {"_target_": DIGITS, **former.get("dataset", {})}}
    checkpoints.write_checkpoint({"membrane": {"config": config}, "state_dict": {}}, tmp_path / "a.ckpt")
    line = trained_on_validation_part(configured(f"init={tmp_path}/a.ckpt", *typed), official)
    assert (line is None) if named is None else (line is not None and named in line)


def test_weights_that_know_the_share_that_is_tested_are_refused(tmp_path: Path) -> None:
    config = {"dataset": {"_target_": DIGITS, "test_share": 0.5}}
    checkpoints.write_checkpoint({"membrane": {"config": config}, "state_dict": {}}, tmp_path / "a.ckpt")
    samples = Samples(torch.zeros(40, 1, 2), torch.arange(40) % 2)
    require = partial(require_unseen_test_share, tmp_path / "a.ckpt")
    settings = {"protocol": "last", "task": "classification"}
    with pytest.raises(ConfigError, match=r"dataset.test_share=0.2 tests on samples that the weights were trained on"):
        require(configured().dataset, Division([samples], **settings))
    require(configured("dataset.test_share=0.5").dataset, Division([samples], **settings))
    require(configured().dataset, Division([samples, samples], **settings))  # the data set's own test part


def test_a_run_tells_so_as_it_begins(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("paths.run=all", "protocol=last") == 0
    assert small("paths.run=again", "init=all", "protocol=last") == 0
    assert "samples that validate here" not in capsys.readouterr().out
    assert small("paths.run=selected", "init=all") == 0
    assert "init: with protocol=last these weights were trained on samples that validate" in capsys.readouterr().out
