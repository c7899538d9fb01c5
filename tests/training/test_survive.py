"""SIGKILL, for real: what comes out of a run that was killed anywhere, to the last bit. Minutes, so all is slow."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from membrane.training import checkpoints

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PHASES = """
import os
import re
from lightning.pytorch.callbacks import Checkpoint

class Phases(Checkpoint):
    \"\"\"Says in a file what the run is doing.\"\"\"
    def say(self, phase):
        with open(os.environ["PHASE_FILE"], "w") as file:
            file.write(phase)
    def on_train_batch_start(self, *_):
        self.say("training")
    def on_validation_start(self, *_):
        self.say("validation")
    def on_validation_end(self, *_):
        self.say("between")
    def on_save_checkpoint(self, *_):
        self.say("saving")
"""
LONG = (
    "logger=csv",
    "trainer.progress=false",
    "threads=1",
    "figures=false",
    "timesteps=2",
    "model=scnn",
    "model.filters=[16,32]",
    "model.dropouts=[0.1,0.1]",
    "augmentation=[shift,mixup]",
    "callbacks=[ema]",
    "callbacks.ema.decay=0.9",
    "callbacks.phases={_target_:their_phases.Phases}",
    "trust=[their_phases.Phases]",
    "trainer.accumulate=2",
    "trainer.checkpoint_steps=7",
    "trainer.workers=0",
    "scheduler=cosine",
    "log_every=2",
    "batch_size=32",
)


def start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A run in a process of its own."""
    environment = {**os.environ, "PHASE_FILE": str(folder / f"{name}.phase")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(folder)])
    command = [sys.executable, "-m", "membrane", "train", *LONG, f"name={name}", *arguments]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def finished(folder: Path, name: str, *arguments: str) -> Path:
    """The folder of a run, run to its end."""
    assert start(folder, name, *arguments).wait() == 0, (folder / f"{name}.log").read_text()[-2000:]
    return folder_of(folder, name)


def folder_of(folder: Path, name: str) -> Path:
    [run] = (folder / "runs").glob(f"{name}/*/seed0")
    return run


def kill(folder: Path, name: str, after: float, phase: str | None, *arguments: str) -> str:
    """Start a run and kill it ``after`` seconds of training, in a given phase where one is; in which phase that was.

    Where it was over before that, on a machine that has become faster, another one is killed earlier.
    """
    marker = folder / f"{name}.phase"
    for _ in range(10):
        process = start(folder, name, *arguments)
        while not marker.exists():
            assert process.poll() is None, (folder / f"{name}.log").read_text()[-2000:]
            time.sleep(0.01)
        time.sleep(after)
        while phase is not None and marker.read_text() != phase and process.poll() is None:
            time.sleep(0.0002)
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            return marker.read_text() or "between"
        assert process.returncode == 0, (folder / f"{name}.log").read_text()[-2000:]
        shutil.rmtree(folder_of(folder, name))
        marker.unlink()
        after *= 0.8
    raise AssertionError("ten runs were over before they were killed")


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    (tmp_path / "their_phases.py").write_text(PHASES)
    return tmp_path


