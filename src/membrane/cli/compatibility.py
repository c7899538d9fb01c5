"""Which neurons fit which models, under which frameworks: every combination of defaults, checked."""

import copy
from collections.abc import Iterator
from typing import Any

from membrane.config.check import check, resolved
from membrane.config.choices import Choice
from membrane.config.composer import Composer, conf_folder
from membrane.errors import ConfigError
from membrane.schema import GROUPS, Node

FRAMEWORKS = ("singlestep", "multistep", "singlestep_tid", "multistep_tid")
Combination = tuple[str, str, str]
"""Model, neuron and framework."""
SHORT: dict[tuple[str, ...], str] = {
    ("multistep", "multistep_tid"): "multi",
    ("singlestep", "singlestep_tid"): "single",
}
"""Frameworks that take a pair → their name in a cell of the table."""


def named_nodes(group: str) -> list[type[Node]]:
    """Return the classes of a group's choices."""
    return [node_class for node_class in GROUPS[group][1] if node_class.choice]


def stated_settings(group: str, name: str) -> dict[str, Any]:
    """Return the settings that the file of a choice states."""
    return Choice(group, name, conf_folder() / group / f"{name}.yaml").settings


def refused_combinations(name: str | None = None) -> Iterator[tuple[Combination, str]]:
    """Yield every combination of default settings that is refused on the bundled data, and why.

    With a ``name``, only those of that model or neuron.
    """
    models = {node_class.choice: stated_settings("model", node_class.choice) for node_class in named_nodes("model")}
    neurons = {node_class.choice: stated_settings("neuron", node_class.choice) for node_class in named_nodes("neuron")}
    pairs = [(model, neuron) for model in models for neuron in neurons if name in (None, model, neuron)]
    if not pairs:
        return
    bases = {framework: resolved(Composer().compose([f"framework={framework}"])) for framework in FRAMEWORKS}
    for model, neuron in pairs:
        for framework, base in bases.items():
            raw = {**copy.deepcopy(base), "model": models[model], "neuron": neurons[neuron]}
            try:
                check(raw)
            except ConfigError as error:
                yield (model, neuron, framework), str(error)


def compatibility_table() -> str:
    """Return a Markdown table of models × neurons: the frameworks that take a pair, and why the others do not."""
    refused = {combination: without_names(line, combination) for combination, line in refused_combinations()}
    models, neurons = ([node_class.choice for node_class in named_nodes(group)] for group in ("model", "neuron"))
    reasons = list(dict.fromkeys(refused.values()))
    lines = [f"| | {' | '.join(neurons)} |", f"|---|{'---|' * len(neurons)}"]
    for model in models:
        of_pairs = [[refused.get((model, neuron, framework)) for framework in FRAMEWORKS] for neuron in neurons]
        lines.append(f"| {model} | {' | '.join(compatibility_cell(each, reasons) for each in of_pairs)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, "", *notes])


def without_names(line: str, combination: Combination) -> str:
    """Return a refusal with M, K and F for model, neuron and framework, so that equal reasons are equal texts."""
    model, neuron, framework = combination
    line = line.replace(f"framework={framework}", "framework=F").replace(f"neuron={neuron}", "neuron=K")
    line = line.replace(f"model {model}", "model M").replace(f"neuron {neuron}", "neuron K")
    return line.replace("step_tid", "step")


def compatibility_cell(refused: list[str | None], reasons: list[str]) -> str:
    """Return ✓ if all frameworks take a pair, else those that do, and the numbers of the reasons of the others.

    ``refused`` holds each framework's reason, None where it takes the pair.
    """
    numbers = " ".join(str(reasons.index(reason) + 1) for reason in dict.fromkeys(refused) if reason is not None)
    if not numbers:
        return "✓"
    taken = tuple(framework for framework, reason in zip(FRAMEWORKS, refused, strict=True) if reason is None)
    return f"{SHORT.get(taken) or ', '.join(taken) or '–'} ({numbers})"
