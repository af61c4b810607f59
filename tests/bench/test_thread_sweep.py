"""All models and thread counts take turns in fresh processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.thread_sweep import measure_thread_sweep, usable_threads
from edgeface.errors import BenchmarkError
from edgeface.types import SilentReporter

PROTOCOL = BenchProtocol(warmup_runs=0, min_runs=2, min_duration_s=0, repeats=2)


class Runner:
    """Answers with the number of the call as the time."""

    def __init__(self, versions: tuple[str, ...] = ("2.1.0",)) -> None:
        self.asked: list[tuple[str, str]] = []
        self.versions = versions

    def __call__(self, arguments: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
        threads = arguments[arguments.index("--threads") + 1]
        self.asked.append((arguments[1], threads))
        number = float(len(self.asked))
        return {
            "runtime": "ai-edge-litert",
            "runtime_version": self.versions[(len(self.asked) - 1) % len(self.versions)],
            "threads": int(threads),
            "load_ms": number,
            "first_inference_ms": number,
            "warmup_ms": [],
            "latency_ms": [number, number],
            "cores": None,
            "samples": [],
            "clock_jump_s": 0.0,
        }


def sweep(runner: Runner, threads: tuple[int, ...] = (1, 4)) -> Any:
    models = {"a": Path("a.tflite"), "b": Path("b.tflite")}
    swept = measure_thread_sweep(
        models, PROTOCOL, threads, worker=runner, reporter=SilentReporter(), first_run=5
    )
    assert [each.run for each in swept.looks] == list(range(5, 5 + len(runner.asked)))
    return swept.latency


def test_models_and_thread_counts_take_turns() -> None:
    runner = Runner()
    found = sweep(runner)
    turn = [("a.tflite", "1"), ("b.tflite", "1"), ("a.tflite", "4"), ("b.tflite", "4")]
    assert runner.asked == turn * 2
    assert [each.threads for each in found["a"]] == [1, 4]
    assert found["a"][0].latency.repeats == ((1.0, 1.0), (5.0, 5.0))
    assert found["b"][1].latency.repeats == ((4.0, 4.0), (8.0, 8.0))
    assert found["b"][1].latency.load_ms == (4.0, 8.0)


def test_thread_counts_are_given_once() -> None:
    for threads in ((), (2, 2)):
        with pytest.raises(BenchmarkError, match=r"thread sweep: found .*, expected thread counts"):
            sweep(Runner(), threads)


def test_unlike_runtimes_are_refused() -> None:
    with pytest.raises(BenchmarkError, match=r"unlike runtimes: ai-edge-litert 2\.1\.0, .* 3"):
        sweep(Runner(("2.1.0", "2.1.0", "3", "3")))


def test_threads_without_a_core_are_left_out() -> None:
    assert usable_threads((4, 1, 2, 2), 2) == (1, 2)
    assert usable_threads((1, 2, 4), 4) == (1, 2, 4)
