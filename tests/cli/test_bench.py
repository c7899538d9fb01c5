"""`membrane bench`: a tiny workload from the command line to its files, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import bench

from membrane.bench import digits_run, measure, memory
from membrane.bench.peers import PEERS
from membrane.bench.record import Case
from membrane.bench.step import random_samples
from membrane.bench.workloads import WORKLOADS
from membrane.config.installation import install_command

TINY = ["--scale", "0.03", "--threads", "1", "--device", "cpu"]
THERE = [peer for peer in PEERS if peer.is_installed() and "cpu" in peer.devices]


@pytest.fixture(autouse=True)
def processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that multiplies in bfloat16."""
    monkeypatch.setattr("membrane.config.precision.bf16_instructions", lambda: "amx_bf16")


@pytest.mark.parametrize(
    ("instructions", "said", "timed", "told"),
    [
        ("no", [], {"fp32", "fp32 channels last"}, 1),
        ("no", ["bf16"], {"bf16"}, 0),
        ("amx_bf16", ["fp32"], {"fp32", "fp32 channels last"}, 0),
    ],
)
def test_the_precisions_that_are_worth_it(
    instructions: str,
    said: list[str],
    timed: set[str],
    told: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("membrane.config.precision.bf16_instructions", lambda: instructions)
    chosen = ["W2", "--peers", "membrane m,relu", "--rounds", "1", "--out", str(tmp_path)]
    assert bench([*chosen, *TINY, *(f"--precision={each}" for each in said)]) == 0
    [case] = [Case.from_json(plain) for plain in json.loads((tmp_path / "cpu.json").read_text())["cases"]]
    assert {timing.precision for timing in case.timings} == timed
    assert capsys.readouterr().err.count("bf16 is left out") == told


def test_a_tiny_workload_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(["W4", "neuron", *TINY, "--rounds", "2", "--out", str(tmp_path / "bench")]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "bench"
    assert {path.name for path in folder.iterdir()} == {"cpu.md", "cpu.json", "cpu.png"}
    assert (folder / "cpu.md").read_text().strip() == said.strip()
    content = json.loads((folder / "cpu.json").read_text())
    assert content["machine"]["torch"] == torch.__version__.partition("+")[0]
    assert content["machine"]["threads"] == "1"
    net, neuron = (Case.from_json(plain) for plain in content["cases"])
    last = "fp32 channels last"
    labels = [f"{peer.name}, {each}" for peer in THERE for each in peer.precisions if each != last]
    assert [timing.label for timing in net.timings] == labels
    assert {len(timing.seconds) for timing in net.timings} == {2}
    assert {timing.precision for timing in neuron.timings} == {"fp32"}
    assert "## W4: smlp 784-512-10" in said


def test_a_sweep_has_files_of_its_own_and_fewer_peers_if_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["W4", "--sweep", "width", "--peers", "membrane m,relu", "--minutes", "0.001", "--out", str(tmp_path)]
    assert bench([*chosen, *TINY]) == 0
    content = json.loads((tmp_path / "cpu_width.json").read_text())
    [case] = [Case.from_json(plain) for plain in content["cases"]]  # the time is up after the first round of the first
    assert {timing.peer for timing in case.timings} == {"membrane multistep", "ReLU on T·N images"}
    assert {len(timing.seconds) for timing in case.timings} == {1}
    left_out = [line for line in capsys.readouterr().err.splitlines() if "the time is up" in line]
    assert [line.partition("width ")[2].split()[0] for line in left_out] == ["×0.015", "×0.03", "×0.06"]


def test_evaluation_has_files_of_its_own_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.SGD, "step", None)
    chosen = ["W4", "--evaluation", "--peers", "membrane m,relu", "--rounds", "1", "--out", str(tmp_path)]
    assert bench([*chosen, *TINY]) == 0
    content = json.loads((tmp_path / "cpu_evaluation.json").read_text())
    assert content["evaluation"]
    [case] = [Case.from_json(plain) for plain in content["cases"]]
    assert {timing.peer for timing in case.timings} == {"membrane multistep", "ReLU on T·N images"}
    text = (tmp_path / "cpu_evaluation.md").read_text()
    assert "A step is a forward in eval mode without gradients" in text
    assert "zero_grad" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["W9"], "W9: no such workload"),
        (["neurn"], "did you mean neuron?"),
        (["W5", "--sweep", "batch"], "--sweep batch goes with W1, W2, W3, W4, not with W5"),
        (["W6", "--evaluation"], "--evaluation goes with W1, W2, W3, W4, not with W6"),
        (["--evaluation", "--memory"], "--memory measures training; leave out --evaluation"),
        (["--peers", "brian"], "--peers brian: no peer's name contains it; there are membrane multistep"),
        (["--peers", "compiled", "--device", "cpu"], "--peers: membrane compiled is timed on cuda, not on cpu"),
        (["--peers", "norse", "--precision", "bf16"], "--precision bf16: Norse is timed in fp32"),
    ],
)
def test_what_is_refused_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--minutes", "nan"], ["--scale", "x"], ["--device", "tpu"]])
def test_numbers_must_make_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"membrane: argument {arguments[0]}: ")
    assert line.endswith("; see membrane bench --help")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_it_is_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(["W4", "--device", "cuda"]) == 2
    assert "use --device cpu" in capsys.readouterr().err


