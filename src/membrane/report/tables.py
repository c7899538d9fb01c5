"""What a model is and what a run achieved, as tables for the terminal and the log."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from spikingjelly.activation_based.layer import SeqToANNContainer
from torch import Tensor, nn

from membrane.analysis.listening import listening, observing, step_mode
from membrane.framework import Framework
from membrane.neurons import is_neuron
from membrane.scores import SCORES, score_text

NORMAL_95 = 1.959964


def console(file: TextIO | None = None) -> Console:
    """A console on ``file`` (default: standard output): 100 columns of plain text where that is no terminal."""
    found = Console(file=file)
    return found if found.is_terminal else Console(file=file, width=100)


def model_table(model: nn.Module, framework: Framework, x: Tensor) -> Table:
    """A row for each layer, measured in one forward of x [N,…] or [N,T,…] that leaves no trace in the model.

    Shapes are those of a call: ``[4,N,16]`` once, or ``[N,16] ×4`` where the framework calls the model at every
    timestep. N stands for the batch; ``4N`` is one into which SpikingJelly's container merged four timesteps. A module
    of the tree that never ran shows a dash.
    """
    layers = dict(listed(model))
    shapes = called_shapes(model, layers, framework, x)
    containers = (module for module in model.modules() if isinstance(module, SeqToANNContainer))
    merged = {layer for container in containers for layer in container.modules()}
    parameters, buffers = list(model.parameters()), list(model.buffers())
    count = sum(tensor.numel() for tensor in parameters)
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*parameters, *buffers))
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("layer", footer="total", overflow="fold")
    table.add_column("type", footer=f"{prefixed_bytes(size)} with buffers", overflow="fold")
    table.add_column("output", no_wrap=True)
    table.add_column("parameters", footer=f"{count:,}", justify="right", no_wrap=True)
    for name, layer in layers.items():
        own = sum(p.numel() for p in layer.parameters(recurse=is_leaf(layer)))
        shown = shape_text(shapes[name], len(x), "merged" if layer in merged else step_mode(model, layer))
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

    def add(name: str, _layer: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[name].append(tuple(output.shape))

    with listening(layers, add), observing(model):
        framework(model, x)
    return shapes


def shape_text(shapes: list[tuple[int, ...]], samples: int, mode: str) -> str:
    """The shape of a layer's calls with N for the batch: ``[4,N,16]``, ``[N,16] ×4``, or ``[4N,16]`` if merged."""
    if not shapes:
        return "–"
    sizes = [str(size) for size in shapes[0]]
    batch = 1 if mode == "m" else 0
    times, rest = divmod(shapes[0][batch], samples) if len(sizes) > batch else (0, 0)
    if times == 1 and not rest:
        sizes[batch] = "N"
    elif mode == "merged" and not rest:
        sizes[batch] = f"{times}N"
    return f"[{','.join(sizes)}]" + (f" ×{len(shapes)}" if len(shapes) > 1 else "")


def described(module: nn.Module) -> str:
    """The class and the hyper-parameters that tell two such layers apart."""
    parts: list[str] = []
    features: Any = getattr(module, "num_features", None)
    if hasattr(module, "in_channels"):
        parts.append(f"{module.in_channels}→{module.out_channels}")
    elif hasattr(module, "in_features"):
        parts.append(f"{module.in_features}→{module.out_features}")
    elif isinstance(features, int):
        parts.append(str(features))
    for sign, name, usual in (("", "kernel_size", None), ("s", "stride", 1), ("p", "padding", 0), ("g", "groups", 1)):
        extent: Any = getattr(module, name, usual)
        sizes = extent if isinstance(extent, tuple) else (extent,)
        if set(sizes) != {usual}:
            parts.append(sign + "×".join(map(str, sizes[:1] if sign and len(set(sizes)) == 1 else sizes)))
    for sign, name in (("p=", "p"), ("τ=", "tau"), ("θ=", "v_threshold"), ("reset to ", "v_reset")):
        value: Any = getattr(module, name, None)
        if isinstance(value, int | float):
            parts.append(f"{sign}{value:g}")
    if is_neuron(module) and getattr(module, "v_reset", 0) is None:
        parts.append("soft reset")
    return " ".join([type(module).__name__, *parts])


def prefixed_bytes(size: float) -> str:
    """Bytes with a decimal prefix: 203600 → ``203.6 kB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def results_table(metrics: Mapping[str, float], samples: Mapping[str, int] | None = None) -> Table:
    """A row for each metric, a column for each part (val, test, test_last …) of ``part/metric`` keys.

    Proportions are in percent; those counted over samples (``acc``, ``top5``) with the half-width of their 95 % Wilson
    score interval where ``samples`` gives the size of the part (``test_last`` falls back to ``test``).
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
        pairs = zip(values, sizes, strict=True)
        table.add_row(name, *("" if value is None else metric_text(name, value, size) for value, size in pairs))
    return table


def metric_text(name: str, value: float, samples: int | None = None) -> str:
    """``94.17 ± 2.42 %`` for an accuracy of so many samples, ``94.17 %`` for a proportion, else four decimals."""
    if samples and name in SCORES and SCORES[name].counted:
        return f"{value * 100:.2f} ± {wilson_half_width(value, samples) * 100:.2f} %"
    return str(value) if isinstance(value, int) else score_text(name, value)


def wilson_half_width(proportion: float, samples: int) -> float:
    """Half the 95 % score interval of a binomial proportion (Wilson 1927, eq. for z = 1.96)."""
    z = NORMAL_95
    spread = proportion * (1 - proportion) / samples + z**2 / (4 * samples**2)
    return z / (1 + z**2 / samples) * math.sqrt(spread)
