from __future__ import annotations

from dataclasses import replace

import pytest

from edgeface.search.budget import Term, parse_budget
from edgeface.search.limits import Limit, axes_of, limits_of
from edgeface.search.measured import Cost, Measured
from edgeface.search.space import Candidate
from edgeface.search.stopping import COST_SLACK_RATIO, SMALLEST_SAMPLE, hopeless, over_cost
from search.fakes import REFERENCE, SPACE, fake_cost, fake_measured

AXES = axes_of(parse_budget("size<=1MB"))
CHEAP = replace(fake_cost(REFERENCE), size_bytes=1)
NONE = ()
DEAR = replace(fake_cost(REFERENCE), size_bytes=10**9)


def finished(*curves: tuple[float, ...]) -> dict[Candidate, Measured]:
    """Finished candidates of 1,000 bytes each, with an MAE that is the best of their curve."""
    cost = replace(fake_cost(REFERENCE), size_bytes=1000)
    return {
        candidate: replace(
            fake_measured(candidate), cost=cost, mae_years=min(curve), mae_curve_years=curve
        )
        for candidate, curve in zip(SPACE.candidates, curves, strict=False)
    }


def mae(most_years: float) -> tuple[Limit, ...]:
    return (Limit(term=Term(quantity="mae", limit=most_years), most=most_years),)


def cost(*, size_bytes: int = 1, gzip_bytes: int = 1) -> Cost:
    return replace(fake_cost(REFERENCE), size_bytes=size_bytes, gzip_bytes=gzip_bytes)


def test_what_is_a_quarter_over_a_cost_is_not_trained() -> None:
    limits = limits_of(parse_budget("size<=1MB, p50<=100ms, mae<=4"), fake_measured(REFERENCE))
    assert COST_SLACK_RATIO == 0.25
    assert over_cost(cost(size_bytes=1_250_000), limits) is None
    reason = over_cost(cost(size_bytes=1_250_001), limits)
    assert reason == "not trained: size +0.250 MB"


def test_every_cost_that_is_far_over_is_named() -> None:
    limits = limits_of(parse_budget("macs<=50M, p50<=1ms, params<=9M"), fake_measured(REFERENCE))
    reason = over_cost(fake_cost(REFERENCE), limits)  # 100 M MACs, 8 ms, 2 M parameters
    assert reason == "not trained: macs +50.00 M MACs, p50 +7.00 ms"


def test_gzip_depends_on_the_weights_and_stops_nothing_before_training() -> None:
    limits = limits_of(parse_budget("gzip<=1B"), fake_measured(REFERENCE))
    assert over_cost(cost(gzip_bytes=10**9), limits) is None


def test_the_best_that_can_be_reached_is_by_the_largest_gain_that_was_seen() -> None:
    # after epoch 1 the three still gained 1.0, 2.0 and 0.5 years
    found = finished((6.0, 5.5, 5.0), (7.0, 6.0, 5.0), (5.5, 5.0, 5.2))
    assert hopeless(1, 6.8, DEAR, found, AXES, mae(4.9)) is None  # 6.8 - 2.0 = 4.8
    reason = hopeless(1, 7.0, DEAR, found, AXES, mae(4.9))
    assert reason == "stopped after epoch 1 at MAE 7.00 years: 5.00 at best, the limit is 4.90"
    # after epoch 2: 0.5, 1.0 and 0.0 (5.0 was the best before)
    assert hopeless(2, 5.9, DEAR, found, AXES, mae(4.9 + 1e-9)) is None
    assert hopeless(2, 6.0, DEAR, found, AXES, mae(4.9))


def test_two_curves_stop_nobody() -> None:
    assert SMALLEST_SAMPLE == 3
    found = finished((6.0, 5.0), (6.0, 5.0))
    assert hopeless(1, 99.0, CHEAP, found, AXES, mae(4.0)) is None


def test_after_the_last_epoch_nothing_is_stopped() -> None:
    found = finished((6.0, 5.0), (6.0, 5.0), (6.0, 5.0))
    assert hopeless(2, 99.0, DEAR, found, AXES, mae(4.0)) is None


def test_what_stays_worse_than_one_that_costs_no_more_is_stopped() -> None:
    found = finished((6.0, 5.0), (6.0, 5.1), (6.0, 5.2))  # largest gain 1.0
    name = SPACE.candidates[0].name
    reason = hopeless(1, 6.1, DEAR, found, AXES, NONE)
    assert reason is not None
    assert f"5.10 at best, {name} has 5.00 at 0.0010 MB" in reason
    assert hopeless(1, 5.9, DEAR, found, AXES, NONE) is None
    # a cheaper one has a place on the front, however bad it is
    assert hopeless(1, 99.0, CHEAP, found, AXES, NONE) is None


def test_one_that_is_cheaper_and_better_but_misses_another_limit_stops_nobody() -> None:
    found = finished((6.0, 5.0), (6.0, 5.0), (6.0, 5.0))  # gender is 94 % and a little less
    for text, stopped in (("gender>=90%", True), ("gender>=96%", False)):
        limits = limits_of(parse_budget(text), fake_measured(REFERENCE))
        assert (hopeless(1, 6.5, DEAR, found, AXES, limits) is not None) == stopped


@pytest.mark.parametrize("size_bytes", [1000, 999])
def test_equal_cost_counts_as_no_more(size_bytes: int) -> None:
    found = finished((6.0, 5.0), (6.0, 5.0), (6.0, 5.0))
    same = replace(CHEAP, size_bytes=size_bytes)
    stopped = hopeless(1, 6.5, same, found, AXES, NONE) is not None
    assert stopped == (size_bytes == 1000)
