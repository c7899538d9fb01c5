"""`precision=auto`: what it chooses where, and that what it chooses is safe."""

import copy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from configurations import configured
from torch import nn

from membrane.config import precision
from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.fast.fused import fuse, implementation
from membrane.neurons import NeuronFactory
from membrane.runs import processor as processor_module
from membrane.runs.folder import RunFolder
from membrane.schema import GROUPS
from membrane.training.assembly import build_neuron_factory, set_arithmetic


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend to a processor with these flags, and to a GPU or none; its driver says what is given."""

    def pretend(flags: str | None, gpu: bool = False, says: str = "8.6\n9.0\n") -> None:
        cpu, driver = tmp_path / "cpuinfo", tmp_path / "driver"
        if flags is not None:
            cpu.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse\nbugs\t\t: amx_bf16\n")
        if gpu:
            driver.touch()
        monkeypatch.setattr(processor_module, "CPUINFO", cpu)
        monkeypatch.setattr(precision, "CAPABILITIES", ("printf", "%s", says) if gpu else (str(tmp_path / "none"),))
        monkeypatch.setattr(precision, "GPUS", (tmp_path / "other", driver))

    return pretend


@pytest.mark.parametrize(
    ("flags", "gpu", "trainer", "chosen"),
    [
        ("avx2 avx512f amx_bf16 amx_tile", False, {}, "bf16-mixed"),
        ("avx512_bf16", False, {}, "bf16-mixed"),
        ("avx512f avx2", False, {}, "32-true"),
        (None, False, {}, "32-true"),
        ("avx2", True, {}, "bf16-mixed"),
        ("avx2", True, {"accelerator": "cpu"}, "32-true"),
        ("amx_bf16", True, {"accelerator": "cpu"}, "bf16-mixed"),
        ("amx_bf16", False, {"accelerator": "gpu"}, "32-true"),
        ("amx_bf16", False, {"fused": False}, "32-true"),
    ],
)
def test_what_is_chosen_is_what_the_run_is_known_by(
    flags: str | None, gpu: bool, trainer: dict[str, Any], chosen: str, processor: Any, raw: dict[str, Any]
) -> None:
    processor(flags, gpu)
    raw["trainer"].update(trainer)
    auto, outright = (check(copy.deepcopy(raw) | {"precision": each}) for each in ("auto", chosen))
    assert auto == outright
    assert RunFolder(auto).fingerprint == RunFolder(outright).fingerprint


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ([], False),
        (["precision=auto"], True),
        (["precision=auto", "trainer.channels_last=false"], False),
        (["precision=auto", "framework=multistep_tid"], True),
        (["precision=auto", "dataset=diabetes"], True),
        (["precision=32-true", "trainer.channels_last=true"], True),
    ],
)
def test_channels_lie_last_where_nothing_else_is_said(line: list[str], last: bool, processor: Any) -> None:
    processor("avx2")
    config = configured(*line)
    assert config.trainer.channels_last is last
    outright = [*(each for each in line if "=auto" not in each), f"trainer.channels_last={str(last).lower()}"]
    assert RunFolder(configured(*outright)).fingerprint == RunFolder(config).fingerprint


def test_the_ann_twin_has_no_state_to_keep_and_other_neurons_none_that_is_safe(processor: Any) -> None:
    processor("amx_bf16")
    assert precision.fastest_precision("relu", fused=False, accelerator="cpu") == "bf16-mixed"
    assert precision.fastest_precision("klif", fused=True, accelerator="cpu") == "32-true"
    assert precision.fastest_precision("Net", fused=True, accelerator="cpu") == "32-true"


def test_a_surrogate_that_does_not_run_fused_is_not_trusted_with_it(processor: Any, raw: dict[str, Any]) -> None:
    processor("amx_bf16")
    raw |= {"precision": "auto", "trust": ["my_package.Mine"], "surrogate": {"_target_": "my_package.Mine"}}
    assert check(raw).precision == "32-true"


@pytest.mark.parametrize("choice", [each.choice for each in GROUPS["surrogate"][1] if each.choice])
def test_every_surrogate_that_has_a_name_runs_fused(choice: str, raw: dict[str, Any]) -> None:
    node_class = next(each for each in GROUPS["surrogate"][1] if each.choice == choice)
    net = nn.Sequential(build_neuron_factory(check(raw | {"surrogate": {"_target_": node_class.public}}))())
    fuse(net)
    assert implementation(net[0], torch.bfloat16) in ("compiled", "in place")


def test_a_mistake_beside_it_is_named(raw: dict[str, Any]) -> None:
    raw["trainer"]["accelerator"] = "tpu"
    with pytest.raises(ConfigError, match=r"trainer\.accelerator: .*'tpu'"):
        check(raw | {"precision": "auto"})


@pytest.mark.parametrize("says", ["7.5\n9.0\n", "", "[N/A]\n", "No devices were found\n"])
def test_a_gpu_that_may_not_multiply_in_bfloat16_is_not_taken_for_one_that_does(says: str, processor: Any) -> None:
    processor("amx_bf16", gpu=True, says=says)
    assert not precision.gpu_has_bf16()
    assert precision.fastest_precision("lif", fused=True, accelerator="auto") == "32-true"


def test_neurons_that_keep_their_state_in_half_precision_stay_in_single_on_a_gpu(processor: Any) -> None:
    processor("avx2", gpu=True)
    assert precision.gpu_has_bf16()
    assert precision.fastest_precision("klif", fused=True, accelerator="gpu") == "32-true"


@pytest.mark.parametrize(
    ("line", "instructions"),
    [
        ("flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile", "amx_bf16"),
        ("Features\t: fp asimd bf16", "bf16"),
        ("flags\t\t: avx2", "no"),
    ],
)
def test_what_a_processor_multiplies_with(
    line: str, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n")
    monkeypatch.setattr(processor_module, "CPUINFO", tmp_path / "cpuinfo")
    assert precision.bf16_instructions() == instructions
    monkeypatch.setattr(processor_module, "CPUINFO", tmp_path / "none")
    assert precision.bf16_instructions() == "no"


@pytest.mark.parametrize("choice", [each for each in precision.FLOAT32_INSIDE if each != "relu"])
def test_the_state_of_the_neurons_it_is_chosen_for_stays_in_single_precision(choice: str, raw: dict[str, Any]) -> None:
    node_class = next(each for each in GROUPS["neuron"][1] if each.choice == choice)
    factory: NeuronFactory = build_neuron_factory(check(raw | {"neuron": {"_target_": node_class.public}}))
    for (step_mode, shape), own_way in product((("s", (2, 3)), ("m", (4, 2, 3))), (False, True)):
        net = nn.Sequential(nn.Linear(3, 3), factory())
        net[1].step_mode = step_mode
        net[1].store_v_seq = own_way
        fuse(net)
        with torch.autocast("cpu", torch.bfloat16):
            out = net(torch.randn(shape))
        assert out.dtype == torch.bfloat16
        assert net[1].v.dtype == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there: whether it is, is asked of its driver")
def test_without_a_gpu_no_step_of_an_optimiser_looks_for_nvidias_library(
    raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: looked.append("again") or -1)
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # as Lightning leaves it
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.Adam([weight])
    optimizer.step()
    assert looked, "torch does so in the step of such an optimiser"
    set_arithmetic(check(raw))
    looked.clear()
    optimizer.step()
    assert not looked


def test_a_deterministic_run_does_not_write_into_memory_before_it_is_used(
    raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)  # as torch has it
    was = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        fills = []
        for _ in range(2):
            with torch.profiler.profile(acc_events=True) as profiled:
                torch.empty(1000)
            fills.append([event.name for event in profiled.events() if event.name == "aten::fill_"])
            set_arithmetic(check(raw))
    finally:
        torch.use_deterministic_algorithms(was)
    assert fills == [["aten::fill_"], []]
