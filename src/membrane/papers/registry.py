"""The rows of papers' tables, read from the experiment files that have a ``paper`` block."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from membrane.errors import ConfigError
from membrane.schema.paper import Paper

HAS_BLOCK = re.compile(r"^paper:", re.MULTILINE)


@dataclass(frozen=True)
class PaperRow:
    """A row: its id, by which `experiment=` chooses it, and the claim."""

    id: str
    paper: Paper


def paper_rows(experiments: Path) -> list[PaperRow]:
    """Return the rows in a folder of experiment files, in the order of their ids.

    Raises ConfigError if a block cannot be read.
    """
    paths = [(path, path.relative_to(experiments).with_suffix("").as_posix()) for path in experiments.glob("**/*.yaml")]
    read = [(name, read_block(name, path)) for path, name in sorted(paths)]
    return [PaperRow(name, checked_block(name, block)) for name, block in read if block]


def read_block(name: str, path: Path) -> Any:
    """Return what stands under ``paper`` in a file, None if there is none. Raises ConfigError if it is not YAML."""
    from yaml import CSafeLoader, MarkedYAMLError, load

    text = path.read_text(encoding="utf-8")
    if not HAS_BLOCK.search(text):
        return None
    try:
        return load(text, CSafeLoader).get("paper")  # safe: the loader builds plain values only
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise ConfigError(f"{name}.yaml{line}: {error.problem}") from None


def checked_block(name: str, block: Any) -> Paper:
    """Return a row's claim. Raises ConfigError if a key is missing, unknown or wrong."""
    try:
        paper = Paper.model_validate(block)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["paper", *(str(part) for part in first["loc"] if part != "[key]")])
        got = "" if first["type"] in ("missing", "value_error") else f", got {first['input']!r}"
        raise ConfigError(f"{name}: {where}: {first['msg'].removeprefix('Value error, ')}{got}") from None
    if paper.published and paper.compared not in paper.published:
        there = " or ".join(paper.published)
        raise ConfigError(f"{name}: paper.compared is {paper.compared}, of which nothing is published; choose {there}")
    return paper
