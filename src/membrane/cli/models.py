"""List what can be chosen, or show a choice with its settings and what it excludes."""

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from membrane.cli.answer import CommandParser
from membrane.config.check import check, resolved
from membrane.config.choices import Choice, as_typed, choices
from membrane.config.composer import Composer, conf_folder
from membrane.config.messages import nearest
from membrane.errors import ConfigError
from membrane.schema import GROUPS, Node, Settings
from membrane.schema.model import Model

LISTED = ("model", "neuron", "surrogate")
FRAMEWORKS = ("singlestep", "multistep", "singlestep_tid", "multistep_tid")


def models_command(arguments: Sequence[str]) -> int:
    """Print what was asked for and return the exit code."""
    asked = models_parser().parse_args(arguments)
    print(asked.page() if asked.name is None else named_page(asked.name))
    return 0


def models_parser() -> CommandParser:
    """Return the parser of the command; ``page`` is the function that writes what is printed without a name."""
    parser = CommandParser("models", __doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("name", metavar="NAME", nargs="?", help="a choice, shown in full, or a group of choices")
    fits = "which neurons fit which models, under which frameworks"
    what.add_argument("--table", dest="page", action="store_const", const=pairs_table, default=overview, help=fits)
    what.add_argument("--markdown", dest="page", action="store_const", const=markdown, help="all of it: docs/models.md")
    return parser


def named_page(name: str) -> str:
    """Return what there is to say of a group or of the choices of that name. Raises ConfigError if there are none."""
    groups = choices(conf_folder())
    if name in groups:
        return "\n".join(lines_of(groups[name]))
    everything = [choice for listed in groups.values() for choice in listed]
    named = [choice for choice in everything if choice.name == name]
    if not named:
        near = nearest(name, [*groups, *(choice.name for choice in everything)])
        raise ConfigError(f"{name}: no such group or choice{near or ';'} see membrane models")
    return "\n\n".join(map(in_full, named))


def overview() -> str:
    """Return a line for each model, neuron and surrogate, and the names of the other groups."""
    groups = choices(conf_folder())
    others = ", ".join(group for group in groups if group not in LISTED)
    lines = [line for group in LISTED for line in (*lines_of(groups[group]), "")]
    return "\n".join(
        [
            *lines,
            f"other groups: {others}",
            "",
            "membrane models NAME shows a choice or a group, --table what fits what",
        ]
    )


def lines_of(group: list[Choice]) -> list[str]:
    """Return a line for each choice of a group, under the group's name."""
    width = max(len(choice.name) for choice in group)
    return [f"{group[0].group}=", *(f"  {choice.name:<{width}}  {choice.purpose}" for choice in group)]


def in_full(choice: Choice) -> str:
    """Return one choice: what it is for, its settings, and what it cannot be combined with."""
    refused = [line for _, line in refusals(choice.name)] if choice.group in ("model", "neuron") else []
    return "\n".join([described(choice), *([""] if refused else []), *dict.fromkeys(refused)])


def described(choice: Choice) -> str:
    """Return what a choice is for, its settings, and what else its file sets."""
    settings_class = choice.settings_class
    lines = [f"{choice.group}={choice.name}: {choice.purpose}", *choice.comment[1:], *details(settings_class)]
    rows = [f"  {name:<24} {values:<44} {default}" for name, values, default in choice_settings(choice)]
    lines += ["", *rows] if rows else []
    if "# @package _global_" in choice.path.read_text():
        lines += ["", f"conf/{choice.group}/{choice.name}.yaml sets:", *body(choice)]
    return "\n".join(lines)


def body(choice: Choice) -> list[str]:
    """Return the lines of a choice's file without comments."""
    return [f"  {line}" for line in choice.path.read_text().splitlines() if line and not line.startswith("#")]


def details(settings_class: type[Settings] | None) -> list[str]:
    """Return what the schema says of a class of settings, and the shapes of a model, each after an empty line."""
    if settings_class is None:
        return []
    text = inspect.cleandoc(settings_class.__doc__ or "").replace("``", "`")
    return [*(["", *text.splitlines()] if text else []), *shapes(settings_class)]


def shapes(settings_class: type[Settings]) -> list[str]:
    """Return what a model takes and gives, in a line; nothing for what is no model."""
    if not issubclass(settings_class, Model):
        return []
    takes = " or ".join({1: "[N,C,S]", 2: "[N,C,H,W]"}[rank] for rank in settings_class.ranks)
    return ["", f"x {takes}, with timesteps in the data [N,T,…] → outputs [T,N,K]"]


def choice_settings(choice: Choice) -> Iterator[tuple[str, str, str]]:
    """Yield (name, what it may be, default) of every setting that a choice has."""
    if choice.settings_class is None:
        return
    fields = choice.settings_class.model_json_schema(by_alias=True)["properties"]
    stated = choice.settings
    for name, field in fields.items():
        if name != "_target_":
            yield name, kind_of(field), as_typed(stated.get(name, field.get("default", "needed")))


def kind_of(field: dict[str, Any]) -> str:
    """A setting's type and bounds in words: `int ≥ 1 or list of int ≥ 1`."""
    if "anyOf" in field:
        return " or ".join(kind_of(each) for each in field["anyOf"])
    if "const" in field or "enum" in field:
        return "|".join(as_typed(each) for each in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {kind_of(field['items'])}"
    names = {"integer": "int", "number": "float", "boolean": "true|false", "string": "text", "object": "settings"}
    name = names.get(str(field.get("type")), str(field.get("type", "anything")))
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    bounds = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    return " ".join([name, *bounds]).replace("int > 0", "int ≥ 1")


def yaml_of(kind: type[Node]) -> dict[str, Any]:
    """Return what the file of a choice says."""
    group = next(group for group in LISTED if kind in GROUPS[group][1])
    return Choice(group, kind.choice, conf_folder() / group / f"{kind.choice}.yaml").settings


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
        bases[framework] = resolved(Composer().compose([f"framework={framework}"]))
    nodes = {kind.choice: yaml_of(kind) for kind in (*models, *neurons)}
    for model, neuron in pairs:
        for framework, base in bases.items():
            raw = {**copy.deepcopy(base), "model": nodes[model.choice], "neuron": nodes[neuron.choice]}
            try:
                check(raw)
            except ConfigError as error:
                yield (model.choice, neuron.choice, framework), str(error)


def pairs_table() -> str:
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
    """Return the documentation's page on models, whole."""
    lines = [
        "# Models, neurons, surrogates",
        "",
        "Written by `membrane models --markdown`; a test compares it with what the program knows.",
    ]
    groups = choices(conf_folder())
    for group in LISTED:
        lines += ["", f"## `{group}=`"]
        for choice in groups[group]:
            lines += ["", f"### {choice.name}", "", *choice.comment, *details(choice.settings_class), ""]
            rows = [
                f"| `{name}` | {values.replace('|', ' / ')} | `{default}` |"
                for name, values, default in choice_settings(choice)
            ]
            lines += ["| setting | may be | default |", "|---|---|---|", *rows] if rows else ["No settings."]
        further = [f"`{kind.public}`" for kind in GROUPS[group][1] if not kind.choice]
        if further:
            lines += ["", f"Others of SpikingJelly's, by their names, as `{group}._target_=…`: {', '.join(further)}."]
    lines += ["", "## What fits what", ""]
    lines += ["Models × neurons with their default settings: ✓ runs under all four frameworks, *multi* under"]
    lines += ["multistep and multistep_tid, – under none.", "", pairs_table()]
    return "\n".join(lines)
