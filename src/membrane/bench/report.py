"""The benchmark's tables, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median

from membrane.bench.peers import PEERS
from membrane.bench.record import Case, Spread, Timing, WholeRun, ratio, spread

CASE_HEADER = ("", "precision", "ms a step", "quartiles", "× best fp32 peer", "× floor", "samples/s")
MEMORY = "peak MB"
STEP = """\
A step is forward, cross-entropy of the mean output over T, zero_grad, backward and SGD with momentum, on random data
that lies on the device."""
EVALUATION = "A step is a forward in eval mode without gradients, on random data that lies on the device."
READING = """\
Nets have the same weights and take turns; numbers are medians over rounds, ratios are taken
round by round. bf16 is autocast, channels last; in fp32 channels come first unless it says otherwise.
The floor is the same net with ReLU in the neurons' place on T·N images, at the same precision and layout. torch has no
channels last for signals: there membrane and the floor use membrane's, other libraries none. Memory of large tensors is
kept for the next ones, as in a run of membrane, for all of them. The best peer is the other library with the lowest
median in fp32, in either layout; a ratio below 1 is faster than it, or than the floor, and in parentheses are the
ratios' quartiles. A plus behind the commit: the code had been changed since."""
TRAINING = """\
Whole trainings: an epoch is a pass over the training set with SGD, and one over the test set without gradients.
membrane is `membrane train` with all that it writes, channels last where it convolves; the others are a loop over a
shuffling loader of tensors in memory. Start-up and the reading of the data are left out. Every training is a process of
its own; they take turns."""
GROWTH = (
    "Memory: on the CPU what a process that trains grows by, on CUDA what the allocator hands out, both at the peak."
)


def bench_report(
    machine: Mapping[str, str],
    cases: Sequence[Case],
    whole: WholeRun | None,
    axis: str | None = None,
    trainings: Sequence[Case] = (),
    evaluation: bool = False,
) -> str:
    """Return the whole report; over a swept ``axis`` the cases of a workload are columns of one table."""
    parts = [markdown_table(("", ""), machine.items())]
    if axis:
        for _, group in groupby(cases, key=lambda case: case.workload.name):
            parts += sweep_sections(list(group), axis)
    else:
        parts += [case_section(case) for case in cases]
    if whole is not None:
        parts.append(whole_section(whole))
    parts += [training_section(case) for case in trainings]
    if cases:
        parts += footnotes(cases, EVALUATION if evaluation else STEP)
    if trainings:
        parts.append(TRAINING)
    return "\n\n".join(["# membrane bench", *parts]) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a header and rows of cells as a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def case_section(case: Case) -> str:
    """Return the section of a case: a row for each peer and precision."""
    header, weighed = list(CASE_HEADER), any(timing.memory is not None for timing in case.timings)
    rows = [timing_row(case, timing) + ([megabytes_text(timing.memory)] if weighed else []) for timing in case.timings]
    about = f"{case.workload.setting}; {rounds_text(case)}"
    lines = [f"## {case.workload.name}: {case.workload.title}", about]
    lines.append(markdown_table(header + [MEMORY] * weighed, rows))
    lines += [f"Left out: {name} ({why})." for name, why in case.left_out.items()]
    return "\n\n".join(lines)


def rounds_text(case: Case) -> str:
    """Return ``15 rounds``."""
    count = len(case.timings[0].seconds) if case.timings else 0
    return "1 round" if count == 1 else f"{count} rounds"


def timing_row(case: Case, timing: Timing) -> list[str]:
    """Return the cells of a peer at a precision, with ratios to the best peer and to the floor."""
    best, seconds = case.best_peer(), spread(timing.seconds)
    name = f"**{timing.peer}**" if timing.role == "ours" else timing.peer
    return [
        name,
        timing.precision,
        milliseconds_text(seconds.middle),
        f"{milliseconds_text(seconds.low)}–{milliseconds_text(seconds.high)}",
        ratio_text(ratio(timing, best)),
        ratio_text(ratio(timing, case.floor(timing.precision))),
        f"{case.workload.batch / seconds.middle:,.0f}",
    ]