def test_sigkill_at_twenty_moments_and_in_every_phase(
    workplace: Path, remains: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = finished(workplace, "whole", "epochs=48")
    expected = remains(whole)
    duration = json.loads((whole / "result.json").read_text())["fit_seconds"]
    uniform: list[tuple[float, str | None]] = [(duration * (k + 0.5) / 20, None) for k in range(20)]
    chance = random.Random(0)
    aimed = [(chance.uniform(0.1, 0.8) * duration, phase) for phase in ["validation"] * 3 + ["saving"] * 2]

    def survive(number: int) -> str:
        after, phase = [*uniform, *aimed][number]
        name = f"killed{number}"
        caught = kill(workplace, name, 0.95 * after, phase, "epochs=48")
        assert remains(finished(workplace, name, "epochs=48")) == expected, (number, caught)
        return caught

    with ThreadPoolExecutor(2) as pool:
        caught = list(pool.map(survive, range(len(uniform) + len(aimed))))
    with capsys.disabled():
        print(f"\n{duration:.1f} s of fit; killed and resumed to the same bits: {dict(Counter(caught))}")
    assert duration >= 30
    counted = Counter(caught)
    assert counted["training"] >= 10
    assert counted["validation"] >= 3
    assert counted["saving"] >= 2


def test_a_sweep_killed_half_way_and_started_again_is_the_unbroken_one(
    workplace: Path, remains: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("epochs=3", "-m", "seed=0,1,2,3")
    assert start(workplace, "whole", *few).wait() == 0
    process = start(workplace, "killed", *few)
    results = workplace / "runs"
    while len(list(results.glob("killed/*/*/result.json"))) < 2:
        assert process.poll() is None, "it was over before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = {path: path.read_bytes() for path in results.glob("killed/*/seed[01]/*") if path.is_file()}
    (workplace / "killed.log").unlink()
    assert start(workplace, "killed", *few).wait() == 0
    log = (workplace / "killed.log").read_text()
    assert log.count("finished already:") >= 2
    [counts] = re.findall(r"^sweep: (\d) finished, (\d) finished before, 0 failed$", log, re.MULTILINE)
    assert sum(map(int, counts)) == 4
    assert {path: path.read_bytes() for path in before} == before
    for seed in range(4):
        [whole], [killed] = (list(results.glob(f"{name}/*/seed{seed}")) for name in ("whole", "killed"))
        assert remains(killed) == remains(whole), seed


def save_without_end(folder: Path, state: dict[str, Any]) -> None:
    """Save as a run does, again and again."""
    step = 0
    while True:
        checkpoints.link_checkpoint(folder / "last.ckpt", folder / "previous.ckpt")
        step += 1
        checkpoints.write_checkpoint({**state, "step": step}, folder / "last.ckpt")


def test_two_hundred_kills_while_saving_leave_no_unloadable_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"membrane": {}, "weights": torch.randn(300, 1000), "step": 0}
    checkpoints.write_checkpoint(state, tmp_path / "last.ckpt")
    chance, loaded, between = random.Random(1), Counter[str](), 0
    for _ in range(200):
        child = os.fork()
        if child == 0:
            save_without_end(tmp_path, state)
        time.sleep(chance.uniform(0.01, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        between += len(checkpoints.recorded_digests(tmp_path / "last.ckpt")) > 1
        checkpoints.read_checkpoint(tmp_path / "last.ckpt")
        path, _ = checkpoints.newest_readable(tmp_path) or (tmp_path / "nothing", {})
        loaded[path.name] += 1
    with capsys.disabled():
        print(f"\n200 kills while saving: {dict(loaded)}; {between} while file and digest were being replaced")
    assert loaded == {"last.ckpt": 200}
    assert checkpoints.read_checkpoint(tmp_path / "last.ckpt")["step"] > 0


def test_every_truncation_and_flipped_bit_is_detected_and_the_fallback_used(
    tmp_path: Path, membrane: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert membrane("logger=csv", "model=smlp", "timesteps=2", "threads=1", "epochs=2") == 0
    [folder] = Path("runs").glob("*/*/seed0/checkpoints")
    last, chance = folder / "last.ckpt", random.Random(2)
    whole, digest = last.read_bytes(), last.with_name("last.ckpt.sha256").read_bytes()
    damages: list[bytes] = [whole[:length] for length in sorted(chance.sample(range(len(whole)), 50))]
    for position in chance.sample(range(8 * len(whole)), 200):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        damages.append(bytes(flipped))
    fallbacks = 0
    for damage in damages:
        last.unlink(missing_ok=True)  # `best` may be the same file
        last.write_bytes(damage)
        last.with_name("last.ckpt.sha256").write_bytes(digest)
        path, state = checkpoints.newest_readable(folder) or (last, {})
        fallbacks += path.name == "previous.ckpt" and state["global_step"] == 20
        assert (folder / "damaged.ckpt").read_bytes() == damage
    with capsys.disabled():
        print(f"\n50 truncations and 200 flipped bits: previous was used {fallbacks} times")
    assert fallbacks == 250


EIGHT = """
import os, sys
import membrane.training.run  # imported once: each round forks eight from here, all in the same moment
from membrane.cli.main import main

rounds, folder = int(sys.argv[1]), sys.argv[2]
least = ["logger=csv", "model=smlp", "model.units=[8]", "timesteps=2", "threads=1", "epochs=1", "log_every=1"]
for number in range(rounds):
    ready, go = os.pipe()
    children = []
    for position in range(8):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # until the parent lets go
            output = os.open(f"{folder}/{number}.{position}.out", os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            seed = position if number % 2 else 0  # different runs in odd rounds, equal ones in even rounds
            os._exit(main(["train", *least, f"name=round{number}", f"seed={seed}"]))
        children.append(child)
    os.close(ready)
    os.close(go)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)
"""


def test_eight_at_once_twenty_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", EIGHT, "20", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    codes = [list(map(int, line.split())) for line in ended.stdout.splitlines()]
    assert len(codes) == 20
    skipped = refused = 0
    for number, ends in enumerate(codes):
        outputs = [(tmp_path / f"{number}.{position}.out").read_text() for position in range(8)]
        tables = sorted((tmp_path / "runs" / f"round{number}").glob("*/seed?/metrics.csv"))
        for table in tables:
            lines = table.read_bytes().split(b"\r\n")
            assert len(lines) == 1 + 20 + 1 + 1, "columns, 20 steps, the epoch, the end of the last line"
            assert {line.count(b",") for line in lines[:-1]} == {lines[0].count(b",")}
            assert (table.parent / "result.json").exists()
            assert len((table.parent / "run.log").read_text().split("membrane.training.announcement: data: ")) == 2
        ran = [text for text in outputs if "data: digits" in text]
        if number % 2:
            assert ends == [0] * 8
            assert len(tables) == len(ran) == 8
        else:
            assert len(tables) == len(ran) == 1
            skipped += sum("finished already" in text for text in outputs)
            refused += sum("is being run by process" in text for text in outputs)
            assert sorted(ends) == [0] * ends.count(0) + [1] * (8 - ends.count(0))
    assert skipped + refused == 70
    with capsys.disabled():
        print(f"\n10 rounds of 8 equal runs: 10 ran, {refused} were told who runs it, {skipped} skipped; 80 different")
