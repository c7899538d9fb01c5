"""Checkpoints: whole or not at all, plain data only."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from membrane.errors import ConfigError, DataError
from membrane.training import checkpoints


def content() -> dict:
    return {"membrane": {"schema": 1}, "state_dict": {"weight": torch.arange(6.0).reshape(2, 3)}, "epoch": 3}


def test_what_is_saved_comes_back_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "best.ckpt"
    checkpoints.write_checkpoint(content(), path)
    checkpoint = checkpoints.read_checkpoint(path)
    assert torch.equal(checkpoint["state_dict"]["weight"], torch.arange(6.0).reshape(2, 3))
    assert checkpoint["epoch"] == 3
    digest = (path.parent / "best.ckpt.sha256").read_text().split()[0]
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(each.name for each in path.parent.iterdir()) == ["best.ckpt", "best.ckpt.sha256"]


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_noticed(tmp_path: Path, position: int, bit: int) -> None:
    path = tmp_path / "last.ckpt"
    checkpoints.write_checkpoint(content(), path)
    damaged = bytearray(path.read_bytes())
    damaged[position % len(damaged)] ^= 1 << bit
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"last\.ckpt: damaged"):
        checkpoints.read_checkpoint(path)


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_without_a_digest_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path, position: int, bit: int) -> None:
    path = tmp_path / "alone.ckpt"
    torch.save(content(), path)
    damaged = bytearray(path.read_bytes())
    damaged[position % len(damaged)] ^= 1 << bit
    path.write_bytes(damaged)
    with suppress(DataError):
        read = checkpoints.read_checkpoint(path)
        # the bit was in what fills up to the next multiple of 64 bytes, or the like
        assert checkpoints.state_digest(read) == checkpoints.state_digest(content())
        assert read["membrane"] == content()["membrane"]


def test_without_a_digest_a_flipped_bit_of_a_weight_is_noticed_and_that_it_is_missing_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "alone.ckpt"
    torch.save(content(), path)
    for _ in range(2):
        checkpoints.read_checkpoint(path)
    assert caplog.messages == [f"{path} has no alone.ckpt.sha256 beside it: only the checksums inside it were compared"]
    values = content()["state_dict"]["weight"].numpy().tobytes()
    assert path.read_bytes().count(values) == 1
    path.write_bytes(path.read_bytes().replace(values, values[:-1] + b"A"))  # a 5.0 became a 13.0
    with pytest.raises(DataError, match=r"alone\.ckpt: damaged \(the checksum of .*/data/0 is another\)"):
        checkpoints.read_checkpoint(path)


class Harm:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "harmed"
    torch.save({"membrane": {}, "state_dict": Harm(witness)}, tmp_path / "evil.ckpt")
    with pytest.raises(DataError, match="not a checkpoint of plain data"):
        checkpoints.read_checkpoint(tmp_path / "evil.ckpt")
    assert not witness.exists()


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.zeros(3)])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(DataError, match="not a checkpoint of membrane"):
        checkpoints.read_checkpoint(tmp_path / "other.ckpt")


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (None, "holds no state_dict of tensors by name"),
        ([torch.zeros(1)], "holds no state_dict of tensors by name"),
        ({0: torch.zeros(1)}, "holds no state_dict of tensors by name"),
        ({"a": [1.0]}, "a in its state_dict is no tensor of numbers"),
        ({"a\x1b[2J": "text"}, r"a\\x1b\[2J in its state_dict is no tensor"),
        ({"a": torch.zeros(2).to_sparse()}, "a in its state_dict is no tensor of numbers"),
        ({"a": torch.zeros(2, device="meta")}, "a in its state_dict is no tensor of numbers"),
    ],
)
def test_a_state_dict_of_something_else_is_refused(tmp_path: Path, state: Any, line: str) -> None:
    torch.save({"membrane": {}} | ({} if state is None else {"state_dict": state}), tmp_path / "other.ckpt")
    with pytest.raises(DataError, match=line):
        checkpoints.read_checkpoint(tmp_path / "other.ckpt")


def test_a_modules_own_extra_state_may_be_anything(tmp_path: Path) -> None:
    state = {"a": torch.zeros(1), "a._extra_state": {"calls": 3}}
    torch.save({"membrane": {}, "state_dict": state}, tmp_path / "own.ckpt")
    assert checkpoints.read_checkpoint(tmp_path / "own.ckpt")["state_dict"]["a._extra_state"] == {"calls": 3}


@pytest.mark.parametrize(
    ("dtype", "line"),
    [
        (torch.float64, None),
        (torch.bfloat16, None),
        (torch.complex64, "weight holds complex numbers in the checkpoint, real in the model"),
        (torch.int64, "weight holds whole numbers in the checkpoint, real in the model"),
        (torch.bool, "weight holds boolean numbers in the checkpoint, real in the model"),
    ],
)
def test_weights_of_another_kind_of_number_are_not_converted(dtype: torch.dtype, line: str | None) -> None:
    model = nn.Linear(3, 2, bias=False)
    state = {"weight": torch.ones(2, 3).to(dtype)}
    if line is None:
        checkpoints.load_weights(model, state)
        assert torch.equal(model.weight, torch.ones(2, 3))
    else:
        with pytest.raises(DataError, match=line):
            checkpoints.load_weights(model, state)


@pytest.mark.parametrize(
    "state", [{}, {"weight": torch.ones(3, 2)}, {"weight": torch.ones(2, 3), "b\nc": torch.ones(1)}]
)
def test_weights_of_other_names_and_shapes_are_refused_in_one_line(state: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="do not fit the trained weights") as refusal:
        checkpoints.load_weights(nn.Linear(3, 2, bias=False), state)
    assert str(refusal.value).isprintable()


WHOLE = {
    "epoch": 3,
    "global_step": 60,
    "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 3, "ready": 3}}}},
    "optimizer_states": [],
    "callbacks": {},
}


@pytest.mark.parametrize("key", WHOLE)
def test_training_goes_on_only_from_what_holds_all_it_needs(key: str, tmp_path: Path) -> None:
    checkpoints.require_resumable(tmp_path, WHOLE)
    for other in ({name: value for name, value in WHOLE.items() if name != key}, {**WHOLE, key: "text"}):
        with pytest.raises(DataError, match=f"it has no {key}"):
            checkpoints.require_resumable(tmp_path, other)


@pytest.mark.parametrize("loops", [{}, [], {"fit_loop": {"epoch_progress": {"current": {"processed": []}}}}])
def test_a_checkpoint_that_does_not_say_how_many_epochs_were_over(loops: Any) -> None:
    with pytest.raises(DataError, match="does not say how many epochs"):
        checkpoints.completed_epochs({"loops": loops})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.ckpt: no such checkpoint"):
        checkpoints.read_checkpoint(tmp_path / "gone.ckpt")


class Killed(BaseException):
    """Stands for a SIGKILL: nothing after it is done, and nothing cleans up."""


def killed_at(monkeypatch: pytest.MonkeyPatch, moment: int, work: Callable[[], None]) -> bool:
    """Do the work until the ``moment``-th touch of the disk, which does not happen; whether it came that far."""
    touches = 0

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any, **named: Any) -> Any:
            nonlocal touches
            touches += 1
            if touches >= moment:
                raise Killed
            return call(*arguments, **named)

        return instead

    with monkeypatch.context() as patched:
        for owner, name in ((os, "fsync"), (os, "link"), (Path, "replace"), (Path, "write_bytes"), (torch, "save")):
            patched.setattr(owner, name, dying(getattr(owner, name)))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        try:
            work()
        except Killed:
            return True
    return False


def test_killed_at_any_moment_of_saving_the_last_checkpoint_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"

    def save(epoch: int) -> None:
        if last.exists():
            checkpoints.link_checkpoint(last, previous)
        checkpoints.write_checkpoint({**content(), "epoch": epoch}, last)

    save(0)
    save(1)
    moment, epoch = 0, 1
    while True:
        moment, before = moment + 1, epoch
        if not killed_at(monkeypatch, moment, partial(save, before + 1)):
            break
        epoch = checkpoints.read_checkpoint(last)["epoch"]
        assert checkpoints.recorded_digests(last)
        assert epoch in (before, before + 1)
        assert checkpoints.read_checkpoint(previous)["epoch"] in (before - 1, before)
        assert checkpoints.newest_readable(tmp_path)[0] == last
    assert moment > 8
    assert checkpoints.read_checkpoint(last)["epoch"] == before + 1
    assert len(checkpoints.recorded_digests(last)) == len(checkpoints.recorded_digests(previous)) == 1


@given(st.integers(0, 10_000), st.integers(0, 7), st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_previous_checkpoint_stands_in_for_a_damaged_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, position: int, bit: int, cut: bool
) -> None:
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    checkpoints.write_checkpoint(content(), last)
    checkpoints.link_checkpoint(last, previous)
    checkpoints.write_checkpoint({**content(), "epoch": 4}, last)
    damaged = bytearray(last.read_bytes())
    damaged[position % len(damaged)] ^= 1 << bit
    last.write_bytes(damaged[: position % len(damaged)] if cut else damaged)
    path, checkpoint = checkpoints.newest_readable(tmp_path)
    assert path == previous
    assert checkpoint["epoch"] == 3
    assert f"{last}: damaged" in caplog.text
    assert "previous.ckpt is used instead" in caplog.text
    assert not last.exists()  # saving now makes the good one `previous` of nothing
    assert checkpoints.newest_readable(tmp_path)[0] == previous
    (tmp_path / "damaged.ckpt").replace(last)
    checkpoints.digest_file(last).write_text("0  last.ckpt\n")
    previous.write_bytes(b"")
    with pytest.raises(DataError, match=r"last\.ckpt: damaged .*previous\.ckpt: damaged .* rerun=true runs it anew"):
        checkpoints.newest_readable(tmp_path)


def test_a_checkpoint_without_its_digest_is_none_to_go_on_from(tmp_path: Path) -> None:
    assert checkpoints.newest_readable(tmp_path) is None
    checkpoints.write_checkpoint(content(), tmp_path / "last.ckpt")
    assert checkpoints.newest_readable(tmp_path)[0] == tmp_path / "last.ckpt"
    (tmp_path / "last.ckpt.sha256").unlink()
    with pytest.raises(DataError, match=r"its digest file last\.ckpt\.sha256 is missing"):
        checkpoints.newest_readable(tmp_path)


def test_a_name_that_a_checkpoint_has_already_is_given_again_without_a_trace(tmp_path: Path) -> None:
    checkpoints.write_checkpoint(content(), tmp_path / "last.ckpt")
    for _ in range(2):  # the system renames nothing where both are names of one file
        checkpoints.link_checkpoint(tmp_path / "last.ckpt", tmp_path / "best.ckpt")
    names = [f"{name}.ckpt{suffix}" for name in ("best", "last") for suffix in ("", ".sha256")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_where_hard_links_are_unknown_a_checkpoint_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError("not supported")

    checkpoints.write_checkpoint(content(), tmp_path / "last.ckpt")
    monkeypatch.setattr(os, "link", unknown)
    checkpoints.link_checkpoint(tmp_path / "last.ckpt", tmp_path / "best.ckpt")
    assert (tmp_path / "best.ckpt").read_bytes() == (tmp_path / "last.ckpt").read_bytes()
    assert checkpoints.read_checkpoint(tmp_path / "best.ckpt")["epoch"] == 3


def test_the_digest_of_a_state_sees_every_bit_but_paths_and_times() -> None:
    state = {**content(), "callbacks": {"a": {"best": 0.5, "seconds": 1.0}}}
    same = {**content(), "callbacks": {"a": {"best": 0.5, "seconds": 2.0}}, "membrane": {"other": 1}}
    assert checkpoints.state_digest(state) == checkpoints.state_digest(same)
    for other in (
        {**state, "epoch": 4},
        {**state, "callbacks": {"a": {"best": 0.25, "seconds": 1.0}}},
        {**state, "state_dict": {"weight": torch.arange(6.0).reshape(3, 2)}},
        {**state, "state_dict": {"weight": torch.arange(6.0).reshape(2, 3).double()}},
        {**state, "state_dict": {"weight": torch.nextafter(torch.arange(6.0), torch.ones(6)).reshape(2, 3)}},
        {**state, "more": 1},
    ):
        assert checkpoints.state_digest(other) != checkpoints.state_digest(state)
