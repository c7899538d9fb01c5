"""docs/tutorial.md as its reader goes through it, with fewer epochs and seeds: what it shows is what is printed."""

import re
import shlex
from pathlib import Path

import pytest

from membrane.cli.main import main

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
SMALL = ["threads=1", "model=smlp", "figures=false"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_every_step_of_the_tutorial_leads_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, _, make_data, train, status, predict, compare = [
        [shlex.split(line) for line in block.splitlines()] for block in blocks("bash")
    ]
    [script] = blocks("python")
    assert make_data == [["python", "make_signals.py"]]
    exec(script, {})
    capsys.readouterr()

    assert main(["train", *train[0][2:], "epochs=1", *SMALL]) == 0
    printed, shown = capsys.readouterr().out, "\n".join(blocks("text"))
    for line in re.findall(r"^data: .*", shown, re.MULTILINE):
        assert line in printed
    [run] = Path("runs/signals").glob("*/seed0")
    assert f"folder: {run}" in printed

    assert main(status[0][1:]) == 0
    assert re.search(rf"^{run.relative_to('runs')} +finished +1 ", capsys.readouterr().out, re.MULTILINE)

    assert main([word.replace("RUN", str(run)) for word in predict[0][1:]]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 300

    assert compare[0][3:] == [*train[0][2:], "neuron=lif,plif", "seed=0,1,2"]
    assert main(compare[1][1:]) == 0
    assert "<table" in Path("report.html").read_text()
