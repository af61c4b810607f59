"""The figures of heads of classes, against arithmetic written out and against theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import DataError, EdgefaceError, ModelError
from edgeface.model.class_metrics import class_metrics, confusion_counts
from edgeface.types import GENDER_CLASSES, HeadSpec, Metric

GENDER = HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES)
MOOD = HeadSpec(name="mood", kind="classes", tensor="mood", classes=("happy", "sad", "angry"))

# true: 4 male, 6 female; said: 3 of the males right, 4 of the females right
GENDERS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
P_FEMALE = [0.1, 0.2, 0.49, 0.9, 0.5, 0.6, 0.7, 1.0, 0.3, 0.0]

MOODS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
SAID = [0, 0, 0, 1, 1, 1, 2, 2, 0, 2]  # right: 3 of 4 happy, 2 of 3 sad, 2 of 3 angry
SURE = [0.9, 0.9, 0.5, 0.41, 0.5, 0.9, 0.41, 0.79, 0.41, 0.79]


def probabilities(said: list[int], sure: list[float] | float = 0.9) -> NDArray[np.float64]:
    """[N, 3]: so sure of what is said, the rest shared by the other two."""
    certainty = np.broadcast_to(np.asarray(sure, np.float64), (len(said),))
    found = np.repeat(((1 - certainty) / 2)[:, None], 3, axis=1)
    found[np.arange(len(said)), said] = certainty
    return found


def figures(head: HeadSpec, predicted: Any, labels: Any, **options: Any) -> dict[str, Metric]:
    return {metric.name: metric for metric in class_metrics(head, predicted, labels, **options)}


def assert_values(found: dict[str, Metric], expected: dict[str, float]) -> None:
    assert list(found) == list(expected)
    values = [metric.value for metric in found.values()]
    np.testing.assert_allclose(values, list(expected.values()), rtol=1e-12)


def test_values_of_two_classes_are_the_arithmetic_of_the_confusion_matrix() -> None:
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
    }
    assert_values(figures(GENDER, P_FEMALE, GENDERS), expected)


def test_values_of_three_classes_are_the_arithmetic_of_the_confusion_matrix() -> None:
    expected = {
        "accuracy": (3 + 2 + 2) / 10,
        "balanced_accuracy": (3 / 4 + 2 / 3 + 2 / 3) / 3,
        "macro_f1": (2 * 3 / (4 + 4) + 2 * 2 / (3 + 3) + 2 * 2 / (3 + 3)) / 3,
        "precision_happy": 3 / (3 + 1),
        "recall_happy": 3 / 4,
        "f1_happy": 2 * (3 / 4) * (3 / 4) / (3 / 4 + 3 / 4),
        "precision_sad": 2 / (2 + 1),
        "recall_sad": 2 / 3,
        "f1_sad": 2 * (2 / 3) * (2 / 3) / (2 / 3 + 2 / 3),
        "precision_angry": 2 / (2 + 1),
        "recall_angry": 2 / 3,
        "f1_angry": 2 * (2 / 3) * (2 / 3) / (2 / 3 + 2 / 3),
        "true_happy_said_happy": 3,
        "true_happy_said_sad": 1,
        "true_happy_said_angry": 0,
        "true_sad_said_happy": 0,
        "true_sad_said_sad": 2,
        "true_sad_said_angry": 1,
        "true_angry_said_happy": 1,
        "true_angry_said_sad": 0,
        "true_angry_said_angry": 2,
        "calibration_error": (
            abs(3 - (0.9 + 0.9 + 0.9))
            + abs(2 - (0.5 + 0.5))
            + abs(0 - (0.41 + 0.41 + 0.41))
            + abs(2 - (0.79 + 0.79))
        )
        / 10,
    }
    assert_values(figures(MOOD, probabilities(SAID, SURE), MOODS), expected)


ANSWERS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20)


@given(answers=ANSWERS)
@settings(max_examples=40)
def test_means_over_classes_by_plain_loops(answers: list[tuple[int, int]]) -> None:
    truth, said = map(list, zip(*answers, strict=True))
    found = figures(MOOD, probabilities(said), truth, resamples=3)
    recalls, f1s = [], []
    for number in range(3):
        right = sum(t == s == number for t, s in answers)
        there, named = truth.count(number), said.count(number)
        if there:
            recalls.append(right / there)
            f1s.append(2 * right / (there + named))
    assert found["balanced_accuracy"].value == pytest.approx(sum(recalls) / len(recalls))
    assert found["macro_f1"].value == pytest.approx(sum(f1s) / len(f1s))
    assert found["accuracy"].value == pytest.approx(np.mean([t == s for t, s in answers]))
    for metric in found.values():
        assert math.isfinite(metric.value)
        assert 0 <= metric.low <= metric.high
        assert metric.unit == "images" or max(metric.value, metric.high) <= 1
    assert sum(each.value for each in found.values() if each.unit == "images") == len(answers)


def test_a_class_that_is_not_there_is_not_averaged() -> None:
    # nobody is angry: one happy face is called so, the other three are right
    found = figures(MOOD, probabilities([0, 2, 1, 1]), [0, 0, 1, 1])
    assert found["balanced_accuracy"].value == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert found["macro_f1"].value == pytest.approx((2 * 1 / (1 + 2) + 2 * 2 / (2 + 2)) / 2)
    for name in ("precision", "recall", "f1"):
        assert (found[f"{name}_angry"].value, found[f"{name}_angry"].high) == (0.0, 0.0)
    perfect = figures(MOOD, probabilities([0, 0, 1, 1]), [0, 0, 1, 1])
    for name in ("balanced_accuracy", "macro_f1"):  # also where a draw lacks the other class
        assert (perfect[name].value, perfect[name].low) == (1.0, 1.0)


def test_a_class_never_predicted_has_precision_zero_and_no_nan() -> None:
    found = figures(GENDER, [0.0] * 10, GENDERS)
    assert found["precision_female"].value == 0.0
    assert found["f1_female"].value == 0.0
    assert found["recall_male"].value == 1.0
    found = figures(MOOD, probabilities([0] * 10), MOODS)
    for name in ("sad", "angry"):
        assert (found[f"precision_{name}"].value, found[f"f1_{name}"].value) == (0.0, 0.0)
    assert found["balanced_accuracy"].value == pytest.approx((1 + 0 + 0) / 3)
    assert found["macro_f1"].value == pytest.approx((2 * 4 / (4 + 10) + 0 + 0) / 3)
    assert all(math.isfinite(x) for each in found.values() for x in (each.low, each.high))


def test_a_class_that_is_not_there_has_recall_zero() -> None:
    found = figures(GENDER, P_FEMALE, [0] * 10)
    assert found["recall_female"].value == 0.0
    assert found["recall_female"].high == 0.0


def test_the_area_under_the_curve_is_of_two_classes_and_needs_both() -> None:
    assert "roc_auc" in figures(GENDER, P_FEMALE, GENDERS)
    assert "roc_auc" not in figures(GENDER, P_FEMALE, [0] * 10)
    assert "roc_auc" not in figures(MOOD, probabilities(SAID), MOODS)


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
    won = [
        1.0 if female > male else 0.5 if female == male else 0.0
        for female, is_female in pairs
        for male, other in pairs
        if is_female and not other
    ]
    metric = figures(GENDER, p_female, gender, resamples=40)["roc_auc"]
    assert metric.value == pytest.approx(sum(won) / len(won))
    assert 0 <= metric.low <= metric.high <= 1


def bootstrap_rows(seed: int) -> NDArray[np.int64]:
    """The draws of 103 resamples of ten images: two chunks and a remainder."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.integers(10, size=(rows, 10)) for rows in (50, 50, 3)])


