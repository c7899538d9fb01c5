"""Groups of parameters: what each step does to each of them, by hand and by torch's own optimisers and schedules."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from configurations import configured
from torch import nn
from torch.optim import lr_scheduler

from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint
from membrane.schema import Config
from membrane.training.assembly import build_learner
from membrane.training.optimizers import build_optimizer, describe_groups, parameter_groups
from membrane.training.schedules import build_schedule

SMALL = ("model=scnn", "model.filters=[4]", "model.kernel_sizes=3", "model.pool_sizes=2", "timesteps=2")
OWN = """
import torch

class Plain(torch.optim.Optimizer):
    def __init__(self, params, lr=0.5, **more):
        super().__init__(params, {"lr": lr, **more})

    def step(self, closure=None):
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    weight -= group["lr"] * (weight.grad + group.get("weight_decay", 0) * weight)
"""


def set_gradients(module: nn.Module, value: float) -> None:
    """Give every parameter the same gradient everywhere."""
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, value)


def changes(module: nn.Module, step: Callable[[], Any]) -> dict[str, torch.Tensor]:
    """Return the difference that a step makes to each parameter, by name without ``model.``"""
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    step()
    return {
        name.removeprefix("model."): parameter.detach() - before[name] for name, parameter in module.named_parameters()
    }


@pytest.mark.parametrize(
    ("typed", "decayed"),
    [
        (("neuron=glif",), {"conv1.weight", "head.weight"}),
        (("neuron=psn", "model.norm=tebn"), {"conv1.weight", "head.weight"}),
        (
            ("neuron=plif", "model.norm=bntt", "model.recurrent=linear"),
            {"conv1.weight", "head.weight", "neuron1.element_wise_function.rc.weight"},
        ),
    ],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_spares_biases_norms_and_neurons(
    optimizer: str, typed: tuple[str, ...], decayed: set[str]
) -> None:
    """Without a gradient a step is decay alone: −lr·decay·w."""
    chosen = (f"optimizer={optimizer}", "optimizer.lr=0.5", "optimizer.weight_decay=0.1", *SMALL, *typed)
    for on in ("all", "weights"):
        config = configured(*chosen, f"optimizer.weight_decay_on={on}")
        learner = build_learner(config)
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter.fill_(2.0)
        set_gradients(learner, 0.0)
        changed = changes(learner, build_optimizer(config, learner).step)
        assert {name for name, change in changed.items() if change.any()} == (set(changed) if on == "all" else decayed)
        for name in decayed:
            torch.testing.assert_close(changed[name], torch.full_like(changed[name], -0.5 * 0.1 * 2.0))


SCHEDULES: dict[str, tuple[tuple[str, ...], Callable[[torch.optim.Optimizer, float], Any]]] = {
    "constant": ((), lambda optimizer, _: lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)),
    "cosine": (
        ("scheduler.eta_min=0.05",),
        lambda optimizer, ratio: lr_scheduler.CosineAnnealingLR(optimizer, 6, eta_min=0.05 * ratio),
    ),
    "multistep": (
        ("scheduler.milestones=[2,3]", "scheduler.gamma=0.5"),
        lambda optimizer, _: lr_scheduler.MultiStepLR(optimizer, [2, 3], gamma=0.5),
    ),
    "one_cycle": (
        ("scheduler.max_lr=0.4",),
        lambda optimizer, ratio: lr_scheduler.OneCycleLR(optimizer, 0.4 * ratio, total_steps=6),
    ),
}
"""Choice → its settings over six steps, and the same of torch for a rate that is ``ratio`` times 0.1."""


@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_a_schedule_scales_all_rates_alike(scheduler: str) -> None:
    """All gradients are 1; each parameter has an optimiser and a schedule of torch's to itself beside it."""
    settings, reference = SCHEDULES[scheduler]
    by = () if scheduler == "one_cycle" else ("scheduler.interval=step",)
    own = ("optimizer.lr=0.1", "optimizer.momentum=0", "optimizer.lr_tau=0.03", "optimizer.lr_threshold=0.7")
    config = configured("optimizer=sgd", *own, f"scheduler={scheduler}", *by, *settings, "neuron=glif", *SMALL)
    learner = build_learner(config)
    optimizer = build_optimizer(config, learner)
    schedule = build_schedule(config, optimizer, 6, 2)["scheduler"]
    rates = {"neuron1.tau": 0.03, "neuron1.v_threshold": 0.7, "conv1.weight": 0.1, "neuron1.conduct": 0.1}
    alone = {name: nn.Linear(1, 1, bias=False) for name in rates}
    torchs = {name: torch.optim.SGD(alone[name].parameters(), lr=rate) for name, rate in rates.items()}
    schedules = [reference(torchs[name], rate / 0.1) for name, rate in rates.items()]
    for _ in range(6):
        for module in (learner, *alone.values()):
            set_gradients(module, 1.0)
        changed = changes(learner, optimizer.step)
        for name, each in torchs.items():
            [expected] = changes(alone[name], each.step).values()
            expected = expected.flatten()[0].expand_as(changed[name])
            torch.testing.assert_close(changed[name], expected, rtol=1e-4, atol=1e-6)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(torchs["conv1.weight"].param_groups[0]["lr"])
        for each in (schedule, *schedules):
            each.step()


