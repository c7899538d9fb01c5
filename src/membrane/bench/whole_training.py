"""Timing whole trainings: every library trains in a process of its own, and they take turns."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

from membrane.bench.digits_run import last_line
from membrane.bench.peers import Peer
from membrane.bench.record import Case, Timing
from membrane.bench.trainings import Training
from membrane.fast.waiting_threads import with_own_waiting
from membrane.runs.saved import read_result

SINGLE_STEP = {"multistep": "singlestep", "multistep_tid": "singlestep_tid"}


class TrainingFailed(RuntimeError):
    """A training failed; the message has the last line that it printed."""


def time_training(
    training: Training, peers: Sequence[Peer], rounds: int, until: float, threads: int, environment: Mapping[str, str]
) -> Case:
    """Time a training in all peers in at most so many rounds, none begun after ``until`` of perf_counter.

    A timing is in seconds an epoch, its evaluation included, without start-up and reading of data. A peer whose
    training fails is left out, and the line that says why is kept.
    """
    seconds: dict[Peer, list[float]] = {peer: [] for peer in peers if "fp32" in peer.precisions}
    left_out: dict[str, str] = {}
    number = 0
    while number < rounds and seconds and (not number or perf_counter() < until):
        for peer in list(seconds):
            try:
                seconds[peer].append(seconds_an_epoch(training, peer, threads, environment))
            except TrainingFailed as error:
                left_out[peer.name] = str(error)
                del seconds[peer]
        number += 1
    timings = [Timing(peer.name, peer.role, "fp32", values) for peer, values in seconds.items()]
    return Case(training.net, timings, left_out)


def seconds_an_epoch(training: Training, peer: Peer, threads: int, environment: Mapping[str, str]) -> float:
    """Train once in a process of its own and return the seconds an epoch. Raises TrainingFailed if it fails.

    What trains by hand is a program like any other: its threads wait as OpenMP has it.
    """
    if peer.role == "ours":
        return membrane_seconds(training, peer, threads, environment)
    task = {"training": training.name, "peer": peer.name, "epochs": training.epochs, "threads": threads}
    command = [sys.executable, "-m", "membrane.bench.by_hand", json.dumps(task)]
    output = output_of(command, with_own_waiting(environment))
    return float(sum(json.loads(last_line(output))["seconds"])) / training.epochs


def membrane_seconds(training: Training, peer: Peer, threads: int, environment: Mapping[str, str]) -> float:
    """Run `membrane train` and return its `fit_seconds` an epoch. Raises TrainingFailed if it fails."""
    settings = list(training.settings)
    if "singlestep" in peer.name:
        settings = [single_step_setting(each) for each in settings]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        further = [f"epochs={training.epochs}", f"threads={threads}", "logger=csv", "figures=false", f"paths.run={run}"]
        output_of([sys.executable, "-m", "membrane", "train", *settings, *further], environment)
        return float(read_result(run)["fit_seconds"]) / training.epochs


def single_step_setting(setting: str) -> str:
    """Return a setting, with the single-step framework in the place of the multi-step one."""
    name, value = setting.split("=", 1)
    return f"{name}={SINGLE_STEP[value]}" if name == "framework" else setting


def output_of(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what a command prints. Raises TrainingFailed if it fails."""
    process = subprocess.run(
        command, env=dict(environment), capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if process.returncode:
        raise TrainingFailed(last_line(process.stderr))
    return process.stdout
