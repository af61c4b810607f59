"""Structured pruning: remove the least important channels and return a plain smaller model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgeface.compress.allocate import most_important, uniform, within_budget
from edgeface.compress.costs import Budget, cost_terms
from edgeface.compress.cut import cut
from edgeface.compress.graph import ChannelGraph, ChannelGroup, Scope, channel_graph, groups_in
from edgeface.compress.importance import Scores, batch_norm_scores, magnitude_scores
from edgeface.model.profile import profile

# by the name a recipe gives; "taylor" needs labelled batches besides, see `taylor_scores`
CRITERIA: Mapping[str, Callable[[Any, ChannelGraph], Scores]] = {
    "magnitude": magnitude_scores,
    "batch_norm": batch_norm_scores,
}


@dataclass(frozen=True, kw_only=True)
class GroupCut:
    """How many channels of one group were there, and are left."""

    name: str
    channels_before: int
    channels_after: int


@dataclass(frozen=True, kw_only=True)
class PruneReport:
    """What pruning removed.

    Attributes:
        asked_ratio: the pruning ratio asked for; None where a budget was.
        groups: one cut a group.
        criterion: what the channels were ranked by.
        task_shares: by head, its share of the importance; empty where no loss was asked.
        parameters_before: as Keras counts them.
        parameters_after: of the smaller model, counted.
        macs_before: multiply-and-adds of one inference.
        macs_after: of the smaller model, counted.
        frozen: layers whose channels stay because their kind is not known, "name (type)".
    """

    asked_ratio: float | None
    groups: tuple[GroupCut, ...]
    criterion: str
    task_shares: Mapping[str, float] = field(default_factory=dict)
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    frozen: tuple[str, ...] = ()

    @property
    def pruning_ratio(self) -> float:
        """Share of prunable channels removed, 0 to 1; parameters fall by another share."""
        before = sum(group.channels_before for group in self.groups)
        return 1 - sum(group.channels_after for group in self.groups) / before


def prune(
    model: Any,
    *,
    pruning_ratio: float,
    round_to: int,
    scope: Scope = "auto",
    scores: Scores | None = None,
) -> tuple[Any, PruneReport]:
    """Remove the least important channels, the same share of every group.

    Args:
        model: trained; not changed.
        pruning_ratio: share to remove, 0 up to 1.
        round_to: channels left are a multiple of this (all of them where a group has fewer).
        scope: which groups; see `groups_in`.
        scores: of `channel_graph(model)`; None takes `magnitude_scores`.

    Returns:
        The smaller model, not yet fine-tuned, and the report.

    Raises:
        CompressionError: the model has nothing to prune.
    """
    graph = channel_graph(model)
    groups = groups_in(graph, scope)
    counts = uniform(groups, pruning_ratio=pruning_ratio, round_to=round_to)
    return _cut_to(model, graph, groups, counts, scores, asked_ratio=pruning_ratio)


def prune_to_budget(
    model: Any,
    *,
    budget: Budget,
    round_to: int,
    scope: Scope = "auto",
    scores: Scores | None = None,
    keep_at_least_ratio: float = 0.1,
) -> tuple[Any, PruneReport]:
    """Remove channels where they matter least for what they cost, until the budget is met.

    Args:
        model: trained; not changed.
        budget: in MACs, parameters, bytes, or milliseconds from times measured on a device.
        round_to: as in `prune`.
        scope: as in `prune`.
        scores: as in `prune`.
        keep_at_least_ratio: of each group, 0 to 1.

    Returns:
        The smaller model, not yet fine-tuned, and the report.

    Raises:
        CompressionError: the model has nothing to prune, the table of layer times does not fit
            it, or the budget cannot be met.

    Source:
        keep_at_least_ratio 0.1, chosen: no score foresees the end of a layer, and a tenth of a
        layer costs a tenth.
    """
    graph = channel_graph(model)
    groups = groups_in(graph, scope)
    scores = scores or magnitude_scores(model, graph)
    counts = within_budget(
        graph,
        groups,
        scores,
        cost_terms(model, graph, budget),
        budget,
        round_to=round_to,
        keep_at_least_ratio=keep_at_least_ratio,
    )
    return _cut_to(model, graph, groups, counts, scores, asked_ratio=None)


def combined(reports: Sequence[PruneReport]) -> PruneReport:
    """Join the reports of several rounds, one or more, into one from the first to the last."""
    first, last = reports[0], reports[-1]
    after = {group.name: group.channels_after for group in last.groups}
    return replace(
        last,
        asked_ratio=first.asked_ratio if len(reports) == 1 else None,
        groups=tuple(replace(group, channels_after=after[group.name]) for group in first.groups),
        parameters_before=first.parameters_before,
        macs_before=first.macs_before,
    )


def _cut_to(
    model: Any,
    graph: ChannelGraph,
    groups: tuple[ChannelGroup, ...],
    counts: Mapping[str, int],
    scores: Scores | None,
    *,
    asked_ratio: float | None,
) -> tuple[Any, PruneReport]:
    scores = scores or magnitude_scores(model, graph)
    smaller = cut(model, graph, most_important(groups, scores, counts))
    before, after = profile(model), profile(smaller)
    return smaller, PruneReport(
        asked_ratio=asked_ratio,
        groups=tuple(
            GroupCut(
                name=group.name,
                channels_before=group.channels,
                channels_after=counts[group.name],
            )
            for group in groups
        ),
        criterion=scores.criterion,
        task_shares=dict(scores.task_shares),
        parameters_before=before.parameters,
        parameters_after=after.parameters,
        macs_before=before.macs,
        macs_after=after.macs,
        frozen=graph.frozen,
    )
