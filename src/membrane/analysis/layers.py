"""The layers of a model as a table for the terminal and the log: types, output shapes, parameters."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text
from spikingjelly.activation_based.layer import SeqToANNContainer
from torch import Tensor, nn

from membrane.analysis.listening import listening, observing, step_mode
from membrane.framework import Framework
from membrane.neurons import is_neuron


def model_table(model: nn.Module, framework: Framework, x: Tensor) -> Table:
    """Build a row for each layer, measured in one forward of x [N,…] or [N,T,…] that leaves the model as it was.

    Shapes are those of a call: ``[4,N,16]`` once, or ``[N,16] ×4`` where the framework calls the model at every
    timestep. N stands for the batch; ``4N`` is one into which SpikingJelly's container merged four timesteps. A module
    of the tree that never ran shows a dash.
    """
    layers = dict(named_layers(model))
    shapes = output_shapes(model, layers, framework, x)
    containers = (module for module in model.modules() if isinstance(module, SeqToANNContainer))
    merged = {layer for container in containers for layer in container.modules()}
    parameters, buffers = list(model.parameters()), list(model.buffers())
    count = sum(tensor.numel() for tensor in parameters)
    size = sum(tensor.numel() * tensor.element_size() for tensor in (*parameters, *buffers))
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("layer", footer="total", overflow="fold")
    table.add_column("type", footer=f"{decimal(size)} with buffers", overflow="fold")
    table.add_column("output", no_wrap=True)
    table.add_column("parameters", footer=f"{count:,}", justify="right", no_wrap=True)
    for name, layer in layers.items():
        own = sum(p.numel() for p in layer.parameters(recurse=is_leaf(layer)))
        shown = shape_text(shapes[name], len(x), "merged" if layer in merged else step_mode(model, layer))
        table.add_row(Text(name or "(model)"), Text(layer_text(layer)), Text(shown), f"{own:,}" if own else "")
    return table


def is_leaf(module: nn.Module) -> bool:
    """Return whether a module counts as one layer: it has no children, or is a neuron with its surrogate."""
    return is_neuron(module) or next(module.children(), None) is None


def named_layers(model: nn.Module, prefix: str = "") -> Iterable[tuple[str, nn.Module]]:
    """Yield (dotted name, module) for every leaf, and for a container that owns parameters itself."""
    if is_leaf(model) or next(model.parameters(recurse=False), None) is not None:
        yield prefix, model
    if not is_leaf(model):
        for name, child in model.named_children():
            yield from named_layers(child, f"{prefix}.{name}" if prefix else name)


def output_shapes(
    model: nn.Module, layers: Mapping[str, nn.Module], framework: Framework, x: Tensor
) -> dict[str, list[tuple[int, ...]]]:
    """Run one forward of x [N,…] or [N,T,…] and return, by layer, the output shape of each call."""
    shapes: dict[str, list[tuple[int, ...]]] = {name: [] for name in layers}

    def add(name: str, _layer: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[name].append(tuple(output.shape))

    with listening(layers, add), observing(model):
        framework(model, x)
    return shapes


def shape_text(shapes: list[tuple[int, ...]], samples: int, mode: str) -> str:
    """Return the shape of a layer's calls with N for the batch: ``[4,N,16]``, ``[N,16] ×4``, or ``[4N,16]`` if merged.

    ``mode`` is the layer's step mode, 's' or 'm', or 'merged' for one inside SpikingJelly's container.
    """
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


def layer_text(module: nn.Module) -> str:
    """Return the class and the hyper-parameters that tell two such layers apart, such as ``Conv2d 2→6 3×3 s2 p1``."""
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
