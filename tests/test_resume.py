"""A run that is broken off anywhere and started again is, to the last bit, the run that was not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.stopping import Stop, Stopped

Run = Callable[..., int]
WHOLE = ("logger=csv", "model=smlp", "model.units=[16]", "timesteps=2", "threads=1", "epochs=3", "log_every=3")
EVERYTHING = (
    "logger=csv",
    "model=scnn",
    "model.filters=[4]",
    "model.kernel_sizes=[3]",
    "model.pool_sizes=[2]",
    "model.dropouts=[0.2]",
    "timesteps=2",
    "threads=1",
    "epochs=3",
    "batch_size=128",
    "log_every=1",
    "augmentation=[shift,noise,mixup]",
    "callbacks=[ema,early_stop]",
    "scheduler=cosine",
    "scheduler.interval=step",
    "scheduler.warmup=1",
    "trainer.accumulate=2",
)


def only(pattern: str) -> Path:
    [found] = Path("runs").glob(pattern)
    return found


@pytest.fixture
def broken_off(membrane: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run a command line that is told to stop at every so many-th look at whether it is, until it ends."""

    def run(every: int, *arguments: str) -> Path:
        looks = 0

        def asked(self: Stop) -> Stopped | None:
            nonlocal looks
            looks += 1
            return Stopped("the test", 1, saved=True) if looks % every == 0 else None

        with monkeypatch.context() as patched:
            patched.setattr(Stop, "asked", asked)
            codes = []
            while not codes or codes[-1] == 75:
                codes.append(membrane(*arguments, "name=broken"))
        assert codes[-1] == 0
        assert len(codes) > 1
        return only("broken/*/seed0")

    return run


@pytest.mark.parametrize("every", [5, 7, 26])
@pytest.mark.parametrize("arguments", [WHOLE, EVERYTHING], ids=["plain", "everything"])
def test_stopped_again_and_again(
    membrane: Run,
    broken_off: Callable[..., Path],
    remains: Callable[[Path], dict[str, Any]],
    arguments: tuple[str, ...],
    every: int,
) -> None:
    assert membrane(*arguments, "name=whole") == 0
    assert remains(broken_off(every, *arguments)) == remains(only("whole/*/seed0"))
