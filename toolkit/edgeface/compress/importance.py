"""How much each channel matters: the lowest goes first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.compress.groups import ChannelGroup


def magnitude_importance(model: Any, group: ChannelGroup) -> NDArray[np.float64]:
    """Score expansion channels by the strength of their path through the block.

    A channel's path is expand, depthwise, project; its score is the product of the L2 norms of its
    weights in the three, each with its batch normalization folded in, so that rescaling between
    layers does not change it.

    Args:
        model: the trained network.
        group: of `channels` C.

    Returns:
        float64 [C], above or equal 0.

    Source:
        Li et al. 2017, Pruning Filters for Efficient ConvNets (arXiv 1608.08710) for the norm;
        the product over the path because the three layers share each channel.
    """
    expand = model.get_layer(group.expand).get_weights()[0].astype(np.float64)  # [1, 1, in, C]
    depthwise = model.get_layer(group.depthwise).get_weights()[0].astype(np.float64)  # [k, k, C, 1]
    project = model.get_layer(group.project).get_weights()[0].astype(np.float64)  # [1, 1, C, out]
    project = project * norm_scale(model.get_layer(group.project_norm))
    expand_norm = np.sqrt((expand**2).sum(axis=(0, 1, 2)))
    depthwise_norm = np.sqrt((depthwise**2).sum(axis=(0, 1, 3)))
    project_norm = np.sqrt((project**2).sum(axis=(0, 1, 3)))
    return np.asarray(
        expand_norm
        * np.abs(norm_scale(model.get_layer(group.expand_norm)))
        * depthwise_norm
        * np.abs(norm_scale(model.get_layer(group.depthwise_norm)))
        * project_norm
    )


def norm_scale(layer: Any) -> NDArray[np.float64]:
    """What a batch normalization multiplies each channel with at inference: γ / sqrt(var + ε)."""
    gamma, _, _, variance = (weight.astype(np.float64) for weight in layer.get_weights())
    return np.asarray(gamma / np.sqrt(variance + layer.epsilon))
