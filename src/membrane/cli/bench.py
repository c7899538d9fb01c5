"""Time a training step beside SpikingJelly, snnTorch and Norse."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from membrane.bench.peers import PEERS, Peer
from membrane.bench.record import Case, WholeRun
from membrane.bench.workloads import SWEPT, WHOLE_RUN, WORKLOAD_NAMES, WORKLOADS, Workload, chosen_workloads
from membrane.cli.answer import CommandParser
from membrane.config.messages import nearest
from membrane.errors import ConfigError

if TYPE_CHECKING:
    import torch

ROUNDS = 15
WHOLE_RUNS = 3
OUT = Path("records/bench")


def bench_command(arguments: Sequence[str]) -> int:
    """Measure what was asked for and return the exit code: 1 if a run failed."""
    asked = bench_parser().parse_args(arguments)
    names, peers, device = names_of(asked.workloads, asked.sweep), peers_of(asked.peers), device_of(asked.device)
    try:
        return bench(asked, names, timed_on(device.type, peers, asked.precision), device)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing was written") from None


def bench_parser() -> CommandParser:
    """Return the parser of the command."""
    listed = "\n".join(f"  {each.name:<8}{each.title}" for each in WORKLOADS)
    parser = CommandParser(
        "bench",
        f"{__doc__}\n\nThe peers are written by hand; the floor is the same net with ReLU on T·N images.\n"
        "snnTorch and Norse come with: pip install 'membrane[bench]'.",
        epilog=f"workloads:\n{listed}\n  {WHOLE_RUN:<8}the digits run, whole, from the command to its end\n\n"
        "for example:\n  membrane bench --minutes 6\n  membrane bench W1 W2 --threads 2 --memory\n"
        "  membrane bench W1 --sweep timesteps --peers membrane,relu --minutes 10",
    )
    add = parser.add_argument
    add("workloads", nargs="*", metavar="WORKLOAD", help="which ones (default: all; with --sweep W1 to W4)")
    add("--rounds", type=positive(int), default=ROUNDS, help=f"turns that every peer gets at most (default {ROUNDS})")
    add("--minutes", type=positive(float), help="end within about so many minutes: fewer rounds, then fewer workloads")
    add("--threads", type=positive(int), default=2, help="threads on the CPU (default 2)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: CUDA where there is one")
    add("--peers", type=lambda text: text.split(","), help="only peers whose names contain one of these, with commas")
    add(
        "--precision",
        choices=("fp32", "bf16"),
        help="only one, fp32 in both layouts (default: both, on the CPU bf16 where it multiplies so)",
    )
    add("--sweep", choices=SWEPT, help="time by T from 1 to 64, by batch or by width")
    add("--memory", action="store_true", help="on the CPU, peak memory too: a further process for each peer")
    add("--out", type=Path, default=OUT, help=f"folder for the table, the figure and the numbers (default {OUT})")
    add("--scale", type=positive(float), default=1.0, help="narrower nets and smaller batches, to try the bench out")
    return parser


def positive(kind: type[int] | type[float]) -> Any:
    """What argparse calls with the text of a number above 0."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ArgumentTypeError(f"{text} must be above 0")
        return value

    read.__name__ = "number"  # what argparse calls a text that is none
    return read


def names_of(asked: list[str], axis: str | None) -> list[str]:
    """The workloads that are meant. ConfigError for a name that there is none of, or that has nothing to be swept."""
    sweepable = [workload.name for workload in WORKLOADS if workload.classes]
    for name in asked:
        if name not in WORKLOAD_NAMES:
            raise ConfigError(
                f"{name}: no such workload{nearest(name, WORKLOAD_NAMES) or ';'} there are {', '.join(WORKLOAD_NAMES)}"
            )
        if axis and name not in sweepable:
            raise ConfigError(f"--sweep {axis} goes with {', '.join(sweepable)}, not with {name}")
    return asked or (sweepable if axis else list(WORKLOAD_NAMES))


def peers_of(asked: list[str] | None) -> list[Peer]:
    """The peers that are meant and installed; a line says which are not. ConfigError where a name fits none."""
    parts = [each.strip().lower() for each in asked or [""]]
    for part in parts:
        if not any(part in peer.name.lower() for peer in PEERS):
            raise ConfigError(
                f"--peers {part}: no peer's name contains it; there are {', '.join(p.name for p in PEERS)}"
            )
    meant = [peer for peer in PEERS if any(part in peer.name.lower() for part in parts)]
    for peer in meant:
        if not peer.is_installed():
            say(f"{peer.name} is not installed and left out; it comes with: pip install 'membrane[bench]'")
    found = [peer for peer in meant if peer.is_installed()]
    if not found:
        raise ConfigError("--peers: none of them is installed")
    return found


