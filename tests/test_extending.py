"""docs/extending.md: each file trains as it stands with its command, and computes what its docstring says."""

import csv
import importlib
import json
import math
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from cases import check_each
from spikingjelly.activation_based import surrogate
from torch.nn import functional

from membrane.cli.main import main
from membrane.framework import prepare_model
from membrane.neurons import make_neuron

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
FILES: dict[str, str] = dict(re.findall(r"`([\w/]+\.(?:py|yaml))`[^\n]*:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = {
    re.findall(r"my_(?!conf)\w+", line)[-1]: shlex.split(line)[2:]
    for line in re.findall(r"^python train\.py .*", PAGE, re.MULTILINE)
}
"""Module of the page → arguments of the command that trains with it."""
QUICK = ("epochs=2", "figures=false", "threads=1", "timesteps=2")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder to be in, with the page's files."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file is changed within the second in which it was read
    yield tmp_path
    for module in COMMANDS:
        sys.modules.pop(module, None)


def train(module: str, *arguments: str) -> int:
    """Run the page's command for a module, without a tracker unless it names one; return the exit code."""
    logger = [] if module == "my_logger" else ["logger=csv"]
    steps = [] if module == "my_data" else ["batch_size=256"]  # its data set is small, and has to be learned
    return main(["train", *COMMANDS[module], *logger, *QUICK, *steps, *arguments])


def the_run() -> Path:
    """Return the folder of the only run."""
    [result] = Path("runs").glob("*/*/seed0/result.json")
    return result.parent


def rows() -> list[dict[str, str]]:
    with (the_run() / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def check_model(module: ModuleType) -> None:
    assert json.loads((the_run() / "result.json").read_text())["model"] == "TwoLayers"
    # 64 pixels → 32 → 10 classes, with biases
    assert json.loads((the_run() / "result.json").read_text())["parameters"] == 64 * 32 + 32 + 32 * 10 + 10


def check_neuron(module: ModuleType) -> None:
    assert json.loads((the_run() / "result.json").read_text())["neuron"] == "AdaptiveLIF"
    # v = v + (4 − v)/2, spike where v ≥ 1 + 0.5·a, then v = 0 and a = 3/4·a + spike. Before the steps a is 0, 1, 1.75,
    # 2.3125, 1.734, the threshold 1, 1.5, 1.875, 2.156, 1.867; v reaches 2, 2, 2, 2 and, with no reset, 3.
    x = torch.full((5, 1, 1), 4.0)
    for mode in ("s", "m"):
        node = make_neuron(module.AdaptiveLIF, surrogate.ATan, beta=0.5)
        prepare_model(node, mode)
        spikes = node(x) if mode == "m" else torch.stack([node(each) for each in x])
        assert spikes.flatten().tolist() == [1, 1, 1, 0, 1]


def check_surrogate(module: ModuleType) -> None:
    u = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0], requires_grad=True)
    spikes = module.Triangle(width=2.0)(u)
    spikes.sum().backward()
    assert spikes.tolist() == [0, 0, 1, 1, 1]
    assert u.grad is not None
    assert u.grad.tolist() == [0, 0.25, 0.5, 0.375, 0]


def check_data(module: ModuleType) -> None:
    assert json.loads((the_run() / "result.json").read_text())["metrics"]["test/acc"] > 0.9


def check_augmentation(module: ModuleType) -> None:
    brightness = module.Brightness(strength=0.5)
    factor = brightness.draw(1000, torch.Generator().manual_seed(0))["factor"]
    assert (factor.min() >= 0.5, factor.max() <= 1.5) == (True, True)
    assert factor.mean().item() == pytest.approx(1, abs=0.04)  # 4.4 standard errors: 0.5/√3/√1000 is one
    x = brightness.apply(torch.ones(2, 1, 1, 1), {"factor": torch.tensor([0.5, 1.25])})
    assert x.flatten().tolist() == [0.5, 1.25]


