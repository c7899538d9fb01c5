"""What a model is and what a run achieved, as tables for the terminal and the log."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from membrane.framework import Framework
from membrane.neurons import is_neuron
from membrane.tracking.firing import observing

PROPORTIONS = ("acc", "precision", "recall", "f1", "top5")
NORMAL_95 = 1.959964


def console(file: TextIO | None = None) -> Console:
    """A console on ``file`` (default: standard output): 100 columns of plain text where that is no terminal."""
    found = Console(file=file)
    return found if found.is_terminal else Console(file=file, width=100)


def plain(table: Table, width: int = 100) -> str:
    """The table as plain text, for a log."""
    writer = Console(width=width, color_system=None, force_terminal=False)
    with writer.capture() as capture:
        writer.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def model_table(model: nn.Module, framework: Framework, x: Tensor) -> Table:
    """A row for each layer, measured in one forward of x [N,…] or [N,T,…] that leaves no trace in the model.

    Shapes are those of a call: ``[4,N,16]`` once, or ``[N,16] ×4`` where the framework calls the model at every
    timestep. N stands for the batch. A module of the tree that never ran shows a dash.
    """
    layers = dict(listed(model))
    shapes = called_shapes(model, layers, framework, x)
    parameters, buffers = list(model.parameters()), list(model.buffers())
    count = sum(tensor.numel() for tensor in parameters)
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*parameters, *buffers))
    table = Table(title=type(model).__name__, title_justify="left", box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("layer", footer="total", overflow="fold", ratio=None)
    table.add_column("type", footer=f"{prefixed_bytes(size)} with buffers", overflow="fold")
    table.add_column("output", no_wrap=True)
    table.add_column("parameters", footer=f"{count:,}", justify="right", no_wrap=True)
    for name, layer in layers.items():
        own = sum(p.numel() for p in layer.parameters(recurse=is_leaf(layer)))
        shown = shape_text(shapes.get(name, []), len(x))
        table.add_row(Text(name or "(model)"), Text(described(layer)), Text(shown), f"{own:,}" if own else "")
    return table


def is_leaf(module: nn.Module) -> bool:
    """A neuron is one layer, though its surrogate is a module."""
    return is_neuron(module) or next(module.children(), None) is None


def listed(model: nn.Module, prefix: str = "") -> Iterable[tuple[str, nn.Module]]:
    """(dotted name, module) for every leaf, and for a container that owns parameters itself."""
    if is_leaf(model) or next(model.parameters(recurse=False), None) is not None:
        yield prefix, model
    if not is_leaf(model):
        for name, child in model.named_children():
            yield from listed(child, f"{prefix}.{name}" if prefix else name)


def called_shapes(
    model: nn.Module, layers: Mapping[str, nn.Module], framework: Framework, x: Tensor
) -> dict[str, list[tuple[int, ...]]]:
    """Name → the shape of each call's output, in one observed forward."""
    shapes: dict[str, list[tuple[int, ...]]] = {name: [] for name in layers}

    def hook(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[name].append(tuple(output.shape))

    handles = [layer.register_forward_hook(partial(hook, name)) for name, layer in layers.items()]
    try:
        with observing(model):
            framework(model, x)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def shape_text(shapes: list[tuple[int, ...]], samples: int) -> str:
    """The shape of a layer's calls with N for the batch: ``[4,N,16]`` or ``[N,16] ×4``."""
    if not shapes:
        return "–"
    sizes = [str(size) for size in shapes[0]]
    for axis, size in enumerate(shapes[0][:2]):
        # In a single call the batch is axis 1 and time axis 0; with T = N the two are told apart by the calls.
        if size == samples and (axis == 1 or len(shapes) > 1 or shapes[0][1:2] != (samples,)):
            sizes[axis] = "N"
            break
    return f"[{','.join(sizes)}]" + (f" ×{len(shapes)}" if len(shapes) > 1 else "")


def described(module: nn.Module) -> str:
    """The class and the hyper-parameters that tell two such layers apart."""
    parts: list[str] = []
    if hasattr(module, "in_channels"):
        parts.append(f"{module.in_channels}→{module.out_channels}")
    elif hasattr(module, "in_features"):
        parts.append(f"{module.in_features}→{module.out_features}")
    elif isinstance(getattr(module, "num_features", None), int):
        parts.append(str(module.num_features))
    if hasattr(module, "kernel_size"):
        parts.append(extent(module.kernel_size))
    for sign, name, usual in (("s", "stride", 1), ("p", "padding", 0), ("g", "groups", 1)):
        value = extent(getattr(module, name, usual))
        if value not in (str(usual), "×".join([str(usual)] * 2)):
            parts.append(sign + value)
    for sign, name in (("p=", "p"), ("τ=", "tau"), ("θ=", "v_threshold")):
        value = getattr(module, name, None)
        if isinstance(value, int | float):
            parts.append(f"{sign}{value:g}")
    if is_neuron(module) and hasattr(module, "v_reset"):
        parts.append("soft reset" if module.v_reset is None else f"reset to {module.v_reset:g}")
    return " ".join([type(module).__name__, *parts])


def extent(value: Any) -> str:
    """3 or (3, 3) → ``3×3``-like text; one number stays one."""
    return "×".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def prefixed_bytes(size: float) -> str:
    """Bytes with a decimal prefix: 203600 → ``203.6 kB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def results_table(metrics: Mapping[str, float], samples: Mapping[str, int] | None = None) -> Table:
    """A row for each metric, a column for each part (val, test, test_last …) of ``part/metric`` keys.

    Proportions are in percent; ``acc`` carries the half-width of its 95 % Wilson score interval where ``samples``
    gives the size of the part (``test_last`` falls back to ``test``). No other metric is a binomial proportion.
    """
    cells = {tuple(key.rpartition("/")[::2]): value for key, value in metrics.items()}
    found = list(dict.fromkeys(part for part, _ in cells))
    usual = [part for part in ("val", "oracle", "test", "test_last") if part in found]
    parts = usual + [part for part in found if part not in usual]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", overflow="fold")
    for part in parts:
        table.add_column(part or "run", justify="right", no_wrap=True)
    for name in dict.fromkeys(name for _, name in cells):
        sizes = [(samples or {}).get(part) or (samples or {}).get(part.removesuffix("_last")) for part in parts]
        values = [cells.get((part, name)) for part in parts]
        row = ["" if value is None else metric_text(name, value, size) for value, size in zip(values, sizes, strict=True)]
        table.add_row(name, *row)
    return table


def metric_text(name: str, value: float, samples: int | None = None) -> str:
    """``94.17 ± 2.42 %`` for an accuracy of so many samples, ``94.17 %`` for a proportion, else four decimals."""
    if name == "acc" and samples:
        return f"{value * 100:.2f} ± {wilson_half_width(value, samples) * 100:.2f} %"
    if any(word in name for word in PROPORTIONS):
        return f"{value * 100:.2f} %"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def wilson_half_width(proportion: float, samples: int) -> float:
    """Half the 95 % score interval of a binomial proportion (Wilson 1927, eq. for z = 1.96)."""
    z = NORMAL_95
    spread = proportion * (1 - proportion) / samples + z**2 / (4 * samples**2)
    return z / (1 + z**2 / samples) * math.sqrt(spread)