def timed_on(device: str, peers: list[Peer], precision: str | None) -> list[Peer]:
    """Those that are timed on such a device, at the precisions it is worth it. ConfigError where none is."""
    from membrane.config.precision import bf16_instructions

    found = [peer for peer in peers if device in peer.devices]
    if not found:
        raise ConfigError(f"--peers: {peers[0].name} is timed on {', '.join(peers[0].devices)}, not on {device}")
    if precision is None and device == "cpu" and bf16_instructions() == "no":
        say("bf16 is left out, this processor does not multiply in it; --precision bf16 times it all the same")
        precision = "fp32"
    meant = precision or ""
    narrowed = [replace(peer, precisions=tuple(p for p in peer.precisions if p.startswith(meant))) for peer in found]
    if not any(peer.precisions for peer in narrowed):
        raise ConfigError(f"--precision {precision}: {found[0].name} is timed in {', '.join(found[0].precisions)}")
    return [peer for peer in narrowed if peer.precisions]


def say(line: str) -> None:
    """Tell the person, beside the table."""
    print(f"membrane: {line}", file=sys.stderr, flush=True)


def device_of(name: str) -> "torch.device":
    """The device. ConfigError where there is none of that kind."""
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("--device cuda: torch finds no CUDA device here; use --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and there) else "cpu")


def bench(asked: Namespace, names: list[str], peers: list[Peer], device: "torch.device") -> int:
    """Measure, print the tables, and write them with the figure and the numbers."""
    import torch

    from membrane.bench import machine
    from membrane.bench.report import bench_report

    torch.set_num_threads(asked.threads)
    end = None if asked.minutes is None else perf_counter() + 60 * asked.minutes
    about = machine.describe_machine(device, asked.threads)
    workloads = chosen_workloads(names, device.type, asked.sweep, asked.scale)
    cases = timed(asked, workloads, peers, device, end, WHOLE_RUN in names)
    whole = whole_run(asked, end) if WHOLE_RUN in names else None
    text = bench_report(about, cases, whole, asked.sweep)
    print(text)
    write(asked, device.type, text, about, cases, whole)
    return 1 if WHOLE_RUN in names and whole is None else 0


def timed(
    asked: Namespace,
    workloads: list[Workload],
    peers: list[Peer],
    device: "torch.device",
    end: float | None,
    more: bool,
) -> list[Case]:
    """A case for each workload, each with its share of the time; ``more``: something comes after them."""
    from membrane.bench.measure import next_deadline, time_workload

    cases: list[Case] = []
    for number, workload in enumerate(workloads):
        if cases and end is not None and perf_counter() >= end:
            say(f"{workload.name}, {workload.setting} is left out: the time is up")
            continue
        say(f"{workload.name}, {workload.setting} ({number + 1} of {len(workloads)})")
        until = next_deadline(end, len(workloads) - number + more)
        case = time_workload(workload, peers, device, asked.rounds, until)
        cases.append(weighed(case, asked.threads) if asked.memory and device.type == "cpu" else case)
    return cases


def weighed(case: Case, threads: int) -> Case:
    """With the peak memory of every peer, each in a process of its own."""
    from membrane.bench.digits_run import child_environment
    from membrane.bench.memory import peak_memory

    environment = child_environment()
    by_name = {peer.name: peer for peer in PEERS}
    timings = [
        replace(each, memory=peak_memory(case.workload, by_name[each.peer], each.precision, threads, environment))
        for each in case.timings
    ]
    return replace(case, timings=timings)


def whole_run(asked: Namespace, end: float | None) -> WholeRun | None:
    """W5; None, and a line that says why, where it failed."""
    from membrane.bench import digits_run

    say(f"{WHOLE_RUN}, the digits run")
    few = ["epochs=1", "model=smlp", "model.units=[16]", "timesteps=2"] if asked.scale < 1 else []
    until = float("inf") if end is None else end
    rounds = min(asked.rounds, WHOLE_RUNS)
    try:
        return digits_run.time_digits_runs(rounds, until, asked.threads, digits_run.child_environment(), few)
    except digits_run.DigitsRunFailed as error:
        say(str(error))
        return None


def write(
    asked: Namespace, device: str, text: str, about: dict[str, str], cases: list[Case], whole: WholeRun | None
) -> None:
    """`cpu.md`, `cpu.json` and `cpu.png`, or `cuda…`; of a sweep `cpu_timesteps…`."""
    from membrane.bench import figure
    from membrane.files import durable

    place = asked.out / "_".join([device, *([asked.sweep] if asked.sweep else [])])
    durable.write_whole(place.with_suffix(".md"), lambda file: file.write(text.encode()))
    content: dict[str, Any] = {"schema": 1, "machine": about, "sweep": asked.sweep, "scale": asked.scale}
    content |= {"cases": [asdict(case) for case in cases], "whole_run": None if whole is None else asdict(whole)}
    durable.write_json(place.with_suffix(".json"), content)
    written = [".md", ".json"]
    if drawn := [case for case in cases if case.timings]:
        picture = figure.line_figure(drawn, asked.sweep) if asked.sweep else figure.bar_figure(drawn)
        durable.write_whole(place.with_suffix(".png"), lambda file: picture.savefig(file, format="png", dpi=130))
        written.append(".png")
    say(f"written: {', '.join(f'{place}{end}' for end in written)}")
