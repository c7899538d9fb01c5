"""A call in a process of its own: its answer, its refusal, and its end."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from membrane.data.store import limited
from membrane.data.store.limited import limited_call
from membrane.errors import DataError

PATH = Path("some.h5")
DAMAGED = "some.h5: damaged: the library that reads it crashed, or did not come to an end"


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise DataError("byte 7 is wrong")


def loop() -> None:
    while True:
        pass


def test_the_answer_comes_from_another_process() -> None:
    pid, numbers = limited_call(PATH, lambda: (os.getpid(), np.arange(3)))
    assert pid != os.getpid()
    assert numbers.tolist() == [0, 1, 2]


def test_a_refusal_is_raised_here() -> None:
    with pytest.raises(DataError, match="byte 7 is wrong"):
        limited_call(PATH, refuse)


@pytest.mark.parametrize("call", [crash, loop])
def test_a_crash_and_an_endless_loop_end_in_a_line(call, monkeypatch) -> None:
    monkeypatch.setattr(limited, "PROCESSOR_SECONDS", 1)
    with pytest.raises(DataError, match=DAMAGED):
        limited_call(PATH, call)
