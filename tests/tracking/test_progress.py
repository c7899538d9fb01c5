"""The progress of real fits: on a terminal, without one, and when they break off."""

import re
import signal
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import lightning as L
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from membrane.data.feed.batch import Batch
from membrane.tracking.progress import FitProgress, Pace


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Reading:
    """A metric that knows how often it was waited for."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.reads = 0

    def __float__(self) -> float:
        self.reads += 1
        return self.value


class Fitted(L.LightningModule):
    """Each training step takes two seconds, each validation step five."""

    def __init__(self, clock: Clock, part: str | None = "val", seconds: float = 2.0) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.clock, self.part, self.seconds = clock, part, seconds
        self.loss = Reading(0.5)
        self.before_step: Callable[[], None] = lambda: None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.before_step()
        self.clock.now += self.seconds
        self.trainer.callback_metrics.update({"train/loss": self.loss, "train/acc": torch.tensor(0.8125)})  # type: ignore[dict-item]
        return nn.functional.cross_entropy(self.layer(batch.x), batch.y)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.clock.now += 5
        self.log_dict({f"{self.part}/loss": 1.25, f"{self.part}/acc": 0.75})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def batches(sizes: list[int]) -> DataLoader[Batch]:
    data = [
        Batch(torch.rand(n, 2), torch.zeros(n, dtype=torch.long), None, torch.arange(n), torch.arange(n)) for n in sizes
    ]
    return DataLoader(data, batch_size=None)  # type: ignore[arg-type]


def fit(model: Fitted, terminal: bool, width: int = 100, **trainer: Any) -> str:
    """Return what a fit of two epochs of five batches, the last one short, writes to its console."""
    file = StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None)
    settings: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "callbacks": [FitProgress(console, clock=model.clock)],
    }
    validation = None if model.part is None else batches([4])
    L.Trainer(**settings | trainer).fit(model, batches([4, 4, 4, 4, 2]), validation)
    return file.getvalue()


def frames(written: str) -> list[str]:
    """The frames of the bar without the codes that move the cursor."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_without_a_terminal_an_epoch_is_one_line() -> None:
    # 18 samples in 10 s; an epoch takes 10 s and 5 s of validation. Sanity checking before the fit is no part of it.
    lines = fit(Fitted(Clock()), terminal=False).splitlines()
    assert lines == [
        "epoch 0/1  train loss 0.5000 acc 81.2%  val loss 1.2500 acc 75.0%  2 samples/s  0:15 left",
        "epoch 1/1  train loss 0.5000 acc 81.2%  val loss 1.2500 acc 75.0%  2 samples/s  0:00 left",
    ]


class Regressing(Fitted):
    """The same for a regression."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.trainer.callback_metrics["train/mae"] = self.trainer.callback_metrics.pop("train/acc")
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.clock.now += 5
        self.log_dict({"val/loss": 1.25, "val/mae": 0.75})


def test_a_regression_shows_its_error() -> None:
    assert fit(Regressing(Clock()), terminal=False).splitlines()[0] == (
        "epoch 0/1  train loss 0.5000 mae 0.8125  val loss 1.2500 mae 0.7500  2 samples/s  0:15 left"
    )
    assert "loss 0.5000 mae 0.8125 val 0.7500" in frames(fit(Regressing(Clock()), terminal=True))[-1]


def test_what_was_not_measured_is_not_shown() -> None:
    assert fit(Fitted(Clock(), part=None), terminal=False).splitlines()[0] == (
        "epoch 0/1  train loss 0.5000 acc 81.2%  2 samples/s  0:10 left"
    )
    assert "oracle loss 1.2500 acc 75.0%" in fit(Fitted(Clock(), part="oracle"), terminal=False)


def test_an_epoch_without_validation_does_not_repeat_the_last_one() -> None:
    lines = fit(Fitted(Clock()), terminal=False, max_epochs=3, check_val_every_n_epoch=2).splitlines()
    assert ["val" in line for line in lines] == [False, True, False]


def test_what_others_do_after_an_epoch_is_no_training_time() -> None:
    class Slow(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            clock.now += 1000

    clock, file = Clock(), StringIO()
    fit(Fitted(clock), terminal=False, callbacks=[Slow(), FitProgress(Console(file=file, width=100), clock=clock)])
    assert all("  2 samples/s  " in line for line in file.getvalue().splitlines())
    assert len(file.getvalue().splitlines()) == 2


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_there_is_one_bar(width: int) -> None:
    shown = frames(fit(Fitted(Clock()), terminal=True, width=width))
    assert all(len(frame) <= width and frame.startswith("epoch ") for frame in shown)
    assert re.fullmatch(r"epoch 0/1 step 3 ━+[╸ ]* *loss 0.5000 acc 81.2% 2/s 0:14 left", shown[3].rstrip())
    assert re.fullmatch(r"epoch 1/1 step 10 ━+ loss 0.5000 acc 81.2% val 75.0% 2/s 0:00 left", shown[-1])


def test_metrics_are_read_five_times_a_second_at_most() -> None:
    still = Fitted(Clock(), part=None, seconds=0.0)
    fit(still, terminal=True)
    assert still.loss.reads == 1 + 2 + 2  # the first step, the last of either epoch, and the lines of run.log
    slow = Fitted(Clock(), part=None, seconds=0.1)
    fit(slow, terminal=True)
    assert slow.loss.reads <= 1 + 2 + 2 + 0.1 * 10 / 0.2
    plain = Fitted(Clock(), part=None)
    fit(plain, terminal=False)
    assert plain.loss.reads == 2


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Lightning ignores Ctrl-C for good once it was interrupted."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_fit_that_breaks_off_gives_the_terminal_back(error: BaseException) -> None:
    clock = Clock()
    progress = FitProgress(Console(file=StringIO(), force_terminal=True), clock=clock)
    seen: list[Any] = []

    def fail() -> None:
        seen.append(progress.bar)
        raise error

    model = Fitted(clock)
    model.before_step = fail
    with pytest.raises((RuntimeError, SystemExit)):
        fit(model, terminal=True, callbacks=[progress])
    assert seen[0] is not None
    assert not seen[0].live.is_started
    assert progress.bar is None


def test_a_resumed_fit_counts_what_was_done_but_not_as_its_own_pace() -> None:
    clock = Clock()
    pace = Pace(total=100, clock=clock)
    assert pace.left() == float("inf")
    for done in (61, 62):
        clock.now += 3
        pace.step(done, samples=30)
    assert pace.left() == pytest.approx(38 * 3)
    assert pace.speed() == pytest.approx(10)


def test_validation_is_no_training_time() -> None:
    clock = Clock()
    pace = Pace(total=10, clock=clock)
    clock.now += 2
    pace.step(1, samples=8)
    pace.pause()
    clock.now += 100
    assert pace.speed() == pytest.approx(4)
    pace.resume()
    clock.now += 2
    assert pace.speed() == pytest.approx(2)
