"""`stage_times`: sums and percentiles of times that the test itself lets pass."""

from __future__ import annotations

import threading

import pytest

from edgeface.runtime.stage_times import (
    FPS_FRAMES,
    GRAPH_S,
    KEPT_SAMPLES,
    FpsMeter,
    StageTimes,
    SystemClock,
)
from support.live_fakes import FakeClock


def test_a_stage_is_summed_up_with_visible_arithmetic() -> None:
    clock = FakeClock()
    times = StageTimes(clock)
    for seconds in (0.010, 0.020, 0.060):
        with times.measure("detect"):
            clock.s += seconds
    with times.measure("predict"):
        clock.s += 0.010
    detect, predict = times.summarise(wall_s=0.200)
    assert (detect.stage, predict.stage) == ("detect", "predict")  # as they first ran
    assert detect.frames == 3
    assert detect.p50_ms == pytest.approx(20)
    assert detect.p95_ms == pytest.approx(20 + 0.9 * 40)  # between the 2nd and the 3rd of three
    assert detect.fps == pytest.approx(3 / 0.090)
    assert detect.share_ratio == pytest.approx(0.090 / 0.200)
    assert predict.share_ratio == pytest.approx(0.010 / 0.200)


def test_no_time_gives_no_rate() -> None:
    times = StageTimes(FakeClock())
    with times.measure("track"):
        pass
    (track,) = times.summarise(wall_s=0.0)
    assert (track.frames, track.p50_ms, track.fps, track.share_ratio) == (1, 0.0, None, None)
    assert StageTimes(FakeClock()).summarise(1.0) == ()


def test_a_run_that_fails_counts_nothing() -> None:
    times = StageTimes(FakeClock())
    with pytest.raises(ZeroDivisionError), times.measure("detect"):
        _ = 1 / 0
    assert times.summarise(1.0) == ()


def test_percentiles_forget_and_sums_do_not() -> None:
    times = StageTimes(FakeClock())
    for _ in range(KEPT_SAMPLES):
        times.add("wait", 1.0)
    for _ in range(KEPT_SAMPLES):
        times.add("wait", 3.0)
    (wait,) = times.summarise(wall_s=4.0 * KEPT_SAMPLES)
    assert wait.frames == 2 * KEPT_SAMPLES
    assert (wait.p50_ms, wait.share_ratio) == (3000.0, 1.0)
    assert wait.fps == pytest.approx(0.5)


def test_threads_may_share_one() -> None:
    times = StageTimes(FakeClock())

    def add() -> None:
        for _ in range(2000):
            times.add("capture", 0.001)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (capture,) = times.summarise(1.0)
    assert capture.frames == 8000
    assert capture.share_ratio == pytest.approx(8.0)


def test_fps_is_that_of_the_last_second_of_frames() -> None:
    meter = FpsMeter()
    meter.add(5.0)
    assert not meter.samples  # one frame has no rate
    assert not meter.recent
    for i in range(1, 11):
        meter.add(5.0 + i / 20)
    assert meter.samples[-1].fps == pytest.approx(20)
    assert meter.samples[-1].at_s == 5.5
    for i in range(FPS_FRAMES + 1):
        meter.add(6.0 + i / 50)
    assert meter.samples[-1].fps == pytest.approx(50)  # the slow ones are forgotten
    assert len(meter.samples) == 10 + FPS_FRAMES + 1
    assert meter.recent == meter.samples


def test_the_graph_has_its_seconds_and_the_samples_all_frames_but_the_oldest() -> None:
    meter = FpsMeter()
    for i in range(KEPT_SAMPLES + 100):
        meter.add(i / 4)
    newest_s = (KEPT_SAMPLES + 99) / 4
    assert [each.at_s for each in meter.recent] == [
        newest_s - GRAPH_S + i / 4 for i in range(int(GRAPH_S * 4) + 1)
    ]
    assert len(meter.samples) == KEPT_SAMPLES
    assert meter.samples[-41:] == meter.recent
    assert {each.fps for each in meter.samples[FPS_FRAMES:]} == {4.0}


def test_frames_that_take_no_time_have_no_rate() -> None:
    meter = FpsMeter()
    for at_s in (1.0, 1.0, 1.0):
        meter.add(at_s)
    assert meter.samples == ()


def test_the_clock_of_the_machine_waits_for_a_stop() -> None:
    clock, stop = SystemClock(), threading.Event()
    before = clock.now_s()
    assert not clock.wait(stop, 0.001)
    assert clock.now_s() > before
    stop.set()
    assert clock.wait(stop, 1000.0)  # at once, or the test would hang
