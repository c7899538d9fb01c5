"""The scripts that write records/ run what the records hold, write their tables, and go on where they stopped."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from configurations import shared_composer

from membrane.cli.bench import bench_parser
from membrane.config.check import check, resolved
from membrane.runs.fingerprint import fingerprint
from membrane.sweep.jobs import jobs_of

ROOT = Path(__file__).parents[2]
RUN = {path.stem: json.loads(path.read_text()) for path in (ROOT / "records" / "run").glob("*.json")}
MATRIX = [json.loads(line) for line in (ROOT / "records" / "models" / "digits_matrix.jsonl").read_text().splitlines()]
# Stands in for Python: notes its arguments and, if they are those of train.py, leaves the results that a sweep would.
PYTHON = f"""#!{sys.executable} -S
import json, os, subprocess, sys
from pathlib import Path
here = Path(__file__).parent
with open(here / "commands.jsonl", "a") as log:
    print(json.dumps(sys.argv[1:]), file=log)
print("ran", *sys.argv[1:])
if os.environ.get("FAIL", "nothing") in " ".join(sys.argv):
    sys.exit(75)
if sys.argv[1] == "scripts/digits_matrix.py":
    sys.exit(subprocess.run([{sys.executable!r}, *sys.argv[1:]]).returncode)
said = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
for result in json.loads((here / "results.json").read_text()) if sys.argv[1] == "train.py" else ():
    name = said.get("name", said.get("experiment", result["dataset"]))
    if name == result["name"] and all(said.get(key, result[key]) == result[key] for key in ("model", "framework")):
        if str(result["seed"]) in said.get("seed", "0").split(","):
            folder = Path(said["paths.runs"], "name", result["fingerprint"], f"seed{{result['seed']}}")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(json.dumps(result))
            (folder / "provenance.json").write_text(json.dumps({{"command": sys.argv[1:]}}))
"""


class Records:
    """A folder for what one of the scripts writes, with a stand-in for Python and the results that it is to find."""

    def __init__(self, folder: Path, name: str, results: list[dict[str, object]]) -> None:
        self.folder, self.name, self.out = folder, name, folder / "out"
        (folder / "python").write_text(PYTHON)
        (folder / "python").chmod(0o755)
        (folder / "results.json").write_text(json.dumps(results))

    def start(self, *arguments: str, **environment: str) -> tuple[int, list[list[str]]]:
        """Return the script's exit code and the commands that it ran this time."""
        log = self.folder / "commands.jsonl"
        log.unlink(missing_ok=True)
        places = {"PYTHON": str(self.folder / "python"), "WORK": str(self.folder / "work"), "OUT": str(self.out)}
        command = [ROOT / "scripts" / f"{self.name}.sh", *arguments]
        done = subprocess.run(command, env={**os.environ, **places, **environment}, capture_output=True, check=False)
        commands = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return done.returncode, commands

    def written(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir())


def fingerprints(command: list[str]) -> set[tuple[str, int]]:
    """(fingerprint, seed) of each run that a command of train.py would make."""
    assert command[0] == "train.py"
    composer = shared_composer()
    overrides = composer.add_or_override([word for word in command[1:] if word != "-m"])
    configs = [check(resolved(job.config)) for job in jobs_of(composer, overrides, "-m" in command)[0]]
    return {(fingerprint(config), config.seed) for config in configs}


def of_records(results: list[dict[str, object]]) -> set[tuple[object, object]]:
    return {(result["fingerprint"], result["seed"]) for result in results}


def test_the_runs_are_those_on_record(tmp_path: Path) -> None:
    records = Records(tmp_path, "records_run", list(RUN.values()))
    code, commands = records.start()
    assert code == 0
    assert set.union(*map(fingerprints, commands)) == of_records(list(RUN.values()))
    kept = [path.name for path in (ROOT / "records" / "run").iterdir()]
    assert records.written() == sorted(kept)
    for name, result in RUN.items():
        assert json.loads((records.out / f"{name}.json").read_text()) == result


def test_the_baselines_are_those_on_record_and_land_in_their_folders(tmp_path: Path) -> None:
    kept = ROOT / "records" / "baselines"
    code, commands = Records(tmp_path, "records_baselines", []).start()
    assert code == 0
    trained = [fingerprints(command) for command in commands if command[0] == "train.py"]
    copied = [Path(command[-1]).relative_to(tmp_path / "out") for command in commands if command[0] == "-m"]
    recorded = {
        path.relative_to(kept): of_records([json.loads(each.read_text()) for each in path.glob("seed*/result.json")])
        for path in kept.glob("*/*_*")
    }
    assert dict(zip(copied, trained, strict=True)) == recorded