@pytest.mark.parametrize(
    ("settings", "momenta"),
    [
        ((), [0.95, 0.85, 0.875, 0.925, 0.95]),
        (("scheduler.base_momentum=0.5", "scheduler.max_momentum=0.9"), [0.9, 0.5, 0.6, 0.8, 0.9]),
        (("scheduler.cycle_momentum=false",), [0.3] * 5),
    ],
)
def test_the_momentum_goes_against_the_rate_or_stays(settings: tuple[str, ...], momenta: list[float]) -> None:
    """One step of rise and three of fall: cos(π·k/3) = 1, ½, −½, −1."""
    cycle = ("scheduler=one_cycle", "scheduler.max_lr=0.4", "scheduler.pct_start=0.4", *settings)
    config = configured("optimizer=sgd", "optimizer.momentum=0.3", *cycle, *SMALL)
    learner = build_learner(config)
    optimizer = build_optimizer(config, learner)
    schedule = build_schedule(config, optimizer, 5, 1)["scheduler"]
    seen = []
    for _ in momenta:
        set_gradients(learner, 0.0)
        optimizer.step()
        seen.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    assert seen == pytest.approx(momenta)


def test_a_plateau_scales_all_rates_alike_down_to_its_least() -> None:
    own = ("optimizer.lr=0.1", "optimizer.lr_tau=0.001", "scheduler=plateau", "scheduler.patience=0")
    config = configured("optimizer=sgd", *own, "scheduler.min_lr=0.005", "scheduler.warmup=1", "neuron=plif", *SMALL)
    learner = build_learner(config)
    optimizer = build_optimizer(config, learner)
    schedule = build_schedule(config, optimizer, 60, 6)["scheduler"]
    seen = []
    for loss in (1.0, 1.0, 1.0, 1.0):
        set_gradients(learner, 0.0)
        optimizer.step()
        seen.append([group["lr"] for group in optimizer.param_groups])
        schedule.step(loss)
    first = [0.05, 0.1, 0.1, 0.01]
    assert seen == [pytest.approx([rate, rate / 100]) for rate in first]


def test_delays_fall_along_a_cosine_of_their_own_beside_a_cycle() -> None:
    """torch's cosine over the whole run for the delays, its cycle for the weights; no decay of delays."""
    own = ("optimizer.lr=0.1", "optimizer.momentum=0", "optimizer.lr_delay=0.3", "optimizer.lr_tau=0.3")
    cycle = ("scheduler=one_cycle", "scheduler.max_lr=0.4", "scheduler.delays=cosine")
    decay = ("optimizer.weight_decay=0.1", "optimizer.weight_decay_on=weights")
    smlp = ("model=smlp", "model.units=[4]", "model.max_delay=9", "neuron=plif")
    config = configured("optimizer=sgd", *own, *cycle, *decay, *smlp)
    learner = build_learner(config)
    with torch.no_grad():
        learner.model.fc1.delay.fill_(5)
    optimizer = build_optimizer(config, learner)
    schedule = build_schedule(config, optimizer, 6, 2)["scheduler"]
    alone = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    cosine = lr_scheduler.CosineAnnealingLR(alone, 6)
    cycled = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.5)
    cycle_alone = lr_scheduler.OneCycleLR(cycled, 0.4, total_steps=6)
    for _ in range(6):
        set_gradients(learner, 0.0)
        learner.model.fc1.delay.grad.fill_(1.0)
        changed = changes(learner, optimizer.step)
        rates = {name: group["lr"] for group in optimizer.param_groups for name in named(learner, group)}
        assert rates["fc1.delay"] == pytest.approx(alone.param_groups[0]["lr"])
        assert rates["fc1.weight"] == pytest.approx(cycled.param_groups[0]["lr"])
        assert rates["neuron1.w"] == pytest.approx(3 * rates["fc1.weight"])
        assert changed["head.delay"].abs().max() == 0
        assert changed["head.weight"].abs().max() > 0
        for each in (alone, cycled):
            each.step()
        for each in (schedule, cosine, cycle_alone):
            each.step()


