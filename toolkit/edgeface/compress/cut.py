"""Take channels out of a network, or make them say nothing.

In: a model, its channel graph, and the channels that stay. Out: a smaller plain model (`cut`), or
one of the same size (`masked`) with the same outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.graph import ChannelGraph
from edgeface.errors import CompressionError

Keep = Mapping[str, NDArray[np.intp]]


def cut(model: Any, graph: ChannelGraph, keep: Keep) -> Any:
    """Rebuild a model with only the channels that stay.

    Args:
        model: not changed.
        graph: `channel_graph(model)`.
        keep: by group name, the numbers of the channels that stay, rising; groups not named stay
            whole.

    Returns:
        A plain Keras model with the same layers, fewer channels, and the outputs of
        `masked(model, graph, keep)`. Not compiled.

    Raises:
        CompressionError: a group is unknown, or would lose its last channel, or a number is not
            one of its channels.
    """
    stays = stays_of(graph, keep)
    taken: dict[str, list[tuple[int, int, NDArray[np.intp]]]] = {}
    widths: dict[str, int] = {}
    for slot in graph.slots:
        positions = np.flatnonzero(stays[slot.ids])
        taken.setdefault(slot.layer, []).append((slot.weight, slot.axis, positions))
        if slot.role == "writes":
            widths[slot.layer] = len(positions)
    for call in graph.calls:
        if call.kind == "Reshape" and not call.frozen:
            widths[call.layer] = int(stays[graph.tensors[call.outputs[0]]].sum())

    def clone(layer: Any) -> Any:
        return type(layer).from_config(_narrowed(layer, widths))

    smaller = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        weights = layer.get_weights()
        for number, axis, positions in taken.get(layer.name, ()):
            weights[number] = np.take(weights[number], positions, axis=axis)
        smaller.get_layer(layer.name).set_weights(weights)
    return smaller


def masked(model: Any, graph: ChannelGraph, keep: Keep) -> Any:
    """Copy a model at full size in which the removed channels reach nothing.

    What reads a removed channel gets weight 0 for it. Between what makes a channel and what reads
    it no other channel plays a part, so this is removal exactly, whatever normalization adds to the
    channel and whatever the activations make of 0.

    Args:
        model: not changed.
        graph: `channel_graph(model)`.
        keep: as in `cut`.

    Raises:
        CompressionError: as in `cut`.
    """
    stays = stays_of(graph, keep)
    same = keras.models.clone_model(model)
    for layer in model.layers:
        same.get_layer(layer.name).set_weights(layer.get_weights())
    for slot in graph.slots:
        if slot.role == "reads":
            layer = same.get_layer(slot.layer)
            weights = layer.get_weights()
            np.moveaxis(weights[slot.weight], slot.axis, 0)[~stays[slot.ids]] = 0
            layer.set_weights(weights)
    return same


def stays_of(graph: ChannelGraph, keep: Keep) -> NDArray[np.bool_]:
    """Mark the ids that stay, bool [ids].

    Raises:
        CompressionError: as in `cut`.
    """
    groups = {group.name: group for group in graph.groups}
    stays = np.ones(graph.ids, np.bool_)
    for name, kept in keep.items():
        if name not in groups:
            raise CompressionError(
                f"{name}: is no channel group of {graph.model!r}, expected one of its "
                f"{len(groups)}, such as {next(iter(groups), 'none')!r}"
            )
        if len(kept) == 0:
            raise CompressionError(f"{name}: no channel would be left, expected one or more")
        channels = groups[name].channels
        if kept[0] < 0 or kept[-1] >= channels or (np.diff(kept) <= 0).any():
            raise CompressionError(
                f"{name}: channels to keep are {_few(kept)}, expected rising numbers from 0 to "
                f"{channels - 1}"
            )
        stays[groups[name].ids] = False
        stays[groups[name].ids[kept]] = True
    return stays


def _narrowed(layer: Any, widths: Mapping[str, int]) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()
    if layer.name in widths:
        width = widths[layer.name]
        if "target_shape" in config:
            shape = tuple(config["target_shape"])
            config["target_shape"] = shape if shape[-1] == -1 else (*shape[:-1], width)
        else:
            config["filters" if "filters" in config else "units"] = width
    return config


def _few(numbers: NDArray[np.intp]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    return f"{shown} ..." if len(numbers) > 5 else shown
