"""Verdicts against a plain bootstrap loop, against arithmetic, and against what was put in."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from edgeface.bench.paired_bootstrap import Resampling, group_numbers, percentile_interval
from edgeface.bench.verdict import (
    Comparison,
    Estimate,
    Predictions,
    TaskComparison,
    compare,
    compare_each,
)
from edgeface.bench.verdict_rule import (
    INT8_MARGINS,
    ONE_MEGABYTE_MARGINS,
    PRUNED_INT8_MARGINS,
    SMALLEST_GROUPS,
    Margins,
    judge,
    verdict_of,
)
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError, DataError, EdgefaceError, ModelError
from edgeface.records import RecordError, from_mapping, to_mapping
from edgeface.types import GENDER_CLASSES, HeadSpec
from support.bars import Bars

FEW = Resampling(resamples=1000)
MARGINS = Margins(age_mae_years=0.15, gender_accuracy_pp=0.5)
TAIL = 0.025
HEADS = (
    HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES),
    HeadSpec(name="age", kind="regression", tensor="age", unit="years"),
)


def faces(
    gender: ArrayLike, age: ArrayLike, race: ArrayLike | None = None, high: ArrayLike | None = None
) -> Faces:
    ages = np.asarray(age, np.int64)
    classes = {"gender": np.asarray(gender, np.int64)}
    if race is not None:
        classes["race"] = np.asarray(race, np.int64)
    return Faces(
        ids=tuple(map(str, range(len(ages)))),
        images=np.empty((len(ages), 0, 0, 3), np.uint8),
        age_low_years=ages,
        age_high_years=ages if high is None else np.asarray(high, np.int64),
        classes=classes,
    )


def model(name: str, p_female: ArrayLike, age_years: ArrayLike) -> Predictions:
    values = {
        "gender": np.asarray(p_female, np.float64),
        "age": np.asarray(age_years, np.float64),
    }
    return Predictions(name=name, heads=HEADS, values=values)


def drawn(n: int, *, seed: int = 0, age: int = 30) -> tuple[Predictions, Faces]:
    """A reference of 90 % and about 4 years on n faces of one age, half of them female."""
    rng = np.random.default_rng(seed)
    gender = np.arange(n) % 2
    right = rng.permutation(n) < 0.9 * n
    p_female = np.where(right == (gender == 1), 0.9, 0.1)
    return model("float", p_female, age + rng.normal(0, 5, n)), faces(gender, np.full(n, age))


def some(m: Predictions, at: NDArray[np.integer[Any]]) -> Predictions:
    return model(m.name, m.values["gender"][at], m.values["age"][at])


def flipped(reference: Predictions, labels: Faces, count: int, *, to_wrong: bool) -> Predictions:
    """The same model with `count` answers in gender turned over."""
    p_female = reference.values["gender"].copy()
    right = (p_female >= 0.5) == labels.class_of("gender")
    chosen = np.flatnonzero(right == to_wrong)[:count]
    p_female[chosen] = 1 - p_female[chosen]
    return model("int8", p_female, reference.values["age"])


def task(comparison: Comparison, name: str) -> TaskComparison:
    (found,) = [each for each in comparison.tasks if each.task == name]
    return found


def interval(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def check(
    candidate: Predictions, reference: Predictions, labels: Faces, **options: Any
) -> Comparison:
    return compare(
        candidate, reference, labels, **{"margins": MARGINS, "resampling": FEW, **options}
    )


def test_a_bar_moves_from_model_to_model() -> None:
    reference, labels = drawn(200)
    worse = flipped(reference, labels, 20, to_wrong=True)
    groups = [str(number // 2) for number in range(200)]
    bars = Bars()
    found = compare_each(
        [worse, reference], reference, labels, margins=MARGINS, groups=groups, reporter=bars
    )
    assert found == tuple(
        compare(each, reference, labels, margins=MARGINS, groups=groups)
        for each in (worse, reference)
    )
    assert bars.totals == [("verdicts against float", 2)]
    assert bars.steps == [1, 1]
    assert compare_each([], reference, labels, margins=MARGINS, reporter=bars) == ()
    assert len(bars.totals) == 1


# The figures


def test_differences_are_the_arithmetic_of_the_two_models() -> None:
    labels = faces([0, 0, 1, 1], [20, 20, 40, 40])
    reference = model("float", [0.1, 0.2, 0.5, 0.4], [21, 18, 40, 43])  # errors 1 2 0 3
    candidate = model("int8", [0.1, 0.7, 0.49, 0.6], [20, 15, 41, 40])  # errors 0 5 1 0
    found = check(candidate, reference, labels)
    age, gender = task(found, "age").overall, task(found, "gender").overall
    assert (age.reference, age.candidate) == ((1 + 2 + 0 + 3) / 4, (0 + 5 + 1 + 0) / 4)
    assert age.difference == 6 / 4 - 6 / 4
    assert (gender.reference, gender.candidate) == (100 * 3 / 4, 100 * 2 / 4)
    assert gender.difference == -25.0
    assert (age.changed, gender.changed) == (4, 3)
    assert (task(found, "age").unit, task(found, "gender").unit) == ("years", "pp")
    assert (task(found, "age").margin, task(found, "gender").margin) == (0.15, 0.5)


def test_interval_is_that_of_a_plain_paired_bootstrap_loop() -> None:
    n, resamples, seed = 13, 1000, 5
    data = np.random.default_rng(1)
    labels = faces(np.arange(n) % 2, data.integers(20, 60, n))
    reference = model("float", data.random(n), data.uniform(20, 60, n))
    candidate = model("int8", data.random(n), data.uniform(20, 60, n))
    truth = labels.class_of("gender")
    rng = np.random.default_rng(seed)
    age, gender = [], []
    for _ in range(resamples):
        at = rng.integers(n, size=n, dtype=np.int32)
        # each model's own figure on the drawn images; the pairing is that `at` is the same
        mae = [
            np.abs(m.values["age"][at] - labels.age_low_years[at]).mean()
            for m in (candidate, reference)
        ]
        right = [
            100 * np.mean((m.values["gender"][at] >= 0.5) == truth[at])
            for m in (candidate, reference)
        ]
        age.append(mae[0] - mae[1])
        gender.append(right[0] - right[1])
    found = check(
        candidate, reference, labels, resampling=Resampling(seed=seed, resamples=resamples)
    )
    for name, loop in (("age", age), ("gender", gender)):
        np.testing.assert_allclose(
            interval(task(found, name).overall), np.percentile(loop, [2.5, 97.5]), atol=1e-9
        )


def test_interval_over_groups_is_that_of_a_loop_which_draws_whole_groups() -> None:
    groups = list("aabbbcdde")
    differences = np.random.default_rng(2).normal(size=9)
    members = [np.flatnonzero(np.array(groups) == name) for name in "abcde"]
    rng = np.random.default_rng(3)
    means = []
    for _ in range(1000):
        images = np.concatenate([members[i] for i in rng.integers(5, size=5, dtype=np.int32)])
        means.append(differences[images].mean())
    labels = faces(np.zeros(9), np.full(9, 30))
    reference = model("float", np.zeros(9), np.full(9, 40.0))
    candidate = model("int8", np.zeros(9), 40.0 + differences)
    found = check(
        candidate, reference, labels, groups=groups, resampling=Resampling(seed=3, resamples=1000)
    )
    overall = task(found, "age").overall
    np.testing.assert_allclose(interval(overall), np.percentile(means, [2.5, 97.5]), atol=1e-9)
    assert (overall.n, overall.groups) == (9, 5)


def test_chunks_do_not_show() -> None:
    # 20,000 groups: 13 resamples a chunk, and 12 in the last; the mean of n times +-1 has a
    # standard deviation of 1 / sqrt(n)
    sums = np.where(np.arange(20_000) % 2, 1.0, -1.0)
    low, high = percentile_interval(sums, np.ones(20_000), TAIL, FEW)
    np.testing.assert_allclose([low, high], np.array([-1.96, 1.96]) / math.sqrt(20_000), rtol=0.15)


def test_intervals_cover_the_true_difference_as_often_as_they_say() -> None:
    # 400 samples of 60 skewed differences; 95 % of 400 is 380, its standard deviation 4.4, and the
    # percentile interval is known to be a little short
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(400):
        sums = rng.exponential(1.0, 60) - 1.0
        low, high = percentile_interval(
            sums, np.ones(60), TAIL, Resampling(seed=seed, resamples=1000)
        )
        hits += low <= 0 <= high
    assert 360 <= hits <= 392


def test_copies_widen_the_interval_by_the_root_of_their_number() -> None:
    reference, labels = drawn(200)
    rng = np.random.default_rng(5)
    candidate = model(
        "int8", reference.values["gender"], reference.values["age"] + rng.normal(0, 2, 200)
    )
    four = np.repeat(np.arange(200), 4)
    copies = some(candidate, four), some(reference, four)
    naive = check(*copies, labels.take(four))
    by_group = check(*copies, labels.take(four), groups=[f"g{i}" for i in four])
    once = check(candidate, reference, labels)
    widths = [np.ptp(interval(task(each, "age").overall)) for each in (naive, by_group, once)]
    assert widths[1] / widths[0] == pytest.approx(math.sqrt(4), rel=0.1)
    # groups are numbered as they come, so the draws are those of the 200 faces themselves
    assert widths[1] == pytest.approx(widths[2], rel=1e-9)
    assert (naive.by_group, by_group.by_group) == (False, True)
    assert task(by_group, "age").overall.groups == 200


def test_pairing_narrows_what_two_separate_intervals_would_leave_open() -> None:
    reference, labels = drawn(800)
    candidate = model("int8", reference.values["gender"], reference.values["age"] + 0.01)
    low, high = interval(task(check(candidate, reference, labels), "age").overall)
    assert high - low < 0.002  # +-0.01 years an image; the MAE itself is known to +-0.2 years


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), n=st.integers(1, 40))
def test_exchanging_the_models_turns_the_interval_over(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels = faces(rng.integers(0, 2, n), rng.integers(0, 90, n))
    one, two = (model(name, rng.random(n), rng.uniform(0, 90, n)) for name in "ab")
    forth, back = check(one, two, labels), check(two, one, labels)
    for there, here in zip(forth.tasks, back.tasks, strict=True):
        assert there.overall.difference == pytest.approx(-here.overall.difference, abs=1e-12)
        low, high = interval(here.overall)
        np.testing.assert_allclose(interval(there.overall), (-high, -low), atol=1e-9)


def test_one_seed_gives_one_comparison_and_another_seed_another() -> None:
    reference, labels = drawn(100)
    other = drawn(100, seed=1)[0]
    results = [
        check(other, reference, labels, resampling=Resampling(seed=seed, resamples=1000))
        for seed in (3, 3, 4)
    ]
    assert results[0] == results[1]
    assert task(results[0], "age").overall.low != task(results[2], "age").overall.low


# The rule


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.4, -0.1, "better"),
        (-0.4, 0.0, "not worse"),  # zero is inside
        (-0.1, 0.1, "not worse"),
        (0.05, 0.1, "not worse"),  # a certain loss, within the margin
        (0.05, 0.15, "not worse"),  # "at most" the margin
        (-0.1, 0.16, "undecided"),
        (0.05, 0.16, "undecided"),
        (0.15, 0.2, "undecided"),
        (0.16, 0.2, "worse"),
    ],
)
def test_rule_at_each_place_of_the_interval(low: float, high: float, verdict: str) -> None:
    assert verdict_of(low=low, high=high, margin=0.15) == verdict


@pytest.mark.parametrize(
    ("changed", "loss", "verdict"),
    [(5, -0.1, "not worse"), (6, -0.1, "better"), (5, 0.2, "undecided"), (6, 0.2, "worse")],
)
def test_which_is_better_needs_six_changed_photographs(
    changed: int, loss: float, verdict: str
) -> None:
    # a sign test of 5 that all went one way: 2 / 2**5 = 0.0625; of 6: 0.031
    found = judge(
        in_points=False,
        loss_low=loss,
        loss_high=loss,
        margin=0.15,
        groups=100,
        changed=changed,
        tail=TAIL,
    )
    assert found == verdict


@pytest.mark.parametrize(
    ("groups", "margin", "tail", "verdict"),
    [
        (737, 0.5, 0.025, "undecided"),
        (738, 0.5, 0.025, "not worse"),  # (1 - 0.005) ** 738 = 0.0247
        (738, 0.49, 0.025, "undecided"),
        (738, 0.5, 0.02, "undecided"),
    ],
)
def test_no_loss_seen_is_no_proof_until_a_loss_would_have_shown(
    groups: int, margin: float, tail: float, verdict: str
) -> None:
    found = judge(
        in_points=True,
        loss_low=0.0,
        loss_high=0.0,
        margin=margin,
        groups=groups,
        changed=0,
        tail=tail,
    )
    assert found == verdict


def test_many_gains_are_better_also_on_few_images() -> None:
    # the guard of "not worse" does not take back what was seen
    reference, labels = drawn(300)
    found = check(flipped(reference, labels, 12, to_wrong=False), reference, labels)
    gender = task(found, "gender").overall
    assert gender.difference == pytest.approx(100 * 12 / 300)
    assert gender.verdict == "better"


# Verdicts


def test_a_model_is_not_worse_than_itself() -> None:
    reference, labels = drawn(800)
    found = check(reference, reference, labels)
    for each in found.tasks:
        assert each.overall.verdict == "not worse"
        assert (each.overall.difference, *interval(each.overall)) == (0.0, 0.0, 0.0)
        assert each.overall.changed == 0
    assert found.is_not_worse
    assert found.n == 800


def test_a_known_loss_is_worse_and_the_same_gain_is_better() -> None:
    reference, labels = drawn(1000)
    age = np.full(1000, 30.0)
    off = model("int8", reference.values["gender"], age + 1.1 * (reference.values["age"] - age))
    found = task(check(off, reference, labels), "age").overall
    assert found.difference == pytest.approx(0.1 * found.reference)  # about 0.4 years
    assert found.verdict == "worse"
    assert task(check(reference, off, labels), "age").overall.verdict == "better"
    lost = flipped(reference, labels, 40, to_wrong=True)
    found = task(check(lost, reference, labels), "gender").overall
    assert found.difference == pytest.approx(-100 * 40 / 1000)
    assert found.verdict == "worse"
    assert task(check(reference, lost, labels), "gender").overall.verdict == "better"
    assert not check(lost, reference, labels).is_not_worse
    assert check(reference, lost, labels).is_not_worse


def test_a_wider_margin_accepts_what_a_narrow_one_does_not() -> None:
    reference, labels = drawn(1000)
    age = np.full(1000, 30.0)
    off = model(
        "int8", reference.values["gender"], age + 1.05 * (reference.values["age"] - age)
    )  # +0.2 years
    verdicts = [
        task(check(off, reference, labels, margins=margins), "age").overall.verdict
        for margins in (INT8_MARGINS, ONE_MEGABYTE_MARGINS)
    ]
    assert verdicts == ["worse", "not worse"]


def test_noise_on_few_images_is_undecided_and_few_images_always_are() -> None:
    reference, labels = drawn(100)
    other = drawn(100, seed=1)[0]
    assert {each.overall.verdict for each in check(other, reference, labels).tasks} == {"undecided"}
    n = SMALLEST_GROUPS
    small, labels = drawn(n)
    worse = model("int8", 1 - small.values["gender"], small.values["age"] + 40)
    assert {each.overall.verdict for each in check(worse, small, labels).tasks} == {"worse"}
    at = np.arange(n - 1)
    found = check(some(worse, at), some(small, at), labels.take(at))
    assert {each.overall.verdict for each in found.tasks} == {"undecided"}
    # copies are not photographs
    found = check(worse, small, labels, groups=["0", "0", *map(str, range(2, n))])
    assert {each.overall.verdict for each in found.tasks} == {"undecided"}


# Labels that are missing


def test_each_task_takes_the_faces_that_have_its_label() -> None:
    reference, labels = drawn(100)
    other = drawn(100, seed=1)[0]
    gender = labels.class_of("gender").copy()
    gender[:10] = UNKNOWN
    ages = labels.age_low_years.copy()
    ages[50:] = UNKNOWN
    found = check(other, reference, faces(gender, ages))
    assert task(found, "gender").overall.n == 90
    assert task(found, "age").overall.n == 50
    at = np.arange(50)
    expected = check(some(other, at), some(reference, at), labels.take(at))
    assert task(found, "age").overall == task(expected, "age").overall


def test_a_task_without_labels_is_left_out_and_none_at_all_is_an_error() -> None:
    reference, labels = drawn(40)
    unknown = np.full(40, UNKNOWN)
    only_age = check(reference, reference, faces(unknown, labels.age_low_years))
    assert [each.task for each in only_age.tasks] == ["age"]
    assert only_age.tasks[0].slices == ()
    only_gender = check(reference, reference, faces(labels.class_of("gender"), unknown))
    assert [each.task for each in only_gender.tasks] == ["gender"]
    with pytest.raises(BenchmarkError, match="none of 40 faces has a label of age, gender"):
        check(reference, reference, faces(unknown, unknown))


def test_an_age_interval_makes_slices_of_gender_where_it_lies_in_one_decade() -> None:
    reference, _ = drawn(40)
    gender = np.zeros(40)
    found = check(
        reference, reference, faces(gender, [20] * 20 + [25] * 20, high=[29] * 20 + [34] * 20)
    )
    assert [each.task for each in found.tasks] == ["gender"]  # no exact age
    assert [(s.name, s.estimate.n) for s in found.tasks[0].slices] == [("20-29 male", 20)]
    # the age task takes of a slice only the faces whose age is exact
    found = check(reference, reference, faces(gender, [20] * 40, high=[20] * 35 + [29] * 5))
    sizes = {each.task: [s.estimate.n for s in each.slices] for each in found.tasks}
    assert sizes == {"age": [35], "gender": [40]}


# Slices


def sliced() -> tuple[Predictions, Predictions, Faces]:
    """280 faces; the 40 women of 60 to 69 lose 3 years each, and half of them their gender."""
    gender = np.repeat([0, 1, 0, 1], [100, 100, 40, 40])
    age = np.repeat([29, 20, 69, 60], [100, 100, 40, 40])
    race = np.arange(280) % 3 - 1
    right = np.where(gender == 1, 0.9, 0.1)
    hurt = (gender == 1) & (age == 60)
    reference = model("float", right, age + 2.0)
    p_female = np.where(hurt & (np.arange(280) % 2 == 0), 0.1, right)
    return model("int8", p_female, age + 2.0 + 3.0 * hurt), reference, faces(gender, age, race)


def test_slices_divide_the_faces_and_the_worst_is_named() -> None:
    candidate, reference, labels = sliced()
    drawing = Resampling(resamples=2000)
    found = check(candidate, reference, labels, resampling=drawing, race_names=["White"])
    for each in found.tasks:
        assert [(s.by, s.name, s.estimate.n) for s in each.slices] == [
            ("age and gender", "20-29 male", 100),
            ("age and gender", "20-29 female", 100),
            ("age and gender", "60-69 male", 40),
            ("age and gender", "60-69 female", 40),
            ("race", "White", 93),
            ("race", "race 1", 93),
        ]
        assert each.worst_slice == "60-69 female"
        assert each.worst is not None
        assert each.worst.estimate.verdict == "worse"
        assert each.slice_level == pytest.approx(1 - 0.05 / 6)
    hurt = task(found, "age").worst
    assert hurt is not None
    assert (hurt.estimate.reference, hurt.estimate.candidate) == (2.0, 5.0)
    assert (hurt.estimate.difference, *interval(hurt.estimate)) == (3.0, 3.0, 3.0)
    hurt = task(found, "gender").worst
    assert hurt is not None
    assert hurt.estimate.difference == -50.0
    verdicts = {s.name: s.estimate.verdict for s in task(found, "gender").slices}
    assert verdicts["20-29 male"] == "undecided"  # no loss seen, but only 100 images
    verdicts = {s.name: s.estimate.verdict for s in task(found, "age").slices}
    assert verdicts["20-29 male"] == "not worse"


def test_slices_are_at_the_level_that_their_number_asks_for() -> None:
    candidate, reference, labels = sliced()
    drawing = Resampling(seed=7, resamples=2000)
    found = task(check(candidate, reference, labels, resampling=drawing), "gender")
    worst = found.worst
    assert worst is not None
    lost = np.where(np.arange(40) % 2 == 0, -100.0, 0.0)
    expected = percentile_interval(lost, np.ones(40), 0.05 / 6 / 2, drawing)
    assert interval(worst.estimate) == expected
    plain = percentile_interval(lost, np.ones(40), TAIL, drawing)
    assert expected[0] < plain[0]
    assert expected[1] > plain[1]


def test_a_small_slice_is_counted_but_neither_judged_nor_worst() -> None:
    candidate, reference, labels = sliced()
    keep = np.delete(np.arange(280), np.arange(240, 251))  # 29 of the hurt women are left
    few = some(candidate, keep), some(reference, keep)
    found = task(check(*few, labels.take(keep)), "age")
    small = next(each for each in found.slices if each.name == "60-69 female")
    assert (small.estimate.n, small.estimate.difference) == (29, 3.0)
    assert (small.estimate.low, small.estimate.high, small.estimate.verdict) == (None, None, None)
    assert found.slice_level == pytest.approx(1 - 0.05 / 5)
    assert found.worst_slice in {"race 0", "race 1"}  # where those women are
    keep = keep[-29:]
    few = some(candidate, keep), some(reference, keep)
    found = task(check(*few, labels.take(keep)), "age")
    assert found.worst_slice is None
    assert found.worst is None
    assert found.slice_level == 0.95


def test_chance_names_a_worst_slice_but_seldom_calls_it_worse() -> None:
    # 60 comparisons of two equally good models, 8 slices each; at 95 % a slice, a fifth of them
    # (1 - 0.975**8 = 18 %) would show a loss that is not there
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        age = np.repeat([25, 35, 45, 55], 80)
        labels = faces(np.arange(320) % 2, age)
        noise = rng.normal(0, 3, (2, 320))
        both = model("a", np.zeros(320), age + noise[0]), model("b", np.zeros(320), age + noise[1])
        found = task(check(*both, labels, resampling=Resampling(seed=seed, resamples=2000)), "age")
        assert found.worst is not None
        seen += interval(found.worst.estimate)[0] > 0
    assert seen <= 5  # 1.5 expected, standard deviation 1.2; 11 without the correction


# Errors, records


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"p_female": np.zeros(39)}, BenchmarkError, r"gender of int8 has shape \(39,\)"),
        ({"age_years": np.zeros((40, 1))}, BenchmarkError, r"age of .* expected \(40,\)"),
        ({"p_female": np.full(40, 1.01)}, ModelError, "gender of image 0 by int8 is 1.01"),
        ({"p_female": np.full(40, -0.01)}, ModelError, "expected a number from 0 to 1"),
        ({"age_years": np.r_[np.zeros(7), np.nan, np.zeros(32)]}, ModelError, "image 7 .* nan"),
        ({"age_years": np.full(40, np.inf)}, ModelError, "is inf"),
        ({"groups": ["a"] * 39}, BenchmarkError, "found 39 groups, expected 40"),
        ({"groups": ["a"] * 39 + [""]}, BenchmarkError, "face 39 has an empty group"),
        ({"labels": faces([2] * 40, [30] * 40)}, DataError, "gender of face 0 is 2, expected 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    options: dict[str, Any], error: type[EdgefaceError], words: str
) -> None:
    reference, labels = drawn(40)
    bad: dict[str, NDArray[np.float64]] = {
        name: options.pop(name, reference.values[head])
        for name, head in (("p_female", "gender"), ("age_years", "age"))
    }
    with pytest.raises(error, match=words) as caught:
        check(model("int8", **bad), reference, options.pop("labels", labels), **options)
    assert "\n" not in str(caught.value)
    assert "verdict on int8 against float" in str(caught.value)


def test_more_slices_than_resamples_can_tell_apart_are_refused() -> None:
    candidate, reference, labels = sliced()  # 6 slices: 5 resamples beyond each end of 0.05 / 6
    message = "1,000 resamples are too few for the intervals of 6 slices, expected 1,200 or more"
    with pytest.raises(BenchmarkError, match=message):
        check(candidate, reference, labels, resampling=Resampling(resamples=1000))
    check(candidate, reference, labels, resampling=Resampling(resamples=1200))


def test_a_record_comes_back_from_json_as_it_was() -> None:
    candidate, reference, labels = sliced()
    found = compare(candidate, reference, labels, margins=PRUNED_INT8_MARGINS)
    text = json.dumps(to_mapping(found), allow_nan=False)
    assert from_mapping(Comparison, json.loads(text)) == found
    assert found.resampling == Resampling(seed=0, resamples=10_000)


@pytest.mark.parametrize(
    ("record", "mapping", "words"),
    [
        (Margins, {"age_mae_years": 0.0, "gender_accuracy_pp": 0.5}, "age_mae_years: found 0"),
        (Margins, {"age_mae_years": 0.1, "gender_accuracy_pp": 101.0}, "gender_accuracy_pp: found"),
        (
            Margins,
            {"age_mae_years": math.nan, "gender_accuracy_pp": 1.0},
            "age_mae_years: found nan",
        ),
        (
            Margins,
            {"age_mae_years": 0.1, "gender_accuracy_pp": 1.0, "class_accuracy_pp": 0.0},
            "class_accuracy_pp: found 0",
        ),
        (Resampling, {"seed": -1}, "seed: found -1, expected 0 or more"),
        (Resampling, {"resamples": 999}, "resamples: found 999, expected 1000 or more"),
    ],
)
def test_values_out_of_range_are_refused(record: Any, mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError, match=words):
        from_mapping(record, mapping)


def test_groups_are_numbered_as_they_come() -> None:
    np.testing.assert_array_equal(group_numbers(["b", "a", "b", "c"]), [0, 1, 0, 2])
