from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeface.search.budget import parse_budget
from edgeface.search.front import as_good, binding, choose, dominates, front, point, rival_of
from edgeface.search.limits import Axis, axes_of, fits, limits_of
from edgeface.search.measured import Cost, Measured, Timing
from edgeface.search.space import Candidate, Space
from search.fakes import REFERENCE, fake_measured

GRID = Space(
    width_ratios=(0.35, 0.5, 0.75, 1.0),
    sides_px=(64, 96, 128),
    pruning_ratios=(0.0, 0.3, 0.5),
    schemes=("int8",),
).candidates
SIZE, P50 = Axis(quantity="size"), Axis(quantity="p50", device="local")
MAE, GENDER = Axis(quantity="mae"), Axis(quantity="gender")
AXES = (SIZE, P50, MAE, GENDER)


def figures(
    size_bytes: int = 1_000_000, p50_ms: float = 1.0, mae: float = 5.0, gender: float = 0.94
) -> Measured:
    timing = Timing(p50_ms=p50_ms, p90_ms=p50_ms)
    cost = Cost(
        size_bytes=size_bytes,
        gzip_bytes=size_bytes,
        parameters=1,
        macs=1,
        timings={"local": timing},
    )
    base = fake_measured(REFERENCE)
    return replace(base, cost=cost, mae_years=mae, gender_accuracy_ratio=gender)


def plain(width: float = 0.5, side: int = 96) -> Candidate:
    return Candidate(width_ratio=width, side_px=side, pruning_ratio=0.0, scheme="int8")


def pruned(width: float = 1.0, side: int = 128, ratio: float = 0.5) -> Candidate:
    return Candidate(width_ratio=width, side_px=side, pruning_ratio=ratio, scheme="int8")


# few values, so that ties and equal points come up
some_figures = st.builds(
    figures,
    size_bytes=st.sampled_from([1, 2, 3]),
    p50_ms=st.sampled_from([1.0, 1.02, 2.0]),
    mae=st.sampled_from([4.0, 4.5, 5.0]),
    gender=st.sampled_from([0.9, 0.95]),
)
found_sets = st.dictionaries(st.sampled_from(GRID), some_figures, min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1, 1), (2, 2), True),
        ((1, 2), (1, 3), True),
        ((1, 1), (1, 1), False),
        ((1, 3), (2, 2), False),
        ((2, 2), (1, 1), False),
    ],
)
def test_dominance(one: tuple[float, ...], other: tuple[float, ...], expected: bool) -> None:
    assert dominates(one, other) is expected


@settings(max_examples=100)
@given(found_sets)
def test_no_member_is_dominated_and_every_other_one_is_by_a_member(
    found: dict[Candidate, Measured],
) -> None:
    members = front(found, AXES)
    at = {candidate: point(measured, AXES) for candidate, measured in found.items()}
    assert members
    assert len(set(members)) == len(members)
    for member in members:
        assert not any(dominates(each, at[member]) for each in at.values())
    for other in set(found) - set(members):
        assert any(dominates(at[member], at[other]) for member in members)
    assert list(members) == sorted(members, key=lambda member: at[member])


@settings(max_examples=100)
@given(found_sets, st.sampled_from(["size<=2B", "size<=2B, p50<=1.01ms, mae<=4.5", "mae<=4.2"]))
def test_the_choice_meets_the_budget_and_no_plain_model_makes_it_pointless(
    found: dict[Candidate, Measured], text: str
) -> None:
    budget = parse_budget(text)
    axes, limits = axes_of(budget), limits_of(budget, fake_measured(REFERENCE))
    chosen = choose(found, axes, limits)
    fitting = [each for each, measured in found.items() if fits(measured, limits)]
    assert (chosen is None) == (not fitting)
    assume(chosen is not None)
    assert chosen is not None
    assert chosen in fitting
    at = {each: point(found[each], axes) for each in fitting}
    assert not any(dominates(each, at[chosen]) for each in at.values())
    for other in fitting:
        if not chosen.is_plain and other.is_plain:
            assert not as_good(found[other], found[chosen], axes)
        # what is cheaper was passed over for a plain model that is as good
        if at[other][0] < at[chosen][0]:
            assert rival_of(other, found, axes, limits) is not None


def test_axes_are_the_costs_that_the_budget_names_in_its_order() -> None:
    assert axes_of(parse_budget("p50<=8ms, mae<=+0.1, size<=1MB")) == (P50, SIZE, MAE, GENDER)
    assert axes_of(parse_budget("gender>=90%")) == (SIZE, MAE, GENDER)


def test_the_cheapest_by_the_first_cost_is_chosen_and_ties_go_to_the_lower_mae() -> None:
    small, fast, tie = plain(0.35), plain(0.5), plain(0.75)
    found = {
        small: figures(100, 3.0, 4.9),
        tie: figures(100, 4.0, 4.8),
        fast: figures(300, 1.0, 4.9),
    }
    for text, expected in (("size<=400B, p50<=9ms", tie), ("p50<=9ms, size<=400B", fast)):
        budget = parse_budget(text)
        chosen = choose(found, axes_of(budget), limits_of(budget, figures()))
        assert chosen == expected


