"""``python -m membrane.bench.recomputation [--out DIR] [WORKLOAD…]``: time and memory by T, beside recomputation's.

Each step is followed by one that recomputes, of a net with the same weights, so that a machine that changes its speed
changes both. Memory is the growth of a process of its own for each. Multi-step W1 to W3 are left out, whose batch norm
takes its statistics over all timesteps.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import torch

from membrane.bench.digits_run import child_environment
from membrane.bench.machine import describe_machine
from membrane.bench.measure import time_workload
from membrane.bench.memory import peak_memory
from membrane.bench.peers import PEERS, RECOMPUTED, Peer
from membrane.bench.record import Case, ratio
from membrane.bench.report import markdown_table, megabytes_text, milliseconds_text, ratio_text
from membrane.bench.workloads import CHUNK, WORKLOADS, Workload
from membrane.files import durable
from membrane.training.memory import reuse_large_memory

TIMESTEPS = (1, 4, 16, 64, 256)
BATCHES = {"W1": 2, "W2": 2, "W3": 16, "W4": 128}
"""Samples with which 256 timesteps fit into memory."""
ROUNDS, THREADS = 5, 1
OUT, FILE = Path("records/bench"), "cpu_recompute"
HEADER = ("T", "ms a step", "recomputed", "×", "peak MB", "recomputed", "×")


def compared(workload: Workload) -> Iterator[tuple[Peer, Peer]]:
    """Yield pairs of a framework without and with recomputation that can run a workload."""
    by_name = {peer.name: peer for peer in PEERS}
    for peer in RECOMPUTED:
        if not (workload.filters and "multistep" in peer.name):
            yield replace(by_name[peer.name.partition(",")[0]], precisions=("fp32",)), peer


def measured(workload: Workload, pair: Sequence[Peer], rounds: int) -> Case:
    """Return the case of a pair: the seconds of its steps, which take turns, and the bytes of each."""
    case = time_workload(workload, pair, torch.device("cpu"), rounds, float("inf"))
    environment = child_environment()
    timings = [
        replace(timing, memory=peak_memory(workload, peer, "fp32", THREADS, environment))
        for timing, peer in zip(case.timings, pair, strict=True)
    ]
    return replace(case, timings=timings)


def section(cases: Sequence[Case]) -> str:
    """Return the table of a pair at every T."""
    rows, workload = [], cases[0].workload
    for case in cases:
        plain, again = case.timings
        sizes = [plain.memory, again.memory]
        share = f"{sizes[1] / sizes[0]:.2f}" if sizes[0] and sizes[1] else "–"
        times = [milliseconds_text(median(each.seconds)) for each in (plain, again)]
        rows.append(
            [str(case.workload.timesteps), *times, ratio_text(ratio(again, plain)), *map(megabytes_text, sizes), share]
        )
    title = f"## {workload.name}, {cases[0].timings[0].peer}, batch {workload.batch}"
    return "\n\n".join([title, f"{workload.title}.", markdown_table(HEADER, rows)])


def run_comparison(names: Sequence[str], out: Path) -> None:
    """Measure workloads by name, by default all, the quickest first, and write the tables after each."""
    torch.set_num_threads(THREADS)
    reuse_large_memory()
    groups: list[list[Case]] = []
    for workload in sorted(WORKLOADS, key=lambda each: -BATCHES.get(each.name, 0)):
        for pair in compared(workload) if workload.name in (names or BATCHES) else ():
            sized = [replace(workload, timesteps=steps, batch=BATCHES[workload.name]) for steps in TIMESTEPS]
            groups.append([measured(each, pair, ROUNDS) for each in sized])
            print(section(groups[-1]), flush=True)
            write(groups, out)


def write(groups: Sequence[Sequence[Case]], out: Path) -> None:
    """Write the tables and the numbers of each pair of peers to a folder."""
    about = describe_machine(torch.device("cpu"), THREADS)
    heading = f"# Recomputation in chunks of {CHUNK} timesteps"
    text = "\n\n".join([heading, markdown_table(("", ""), about.items()), *map(section, groups)]) + "\n"
    real = durable.in_real_folder(out / FILE)
    durable.write_utf8(real.with_suffix(".md"), text)
    cases = [asdict(case) for group in groups for case in group]
    durable.write_json(real.with_suffix(".json"), {"schema": 1, "machine": about, "chunk": CHUNK, "cases": cases})


if __name__ == "__main__":
    parser = ArgumentParser("membrane.bench.recomputation")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    run_comparison(options.workloads, options.out)
