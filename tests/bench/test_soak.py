"""A soak says what a device settles at and when it grew slower; its answer is read strictly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.soak import Soak, SoakRun, SoakWindow, measure_soak
from edgeface.errors import BenchmarkError


def soak(medians: Sequence[float]) -> Soak:
    windows = tuple(
        SoakWindow(t_s=float(at), runs=3, p50_ms=ms, p90_ms=ms, max_ms=2 * ms)
        for at, ms in enumerate(medians)
    )
    return Soak(minutes=1.0, window_s=1.0, threads=1, windows=windows)


def test_start_and_end_are_the_first_and_last_tenth() -> None:
    made = soak([10.0] * 18 + [12.0] * 2)  # a tenth of 20 windows is 2
    assert (made.start_ms, made.end_ms, made.runs) == (10.0, 12.0, 60)
    assert made.slowdown_ratio == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("medians", "after_s"),
    [
        ([10.0] * 20, None),
        ([10.0] * 10 + [12.0] * 10, 9.0),  # the tenth from 9 s on holds 10 and 12, median 11
        ([10.0] * 5 + [12.0] * 5 + [10.0] * 10, None),  # it recovered
        ([10.0] * 20 + [10.4] * 20, None),  # 4 %
        ([10.0], None),
    ],
)
def test_slower_means_for_good_and_by_more_than_5_percent(
    medians: list[float], after_s: float | None
) -> None:
    assert soak(medians).slowed_after_s == after_s


@pytest.mark.parametrize(("windows", "pieces"), [(1, 1), (5, 5), (100, 24)])
def test_pieces_are_all_windows_in_order(windows: int, pieces: int) -> None:
    made = soak([float(at + 1) for at in range(windows)])
    found = made.pieces(24)
    assert len(found) == pieces
    assert all(found)
    assert tuple(window for piece in found for window in piece) == made.windows


@pytest.mark.parametrize("changes", [{"p50_ms": 0.0}, {"p90_ms": 0.5}, {"runs": 0}, {"t_s": -1.0}])
def test_a_window_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    made: dict[str, Any] = {"t_s": 0.0, "runs": 1, "p50_ms": 1.0, "p90_ms": 1.0, "max_ms": 1.0}
    with pytest.raises(ValueError, match="window"):
        SoakWindow(**(made | changes))


def reply(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "runtime": "ai-edge-litert",
        "runtime_version": "2.1.0",
        "threads": 2,
        "cores": [0, 1],
        "load_ms": 1.0,
        "first_inference_ms": 2.0,
        "windows": [{"t_s": 0.1, "runs": 3, "p50_ms": 1.0, "p90_ms": 1.5, "max_ms": 2.0}],
        "samples": [{"t_s": 0.0, "throttle_bits": 4}],
        "clock_jump_s": 0.5,
    }
    return made | changes


def measured(answer: dict[str, Any], minutes: float = 2.0) -> tuple[SoakRun, tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []

    def worker(arguments: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
        asked.append(arguments)
        assert timeout_s > 60 * minutes
        return answer

    protocol = BenchProtocol(threads=2, cores=(0, 1))
    found = measure_soak("small", Path("m.tflite"), protocol, minutes=minutes, run=7, worker=worker)
    return found, asked[0]


def test_the_runner_is_asked_and_its_answer_becomes_a_soak() -> None:
    found, asked = measured(reply())
    assert asked == (
        *("soak", "m.tflite", "--threads", "2", "--minutes", "2.0", "--window-s", "1.0"),
        *("--sample-interval-s", "1.0", "--cores", "0,1"),
    )
    assert found.soak.windows[0].p90_ms == 1.5
    assert (found.samples.run, found.samples.what) == (7, "soak of small")
    assert found.samples.samples[0].throttle_bits == 4
    assert found.samples.clock_jump_s == 0.5
    assert found.runtime.version == "2.1.0"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"windows": []}, "soak of small: windows of a soak: expected one or more"),
        ({"threads": 1}, "ran with 1 threads"),
        ({"cores": None}, "on cores None, expected 2 on"),
        ({"extra": 1}, "extra: unknown key"),
    ],
)
def test_another_answer_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BenchmarkError, match=text):
        measured(reply(**changes))


@pytest.mark.parametrize("minutes", [0.0, -1.0, 1441.0, float("nan")])
def test_minutes_that_cannot_be_are_refused(minutes: float) -> None:
    with pytest.raises(BenchmarkError, match="minutes, expected above 0 and at most 1440"):
        measured(reply(), minutes)
