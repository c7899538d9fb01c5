"""What becomes of a short last batch, and that one which would end the run is refused before training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_paths import only

from membrane.data.feed.batch import batch_sizes
from membrane.data.feed.loader import Batches
from membrane.data.feed.part import Part
from membrane.data.samples import Samples
from membrane.runs.table import read_rows
from membrane.training import run as running

Run = Callable[..., int]
ONE_IS_LEFT = ("model.norm=batch", "framework=singlestep", "batch_size=305", "log_every=1", "epochs=2")
"""Digits have 1221 = 4 · 305 + 1 training samples."""


@given(samples=st.integers(1, 60), size=st.integers(1, 20), pieces=st.integers(1, 4), epochs=st.integers(1, 3))
def test_each_sample_comes_once_but_for_those_that_are_dropped(
    samples: int, size: int, pieces: int, epochs: int
) -> None:
    data = Samples(
        torch.arange(samples).reshape(-1, 1, 1), torch.zeros(samples, dtype=torch.int64), torch.arange(samples)
    )
    order = torch.randperm(samples).tolist()
    listed = [order[start : start + size] for start in range(0, samples, size)]
    dropped = listed[:-1] if len(listed) > 1 and len(listed[-1]) < size else listed
    joined = dropped if dropped == listed else [*dropped[:-1], dropped[-1] + listed[-1]]
    for last, expected in {"keep": listed, "drop": dropped, "join": joined}.items():
        loader = Batches(Part.whole(data), size, order=lambda _: torch.tensor(order), last=last, pieces=pieces)
        assert [len(batch) for batch in expected] == batch_sizes(samples, size, last)
        in_pieces = [
            part.tolist() for batch in expected for part in torch.tensor(batch).tensor_split(min(pieces, len(batch)))
        ]
        for _ in range(epochs):
            assert [batch.index.tolist() for batch in loader] == in_pieces
        assert len(loader) == len(in_pieces)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            (),
            "the last batch of an epoch has one of the 1221 samples, for which a norm of the model has no statistics: ",
        ),
        (
            ("batch_size=1",),
            "batch_size=1 makes batches of one sample, for which a norm of the model has no statistics",
        ),
    ],
)
def test_a_batch_that_would_end_the_run_is_refused_before_it_begins(
    changes: tuple[str, ...], line: str, small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small(*ONE_IS_LEFT, *changes) == 2
    assert f"membrane: {line}" in capsys.readouterr().err
    assert not list(Path("runs").glob("digits/*/seed0"))


@pytest.mark.parametrize(("last", "steps"), [("drop", 8), ("join", 8)])
def test_it_can_be_dropped_or_joined(last: str, steps: int, small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    step = running.Learner.training_step

    def listen(self: Any, batch: Any, batch_idx: int) -> Any:
        seen.append(batch.index.tolist())
        return step(self, batch, batch_idx)

    monkeypatch.setattr(running.Learner, "training_step", listen)
    assert small(*ONE_IS_LEFT, f"trainer.last_batch={last}") == 0
    assert max(row["step"] for row in read_rows(only("digits/*/seed0") / "metrics.csv")) == steps
    assert [len(each) for each in seen] == [305, 305, 305, 305 if last == "drop" else 306] * 2
    epochs = [[index for batch in batches for index in batch] for batches in (seen[:4], seen[4:])]
    assert len(set(epochs[0])) == len(epochs[0])
    left_out = [set(epochs[0]) - set(epochs[1]), set(epochs[1]) - set(epochs[0])]
    assert [len(each) for each in left_out] == ([1, 1] if last == "drop" else [0, 0])


def test_where_one_sample_can_be_trained_on_nothing_is_refused_and_no_bit_changes(
    membrane: Run, monkeypatch: pytest.MonkeyPatch, remains: Callable[[Path], dict[str, Any]]
) -> None:
    images = ("logger=csv", "model=scnn", "model.filters=[4]", "model.dropouts=0.2", "batch_size=305", "epochs=2")
    assert membrane(*images, "framework=singlestep", "timesteps=2", "threads=1", "name=asked") == 0
    with monkeypatch.context() as patched:
        patched.setattr(running, "refuse_batch_of_one", lambda *_: None)
        assert membrane(*images, "framework=singlestep", "timesteps=2", "threads=1", "name=unasked") == 0
    assert remains(only("asked/*/seed0")) == remains(only("unasked/*/seed0"))


@pytest.mark.parametrize("changes", [("model.norm=none",), ("model.norm=group", "model.units=[32]"), ("debug=fast",)])
def test_models_that_need_no_second_sample_train(changes: tuple[str, ...], small: Run) -> None:
    assert small(*ONE_IS_LEFT, "epochs=1", *changes) == 0


def test_pieces_of_one_sample_are_refused_too(
    small: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = running.Learner.training_step

    def greedy(self: Any, batch: Any, batch_idx: int) -> Any:
        if len(batch.y) > 1:
            raise MemoryError("no room")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(running.Learner, "training_step", greedy)
    halves = ("batch_size=4", "trainer.last_batch=drop", "on_oom=halve", "model.norm=batch", "framework=singlestep")
    assert small(*halves) == 2
    assert "pieces of one sample, for which a norm of the model has no statistics" in capsys.readouterr().err
