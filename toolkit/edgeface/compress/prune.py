"""Structured pruning: remove the least important channels and return a plain smaller model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.groups import ChannelGroup, expansion_groups
from edgeface.compress.importance import magnitude_importance
from edgeface.errors import CompressionError


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
        asked_ratio: the pruning ratio asked for.
        groups: one cut a group.
    """

    asked_ratio: float
    groups: tuple[GroupCut, ...]

    @property
    def pruning_ratio(self) -> float:
        """Share of prunable channels removed, 0 to 1; parameters fall by another share."""
        before = sum(group.channels_before for group in self.groups)
        return 1 - sum(group.channels_after for group in self.groups) / before


def prune(model: Any, *, pruning_ratio: float, round_to: int) -> tuple[Any, PruneReport]:
    """Remove the least important expansion channels, the same share in every block.

    Args:
        model: trained MobileNetV2; not changed.
        pruning_ratio: share to remove, 0 up to 1.
        round_to: channels left are a multiple of this (all of them where a block has fewer).

    Returns:
        The smaller model, not yet fine-tuned, and the report.

    Raises:
        CompressionError: the model has no prunable blocks.
    """
    groups = expansion_groups(model)
    keep = {}
    for group in groups:
        count = channels_to_keep(group.channels, pruning_ratio, round_to)
        ranked = np.argsort(-magnitude_importance(model, group), kind="stable")
        keep[group.name] = np.sort(ranked[:count])
    report = PruneReport(
        asked_ratio=pruning_ratio,
        groups=tuple(
            GroupCut(
                name=group.name,
                channels_before=group.channels,
                channels_after=len(keep[group.name]),
            )
            for group in groups
        ),
    )
    return cut_channels(model, groups, keep), report


def channels_to_keep(channels: int, pruning_ratio: float, round_to: int) -> int:
    """Round what is left to the nearest multiple; at least one multiple, at most all."""
    wanted = round((1 - pruning_ratio) * channels / round_to) * round_to
    return min(channels, max(round_to, wanted))


def cut_channels(
    model: Any, groups: tuple[ChannelGroup, ...], keep: Mapping[str, NDArray[np.intp]]
) -> Any:
    """Rebuild the model with only the kept channels of each group.

    Args:
        model: not changed.
        groups: of the model.
        keep: by group name, the channels that stay, in order.

    Returns:
        A plain Keras model whose outputs equal those of `model` with the other channels zeroed.

    Raises:
        CompressionError: a group would lose its last channel.
    """
    slices: dict[str, tuple[int, NDArray[np.intp]]] = {}
    for group in groups:
        kept = keep[group.name]
        if len(kept) == 0:
            raise CompressionError(f"{group.name}: no channel would be left, expected one or more")
        slices[group.expand] = (3, kept)  # kernel [1, 1, in, C]
        slices[group.expand_norm] = (0, kept)
        slices[group.depthwise] = (2, kept)  # kernel [k, k, C, 1]
        slices[group.depthwise_norm] = (0, kept)
        slices[group.project] = (2, kept)  # kernel [1, 1, C, out]
    filters = {group.expand: len(keep[group.name]) for group in groups}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in filters:
            config["filters"] = filters[layer.name]
        return type(layer).from_config(config)

    smaller = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        weights = layer.get_weights()
        if layer.name in slices:
            axis, kept = slices[layer.name]
            weights = [np.take(weight, kept, axis=axis) for weight in weights]
        smaller.get_layer(layer.name).set_weights(weights)
    return smaller
