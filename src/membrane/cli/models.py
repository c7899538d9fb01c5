"""`membrane-models`: what there is to choose from, its settings, and what may not be combined. Without torch."""

import copy
import inspect
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import OmegaConf

from membrane.config.check import check, resolved
from membrane.config.composer import Composer, folder
from membrane.config.messages import nearest
from membrane.errors import ConfigError
from membrane.schema import GROUPS, Node
from membrane.schema.model import Model

USAGE = "usage: membrane-models [NAME | --table | --markdown]   a list, one choice in full, what fits what, all of it"
LISTED = ("model", "neuron", "surrogate")
FRAMEWORKS = ("singlestep", "multistep", "singlestep_tid", "multistep_tid")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if len(arguments) > 1 or arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0 if len(arguments) == 1 else 2
    pages = {"": overview, "--table": table, "--markdown": markdown}
    name = arguments[0] if arguments else ""
    found = dict(choices())
    if name not in pages and name not in found:
        near = nearest(name, found)
        print(f"membrane: {name}: no such model, neuron or surrogate{near or ';'} see membrane-models", file=sys.stderr)
        return 2
    print(pages[name]() if name in pages else in_full(name, found[name]))
    return 0


def choices() -> Iterator[tuple[str, type[Node]]]:
    """Every named model, neuron and surrogate."""
    for group in LISTED:
        yield from ((kind.choice, kind) for kind in GROUPS[group][1] if kind.choice)


def overview() -> str:
    """A line for each choice."""
    lines = []
    for group in LISTED:
        kinds = [kind for kind in GROUPS[group][1] if kind.choice]
        width = max(len(kind.choice) for kind in kinds)
        lines += [f"{group}=", *(f"  {kind.choice:<{width}}  {summary(kind)}" for kind in kinds), ""]
    return "\n".join([*lines, USAGE])


def in_full(name: str, kind: type[Node]) -> str:
    """One choice: what it is, its settings, and what it may not be combined with."""
    lines = [f"{name}: {description(kind)}".replace("``", ""), *shapes(kind), ""]
    lines += [f"  {setting:<24} {said:<44} {default}" for setting, said, default in settings(kind)]
    refused = [line for _, line in refusals(name)]
    return "\n".join([*lines, *([""] if refused else []), *dict.fromkeys(refused)])


def description(kind: type[Node]) -> str:
    """What a choice is, and its source."""
    return inspect.cleandoc(kind.__doc__ or "")


def summary(kind: type[Node]) -> str:
    """The first line of that."""
    return description(kind).splitlines()[0].replace("``", "")


def shapes(kind: type[Node]) -> list[str]:
    """What a model takes and gives, in a line; nothing for what is no model."""
    if not issubclass(kind, Model):
        return []
    takes = " or ".join({1: "[N,C,S]", 2: "[N,C,H,W]"}[rank] for rank in kind.ranks)
    return ["", f"x {takes}, with timesteps in the data [N,T,…] → outputs [T,N,K]"]


def settings(kind: type[Node]) -> Iterator[tuple[str, str, str]]:
    """(name, what it may be, default) of every setting that a choice has."""
    fields = kind.model_json_schema(by_alias=True)["properties"]
    stated = yaml_of(kind)
    for name, field in fields.items():
        if name == "_target_":
            continue
        yield name, kind_of(field), typed(stated.get(name, field.get("default", "needed")))


def kind_of(field: dict[str, Any]) -> str:
    """A setting's type and bounds in words: `int ≥ 1 or list of int ≥ 1`."""
    if "anyOf" in field:
        return " or ".join(kind_of(each) for each in field["anyOf"])
    if "const" in field or "enum" in field:
        return "|".join(typed(each) for each in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {kind_of(field['items'])}"
    names = {"integer": "int", "number": "float", "boolean": "true|false", "string": "text", "object": "settings"}
    name = names.get(str(field.get("type")), str(field.get("type", "anything")))
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    bounds = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    return " ".join([name, *bounds]).replace("int > 0", "int ≥ 1")


def typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{','.join(map(typed, value))}]" if isinstance(value, list) else str(value)


