"""The rows of papers' tables, read from the experiment files that have a ``paper`` block."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from membrane.errors import ConfigError
from membrane.schema.paper import Paper


@dataclass(frozen=True)
class PaperRow:
    """A row: its id, by which `experiment=` chooses it, and the claim."""

    id: str
    paper: Paper


def paper_rows(experiments: Path) -> list[PaperRow]:
    """Return the rows in a folder of experiment files, in the order of their ids.

    Raises ConfigError if a block cannot be read.
    """
    read = ((path, read_block(path)) for path in sorted(experiments.glob("**/*.yaml")))
    rows = [(path.relative_to(experiments).with_suffix("").as_posix(), block) for path, block in read if block]
    return [PaperRow(name, checked_block(name, block)) for name, block in rows]


def read_block(path: Path) -> Any:
    """Return what stands under ``paper`` in a file, None if there is none."""
    from yaml import CSafeLoader, load

    text = path.read_text(encoding="utf-8")
    if "\npaper:" not in text:
        return None
    return load(text, CSafeLoader).get("paper")  # safe: the loader builds plain values only


def checked_block(name: str, block: Any) -> Paper:
    """Return a row's claim. Raises ConfigError if a key is missing, unknown or wrong."""
    try:
        return Paper.model_validate(block)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{name}: paper.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
