"""The figures of `model.metrics`, against arithmetic written out and against theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.errors import DataError, EdgefaceError, ModelError
from edgeface.model.metrics import confusion_counts, quality_metrics
from edgeface.types import Metric

# true: 4 male, 6 female; said: 3 of the males right, 4 of the females right
GENDER = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
P_FEMALE = [0.1, 0.2, 0.49, 0.9, 0.5, 0.6, 0.7, 1.0, 0.3, 0.0]
AGE_TRUE = [20.0] * 10
AGE_PRED = [20.0, 21, 19, 20, 20, 20, 24, 20, 20, 17]


def figures(**changes: Any) -> dict[str, Metric]:
    given = {"p_female": P_FEMALE, "gender": GENDER, "age_pred": AGE_PRED, "age_true": AGE_TRUE}
    return {metric.name: metric for metric in quality_metrics(**{**given, **changes})}


def test_values_are_the_arithmetic_of_the_confusion_matrix() -> None:
    values = {name: metric.value for name, metric in figures().items()}
    expected = {
        "accuracy": (3 + 4) / 10,
        "precision_male": 3 / (3 + 2),
        "recall_male": 3 / 4,
        "f1_male": 2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4),
        "precision_female": 4 / (4 + 1),
        "recall_female": 4 / 6,
        "f1_female": 2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6),
        "true_male_said_male": 3,
        "true_male_said_female": 1,
        "true_female_said_male": 2,
        "true_female_said_female": 4,
        # pairs won by the females 0.5, 0.6, 0.7, 1.0, 0.3, 0.0 over the males 0.1, 0.2, 0.49, 0.9
        "roc_auc": (3 + 3 + 3 + 4 + 2 + 0) / (6 * 4),
        # a line a bin of confidence: right answers - the sum of their confidence
        "calibration_error": (
            abs(2 - (0.5 + 0.51))
            + abs(1 - 0.6)
            + abs(1 - (0.7 + 0.7))
            + abs(1 - 0.8)
            + abs(1 - (0.9 + 0.9))
            + abs(1 - (1.0 + 1.0))
        )
        / 10,
        "mae": (1 + 1 + 4 + 3) / 10,
        "rmse": math.sqrt((1 + 1 + 16 + 9) / 10),
        "within_5_years": 10 / 10,
        "mae_20_29": (1 + 1 + 4 + 3) / 10,
    }
    assert list(values) == list(expected)
    np.testing.assert_allclose(list(values.values()), list(expected.values()), rtol=1e-12)


def test_r2_is_the_share_of_the_spread_that_is_explained() -> None:
    # mean age 30: spread 100 + 0 + 100, errors 1, 2 and 3 years
    found = figures(
        gender=[0, 1, 0], p_female=[0, 1, 0], age_true=[20, 30, 40], age_pred=[21, 28, 43]
    )
    assert found["r2"].value == pytest.approx(1 - (1 + 4 + 9) / 200)
    worse_than_the_mean = figures(
        gender=[0, 1], p_female=[0, 1], age_true=[20, 40], age_pred=[40, 20]
    )
    assert worse_than_the_mean["r2"].value == pytest.approx(1 - (400 + 400) / 200)


def test_five_years_off_is_within_five_years() -> None:
    off = [5.0, -5.0, 5.001, 0.0]
    found = figures(gender=[0] * 4, p_female=[0.0] * 4, age_true=[40] * 4, age_pred=np.add(40, off))
    assert found["within_5_years"].value == 3 / 4


def test_every_decade_has_its_error_and_its_images() -> None:
    ages = [0, 9, 10, 19, 19, 105]
    found = figures(
        gender=[0] * 6,
        p_female=[0.0] * 6,
        age_true=ages,
        age_pred=np.add(ages, [1, -3, 4, 4, 1, 10]),
    )
    decades = {name: metric for name, metric in found.items() if name.startswith("mae_")}
    assert {name: metric.n for name, metric in decades.items()} == {
        "mae_0_9": 2,
        "mae_10_19": 3,
        "mae_100_109": 1,
    }
    assert [metric.value for metric in decades.values()] == [(1 + 3) / 2, (4 + 4 + 1) / 3, 10]


def test_what_no_image_can_tell_is_left_out() -> None:
    found = figures(gender=[0] * 10)
    assert "roc_auc" not in found  # no pair of genders
    assert "r2" not in found  # all are 20 years old
    assert {"roc_auc", "r2"} < set(figures(age_true=[*[20.0] * 9, 21.0]))


@given(
    pairs=st.lists(
        # few values, so that there are ties
        st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.51, 1.0]), st.integers(0, 1)),
        min_size=2,
        max_size=25,
    ).filter(lambda pairs: len({gender for _, gender in pairs}) == 2),
)
@settings(max_examples=40)
def test_area_under_the_curve_is_the_share_of_pairs_in_order(
    pairs: list[tuple[float, int]],
) -> None:
    p_female, gender = map(list, zip(*pairs, strict=True))
    n = len(pairs)
    won = [
        1.0 if female > male else 0.5 if female == male else 0.0
        for female, is_female in pairs
        for male, other in pairs
        if is_female and not other
    ]
    metric = figures(
        p_female=p_female, gender=gender, age_pred=[0] * n, age_true=[0] * n, resamples=40
    )["roc_auc"]
    assert metric.value == pytest.approx(sum(won) / len(won))
    assert 0 <= metric.low <= metric.high <= 1


def test_interval_of_the_area_is_that_of_a_plain_bootstrap_loop() -> None:
    rng = np.random.default_rng(5)
    areas = []
    for row in np.concatenate([rng.integers(10, size=(rows, 10)) for rows in (50, 50, 3)]):
        female = [P_FEMALE[at] for at in row if GENDER[at] == 1]
        male = [P_FEMALE[at] for at in row if GENDER[at] == 0]
        won = [
            1.0 if high > low else 0.5 if high == low else 0.0 for high in female for low in male
        ]
        areas.append(float(np.mean(won)) if won else 0.5)
    metric = figures(seed=5, resamples=103)["roc_auc"]
    np.testing.assert_allclose(
        [metric.low, metric.high], np.percentile(np.array(areas), [2.5, 97.5]), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        (0.75, 75, 0.0),  # right as often as it is sure
        (0.75, 100, 0.25),
        (1.0, 60, 0.4),
        (0.5, 50, 0.0),
    ],
)
def test_calibration_error_is_how_far_certainty_is_from_truth(
    confidence: float, right: int, error: float
) -> None:
    # all are called female with the same certainty, `right` of 100 are
    gender = [1] * right + [0] * (100 - right)
    found = figures(
        p_female=[confidence] * 100, gender=gender, age_pred=[1] * 100, age_true=[1] * 100
    )
    assert found["calibration_error"].value == pytest.approx(error, abs=1e-12)


def test_errors_of_two_bins_do_not_cancel() -> None:
    # half the faces: sure 0.6 and always right; the others: sure 0.9 and right 6 of 10 times
    gender = [1] * 10 + [1] * 6 + [0] * 4
    found = figures(
        p_female=[0.6] * 10 + [0.9] * 10, gender=gender, age_pred=[1] * 20, age_true=[1] * 20
    )
    assert found["calibration_error"].value == pytest.approx((10 * 0.4 + 10 * 0.3) / 20)


def test_confusion_has_the_truth_in_rows() -> None:
    counts = confusion_counts(p_female=P_FEMALE, gender=GENDER)
    np.testing.assert_array_equal(counts, [[3, 1], [2, 4]])
    assert counts.dtype == np.int64


def test_half_counts_as_female() -> None:
    assert figures(p_female=[0.5] * 10)["recall_female"].value == 1.0
    assert figures(p_female=[np.nextafter(0.5, 0)] * 10)["recall_female"].value == 0.0


def test_a_class_never_predicted_has_precision_zero_and_no_nan() -> None:
    found = figures(p_female=[0.0] * 10)
    assert found["precision_female"].value == 0.0
    assert found["f1_female"].value == 0.0
    assert found["recall_male"].value == 1.0


def test_a_class_that_is_not_there_has_recall_zero() -> None:
    found = figures(gender=[0] * 10)
    assert found["recall_female"].value == 0.0
    assert found["recall_female"].high == 0.0


def test_perfect_predictions_have_intervals_without_width() -> None:
    found = figures(p_female=[float(g) for g in GENDER], age_pred=AGE_TRUE)
    assert (found["accuracy"].low, found["accuracy"].high) == (1.0, 1.0)
    assert (found["rmse"].low, found["rmse"].high) == (0.0, 0.0)


def test_interval_of_accuracy_is_as_wide_as_the_binomial_says() -> None:
    # 1.96 standard deviations of a mean of n coin flips; 15 % for the noise of 4,000 resamples
    # at the tails, whose own standard deviation is about 2.5 %
    n, accuracy = 2000, 0.9
    wrong = np.arange(n) < (1 - accuracy) * n
    metric = figures(
        p_female=wrong.astype(float),
        gender=np.zeros(n, int),
        age_pred=np.zeros(n),
        age_true=np.zeros(n),
        resamples=4000,
    )["accuracy"]
    half_width = 1.96 * math.sqrt(accuracy * (1 - accuracy) / n)
    assert metric.value == pytest.approx(accuracy)
    assert metric.value - metric.low == pytest.approx(half_width, rel=0.15)
    assert metric.high - metric.value == pytest.approx(half_width, rel=0.15)


def test_interval_is_that_of_a_plain_bootstrap_loop() -> None:
    # the same draws, 7 chunks and a remainder, by the slowest way there is
    resamples, seed = 377, 5
    rng = np.random.default_rng(seed)
    errors = np.abs(np.subtract(AGE_PRED, AGE_TRUE))
    drawn = np.concatenate([rng.integers(10, size=(rows, 10)) for rows in [50] * 7 + [27]])
    means = [errors[row].mean() for row in drawn]
    mae = figures(seed=seed, resamples=resamples)["mae"]
    np.testing.assert_allclose(
        [mae.low, mae.high], [np.percentile(means, 2.5), np.percentile(means, 97.5)], rtol=1e-12
    )


def test_one_seed_gives_one_interval_and_another_seed_another() -> None:
    assert figures(seed=3) == figures(seed=3)
    assert figures(seed=3)["mae"].low != figures(seed=4)["mae"].low


def test_every_metric_names_its_unit_and_images() -> None:
    for metric in figures().values():
        assert metric.n == 10
        counts = metric.name.startswith("true_")
        years = metric.name == "rmse" or metric.name.startswith("mae")
        assert metric.unit == ("images" if counts else "years" if years else "ratio")
        assert metric.task == ("age" if years or metric.name == "within_5_years" else "gender")


faces = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 1),
        st.floats(-50, 200),
        st.floats(0, 116),
    ),
    min_size=1,
    max_size=40,
)


@given(faces=faces, seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_bounds_and_identities(faces: list[tuple[float, int, float, float]], seed: int) -> None:
    p_female, gender, age_pred, age_true = map(list, zip(*faces, strict=True))
    found = figures(
        p_female=p_female,
        gender=gender,
        age_pred=age_pred,
        age_true=age_true,
        seed=seed,
        resamples=60,
    )
    for metric in found.values():
        assert math.isfinite(metric.value)
        assert metric.low <= metric.high
        assert metric.low >= 0 or metric.name == "r2"
        assert metric.unit != "ratio" or max(metric.value, metric.high) <= 1
    n = len(faces)
    assert sum(each.value for name, each in found.items() if name.startswith("true_")) == n
    decades = [each for name, each in found.items() if name.startswith("mae_")]
    assert sum(each.n for each in decades) == n
    assert found["mae"].value == pytest.approx(sum(each.n * each.value for each in decades) / n)
    value = {name: metric.value for name, metric in found.items()}
    share_female = np.mean(gender)
    assert value["accuracy"] == pytest.approx(
        share_female * value["recall_female"] + (1 - share_female) * value["recall_male"]
    )
    for name in ("male", "female"):
        precision, recall = value[f"precision_{name}"], value[f"recall_{name}"]
        total = precision + recall
        harmonic = 2 * precision * recall / total if total else 0.0
        assert value[f"f1_{name}"] == pytest.approx(harmonic)
    worst = np.abs(np.subtract(age_pred, age_true)).max()
    slack = 1e-9 * (1 + worst)
    assert value["mae"] <= value["rmse"] + slack
    assert value["rmse"] <= worst + slack


def test_a_task_is_measured_on_the_images_that_have_its_label() -> None:
    # the first three of four males are said right; of the females none has a gender
    gender, age_true = [*GENDER[:4], *[-1] * 6], [math.nan, 20.0, *[math.nan] * 7, 20.0]
    found = figures(gender=gender, age_true=age_true)
    assert (found["accuracy"].value, found["accuracy"].n) == (3 / 4, 4)
    assert (found["mae"].value, found["mae"].n) == ((1 + 3) / 2, 2)
    assert found["rmse"].value == math.sqrt((1 + 9) / 2)
    counts = confusion_counts(p_female=P_FEMALE, gender=gender)
    np.testing.assert_array_equal(counts, [[3, 1], [0, 0]])


@given(faces=faces, seed=st.integers(0, 2**32), data=st.data())
@settings(max_examples=25)
def test_figures_are_those_of_the_labelled_images_alone(
    faces: list[tuple[float, int, float, float]], seed: int, data: st.DataObject
) -> None:
    n = len(faces)
    masks = st.lists(st.booleans(), min_size=n, max_size=n).filter(any).map(np.array)
    has_gender, has_age = data.draw(masks), data.draw(masks)
    p_female, gender, age_pred, age_true = map(np.array, zip(*faces, strict=True))
    every = {"p_female": p_female, "gender": gender, "age_pred": age_pred, "age_true": age_true}
    found = figures(
        **{
            **every,
            "gender": np.where(has_gender, gender, -1),
            "age_true": np.where(has_age, age_true, np.nan),
        },
        seed=seed,
        resamples=60,
    )
    for task, has in (("gender", has_gender), ("age", has_age)):
        alone = figures(**{name: x[has] for name, x in every.items()}, seed=seed, resamples=60)
        expected = {name: metric for name, metric in alone.items() if metric.task == task}
        assert {name: found[name] for name in expected} == expected
        of_all = {m.n for name, m in expected.items() if not name.startswith("mae_")}
        assert of_all == {int(has.sum())}


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30),
)
def test_confusion_counts_every_image_once(pairs: list[tuple[float, int]]) -> None:
    p_female, gender = map(list, zip(*pairs, strict=True))
    counts = confusion_counts(p_female=p_female, gender=gender)
    assert counts.sum() == len(pairs)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(gender, minlength=2))


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"p_female": [0.5] * 9}, DataError, "p_female has 9 values and gender 10"),
        ({"age_pred": [1.0] * 11}, DataError, "age_pred has 11 values"),
        ({"p_female": [[0.5]] * 10}, DataError, r"shape \(10, 1\)"),
        ({"gender": []}, DataError, "at least one image"),
        ({"gender": [0] * 9 + [2]}, DataError, "gender of image 9 is 2"),
        ({"gender": [0.5] * 10}, DataError, "gender of image 0 is 0.5"),
        ({"gender": [-2] * 10}, DataError, "gender of image 0 is -2, expected 0 .*or -1 .unkno"),
        ({"gender": [-1] * 10}, DataError, "none of 10 images has a known gender, expected at"),
        ({"age_true": [-1.0] * 10}, DataError, "age_true of image 0 is -1"),
        ({"age_true": [1.0, math.inf] * 5}, DataError, "age_true of image 1 is inf"),
        ({"age_true": [math.nan] * 10}, DataError, "none of 10 images has a known exact age, exp"),
        ({"p_female": [0.5, math.nan] * 5}, ModelError, "p_female of image 1 is nan"),
        ({"p_female": [1.01] * 10}, ModelError, "expected a number from 0 to 1"),
        ({"age_pred": [math.inf] * 10}, ModelError, "age_pred of image 0 is inf"),
        ({"resamples": 0}, ValueError, "resamples is 0"),
    ],
)
def test_errors_say_which_image_and_what_was_expected(
    changes: dict[str, Any], error: type[EdgefaceError], text: str
) -> None:
    with pytest.raises(error, match=text):
        figures(**changes)
