"""The page that `--help` prints: every group, choice and setting, in lines that a terminal holds."""

import re
import sys

import pytest

from membrane.cli.help import EXAMPLES, described_settings, help_page, wrapped_names
from membrane.config.choices import choices
from membrane.config.composer import conf_folder
from membrane.schema import Config, Paths, Settings
from membrane.schema.node import Field


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["/a/b/train.py", "--help"])
    return help_page().splitlines()


def test_groups_stand_in_one_column_with_all_their_choices(page: list[str]) -> None:
    start = next(number for number, line in enumerate(page) if line.startswith("groups and their choices"))
    listed: dict[str, list[str]] = {}
    for line in page[start + 1 : page.index("", start)]:
        group, names = line[:16].strip(), line[16:]
        listed.setdefault(group or list(listed)[-1], []).extend(names.split())
        assert line[:2] == "  "
        assert line[14:16] == "  "
        assert len(line) < 110
    assert max(map(len, listed)) == 12
    assert listed == {group: [each.name for each in named] for group, named in choices(conf_folder()).items()}


def test_every_setting_that_is_described_has_its_default(page: list[str]) -> None:
    start = page.index("settings and their defaults")
    lines = page[start + 1 : page.index("", start)]
    described = {name: field for name, field in Config.model_fields.items() if field.description}
    described |= {f"paths.{name}": field for name, field in Paths.model_fields.items() if field.description}
    assert {line.split("=")[0].strip() for line in lines} == set(described)
    for line in lines:
        name, rest = line.strip().split("=", 1)
        assert rest.endswith(f"  {described[name].description}")
    assert {"  seed=0" in line and line.index(str(described["seed"].description)) for line in lines} - {False} == {28}
    assert any(re.match(r"  name=<the data set's> ", line) for line in lines)


def test_examples_are_called_as_the_page_was(page: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "usage: python /a/b/train.py [group=choice | setting=value]..." in page
    start = page.index("examples")
    for number, (arguments, meaning) in enumerate(EXAMPLES):
        called, explained = page[start + 1 + 2 * number : start + 3 + 2 * number]
        assert called == f"  python /a/b/train.py {arguments}".rstrip()
        assert explained == f"      {meaning}"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/membrane", "train", "--help"])
    assert "\nusage: membrane train [group" in help_page()


def test_names_are_wrapped_under_the_first() -> None:
    assert wrapped_names([], 4) == ""
    assert wrapped_names(["aa", "bb", "cc"], 4) == "aa bb cc"
    # the indent, the names so far with their spaces and the next name stay below the width
    assert wrapped_names(["aa", "bb", "cc"], 4, 13) == "aa bb cc"
    assert wrapped_names(["aa", "bb", "cc"], 4, 12) == "aa bb\n    cc"
    assert wrapped_names(["aa", "bb", "cc"], 4, 9) == "aa\n    bb\n    cc"


def test_only_what_is_described_is_listed_as_it_is_typed() -> None:
    class Example(Settings):
        first: bool = Field(default=True, description="one")
        hidden: int = 3
        second: list[int] | None = Field(default=None, description="two")
        third: str = Field(description="three")
        paths: Paths = Paths()

    listed = list(described_settings(Example, "x."))
    assert listed[:3] == [
        ("x.first", "true", "one"),
        ("x.second", "null", "two"),
        ("x.third", "<the data set's>", "three"),
    ]
    assert listed[3:] == list(described_settings(Paths, "paths."))
    assert [name for name, _, _ in listed[3:]] == ["paths.data", "paths.runs", "paths.run"]
