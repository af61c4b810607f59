"""The two ways to be stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from edgeface.console import Screen
from edgeface.stopping import Stopped, StopRequest, kept_if_stopped, stop_on_signals
from support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_becomes_stopped_and_the_handlers_come_back(
    kind: signal.Signals, status: int
) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as info, stop_on_signals(StopRequest()):
        os.kill(os.getpid(), kind)
    assert (info.value.exit_status, str(info.value)) == (status, "stopped")
    assert not isinstance(info.value, Exception), "`except Exception` must not take it"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def interrupted(clean_up: Callable[[], None], clock: Clock) -> list[str]:
    """Interrupt, then do something while the first interrupt is cleaned up."""
    done: list[str] = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            clean_up()
            done.append("cleaned up")

    with pytest.raises(Stopped), stop_on_signals(StopRequest(), clock):
        work()
    return done


def test_the_same_request_does_not_stop_the_cleaning_up(clock: Clock) -> None:
    def again_at_once() -> None:
        clock.now_s += 0.5
        os.kill(os.getpid(), signal.SIGTERM)

    assert interrupted(again_at_once, clock) == ["cleaned up"]


def test_a_second_request_does(clock: Clock) -> None:
    def again_later() -> None:
        clock.now_s += 2.0
        os.kill(os.getpid(), signal.SIGINT)

    assert interrupted(again_later, clock) == []


def test_a_signal_that_gets_lost_ends_the_work_at_its_next_step() -> None:
    screen = Screen()
    done: list[str] = []

    def work() -> None:
        with screen.reporter.track("work", 3) as advance:
            advance(1)
            done.append("first")
            with suppress(BaseException):  # as in a `__del__`, where Python drops what is raised
                os.kill(os.getpid(), signal.SIGTERM)
            done.append("second")
            advance(1)
            done.append("third")

    with pytest.raises(Stopped) as info, stop_on_signals(screen.stop_request):
        work()
    assert (info.value.exit_status, done) == (143, ["first", "second"])


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals(StopRequest()):
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_that_goes_on_says_so() -> None:
    with pytest.raises(Stopped) as info, kept_if_stopped():
        raise Stopped(signal.SIGTERM)
    assert info.value.exit_status == 143
    assert str(info.value).startswith("stopped; what was finished is kept: run the same command")
