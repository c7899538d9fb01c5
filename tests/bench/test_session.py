"""A session of the benchmark: the share of time that each workload gets, what is left out, and the files written."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch

from membrane.bench import digits_run, machine, measure, memory, session, whole_training
from membrane.bench.peers import PEERS
from membrane.bench.record import Case, Timing, WholeRun
from membrane.bench.session import (
    Session,
    measure_workloads,
    print_beside,
    run_session,
    time_trainings,
    time_whole_run,
    with_memory,
    write_session,
)
from membrane.bench.trainings import Training
from membrane.bench.workloads import WORKLOADS, Workload

WHOLE = WholeRun([1.0], [2.0], [0.5])
TIMINGS = [Timing("membrane multistep", "ours", "fp32", [0.5]), Timing("snnTorch", "peer", "fp32", [1.0])]


@pytest.fixture
def about(tmp_path: Path) -> Session:
    """Return a session of two workloads on the CPU, without a limit of time."""
    return Session(
        workloads=["W1", "W4"],
        peers=[PEERS[0]],
        device=torch.device("cpu"),
        rounds=7,
        minutes=None,
        threads=1,
        sweep=None,
        memory=False,
        out=tmp_path / "bench",
        scale=1.0,
    )


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(session, "perf_counter", clock)
    monkeypatch.setattr(measure, "perf_counter", clock)
    return clock


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> list[tuple[Any, ...]]:
    """Return what is timed (workload, peers, device, rounds, until); each takes ten seconds."""
    calls: list[tuple[Any, ...]] = []

    def time_workload(workload: Workload, *limits: Any, evaluation: bool) -> Case:
        calls.append((workload.name, *limits))
        clock.now += 10
        return Case(workload, TIMINGS)

    monkeypatch.setattr(measure, "time_workload", time_workload)
    return calls


def test_workloads_are_timed_one_after_the_other(
    about: Session, timed: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    cases = measure_workloads(about, None)
    assert timed == [(name, about.peers, about.device, 7, float("inf")) for name in ("W1", "W4")]
    assert [case.workload.name for case in cases] == ["W1", "W4"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "membrane: W1, T 4, batch 32 (1 of 2)\nmembrane: W4, T 16, batch 128 (2 of 2)\n"


def test_each_workload_has_an_equal_share_of_what_is_left(about: Session, timed: list[tuple[Any, ...]]) -> None:
    measure_workloads(about, 1060.0)
    assert [until for *_, until in timed] == [1030.0, 1060.0]  # 60 s for two, then 50 s for one
    timed.clear()
    measure_workloads(replace(about, workloads=["W1", "W4", "W5"]), 1060.0)  # the whole run takes part
    assert [until for *_, until in timed] == pytest.approx([1020 + 40 / 3, 1030 + 30 / 2])


def test_what_comes_after_the_end_is_left_out_but_for_the_first(
    about: Session, timed: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    cases = measure_workloads(replace(about, workloads=["W1", "W2", "W4"]), 1010.0)
    assert [case.workload.name for case in cases] == ["W1"]
    err = capsys.readouterr().err.splitlines()
    assert err[1:] == [
        "membrane: W2, T 16, batch 4 is left out: the time is up",
        "membrane: W4, T 16, batch 128 is left out: the time is up",
    ]
    timed.clear()
    assert len(measure_workloads(about, 1000.0)) == 1


@pytest.mark.usefixtures("timed")
def test_memory_is_measured_on_the_cpu_if_it_is_wanted(about: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def memories(device: str, wanted: bool) -> list[int | None]:
        cases = measure_workloads(replace(about, device=torch.device(device), memory=wanted, workloads=["W4"]), None)
        return [timing.memory for timing in cases[0].timings]

    def peak_memory(workload: Workload, peer: Any, precision: str, threads: int, environment: dict[str, str]) -> int:
        assert (workload.name, precision, threads) == ("W4", "fp32", 1)
        assert environment == {"some": "thing"}
        return len(peer.name)

    monkeypatch.setattr(memory, "peak_memory", peak_memory)
    monkeypatch.setattr(digits_run, "child_environment", lambda: {"some": "thing"})
    assert memories("cpu", True) == [len("membrane multistep"), len("snnTorch")]
    assert memories("cpu", False) == [None, None]
    assert memories("cuda", True) == [None, None]
    case = Case(WORKLOADS[3], TIMINGS, {"Norse, fp32": "out of memory"})
    assert with_memory(case, 1) == replace(case, timings=[replace(each, memory=len(each.peer)) for each in TIMINGS])


@pytest.mark.parametrize(
    ("changes", "end", "rounds", "until", "shorter"),
    [
        ({}, None, 3, float("inf"), False),
        ({"rounds": 2}, 1060.0, 2, 1060.0, False),
        ({"scale": 0.5}, None, 3, float("inf"), True),
    ],
)
def test_the_digits_run_is_timed_three_times_at_most(
    changes: dict[str, Any],
    end: float | None,
    rounds: int,
    until: float,
    shorter: bool,
    about: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(digits_run, "child_environment", lambda: {"some": "thing"})
    monkeypatch.setattr(digits_run, "time_digits_runs", lambda *limits: calls.append(limits) or WHOLE)
    assert time_whole_run(replace(about, **changes), end) is WHOLE
    less = ["epochs=1", "model=smlp", "model.units=[16]", "timesteps=2"]
    assert calls == [(rounds, until, 1, {"some": "thing"}, less if shorter else [])]


@pytest.fixture
def whole_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return a function that lets the digits run fail, or not."""

    def let(fail: bool) -> None:
        def time_digits_runs(*limits: Any) -> WholeRun:
            if fail:
                raise digits_run.DigitsRunFailed("it ended with 2")
            return WHOLE

        monkeypatch.setattr(digits_run, "time_digits_runs", time_digits_runs)

    monkeypatch.setattr(machine, "describe_machine", lambda device, threads: {"threads": str(threads)})
    return let


