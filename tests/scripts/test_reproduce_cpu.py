"""`scripts/reproduce_cpu.sh` runs each row that fits a processor, stops when it is told, and goes on."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from configurations import configured

from membrane.papers.registry import paper_rows

ROOT = Path(__file__).parents[2]
ROWS = {row.id: row.paper for row in paper_rows(ROOT / "conf" / "experiment")}
HOUR = 60
ELSEWHERE = {"shd/ff"}
"""Rows that would fit a processor, with data that have to be fetched."""
# Stands in for Python: notes its arguments, fails or takes long where it is told to.
PYTHON = """#!/bin/sh
trap 'echo told >> "$(dirname "$0")/stopped"; exit 75' TERM
echo "$@" >> "$(dirname "$0")/commands"
case "$*" in
  *"${SLOW:-nothing}"*)
    for _ in $(seq 600); do sleep 0.1; done ;;
  *"${FAIL:-nothing}"*) exit 1 ;;
esac
"""


class Script:
    """The script with a stand-in for Python, and folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "python").write_text(PYTHON, encoding="utf-8")
        (folder / "python").chmod(0o755)

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start it in a process group of its own."""
        (self.folder / "commands").write_text("")
        places = {"PYTHON": f"{self.folder}/python", "WORK": f"{self.folder}/work", "OUT": f"{self.folder}/out"}
        return subprocess.Popen(
            [ROOT / "scripts" / "reproduce_cpu.sh", *arguments],
            env={**os.environ, **places, "MEMBRANE_DATA": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def end(self, script: subprocess.Popen[str]) -> tuple[int, list[str]]:
        """Wait for its end; return its exit code and the commands that it ran."""
        script.communicate(timeout=120)
        return script.returncode, self.commands()

    def commands(self) -> list[str]:
        return (self.folder / "commands").read_text().splitlines()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_each_row_that_fits_a_processor_is_trained_under_both_protocols_and_by_hand(script: Script) -> None:
    code, commands = script.end(script.begin())
    assert code == 0
    trained = {tuple(found) for line in commands for found in re.findall(r"reproduce (\S+) --protocol (\S+) ", line)}
    fitting = {name for name, paper in ROWS.items() if (paper.minutes.cpu or HOUR + 1) <= HOUR} - ELSEWHERE
    assert trained == {(name, protocol) for name in fitting for protocol in (ROWS[name].protocol, "val_best")}
    by_hand = [line.split() for line in commands if "scripts/by_hand/" in line]
    assert {words[0] for words in by_hand if not (ROOT / words[0]).is_file()} == set()
    outputs = [words[words.index("--out") + 1].removeprefix(f"{script.folder}/out/") for words in by_hand]
    papers = {name for name in fitting if not ROWS[name].citation.startswith("own baseline")}
    assert sorted(outputs) == sorted(f"{name}/by_hand/seed{seed}.json" for name in papers for seed in range(3))
    (small,) = {tuple(words[words.index("--channels") :][:4]) for words in by_hand if "--channels" in words}
    config = configured("experiment=spikingjelly/conv_fashion_mnist_small")
    assert small == ("--channels", str(config.model.model_dump()["filters"][0]), "--epochs", str(config.epochs))
    assert commands[-1].endswith(f"reproduce --redraw --records {script.folder}/out")
    assert script.end(script.begin())[1] == [commands[-1]]  # nothing is left to train


def test_an_argument_that_is_no_setting_is_refused_before_anything_is_trained(script: Script) -> None:
    assert script.end(script.begin("trainer.progress=false", "-x")) == (2, [])


def test_it_goes_on_where_it_stopped(script: Script) -> None:
    running = script.begin(SLOW="seq_fmnist/plain --protocol")
    while sum("seq_fmnist/plain --protocol" in line for line in script.commands()) < 2:  # both places are taken
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert script.end(running)[0] == 75
    assert (script.folder / "stopped").read_text().splitlines() == ["told", "told"]

    code, commands = script.end(script.begin(FAIL="--protocol last"))
    assert code == 1
    assert all("seq_fmnist/plain --protocol" in line for line in commands[:2])  # the first that had not ended
    assert not any("--redraw" in line for line in commands)
    code, commands = script.end(script.begin())
    assert code == 0
    # Two begin at the same time: which of them writes its line first is open.
    assert sorted(line.split()[3] for line in commands[:-1]) == ["fsdd", "nmnist_subset", "uci_har"]