def named(learner: nn.Module, group: dict[str, Any]) -> list[str]:
    """Return the names of a group's parameters without ``model.``"""
    members = {id(parameter) for parameter in group["params"]}
    return [name.removeprefix("model.") for name, each in learner.named_parameters() if id(each) in members]


def test_a_run_says_how_its_parameters_are_divided() -> None:
    """Weights of conv1 and the head; the norm's scale and shift and the head's bias; a PLIF's w."""
    config = configured("optimizer.lr_tau=0.25", "optimizer.weight_decay_on=weights", "neuron=plif", *SMALL)
    line = "2 tensors; 3 tensors without weight decay; 1 tensor at a rate of 0.25 without weight decay"
    assert describe_groups(parameter_groups(config.optimizer, build_learner(config))) == line


def test_a_rate_of_zero_leaves_what_neurons_learn_as_it_begins() -> None:
    config = configured("optimizer.lr_tau=0", "optimizer.weight_decay=0.1", "neuron=plif", *SMALL)
    learner = build_learner(config)
    set_gradients(learner, 1.0)
    changed = changes(learner, build_optimizer(config, learner).step)
    assert [name for name, change in changed.items() if not change.any()] == ["neuron1.w"]


def test_without_groups_the_parameters_are_one() -> None:
    learner = build_learner(configured("neuron=plif", *SMALL))
    [group] = parameter_groups(configured().optimizer, learner)
    assert list(group) == ["params"]
    assert [id(each) for each in group["params"]] == [id(each) for each in learner.parameters()]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            ("optimizer.lr_tau=0.1",),
            r"optimizer\.lr_tau=0\.1: no neuron of the model learns a time constant: use neuron=plif",
        ),
        (("optimizer.lr_tau=0.1", "neuron=relu"), "no neuron of the model learns a time constant"),
        (("optimizer.lr_threshold=0.1", "neuron=plif"), "no neuron of the model learns a threshold: use neuron=ifsrl"),
    ],
)
def test_a_rate_of_what_no_neuron_learns_is_refused(typed: tuple[str, ...], line: str) -> None:
    config = configured(*typed, *SMALL)
    with pytest.raises(ConfigError, match=line):
        build_optimizer(config, build_learner(config))


def test_a_rate_below_zero_is_refused() -> None:
    for setting in ("lr_tau", "lr_threshold", "lr_delay"):
        with pytest.raises(ConfigError, match=setting):
            configured(f"optimizer.{setting}=-0.1")


def test_an_optimiser_of_ones_own_receives_groups_only_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain_optimizer.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)

    def own(*typed: str) -> Config:
        return configured(
            "~optimizer",
            "+optimizer._target_=plain_optimizer.Plain",
            "trust=[plain_optimizer.Plain]",
            "neuron=plif",
            *SMALL,
            *typed,
        )

    config = own("+optimizer.lr_tau=0.25")
    learner = build_learner(config)
    assert len(build_optimizer(own(), learner).param_groups) == 1
    set_gradients(learner, 1.0)
    changed = changes(learner, build_optimizer(config, learner).step)
    assert changed.pop("neuron1.w").item() == pytest.approx(-0.25)
    for change in changed.values():
        torch.testing.assert_close(change, torch.full_like(change, -0.5))  # the default of its own
    decayed = own("+optimizer.weight_decay_on=weights", "+optimizer.weight_decay=0.1")
    assert len(build_optimizer(decayed, learner).param_groups) == 2
    with pytest.raises(
        ConfigError, match=r"^plain_optimizer\.Plain has no weight_decay: leave optimizer\.weight_decay_on out"
    ):
        build_optimizer(own("+optimizer.weight_decay_on=weights"), learner)
    del sys.modules["plain_optimizer"]


def test_what_spares_nothing_is_the_same_run() -> None:
    def mark(*typed: str) -> str:
        return fingerprint(configured("optimizer=adam", *typed))

    spared = "optimizer.weight_decay_on=weights"
    assert mark(spared) == mark()
    assert mark(spared, "optimizer.weight_decay=0.1") != mark("optimizer.weight_decay=0.1")
    assert mark("optimizer.lr_tau=0.1") != mark()
