"""Without a UTF-8 locale everything works: text files and pipes state their encoding, what is printed is replaced."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").rglob("*.py"), ROOT / "train.py"]
TEXT_METHODS = {"read_text", "write_text"}
PIPES = {"run", "Popen", "check_output"}
OPENERS = {"open", "fdopen", "NamedTemporaryFile"}
NO_TEXT = {"os.open", "Study.open", "tarfile.open", "archive.open", "Image.open"}


def unencoded_calls(source: str) -> Iterator[int]:
    """Yield the line of every call that reads or writes text in whatever the locale's encoding is."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        if None in named or "encoding" in named:
            continue
        of_pipe = bool({"text", "universal_newlines"} & named.keys()) and name in PIPES
        if name in TEXT_METHODS or of_pipe or (name in OPENERS and opens_text(call, named, name)):
            yield call.lineno


def opens_text(call: ast.Call, named: dict[str | None, ast.expr], name: str) -> bool:
    """Return whether a call of `open` opens a text file."""
    if ast.unparse(call.func) in NO_TEXT:
        return False
    position = 0 if name == "open" and isinstance(call.func, ast.Attribute) else 1
    mode = named.get("mode") or (call.args[position] if len(call.args) > position else None)
    return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))


def test_every_text_file_and_pipe_states_its_encoding() -> None:
    unencoded = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for line in unencoded_calls(path.read_text(encoding="utf-8"))
    ]
    assert not unencoded


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("path.read_text()", 1),
        ("path.read_text(encoding='utf-8')", 0),
        ("path.open()", 1),
        ("path.open('a')", 1),
        ("path.open('rb')", 0),
        ("open(path, 'wb')", 0),
        ("open(path, mode='w')", 1),
        ("subprocess.run(words, text=True)", 1),
        ("os.open(path, os.O_RDONLY)", 0),
    ],
)
def test_calls_without_an_encoding_are_seen(source: str, count: int) -> None:
    assert len(list(unencoded_calls(source))) == count


def in_c_locale(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Run membrane in a process to which the locale gives ASCII."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([sys.executable, "-m", "membrane", *words], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("words", [("--help",), ("models",), ("models", "digits"), ("train", "--cfg", "job")], ids=str)
def test_commands_answer_in_an_ascii_locale(words: tuple[str, ...]) -> None:
    ended = in_c_locale(*words)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout


def test_a_run_ends_well_in_an_ascii_locale(tmp_path: Path) -> None:
    ended = in_c_locale(
        "train",
        "epochs=1",
        "model=smlp",
        "model.norm=batch",
        "logger=csv",
        f"paths.runs={tmp_path}",
        "figures=false",
        "model.units=[16]",
        "timesteps=2",
        "batch_size=256",
        "threads=1",
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"test" in ended.stdout  # the table of scores, with its ±
    [log] = tmp_path.glob("*/*/seed0/run.log")
    assert "T·N" in log.read_bytes().decode("utf-8")
    assert in_c_locale("status", str(tmp_path)).returncode == 0
