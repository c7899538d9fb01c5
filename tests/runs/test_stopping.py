"""Signals and time: when they raise at once, and when they wait."""

import os
import signal

import pytest

from membrane.errors import Stopped
from membrane.runs.stopping import Stop


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_outside_a_fit_a_signal_ends_the_process(signum: int) -> None:
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stopped, Stop().handling_signals():
        os.kill(os.getpid(), signum)
    assert stopped.value.code == 128 + signum
    assert not stopped.value.saved
    assert signal.getsignal(signum) == before


def test_inside_a_fit_a_signal_waits_and_others_change_nothing() -> None:
    stop = Stop()
    with stop.handling_signals(), stop.deferred():
        assert stop.requested() is None
        for signum in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), signum)
        requested_stop = stop.requested()
    assert requested_stop is not None
    assert (requested_stop.why, requested_stop.code, requested_stop.saved) == ("SIGUSR1", 75, True)


def test_a_second_ctrl_c_insists_but_not_while_a_checkpoint_is_written() -> None:
    stop = Stop()
    with stop.handling_signals(), stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped) as stopped:
            os.kill(os.getpid(), signal.SIGINT)
        assert stopped.value.code == 130
        assert stop.insisted  # so that an earlier checkpoint does not make it 75
    stop, written = Stop(), []

    def write() -> None:
        with stop.writing_checkpoint():
            os.kill(os.getpid(), signal.SIGINT)
            written.append("whole")

    with stop.handling_signals(), stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped) as stopped:
            write()
    assert written == ["whole"]
    assert stopped.value.code == 130


def test_time_is_up_so_long_after_the_start_of_the_process() -> None:
    now = 100.0
    stop = Stop(clock=lambda: now)
    stop.limit_to("1m")
    now = 159.9
    assert stop.requested() is None
    now = 160.0
    requested_stop = stop.requested()
    assert requested_stop is not None
    assert (requested_stop.why, requested_stop.code) == ("max_time=1m", 75)
    stop.limit_to(None)
    assert stop.requested() is None
