"""Batches from other processes: the same ones, whatever is done to the processes, and none of them left."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import active_children, connection
from pathlib import Path
from typing import Any

import pytest
import torch

from membrane.augment.noise import GaussianNoise
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.data.feed.loader import Batches
from membrane.data.feed.module import DataModule
from membrane.data.feed.workers import Crew, Workers
from membrane.data.samples import Samples
from membrane.errors import DataError
from membrane.training import checkpoints

PARENTS = """
import os, signal, sys, time
import torch  # once, for three processes that have workers and end
from membrane.data.feed.workers import Workers

def build(step):
    if step == 1:
        time.sleep(6000)
    return torch.zeros(3)

for end in ("time.sleep(6000)", "raise ValueError", "keep = [batches]; keep.append(keep); sys.exit(3)"):
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        batches = Workers(2, 600.0).batches(build, range(4))
        next(batches)
        workers = [str(child.pid) for child in __import__("multiprocessing").active_children()]
        os.write(writing, " ".join(workers).encode())
        exec(end)
    workers = os.read(reading, 1000).decode()
    if end.startswith("time"):
        os.kill(process, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), workers, flush=True)
"""


@pytest.fixture(autouse=True)
def no_orphan() -> Iterator[None]:
    """After each test there is no child process, and signals are handled as before."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    assert not active_children()
    assert not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert signal.getsignal(signal.SIGCHLD) == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGINT}


class Images:
    """90 samples to train on, 20 to test: uint8 at a scale."""

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        return self.part(0, 90), self.part(90, 110)

    def part(self, start: int, stop: int) -> Samples:
        x = torch.arange(start, stop, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
        return Samples(x, torch.arange(start, stop) % 3, torch.arange(start, stop) // 2, 1 / 255)


def module(workers: int, epoch: int) -> DataModule:
    """With noise before the accelerator: in training and in evaluation."""
    noise = GaussianNoise(std=0.1, before=True, after=False, evaluate=True)
    pipeline = Pipeline({"noise": noise}, classes=3, timesteps_in_data=False, seed=4)
    told = {"shape": [1, 4, 4], "classes": 3, "timesteps": 1, "timesteps_in_data": False, "protocol": "val_best"}
    run = lambda batch, *where: pipeline.run(batch, "before", *where)  # noqa: E731
    data = DataModule(Images(), root=Path(), batch_size=16, seed=4, before=run, workers=workers, **told)
    data.epoch = lambda: epoch
    return data


def doubled(step: int) -> Batch:
    y = torch.tensor([step, os.getpid()])
    return Batch(torch.full((2, 3), 2.0 * step), y, None, y, y)


@pytest.mark.parametrize("loader", [DataModule.train_dataloader, DataModule.val_dataloader, DataModule.test_dataloader])
def test_the_batches_of_no_and_two_workers_are_equal(loader: Callable[[DataModule], Iterator[Batch]]) -> None:
    drawn = []
    for epoch in (0, 1):
        state = torch.random.get_rng_state()
        here, there = (list(loader(module(workers, epoch))) for workers in (0, 2))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert len(here) == len(there) > 0
        for one, other in zip(here, there, strict=True):
            assert one.lengths is other.lengths is None
            for name in ("x", "y", "recording", "index"):
                first, second = getattr(one, name), getattr(other, name)
                assert first.dtype == second.dtype, name
                assert torch.equal(first, second), name
        drawn.append(torch.cat([batch.x for batch in here]))
    assert torch.equal(drawn[0], drawn[1]) == (loader is not DataModule.train_dataloader)


def test_workers_build_in_turn_and_are_gone_with_the_last_batch() -> None:
    batches = Workers(2).batches(doubled, range(3, 8))
    made = [next(batches) for _ in range(5)]
    assert not active_children()
    assert [batch.x[0, 0].item() for batch in made] == [6, 8, 10, 12, 14]
    pids = [int(batch.y[1]) for batch in made]
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    assert pids[0::2] == [pids[0]] * 3
    assert list(Workers(2).batches(doubled, range(3, 3))) == []


def test_workers_have_one_thread_and_cannot_be_stopped_by_what_is_meant_for_the_parent() -> None:
    def build(step: int) -> Batch:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), each)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return doubled(step)._replace(lengths=torch.tensor([torch.get_num_threads(), len(blocked)]))

    torch.set_num_threads(2)
    assert [batch.lengths.tolist() for batch in Workers(2).batches(build, range(4))] == [[1, 0]] * 4