def test_a_library_that_is_missing_is_one_line_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("membrane.bench.peers.find_spec", lambda name: None if name == "norse" else object())
    chosen = ["W4", "--peers", "norse,relu", "--rounds", "1", "--out", str(tmp_path)]
    assert bench([*chosen, *TINY]) == 0
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if "Norse" in line]
    [line] = lines
    assert line == f"membrane: Norse is not installed and left out; it comes with: {install_command('bench')}"
    assert "Norse" not in said.out
    assert bench(["W4", "--peers", "norse", *TINY]) == 2


def test_help_needs_no_torch() -> None:
    code = "import sys; from membrane.cli.bench import bench_parser; bench_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_peer_that_does_not_fit_the_memory_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    workload, peers = WORKLOADS[3].scaled(0.03), [PEERS[0], PEERS[-1]]
    real = measure.training_step

    def full(net, x, y, precision):  # type: ignore[no-untyped-def]
        if precision == "bf16":
            raise torch.cuda.OutOfMemoryError("no room")
        return real(net, x, y, precision)

    monkeypatch.setattr(measure, "training_step", full)
    case = measure.time_workload(workload, peers, torch.device("cpu"), rounds=1, until=0.0)
    assert [timing.label for timing in case.timings] == ["membrane multistep, fp32", "ReLU on T·N images, fp32"]
    assert case.left_out == dict.fromkeys(("membrane multistep, bf16", "ReLU on T·N images, bf16"), "out of memory")


def test_all_start_from_the_same_weights_and_a_step_changes_them() -> None:
    workload = WORKLOADS[3].scaled(0.03)
    device = torch.device("cpu")
    source, batch = measure.source_net(PEERS[0], workload, device), random_samples(workload, device)
    before = [parameter.clone() for parameter in source.parameters()]
    measure.peer_step(PEERS[0], "fp32", workload, source, batch)()
    assert all(torch.equal(one, other) for one, other in zip(before, source.parameters(), strict=True))
    built = []

    class Kept:
        precisions = ("fp32",)

        def build(self, *about):  # type: ignore[no-untyped-def]
            built.append(PEERS[0].build(*about))
            return built[-1]

    step = measure.peer_step(Kept(), "fp32", workload, source, batch)  # type: ignore[arg-type]
    [net] = built
    assert all(torch.equal(one, other) for one, other in zip(before, net.module.parameters(), strict=True))
    step()
    assert not any(torch.equal(one, other) for one, other in zip(before, net.module.parameters(), strict=True))


@pytest.mark.slow
def test_memory_grows_with_the_batch() -> None:
    """Each process holds at least the input, 4 bytes a number, and the gradient's share of it."""
    base, environment = WORKLOADS[4], digits_run.child_environment()
    sizes = []
    for batch in (2, 32):
        workload = base.with_batch(batch / base.batch)
        size = memory.peak_memory(workload, PEERS[-1], "fp32", 1, environment)
        assert size is not None
        sizes.append(size)
    numbers = 32 * 4 * 64 * 32 * 32
    assert sizes[1] - sizes[0] > 2 * 4 * numbers * 30 / 32
    assert memory.peak_memory(base, PEERS[-1], "fp99", 1, environment) is not None  # a neuron alone has no precision
    assert memory.peak_memory(WORKLOADS[3].scaled(0.03), PEERS[-1], "fp99", 1, environment) is None


@pytest.mark.slow
def test_the_digits_run_is_timed_from_the_command_to_its_end() -> None:
    few = ["epochs=1", "model=smlp", "model.units=[16]", "timesteps=2"]
    found = digits_run.time_digits_runs(1, 0.0, 1, digits_run.child_environment(), few)
    [first], [end], [fit] = found.first_step, found.end, found.fit
    assert 0 < first < end
    assert 0 < fit < end


def test_a_digits_run_that_fails_says_what_it_said_last() -> None:
    with pytest.raises(digits_run.DigitsRunFailed, match=r"ended with 2: membrane: .*epochs"):
        digits_run.time_digits_runs(1, 0.0, 1, digits_run.child_environment(), ["epochs=none"])


def test_ctrl_c_says_that_nothing_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, evaluation: bool) -> Case:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "time_workload", interrupted)
    assert bench(["W4", *TINY, "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "membrane: stopped; nothing was written"
    assert not (tmp_path / "out").exists()
