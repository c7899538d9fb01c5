"""A mistake in one line: where it is, what is wrong, what would be right, the nearest name."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from membrane.config.habits import CHOICES, SETTINGS

EXPECTED = {
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "list_type": "expected a list such as [1,2]",
    "string_pattern_mismatch": "expected letters, digits, '.', '_' or '-', the first a letter or digit",
}
"""Pydantic's commonest errors → what a person should have typed."""

FEW = 3
"""Groups at most that are named where each has a setting of the name that was typed."""
OWN_FILES = (".npz", ".csv", ".tsv", ".ts")
"""Ends of the names of files that ``dataset=arrays`` reads."""


def nearest(name: str, names: Iterable[str], group: str = "") -> str:
    """Return `; did you mean …?` for the middle of a line if a name is near, else nothing."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {f'{group}={near[0]}' if group else near[0]}?" if near else ""


def unknown_setting(path: str, name: str, names: Iterable[str]) -> str:
    """Return one line on a setting that does not exist: what another template's is called here, or the ``names``."""
    if path.lstrip("~") in SETTINGS:
        return f"{path}: no such setting; {SETTINGS[path.lstrip('~')]}"
    if path == "dataset.path":
        return f"{path}: no such setting of this data set; your own data are dataset=arrays dataset.path=FILE"
    valid = sorted(each for each in names if not each.startswith("_"))
    if not valid:
        return f"{path}: no such setting; there are none here"
    if path.lstrip("~") == name and 0 < len(paths := paths_to(name)) <= FEW:
        return f"{path}: no such setting by itself; did you mean {' or '.join(paths)}?"
    return f"{path}: no such setting{nearest(name, valid) or ';'} valid: {', '.join(valid)}"


def paths_to(name: str) -> list[str]:
    """Return where a setting of this name stands in the configuration or in a choice of a group: trainer.recompute."""
    from membrane.schema import GROUPS, MANY, Config

    settings = {key: names_at(Config, [key]) for key in Config.model_fields if key not in MANY}
    for group in GROUPS.keys() & settings.keys():
        settings[group] += [each for choice in GROUPS[group][1] for each in names_at(choice, [])]
    return [f"{key}.{name}" for key, names in settings.items() if name in names]


def unknown_choice(group: str, name: str, choices: Iterable[str]) -> str:
    """Return one line on a choice that a group does not have: another template's name for it, or those that it has."""
    if f"{group}={name}" in CHOICES:
        return f"{group}={name}: no such choice; {CHOICES[f'{group}={name}']}"
    if f"{group}/".startswith("dataset/") and name.lower().endswith(OWN_FILES):
        path = f"{group}/{name}".removeprefix("dataset/")
        return f"dataset={path}: no such choice; write dataset=arrays dataset.path={path}"
    valid = sorted(choices)
    if not valid:
        return f"{group}={name}: no such choice; conf/{group} has none, --config-dir DIR adds yours"
    return f"{group}={name}: no such choice{nearest(name, valid, group) or ';'} valid: {', '.join(valid)}"


def explain_validation(path: str, model: Any, error: ValidationError) -> str:
    """Return one line on what pydantic found first in the settings ``model`` at ``path``.

    An unknown name comes before any other mistake.
    """
    errors = [(typed_path(model, each["loc"]), each) for each in error.errors(include_url=False)]
    keys, first = min(errors, key=lambda each: each[1]["type"] != "extra_forbidden")
    same = [each for each in errors if each[0][:1] == keys[:1]]
    keys, first = max(same, key=lambda each: len(each[0]))
    where = path_text([path, *keys] if path else keys) or "configuration"
    if first["type"] == "extra_forbidden":
        return unknown_setting(where, str(keys[-1]), names_at(model, keys[:-1]))
    if first["type"] == "missing":
        return f"{where}: a value is needed"
    if first["type"] == "value_error":
        return f"{where}: {str(first['msg']).removeprefix('Value error, ')}"
    alternatives = [each for at, each in same if at == keys]
    alternatives = [each for each in alternatives if not each["type"].endswith("_type")] or alternatives
    right = " or ".join(dict.fromkeys(expected_text(each, names_at(model, keys)) for each in alternatives))
    return f"{where}: {right.replace(' or expected', ' or')}, got {first['input']!r}{typing_hint(where, first)}"


def typed_path(model: Any, location: Iterable[Any]) -> tuple[Any, ...]:
    """Return pydantic's location of an error without the alternatives of a union that it tried, which nobody typed."""
    keys: list[Any] = []
    for part in location:
        if isinstance(part, int) or names_at(model, keys) or not keys:
            keys.append(part)
    return tuple(keys)


def expected_text(error: Any, names: Sequence[str]) -> str:
    """Return what would be right where pydantic reports an error; ``names`` are the settings that exist there."""
    if error["type"] in ("model_type", "dict_type"):
        return f"expected settings by name ({', '.join(names)})" if names else "expected entries by name"
    text = EXPECTED.get(error["type"]) or str(error["msg"])
    text = text.replace("Input should be '", "expected '").replace(" after validation", "")
    return re.sub(r"^(Input|List|String) should", "must", text)


def typing_hint(path: str, error: Any) -> str:
    """Return what to type instead, if that can be told, else nothing."""
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return nearest(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        return f"; quote it: {path}='\"{error['input']}\"'"
    return ""


def path_text(keys: Iterable[Any]) -> str:
    """Return a path as it is typed: `optimizer.betas[0]`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def names_at(model: Any, keys: Iterable[Any]) -> list[str]:
    """Return the settings that exist at a path below ``model``, none if values stand there."""
    for key in keys:
        fields = getattr(model, "model_fields", {})
        inner = fields[key].annotation if key in fields else None
        model = next((each for each in (inner, *getattr(inner, "__args__", ())) if hasattr(each, "model_fields")), None)
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]
