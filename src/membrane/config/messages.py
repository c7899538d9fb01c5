"""A mistake in one line: where it is, what is wrong, what would be right, the nearest name."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

EXPECTED = {
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "list_type": "expected a list such as [1,2]",
    "string_pattern_mismatch": "expected letters, digits, '.', '_' or '-', the first a letter or digit",
}
"""What the commonest errors of pydantic mean to the person at the keyboard."""


def nearest(name: str, names: Iterable[str], group: str = "") -> str:
    """`; did you mean …?` where a name is near, for the middle of a line."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {f'{group}={near[0]}' if group else near[0]}?" if near else ""


def unknown(where: str, name: str, names: Iterable[str]) -> str:
    """A setting that does not exist."""
    known = sorted(each for each in names if not each.startswith("_"))
    if not known:
        return f"{where}: no such setting; there are none here"
    return f"{where}: no such setting{nearest(name, known) or ';'} valid: {', '.join(known)}"


def no_choice(group: str, name: str, choices: Iterable[str]) -> str:
    """A choice that a group does not have."""
    known = sorted(choices)
    if not known:
        return f"{group}={name}: no such choice; conf/{group} has none, --config-dir DIR adds yours"
    return f"{group}={name}: no such choice{nearest(name, known, group) or ';'} valid: {', '.join(known)}"


def explained(place: str, model: Any, error: ValidationError) -> str:
    """What pydantic found first in the settings ``model`` at ``place``; an unknown name comes before anything else."""
    found = [(typed(model, each["loc"]), each) for each in error.errors(include_url=False)]
    path, first = min(found, key=lambda each: each[1]["type"] != "extra_forbidden")
    same = [each for each in found if each[0][:1] == path[:1]]
    path, first = max(same, key=lambda each: len(each[0]))
    where, kind = written([place, *path] if place else path) or "configuration", str(first["type"])
    if kind == "extra_forbidden":
        return unknown(where, str(path[-1]), names_in(model, path[:-1]))
    if kind == "missing":
        return f"{where}: a value is needed"
    if kind == "value_error":
        return f"{where}: {str(first['msg']).removeprefix('Value error, ')}"
    tried = [each for at, each in same if at == path]
    tried = [each for each in tried if not each["type"].endswith("_type")] or tried
    right = " or ".join(dict.fromkeys(expected(each, names_in(model, path)) for each in tried))
    return f"{where}: {right.replace(' or expected', ' or')}, got {first['input']!r}{hint(where, first)}"


def typed(model: Any, path: Iterable[Any]) -> tuple[Any, ...]:
    """A path of pydantic without the alternatives of a union that it tried, which nobody typed."""
    kept: list[Any] = []
    for part in path:
        if isinstance(part, int) or names_in(model, kept) or not kept:
            kept.append(part)
    return tuple(kept)


def expected(error: Any, names: Sequence[str]) -> str:
    """What would be right."""
    if error["type"] in ("model_type", "dict_type"):
        return f"expected settings by name ({', '.join(names)})" if names else "expected entries by name"
    said = EXPECTED.get(error["type"]) or str(error["msg"])
    said = said.replace("Input should be '", "expected '").replace(" after validation", "")
    return re.sub(r"^(Input|List|String) should", "must", said)


def hint(where: str, error: Any) -> str:
    """What to type instead, where that can be told."""
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return nearest(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        return f"; quote it: {where}='\"{error['input']}\"'"
    return ""


def written(path: Iterable[Any]) -> str:
    """A path as it is typed: `optimizer.betas[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def names_in(model: Any, path: Iterable[Any]) -> list[str]:
    """The settings that exist at a path below ``model``; none where values stand there."""
    for part in path:
        fields = getattr(model, "model_fields", {})
        inner = fields[part].annotation if part in fields else None
        model = next((kind for kind in (inner, *getattr(inner, "__args__", ())) if hasattr(kind, "model_fields")), None)
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]