def yaml_of(kind: type[Node]) -> dict[str, Any]:
    """What the file of a choice says."""
    group = next(group for group in LISTED if kind in GROUPS[group][1])
    said = OmegaConf.to_container(OmegaConf.load(folder() / group / f"{kind.choice}.yaml"))
    assert isinstance(said, dict)
    return {str(key): value for key, value in said.items()}


def refusals(name: str | None = None) -> Iterator[tuple[tuple[str, str, str], str]]:
    """((model, neuron, framework), why not) for every combination of defaults that is refused, on the bundled data.

    With a ``name``, only those of that model or neuron.
    """
    models, neurons = ([kind for kind in GROUPS[group][1] if kind.choice] for group in ("model", "neuron"))
    pairs = [(model, neuron) for model in models for neuron in neurons if name in (None, model.choice, neuron.choice)]
    if not pairs:
        return
    bases = {}
    for framework in FRAMEWORKS:
        composer = Composer()
        [job], _ = composer.jobs([f"framework={framework}"], multirun=False)
        bases[framework] = resolved(job.config)
    nodes = {kind.choice: yaml_of(kind) for kind in (*models, *neurons)}
    for model, neuron in pairs:
        for framework, base in bases.items():
            raw = {**copy.deepcopy(base), "model": nodes[model.choice], "neuron": nodes[neuron.choice]}
            try:
                check(raw)
            except ConfigError as error:
                yield (model.choice, neuron.choice, framework), str(error)


def table() -> str:
    """Models × neurons: which frameworks take the pair, and why the others do not, as Markdown."""
    refused = {triple: in_general(line, triple) for triple, line in refusals()}
    models, neurons = ([kind.choice for kind in GROUPS[group][1] if kind.choice] for group in ("model", "neuron"))
    reasons = list(dict.fromkeys(refused.values()))
    lines = [f"| | {' | '.join(neurons)} |", f"|---|{'---|' * len(neurons)}"]
    for model in models:
        cells = [cell([refused.get((model, neuron, each)) for each in FRAMEWORKS], reasons) for neuron in neurons]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, "", *notes])


def in_general(line: str, triple: tuple[str, str, str]) -> str:
    """A refusal without the names of what it refuses, so that its like are one: M, K and F stand for them."""
    model, neuron, framework = triple
    line = line.replace(f"framework={framework}", "framework=F").replace(f"neuron={neuron}", "neuron=K")
    line = line.replace(f"model {model}", "model M").replace(f"neuron {neuron}", "neuron K")
    return line.replace("use framework=multistep_tid", "use framework=multistep")


def cell(why: list[str | None], reasons: list[str]) -> str:
    """✓ where all four frameworks take a pair; what is left, with the numbers of the reasons, where not."""
    numbers = " ".join(str(reasons.index(reason) + 1) for reason in dict.fromkeys(why) if reason is not None)
    if not numbers:
        return "✓"
    taken = [framework for framework, reason in zip(FRAMEWORKS, why, strict=True) if reason is None]
    return f"{'multi' if taken == ['multistep', 'multistep_tid'] else ', '.join(taken) or '–'} ({numbers})"


def markdown() -> str:
    """The documentation's page on models, whole."""
    lines = [
        "# Models, neurons, surrogates",
        "",
        "Written by `membrane-models --markdown`; a test compares it with what the program knows.",
    ]
    for group in LISTED:
        lines += ["", f"## `{group}=`"]
        for kind in GROUPS[group][1]:
            if not kind.choice:
                continue
            lines += ["", f"### {kind.choice}", "", description(kind).replace("``", "`"), *shapes(kind), ""]
            rows = [
                f"| `{name}` | {said.replace('|', ' / ')} | `{default}` |" for name, said, default in settings(kind)
            ]
            lines += ["| setting | may be | default |", "|---|---|---|", *rows] if rows else ["No settings."]
        further = [f"`{kind.public}`" for kind in GROUPS[group][1] if not kind.choice]
        if further:
            lines += ["", f"Others of SpikingJelly's, by their names, as `{group}._target_=…`: {', '.join(further)}."]
    lines += ["", "## What fits what", ""]
    lines += ["Models × neurons with their default settings: ✓ runs under all four frameworks, *multi* under"]
    lines += ["multistep and multistep_tid, – under none.", "", table()]
    return "\n".join(lines)
