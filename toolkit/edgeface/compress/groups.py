"""Which channels go together: the expansion channels of each inverted residual block.

In: a MobileNetV2 graph. Out: one `ChannelGroup` a block. A block's expansion channels run through
expand, depthwise and project alone; nothing outside the block sees them, so they can be cut freely.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from edgeface.errors import CompressionError

# Source: layer names of tf_keras.applications.MobileNetV2; its first block has no expansion
_EXPAND = re.compile(r"block_\d+_expand")


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """Layers that share one set of channels.

    Attributes:
        name: of the block.
        expand: the 1x1 convolution that makes the channels.
        expand_norm: its batch normalization.
        depthwise: the depthwise convolution over them.
        depthwise_norm: its batch normalization.
        project: the 1x1 convolution that reads them.
        project_norm: its batch normalization (its channels are not the group's).
        channels: how many.
    """

    name: str
    expand: str
    expand_norm: str
    depthwise: str
    depthwise_norm: str
    project: str
    project_norm: str
    channels: int


def expansion_groups(model: Any) -> tuple[ChannelGroup, ...]:
    """Find the expansion channels of every inverted residual block, in graph order.

    Raises:
        CompressionError: there is none, so this is no MobileNetV2.
    """
    groups = []
    for layer in model.layers:
        if _EXPAND.fullmatch(layer.name):
            block = layer.name.removesuffix("_expand")
            groups.append(
                ChannelGroup(
                    name=block,
                    expand=layer.name,
                    expand_norm=f"{block}_expand_BN",
                    depthwise=f"{block}_depthwise",
                    depthwise_norm=f"{block}_depthwise_BN",
                    project=f"{block}_project",
                    project_norm=f"{block}_project_BN",
                    channels=layer.filters,
                )
            )
    if not groups:
        raise CompressionError(
            f"model {model.name!r}: has no inverted residual block to prune; expected a "
            "mobilenetv2; set pruning_ratio = 0 in the recipe to leave it whole"
        )
    return tuple(groups)