def assert_interval(metric: Metric, values: list[float]) -> None:
    np.testing.assert_allclose(
        [metric.low, metric.high], np.percentile(np.array(values), [2.5, 97.5]), rtol=1e-12
    )


def test_interval_of_the_area_is_that_of_a_plain_bootstrap_loop() -> None:
    areas = []
    for row in bootstrap_rows(seed=5):
        female = [P_FEMALE[at] for at in row if GENDERS[at] == 1]
        male = [P_FEMALE[at] for at in row if GENDERS[at] == 0]
        won = [
            1.0 if high > low else 0.5 if high == low else 0.0 for high in female for low in male
        ]
        areas.append(float(np.mean(won)) if won else 0.5)
    assert_interval(figures(GENDER, P_FEMALE, GENDERS, seed=5, resamples=103)["roc_auc"], areas)


def test_interval_of_the_mean_recall_is_over_the_classes_that_were_drawn() -> None:
    truth, said, means, lacking = np.array(MOODS), np.array(SAID), [], 0
    for row in bootstrap_rows(seed=6):
        there = np.unique(truth[row])
        lacking += len(there) < 3
        recalls = [(said[row] == number)[truth[row] == number].mean() for number in there]
        means.append(float(np.mean(recalls)))
    assert lacking, "the seed draws all classes each time"
    found = figures(MOOD, probabilities(SAID), MOODS, seed=6, resamples=103)
    assert_interval(found["balanced_accuracy"], means)


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        (0.75, 75, 0.0),  # right as often as it is sure
        (0.75, 100, 0.25),
        (1.0, 60, 0.4),
        (0.5, 50, 0.0),
    ],
)
@pytest.mark.parametrize("head", [GENDER, MOOD], ids=["two classes", "three classes"])
def test_calibration_error_is_how_far_certainty_is_from_truth(
    head: HeadSpec, confidence: float, right: int, error: float
) -> None:
    # all are called class 1 with the same certainty, `right` of 100 are
    labels = [1] * right + [0] * (100 - right)
    binary = head.kind == "binary"
    said: Any = [confidence] * 100 if binary else probabilities([1] * 100, confidence)
    found = figures(head, said, labels, resamples=10)
    assert found["calibration_error"].value == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("head", [GENDER, MOOD], ids=["two classes", "three classes"])
