"""The figures of heads of ages, against arithmetic written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.errors import DataError, EdgefaceError, ModelError
from edgeface.model.age_metrics import age_metrics, decades_of
from edgeface.model.heads import DECADES_YEARS
from edgeface.types import Metric

TRUE = [20.0] * 10
SAID = [20.0, 21, 19, 20, 20, 20, 24, 20, 20, 17]


def figures(predicted: Any = SAID, labels: Any = TRUE, **options: Any) -> dict[str, Metric]:
    return {metric.name: metric for metric in age_metrics("age", predicted, labels, **options)}


def test_values_are_the_arithmetic_of_the_errors() -> None:
    # 19 and 17 are of another decade than 20
    expected = {
        "mae": (1 + 1 + 4 + 3) / 10,
        "rmse": math.sqrt((1 + 1 + 16 + 9) / 10),
        "within_5_years": 10 / 10,
        "decade_accuracy": 8 / 10,
        "mae_20_29": (1 + 1 + 4 + 3) / 10,
    }
    values = {name: metric.value for name, metric in figures().items()}
    assert list(values) == list(expected)
    np.testing.assert_allclose(list(values.values()), list(expected.values()), rtol=1e-12)


def test_r2_is_the_share_of_the_spread_that_is_explained() -> None:
    # mean age 30: spread 100 + 0 + 100, errors 1, 2 and 3 years
    found = figures([21, 28, 43], [20, 30, 40])
    assert found["r2"].value == pytest.approx(1 - (1 + 4 + 9) / 200)
    assert list(found)[:5] == ["mae", "rmse", "r2", "within_5_years", "decade_accuracy"]
    worse_than_the_mean = figures([40, 20], [20, 40])
    assert worse_than_the_mean["r2"].value == pytest.approx(1 - (400 + 400) / 200)
    assert "r2" not in figures(), "all are 20 years old"


def test_five_years_off_is_within_five_years() -> None:
    off = [5.0, -5.0, 5.001, 0.0]
    assert figures(np.add(40, off), [40] * 4)["within_5_years"].value == 3 / 4


def test_every_decade_has_its_error_and_its_images() -> None:
    ages = [0, 9, 10, 19, 19, 105]
    found = figures(np.add(ages, [1, -3, 4, 4, 1, 10]), ages)
    decades = {name: metric for name, metric in found.items() if name.startswith("mae_")}
    assert {name: metric.n for name, metric in decades.items()} == {
        "mae_0_9": 2,
        "mae_10_19": 3,
        "mae_100_109": 1,
    }
    assert [metric.value for metric in decades.values()] == [(1 + 3) / 2, (4 + 4 + 1) / 3, 10]


@pytest.mark.parametrize(
    ("age", "said", "same"),
    [
        (9, 9.99, True),
        (10, 9.99, False),
        (10, 19.99, True),
        (19, 20.0, False),
        (99, 100.0, False),
        (100, 99.99, False),
        (100, 104.0, True),
        (100, 116.0, True),  # all from 100 on are one decade
        (116, 105.0, True),  # what a head of decades says of them
        (116, 130.0, True),
        (3, -4.0, True),  # a regression may say so; nobody is younger
        (13, -4.0, False),
    ],
)
def test_a_decade_is_right_where_it_is_the_true_one(age: int, said: float, same: bool) -> None:
    assert figures([said, 55.0], [age, 20])["decade_accuracy"].value == same / 2


def test_a_head_of_decades_is_right_about_every_age_that_it_can_say() -> None:
    """The middles of the heads and the decades of the figures are the same eleven."""
    ages = np.arange(121)
    said = np.array(DECADES_YEARS)[np.minimum(ages // 10, 10)]
    found = figures(said, ages, resamples=2)
    assert found["decade_accuracy"].value == 1.0
    np.testing.assert_array_equal(decades_of(np.array(DECADES_YEARS)), np.arange(11))


def test_the_decade_of_no_age_is_none() -> None:
    np.testing.assert_array_equal(decades_of(np.array([math.nan, 7.0, 119.0])), [math.nan, 0, 10])


def test_interval_is_that_of_a_plain_bootstrap_loop() -> None:
    # the same draws, 7 chunks and a remainder, by the slowest way there is
    resamples, seed = 377, 5
    rng = np.random.default_rng(seed)
    errors = np.abs(np.subtract(SAID, TRUE))
    drawn = np.concatenate([rng.integers(10, size=(rows, 10)) for rows in [50] * 7 + [27]])
    means = [errors[row].mean() for row in drawn]
    mae = figures(seed=seed, resamples=resamples)["mae"]
    np.testing.assert_allclose(
        [mae.low, mae.high], [np.percentile(means, 2.5), np.percentile(means, 97.5)], rtol=1e-12
    )


def test_perfect_predictions_have_intervals_without_width() -> None:
    found = figures(TRUE)
    assert (found["rmse"].low, found["rmse"].high) == (0.0, 0.0)


def test_one_seed_gives_one_interval_and_another_seed_another() -> None:
    assert figures(seed=3) == figures(seed=3)
    assert figures(seed=3)["mae"].low != figures(seed=4)["mae"].low


def test_ages_that_are_not_known_exactly_do_not_count() -> None:
    found = figures(labels=[math.nan, 20.0, *[math.nan] * 7, 20.0])
    assert (found["mae"].value, found["mae"].n) == ((1 + 3) / 2, 2)
    assert found["rmse"].value == math.sqrt((1 + 9) / 2)
    assert found["decade_accuracy"].value == 1 / 2


AGES = st.lists(st.tuples(st.floats(-50, 200), st.floats(0, 116)), min_size=1, max_size=40)


@given(ages=AGES, seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_bounds_and_identities(ages: list[tuple[float, float]], seed: int) -> None:
    said, true = map(list, zip(*ages, strict=True))
    found = figures(said, true, seed=seed, resamples=60)
    for metric in found.values():
        assert math.isfinite(metric.value)
        assert metric.low <= metric.high
        assert metric.low >= 0 or metric.name == "r2"
        assert metric.unit != "ratio" or max(metric.value, metric.high) <= 1
    decades = [each for name, each in found.items() if name.startswith("mae_")]
    assert sum(each.n for each in decades) == len(ages)
    mae, rmse = found["mae"].value, found["rmse"].value
    assert mae == pytest.approx(sum(each.n * each.value for each in decades) / len(ages))
    worst = np.abs(np.subtract(said, true)).max()
    slack = 1e-9 * (1 + worst)
    assert mae <= rmse + slack
    assert rmse <= worst + slack


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"predicted": [1.0] * 11}, DataError, r"predictions have shape \[11\], expected \[10\]"),
        ({"labels": []}, DataError, "of at least one image"),
        ({"labels": [-1.0] * 10}, DataError, "metrics of age: the label of image 0 is -1"),
        ({"labels": [1.0, math.inf] * 5}, DataError, "label of image 1 is inf, expected years fr"),
        ({"labels": [math.nan] * 10}, DataError, "none of 10 images has a known exact age, exp"),
        ({"predicted": [math.inf] * 10}, ModelError, "the prediction of image 0 is inf"),
        ({"resamples": 0}, ValueError, "resamples is 0"),
    ],
)
def test_errors_say_which_image_and_what_was_expected(
    changes: dict[str, Any], error: type[EdgefaceError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        figures(**changes)
    assert "\n" not in str(caught.value)
