"""The tables, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median

from membrane.bench.peers import PEERS
from membrane.bench.record import Case, Spread, Timing, WholeRun, ratio, spread

HEADER = ("", "precision", "ms a step", "quartiles", "× best fp32 peer", "× floor", "samples/s")
MEMORY = "peak MB"
READING = """\
A step is forward, cross-entropy of the mean output over T, zero_grad, backward and SGD with momentum, on random data
that lies on the device. Nets have the same weights and take turns; numbers are medians over rounds, ratios are taken
round by round. bf16 is autocast, channels last; in fp32 channels come first unless it says otherwise.
The floor is the same net with ReLU in the neurons' place on T·N images, at the same precision and layout. torch has no
channels last for signals: there membrane and the floor use membrane's, other libraries none."""
GROWTH = (
    "Memory: on the CPU what a process that trains grows by, on CUDA what the allocator hands out, both at the peak."
)


def report(machine: Mapping[str, str], cases: Sequence[Case], whole: WholeRun | None, axis: str | None = None) -> str:
    """All that was measured; over an ``axis`` that was swept a workload's cases are columns of one table."""
    parts = [table(("", ""), machine.items())]
    if axis:
        for _, group in groupby(cases, key=lambda case: case.workload.name):
            parts += swept(list(group), axis)
    else:
        parts += [section(case) for case in cases]
    if whole is not None:
        parts.append(whole_section(whole))
    if cases:
        parts += footnotes(cases)
    return "\n\n".join(["# membrane bench", *parts]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def section(case: Case) -> str:
    """A case: a row for each peer and precision."""
    header, weighed = list(HEADER), any(timing.memory is not None for timing in case.timings)
    rows = [row(case, timing) + ([megabytes(timing.memory)] if weighed else []) for timing in case.timings]
    about = f"{case.workload.setting}; {rounds(case)}"
    lines = [f"## {case.workload.name}: {case.workload.title}", about]
    lines.append(table(header + [MEMORY] * weighed, rows))
    lines += [f"Left out: {name} ({why})." for name, why in case.left_out.items()]
    return "\n\n".join(lines)


def rounds(case: Case) -> str:
    """``15 rounds``."""
    count = len(case.timings[0].seconds) if case.timings else 0
    return "1 round" if count == 1 else f"{count} rounds"


def row(case: Case, timing: Timing) -> list[str]:
    """A peer at a precision, against the best peer and against the floor."""
    best, found = case.best_peer(), spread(timing.seconds)
    name = f"**{timing.peer}**" if timing.role == "ours" else timing.peer
    return [
        name,
        timing.precision,
        milliseconds(found.middle),
        f"{milliseconds(found.low)}–{milliseconds(found.high)}",
        times(ratio(timing, best)),
        times(ratio(timing, case.floor(timing.precision))),
        f"{case.workload.batch / found.middle:,.0f}",
    ]


def swept(cases: Sequence[Case], axis: str) -> list[str]:
    """Medians and ratios to the floor of one workload's cases, a column for each value of the axis."""
    first = cases[0].workload
    header = ["", "precision", *(value_on(case, axis) for case in cases)]
    labels = dict.fromkeys((each.peer, each.precision) for case in cases for each in case.timings)
    times_taken, ratios = [], []
    for peer, precision in labels:
        found = [next((e for e in case.timings if (e.peer, e.precision) == (peer, precision)), None) for case in cases]
        times_taken.append(
            [peer, precision, *("–" if each is None else milliseconds(median(each.seconds)) for each in found)]
        )
        pairs = zip(cases, found, strict=True)
        against = ["–" if each is None else times(ratio(each, case.floor(precision))) for case, each in pairs]
        ratios.append([peer, precision, *against])
    title = f"## {first.name}: {first.title}"
    return [title, f"ms a step by {axis}", table(header, times_taken), f"× floor by {axis}", table(header, ratios)]


def value_on(case: Case, axis: str) -> str:
    """Where a case stands on an axis: ``T 4``, ``batch 32``, ``×0.5``."""
    workload = case.workload
    said = {"timesteps": f"T {workload.timesteps}", "batch": f"batch {workload.batch}"}
    return said.get(axis, f"×{workload.width:g}")


def whole_section(whole: WholeRun) -> str:
    """W5."""
    rows = [
        ("from the command to the first optimiser step", whole.first_step),
        ("from the command to the end", whole.end),
        ("`fit_seconds`", whole.fit),
    ]
    said = [(name, f"{median(values):.2f}", f"{min(values):.2f}–{max(values):.2f}") for name, values in rows]
    header = ("", "seconds", f"min–max of {len(whole.end)}")
    return "\n\n".join(["## W5: the digits run, whole, with its defaults and `logger=csv`", table(header, said)])


def footnotes(cases: Sequence[Case]) -> list[str]:
    """How to read the tables, and in what the peers' nets differ from ours."""
    notes = [READING]
    if any(timing.memory is not None for case in cases for timing in case.timings):
        notes.append(GROWTH)
    used = {timing.peer for case in cases for timing in case.timings}
    for name in {case.workload.neuron: case.workload.name for case in cases}:
        where = ", ".join(dict.fromkeys(case.workload.name for case in cases if case.workload.neuron == name))
        told = [peer.note(name) for peer in PEERS if peer.name in used]
        notes += [f"{where}: {note}." for note in told if note]
    return notes


def milliseconds(seconds: float) -> str:
    """Three digits: 743, 74.3, 7.43."""
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(found: Spread | None) -> str:
    """``0.92 (0.90–0.95)``."""
    return "–" if found is None else f"{found.middle:.2f} ({found.low:.2f}–{found.high:.2f})"


def megabytes(size: int | None) -> str:
    """Decimal megabytes."""
    return "–" if size is None else f"{size / 1e6:,.0f}"