def test_errors_of_two_bins_do_not_cancel(head: HeadSpec) -> None:
    # half the faces: sure 0.6 and always right; the others: sure 0.9 and right 6 of 10 times
    labels, sure = [1] * 10 + [1] * 6 + [0] * 4, [0.6] * 10 + [0.9] * 10
    said: Any = sure if head.kind == "binary" else probabilities([1] * 20, sure)
    found = figures(head, said, labels)
    assert found["calibration_error"].value == pytest.approx((10 * 0.4 + 10 * 0.3) / 20)


def test_a_choice_of_three_may_be_less_than_half_sure() -> None:
    # one of three is right: as sure as right
    found = figures(MOOD, probabilities([0, 0, 0], 0.34), [0, 1, 2])
    assert found["calibration_error"].value == pytest.approx(0.34 - 1 / 3)


def test_confusion_has_the_truth_in_rows() -> None:
    counts = confusion_counts(GENDER, P_FEMALE, GENDERS)
    np.testing.assert_array_equal(counts, [[3, 1], [2, 4]])
    assert counts.dtype == np.int64
    counts = confusion_counts(MOOD, probabilities(SAID), MOODS)
    np.testing.assert_array_equal(counts, [[3, 1, 0], [0, 2, 1], [1, 0, 2]])
    assert counts.dtype == np.int64


@given(answers=ANSWERS)
def test_confusion_counts_every_image_once(answers: list[tuple[int, int]]) -> None:
    truth, said = map(list, zip(*answers, strict=True))
    counts = confusion_counts(MOOD, probabilities(said), truth)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(truth, minlength=3))
    np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(said, minlength=3))


def test_what_is_not_labelled_is_not_counted() -> None:
    # the first three of four males are said right; of the females none has a gender
    labels = [*GENDERS[:4], *[-1] * 6]
    found = figures(GENDER, P_FEMALE, labels)
    assert (found["accuracy"].value, found["accuracy"].n) == (3 / 4, 4)
    counts = confusion_counts(GENDER, P_FEMALE, labels)
    np.testing.assert_array_equal(counts, [[3, 1], [0, 0]])
    np.testing.assert_array_equal(confusion_counts(GENDER, P_FEMALE, [-1] * 10), np.zeros((2, 2)))


