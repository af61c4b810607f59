"""`runner_timing`: the clockwork, on a clock made of numbers."""

from __future__ import annotations

import gc
from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest

from edgeface.runtime.runner_timing import Timing, Window, time_runs, time_windows


class Clock:
    """Moves by the next of `durations_ms` when the timed call is made, and not otherwise."""

    def __init__(self, durations_ms: Sequence[float]) -> None:
        self.now_ns = 1_000
        self.collector_was_on = False
        self.durations_ms = list(durations_ms)

    def call(self) -> None:
        self.collector_was_on |= gc.isenabled()
        self.now_ns += int(self.durations_ms.pop(0) * 1e6)

    def read(self) -> int:
        return self.now_ns

    def look(self, took_ms: float) -> bool:
        self.now_ns += int(took_ms * 1e6)
        return took_ms > 0


def timed(durations_ms: Sequence[float], **limits: Any) -> Tuple[Timing, int]:
    clock = Clock(durations_ms)
    timing = time_runs(clock.call, clock.read, **limits)
    assert not clock.collector_was_on
    return timing, len(clock.durations_ms)


def test_each_run_gets_its_own_time_and_place() -> None:
    timing, left = timed(
        [9, 5, 4, 3, 1, 2, 7, 7],
        warmup_runs=2,
        min_runs=4,
        min_duration_s=0,
        max_runs=100,
    )
    assert timing.first_inference_ms == 9
    assert list(timing.warmup_ms) == [5, 4]
    assert list(timing.latency_ms) == [3, 1, 2, 7]
    assert left == 1


def test_it_goes_on_until_the_time_is_over() -> None:
    # after the first run 1 s has to pass in runs of 300 ms: 4 of them
    timing, _ = timed([2000] + [300] * 9, warmup_runs=0, min_runs=2, min_duration_s=1, max_runs=99)
    assert len(timing.latency_ms) == 4


def test_the_most_runs_end_it_early() -> None:
    timing, _ = timed([1] * 20, warmup_runs=3, min_runs=2, min_duration_s=60, max_runs=7)
    assert len(timing.latency_ms) == 7


def test_garbage_collection_is_back_even_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(IndexError):  # the clock runs out of durations
        timed([1], warmup_runs=5, min_runs=1, min_duration_s=0, max_runs=1)
    assert gc.isenabled()


def test_a_look_in_between_is_in_no_time() -> None:
    """It takes 50 ms, costs one untimed run of 9 ms after it, and 1 s of runs are timed anyway."""
    clock = Clock([5, *([300, 9] * 2), *([300] * 9)])
    looks = iter([0.0, 50.0, 50.0, *([0.0] * 9)])
    timing = time_runs(
        clock.call,
        clock.read,
        warmup_runs=0,
        min_runs=2,
        min_duration_s=1,
        max_runs=99,
        between=lambda: clock.look(next(looks)),
    )
    # 300; then twice 50 and an untimed 9 before 300; the last of the four ends 1.2 s
    assert list(timing.latency_ms) == [300, 300, 300, 300]
    assert (clock.now_ns - 1_000) / 1e6 == 5 + 4 * 300 + 2 * (50 + 9)


def windows_of(durations_ms: Sequence[float], looks_ms: Sequence[float] = ()) -> List[Window]:
    clock = Clock(durations_ms)
    looks = iter([*looks_ms, *([0.0] * 99)])
    windows = time_windows(
        clock.call,
        clock.read,
        start_ns=clock.now_ns - 500_000_000,
        duration_s=3,
        window_s=1,
        between=lambda: clock.look(next(looks)),
    )
    assert not clock.collector_was_on
    assert gc.isenabled()
    return list(windows)


def test_windows_by_hand() -> None:
    # 400 ms runs: 3 a window of 1 s, which then lasts 1.2 s; no window begins after 3 s
    runs_ms = [400, 300, 500, 400, 401, 402, 400, 400, 900, 1, 1]
    first, second, third = windows_of(runs_ms)
    assert [each.t_s for each in (first, second, third)] == pytest.approx([0.5, 1.7, 2.903])
    assert (first.runs, first.p50_ms, first.max_ms) == (3, 400, 500)
    assert first.p90_ms == pytest.approx(np.percentile([300, 400, 500], 90))  # 480
    assert (second.p50_ms, third.max_ms) == (401, 900)


def test_a_run_longer_than_a_window_is_one_window() -> None:
    assert [each.runs for each in windows_of([1500, 1600, 1, 1])] == [1, 1]


def test_even_the_shortest_soak_has_a_window() -> None:
    clock = Clock([7, 7])
    windows = time_windows(
        clock.call, clock.read, start_ns=clock.now_ns, duration_s=0, window_s=1e-3
    )
    assert windows == (Window(t_s=0.0, runs=1, p50_ms=7, p90_ms=7, max_ms=7),)


def test_a_look_is_in_no_window_and_the_run_after_it_does_not_count() -> None:
    # 2 runs of 600 ms a window; a look of 100 ms and an untimed 700 ms run come before the second
    first, *_ = windows_of([600, 700, 600, *([600] * 9)], [0.0, 100.0])
    assert (first.runs, first.max_ms) == (2, 600)