def check_encoder(module: ModuleType) -> None:
    assert json.loads((the_run() / "result.json").read_text())["encoder"] == "Burst"
    burst = module.Burst(timesteps=4, most=3)
    begin = burst.draw(200, [1, 2], torch.Generator().manual_seed(0))["begin"]
    assert begin.unique().tolist() == [0, 1]
    spikes = burst.encode(torch.tensor([[[0.0, 0.2]], [[0.7, 1.0]]]), {"begin": torch.tensor([0, 1])})
    # round(3x) is 0, 1, 2, 3
    assert spikes[:, :, 0].tolist() == [[[0, 1], [0, 0], [0, 0], [0, 0]], [[0, 0], [1, 1], [1, 1], [0, 1]]]


def check_readout(module: ModuleType) -> None:
    outputs = torch.tensor([1.0, 2.0, 4.0])[:, None, None].expand(3, 2, 1)
    prediction = module.Recent(decay=0.5)(outputs, torch.tensor([3, 2]))
    expected = [(0.25 * 1 + 0.5 * 2 + 4) / 1.75, (0.5 * 1 + 2) / 1.5]
    assert prediction.flatten().tolist() == pytest.approx(expected)
    assert module.Recent(decay=0.5)(outputs).flatten().tolist() == pytest.approx([expected[0]] * 2)


def check_loss(module: ModuleType) -> None:
    prediction, y = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 0])
    assert torch.allclose(module.Focal(gamma=0.0)(prediction, y), functional.cross_entropy(prediction, y))
    by_hand = (0.25 * math.log(2) + 0.0625 * math.log(4 / 3)) / 2
    assert module.Focal(gamma=2.0)(prediction, y).item() == pytest.approx(by_hand)


def check_optimizer(module: ModuleType) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0, 1.0]))
    optimizer = module.SignSGD([weight], lr=0.25)
    optimizer.step(lambda: (weight * torch.tensor([5.0, -0.1, 0.0])).sum().backward())
    assert weight.tolist() == [0.75, 1.25, 1.0]


def check_scheduler(module: ModuleType) -> None:
    lr = [float(row["lr"]) for row in rows() if row["val/loss"]]
    assert lr == pytest.approx([2e-3, 2e-3 * (1 - 0.8 / 2)])  # of conf/optimizer/adamw.yaml; two epochs, end 0.2


