"""Faster, slower or undecided from the samples; unlike runs are refused with every difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.bench.compare import (
    LatencyComparison,
    change_of,
    compare_results,
    failures,
    parse_fail_on,
)
from edgeface.bench.latency import LatencySamples
from edgeface.bench.latency_bootstrap import Interval
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.result import RESULT_SCHEMA_VERSION, BenchEntry, BenchResult
from edgeface.errors import BenchmarkError, ConfigError
from support.bars import Bars
from support.records import PI


def latency(name: str, scale: float, seed: int, processes: int = 3) -> LatencySamples:
    random = np.random.default_rng(seed)
    times = scale * np.exp(random.normal(0, 0.01, (processes, 12)))
    return LatencySamples(
        name=name,
        repeats=tuple(map(tuple, times.tolist())),
        load_ms=(1.0,) * processes,
        first_inference_ms=(1.0,) * processes,
    )


def entry(name: str, samples: LatencySamples | None, sha: str = "00") -> BenchEntry:
    return BenchEntry(
        name=name,
        artifact_sha256=sha,
        size_bytes=9,
        scheme="int8",
        parameters=1,
        macs=2,
        trained=True,
        latency=samples,
        memory=None,
        quality=None,
    )


def result(*entries: BenchEntry, **changes: Any) -> BenchResult:
    made = BenchResult(
        schema_version=RESULT_SCHEMA_VERSION,
        started_utc="2025-11-22T03:16:05+00:00",
        device_before=PI,
        device_after=PI,
        protocol=BenchProtocol(),
        runtime="ai-edge-litert",
        runtime_version="2.1.0",
        edgeface_version="0.1.0",
        commit="unknown",
        entries=entries,
        baseline=None,
        data=None,
        warnings=(),
    )
    return replace(made, **changes)


def compared(b_scale: float, *, processes: int = 3, sha: str = "11") -> LatencyComparison:
    a = result(entry("small", latency("small", 10, 1, processes)))
    b = result(entry("small", latency("small", 10 * b_scale, 2, processes), sha))
    (found,) = compare_results(a, b)
    return found


def test_the_same_samples_are_undecided() -> None:
    one = result(entry("small", latency("small", 10, 1)))
    (found,) = compare_results(one, one)
    assert [each.change for each in found.percentiles] == ["undecided"] * 3
    assert found.same_file
    assert found.percentile(50).ratio == 1


@pytest.mark.parametrize(("scale", "change"), [(2.0, "slower"), (0.5, "faster")])
def test_twice_the_time_is_slower_and_half_of_it_faster(scale: float, change: str) -> None:
    found = compared(scale)
    assert [each.change for each in found.percentiles] == [change] * 3
    assert not found.same_file
    for each in found.percentiles:
        assert each.interval is not None
        assert each.interval.low <= each.ratio <= each.interval.high
    assert found.percentile(50).ratio == pytest.approx(scale, rel=0.05)


@given(scale=st.floats(0.8, 1.25))
@settings(max_examples=3, deadline=None)
def test_swapped_results_give_the_opposite(scale: float) -> None:
    opposite = {"faster": "slower", "slower": "faster", "undecided": "undecided"}
    a = result(entry("small", latency("small", 10, 1)))
    b = result(entry("small", latency("small", 10 * scale, 2)))
    there, back = (compare_results(*pair)[0].percentile(50) for pair in ((a, b), (b, a)))
    assert back.change == opposite[there.change]
    assert back.ratio == pytest.approx(1 / there.ratio)


@pytest.mark.parametrize(
    ("low", "high", "change"),
    [
        (0.90, 0.98, "faster"),  # 1 / 1.02 is 0.9804
        (0.90, 0.985, "undecided"),
        (1.015, 1.5, "undecided"),
        (1.025, 1.5, "slower"),
        (0.5, 2.0, "undecided"),
    ],
)
def test_the_whole_interval_must_be_beyond_the_margin(low: float, high: float, change: str) -> None:
    assert change_of(Interval(low=low, high=high), 0.02) == change


def test_models_are_matched_by_name_in_the_first_ones_order() -> None:
    a = result(entry("x", latency("x", 1, 1)), entry("y", latency("y", 1, 2)), entry("z", None))
    b = result(entry("y", latency("y", 1, 3)), entry("x", latency("x", 1, 4)))
    assert [each.name for each in compare_results(a, b)] == ["x", "y"]
    assert [each.name for each in compare_results(a, b, names=["y"])] == ["y"]
    bars = Bars()
    compare_results(a, b, reporter=bars)
    assert (bars.totals, bars.steps) == ([("comparing", 2)], [1, 1])
    with pytest.raises(BenchmarkError, match=r"cannot compare z: timed in the first .* are x, y"):
        compare_results(a, b, names=["z"])
    with pytest.raises(BenchmarkError, match=r"cannot compare anything: .* in the second none"):
        compare_results(a, result(entry("x", None)))
    with pytest.raises(BenchmarkError, match="margin is -1"):
        compare_results(a, b, margin_ratio=-1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"device_before": replace(PI, model="Pi 5")}, "device Raspberry Pi 4 and Pi 5"),
        ({"device_before": replace(PI, arch="armv7l")}, "architecture aarch64 and armv7l"),
        ({"device_before": replace(PI, cores=2)}, "cores 4 and 2"),
        ({"device_before": replace(PI, governor=None)}, "governor performance and not known"),
        (
            {"device_before": replace(PI, python="3.11.2 (32-bit)")},
            "word size of Python 64-bit and 32-bit",
        ),
        ({"runtime": "tflite-runtime"}, "runtime ai-edge-litert and tflite-runtime"),
        ({"runtime_version": "2.2.0"}, "runtime version 2.1.0 and 2.2.0"),
        ({"protocol": BenchProtocol(threads=4)}, "protocol threads 1 and 4"),
        ({"protocol": BenchProtocol(cores=(0, 1))}, "protocol cores not known and 0, 1"),
        ({"protocol": BenchProtocol(repeats=2)}, "protocol repeats 3 and 2"),
        ({"protocol": BenchProtocol(sample_interval_s=0)}, "sample_interval_s 1.0 and 0"),
        ({"invalid_reasons": ("throttled now",)}, "the second is invalid, throttled now"),
    ],
)
def test_unlike_runs_are_refused(changes: dict[str, Any], text: str) -> None:
    a = result(entry("small", latency("small", 1, 1)))
    with pytest.raises(BenchmarkError, match="cannot compare unlike runs") as caught:
        compare_results(a, replace(a, **changes))
    assert text in str(caught.value)


def test_every_difference_is_listed() -> None:
    a = result(entry("small", latency("small", 1, 1)))
    b = replace(a, runtime_version="3", protocol=BenchProtocol(threads=2))
    with pytest.raises(BenchmarkError, match=r"runtime version .*; protocol threads 1 and 2; meas"):
        compare_results(a, b)


def test_a_patch_of_python_or_another_name_is_no_difference() -> None:
    a = result(entry("small", latency("small", 1, 1)))
    other = replace(PI, name="pi", python="3.11.9 (64-bit)", temperature_c=60.0)
    assert compare_results(a, replace(a, device_before=other))


def test_fail_on_fails_only_where_it_is_sure() -> None:
    rules = [parse_fail_on("p50:+5%")]
    assert failures([compared(1.0), compared(0.5)], rules) == ()
    (line,) = failures([compared(2.0)], rules)
    assert line.startswith("small: p50 +")
    assert line.endswith("beyond p50:+5%")
    # slower by the default margin, but not by 150 %
    assert failures([compared(2.0)], [parse_fail_on("p50:+150%")]) == ()


def test_what_cannot_be_judged_does_not_pass() -> None:
    found = compared(1.0, processes=1)
    assert found.percentile(50).change == "undecided"
    assert found.percentile(50).interval is None
    (line,) = failures([found], [parse_fail_on("p99:+5%")])
    assert "of 1 and 1 processes: cannot be held to p99:+5%" in line


@pytest.mark.parametrize(
    ("text", "percent", "margin"), [("p50:+5%", 50, 0.05), ("p99: +12.5 %", 99, 0.125)]
)
def test_fail_on_is_read(text: str, percent: int, margin: float) -> None:
    rule = parse_fail_on(text)
    assert rule.percent == percent
    assert rule.margin_ratio == pytest.approx(margin)


@pytest.mark.parametrize("text", ["", "p50", "p50:5%", "p50:-5%", "p95:+5%", "p50:+5", "p50:+x%"])
def test_fail_on_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--fail-on: found .* e\.g\. p50:\+5%"):
        parse_fail_on(text)
