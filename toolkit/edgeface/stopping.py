"""How the user ends edgeface: Ctrl-C and SIGTERM become `Stopped`."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SAME_REQUEST_S = 1.0
"""A signal so soon after another is the same request. Chosen: `timeout -s INT` and service managers
send one to the process and one to its group at once; a person's second Ctrl-C comes later."""


class Stopped(BaseException):
    """Somebody asked the process to end. No `Exception`: only the boundary may take it.

    Attributes:
        number: of the signal.
        exit_status: 128 and the number. Source: POSIX.1-2017, shell, 2.8.2, as shells count.
    """

    def __init__(self, number: int, kept: str = "") -> None:
        """Take the signal, and what is to be said of the work that was done."""
        super().__init__(f"stopped; {kept}" if kept else "stopped")
        self.number = number
        self.exit_status = 128 + number


@dataclass
class StopRequest:
    """Whether the process was asked to end.

    A signal is heard wherever Python is just then, and an exception is lost in some places: in a
    `__del__`, in a callback from C. So the request is remembered, and work that reports its
    progress is asked again at each step.

    Attributes:
        number: of the signal, None while there was none.
    """

    number: int | None = None

    def check(self) -> None:
        """Raise `Stopped` if there was a signal."""
        if self.number is not None:
            raise Stopped(self.number)


@contextmanager
def stop_on_signals(
    request: StopRequest, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Raise `Stopped` at Ctrl-C (SIGINT) and SIGTERM, so that files and processes are cleaned up.

    A signal that the process was started to ignore, as a shell's `&` does, stays ignored. A second
    one ends the cleaning up too, but not within `SAME_REQUEST_S` of the first.

    Args:
        request: remembers the signal.
        clock: seconds that never go back.
    """
    last_s = -math.inf

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last_s
        before_s, last_s = last_s, clock()
        if last_s - before_s >= SAME_REQUEST_S:
            request.number = number
            request.check()

    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    heard = [kind for kind, handler in before.items() if handler is not signal.SIG_IGN]
    for kind in heard:
        signal.signal(kind, stop)
    try:
        yield
    finally:
        for kind in heard:
            signal.signal(kind, before[kind])


@contextmanager
def kept_if_stopped() -> Iterator[None]:
    """Say of work that is stopped in here that the same command goes on with it."""
    try:
        yield
    except Stopped as stop:
        kept = "what was finished is kept: run the same command again to go on"
        raise Stopped(stop.number, kept) from None