def test_the_models_are_those_on_record_and_the_table_is_written_anew(tmp_path: Path) -> None:
    records = Records(tmp_path, "records_models", MATRIX)
    records.out.mkdir()
    kept = (ROOT / "records" / "models" / "digits_matrix.md").read_text()
    rows = re.findall(r"^\| s.*\n", kept, re.MULTILINE)
    assert len(rows) == 16
    (records.out / "digits_matrix.md").write_text(kept.replace("".join(rows), "| old | row |\n"))
    code, commands = records.start()
    assert code == 0
    assert set.union(*map(fingerprints, commands[:-1])) == of_records(MATRIX)
    assert (records.out / "digits_matrix.md").read_text() == kept
    lines = (records.out / "digits_matrix.jsonl").read_text().splitlines()
    assert sorted(map(str, map(json.loads, lines))) == sorted(map(str, MATRIX))
    assert len([name for name in records.written() if name.endswith(".log")]) == 16


def test_a_script_goes_on_where_it_stopped(tmp_path: Path) -> None:
    records = Records(tmp_path, "records_run", list(RUN.values()))
    code, commands = records.start("epochs=1", FAIL="framework=singlestep ")
    assert (code, len(commands)) == (75, 3)
    assert all("epochs=1" in command for command in commands)
    assert "digits_singlestep.log" not in records.written()
    code, commands = records.start("epochs=1")
    assert code == 0
    assert [command[2] for command in commands[:2]] == ["framework=singlestep", "framework=singlestep_tid"]
    assert len(commands) == 3
    log = (records.out / "digits_singlestep.log").read_text()
    assert log.count("ran train.py") == 2  # what was broken off stays in sight
    assert "s from the command to its end" in log
    assert records.start("epochs=1") == (0, [])


def test_the_bench_is_timed_along_each_axis_and_the_overhead_of_three_runs(tmp_path: Path) -> None:
    code, commands = Records(tmp_path, "records_bench", []).start("--scale", "0.1")
    assert code == 0
    benches = [bench_parser().parse_args(command[1:]) for command in commands if command[0] == "scripts/bench.py"]
    assert [(each.sweep, each.memory, each.evaluation) for each in benches] == [
        (None, True, False),
        (None, False, True),
        ("timesteps", False, False),
        ("batch", False, False),
        ("width", False, False),
    ]
    assert {(each.out, each.scale) for each in benches} == {(tmp_path / "out", 0.1)}
    assert ["-m", "membrane.bench.recomputation", "--out", str(tmp_path / "out")] in commands
    overhead = [command[2:] for command in commands if command[:2] == ["-m", "membrane.bench.overhead"]]
    assert len(overhead) == 3
    for overrides in overhead:
        assert len(fingerprints(["train.py", *overrides])) == 1


def test_what_survives_is_tested_and_twenty_seeds_are_run(tmp_path: Path) -> None:
    records = Records(tmp_path, "records_survive", [])
    code, commands = records.start()
    assert code == 0
    files = [word for command in commands for word in command if word.endswith(".py") and word != "train.py"]
    assert len(files) == 4
    assert all("pytest.mark.slow" in (ROOT / file).read_text() for file in files)
    assert {seed for _, seed in fingerprints(commands[-1])} == set(range(20))
    logs = [f"{Path(file).stem}.log" for file in files]
    assert records.written() == sorted([*logs, "twenty_seeds.log"])


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_every_script_says_what_it_is_for() -> None:
    for script in (ROOT / "scripts").glob("records_*.sh"):
        lines = script.read_text().splitlines()
        assert lines[0] == "#!/usr/bin/env bash"
        assert re.match(r"# [A-Z]", lines[1])
        assert os.access(script, os.X_OK)
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


@pytest.mark.parametrize("name", ["records_run", "records_models", "records_bench", "records_survive"])
def test_a_script_that_is_asked_for_help_runs_and_writes_nothing(name: str, tmp_path: Path) -> None:
    for argument, code in (("--help", 0), ("-h", 0), ("--cfg", 2), ("--info", 2)):
        records = Records(tmp_path, name, [])
        assert records.start(argument) == (code, [])
        assert not (tmp_path / "work").exists()
        assert not records.out.exists()


def test_a_matrix_without_runs_leaves_the_table_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "digits_matrix.py", tmp_path, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "no finished run of the matrix lies there; nothing was written" in done.stderr
