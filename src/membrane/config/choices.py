"""The choices of each group: what the files of conf/ say about themselves, read without composing them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from membrane.schema import GROUPS, Node, Settings
from membrane.schema.training import Trainer


@dataclass(frozen=True)
class Choice:
    """``group=name``, as the file at ``path`` states it."""

    group: str
    name: str
    path: Path

    @property
    def comment(self) -> list[str]:
        """Return the lines of the file's leading comment; the first says what the choice is for."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        comment = takewhile(lambda line: line.startswith("#"), lines)
        return [line.removeprefix("#").strip() for line in comment if not line.startswith("# @package")]

    @property
    def purpose(self) -> str:
        """Return what the choice is for, in a line; empty if its file does not say."""
        return next(iter(self.comment), "")

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that the file states for its group."""
        content = OmegaConf.to_container(OmegaConf.load(self.path))
        assert isinstance(content, Mapping)
        inner = next(
            (content[key] for key in (self.group, self.name) if isinstance(content.get(key), Mapping)), content
        )
        return {str(key): value for key, value in inner.items()}

    @property
    def settings_class(self) -> type[Settings] | None:
        """Return the class of the schema that the settings are checked against; None for none and for several."""
        if self.group == "trainer":
            return Trainer
        return next((each for each in node_classes(self.group) if each.choice == self.name), None)


def node_classes(group: str) -> tuple[type[Node], ...]:
    """Return the classes of the schema that a group chooses from."""
    return GROUPS[group][1] if group in GROUPS else ()


def choices(conf: Path) -> dict[str, list[Choice]]:
    """Return group → its choices, in the order of the schema; without conf/hydra, which is Hydra's, and conf/local."""
    groups = (path for path in sorted(conf.iterdir()) if path.is_dir() and path.name not in ("hydra", "local"))
    return {group.name: [*in_order(group)] for group in groups}


def in_order(folder: Path) -> Iterator[Choice]:
    """Yield the choices of a group's folder: those of the schema, in its order, then the others by name.

    One in a folder below is named with it, as ``seq_fmnist/plain``.
    """
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}
    of_schema = [each.choice for each in node_classes(folder.name) if each.choice in files]
    for name in dict.fromkeys([*of_schema, *files]):
        yield Choice(folder.name, name, files[name])


def as_typed(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{','.join(map(as_typed, value))}]" if isinstance(value, list) else str(value)
