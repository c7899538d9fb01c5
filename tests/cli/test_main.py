"""The program: its list of commands, what it says to a word that is none, and the two ways to start it."""

import json
import os
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import membrane as package
from membrane.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
LEAST = ("logger=csv", "epochs=1", "model=smlp", "model.units=[8]", "timesteps=2", "threads=1", "figures=false")


def test_help_lists_every_command_with_a_line_and_imports_none_of_them() -> None:
    program = (
        "import sys; from membrane.cli.main import main; code = main(['--help'])\n"
        "heavy = ('torch', 'lightning', 'hydra', 'omegaconf', 'pydantic', 'rich', 'numpy')\n"
        "print(code, [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *page, last = done.stdout.splitlines()
    assert last == "0 []"
    listed = dict(line.split(maxsplit=1) for line in page if line.split()[:1] and line.split()[0] in COMMANDS)
    assert list(listed) == list(COMMANDS)
    assert all(len(line) <= 100 for line in page)


def test_threads_are_told_how_to_wait_before_any_command_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's OpenMP reads the variables when it is loaded."""
    others = {name: value for name, value in os.environ.items() if "OMP" not in name}
    monkeypatch.setattr(os, "environ", others)
    seen: list[dict[str, str]] = []
    monkeypatch.setattr("membrane.cli.main.run_command", lambda words: seen.append(dict(os.environ)) or 0)
    assert main(["status"]) == 0
    assert seen[0].items() >= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}.items()


def test_nothing_typed_is_answered_with_help_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert main([]) == 2
    assert capsys.readouterr() == ("", page)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trian"], "trian: no such command; did you mean train? see membrane --help"),
        (["modles", "psn"], "modles: no such command; did you mean models? see membrane --help"),
        (["xyz"], "xyz: no such command; see membrane --help"),
        (["seed=3"], "seed=3: no such command; did you mean membrane train seed=3? see membrane --help"),
        (["-m", "seed=3,4"], "unrecognized arguments: -m; see membrane --help"),
    ],
    ids=str,
)
def test_a_word_that_is_no_command_is_answered_in_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr() == ("", f"membrane: {line}\n")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"membrane {package.__version__}\n"


def test_one_program_is_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert list(scripts) == ["membrane"]
    assert EntryPoint("membrane", scripts["membrane"], "console_scripts").load() is main


def test_train_py_is_membrane_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both as Python runs them, but in this process, which has imported torch already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    results = {}
    for name, path, called in (
        ("clone", ROOT / "train.py", ["train.py"]),
        ("installed", Path(package.__file__).with_name("__main__.py"), ["membrane", "train"]),
    ):
        typed = [*called[1:], *LEAST, f"paths.runs={name}"]
        monkeypatch.setattr(sys, "argv", [str(path), *typed])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(path), run_name="__main__")
        assert ended.value.code == 0
        [run] = tmp_path.glob(f"{name}/digits/*/seed0")
        assert json.loads((run / "provenance.json").read_text())["command"] == [called[0], *typed]
        results[name] = run.parent.name, json.loads((run / "result.json").read_text())["metrics"]
    assert results["clone"] == results["installed"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("membrane ", " ".join(COMMANDS)),
        ("membrane tr", " ".join(COMMANDS)),
        ("membrane train framework=singlestep_", "framework=singlestep_tid"),
        ("membrane evaluate fr", ""),
    ],
)
def test_the_shell_completes_commands_and_the_arguments_of_train(
    line: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    assert main(["-sc", "query=bash"]) == 0
    assert capsys.readouterr().out.strip() == expected


def test_completion_is_installed_for_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/membrane"])
    assert main(["train", "-sc", "install=bash"]) == 0
    assert capsys.readouterr().out.strip().endswith("-F hydra_bash_completion membrane")


@pytest.mark.parametrize(("value", "folder"), [("", "data"), ("/lab", "/lab")])
def test_an_empty_variable_for_the_data_is_as_good_as_none(
    value: str, folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEMBRANE_DATA", value)
    assert main(["train", "--cfg", "job", "--package", "paths"]) == 0
    assert f"data: {folder}\n" in capsys.readouterr().out
