"""Commands as a person can paste them, for the program that was called."""

import sys

import pytest

from membrane.runs.provenance import evaluation_command, program_command, recorded_program


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