def test_a_pruned_model_is_passed_over_where_a_plain_one_is_as_good_within_noise() -> None:
    budget = parse_budget("p50<=2ms, mae<=5")
    axes, limits = axes_of(budget), limits_of(budget, figures())
    cut, narrow = pruned(), plain()
    # 1.04 is within 5 % of 1.00
    found = {cut: figures(p50_ms=1.0, mae=4.8), narrow: figures(p50_ms=1.04, mae=4.8)}
    assert rival_of(cut, found, axes, limits) == narrow
    assert choose(found, axes, limits) == narrow
    # 1.06 is not
    found[narrow] = figures(p50_ms=1.06, mae=4.7)
    assert rival_of(cut, found, axes, limits) is None
    assert choose(found, axes, limits) == cut
    # and neither is a worse MAE
    found[narrow] = figures(p50_ms=0.5, mae=4.81)
    assert rival_of(cut, found, axes, limits) is None


def test_a_plain_model_over_the_budget_or_of_another_scheme_is_no_rival() -> None:
    budget = parse_budget("p50<=1ms, mae<=5")
    axes, limits = axes_of(budget), limits_of(budget, figures())
    cut = pruned()
    late = {cut: figures(p50_ms=1.0), plain(): figures(p50_ms=1.01)}
    assert rival_of(cut, late, axes, limits) is None
    float_one = replace(plain(), scheme="float32")
    assert rival_of(cut, {cut: figures(), float_one: figures()}, axes, limits) is None
    assert rival_of(plain(), {plain(): figures(), cut: figures()}, axes, limits) is None


def test_the_binding_limit_and_by_how_much() -> None:
    """size<=1.0MB and mae<=4.6+0.15=4.75: each alone is met, both together are not."""
    budget = parse_budget("size<=1.0MB, mae<=+0.15, gender>=-0.5pp")
    limits = limits_of(budget, figures(mae=4.6, gender=0.95))
    large, small, tiny = plain(1.0), plain(0.5), plain(0.35)
    found = {
        large: figures(1_210_000, mae=4.70, gender=0.95),
        small: figures(900_000, mae=4.95, gender=0.95),
        tiny: figures(500_000, mae=5.6, gender=0.91),
    }
    assert choose(found, axes_of(budget), limits) is None
    report = binding(found, limits)
    size, mae = report.alone
    assert (size.candidate, size.found) == (large, 1_210_000)
    assert size.excess == pytest.approx(210_000)  # 1.21 MB - 1.0 MB
    assert mae.candidate == small
    assert mae.most == pytest.approx(4.75)  # 4.6 + 0.15
    assert mae.excess == pytest.approx(0.20)  # 4.95 - 4.75
    # shares of the limits: 0.21 / 1.0 for the large one, 0.20 / 4.75 for the small one
    assert [each.candidate for each in report.nearest] == [small]


def test_where_two_limits_bind_at_once_the_nearest_candidate_says_by_how_much() -> None:
    budget = parse_budget("size<=1.0MB, gender>=95%")
    limits = limits_of(budget, figures())
    near, far = plain(0.75), plain(1.0)
    found = {
        near: figures(1_100_000, gender=0.945),  # 10 % over; error 5.5 % over 5 %: 10 %
        far: figures(1_500_000, gender=0.949),
    }
    report = binding(found, limits)
    assert report.alone == ()
    assert [each.candidate for each in report.nearest] == [near, near]
    size, gender = report.nearest
    assert size.excess == pytest.approx(100_000)
    assert gender.excess == pytest.approx(0.5)  # percentage points


def test_nothing_finished_means_nothing_to_say() -> None:
    report = binding({}, limits_of(parse_budget("size<=1MB"), figures()))
    assert (report.alone, report.nearest) == ((), ())


@settings(max_examples=60)
@given(found_sets)
def test_loosening_a_binding_limit_by_its_excess_lets_something_fit(
    found: dict[Candidate, Measured],
) -> None:
    budget = parse_budget("size<=1B, p50<=1.01ms, mae<=4.2")
    limits = limits_of(budget, figures())
    assume(choose(found, axes_of(budget), limits) is None)
    report = binding(found, limits)
    for violation in report.alone:
        assert violation.excess > 0
        looser = tuple(
            replace(each, most=each.most + violation.excess)
            if each.term == violation.term
            else each
            for each in limits
        )
        assert any(fits(measured, looser) for measured in found.values())
        almost = tuple(
            replace(each, most=each.most + 0.999 * violation.excess)
            if each.term == violation.term
            else each
            for each in limits
        )
        assert not any(fits(measured, almost) for measured in found.values())
    assert report.nearest


def test_gender_at_the_limit_meets_it_in_spite_of_binary_fractions() -> None:
    limits = limits_of(parse_budget("gender>=94%"), figures())
    assert 100 * (1 - 0.94) > 100 - 94
    assert fits(figures(gender=0.94), limits)
    assert not fits(figures(gender=0.9399), limits)
    relative = limits_of(parse_budget("gender>=-0.5pp"), figures(gender=0.94))
    assert fits(figures(gender=0.935), relative)
    assert not fits(figures(gender=0.9349), relative)