@pytest.mark.parametrize("each", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_to_the_workers_changes_nothing(each: signal.Signals) -> None:
    expected = [batch.x for batch in map(doubled, range(9))]
    batches = Workers(2).batches(doubled, range(9))
    made = [next(batches).x]
    for child in active_children():
        os.kill(child.pid, each)
    made += [batch.x for batch in batches]
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))


@pytest.mark.parametrize("each", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_workers_are_started_is_the_parents_alone(
    each: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent to each worker the moment that it is there, and to the parent, whose handler raises."""
    from multiprocessing.process import BaseProcess

    start = BaseProcess.start

    def start_and_send(process: BaseProcess) -> None:
        start(process)
        os.kill(process.pid, each)
        os.kill(os.getpid(), each)

    def stop(*_: object) -> None:
        raise InterruptedError("stopped")

    monkeypatch.setattr(BaseProcess, "start", start_and_send)
    before = signal.signal(each, stop)
    try:
        batches = Workers(2).batches(doubled, range(4))
        with pytest.raises(InterruptedError, match="stopped"):
            next(batches)
        assert not active_children()
        signal.signal(each, lambda *_: None)
        assert [batch.y[0].item() for batch in Workers(2).batches(doubled, range(4))] == [0, 1, 2, 3]
    finally:
        signal.signal(each, before)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"was killed by SIGKILL \(out of memory\?\)"),
        (lambda: os._exit(7), "ended with exit code 7"),
    ],
)
def test_a_worker_that_dies_is_named_at_once(ends: Callable[[], None], message: str) -> None:
    never = 1e9  # it is not the timeout that finds it
    batches = Workers(2, never).batches(lambda step: ends() if step == 6 else doubled(step), range(9))
    first = next(batches)
    with pytest.raises(DataError, match=rf"^data worker {first.y[1]} {message}; trainer\.workers=0 [^\n]*$"):
        list(batches)


def test_a_death_is_told_where_a_batch_is_waited_for() -> None:
    batches = Workers(2).batches(doubled, range(40))
    next(batches)
    dead = active_children()[0]
    dead.kill()
    assert connection.wait([dead.sentinel], 120)
    for _ in range(20):  # a step in which torch's own handler would raise
        time.sleep(0.01)
    with pytest.raises(DataError, match=f"data worker {dead.pid} was killed by SIGKILL"):
        list(batches)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event from which on the time for which a batch is waited for is counted: a slow start is none."""
    begins, watch = threading.Event(), Crew.watch

    def watch_later(crew: Crew) -> None:
        while not (begins.wait(0.01) or crew.closed.is_set()):
            pass
        watch(crew)

    monkeypatch.setattr(Crew, "watch", watch_later)
    return begins


@pytest.mark.parametrize(
    "hang", [lambda: time.sleep(6000), lambda: os.kill(os.getpid(), signal.SIGSTOP)], ids=["sleeps", "stopped"]
)
def test_a_worker_that_hangs_is_named_after_the_timeout(
    hang: Callable[[], None], counted: threading.Event, tmp_path: Path
) -> None:
    def build(step: int) -> Batch:
        while step == 7 and not (tmp_path / "others received").exists():
            time.sleep(0.01)
        return hang() if step == 7 else doubled(step)

    batches = Workers(2, timeout=0.5).batches(build, range(9))
    _, second, *_ = [next(batches) for _ in range(7)]
    (tmp_path / "others received").touch()
    counted.set()
    with pytest.raises(DataError, match=rf"^data worker {second.y[1]} has built no batch for 0\.5 s; [^\n]*$"):
        list(batches)


def test_reading_from_a_worker_that_was_stopped_ends_too(counted: threading.Event, tmp_path: Path) -> None:
    """Its finished batches are announced, but their memory can be had from it alone."""

    def build(step: int) -> Batch:
        (tmp_path / str(step)).touch()
        return doubled(step)

    batches = Workers(2, timeout=0.5).batches(build, range(40))
    next(batches)
    deadline = time.monotonic() + 120
    while not (tmp_path / "4").exists() or not (tmp_path / "3").exists():  # both have built ahead
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for child in active_children():
        os.kill(child.pid, signal.SIGSTOP)
    counted.set()
    with pytest.raises(DataError, match=r"has built no batch for 0\.5 s"):
        list(batches)


class Refusal(Exception):
    """Cannot be put together again from what it says."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (DataError("shd.h5: damaged"), DataError, r"^shd\.h5: damaged$"),
        (KeyError("x"), KeyError, "^'x'$"),
        (OSError(5, "broken", "file"), OSError, "broken: 'file'$"),
        (Refusal(1, 2), RuntimeError, r"(?s)Refusal.*1 and 2"),
    ],
)
def test_what_is_raised_in_a_worker_is_raised_here(error: Exception, raised: type[Exception], message: str) -> None:
    def faulty(step: int) -> Batch:
        if step == 3:
            raise error
        return doubled(step)

    with pytest.raises(raised) as caught:
        list(Workers(2).batches(faulty, range(9)))
    assert type(caught.value) is raised
    assert re.search(message, str(caught.value))
    told = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "in faulty" in told
    assert type(error).__name__ in told


def test_workers_that_are_busy_end_when_the_iteration_is_given_up() -> None:
    def busy() -> Iterator[Batch]:
        batches = Workers(2).batches(lambda step: doubled(step) if step == 0 else time.sleep(6000), range(9))
        next(batches)
        assert len(active_children()) == 2
        return batches

    busy().close()
    assert not active_children()
    with pytest.raises(KeyError, match="training"):
        busy().throw(KeyError("training"))
    assert not active_children()
    busy()  # nobody holds it
    assert not active_children()


def gone(pids: list[int]) -> bool:
    """Whether the processes end; one that nobody has waited for yet has ended."""
    deadline = time.monotonic() + 120
    stat = [Path(f"/proc/{pid}/stat") for pid in pids]
    while time.monotonic() < deadline:
        if all(not each.exists() or each.read_text().rpartition(")")[2].split()[0] in "ZX" for each in stat):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a hanging worker outlives a parent that is killed")
def test_hanging_workers_die_with_an_interpreter_that_is_killed_or_ends() -> None:
    ended = subprocess.run([sys.executable, "-c", PARENTS], capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr
    numbers = [[int(number) for number in line.split()] for line in ended.stdout.splitlines()]
    assert [code for code, *_ in numbers] == [-signal.SIGKILL, 1, 3], ended.stderr
    assert [len(workers) for _, *workers in numbers] == [2, 2, 2]
    assert all(gone(workers) for _, *workers in numbers)
    assert "Exception ignored" not in ended.stderr
    assert ended.stderr.count("ValueError") == 1


def test_a_run_is_the_same_with_and_without_workers(small: Callable[..., int]) -> None:
    said = ("augmentation=[shift,mixup]", "augmentation.shift.before=true", "augmentation.shift.after=false")
    assert small(*said) == 0
    assert small(*said, "trainer.workers=2", "paths.runs=there") == 0
    [here], [there] = Path().glob("runs/digits/*/seed0"), Path().glob("there/digits/*/seed0")
    assert here.parent.name == there.parent.name
    files = (run / "checkpoints" / "last.ckpt" for run in (here, there))
    first, second = (checkpoints.read_checkpoint(file)["state_dict"] for file in files)
    assert all(torch.equal(first[name], second[name]) for name in first)
    metrics = [json.loads((run / "result.json").read_text())["metrics"] for run in (here, there)]
    assert metrics[0] == metrics[1]


def test_what_goes_wrong_in_a_worker_is_one_line(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = os.getpid()
    build = Batches.build

    def dies_in_a_worker(self: Batches, *about: Any) -> Batch:
        return build(self, *about) if os.getpid() == parent else os._exit(9)

    monkeypatch.setattr(Batches, "build", dies_in_a_worker)
    assert small("trainer.workers=2", "trainer.progress=false") == 1
    printed = capsys.readouterr()
    [line] = [line for line in (printed.out + printed.err).splitlines() if "data worker" in line]
    assert re.fullmatch(r"failed: data worker \d+ ended with exit code 9; trainer\.workers=0 .*", line)
    assert "Traceback" not in printed.out + printed.err
