"""What the answer says, on searches whose figures are written down here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edgeface.search.budget import parse_budget
from edgeface.search.front import choose, front
from edgeface.search.limits import axes_of, limits_of
from edgeface.search.measured import Measured
from edgeface.search.run import SearchOutcome
from edgeface.search.space import Candidate
from edgeface.search.study import Entry
from edgeface.search.verdicts import (
    binding_words,
    limit_words,
    rival_shown,
    verdict_words,
    why_chosen,
)
from search.fakes import REFERENCE, fake_cost, fake_measured

WIDE_CUT = Candidate(width_ratio=1.0, side_px=128, pruning_ratio=0.5, scheme="int8")
NARROW = Candidate(width_ratio=0.5, side_px=128, pruning_ratio=0.0, scheme="int8")
WIDE = Candidate(width_ratio=1.0, side_px=128, pruning_ratio=0.0, scheme="int8")
# both take 0.5 MB: (1.0 * 0.5)² = 0.5² of two million parameters
assert fake_cost(WIDE_CUT).size_bytes == fake_cost(NARROW).size_bytes == 500_000


def figures(candidate: Candidate, mae: float, gender: float, weights: str = "none") -> Measured:
    measured = fake_measured(candidate)
    return replace(measured, mae_years=mae, gender_accuracy_ratio=gender, weights=weights)


def outcome_of(text: str, found: Mapping[Candidate, Measured], *others: Entry) -> SearchOutcome:
    budget = parse_budget(text)
    found = {REFERENCE: fake_measured(REFERENCE), **found}
    axes, limits = axes_of(budget), limits_of(budget, found[REFERENCE])
    entries = [
        Entry(candidate=each, state="finished", cost=measured.cost, measured=measured)
        for each, measured in found.items()
    ]
    return SearchOutcome(
        limits=limits,
        axes=axes,
        reference=REFERENCE,
        entries=(*entries, *others),
        front=front(found, axes),
        chosen=choose(found, axes, limits),
    )


def said(text: str, found: Mapping[Candidate, Measured], *others: Entry) -> tuple[str, ...]:
    return why_chosen(outcome_of(text, found, *others), parse_budget(text))


BUDGET = "size<=1MB, mae<=+0.5, gender>=-3pp"  # 5.0 years, 92 %


def test_a_pruned_choice_that_beats_the_plain_model_of_its_cost() -> None:
    won, plain = said(
        BUDGET, {WIDE_CUT: figures(WIDE_CUT, 4.6, 0.94), NARROW: figures(NARROW, 4.83, 0.935)}
    )
    assert won == (
        "mobilenetv2-a100-128px-p50-int8 is the cheapest by size (0.500 MB) of 2 candidates that "
        f"meet {BUDGET}."
    )
    assert plain == (
        "The best plain MobileNetV2 that costs no more and was trained as long, "
        "mobilenetv2-a50-128px-int8, has MAE +0.23 years and gender -0.5 points beside it on the "
        "validation split: pruning is worth it here."
    )


@pytest.mark.parametrize(
    ("mae", "gender", "therefore"),
    [
        (5.2, 0.94, "it does not meet the budget, so pruning is worth it here"),
        (4.7, 0.95, "each is better in one of the two"),
        (4.5, 0.93, "each is better in one of the two"),
    ],
)
def test_what_the_plain_model_lacks(mae: float, gender: float, therefore: str) -> None:
    found = {WIDE_CUT: figures(WIDE_CUT, 4.6, 0.94), NARROW: figures(NARROW, mae, gender)}
    outcome = outcome_of(BUDGET, found)
    _, plain = why_chosen(replace(outcome, chosen=WIDE_CUT), parse_budget(BUDGET))
    assert plain.endswith(f": {therefore}.")


def test_unlike_starting_weights_are_said() -> None:
    _, plain = said(
        BUDGET,
        {
            WIDE_CUT: figures(WIDE_CUT, 4.6, 0.94, "imagenet"),
            NARROW: figures(NARROW, 4.8, 0.93, "none"),
        },
    )
    assert plain.endswith(
        "But it started from none and the choice from imagenet weights: they did not have the "
        "same chance."
    )


def test_a_plain_choice_and_the_pruned_one_that_was_passed_over() -> None:
    cut = figures(WIDE_CUT, 4.6, 0.94)
    cut = replace(cut, cost=replace(cut.cost, timings=fake_cost(NARROW).timings))
    found = {WIDE_CUT: cut, NARROW: figures(NARROW, 4.6, 0.94)}
    text = "p50<=9ms, mae<=+0.5"
    narrow = found[NARROW]
    slower = {"local": replace(narrow.cost.timings["local"], p50_ms=0.76)}  # 0.75 ms and 1 %
    found[NARROW] = replace(narrow, cost=replace(narrow.cost, timings=slower))
    outcome = outcome_of(text, found)
    assert outcome.chosen == NARROW
    won, plain = why_chosen(outcome, parse_budget(text))
    assert "of 3 candidates" in won
    assert won.endswith(", 1 pruned passed over for plain ones as good.")
    assert plain == "It is a plain MobileNetV2, nothing pruned: this budget needs no pruning."
    entry = next(each for each in outcome.entries if each.candidate == WIDE_CUT)
    assert verdict_words(entry, outcome) == (
        "fits, but mobilenetv2-a50-128px-int8 is as good: not recommended"
    )


def test_plain_models_that_were_stopped_or_are_not_there() -> None:
    cut = {WIDE_CUT: figures(WIDE_CUT, 4.6, 0.94)}
    _, plain = said(BUDGET, cut)
    assert plain.startswith("No plain MobileNetV2 of the space costs as little")
    stopped = Entry(
        candidate=NARROW, state="stopped", reason="stopped after epoch 2", cost=fake_cost(NARROW)
    )
    _, plain = said(BUDGET, cut, stopped)
    assert "could not become as good (mobilenetv2-a50-128px-int8): pruning is worth it" in plain
    dearer = Entry(candidate=WIDE, state="stopped", reason="stopped", cost=fake_cost(WIDE))
    _, plain = said(BUDGET, cut, dearer)
    assert plain.startswith("No plain MobileNetV2 of the space costs as little")


def test_the_rival_shown_is_the_best_plain_one_that_costs_no_more() -> None:
    found = {
        WIDE_CUT: figures(WIDE_CUT, 4.6, 0.94),
        NARROW: figures(NARROW, 5.9, 0.8),
        WIDE: figures(WIDE, 4.5, 0.95),
    }
    assert rival_shown(outcome_of(BUDGET, found)) == NARROW
    assert rival_shown(outcome_of(BUDGET, {WIDE_CUT: found[WIDE_CUT]})) is None
    assert rival_shown(outcome_of("size<=9MB, mae<=4.5", {WIDE: found[WIDE]})) is None


def test_verdicts_of_candidates() -> None:
    found = {
        WIDE_CUT: figures(WIDE_CUT, 4.6, 0.94),
        NARROW: figures(NARROW, 5.3, 0.91),
        WIDE: figures(WIDE, 4.5, 0.95),
    }
    stopped = Entry(candidate=NARROW, state="stopped", reason="not trained: size +2.00 MB")
    failed = Entry(candidate=NARROW, state="failed", reason="the loss is nan")
    outcome = outcome_of("size<=3MB, mae<=+0.5, gender>=-3pp", found, stopped, failed)
    words = [verdict_words(entry, outcome) for entry in outcome.entries]
    assert words == [
        "reference; over: size +5.00 MB",
        "chosen",
        "over: mae +0.30 years, gender -1.00 pp",
        "fits",
        "not trained: size +2.00 MB",
        "failed: the loss is nan",
    ]


def test_the_binding_limit_in_words() -> None:
    """Found: 8 MB at 4.50 years, and 0.5 MB at 5.30. Asked: 1 MB and 5.0 years."""
    found = {NARROW: figures(NARROW, 5.3, 0.95)}
    budget = "size<=1MB, mae<=+0.5"
    assert binding_words(outcome_of(budget, found), parse_budget(budget)) == (
        "no candidate meets size<=1MB, mae<=+0.5 (of 2 measured); it binds alone: size, by 7.00 "
        "MB: 8.00 MB with all else met (mobilenetv2-a100-128px-float32); or mae, by 0.30 years: "
        "5.30 years with all else met (mobilenetv2-a50-128px-int8)"
    )


def test_several_limits_that_bind_at_once_in_words() -> None:
    found = {NARROW: figures(NARROW, 5.3, 0.90)}
    budget = "size<=0.45MB, mae<=+0.5, gender>=-3pp"
    assert binding_words(outcome_of(budget, found), parse_budget(budget)) == (
        "no candidate meets size<=450kB, mae<=+0.5, gender>=-3pp (of 2 measured); it binds alone:"
        " size, by 7.55 MB: 8.00 MB with all else met (mobilenetv2-a100-128px-float32)"
    )
    budget = "size<=0.45MB, mae<=4.4, gender>=-3pp"
    assert binding_words(outcome_of(budget, found), parse_budget(budget)) == (
        "no candidate meets size<=450kB, mae<=4.4, gender>=-3pp (of 2 measured); several limits "
        "bind at once: mobilenetv2-a50-128px-int8 is nearest, over by size +0.050 MB, mae +0.90 "
        "years, gender -2.00 pp; loosen them together, or ask for a wider space"
    )


def test_limits_with_their_numbers() -> None:
    mae, gender, size = parse_budget("mae<=+0.15, gender>=-0.5pp, size<=1MB").terms
    assert limit_words(mae, 4.75) == "mae<=+0.15 (4.75 years)"
    assert limit_words(gender, 5.5) == "gender>=-0.5pp (94.5 % gender accuracy)"
    assert limit_words(size, 1_000_000) == "size<=1MB"
