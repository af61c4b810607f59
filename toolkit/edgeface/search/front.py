"""The front, and what is chosen from it. In: figures of finished candidates. Out: names, and why.

**Rule.** Of the candidates that meet every limit, the cheapest by the first cost that the budget
names; of equals the one with the lower MAE, then gender error, then the other costs. A pruned one
is passed over where a plain one, narrower or with a smaller input and trained as long, meets every
limit too and is as good: no worse on any axis, latency up to `SAME_LATENCY_RATIO`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeface.bench.latency import UNSTABLE_REPEATS_RATIO
from edgeface.search.budget import Term
from edgeface.search.limits import Axis, Limit, figure_of, fits, violated
from edgeface.search.measured import Measured
from edgeface.search.space import Candidate

SAME_LATENCY_RATIO = UNSTABLE_REPEATS_RATIO
"""Share by which two latencies may differ and count as the same; see `bench.latency`."""

Found = Mapping[Candidate, Measured]
"""Finished candidates with their figures."""


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one point is no worse anywhere and better somewhere; less is better."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front(found: Found, axes: Sequence[Axis]) -> tuple[Candidate, ...]:
    """The candidates that no other one dominates, in the order of the first axis."""
    points = {candidate: point(measured, axes) for candidate, measured in found.items()}
    members = [
        candidate
        for candidate, at in points.items()
        if not any(dominates(other, at) for other in points.values())
    ]
    return tuple(sorted(members, key=lambda candidate: points[candidate]))


def point(measured: Measured, axes: Sequence[Axis]) -> tuple[float, ...]:
    """Where a candidate lies, in the order of the axes."""
    return tuple(figure_of(measured, axis) for axis in axes)


def as_good(plain: Measured, pruned: Measured, axes: Sequence[Axis]) -> bool:
    """Whether a plain model is no worse than a pruned one on any axis, latency within noise."""
    return all(no_more(figure_of(plain, axis), figure_of(pruned, axis), axis) for axis in axes)


def no_more(one: float, other: float, axis: Axis) -> bool:
    """Whether one figure is not above another; latency within noise."""
    is_latency = axis.quantity in ("p50", "p90")
    return one <= other * (1 + SAME_LATENCY_RATIO if is_latency else 1)


def rival_of(
    candidate: Candidate, found: Found, axes: Sequence[Axis], limits: Sequence[Limit]
) -> Candidate | None:
    """The plain candidate because of which a pruned one is not recommended; None if there is none.

    Of several, the one with the lowest MAE. Like files are compared: of one scheme.
    """
    if candidate.is_plain:
        return None
    rivals = [
        other
        for other, measured in found.items()
        if other.is_plain
        and other.scheme == candidate.scheme
        and fits(measured, limits)
        and as_good(measured, found[candidate], axes)
    ]
    return min(rivals, key=lambda other: found[other].mae_years, default=None)


def choose(found: Found, axes: Sequence[Axis], limits: Sequence[Limit]) -> Candidate | None:
    """Choose by the rule of the module; None where nothing meets the limits."""
    fitting = [
        candidate
        for candidate, measured in found.items()
        if fits(measured, limits) and rival_of(candidate, found, axes, limits) is None
    ]

    def order(candidate: Candidate) -> tuple[float, ...]:
        cheapest, *costs, mae, gender = point(found[candidate], axes)
        # names last, so that the choice never depends on the order of the search
        return (
            *(cheapest, mae, gender, *costs),
            *(candidate.width_ratio, candidate.side_px, candidate.pruning_ratio),
        )

    return min(fitting, key=order, default=None)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """How far one candidate is over one limit.

    Attributes:
        term: of the budget.
        most: the limit as a number; see `Limit.most`.
        found: the candidate's figure.
        excess: found - most, above 0.
        candidate: whose.
    """

    term: Term
    most: float
    found: float
    excess: float
    candidate: Candidate


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Why nothing fits.

    Attributes:
        alone: for each limit that is the only one some candidate is over, the smallest excess:
            loosen that limit alone by so much, and something fits. In the order of the budget.
        nearest: the limits that the nearest candidate is over; the nearest has the smallest
            largest excess as a share of the limit. Empty where no candidate was finished.
    """

    alone: tuple[Violation, ...]
    nearest: tuple[Violation, ...]


def binding(found: Found, limits: Sequence[Limit]) -> Binding:
    """Say which limit binds and by how much.

    Args:
        found: finished candidates, of which none meets all limits.
        limits: of the budget.
    """
    over = {candidate: violated(measured, limits) for candidate, measured in found.items()}
    alone = []
    for limit in limits:
        only = [candidate for candidate, over_what in over.items() if over_what == (limit,)]
        if only:
            best = min(only, key=lambda each, of=limit: figure_of(found[each], of.term))  # type: ignore[misc]
            alone.append(_violation(limit, best, found[best]))
    nearest = min(
        over,
        key=lambda each: max(
            limit.excess_ratio(figure_of(found[each], limit.term)) for limit in over[each]
        ),
        default=None,
    )
    return Binding(
        alone=tuple(alone),
        nearest=()
        if nearest is None
        else tuple(_violation(limit, nearest, found[nearest]) for limit in over[nearest]),
    )


def _violation(limit: Limit, candidate: Candidate, measured: Measured) -> Violation:
    figure = figure_of(measured, limit.term)
    return Violation(
        term=limit.term,
        most=limit.most,
        found=figure,
        excess=limit.excess(figure),
        candidate=candidate,
    )
