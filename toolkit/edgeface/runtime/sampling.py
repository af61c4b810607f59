"""Looks at the device while models run, but never inside a timed call.

In: how often. Out: `DeviceSample`s. `telemetry` says what one holds; `bench` judges them.
"""

from __future__ import annotations

import time
from typing import Callable, List

from edgeface.runtime.telemetry import DeviceSample, read_sample

_NS_PER_S = 1e9


class Sampler:
    """Takes samples between calls, at most one an interval, and one at either end.

    Attributes:
        samples: those taken, in order.
    """

    def __init__(
        self,
        interval_s: float,
        clock: Callable[[], float],
        read: Callable[[Callable[[], float]], DeviceSample] = read_sample,
    ) -> None:
        """Keep how often and on which clock.

        Args:
            interval_s: least time between two samples in seconds; 0 takes none at all.
            clock: seconds.
            read: looks at the device, as `telemetry.read_sample`.
        """
        self._interval_s = interval_s
        self._clock = clock
        self._read = read
        self.samples: List[DeviceSample] = []

    def take(self) -> None:
        """Take one now: before the first call, and after the last."""
        if self._interval_s > 0:
            self.samples.append(self._read(self._clock))

    def take_if_due(self) -> bool:
        """Take one if the interval has passed; say whether one was taken."""
        due = bool(self.samples) and self._clock() >= self.samples[-1].t_s + self._interval_s
        if due:
            self.take()
        return due


def seconds_since(start_ns: int, clock_ns: Callable[[], int]) -> Callable[[], float]:
    """Make a clock in seconds that starts at a moment of a clock in nanoseconds."""
    return lambda: (clock_ns() - start_ns) / _NS_PER_S


def wall_offset_ns() -> int:
    """Give how far the wall clock is ahead of the one that nobody sets.

    It changes by as much as the wall clock is set meanwhile: a Raspberry Pi has no battery for its
    clock, and gets the time from the network some time after it started.
    """
    return time.time_ns() - time.monotonic_ns()


def clock_jump_s(before_ns: int) -> float:
    """Give by how many seconds the wall clock was set, or slept through, since `wall_offset_ns`."""
    return (wall_offset_ns() - before_ns) / _NS_PER_S
