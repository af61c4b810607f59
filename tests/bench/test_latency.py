"""Latency and memory, with a stand-in for the process that runs a model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.bench.latency import (
    LatencySamples,
    MemoryUse,
    measure_latency,
    measure_memory,
    read_reply,
    run_worker,
    worker_timeout_s,
)
from edgeface.bench.protocol import BenchProtocol
from edgeface.errors import BenchmarkError
from edgeface.types import SilentReporter

PROTOCOL = BenchProtocol(threads=2, warmup_runs=1, min_runs=3, min_duration_s=0, repeats=2)
MODELS = {"a": Path("a.tflite"), "b": Path("b.tflite"), "c": Path("c.tflite")}


def reply(**changes: Any) -> dict[str, Any]:
    return {
        "runtime": "ai-edge-litert",
        "runtime_version": "2.1.0",
        "threads": 2,
        "load_ms": 5.0,
        "first_inference_ms": 9.0,
        "warmup_ms": [8.0],
        "latency_ms": [4.0, 5.0, 6.0],
        "cores": None,
        "samples": [],
        "clock_jump_s": 0.0,
        **changes,
    }


class RecordingWorker:
    """Answers as told and keeps what it was asked."""

    def __init__(self, answer: Callable[[tuple[str, ...]], Mapping[str, Any]]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        self.asked.append(arguments)
        return self.answer(arguments)


def samples(*repeats: list[float]) -> LatencySamples:
    ones = (1.0,) * len(repeats)
    return LatencySamples(
        name="a", repeats=tuple(map(tuple, repeats)), load_ms=ones, first_inference_ms=ones
    )


def test_models_take_turns() -> None:
    worker = RecordingWorker(lambda arguments: reply())
    measure_latency(MODELS, PROTOCOL, worker=worker, reporter=SilentReporter())
    assert [arguments[1] for arguments in worker.asked] == [
        *("a.tflite", "b.tflite", "c.tflite"),
        *("a.tflite", "b.tflite", "c.tflite"),
    ]


def test_the_worker_is_told_the_whole_protocol() -> None:
    worker = RecordingWorker(lambda arguments: reply())
    measure_latency(MODELS, PROTOCOL, worker=worker, reporter=SilentReporter())
    assert " ".join(worker.asked[0]) == (
        "latency a.tflite --threads 2 --warmup-runs 1 --min-runs 3 --min-duration-s 0"
        " --sample-interval-s 1.0"
    )


def test_samples_are_kept_raw_and_by_process() -> None:
    answers = iter([reply(latency_ms=[1.0, 2.0, 3.0]), reply(latency_ms=[7.0, 8.0, 9.0, 10.0])])
    found = measure_latency(
        {"a": Path("a.tflite")},
        PROTOCOL,
        worker=RecordingWorker(lambda arguments: next(answers)),
        reporter=SilentReporter(),
    )
    assert (found.runtime.name, found.runtime.version) == ("ai-edge-litert", "2.1.0")
    assert found.latency["a"].repeats == ((1.0, 2.0, 3.0), (7.0, 8.0, 9.0, 10.0))
    assert found.latency["a"].first_inference_ms == (9.0, 9.0)


def test_looks_at_the_device_are_numbered_by_process() -> None:
    protocol = replace(PROTOCOL, cores=(1, 3), sample_interval_s=0.5)
    worker = RecordingWorker(
        lambda _: reply(cores=[1, 3], samples=[{"t_s": 0.0, "temperature_c": 61.5}])
    )
    found = measure_latency(
        MODELS, protocol, worker=worker, reporter=SilentReporter(), first_run=10
    )
    assert worker.asked[0][-4:] == ("--sample-interval-s", "0.5", "--cores", "1,3")
    assert [each.run for each in found.looks] == [10, 11, 12, 13, 14, 15]
    assert found.looks[1].what == "latency of b, 2 threads"
    assert found.looks[1].samples[0].temperature_c == 61.5


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"threads": 1}, "used 1 threads on cores None, expected 2 on None"),
        ({"cores": [0]}, r"used 2 threads on cores \(0,\), expected 2 on None"),
        ({"samples": [{"t_s": 2.0}, {"t_s": 1.0}]}, "samples of run 0 are not in the order"),
        ({"latency_ms": [1.0, 2.0]}, "gave 2 runs, expected at least 3"),
        ({"latency_ms": [1.0, 2.0, 0.0]}, "a time is not above 0"),
        ({"latency_ms": [1.0, 2.0, math.nan]}, "a time is not above 0"),
        ({"latency_ms": "fast"}, "latency_ms: found 'fast'"),
        ({"load_ms": None}, "load_ms: found nothing"),
        ({"delegate": "gpu"}, "delegate: unknown key"),
    ],
)
def test_an_answer_that_is_not_as_agreed_is_refused(changes: dict[str, Any], text: str) -> None:
    worker = RecordingWorker(lambda arguments: reply(**changes))
    with pytest.raises(BenchmarkError, match=f"^a: .*{text}"):
        measure_latency(MODELS, PROTOCOL, worker=worker, reporter=SilentReporter())


def test_unlike_runtimes_are_not_compared() -> None:
    worker = RecordingWorker(
        lambda arguments: reply(runtime_version="1" if arguments[1] == "a.tflite" else "2")
    )
    with pytest.raises(BenchmarkError, match="unlike runtimes: ai-edge-litert 1, ai-edge-litert 2"):
        measure_latency(MODELS, PROTOCOL, worker=worker, reporter=SilentReporter())


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(BenchmarkError, match="at least one"):
        measure_latency(
            {}, PROTOCOL, worker=RecordingWorker(lambda _: reply()), reporter=SilentReporter()
        )


def test_memory_has_one_process_a_model_and_subtracts_the_runtime() -> None:
    worker = RecordingWorker(lambda _: {"peak_rss_bytes": 70, "baseline_rss_bytes": 30})
    found = measure_memory(MODELS, PROTOCOL, worker=worker, reporter=SilentReporter())
    assert " ".join(worker.asked[0]) == "memory a.tflite --threads 2 --runs 20"
    assert len(worker.asked) == len(MODELS)
    assert found["b"].model_rss_bytes == 70 - 30


@pytest.mark.parametrize(("peak", "baseline"), [(10, 11), (0, 0), (5, -1)])
def test_a_peak_below_the_baseline_is_refused(peak: int, baseline: int) -> None:
    with pytest.raises(ValueError, match="baseline_rss_bytes"):
        MemoryUse(peak_rss_bytes=peak, baseline_rss_bytes=baseline)


def test_statistics_are_over_all_runs_of_all_repeats() -> None:
    found = samples([1.0, 2.0, 3.0], [4.0, 5.0])
    assert found.p50_ms == 3.0
    assert found.fps == 1000 / 3.0
    assert found.runs == 3 + 2
    # position 0.9 * (5 - 1) = 3.6 between the sorted 4 and 5
    assert found.p90_ms == pytest.approx(4 + 0.6 * (5 - 4))
    assert found.p99_ms == pytest.approx(4 + 0.96 * (5 - 4))


times = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=30)


@given(repeats=st.lists(times, min_size=1, max_size=4))
def test_percentiles_are_ordered_and_inside_the_samples(repeats: list[list[float]]) -> None:
    found = samples(*repeats)
    everything = np.concatenate(repeats)
    slack = 1e-9 * everything.max()
    ordered = [everything.min(), found.p50_ms, found.p90_ms, found.p99_ms, everything.max()]
    assert all(low <= high + slack for low, high in pairwise(ordered))
    assert found.fps * found.p50_ms == pytest.approx(1000)


@pytest.mark.parametrize(
    ("repeats", "said"),
    [
        ([[10.0] * 100, [10.0] * 100], []),
        ([[10.0] * 99 + [14.9]], []),
        ([[10.0] * 99 + [15.0]], ["slowest run is 50 % off the median"]),
        ([[10.0] * 99 + [5.0]], ["fastest run is 50 % off the median"]),
        # mean 10, every sample 1 off: the standard deviation is 1
        ([[9.0, 11.0] * 50], ["standard deviation is 10 % of the mean"]),
        ([[9.01, 10.99] * 50], []),
        # medians 10 and 10.6 differ by 0.6 of their middle, 10.3
        ([[10.0] * 50, [10.6] * 50], ["medians of the repeats differ by 6 %"]),
        ([[10.0] * 50, [10.4] * 50], []),
    ],
)
def test_warnings_say_what_is_unstable(repeats: list[list[float]], said: list[str]) -> None:
    assert list(samples(*repeats).warnings()) == said


@pytest.mark.parametrize(
    ("repeats", "load_ms"),
    [((), ()), (((),), (1.0,)), (((1.0,),), (1.0, 2.0)), (((-1.0,),), (1.0,))],
)
def test_samples_without_times_cannot_be_made(
    repeats: tuple[tuple[float, ...], ...], load_ms: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r"expected|differ"):
        LatencySamples(
            name="a", repeats=repeats, load_ms=load_ms, first_inference_ms=(1.0,) * len(repeats)
        )


@pytest.mark.parametrize(
    ("status", "stdout", "stderr", "text"),
    [
        (1, '{"error": "a.tflite: not\\na model"}', "", "latency a: a.tflite: not a model"),
        (0, '{"error": "odd"}', "", "latency a: odd"),
        (1, "", "Traceback\nValueError: bad", "exit status 1 .*; ValueError: bad"),
        (0, "hello", "", "no JSON object on stdout"),
        (0, "[1]", "", "no JSON object on stdout; it said nothing"),
        (3, json.dumps(reply()), "oops", "exit status 3 .*; oops"),
        (-9, "", "", "killed by SIGKILL, most likely for lack of memory"),
        (-11, "", "", "killed by SIGSEGV"),
    ],
)
def test_a_failed_process_is_one_line_with_its_own_words(
    status: int, stdout: str, stderr: str, text: str
) -> None:
    with pytest.raises(BenchmarkError, match=text) as caught:
        read_reply("latency a", status, stdout, stderr)
    assert "\n" not in str(caught.value)


def test_a_good_answer_is_passed_on() -> None:
    assert read_reply("latency a", 0, json.dumps(reply()), "INFO: delegate") == reply()


def test_a_process_that_takes_too_long_is_killed() -> None:
    with pytest.raises(BenchmarkError, match="no answer within 0 s, killed"):
        run_worker(("latency", "a.tflite"), 0.001)


def test_timeout_grows_with_the_protocol() -> None:
    longer = BenchProtocol(threads=2, warmup_runs=1, min_runs=3, min_duration_s=30, repeats=2)
    assert worker_timeout_s(longer) == worker_timeout_s(PROTOCOL) + 2 * 30
