"""Plain models that could make a pruned one pointless. In: the choice. Out: what else to train.

A search may settle on a pruned model without having tried the plain one that it should be measured
by: a narrower MobileNetV2, or one with a smaller input. Those that cost no more are found by their
cost, before training, and the largest of them are trained as long and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeface.search.front import no_more
from edgeface.search.limits import Axis, cost_figure
from edgeface.search.measured import Cost
from edgeface.search.space import Candidate, Space

RIVALS = 2
"""Plain models that a pruned choice is held against. Chosen: the two with the most MACs of those
that cost no more; of plain models the larger is the better one, and two may be wide or large."""


def rivals_to_hold_against(
    chosen: Candidate, space: Space, cost_of: Callable[[Candidate], Cost], axes: Sequence[Axis]
) -> tuple[Candidate, ...]:
    """The plain models of a space that cost no more than a pruned one on any axis.

    Args:
        chosen: pruned.
        space: of the candidates.
        cost_of: gives the cost of `chosen` and of plain candidates.
        axes: of the front; MAE and gender have no say here.

    Returns:
        At most `RIVALS`, with the most MACs first, of the scheme of the chosen one.
    """
    costs = [axis for axis in axes if axis.quantity not in ("mae", "gender")]
    # one at least as wide and as large as the chosen one before its pruning costs more
    plain = [
        candidate
        for candidate in space.candidates
        if candidate.is_plain
        and candidate.scheme == chosen.scheme
        and (candidate.width_ratio < chosen.width_ratio or candidate.side_px < chosen.side_px)
    ]
    within = [
        candidate
        for candidate in plain
        if all(
            no_more(cost_figure(cost_of(candidate), axis), cost_figure(cost_of(chosen), axis), axis)
            for axis in costs
        )
    ]
    within.sort(key=lambda candidate: cost_of(candidate).macs, reverse=True)
    return tuple(within[:RIVALS])
