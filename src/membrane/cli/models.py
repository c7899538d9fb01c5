"""List what can be chosen, or show a choice with its settings and what it excludes."""

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from membrane.cli.answer import CommandParser
from membrane.cli.compatibility import compatibility_table, refused_combinations
from membrane.config.choices import Choice, as_typed, choices
from membrane.config.class_texts import argument_texts, class_prose
from membrane.config.composer import conf_folder
from membrane.config.messages import nearest
from membrane.errors import ConfigError
from membrane.schema import GROUPS, Node, Settings
from membrane.schema.model import Model

WIDTH = 110
"""Of lines that describe a setting."""
LISTED = ("model", "neuron", "surrogate")


def models_command(arguments: Sequence[str]) -> int:
    """Print what was asked for and return the exit code."""
    options = models_parser().parse_args(arguments)
    print(options.page() if options.name is None else named_page(options.name))
    return 0


def models_parser() -> CommandParser:
    """Return the parser of the command; ``page`` is the function that writes what is printed without a name."""
    parser = CommandParser("models", __doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("name", metavar="NAME", nargs="?", help="a choice, shown in full, or a group of choices")
    fits = "which neurons fit which models, under which frameworks"
    what.add_argument(
        "--table", dest="page", action="store_const", const=compatibility_table, default=choices_overview, help=fits
    )
    what.add_argument(
        "--markdown", dest="page", action="store_const", const=models_page, help="all of it: docs/models.md"
    )
    return parser


def named_page(name: str) -> str:
    """Return what there is to say of a group or of the choices of that name. Raises ConfigError if there are none."""
    groups = choices(conf_folder())
    if name in groups:
        return "\n".join(group_lines(groups[name]))
    everything = [choice for listed in groups.values() for choice in listed]
    named = [choice for choice in everything if choice.name == name]
    if not named:
        near = nearest(name, [*groups, *(choice.name for choice in everything)])
        raise ConfigError(f"{name}: no such group or choice{near or ';'} see membrane models")
    return "\n\n".join(map(full_description, named))


def choices_overview() -> str:
    """Return a line for each model, neuron and surrogate, and the names of the other groups."""
    groups = choices(conf_folder())
    others = ", ".join(group for group in groups if group not in LISTED)
    lines = [line for group in LISTED for line in (*group_lines(groups[group]), "")]
    return "\n".join(
        [
            *lines,
            f"other groups: {others}",
            "",
            "membrane models NAME shows a choice or a group, --table what fits what",
        ]
    )


def group_lines(group: list[Choice]) -> list[str]:
    """Return a line for each choice of a group, under the group's name."""
    width = max(len(choice.name) for choice in group)
    return [f"{group[0].group}=", *(f"  {choice.name:<{width}}  {choice.purpose}" for choice in group)]


def full_description(choice: Choice) -> str:
    """Return one choice: what it is for, its settings, and what it cannot be combined with."""
    refused = [line for _, line in refused_combinations(choice.name)] if choice.group in ("model", "neuron") else []
    return "\n".join([choice_description(choice), *([""] if refused else []), *dict.fromkeys(refused)])


def choice_description(choice: Choice) -> str:
    """Return what a choice is for, its settings, and what else its file sets."""
    settings_class = choice.settings_class
    lines = [
        f"{choice.group}={choice.name}: {choice.purpose}",
        *choice.comment[1:],
        *class_description(choice),
    ]
    rows = [f"  {name:<24} {values:<50} {default}" for name, values, default in settings_rows(choice)]
    lines += ["", *rows, *setting_notes(settings_class)] if rows else []
    of_several = settings_class is None and choice.settings
    if of_several or "# @package _global_" in choice.path.read_text(encoding="utf-8"):
        lines += ["", f"conf/{choice.group}/{choice.name}.yaml sets:", *settings_in_file(choice)]
    return "\n".join(lines)


def class_description(choice: Choice) -> list[str]:
    """Return what the class says that a choice builds, or what the schema says of it, after an empty line."""
    settings_class = choice.settings_class
    if choice.group not in LISTED and settings_class is not None and issubclass(settings_class, Node):
        text = class_prose(settings_class.defined or settings_class.public)
        if text:
            return ["", *text.splitlines()]
    return schema_description(settings_class)


def setting_notes(settings_class: type[Settings] | None) -> list[str]:
    """Return a line or more for each setting that is described, after an empty line."""
    if settings_class is None:
        return []
    texts = setting_texts(settings_class)
    notes = [f"{name}: {texts[name]}" for name in settings_class.model_fields if name in texts]
    wrapped = [line for note in notes for line in textwrap.wrap(note, WIDTH, subsequent_indent="  ")]
    return ["", *wrapped] if wrapped else []


def setting_texts(settings_class: type[Settings]) -> dict[str, str]:
    """Return setting → what it is: as the schema says, or the class that is built and its bases."""
    texts: dict[str, str] = {}
    for each in settings_class.__mro__:
        fields = each.model_fields if issubclass(each, Settings) else {}
        texts = {name: field.description for name, field in fields.items() if field.description} | texts
    if issubclass(settings_class, Node):
        texts |= argument_texts(settings_class.defined or settings_class.public)
    return texts


def settings_in_file(choice: Choice) -> list[str]:
    """Return the lines of a choice's file without comments."""
    return [
        f"  {line}"
        for line in choice.path.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]


def schema_description(settings_class: type[Settings] | None) -> list[str]:
    """Return what the schema says of a class of settings, and the shapes of a model, each after an empty line."""
    if settings_class is None:
        return []
    text = inspect.cleandoc(settings_class.__doc__ or "").replace("``", "`")
    return [*(["", *text.splitlines()] if text else []), *model_shapes(settings_class)]


def model_shapes(settings_class: type[Settings]) -> list[str]:
    """Return a model's shapes in a line; nothing for other settings."""
    if not issubclass(settings_class, Model):
        return []
    takes = " or ".join({1: "[N,C,S]", 2: "[N,C,H,W]"}[rank] for rank in settings_class.ranks)
    return ["", f"x {takes}, with timesteps in the data [N,T,…] → outputs [T,N,K]"]


def settings_rows(choice: Choice) -> Iterator[tuple[str, str, str]]:
    """Yield (name, what it may be, default) of every setting that a choice has."""
    if choice.settings_class is None:
        return
    fields = choice.settings_class.model_json_schema(by_alias=True)["properties"]
    stated = choice.settings
    for name, field in fields.items():
        if name != "_target_":
            yield name, type_text(field), as_typed(stated.get(name, field.get("default", "needed")))


def type_text(field: dict[str, Any]) -> str:
    """Return a setting's type and bounds in words, such as ``int ≥ 1 or list of int ≥ 1``, from its JSON schema."""
    if "anyOf" in field:
        return " or ".join(type_text(each) for each in field["anyOf"])
    if "const" in field or "enum" in field:
        return "|".join(as_typed(each) for each in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        items = type_text(field["items"])
        return f"list of ({items})" if "anyOf" in field["items"] else f"list of {items}"
    names = {"integer": "int", "number": "float", "boolean": "true|false", "string": "text", "object": "settings"}
    name = names.get(str(field.get("type")), str(field.get("type", "anything")))
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    bounds = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    return " ".join([name, *bounds]).replace("int > 0", "int ≥ 1")


def models_page() -> str:
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
            lines += ["", f"### {choice.name}", "", *choice.comment, *schema_description(choice.settings_class), ""]
            rows = [
                f"| `{name}` | {values.replace('|', ' / ')} | `{default}` |"
                for name, values, default in settings_rows(choice)
            ]
            lines += ["| setting | may be | default |", "|---|---|---|", *rows] if rows else ["No settings."]
        further = [f"`{node_class.public}`" for node_class in GROUPS[group][1] if not node_class.choice]
        if further:
            lines += ["", f"Others of SpikingJelly's, by their names, as `{group}._target_=…`: {', '.join(further)}."]
    lines += ["", "## What fits what", ""]
    lines += ["Models × neurons with their default settings: ✓ runs under singlestep, multistep and their *tid* twins,"]
    lines += ["*multi* under multistep and multistep_tid, *single* under singlestep and singlestep_tid, – under none."]
    lines += ["`tbptt` and `sltt` take what singlestep takes, `ottt` less: [online](online.md)."]
    lines += ["", compatibility_table()]
    return "\n".join(lines)
