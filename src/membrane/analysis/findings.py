"""Lines on what a row of health.csv shows to be wrong, with what usually helps. Without torch."""

import math
from collections.abc import Mapping
from typing import NamedTuple

APART = 1e4
"""The factor between two layers' gradients from which the smaller one has vanished."""


class Bound(NamedTuple):
    """A column of health.csv, the value from which it is trouble, and the line on it."""

    column: str
    value: float
    is_upper: bool
    line: str

    def is_broken(self, value: float) -> bool:
        """Return whether a value is beyond the bound."""
        return value > self.value if self.is_upper else value < self.value


BAND = "regularizer=firing_rate holds rates in a band"
BOUNDS = (
    Bound(
        "silent",
        0.5,
        True,
        f"{{percent:.0f}} % of the neurons of {{layer}} never fire: lower neuron.v_threshold, raise the input; {BAND}",
    ),
    Bound(
        "saturated",
        0.5,
        True,
        f"{{percent:.0f}} % of the neurons of {{layer}} always fire: raise neuron.v_threshold, lower the input; {BAND}",
    ),
    Bound(
        "active",
        0.05,
        False,
        "only {percent:.1f} % of the surrogate gradients of {layer} are active: take a wider surrogate (a smaller "
        "alpha), or a norm that keeps potentials near the threshold",
    ),
    Bound(
        "tau",
        1.05,
        False,
        "{layer} has learned tau={value:.3f}, so it forgets within a timestep: lower optimizer.lr_tau, or begin with "
        "another neuron.init_tau",
    ),
    Bound(
        "threshold",
        0.01,
        False,
        "{layer} has learned the threshold {value:.3g} and fires at almost any input: lower optimizer.lr_threshold",
    ),
)


def findings(row: Mapping[str, float]) -> dict[str, str]:
    """Return a line for each kind of trouble that a row shows; it names the worst layer, and how many others there are.

    Kinds are the columns, such as ``silent``.
    """
    lines = {}
    for bound in BOUNDS:
        broken = {layer: value for layer, value in of_column(row, bound.column).items() if bound.is_broken(value)}
        if broken:
            worst = (max if bound.is_upper else min)(broken, key=broken.__getitem__)
            others = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            value = broken[worst]
            lines[bound.column] = bound.line.format(layer=f"{worst}{others}", value=value, percent=100 * value)
    if line := gradient_finding(of_column(row, "gradient")):
        lines["gradient"] = line
    return lines


def of_column(row: Mapping[str, float], column: str) -> dict[str, float]:
    """Return layer → value of a column's cells in a row."""
    return {name.partition("/")[2]: value for name, value in row.items() if name.partition("/")[0] == column}


def gradient_finding(norms: Mapping[str, float]) -> str:
    """Return a line on layers whose gradient is not finite, or tiny beside another one's; "" if there is none."""
    wild = [layer for layer, norm in norms.items() if not math.isfinite(norm)]
    if wild:
        return f"the gradient of {wild[0]} is not finite: set trainer.clip_norm=1, or lower optimizer.lr"
    if not norms:
        return ""
    small, large = min(norms, key=norms.__getitem__), max(norms, key=norms.__getitem__)
    if norms[large] <= APART * norms[small]:
        return ""
    sizes = f"{norms[small]:.1e} beside {norms[large]:.1e} of {large}"
    return f"the gradient of {small} has vanished ({sizes}): norms, residual blocks or a wider surrogate help"