def sweep_sections(cases: Sequence[Case], axis: str) -> list[str]:
    """Return tables of medians and of ratios to the floor of one workload, a column for each value of the axis."""
    first = cases[0].workload
    header = ["", "precision", *(axis_value(case, axis) for case in cases)]
    labels = dict.fromkeys((each.peer, each.precision) for case in cases for each in case.timings)
    times_taken, ratios = [], []
    for peer, precision in labels:
        timings = [case.timing_of(peer, precision) for case in cases]
        times_taken.append(
            [peer, precision, *("–" if each is None else milliseconds_text(median(each.seconds)) for each in timings)]
        )
        pairs = zip(cases, timings, strict=True)
        against = ["–" if each is None else ratio_text(ratio(each, case.floor(precision))) for case, each in pairs]
        ratios.append([peer, precision, *against])
    tables = {f"ms a step by {axis}": times_taken, f"× floor by {axis}": ratios}
    parts = [part for caption, rows in tables.items() for part in (caption, markdown_table(header, rows))]
    return [f"## {first.name}: {first.title}", *parts]


def axis_value(case: Case, axis: str) -> str:
    """Return a case's value on an axis: ``T 4``, ``batch 32``, ``×0.5``."""
    workload = case.workload
    values = {"timesteps": f"T {workload.timesteps}", "batch": f"batch {workload.batch}"}
    return values.get(axis, f"×{workload.width:g}")


def whole_section(whole: WholeRun) -> str:
    """Return the section of W5, the whole run."""
    columns = [
        ("from the command to the first optimiser step", whole.first_step),
        ("from the command to the end", whole.end),
        ("`fit_seconds`", whole.fit),
    ]
    rows = [(name, f"{median(values):.2f}", f"{min(values):.2f}–{max(values):.2f}") for name, values in columns]
    header = ("", "seconds", f"min–max of {len(whole.end)}")
    title = "## W5: the digits run, whole, with its defaults and `logger=csv`"
    return f"{title}\n\n{markdown_table(header, rows)}"


def training_section(case: Case) -> str:
    """Return the section of a whole training: seconds an epoch, and their ratios to the best peer and the floor."""
    best, net = case.best_peer(), case.workload
    rows = []
    for timing in case.timings:
        seconds, name = spread(timing.seconds), f"**{timing.peer}**" if timing.role == "ours" else timing.peer
        quartiles = f"{seconds.low:.2f}–{seconds.high:.2f}"
        against = ratio_text(ratio(timing, best)), ratio_text(ratio(timing, case.floor("fp32")))
        rows.append((name, f"{seconds.middle:.2f}", quartiles, *against))
    lines = [f"## {net.name}: {net.title}", f"whole trainings, {net.setting}; {rounds_text(case)}"]
    lines.append(markdown_table(("", "s an epoch", "quartiles", "× best peer", "× floor"), rows))
    lines += [f"Left out: {name} ({why})." for name, why in case.left_out.items()]
    return "\n\n".join(lines)


def footnotes(cases: Sequence[Case], step: str = STEP) -> list[str]:
    """Return notes on how to read the tables, and on how the peers' nets differ from ours."""
    notes = [f"{step} {READING}"]
    if any(timing.memory is not None for case in cases for timing in case.timings):
        notes.append(GROWTH)
    used = {timing.peer for case in cases for timing in case.timings}
    for name in {case.workload.neuron: case.workload.name for case in cases}:
        where = ", ".join(dict.fromkeys(case.workload.name for case in cases if case.workload.neuron == name))
        remarks = [peer.note(name) for peer in PEERS if peer.name in used]
        notes += [f"{where}: {remark}." for remark in remarks if remark]
    return notes


def milliseconds_text(seconds: float) -> str:
    """Return milliseconds with three digits: 743, 74.3, 7.43."""
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_text(ratios: Spread | None) -> str:
    """Return ``0.92 (0.90–0.95)``, or a dash for None."""
    return "–" if ratios is None else f"{ratios.middle:.2f} ({ratios.low:.2f}–{ratios.high:.2f})"


def megabytes_text(size: int | None) -> str:
    """Return decimal megabytes, or a dash for None."""
    return "–" if size is None else f"{size / 1e6:,.0f}"
