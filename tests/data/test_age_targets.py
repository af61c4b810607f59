"""Age targets: normals over the bins or shares of decades, an interval the mean of its years."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.data.age_targets import decade_shares, interval_bins
from edgeface.errors import DataError

AGE_BINS_YEARS = tuple(float(age) for age in range(101))  # as the heads of `model` have them
MIDDLES_YEARS = tuple(float(age) for age in range(5, 110, 10))
Ints = NDArray[np.int64]


def ages(*years: int) -> Ints:
    return np.array(years, np.int64)


def by_loops(low: int, high: int, bins: tuple[float, ...], sigma: float) -> list[float]:
    """Oracle: each year that the bins can express gives one normal; rows are averaged."""
    years = [float(y) for y in range(low, high + 1) if bins[0] <= y <= bins[-1]]
    if not years:
        years = [min(max(float(low), bins[0]), bins[-1])]
    row = [0.0] * len(bins)
    for year in years:
        normal = [math.exp(-((year - centre) ** 2) / (2 * sigma**2)) for centre in bins]
        for i, weight in enumerate(normal):
            row[i] += weight / sum(normal) / len(years)
    return row


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=6),
    sigma=st.floats(0.5, 8),
    last=st.sampled_from([30.0, 80.5, 100.0, 120.0]),
    step=st.sampled_from([1.0, 2.5]),
)
def test_it_is_the_average_of_the_normals_of_its_years(
    pairs: list[tuple[int, int]], sigma: float, last: float, step: float
) -> None:
    bins = tuple(np.arange(0.0, last + 0.1, step).tolist())
    low = ages(*(min(pair) for pair in pairs))
    high = ages(*(max(pair) for pair in pairs))
    found = interval_bins(low, high, bins, sigma)
    assert found.dtype == np.float64
    expected = [by_loops(a, b, bins, sigma) for a, b in zip(low, high, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    assert np.all(found >= 0)


@settings(max_examples=60, deadline=None)
@given(sigma=st.floats(1, 4), share=st.floats(0, 1))
def test_mean_of_a_target_is_the_age_where_no_tail_is_cut_off(sigma: float, share: float) -> None:
    # 5σ from either end: what the ends cut off moves the mean by less than 1e-5 σ; and from σ = 1
    # on the sum over whole years is the integral to 1e-7 (Poisson summation)
    age = ages(round(5 * sigma + share * (100 - 10 * sigma)))
    found = interval_bins(age, age, AGE_BINS_YEARS, sigma)
    # rounding to whole years may bring the age half a year nearer to the end
    assert found[0] @ np.asarray(AGE_BINS_YEARS) == pytest.approx(age[0], abs=1e-3)


def test_exact_ages_by_a_plain_loop() -> None:
    years, sigma = ages(0, 33, 100, 116), 2.0
    expected = []
    for year in years:
        weights = [math.exp(-((min(year, 100) - b) ** 2) / (2 * sigma**2)) for b in range(101)]
        expected.append([weight / sum(weights) for weight in weights])
    found = interval_bins(years, years, AGE_BINS_YEARS, sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_bins_of_fairface_lie_where_they_should() -> None:
    found = interval_bins(ages(3, 10, 70), ages(9, 19, 120), AGE_BINS_YEARS, 2.0)
    means = found @ np.asarray(AGE_BINS_YEARS)
    # the middle of 3 to 9, of 10 to 19, and of 70 to 100: the head knows no age above 100. The ends
    # of the bins cut off tails of the normals near 0 and 100, which moves the mean inwards a little
    np.testing.assert_allclose(means, [6, 14.5, 85], atol=0.12)
    inside = found[1, 10:20]
    assert inside.sum() == pytest.approx(0.84, abs=0.03)
    assert inside.max() / inside.min() < 2, "nearly even"


def test_order_and_repeats_do_not_matter() -> None:
    low, high = ages(20, 3, 20, 50), ages(29, 9, 29, 50)
    found = interval_bins(low, high, AGE_BINS_YEARS, 2.0)
    np.testing.assert_array_equal(found[0], found[2])
    swapped = interval_bins(low[::-1], high[::-1], AGE_BINS_YEARS, 2.0)
    np.testing.assert_array_equal(swapped[::-1], found)
    assert interval_bins(ages(), ages(), AGE_BINS_YEARS, 2.0).shape == (0, 101)


def test_a_normal_between_two_bins_goes_to_the_nearest() -> None:
    found = interval_bins(ages(2), ages(2), (0.0, 5.0), 0.01)  # both weights underflow to 0
    np.testing.assert_array_equal(found, [[1.0, 0.0]])


@pytest.mark.parametrize(
    ("low", "high", "bins", "sigma", "expected"),
    [
        ([1], [1, 2], (0.0, 1.0), 1.0, r"found shapes \[1\] and \[2\]"),
        ([[1]], [[1]], (0.0, 1.0), 1.0, r"found shapes \[1, 1\] and \[1, 1\]"),
        ([1], [1], (), 1.0, "rising centres"),
        ([1], [1], (1.0, 0.0), 1.0, "rising centres"),
        ([1], [1], (0.0, 1.0), 0.0, "found 0.0 years, expected more than 0"),
        ([1], [1], (0.0, 1.0), math.nan, "found nan years, expected more than 0"),
        ([1, 3], [1, 2], (0.0, 1.0), 1.0, "age interval 1: found 3 to 2 years"),
        ([-1], [2], (0.0, 1.0), 1.0, "age interval 0: found -1 to 2 years"),
        ([1], [121], (0.0, 1.0), 1.0, "age interval 0: found 1 to 121 years"),
        ([1.5], [2], (0.0, 1.0), 1.0, "age interval 0: found 1.5 to 2 years"),
        ([math.nan], [2], (0.0, 1.0), 1.0, "found nan to 2 years.*leave faces without an age out"),
    ],
)
def test_what_is_no_interval(
    low: list[float], high: list[float], bins: tuple[float, ...], sigma: float, expected: str
) -> None:
    with pytest.raises(DataError, match=expected):
        interval_bins(np.array(low), np.array(high), bins, sigma)


def decades(low: int, high: int) -> list[float]:
    (row,) = decade_shares(ages(low), ages(high), MIDDLES_YEARS)
    return list(map(float, row))


@pytest.mark.parametrize(
    ("year", "decade"), [(0, 0), (9, 0), (10, 1), (59, 5), (99, 9), (100, 10), (109, 10), (120, 10)]
)
def test_an_exact_age_is_in_one_decade(year: int, decade: int) -> None:
    assert decades(year, year) == [float(number == decade) for number in range(11)]


@pytest.mark.parametrize(
    ("low", "high", "shares"),
    [
        (20, 29, {2: 1.0}),
        (3, 9, {0: 1.0}),
        (15, 24, {1: 5 / 10, 2: 5 / 10}),
        (9, 32, {0: 1 / 24, 1: 10 / 24, 2: 10 / 24, 3: 3 / 24}),
        (0, 120, {**dict.fromkeys(range(10), 10 / 101), 10: 1 / 101}),
        # FairFace's last bin: no decade more than another, and hardly anybody is a hundred
        (70, 120, {7: 10 / 31, 8: 10 / 31, 9: 10 / 31, 10: 1 / 31}),
        (98, 104, {9: 2 / 3, 10: 1 / 3}),
        (100, 120, {10: 1.0}),
        (111, 115, {10: 1.0}),
    ],
)
def test_an_interval_is_shared_out_by_its_years(
    low: int, high: int, shares: dict[int, float]
) -> None:
    expected = [shares.get(decade, 0.0) for decade in range(11)]
    np.testing.assert_allclose(decades(low, high), expected, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=6),
    last=st.sampled_from([5.0, 65.0, 105.0]),
)
def test_decades_by_loops(pairs: list[tuple[int, int]], last: float) -> None:
    middles = tuple(np.arange(5.0, last + 1, 10).tolist())
    low = ages(*(min(pair) for pair in pairs))
    high = ages(*(max(pair) for pair in pairs))
    found = decade_shares(low, high, middles)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    for row, start, end in zip(found, low, high, strict=True):
        years = [year for year in range(start, end + 1) if year <= last - 5] or [int(start)]
        nearest = [min(year // 10, len(middles) - 1) for year in years]
        expected = [nearest.count(number) / len(years) for number in range(len(middles))]
        np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_no_intervals_have_no_decades() -> None:
    assert decade_shares(ages(), ages(), MIDDLES_YEARS).shape == (0, 11)


def test_what_is_no_interval_has_no_decade() -> None:
    with pytest.raises(DataError, match="age interval 1: found -1 to -1 years, expected whole"):
        decade_shares(ages(20, -1), ages(29, -1), MIDDLES_YEARS)
    with pytest.raises(DataError, match="rising centres"):
        decade_shares(ages(20), ages(20), (15.0, 5.0))
