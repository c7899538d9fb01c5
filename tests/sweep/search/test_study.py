"""A study on the disk: what is stopped goes on as if it had not been, and nothing mixes in."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from membrane.errors import ConfigError
from membrane.files.lock import Occupied
from membrane.sweep.search import study as study_module
from membrane.sweep.search.space import CategoricalDimension, NumericDimension
from membrane.sweep.search.study import SearchSettings, Study, hold_study

SPACE = {
    "lr": NumericDimension("++lr", 1e-4, 1.0, log=True),
    "optimizer": CategoricalDimension("++optimizer", ("adam", "sgd")),
}


def settings(**changed: Any) -> SearchSettings:
    least = {"n_trials": 20, "n_jobs": None, "metric": None, "sampler": "tpe", "pruner": "none", "seed": 0}
    return SearchSettings(**{"_target_": "x", "storage": None, "study": None, "params": None, **least, **changed})


def open_study(storage: Path | str, identity: str = "one", **changed: Any) -> Study:
    return Study.open("s", identity, str(storage), "maximize", SPACE, settings(**changed), epochs=9)


def score(params: dict[str, Any]) -> float:
    return -((params["lr"] - 0.1) ** 2) + (params["optimizer"] == "sgd")


def try_out(study: Study, n: int) -> None:
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, score(trial.params), "complete")


def parameters(study: Study, *states: str) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials(*states)]


@pytest.mark.parametrize("storage", ["s.journal", "sqlite:///{}/s.db"])
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_that_was_broken_off_tries_what_it_would_have_tried(tmp_path: Path, storage: str, sampler: str) -> None:
    whole = open_study(tmp_path / "whole.journal", sampler=sampler)
    try_out(whole, 14)
    interrupted = storage.format(tmp_path) if "://" in storage else str(tmp_path / storage)
    try_out(open_study(interrupted, sampler=sampler), 5)
    open_study(interrupted, sampler=sampler).ask()  # and its process dies
    resumed = open_study(interrupted, sampler=sampler)
    resumed.requeue_abandoned()
    try_out(resumed, 9)
    assert parameters(resumed, "complete") == parameters(whole, "complete")
    assert len({str(params) for params in parameters(whole, "complete")}) == 14
    assert [trial.number for trial in resumed.trials("fail")] == [5]
    assert resumed.remaining() == 6


def test_a_sampler_depends_on_its_seed(tmp_path: Path) -> None:
    first, second = open_study(tmp_path / "a.journal"), open_study(tmp_path / "b.journal", seed=1)
    assert first.ask().params != second.ask().params


def test_parameters_that_kill_the_process_again_and_again_are_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deadly = []
    for _ in range(3):
        study = open_study(tmp_path / "s.journal")
        with caplog.at_level("INFO", "membrane"):
            study.requeue_abandoned()
        deadly.append(study.ask().params)
    assert deadly[0] == deadly[1] == deadly[2]
    assert "trial 0 was left running by a process that is gone: failed; its parameters come first now" in caplog.text
    study = open_study(tmp_path / "s.journal")
    with caplog.at_level("INFO", "membrane"):
        study.requeue_abandoned()
    assert "its parameters are not tried again" in caplog.text
    assert study.ask().params != deadly[0]
    assert len(study.trials("fail")) == 3


def test_a_trial_that_was_stopped_is_repeated_as_often_as_it_takes(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s.journal")
    first = study.ask()
    for number in range(7):
        assert study.requeue(number, died=False)
        assert study.ask().params == first.params


def test_half_a_last_line_and_a_lock_of_a_dead_process_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    try_out(open_study(path), 3)
    complete = path.read_bytes()
    path.write_bytes(complete + b'{"op_code": 5, "worker')
    (tmp_path / "s.journal.lock").symlink_to(path)
    study = open_study(path)
    try_out(study, 1)
    assert len(open_study(path).trials("complete")) == 4
    assert path.read_bytes().startswith(complete)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_another_search_never_mixes_in(tmp_path: Path) -> None:
    open_study(tmp_path / "s.journal")
    with pytest.raises(ConfigError, match=r"hydra.sweeper.study=s holds another search .*; name a new one"):
        open_study(tmp_path / "s.journal", identity="two")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("postgresql://host/db", "expected the path of a journal file, or sqlite:///FILE"),
        ("notes.txt", "cannot be (read|opened)"),
        ("sqlite:///notes.txt", "cannot be opened: .*file is not a database"),
        ("folder", "cannot be opened: a folder, where a file should be"),
        ("link", "cannot be opened: a link, through which nothing is read or written"),
        ("sqlite:///link", "cannot be opened: a link, through which nothing is read or written"),
    ],
)
def test_a_storage_that_is_none_is_refused(
    storage: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("link").symlink_to("victim")
    Path("notes.txt").write_text("Dear diary,\nthis is no storage, though it is long enough to be one.\n" * 9)
    before = Path("notes.txt").read_text()
    with pytest.raises(ConfigError, match=message) as refused:
        open_study(storage)
    assert "\n" not in str(refused.value)
    assert Path("notes.txt").read_text() == before
    assert not Path("victim").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"[1]\n",
        b"3\n",
        b"{}\n",
        b'{"op_code": 1e400}\n',
        b"[" * 100_000 + b"\n",
        b'{"op_code": 0, "worker_id": []}\n',
        b"\0\n",
    ],
)
def test_a_journal_of_anything_else_is_refused_in_a_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "j.log").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be (read|opened)") as refused:
        open_study(str(tmp_path / "j.log"))
    assert "\n" not in str(refused.value)


def test_a_journal_that_is_waited_for_or_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"cannot be opened: a pipe \(FIFO\)"):
        open_study(str(tmp_path / "pipe"))
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    with pytest.raises(ConfigError, match="its last line is longer than any that a search writes"):
        open_study(str(tmp_path / "huge"))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "s.lock"
    refused = pytest.raises(Occupied, match=f"the study s is being run by process {os.getpid()} on ")
    with hold_study(lock), refused, hold_study(lock):
        pytest.fail("two hold it")
    with hold_study(lock):
        pass


def test_without_optuna_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^sweep=optuna needs the package optuna: pip install .*\[optuna\]'$"):
        study_module.refuse_without_optuna()


@pytest.mark.parametrize("name", ["none", "median", "asha", "hyperband"])
def test_pruners_end_the_bad_before_the_good(tmp_path: Path, name: str) -> None:
    """Thirty trials of nine epochs, good, middling and bad in turn: the mean number of epochs of each kind."""
    study = open_study(tmp_path / "s.journal", pruner=name)
    lasted: dict[float, list[int]] = {0.9: [], 0.5: [], 0.1: []}
    for value in [*lasted] * 10:
        trial = study.ask()
        for epoch in range(1, 10):
            trial.report(value, epoch)
            if trial.should_prune():
                break
        lasted[value].append(epoch)
        study.tell(trial, None if epoch < 9 else value, "pruned" if epoch < 9 else "complete")
    good, _, bad = (sum(epochs) / 10 for epochs in lasted.values())
    assert (good, bad) == (9, 9) if name == "none" else good > 8 > 6 > bad