@pytest.mark.usefixtures("timed")
def test_a_session_prints_and_writes_the_same_tables(
    about: Session, whole_run: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    whole_run(False)
    torch.set_num_threads(2)
    assert run_session(replace(about, workloads=["W4", "W5"])) == 0
    assert torch.get_num_threads() == 1
    printed = capsys.readouterr()
    assert printed.out == (about.out / "cpu.md").read_text() + "\n"
    assert "## W4: " in printed.out
    assert printed.err.splitlines()[-1] == "membrane: written: " + ", ".join(
        str(about.out / f"cpu.{suffix}") for suffix in ("md", "json", "png")
    )
    content = json.loads((about.out / "cpu.json").read_text())
    expected = Case(WORKLOADS[3], TIMINGS)
    assert [Case.from_json(each) for each in content.pop("cases")] == [expected]
    assert content == {
        "schema": 1,
        "machine": {"threads": "1"},
        "sweep": None,
        "scale": 1.0,
        "whole_run": asdict(WHOLE),
        "trainings": [],
        "evaluation": False,
    }
    assert matplotlib.image.imread(about.out / "cpu.png").std() > 0.01


@pytest.mark.usefixtures("timed")
def test_a_session_fails_with_its_digits_run_or_a_training(
    about: Session,
    whole_run: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole_run(True)
    assert run_session(replace(about, workloads=["W5"])) == 1
    assert "membrane: W5, the digits run\nmembrane: it ended with 2\n" in capsys.readouterr().err
    assert json.loads((about.out / "cpu.json").read_text())["whole_run"] is None
    assert not (about.out / "cpu.png").exists()  # there is nothing to draw
    assert run_session(replace(about, workloads=["W4"])) == 0
    for left_out in ({}, {"Norse": "it ended with 2"}):
        case = Case(WORKLOADS[3], TIMINGS, left_out)
        monkeypatch.setattr(whole_training, "time_training", lambda *_, case=case: case)
        assert run_session(replace(about, workloads=["W6"])) == bool(left_out)


def test_minutes_end_the_session(
    about: Session, timed: list[tuple[Any, ...]], whole_run: Callable[[bool], None]
) -> None:
    whole_run(False)
    run_session(replace(about, minutes=2.0, workloads=["W4"]))
    assert timed[0][-1] == 1000 + 120


def test_a_sweep_and_a_gpu_have_files_of_their_own(about: Session) -> None:
    case = Case(WORKLOADS[3], TIMINGS)
    swept = [replace(case, workload=each) for each in WORKLOADS[3].swept("timesteps")]
    write_session(replace(about, sweep="timesteps"), "text", {}, swept, None)
    write_session(replace(about, device=torch.device("cuda")), "text", {}, [case], WHOLE)
    write_session(about, "text", {}, [replace(case, timings=[])], WHOLE)
    names = {path.name for path in about.out.iterdir()}
    swept_files = {f"cpu_timesteps.{suffix}" for suffix in ("md", "json", "png")}
    assert names == swept_files | {"cuda.md", "cuda.json", "cuda.png", "cpu.md", "cpu.json"}
    assert json.loads((about.out / "cpu_timesteps.json").read_text())["sweep"] == "timesteps"
    assert (about.out / "cpu.md").read_text() == "text"


def test_lines_beside_the_tables_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_beside("a line")
    assert capsys.readouterr() == ("", "membrane: a line\n")


def test_trainings_are_timed_until_the_time_is_up(
    about: Session, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits: list[tuple[Any, ...]] = []

    def time_training(training: Training, peers: Any, *rest: Any) -> Case:
        limits.append((training.name, training.epochs, *rest[:3]))
        clock.now += 10
        return Case(training.net, TIMINGS)

    monkeypatch.setattr(whole_training, "time_training", time_training)
    both = replace(about, workloads=["W6", "W7"])
    assert [case.workload.name for case in time_trainings(both, 1005.0)] == ["W6"]
    assert limits == [("W6", 2, 3, 1005.0, 1)]
    assert "membrane: W7 is left out: the time is up\n" in capsys.readouterr().err
    assert [case.workload.name for case in time_trainings(replace(both, scale=0.1), None)] == ["W6", "W7"]
    assert limits[1:] == [("W6", 1, 3, float("inf"), 1), ("W7", 1, 3, float("inf"), 1)]
    assert time_trainings(replace(both, device=torch.device("cuda")), None) == []
    assert "membrane: W6 is left out: it is timed on the CPU\n" in capsys.readouterr().err
