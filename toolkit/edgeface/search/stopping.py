"""When a candidate is hopeless, so that training it on would be waste.

In: limits, what the candidate costs or has reached so far, and the finished candidates. Out: the
reason to stop in words, or None. Optuna's pruners are not used: they stop what is worse than other
trials at the same epoch, which is every small model, and the small ones are what is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from edgeface.search.front import Found
from edgeface.search.limits import Axis, Limit, cost_figure, figure_of, fits
from edgeface.search.measured import Cost
from edgeface.search.words import excess_words, figure_words

COST_SLACK_RATIO = 0.25
"""Share by which a candidate may be over a limit of cost and is trained all the same.

Chosen: where nothing fits, such a one can show that a little more would do; beyond it nobody who
asked for the limit is helped. Latency of a busy machine is far better known than that.
"""

SMALLEST_SAMPLE = 3
"""Finished candidates needed before one is stopped. Chosen: two curves show no range."""


def over_cost(cost: Cost, limits: Sequence[Limit]) -> str | None:
    """Say which limit of cost a candidate is far over, before it is trained.

    Args:
        cost: of its file with random weights: the weights change neither size nor latency.
        limits: of the budget. The gzip size is left out, because it does depend on the weights.
    """
    far = [
        limit
        for limit in limits
        if limit.term.is_cost
        and limit.term.quantity != "gzip"
        and limit.excess_ratio(cost_figure(cost, limit.term)) > COST_SLACK_RATIO
    ]
    if not far:
        return None
    words = (excess_words(limit.term, limit.excess(cost_figure(cost, limit.term))) for limit in far)
    return f"not trained: {', '.join(words)}"


def hopeless(
    epoch: int,
    mae_years: float,
    cost: Cost,
    found: Found,
    axes: Sequence[Axis],
    limits: Sequence[Limit],
) -> str | None:
    """Say why a candidate cannot get where it must, from its validation MAE after an epoch.

    The best that it may still reach is its MAE now minus the most that any finished candidate
    gained after the same epoch. It is stopped if even that is over a limit of MAE, or over the MAE
    of a finished candidate that meets every limit and costs no more on any axis.

    Args:
        epoch: 1 for the first of the plain network's training.
        mae_years: after it.
        cost: of the candidate.
        found: finished candidates with the curves of their training.
        axes: of the front.
        limits: of the budget.

    Source:
        Rules that extrapolate from curves seen so far: Domhan et al. 2015, Speeding Up Automatic
        Hyperparameter Optimization (IJCAI). The largest gain, not a fitted curve, is chosen: it
        needs no model and errs towards training on.
    """
    gains = list(_gains(epoch, [each.mae_curve_years for each in found.values()]))
    if len(gains) < SMALLEST_SAMPLE:
        return None
    best = mae_years - max(gains)
    reached = f"stopped after epoch {epoch} at MAE {mae_years:.2f} years"
    most_years = min((each.most for each in limits if each.term.quantity == "mae"), default=inf)
    if best > most_years:
        return f"{reached}: {best:.2f} at best, the limit is {most_years:.2f}"
    costs = [axis for axis in axes if axis.quantity not in ("mae", "gender")]
    cheaper = [
        measured
        for measured in found.values()
        if fits(measured, limits)
        and all(figure_of(measured, axis) <= cost_figure(cost, axis) for axis in costs)
    ]
    rival = min(cheaper, key=lambda measured: measured.mae_years, default=None)
    if rival is not None and best > rival.mae_years:
        spent = figure_words(costs[0], figure_of(rival, costs[0]))
        return f"{reached}: {best:.2f} at best, {rival.name} has {rival.mae_years:.2f} at {spent}"
    return None


def _gains(epoch: int, curves: Iterable[Sequence[float]]) -> Iterable[float]:
    """What each finished training still gained after the epoch, years, 0 or more."""
    for curve in curves:
        if len(curve) > epoch:
            yield curve[epoch - 1] - min(curve[epoch - 1 :])
