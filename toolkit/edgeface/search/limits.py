"""A budget against figures. In: `Budget` and measured values. Out: limits as numbers, and excesses.

Gender accuracy is turned into the error, in per cent, so that of every quantity less is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeface.search.budget import Budget, Quantity, Term
from edgeface.search.measured import Cost, Measured

# chosen: where `gender>=100%` leaves no error at all, excesses are told apart on this scale
_SMALLEST_SCALE = 0.1
# chosen: 100 * (1 - 0.94) is 5e-15 over 6, and must meet a limit of 6
_DIGITS = 9


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A term of the budget with its number.

    Attributes:
        term: as asked.
        most: the largest figure that meets it: bytes, a count, milliseconds, years, or per cent of
            wrong genders.
    """

    term: Term
    most: float

    def excess(self, figure: float) -> float:
        """How much a figure is over the limit, in its unit; 0 or less meets it."""
        return round(figure - self.most, _DIGITS)

    def excess_ratio(self, figure: float) -> float:
        """The excess as a share of the limit, so that unlike quantities can be set side by side."""
        return self.excess(figure) / max(self.most, _SMALLEST_SCALE)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One dimension of the front; less is better.

    Attributes:
        quantity: see `budget.Quantity`.
        device: of a latency; empty for all else.
    """

    quantity: Quantity
    device: str = ""


def limits_of(budget: Budget, reference: Measured) -> tuple[Limit, ...]:
    """Turn terms into numbers.

    Args:
        budget: as asked.
        reference: the unpruned float model, which relative terms are compared with.

    Returns:
        A limit a term, in the same order.
    """
    return tuple(Limit(term=term, most=_most(term, reference)) for term in budget.terms)


def axes_of(budget: Budget) -> tuple[Axis, ...]:
    """Say what the front is drawn over: the costs that the budget names, MAE, and gender error.

    The first is what "cheapest" means. A budget without a cost is one over size.
    """
    costs = [Axis(quantity=t.quantity, device=t.device) for t in budget.terms if t.is_cost]
    costs = costs or [Axis(quantity="size")]
    return (*costs, Axis(quantity="mae"), Axis(quantity="gender"))


def figure_of(measured: Measured, what: Axis | Term) -> float:
    """Give one figure, as `Limit.most` states it."""
    if what.quantity == "mae":
        return measured.mae_years
    if what.quantity == "gender":
        return measured.gender_error_pct
    return cost_figure(measured.cost, what)


def cost_figure(cost: Cost, what: Axis | Term) -> float:
    """Give one cost.

    Args:
        cost: with a timing on the device if `what` is a latency.
        what: neither "mae" nor "gender".
    """
    if what.quantity in ("p50", "p90"):
        timing = cost.timings[what.device]
        return timing.p50_ms if what.quantity == "p50" else timing.p90_ms
    counts = {
        "size": cost.size_bytes,
        "gzip": cost.gzip_bytes,
        "params": cost.parameters,
        "macs": cost.macs,
    }
    return float(counts[what.quantity])


def fits(measured: Measured, limits: Sequence[Limit]) -> bool:
    """Whether a candidate meets all limits."""
    return not violated(measured, limits)


def violated(measured: Measured, limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits that a candidate is over."""
    return tuple(each for each in limits if each.excess(figure_of(measured, each.term)) > 0)


def _most(term: Term, reference: Measured) -> float:
    if term.quantity == "gender":
        if term.relative:
            return reference.gender_error_pct - term.limit
        return 100 - term.limit
    return reference.mae_years + term.limit if term.relative else term.limit
