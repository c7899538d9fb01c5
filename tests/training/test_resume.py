"""A run that is broken off anywhere and started again is, to the last bit, the run that was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_paths import only

from membrane.errors import Stopped
from membrane.runs.stopping import Stop
from membrane.runs.table import read_rows

Run = Callable[..., int]
WHOLE = (
    "logger=csv",
    "model=smlp",
    "model.units=[16]",
    "timesteps=2",
    "threads=1",
    "epochs=3",
    "log_every=3",
    "figures=false",
)
EVERYTHING = (
    "logger=csv",
    "model=scnn",
    "model.filters=[4]",
    "model.kernel_sizes=[3]",
    "model.pool_sizes=[2]",
    "model.dropouts=[0.2]",
    "timesteps=2",
    "threads=1",
    "figures=false",
    "epochs=3",
    "batch_size=128",
    "log_every=1",
    "augmentation=[shift,noise,mixup]",
    "callbacks=[ema,early_stop]",
    "callbacks.ema.decay=0.5",
    "neuron.v_threshold=0.5",
    "optimizer.lr=0.01",
    "scheduler=cosine",
    "scheduler.interval=step",
    "scheduler.warmup=1",
    "trainer.accumulate=2",
)

PLATEAU = (
    *WHOLE,
    "callbacks=ema",
    "scheduler=plateau",
    "scheduler.warmup=1",
    "scheduler.patience=0",
    "scheduler.threshold=0.9",
    "neuron=plif",
    "optimizer.lr_tau=0.1",
    "optimizer.weight_decay_on=weights",
)

DELAYS = (
    *WHOLE,
    "model.max_delay=3",
    "model.delay_epochs=2",
    "optimizer.lr_delay=0.3",
    "scheduler=one_cycle",
    "scheduler.max_lr=0.01",
    "scheduler.delays=cosine",
)


@pytest.fixture
def broken_off(membrane: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run a command line that is told to stop at every so many-th look at whether it is, until it ends."""

    def run(every: int, *arguments: str) -> Path:
        looks = 0

        def requested(self: Stop) -> Stopped | None:
            nonlocal looks
            looks += 1
            return Stopped("the test", 1, saved=True) if looks % every == 0 else None

        with monkeypatch.context() as patched:
            patched.setattr(Stop, "requested", requested)
            codes = []
            while not codes or codes[-1] == 75:
                codes.append(membrane(*arguments, "name=broken"))
        assert codes[-1] == 0
        assert len(codes) > 1
        return only("broken/*/seed0")

    return run


@pytest.mark.parametrize(
    "every", [pytest.param(5, marks=pytest.mark.slow), 7, pytest.param(17, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "arguments",
    [pytest.param(WHOLE, marks=pytest.mark.slow), EVERYTHING, PLATEAU, DELAYS],
    ids=["plain", "everything", "plateau", "delays"],
)
def test_stopped_again_and_again(
    membrane: Run,
    broken_off: Callable[..., Path],
    remains: Callable[[Path], dict[str, Any]],
    arguments: tuple[str, ...],
    every: int,
) -> None:
    assert membrane(*arguments, "name=whole") == 0
    assert remains(broken_off(every, *arguments)) == remains(only("whole/*/seed0"))


@pytest.mark.parametrize(
    "changes", [(), ("scheduler=cosine", "scheduler.interval=step", "callbacks=[ema]"), PLATEAU[len(WHOLE) :]]
)
def test_a_run_extended_is_the_longer_run(
    membrane: Run, remains: Callable[[Path], dict[str, Any]], changes: tuple[str, ...]
) -> None:
    same_rates = "scheduler=cosine" not in changes
    assert membrane(*WHOLE, *changes, "name=short", "rerun=true", "max_time=1h") == 0
    short = only("short/*/seed0")
    before = {path: path.read_bytes() for path in short.rglob("*") if path.is_file()}
    assert membrane(f"extend={short}", "epochs=5", "name=extended", "logger=csv") == 0
    assert {path: path.read_bytes() for path in short.rglob("*") if path.is_file()} == before
    saved = (only("extended/*/seed0") / "config.yaml").read_text()
    assert "rerun: false\n" in saved  # what was said of that command is not said of this one
    assert "max_time: null\n" in saved
    assert membrane(*WHOLE, *changes, "epochs=5", "name=long") == 0
    extended, long = only("extended/*/seed0"), only("long/*/seed0")
    assert extended.parent.name != long.parent.name
    if same_rates:
        assert remains(extended) == remains(long)
    else:  # the short run's schedule had another length; from where it ended on, the rates are the longer run's
        rates = [[row["lr"] for row in read_rows(run / "metrics.csv") if row["epoch"] >= 3] for run in (extended, long)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-6)


def test_a_run_that_was_stopped_early_has_its_whole_patience_when_extended(membrane: Run) -> None:
    early = ("callbacks=early_stop", "callbacks.early_stop.patience=2", "callbacks.early_stop.min_delta=100")
    assert membrane(*WHOLE, *early, "epochs=9", "name=short") == 0
    assert json.loads((only("short/*/seed0") / "result.json").read_text())["epochs"] == 3  # the first, and two in vain
    assert membrane(f"extend={only('short/*/seed0')}", "epochs=20", "name=extended", "logger=csv") == 0
    assert json.loads((only("extended/*/seed0") / "result.json").read_text())["epochs"] == 5
