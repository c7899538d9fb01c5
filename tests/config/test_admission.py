"""Which classes a configuration may name: those on the list, those that are trusted, and none that is another."""

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import check_each

from membrane.config.admission import ADMITTED, admitted_class
from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.schema import GROUPS

THEIRS = """
from shutil import rmtree as Removes
from subprocess import Popen as Runs
from torch import nn
class Net: pass
Renamed = Net
instance = Net()
def function(): raise RuntimeError("called")
class Outer:
    class Inner: pass
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "their_package.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("their_package", None)


def test_every_name_of_the_list_is_one_of_a_kind() -> None:
    assert len(ADMITTED) == sum(len(choices) for _, choices in GROUPS.values())
    for _, choices in GROUPS.values():
        named = [node_class.choice for node_class in choices if node_class.choice]
        assert len(set(named)) == len(named)


def test_a_name_of_the_list_is_a_class_that_says_it_is_defined_there() -> None:
    def check_target(target: str) -> None:
        node_class = admitted_class(target)
        assert inspect.isclass(node_class)
        assert f"{node_class.__module__}.{node_class.__qualname__}" == (ADMITTED[target].defined or target)
        assert ADMITTED[target].defined != target

    check_each(ADMITTED, check_target)


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("their_package.Removes", "is no class, but function shutil.rmtree"),
        ("their_package.Runs", "is really subprocess.Popen: name the class where it is defined"),
        ("their_package.Renamed", "is really their_package.Net"),
        ("their_package.function", "is no class, but function"),
        ("their_package.instance", "is no class, but Net"),
        ("their_package.nn", "is no class, but module"),
        ("their_package.Missing", "cannot be imported"),
        ("their_package.Outer.Inner", "cannot be imported"),
        ("their_package.nn.Linear", "cannot be imported"),
        ("no_such_package.Net", "cannot be imported: No module named 'no_such_package'"),
        ("os.system", "is no class, but builtin_function_or_method"),
    ],
)
def test_trust_is_no_licence_for_what_is_not_what_it_says(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        admitted_class(name, [name])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_", "_call_"])
def test_hydras_other_keys_reach_no_trusted_class(key: str, raw: dict[str, Any]) -> None:
    for node in ({key: True}, {"extra": [{key: ["x"]}]}):
        settings = {**raw, "model": {"_target_": "their_package.Net", **node}, "trust": ["their_package.Net"]}
        with pytest.raises(ConfigError, match=f"there is no {key}$"):
            check(settings)
