"""Intervals hold what they promise, are the same both ways round, and know small samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.bench.latency import LatencySamples
from edgeface.bench.latency_bootstrap import (
    percentile_intervals,
    ratio_intervals,
    resampled_percentiles,
    t_quantile,
)


def samples(repeats: Sequence[Sequence[float]]) -> LatencySamples:
    count = len(repeats)
    return LatencySamples(
        name="model",
        repeats=tuple(tuple(repeat) for repeat in repeats),
        load_ms=(1.0,) * count,
        first_inference_ms=(1.0,) * count,
    )


def drawn(random: np.random.Generator, processes: int = 3, runs: int = 8) -> LatencySamples:
    """Processes that differ by 3 %, runs by 2 %, around 10 ms."""
    levels = np.exp(
        random.normal(0, 0.03, (processes, 1)) + random.normal(0, 0.02, (processes, runs))
    )
    return samples((10 * levels).tolist())


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (30, 2.0423), (1e9, 1.96)],
)
def test_t_quantiles_are_those_of_the_tables(degrees: float, expected: float) -> None:
    assert t_quantile(degrees) == pytest.approx(expected, rel=2e-4)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    found = [percentile_intervals(drawn(random), (50,))[0] for _ in range(24)]
    held = sum(each is not None and each.low <= 10 <= each.high for each in found)
    # 95 % of 24 is 23; fewer than 20 has a chance of 0.6 %. A bare percentile interval held 18 here
    assert held >= 20


def test_few_processes_widen_the_interval_by_hand_arithmetic() -> None:
    # two processes without spread inside: the drawn median is one level, the other, or their middle
    (found,) = percentile_intervals(samples([[8.0] * 4, [12.5] * 4]), (50,))
    assert found is not None
    # resamples lie at log 8, log 10.25 and log 12.5; the 2.5 % ends are the levels themselves,
    # widened by sqrt(2 / 1) and t(1) / z around the middle
    factor = math.sqrt(2) * 12.7062 / 1.96
    middle = math.log(10.25)
    assert found.low == pytest.approx(math.exp(middle - factor * (middle - math.log(8))), rel=1e-3)
    assert found.high == pytest.approx(
        math.exp(middle + factor * (math.log(12.5) - middle)), rel=1e-3
    )


def test_one_process_decides_nothing() -> None:
    one, two = samples([[1.0, 2.0]]), samples([[1.0], [2.0]])
    assert percentile_intervals(one, (50, 90)) == (None, None)
    assert ratio_intervals(one, two, (50,)) == (None,)
    assert ratio_intervals(two, one, (50,)) == (None,)


times = st.lists(st.lists(st.floats(0.5, 50), min_size=1, max_size=5), min_size=2, max_size=4)


@given(repeats=times)
@settings(max_examples=4, deadline=None)
def test_equal_samples_have_an_interval_around_1(repeats: list[list[float]]) -> None:
    for interval in ratio_intervals(samples(repeats), samples(repeats), (50, 90)):
        assert interval is not None
        assert interval.low <= 1 + 1e-9
        assert interval.high >= 1 - 1e-9
        assert interval.low * interval.high == pytest.approx(1)


@given(a=times, b=times)
@settings(max_examples=4, deadline=None)
def test_swapped_sides_give_the_reciprocal(a: list[list[float]], b: list[list[float]]) -> None:
    (there,) = ratio_intervals(samples(a), samples(b), (50,))
    (back,) = ratio_intervals(samples(b), samples(a), (50,))
    assert there is not None
    assert back is not None
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))


def test_the_same_samples_give_the_same_interval() -> None:
    made = drawn(np.random.default_rng(1))
    assert percentile_intervals(made, (50, 99)) == percentile_intervals(made, (50, 99))


def test_the_percentiles_of_a_draw_are_numpy_s() -> None:
    times = [[3.0, 1.0, 7.0], [2.0, 4.5]]
    random = np.random.default_rng(0)  # the same draws, written anew
    order = random.integers(2, size=2)
    drawn = [
        np.array(times[at])[random.integers(len(times[at]), size=len(times[at]))] for at in order
    ]
    expected = np.percentile(np.concatenate(drawn), [50, 90, 99])
    found = np.exp(resampled_percentiles(samples(times), (50, 90, 99))[0])
    np.testing.assert_allclose(found, expected)