def check_callback(module: ModuleType) -> None:
    lines = (the_run() / "weight_norm.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    weights = torch.load(the_run() / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    norm = math.sqrt(sum(float(value.double().square().sum()) for value in weights.values()))
    assert float(lines[1].split()[1]) == pytest.approx(norm, rel=1e-4)


def check_logger(module: ModuleType) -> None:
    lines = [json.loads(line) for line in (the_run() / "log.jsonl").read_text().splitlines()]
    validated = [float(row["val/loss"]) for row in rows() if row["val/loss"]]
    assert [line["val/loss"] for line in lines if "val/loss" in line and line["step"]] == pytest.approx(validated)
    assert lines[-1]["step"] is None
    assert lines[-1]["test/acc"] == json.loads((the_run() / "result.json").read_text())["metrics"]["test/acc"]


CHECKS: dict[str, Callable[[ModuleType], None]] = {
    "my_model": check_model,
    "my_neuron": check_neuron,
    "my_surrogate": check_surrogate,
    "my_data": check_data,
    "my_augmentation": check_augmentation,
    "my_encoder": check_encoder,
    "my_readout": check_readout,
    "my_loss": check_loss,
    "my_optimizer": check_optimizer,
    "my_scheduler": check_scheduler,
    "my_callback": check_callback,
    "my_logger": check_logger,
}


def test_every_kind_has_its_file_its_yaml_and_its_command() -> None:
    assert sorted(COMMANDS) == sorted(CHECKS) == sorted(name[:-3] for name in FILES if name.endswith(".py"))
    described = re.findall(r"_target_: (my_\w+)\.", "".join(text for name, text in FILES.items() if "yaml" in name))
    assert sorted(described) == sorted(CHECKS)


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("module", CHECKS)
def test_a_file_of_the_page_trains_evaluates_and_computes_what_it_says(module: str) -> None:
    assert train(module) == 0
    CHECKS[module](importlib.import_module(module))
    [trust] = [argument for argument in COMMANDS[module] if argument.startswith("trust=")]
    assert main(["evaluate", str(the_run()), trust]) == 0


# module, a line of the constructor, what comes in its place, what is said of it
RAISES = [
    (
        "my_model",
        "        super().__init__()\n",
        '        raise ValueError("width must be even")\n',
        "ValueError: width must be even",
    ),
    ("my_neuron", "        super().__init__(**settings)\n", "        1 / 0\n", "ZeroDivisionError: division by zero"),
    ("my_surrogate", "        super().__init__()\n", "        {}[3]\n", "KeyError: 3"),
    (
        "my_augmentation",
        "        super().__init__(**when)\n",
        "        when.x\n",
        "AttributeError: 'dict' object has no attribute 'x'",
    ),
    ("my_encoder", "        self.most = most\n", "        1 / 0\n", "ZeroDivisionError: division by zero"),
    (
        "my_optimizer",
        '        super().__init__(params, {"lr": lr})\n',
        "        lr.x\n",
        "AttributeError: 'float' object has no attribute 'x'",
    ),
    ("my_scheduler", "        super().__init__(optimizer)\n", "        raise KeyError\n", "KeyError"),
    (
        "my_callback",
        "        self.file = file\n",
        "        raise OSError(5, 'no disk')\n",
        "OSError: [Errno 5] no disk",
    ),
]


@pytest.mark.usefixtures("page")
def test_an_error_in_a_constructor_is_one_line_with_file_and_line(capsys: pytest.CaptureFixture[str]) -> None:
    def check_line(case: tuple[str, str, str, str]) -> None:
        module, line, instead, message = case
        text = FILES[f"{module}.py"]
        number = text[: text.index(line)].count("\n") + 1
        Path(f"{module}.py").write_text(text.replace(line, instead, 1))
        capsys.readouterr()
        assert train(module) == 2
        assert capsys.readouterr().err == f"membrane: {module}.py, line {number}: {message}\n"
        assert not Path("runs").exists()

    check_each(RAISES, check_line)


@pytest.mark.usefixtures("page")
def test_an_error_while_a_file_is_imported_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for first, line in (
        ("1 / 0\n", "line 1: ZeroDivisionError: division by zero"),
        ("x = = 1\n", "line 1: SyntaxError: invalid syntax"),
    ):
        Path("my_model.py").write_text(first)
        importlib.invalidate_caches()
        assert train("my_model") == 2
        expected = f"membrane: my_model.TwoLayers cannot be imported: my_model.py, {line}\n"
        assert capsys.readouterr().err == expected


# module → its class, what is said of a class of that name without a base
NO_KIND = {
    "my_model": ("TwoLayers", "is no torch.nn.Module: inherit from that"),
    "my_surrogate": ("Triangle", "is no torch.nn.Module: inherit from that"),
    "my_encoder": ("Burst", "is no membrane.encoders.encoder.Encoder: inherit from that"),
    "my_readout": ("Recent", "cannot be called: it needs a method __call__(outputs, lengths)"),
    "my_loss": ("Focal", "cannot be called: it needs a method __call__(prediction, y)"),
    "my_optimizer": ("SignSGD", "is no torch.optim.Optimizer: inherit from that"),
    "my_scheduler": ("Linear", "is no torch.optim.lr_scheduler.LRScheduler: inherit from that"),
    "my_callback": ("WeightNorm", "is no lightning.Callback: inherit from that"),
    "my_logger": ("JSONLines", "is no lightning.pytorch.loggers.Logger: inherit from that"),
}


@pytest.mark.usefixtures("page")
def test_an_object_of_another_kind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def check_line(module: str) -> None:
        name, line = NO_KIND[module]
        Path(f"{module}.py").write_text(f"class {name}:\n    def __init__(self, **settings):\n        pass\n")
        capsys.readouterr()
        assert train(module) == 2
        assert capsys.readouterr().err == f"membrane: {module}.{name} {line}\n"

    check_each(list(NO_KIND), check_line)


@pytest.mark.usefixtures("page")
def test_an_object_that_is_no_neuron_or_augmentation_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    no_base = "    def __init__(self, **settings):\n        pass\n"
    Path("my_neuron.py").write_text(f"class AdaptiveLIF:\n{no_base}")
    Path("my_augmentation.py").write_text(f"class Brightness:\n{no_base}")
    assert train("my_neuron") == 2
    assert capsys.readouterr().err.startswith("membrane: AdaptiveLIF is no neuron: it must inherit from one of Spiking")
    assert train("my_augmentation") == 2
    line = (
        "membrane: augmentation.brightness: my_augmentation.Brightness is not an Augmentation; it needs draw and apply"
    )
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.usefixtures("page")
def test_a_logger_that_cannot_start_is_one_line_and_fails_no_run(caplog: pytest.LogCaptureFixture) -> None:
    text = FILES["my_logger.py"]
    number = text[: text.index("        super().__init__()")].count("\n") + 1
    Path("my_logger.py").write_text(text.replace("        super().__init__()", "        1 / 0"))
    assert train("my_logger", "epochs=1") == 0
    line = f"JSONLines is not available (my_logger.py, line {number}: ZeroDivisionError: division by zero)"
    assert [
        record.message for record in caplog.records if "JSONLines" in record.message and record.levelname == "WARNING"
    ] == [f"{line}; metrics.csv has everything"]


@pytest.mark.usefixtures("page")
def test_a_schedule_by_step_falls_behind_its_warm_up_to_the_last_step() -> None:
    assert train("my_scheduler", "scheduler.interval=step", "scheduler.warmup=1", "log_every=1") == 0
    steps = {int(row["step"]): float(row["lr"]) for row in rows()}
    epoch = len(steps) // 2  # the number of steps; metrics.csv counts them from 1
    rise = [2e-3 * (1 / (epoch + 1) + k / epoch * (1 - 1 / (epoch + 1))) for k in range(epoch)]
    fall = [2e-3 * (1 - 0.8 * k / epoch) for k in range(epoch)]
    assert [steps[step] for step in sorted(steps)] == pytest.approx(rise + fall)


@pytest.mark.usefixtures("page")
def test_a_schedule_that_follows_a_metric_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    base = "from torch.optim.lr_scheduler import ReduceLROnPlateau\n\n\n"
    Path("my_scheduler.py").write_text(f"{base}class Linear(ReduceLROnPlateau):\n    pass\n")
    assert train("my_scheduler", "~scheduler.end") == 2
    line = "my_scheduler.Linear follows a metric: say which, as scheduler.monitor=val/loss"
    assert capsys.readouterr().err == f"membrane: {line}\n"
    assert train("my_scheduler", "~scheduler.end", "+scheduler.monitor=val/loss", "epochs=1") == 0


# module → the line at which a run's call to the class fails
CALLED = {
    "my_neuron": "        self.v = self.v + (x - self.v) / self.tau\n",
    "my_surrogate": "        return gradient * (1 - u.abs() / ctx.width).clamp(min=0) / ctx.width, None\n",
    "my_data": "        rng = np.random.default_rng(0)\n",
    "my_augmentation": '        return x * broadcast(parameters["factor"], x)\n',
    "my_encoder": "        t = t.reshape(*t.shape, *[1] * (x.dim() - 1))\n",
    "my_readout": "        return (weights * outputs).sum(0)\n",
    "my_loss": "        return -((1 - log_p.exp()) ** self.gamma * log_p).mean()\n",
    "my_optimizer": '                    weight -= group["lr"] * weight.grad.sign()\n',
    "my_callback": "        with (Path(trainer.default_root_dir) / self.file)",
}


@pytest.mark.usefixtures("page")
def test_an_error_while_a_run_goes_on_names_file_and_line(caplog: pytest.LogCaptureFixture) -> None:
    def check_line(module: str) -> None:
        before, line, after = FILES[f"{module}.py"].partition(CALLED[module])
        indent = line[: len(line) - len(line.lstrip())]
        Path(f"{module}.py").write_text(f'{before}{indent}raise KeyError("here")\n{line}{after}')
        caplog.clear()
        assert train(module) == 1
        [text] = [each.getMessage() for each in caplog.records if each.getMessage().startswith("failed: ")]
        number = before.count("\n") + 1
        assert text.startswith(f"failed: {module}.py, line {number}: KeyError: 'here'; see runs/")

    check_each(list(CALLED), check_line)
