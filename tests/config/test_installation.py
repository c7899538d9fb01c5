"""Commands that install membrane say what is true for how it was installed, and never name another project."""

import ast
import json
import re
import shlex
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from membrane.config import installation
from membrane.config.installation import DISTRIBUTION, install_command, setup_command

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LIBRARIES = {
    canonicalize_name(Requirement(line).name) for lines in [PROJECT["dependencies"], *EXTRAS.values()] for line in lines
}
HINT = re.compile(r"pip install +((?:--?[\w-]+ +|'[^'\n]+' *|\"[^\"\n]+\" *|[\w.\[\]/~<>=!-]+ *)+)")


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that pretends how membrane was installed: what pip noted, and whether it runs from a clone."""

    def pretend(direct_url: Any, clone: bool) -> Path:
        folder = tmp_path / "a clone"
        (folder / "src" / "membrane").mkdir(parents=True)
        (folder / "Makefile").touch()

        def distribution(name: str) -> Any:
            if name != "membrane-snn" or direct_url is None:
                raise metadata.PackageNotFoundError(name)
            noted = tmp_path / "direct_url.json"
            noted.write_text(direct_url if isinstance(direct_url, str) else json.dumps(direct_url))
            others = [SimpleNamespace(name="RECORD", locate=None)]
            return SimpleNamespace(files=[*others, SimpleNamespace(name=noted.name, locate=lambda: noted)])

        monkeypatch.setattr(metadata, "distribution", distribution)
        monkeypatch.setattr(installation, "CLONE", folder if clone else tmp_path / "site-packages")
        return folder

    return pretend


@pytest.mark.parametrize(
    ("direct_url", "command", "plain"),
    [
        ({}, "pip install 'membrane-snn[optuna]'", "pip install membrane-snn"),  # nothing noted: from an index
        (None, "pip install 'membrane-snn[optuna]'", "pip install membrane-snn"),
        ("[broken", "pip install 'membrane-snn[optuna]'", "pip install membrane-snn"),
        ("[]", "pip install 'membrane-snn[optuna]'", "pip install membrane-snn"),
        (
            {"url": "https://example.org/m.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            "pip install 'membrane-snn[optuna] @ git+https://example.org/m.git'",
            "pip install 'membrane-snn @ git+https://example.org/m.git'",
        ),
        (
            {"url": "file:///downloads/m.whl", "archive_info": {}},
            "pip install 'membrane-snn[optuna] @ file:///downloads/m.whl'",
            "pip install 'membrane-snn @ file:///downloads/m.whl'",
        ),
        (
            {"url": "file:///src/a%20clone", "dir_info": {}},
            "pip install '/src/a clone[optuna]'",
            "pip install '/src/a clone'",
        ),
    ],
)
def test_what_is_installed_is_installed_again_from_where_it_came(
    direct_url: Any, command: str, plain: str, noted: Any
) -> None:
    noted(direct_url, clone=False)
    assert install_command("optuna") == command
    assert setup_command() == install_command() == plain
    requirement = shlex.split(command)[-1]
    assert requirement.startswith("/") or Requirement(requirement).extras == {"optuna"}


@pytest.mark.parametrize(("editable", "option"), [(True, "--editable "), (False, "")])
def test_in_a_clone_it_is_installed_from_there(
    editable: bool, option: str, noted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = noted({"url": "file:///elsewhere", "dir_info": {"editable": editable}}, clone=True)
    assert install_command("optuna") == f"pip install {option}'{folder}[optuna]'"
    monkeypatch.chdir(folder)
    assert install_command("optuna") == f"pip install {option}'.[optuna]'"
    assert setup_command() == "make setup"


def test_a_clone_that_was_not_installed(noted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(noted(None, clone=True))
    assert install_command("bench") == "pip install '.[bench]'"


def test_the_distribution_is_not_the_project_of_that_name_on_the_index() -> None:
    assert PROJECT["name"] == DISTRIBUTION == "membrane-snn"
    assert PROJECT["scripts"].keys() == {"membrane"}


def hints(text: str) -> list[str]:
    """The words behind each `pip install` in a text, which names no files of requirements."""
    words = [word for hint in HINT.findall(text) for word in shlex.split(hint) if not word.startswith("-")]
    return [word.rstrip(".") or "." for word in words]  # a sentence may end behind it


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("With pip, `pip install '.[optuna]'` installs it.", [".[optuna]"]),
        ("`pip install .` gives you", ["."]),
        ("\"pip install 'membrane[bench]'.\"", ["membrane[bench]"]),
        ("! pip install --quiet membrane optuna\n", ["membrane", "optuna"]),
    ],
)
def test_hints_are_found(text: str, words: list[str]) -> None:
    assert hints(text) == words


def is_ours(word: str) -> bool:
    """Whether what would be installed is this project, from a folder or under its name, or a library that it lists."""
    folder, _, extra = word.removesuffix("]").partition("[")
    if folder == "." or folder.startswith(("/", "{folder")):
        return not extra or set(extra.split(",")) <= EXTRAS.keys()
    try:
        requirement = Requirement(word)
    except InvalidRequirement:
        return False
    if requirement.name == DISTRIBUTION:
        return requirement.extras <= EXTRAS.keys()
    return canonicalize_name(requirement.name) in LIBRARIES


def test_other_projects_are_told_apart() -> None:
    assert [word for word in (".", ".[optuna]", "membrane-snn[bench]", "optuna>=5") if not is_ours(word)] == []
    assert [word for word in ("membrane", "membrane[bench]", ".[nothing]", "membrane-snn[x]") if is_ours(word)] == []


def test_every_hint_of_the_repository_installs_this_project_or_what_it_needs() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    wrong, seen = [], 0
    for name in filter(None, listed):
        path = ROOT / name
        if name.startswith("tests/") or not path.is_file() or b"\0" in (content := path.read_bytes()):
            continue
        words = hints(content.decode())
        seen += len(words)
        wrong += [(name, word) for word in words if not is_ours(word)]
    if not listed[0]:
        pytest.skip("not a git repository")
    assert wrong == []
    assert seen >= 3  # in README.md, docs/speed.md and docs/surviving.md


def test_hints_in_the_sources_come_from_one_place_and_name_extras_that_there_are() -> None:
    own = Path(installation.__file__)
    extras = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        assert path == own or "pip install" not in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "install_command":
                extras |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    assert extras == {"optuna", "bench"}
    assert extras <= EXTRAS.keys()
