"""Configurations that would fill the memory, never end, or end the process: one line, before that happens."""

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cases import check_each
from commands import train
from omegaconf import OmegaConf

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.schema import GROUPS, Config
from membrane.sweep.jobs import jobs_of

WHOLE = "# @package _global_\n"
DOUBLING = "".join(f"x{n}: ${{x{n + 1}}}${{x{n + 1}}}\n" for n in range(20)) + "x20: ''\nname: ${x0}\n"
GROWING = "".join(f"x{n}: ${{x{n + 1}}}${{x{n + 1}}}\n" for n in range(12)) + f"x12: {'a' * 2000}\nname: ${{x0}}\n"
LISTS = "".join(f"x{n}: ['${{x{n + 1}}}', '${{x{n + 1}}}']\n" for n in range(30)) + "x30: [1]\n"
CHAIN = "".join(f"x{n}: ${{x{n + 1}}}\n" for n in range(900)) + "x900: a\nname: ${x0}\n"
ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
FILES = {
    DOUBLING: "its references lead to more than a configuration can need",
    GROWING: "its references lead to more than a configuration can need",
    LISTS: "its references lead to more than a configuration can need",
    CHAIN: "its references lead too deep, or back to it",
    ALIASES: "more than 20000 values, its aliases written out",
    MERGES: "more than 20000 values, its aliases written out",
    "a: &a [*a]": "stands in what it names",
    "a: " + "[" * 3000 + "]" * 3000: "nested more than 100 levels deep|depth",
    "? " * 3000 + "a": "nested more than 100 levels deep|depth",
    "a: " + "x" * (1 << 21): "larger than 1 MiB",
    f"seed: 0x{'f' * 20000}": "a number of 20002 characters",
    f"seed: {'9' * 400}": "seed: a whole number of 1329 bits|a number of 400 characters",
    f"name: {'${seed}' * 1000}": "an interpolation of more than 4000 characters",
}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "experiment").mkdir()
    return tmp_path


def refusal_of(composer: Composer, overrides: list[str]) -> str:
    """The line that refuses a command line, as the command comes to it."""
    with pytest.raises(ConfigError) as refusal:
        check(resolved(composer.compose(composer.add_or_override(overrides))))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_file_that_would_grow_without_end_is_refused(mine: Path) -> None:
    """Before, most of these ran until they were killed."""

    def check_file(case: tuple[str, str]) -> None:
        content, reason = case
        (mine / "experiment" / "evil.yaml").write_text(WHOLE + content)
        refusal = refusal_of(Composer(str(mine)), ["experiment=evil"])
        assert any(part in refusal for part in reason.split("|")), refusal

    check_each(FILES.items(), check_file)


def test_defaults_that_name_two_files_each_time_are_counted(mine: Path) -> None:
    (mine / "foo").mkdir()
    for n in range(40):
        (mine / "foo" / f"d{n}.yaml").write_text(f"defaults: [/foo@p1: d{n + 1}, /foo@p2: d{n + 1}]\n")
    (mine / "foo" / "d40.yaml").write_text("a: 1\n")
    (mine / "experiment" / "evil.yaml").write_text(f"{WHOLE}defaults:\n  - /foo@p1: d0\n")
    assert "the defaults lists name more than 400 files" in refusal_of(Composer(str(mine)), ["experiment=evil"])


OVERRIDES = {
    f"{'.'.join(['a'] * 60_000)}=1": "an override of 120001 characters; at most 20000",
    f"{'.'.join(['a'] * 40)}=1": "nested more than 30 levels deep",
    f"model.filters={'[' * 3000}{']' * 3000}": "nested more than 30 levels deep",
    f"model={'{a:' * 3000}1{'}' * 3000}": "nested more than 30 levels deep",
    f"name={'x' * 100_000}": "an override of 100005 characters",
    f"name={'x' * 15_000}": "name: a text of 15000 characters",
    "threads=1000000": "threads=1000000: this machine has",
    "trainer.workers=1000000": "trainer.workers=1000000: this machine has",
    f"seed={'9' * 400}": "seed: a whole number of 1329 bits",
    "dataset.task=[a]": "dataset.task: expected 'classification' or 'regression', got ['a']",
    "dataset.task={a: b}": "dataset.task: expected 'classification' or 'regression', got {'a': 'b'}",
}


def test_an_override_that_no_run_can_follow_is_refused() -> None:
    composer = Composer()

    def check_override(case: tuple[str, str]) -> None:
        override, reason = case
        assert reason in refusal_of(composer, [override])

    check_each(OVERRIDES.items(), check_override)


def test_a_sweep_of_a_million_jobs_is_refused_before_they_are_listed() -> None:
    composer = Composer()
    many = ",".join(map(str, range(1, 200)))
    for overrides in (
        ["seed=range(0,1000000000)"],
        ["seed=shuffle(range(0,1000000000))"],
        [f"seed={many}", f"epochs={many}", f"timesteps={many}"],
    ):
        with pytest.raises(ConfigError, match="combinations of values: at most 10000"):
            jobs_of(composer, composer.add_or_override(overrides), multirun=True)


HOSTILE: list[Any] = [
    ["a"],
    {"a": "b"},
    "",
    -1,
    10**400,
    float("nan"),
    "x" * 10**6,
    "\u0663",
    [[None]],
    "a\0b",
    "\ud800",
    "${nothing}",
]
FEW = 2
"""So many of them are tried in each setting of a node."""


def test_a_text_that_no_file_can_be_named_with_is_refused(mine: Path) -> None:
    (mine / "experiment" / "evil.yaml").write_text(WHOLE + r'paths: {runs: "a\0b"}')
    assert "paths.runs: 'a" in refusal_of(Composer(str(mine)), ["experiment=evil"])
    raw = dict(resolved(Composer().compose([])))
    with pytest.raises(ConfigError, match=r"^name: '\\ud800' has a sign that no file can be named with"):
        check({**raw, "name": "\ud800"})


def settings_of(raw: dict[str, Any]) -> list[tuple[str, ...]]:
    """The path of every setting of a configuration: of the whole, and of the node of each group."""
    paths: list[tuple[str, ...]] = [(key,) for key in Config.model_fields]
    for group in (*GROUPS, "paths", "trainer"):
        if isinstance(raw.get(group), dict):
            paths += [(group, key) for key in raw[group]]
    return [*paths, ("init", "path"), ("init", "skip"), ("extend", "path"), ("debug", "batches")]


def test_whatever_a_setting_is_set_to_the_answer_is_one_line() -> None:
    """Every setting of the default configuration, set to every type of value: it is refused, or it is right."""
    raw = dict(resolved(Composer().compose([])))

    def check_value(case: tuple[tuple[str, ...], Any]) -> None:
        path, value = case
        changed = copy.deepcopy(raw)
        node = changed
        for key in path[:-1]:
            node[key] = node = dict(node.get(key) or {})
        node[path[-1]] = value
        with suppress(ConfigError):
            check(resolved(OmegaConf.create(changed)))

    cases = [(path, value) for path in settings_of(raw) for value in HOSTILE[: FEW if path[1:] else None]]
    check_each(cases, check_value)


def test_the_command_says_so_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["dataset.task=[a]"]) == 2
    assert train(["threads=1000000"]) == 2
    assert train([f"name={'x' * 9000}${{nothing}}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 3
    assert max(map(len, error.splitlines())) < 4100
