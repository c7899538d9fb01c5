"""Time a training step beside SpikingJelly, snnTorch and Norse."""

from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from membrane.bench.peers import PEERS, Peer
from membrane.bench.session import Session, print_beside, run_session
from membrane.bench.trainings import TRAINING_NAMES, TRAININGS
from membrane.bench.workloads import SWEPT, WHOLE_RUN, WORKLOAD_NAMES, WORKLOADS
from membrane.cli.answer import CommandParser
from membrane.cli.writable import require_writable
from membrane.config.installation import install_command
from membrane.config.messages import nearest
from membrane.errors import ConfigError

if TYPE_CHECKING:
    import torch

ROUNDS = 15
NAMES = (*WORKLOAD_NAMES, *TRAINING_NAMES)
OUT = Path("records/bench")


def bench_command(arguments: Sequence[str]) -> int:
    """Measure what was asked for and return the exit code: 1 if a run failed."""
    options = bench_parser().parse_args(arguments)
    if options.memory and options.evaluation:
        raise ConfigError("--memory measures training; leave out --evaluation")
    workloads = chosen_names(options.workloads, options.sweep, options.evaluation)
    peers = chosen_peers(options.peers)
    device = chosen_device(options.device)
    require_writable(f"--out {options.out}", options.out)
    session = Session(
        workloads=workloads,
        peers=peers_timed_on(device.type, peers, options.precision),
        device=device,
        rounds=options.rounds,
        minutes=options.minutes,
        threads=options.threads,
        sweep=options.sweep,
        memory=options.memory,
        out=options.out,
        scale=options.scale,
        evaluation=options.evaluation,
    )
    try:
        return run_session(session)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing was written") from None


def bench_parser() -> CommandParser:
    """Return the parser of the command."""
    listed = "\n".join(f"  {each.name:<8}{each.title}" for each in WORKLOADS)
    trainings = "\n".join(f"  {each.name:<8}{each.net.title}" for each in TRAININGS)
    parser = CommandParser(
        "bench",
        f"{__doc__}\n\nThe peers are written by hand; the floor is the same net with ReLU on T·N images.\n"
        f"snnTorch and Norse come with: {install_command('bench')}",
        epilog=f"workloads:\n{listed}\n  {WHOLE_RUN:<8}the digits run, whole, from the command to its end\n\n"
        f"whole trainings, an epoch with its evaluation:\n{trainings}\n\n"
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
    add("--evaluation", action="store_true", help="time evaluation, without gradients, in the place of a training step")
    add("--memory", action="store_true", help="on the CPU, peak memory too: a further process for each peer")
    add("--out", type=Path, default=OUT, help=f"folder for the table, the figure and the numbers (default {OUT})")
    add("--scale", type=positive(float), default=1.0, help="narrower nets and smaller batches, to try the bench out")
    return parser


def positive(number: type[int] | type[float]) -> Callable[[str], float]:
    """Return the function by which argparse reads a number above 0."""

    def read(text: str) -> float:
        value = number(text)
        if not 0 < value < float("inf"):
            raise ArgumentTypeError(f"{text} must be above 0")
        return value

    read.__name__ = "number"  # what argparse calls a text that is none
    return read


def chosen_names(typed: list[str], axis: str | None, evaluation: bool = False) -> list[str]:
    """Return the names of the workloads to measure. Raises ConfigError for an unknown one and one without the axis."""
    nets = [workload.name for workload in WORKLOADS if workload.classes]
    for name in typed:
        if name not in NAMES:
            raise ConfigError(f"{name}: no such workload{nearest(name, NAMES) or ';'} there are {', '.join(NAMES)}")
        for option in [f"--sweep {axis}"] * bool(axis) + ["--evaluation"] * evaluation:
            if name not in nets:
                raise ConfigError(f"{option} goes with {', '.join(nets)}, not with {name}")
    return typed or (nets if axis or evaluation else list(NAMES))


def chosen_peers(typed: list[str] | None) -> list[Peer]:
    """Return the installed peers whose names contain one of the texts, after a line for each that is not installed.

    Raises ConfigError if no peer's name contains a text, or none of them is installed.
    """
    parts = [text.strip().lower() for text in typed or [""]]
    for part in parts:
        if not any(part in peer.name.lower() for peer in PEERS):
            names = ", ".join(peer.name for peer in PEERS)
            raise ConfigError(f"--peers {part}: no peer's name contains it; there are {names}")
    named = [peer for peer in PEERS if any(part in peer.name.lower() for part in parts)]
    for peer in named:
        if not peer.is_installed():
            print_beside(f"{peer.name} is not installed and left out; it comes with: {install_command('bench')}")
    installed = [peer for peer in named if peer.is_installed()]
    if not installed:
        raise ConfigError("--peers: none of them is installed")
    return installed


def peers_timed_on(device: str, peers: list[Peer], precision: str | None) -> list[Peer]:
    """Return the peers that a device can time, at the precisions that are worth it. Raises ConfigError for none."""
    from membrane.config.precision import bf16_instructions

    able = [peer for peer in peers if device in peer.devices]
    if not able:
        raise ConfigError(f"--peers: {peers[0].name} is timed on {', '.join(peers[0].devices)}, not on {device}")
    if precision is None and device == "cpu" and bf16_instructions() == "no":
        print_beside("bf16 is left out, this processor does not multiply in it; --precision bf16 times it all the same")
        precision = "fp32"
    wanted = precision or ""
    narrowed = [replace(peer, precisions=tuple(p for p in peer.precisions if p.startswith(wanted))) for peer in able]
    if not any(peer.precisions for peer in narrowed):
        raise ConfigError(f"--precision {precision}: {able[0].name} is timed in {', '.join(able[0].precisions)}")
    return [peer for peer in narrowed if peer.precisions]


def chosen_device(name: str) -> "torch.device":
    """Return the device to measure on. Raises ConfigError if there is none of that kind."""
    import torch

    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise ConfigError("--device cuda: torch finds no CUDA device here; use --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and has_cuda) else "cpu")
