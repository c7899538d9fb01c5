"""One session of the benchmark: measure workloads in the time that there is, print the tables, write the files."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from membrane.bench.peers import PEERS, Peer
from membrane.bench.record import Case, WholeRun
from membrane.bench.trainings import TRAININGS
from membrane.bench.workloads import WHOLE_RUN, Workload, chosen_workloads

if TYPE_CHECKING:
    import torch

WHOLE_RUNS = 3
"""Whole runs and trainings, which take longest, are timed so often at most."""


@dataclass(frozen=True)
class Session:
    """The workloads to time, the peers to time them in, and the limits of the measurement.

    workloads: names of workloads.
    peers: the libraries that are timed.
    device: where they run.
    rounds: turns of each peer, at most.
    minutes: time for everything, None for as long as it takes.
    threads: threads on the CPU.
    sweep: axis along which workloads vary, None for none.
    memory: whether to measure peak memory too, on the CPU.
    out: folder of the files.
    scale: below 1 for narrower nets, smaller batches, a shorter digits run and trainings of one epoch.
    evaluation: whether a step is an evaluation without gradients, in place of training.
    """

    workloads: list[str]
    peers: list[Peer]
    device: "torch.device"
    rounds: int
    minutes: float | None
    threads: int
    sweep: str | None
    memory: bool
    out: Path
    scale: float
    evaluation: bool = False


def run_session(session: Session) -> int:
    """Measure, print the tables and write them with the figure and the numbers; return 1 if a whole training failed."""
    import torch

    from membrane.bench import machine
    from membrane.bench.report import bench_report
    from membrane.training.memory import reuse_large_memory

    torch.set_num_threads(session.threads)
    reuse_large_memory()
    end = None if session.minutes is None else perf_counter() + 60 * session.minutes
    about = machine.describe_machine(session.device, session.threads)
    cases = measure_workloads(session, end)
    whole = time_whole_run(session, end) if WHOLE_RUN in session.workloads else None
    trainings = time_trainings(session, end)
    text = bench_report(about, cases, whole, session.sweep, trainings, session.evaluation)
    print(text)
    write_session(session, text, about, cases, whole, trainings)
    failed = (WHOLE_RUN in session.workloads and whole is None) or any(case.left_out for case in trainings)
    return 1 if failed else 0


def measure_workloads(session: Session, end: float | None) -> list[Case]:
    """Return a case for each workload, each with its share of the time until ``end``; late ones are left out."""
    from membrane.bench.measure import next_deadline, time_workload

    workloads = chosen_workloads(session.workloads, session.device.type, session.sweep, session.scale)
    cases: list[Case] = []
    for number, workload in enumerate(workloads):
        title = f"{workload.name}, {workload.setting}"
        if cases and end is not None and perf_counter() >= end:
            print_beside(f"{title} is left out: the time is up")
            continue
        print_beside(f"{title} ({number + 1} of {len(workloads)})")
        later = sum(each.name in session.workloads for each in TRAININGS) + (WHOLE_RUN in session.workloads)
        until = next_deadline(end, len(workloads) - number + later)
        limits = session.rounds, until
        case = time_workload(workload, session.peers, session.device, *limits, evaluation=session.evaluation)
        cases.append(with_memory(case, session.threads) if session.memory and session.device.type == "cpu" else case)
    return cases


def with_memory(case: Case, threads: int) -> Case:
    """Return a case with the peak memory of every peer, each measured in a process of its own."""
    from membrane.bench.digits_run import child_environment
    from membrane.bench.memory import peak_memory

    environment = child_environment()
    by_name = {peer.name: peer for peer in PEERS}
    workload: Workload = case.workload
    timings = [
        replace(each, memory=peak_memory(workload, by_name[each.peer], each.precision, threads, environment))
        for each in case.timings
    ]
    return replace(case, timings=timings)


def time_whole_run(session: Session, end: float | None) -> WholeRun | None:
    """Time the digits run from the command to its end; print why and return None if it fails."""
    from membrane.bench import digits_run

    print_beside(f"{WHOLE_RUN}, the digits run")
    shorter = ["epochs=1", "model=smlp", "model.units=[16]", "timesteps=2"] if session.scale < 1 else []
    until = float("inf") if end is None else end
    rounds = min(session.rounds, WHOLE_RUNS)
    try:
        return digits_run.time_digits_runs(rounds, until, session.threads, digits_run.child_environment(), shorter)
    except digits_run.DigitsRunFailed as error:
        print_beside(str(error))
        return None


def time_trainings(session: Session, end: float | None) -> list[Case]:
    """Return a case for each whole training, in processes on the CPU; late ones are left out."""
    from membrane.bench.digits_run import child_environment
    from membrane.bench.whole_training import time_training

    cases: list[Case] = []
    for training in (each for each in TRAININGS if each.name in session.workloads):
        if session.device.type != "cpu" or (end is not None and perf_counter() >= end):
            why = "the time is up" if session.device.type == "cpu" else "it is timed on the CPU"
            print_beside(f"{training.name} is left out: {why}")
            continue
        print_beside(f"{training.name}, whole trainings of {training.dataset}")
        timed = training if session.scale == 1 else training.shortened()
        until = float("inf") if end is None else end
        rounds = min(session.rounds, WHOLE_RUNS)
        cases.append(time_training(timed, session.peers, rounds, until, session.threads, child_environment()))
    return cases


def write_session(
    session: Session,
    text: str,
    about: dict[str, str],
    cases: list[Case],
    whole: WholeRun | None,
    trainings: Sequence[Case] = (),
) -> None:
    """Write `cpu.md`, `cpu.json` and `cpu.png`, or `cuda…`; of a sweep `cpu_timesteps…`, or `cpu_evaluation…`."""
    from membrane.bench import figure
    from membrane.files import durable

    parts = [session.device.type, *["evaluation"] * session.evaluation, *([session.sweep] if session.sweep else [])]
    path = session.out / "_".join(parts)
    real = durable.in_real_folder(path)
    durable.write_utf8(real.with_suffix(".md"), text)
    content: dict[str, Any] = {"schema": 1, "machine": about, "sweep": session.sweep, "scale": session.scale}
    content |= {"cases": [asdict(case) for case in cases], "whole_run": None if whole is None else asdict(whole)}
    content |= {"trainings": [asdict(case) for case in trainings], "evaluation": session.evaluation}
    durable.write_json(real.with_suffix(".json"), content)
    suffixes = [".md", ".json"]
    if drawn := [case for case in cases if case.timings]:
        picture = figure.line_figure(drawn, session.sweep) if session.sweep else figure.bar_figure(drawn)
        durable.write_whole(real.with_suffix(".png"), lambda file: picture.savefig(file, format="png", dpi=130))
        suffixes.append(".png")
    print_beside(f"written: {', '.join(f'{path}{suffix}' for suffix in suffixes)}")


def print_beside(line: str) -> None:
    """Print a line to standard error, so that standard output holds the tables alone."""
    print(f"membrane: {line}", file=sys.stderr, flush=True)
