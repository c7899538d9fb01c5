"""Commands as a person can paste them, for the program that was called; the commit, from a repository of anyone."""

import subprocess
import sys
from pathlib import Path

import pytest

from membrane.runs.provenance import (
    evaluation_command,
    git_difference,
    git_output,
    other_command,
    program_command,
    recorded_program,
)


@pytest.mark.parametrize(
    ("called", "program", "recorded", "evaluation"),
    [
        ("train.py", ["python", "train.py"], ["train.py"], ["python", "scripts/evaluate.py"]),
        ("/a/b/train.py", ["python", "/a/b/train.py"], ["train.py"], ["python", "/a/b/scripts/evaluate.py"]),
        ("/usr/bin/membrane", ["membrane", "train"], ["membrane", "train"], ["membrane", "evaluate"]),
        ("membrane", ["membrane", "train"], ["membrane", "train"], ["membrane", "evaluate"]),
    ],
)
def test_the_commands_of_a_program(
    called: str, program: list[str], recorded: list[str], evaluation: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "seed=1"])
    assert program_command() == program
    assert recorded_program() == recorded
    assert evaluation_command() == evaluation
    assert other_command("report") == [word.replace("evaluate", "report") for word in evaluation]


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor",
        "diff.external",
        "diff.own.textconv",
        "diff.own.command",
        "filter.own.clean",
        "filter.o=n.clean",
    ],
)
def test_git_starts_nothing_that_a_repository_names(setting: str, tmp_path: Path) -> None:
    repository, began, script = tmp_path / "clone", tmp_path / "began", tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch '{began}'\ncat\n")
    script.chmod(0o755)
    attributes = "*.txt diff=own filter=own\n*.csv filter=o=n\n"

    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *words], cwd=repository, check=True, capture_output=True)

    repository.mkdir()
    git("init", "-q")
    for name, text in ((".gitattributes", attributes), ("a.txt", "first\n"), ("a.csv", "1\n")):
        (repository / name).write_text(text)
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (repository / "a.txt").write_text("second\n")
    (repository / "a.csv").write_text("2\n")
    git("config", setting, str(script))
    if setting.startswith("filter"):
        git("config", "filter.own.required", "true")
    before = (repository / ".git" / "index").read_bytes()
    difference = git_difference(repository)
    assert difference is not None
    assert "+second" in difference
    assert "+2" in difference
    assert len(git_output(repository, "rev-parse", "HEAD") or "") == 41
    assert not began.exists()
    assert (repository / ".git" / "index").read_bytes() == before
