"""How many channels each group keeps: the same share everywhere, or what a budget costs least.

In: groups, and scores where groups are compared. Out: by group name, the channels that stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeface.compress.costs import Budget, Terms, cost, term_costs
from edgeface.compress.graph import ChannelGraph, ChannelGroup
from edgeface.compress.importance import Scores
from edgeface.errors import CompressionError


def channels_to_keep(channels: int, pruning_ratio: float, round_to: int) -> int:
    """Round what is left to the nearest multiple; at least one multiple, at most all."""
    wanted = round((1 - pruning_ratio) * channels / round_to) * round_to
    return min(channels, max(round_to, wanted))


def uniform(
    groups: Sequence[ChannelGroup], *, pruning_ratio: float, round_to: int
) -> dict[str, int]:
    """Remove the same share of every group."""
    return {
        group.name: channels_to_keep(group.channels, pruning_ratio, round_to) for group in groups
    }


def within_budget(
    graph: ChannelGraph,
    groups: Sequence[ChannelGroup],
    scores: Scores,
    terms: Terms,
    budget: Budget,
    *,
    round_to: int,
    keep_at_least_ratio: float,
) -> dict[str, int]:
    """Remove channels until the cost fits, first those that matter least for what they cost.

    Each step takes from one group its least important channels down to the next multiple of
    `round_to`: of all such steps the one with the lowest sum of scores for the cost it saves. The
    cost of a step depends on all widths, and is counted anew after each.

    Args:
        graph: of the network.
        groups: of the graph, those that may be cut.
        scores: of them; where `comparable` is false, each group's are divided by their sum first.
        terms: `cost_terms` of the budget.
        budget: its limit.
        round_to: channels left are a multiple of this, or all.
        keep_at_least_ratio: of each group, 0 to 1.

    Raises:
        CompressionError: the budget cannot be met.

    Source:
        Greedy importance for cost, as Shen et al. 2022, HALP (arXiv 2110.10811), asks of a knapsack
        solver. Dividing by the group's sum, after Molchanov et al. 2017 (arXiv 1611.06440), section
        2.2, chosen instead of their L2 norm: the last channels of a narrow layer are worth more.
    """
    numbers = {group.name: number for number, group in enumerate(graph.groups)}
    channels = np.array([group.channels for group in graph.groups], np.int64)
    ranked = {group.name: _cumulated(scores, group) for group in groups}
    floors = {
        group.name: channels_to_keep(group.channels, 1.0, round_to)
        if keep_at_least_ratio == 0
        else _ceiling(group.channels, keep_at_least_ratio, round_to)
        for group in groups
    }
    names = [group.name for group in groups]
    touched = {name: _terms_of(terms, numbers[name]) for name in names}
    rates: dict[str, float] = {}
    while cost(terms, channels) > budget.limit:
        for name in names:
            if name not in rates:
                rates[name] = _rate(
                    touched[name], channels, numbers[name], ranked[name], floors[name], round_to
                )
        best = min(names, key=lambda name: rates[name], default=None)
        if best is None or rates[best] == np.inf:
            raise CompressionError(
                f"budget: {budget.kind} is {cost(terms, channels):.4g} with every group at its "
                f"least, expected {budget.limit:.4g} or less; raise the limit, lower "
                "keep_at_least_ratio, or start from a narrower network"
            )
        channels[numbers[best]] = _next(int(channels[numbers[best]]), round_to, floors[best])
        near = touched[best].occurrences.sum(axis=(0, 1)) > 0
        for name in names:
            if near[numbers[name]]:
                rates.pop(name, None)
    return {name: int(channels[numbers[name]]) for name in names}


def ratio_of_round(pruning_ratio: float, rounds: int) -> float:
    """Give the share that each of several rounds removes of what is left, to end at a ratio.

    Args:
        pruning_ratio: of all rounds together, 0 up to 1.
        rounds: how often is pruned, 1 or more.
    """
    return float(1 - (1 - pruning_ratio) ** (1 / rounds))


def most_important(
    groups: Sequence[ChannelGroup], scores: Scores, counts: Mapping[str, int]
) -> dict[str, NDArray[np.intp]]:
    """Pick the channels that stay, rising; of equal scores the first channels."""
    keep = {}
    for group in groups:
        ranked = np.argsort(-scores.of_group[group.name], kind="stable")
        keep[group.name] = np.sort(ranked[: counts[group.name]])
    return keep


def _cumulated(scores: Scores, group: ChannelGroup) -> NDArray[np.float64]:
    """Sum of the n lowest scores, float64 [channels + 1]."""
    values = scores.of_group[group.name]
    if not scores.comparable:
        values = values / max(values.sum(), np.finfo(np.float64).tiny)
    return np.concatenate([[0.0], np.cumsum(np.sort(values))])


def _ceiling(channels: int, ratio: float, round_to: int) -> int:
    least = int(np.ceil(ratio * channels / round_to)) * round_to
    return min(channels, max(round_to, least))


def _terms_of(terms: Terms, number: int) -> Terms:
    at = terms.occurrences[:, :, number].any(axis=1)
    return Terms(
        factors=terms.factors[at],
        stay=terms.stay[at],
        occurrences=terms.occurrences[at],
        tile=terms.tile,
    )


def _next(channels: int, round_to: int, floor: int) -> int:
    return max(floor, (channels - 1) // round_to * round_to)


def _rate(
    terms: Terms,
    channels: NDArray[np.int64],
    number: int,
    lowest: NDArray[np.float64],
    floor: int,
    round_to: int,
) -> float:
    """Importance lost for cost saved by the group's next step; infinite where there is none."""
    now = int(channels[number])
    after = channels.copy()
    after[number] = _next(now, round_to, floor)
    if after[number] >= now:
        return float(np.inf)
    saved = float(term_costs(terms, channels).sum() - term_costs(terms, after).sum())
    total = len(lowest) - 1
    lost = float(lowest[total - after[number]] - lowest[total - now])
    return lost / saved if saved > 0 else float(np.inf)