def test_half_counts_as_the_second_of_two_and_a_tie_as_the_first_of_more() -> None:
    assert figures(GENDER, [0.5] * 10, GENDERS)["recall_female"].value == 1.0
    below = [np.nextafter(0.5, 0)] * 10
    assert figures(GENDER, below, GENDERS)["recall_female"].value == 0.0
    tie = np.tile([0.2, 0.4, 0.4], (10, 1))
    assert figures(MOOD, tie, MOODS)["recall_sad"].value == 1.0


def test_perfect_predictions_have_intervals_without_width() -> None:
    found = figures(GENDER, [float(gender) for gender in GENDERS], GENDERS)
    assert (found["accuracy"].low, found["accuracy"].high) == (1.0, 1.0)


def test_interval_of_accuracy_is_as_wide_as_the_binomial_says() -> None:
    # 1.96 standard deviations of a mean of n coin flips; 15 % for the noise of 4,000 resamples
    # at the tails, whose own standard deviation is about 2.5 %
    n, accuracy = 2000, 0.9
    wrong = np.arange(n) < (1 - accuracy) * n
    found = figures(GENDER, wrong.astype(float), np.zeros(n, int), resamples=4000)
    metric = found["accuracy"]
    half_width = 1.96 * math.sqrt(accuracy * (1 - accuracy) / n)
    assert metric.value == pytest.approx(accuracy)
    assert metric.value - metric.low == pytest.approx(half_width, rel=0.15)
    assert metric.high - metric.value == pytest.approx(half_width, rel=0.15)


@pytest.mark.parametrize(
    ("head", "changes", "error", "text"),
    [
        (GENDER, {"predicted": [0.5] * 9}, DataError, r"shape \[9\], expected \[10\]"),
        (GENDER, {"predicted": [[0.5]] * 10}, DataError, r"shape \[10, 1\], expected \[10\]"),
        (MOOD, {"predicted": [0.5] * 10}, DataError, r"shape \[10\], expected \[10, 3\]"),
        (GENDER, {"labels": []}, DataError, r"labels have shape \[0\], expected one for each"),
        (GENDER, {"labels": [[0]] * 10}, DataError, r"labels have shape \[10, 1\]"),
        (GENDER, {"labels": [0] * 9 + [2]}, DataError, "of gender: the label of image 9 is 2, exp"),
        (GENDER, {"labels": [0.5] * 10}, DataError, "label of image 0 is 0.5"),
        (
            GENDER,
            {"labels": [-2] * 10},
            DataError,
            r"image 0 is -2, expected 0 \(male\), 1 \(female\) or -1 \(unknown\)",
        ),
        (MOOD, {"labels": [2] * 9 + [3]}, DataError, r"image 9 is 3, expected 0 \(happy\), 1 "),
        (MOOD, {"labels": [-1] * 10}, DataError, "of mood: none of 10 images has a known class"),
        (GENDER, {"predicted": [0.5, math.nan] * 5}, ModelError, "prediction of image 1 is nan"),
        (GENDER, {"predicted": [1.01] * 10}, ModelError, "expected a number from 0 to 1"),
        (MOOD, {"predicted": [[0.5, -0.1, 0.6]] * 10}, ModelError, "of image 0 is -0.1"),
        (MOOD, {"resamples": 0}, ValueError, "resamples is 0"),
    ],
)
def test_errors_say_which_image_and_what_was_expected(
    head: HeadSpec, changes: dict[str, Any], error: type[EdgefaceError], text: str
) -> None:
    plain = {"predicted": P_FEMALE, "labels": GENDERS}
    if head is MOOD:
        plain = {"predicted": probabilities(SAID), "labels": MOODS}
    with pytest.raises(error, match=text) as caught:
        figures(head, **{**plain, **changes})
    assert "\n" not in str(caught.value)
