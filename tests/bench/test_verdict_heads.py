"""Verdicts on heads of any kind, by arithmetic: several classes, ages of unlike kinds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from edgeface.bench.paired_bootstrap import Resampling
from edgeface.bench.verdict import Comparison, Predictions, compare
from edgeface.bench.verdict_rule import INT8_MARGINS, Margins
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError, DataError, EdgefaceError, ModelError
from edgeface.types import HeadSpec

MOODS = ("calm", "glad", "sad")
MOOD = HeadSpec(name="mood", kind="classes", tensor="mood", classes=MOODS)
SMILE = HeadSpec(name="smile", kind="binary", tensor="smile", classes=("no", "yes"))
AGE = HeadSpec(name="age", kind="regression", tensor="age", unit="years")
FEW = Resampling(resamples=1000)


def says(name: str, **values: tuple[HeadSpec, ArrayLike]) -> Predictions:
    return Predictions(
        name=name,
        heads=tuple(head for head, _ in values.values()),
        values={of: np.asarray(value, np.float64) for of, (_, value) in values.items()},
    )


def named(numbers: ArrayLike) -> NDArray[np.float64]:
    """Probabilities of which that of the class named is the largest, 0.5 and 0.25 each."""
    return np.asarray(0.25 + 0.25 * (np.asarray(numbers)[:, None] == np.arange(3)))


def faces(mood: ArrayLike, age: ArrayLike | None = None) -> Faces:
    numbers = np.asarray(mood, np.int64)
    ages = np.full(len(numbers), UNKNOWN) if age is None else np.asarray(age, np.int64)
    return Faces(
        ids=tuple(map(str, range(len(numbers)))),
        images=np.empty((len(numbers), 0, 0, 3), np.uint8),
        age_low_years=ages,
        age_high_years=ages,
        classes={"mood": numbers, "smile": np.where(numbers == 1, 1, 0)},
    )


def check(candidate: Predictions, reference: Predictions, labels: Faces) -> Comparison:
    return compare(candidate, reference, labels, margins=INT8_MARGINS, resampling=FEW)


def test_classes_are_compared_by_the_share_that_is_right() -> None:
    labels = faces([0, 0, 1, 1, 2, 2, UNKNOWN])
    reference = says("float", mood=(MOOD, named([0, 0, 1, 1, 2, 0, 0])))  # 5 of 6
    candidate = says("int8", mood=(MOOD, named([0, 1, 1, 0, 2, 2, 1])))  # 4 of 6, 3 changed
    (mood,) = check(candidate, reference, labels).tasks
    overall = mood.overall
    assert (mood.task, mood.unit, overall.n, overall.changed) == ("mood", "pp", 6, 3)
    np.testing.assert_allclose(
        [overall.reference, overall.candidate, overall.difference],
        [100 * 5 / 6, 100 * 4 / 6, -100 / 6],
    )
    assert mood.slices == ()  # no gender, no age, no race


def test_a_known_loss_of_classes_is_worse_and_the_same_gain_better() -> None:
    truth = np.arange(1000) % 3
    reference = says("float", mood=(MOOD, named(truth)))
    lost = truth.copy()
    lost[:40] = (lost[:40] + 1) % 3  # 4 points of a margin of 0.3
    candidate = says("int8", mood=(MOOD, named(lost)))
    (worse,) = check(candidate, reference, faces(truth)).tasks
    (better,) = check(reference, candidate, faces(truth)).tasks
    assert (worse.overall.verdict, better.overall.verdict) == ("worse", "better")


def test_no_loss_of_classes_needs_the_photographs_that_gender_needs() -> None:
    # -ln(0.025) / 0.003 = 1,230 photographs, so that a loss of 0.3 points would have shown
    for count, verdict in ((1229, "undecided"), (1230, "not worse")):
        truth = np.arange(count) % 3
        both = says("m", mood=(MOOD, named(truth)))
        (mood,) = check(both, both, faces(truth)).tasks
        assert mood.overall.verdict == verdict


def test_classes_have_the_margin_of_gender_unless_another_is_given() -> None:
    plain = Margins(age_mae_years=0.1, gender_accuracy_pp=0.5)
    own = replace(plain, class_accuracy_pp=1.5)
    assert [each.accuracy_pp("mood") for each in (plain, own)] == [0.5, 1.5]
    assert [each.accuracy_pp("gender") for each in (plain, own)] == [0.5, 0.5]
    both = says("m", mood=(MOOD, named([0, 1])))
    (mood,) = compare(both, both, faces([0, 1]), margins=own, resampling=FEW).tasks
    assert mood.margin == 1.5


def test_ages_of_unlike_kinds_are_compared_in_years() -> None:
    """The VGG16 baseline is a regression, its smaller rivals are expectations or decades."""
    bins = HeadSpec(name="age", kind="expectation", tensor="age", bins=(0.0, 99.0), unit="years")
    decades = replace(bins, kind="decades", bins=(5.0, 15.0))
    labels = faces([UNKNOWN] * 3, [20, 30, 40])
    reference = says("vgg16", age=(AGE, [22, 30, 40]))
    for head in (bins, decades):
        (age,) = check(says("int8", age=(head, [20, 33, 40])), reference, labels).tasks
        assert (age.unit, age.overall.reference, age.overall.candidate) == ("years", 2 / 3, 1.0)


def test_only_heads_of_one_meaning_are_compared() -> None:
    labels = faces([0, 1, 2], [20, 30, 40])
    ages, moods = [20, 30, 40], named([0, 1, 2])
    whole = says("whole", mood=(MOOD, moods), smile=(SMILE, [0.1, 0.9, 0.1]), age=(AGE, ages))
    small = says("small", mood=(MOOD, moods), age=(AGE, ages))
    assert [each.task for each in check(small, whole, labels).tasks] == ["age", "mood"]
    assert [each.task for each in check(whole, small, labels).tasks] == ["age", "mood"]
    turned = replace(MOOD, classes=MOODS[::-1])
    other = says("other", mood=(turned, moods), age=(AGE, ages))
    assert [each.task for each in check(other, whole, labels).tasks] == ["age"]
    alone = says("alone", smile=(SMILE, [0.1, 0.9, 0.1]))
    with pytest.raises(BenchmarkError, match="the one has smile, the other mood, age") as caught:
        check(alone, small, labels)
    assert "\n" not in str(caught.value)


def test_two_classes_mean_the_same_as_one_logit() -> None:
    pair = HeadSpec(name="smile", kind="classes", tensor="smile", classes=("no", "yes"))
    labels = faces([1, 0, 2])  # smile: yes, no, no
    one = says("a", smile=(SMILE, [0.5, 0.4, 0.6]))
    two = says("b", smile=(pair, [[0.4, 0.6], [0.6, 0.4], [0.6, 0.4]]))
    (smile,) = check(one, two, labels).tasks
    assert smile.overall.candidate == pytest.approx(100 * 2 / 3)
    assert smile.overall.reference == 100


@pytest.mark.parametrize(
    ("values", "labels", "error", "words"),
    [
        (np.zeros(2), [0, 1], BenchmarkError, r"mood of int8 has shape \(2,\), expected \(2, 3\)"),
        (np.full((2, 3), 1.5), [0, 1], ModelError, "mood of image 0 by int8 is 1.5, expected a n"),
        (named([0, 1]), [0, 3], DataError, r"mood of face 1 is 3, expected 0 \(calm\), 1 \(glad\)"),
        (named([0, 1]), [UNKNOWN] * 2, BenchmarkError, "none of 2 faces has a label of mood"),
    ],
)
def test_what_cannot_be_is_one_line(
    values: NDArray[np.float64], labels: list[int], error: type[EdgefaceError], words: str
) -> None:
    reference = says("float", mood=(MOOD, named([0, 1])))
    with pytest.raises(error, match=words) as caught:
        check(says("int8", mood=(MOOD, values)), reference, faces(labels))
    assert "\n" not in str(caught.value)
