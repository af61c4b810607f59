"""`sampling`: at most one look an interval, on a clock made of numbers."""

from __future__ import annotations

import time
from typing import Callable, List

import pytest

from edgeface.runtime.sampling import Sampler, clock_jump_s, seconds_since, wall_offset_ns
from edgeface.runtime.telemetry import DeviceSample


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def read(self) -> float:
        return self.now_s


def look(clock: Callable[[], float]) -> DeviceSample:
    return DeviceSample(t_s=clock())


def taken_at(interval_s: float, calls_at_s: List[float]) -> List[float]:
    clock = Clock()
    sampler = Sampler(interval_s, clock.read, look)
    sampler.take()
    for clock.now_s in calls_at_s:
        count = len(sampler.samples)
        assert sampler.take_if_due() is (len(sampler.samples) > count)
    sampler.take()
    return [sample.t_s for sample in sampler.samples]


def test_one_an_interval_and_one_at_either_end() -> None:
    calls_at_s = [0.25 * i for i in range(1, 11)]  # 0.25 to 2.5
    assert taken_at(1.0, calls_at_s) == [0.0, 1.0, 2.0, 2.5]


def test_calls_longer_than_the_interval_get_one_each() -> None:
    assert taken_at(1.0, [3.0, 7.0]) == [0.0, 3.0, 7.0, 7.0]


def test_no_interval_no_samples() -> None:
    assert taken_at(0.0, [1.0, 2.0, 3.0]) == []


def test_the_real_look_carries_the_callers_clock() -> None:
    sampler = Sampler(1.0, lambda: 12.5)
    sampler.take()
    (sample,) = sampler.samples
    assert sample.t_s == 12.5


def test_seconds_are_counted_from_the_start() -> None:
    assert seconds_since(2_000_000_000, lambda: 3_500_000_000)() == 1.5


def test_a_wall_clock_that_is_set_is_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 100_000_000_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 1_000_000_000)
    before_ns = wall_offset_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: 4_000_000_000)  # 3 s passed
    monkeypatch.setattr(time, "time_ns", lambda: 103_000_000_000)
    assert clock_jump_s(before_ns) == 0
    monkeypatch.setattr(time, "time_ns", lambda: 3_703_000_000_000)  # and an hour was set
    assert clock_jump_s(before_ns) == 3600
