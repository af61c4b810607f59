"""How much each channel matters, from the weights alone: the lowest goes first.

In: a model and its channel graph. Out: `Scores`, a number for each channel of each group. What the
tasks' losses say is in taylor.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.graph import Call, ChannelGraph
from edgeface.compress.union import Slot
from edgeface.errors import CompressionError

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """How much each channel matters.

    Attributes:
        criterion: "magnitude", "batch_norm" or "taylor".
        of_group: by group name, float64 [channels], 0 or more.
        comparable: whether scores of different groups are in one unit; if not, allocation compares
            shares of their group's sum.
        task_shares: by head, the share of the summed scores that its loss alone would give,
            0 to 1; empty where no losses were asked.
    """

    criterion: str
    of_group: Mapping[str, Values]
    comparable: bool
    task_shares: Mapping[str, float] = field(default_factory=dict)


def magnitude_scores(model: Any, graph: ChannelGraph) -> Scores:
    """Score channels by how strong what they carry arrives where it is read.

    From the input on, a strength follows each channel: the L2 norm of the weights that make it,
    times that of its depthwise kernel, times the factor of each batch normalization; a sum's is the
    root of the summed squares, a product's that of its larger (else its first) factor, since the
    other one gates it. What a reader hears of a channel is (strength × L2 norm of the reading
    weights, the reader's own batch normalization folded in) squared; the channel's score is its
    share of all that the reader hears, 0 to 1, summed over its readers. Scaling a channel up in
    one layer and down in the next does not change it.

    Expansion channels are so ranked by the product of the norms along expand, depthwise and
    project. A stream that three blocks read has three times the score of what one reads, and a
    channel of a narrow layer more than one of a wide layer.

    Source:
        Li et al. 2017, Pruning Filters for Efficient ConvNets (arXiv 1608.08710) for the norm;
        the product along the path because the layers share each channel. Shares, chosen: norms of
        different layers have no common unit. Relative to the group's root mean square instead, a
        MobileNetV2 with a budget in MACs lost three quarters of its residual streams and almost
        nothing else.
    """
    strengths = _strengths(model, graph)
    gains = _gains_after(model, graph)
    readers = {slot.layer: slot for slot in graph.slots if slot.role == "reads"}
    shares = np.zeros(graph.ids)
    for call in graph.calls:
        if not call.frozen and call.layer in readers:
            slot = readers[call.layer]
            kernel = _kernel(model, slot) * gains.get(call.layer, 1.0)
            reading = (kernel**2).sum(axis=_others(kernel, slot.axis))
            heard = reading * strengths[call.inputs[0]] ** 2
            shares += _by_id(graph, slot, heard / max(heard.sum(), np.finfo(np.float64).tiny))
    return Scores(
        criterion="magnitude",
        of_group={group.name: shares[group.ids] for group in graph.groups},
        comparable=True,
    )


def batch_norm_scores(model: Any, graph: ChannelGraph) -> Scores:
    """Score channels by |γ| of their batch normalization, the mean where there are several.

    Raises:
        CompressionError: a group has no batch normalization with a γ.

    Source:
        Liu et al. 2017, Learning Efficient Convolutional Networks through Network Slimming
        (arXiv 1708.06519). It means most after training with an L1 penalty on γ.
    """
    total, count = np.zeros(graph.ids), np.zeros(graph.ids)
    for slot in graph.slots:
        layer = model.get_layer(slot.layer)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale and slot.weight == 0:
            gamma = layer.get_weights()[0].astype(np.float64)
            total += _by_id(graph, slot, np.abs(gamma))
            count += _by_id(graph, slot, np.ones(len(gamma)))
    for group in graph.groups:
        if not count[group.ids].all():
            raise CompressionError(
                f"{group.name}: has no batch normalization with a γ to score its channels by; use "
                "the criterion 'magnitude' or 'taylor'"
            )
    mean = total / np.maximum(count, 1)
    return Scores(
        criterion="batch_norm",
        of_group={group.name: mean[group.ids] for group in graph.groups},
        comparable=False,
    )


def norm_scale(layer: Any) -> Values:
    """What a batch normalization multiplies each channel with at inference: γ / sqrt(var + ε)."""
    weights = [weight.astype(np.float64) for weight in layer.get_weights()]
    gamma = weights[0] if layer.scale else 1.0
    return np.asarray(gamma / np.sqrt(weights[-1] + layer.epsilon), np.float64)


def _strengths(model: Any, graph: ChannelGraph) -> list[Values]:
    strengths: list[Values] = []
    places: list[int] = []
    for call in graph.calls:
        known = [strengths[number] for number in call.inputs]
        for number in call.outputs:
            width = len(graph.tensors[number])
            made = np.ones(width)
            if known and not call.frozen:
                sizes = [places[number] for number in call.inputs]
                made = _strength(model.get_layer(call.layer), call, known, sizes, width)
            strengths.append(made)
            places.append(call.places)
    return strengths


def _strength(layer: Any, call: Call, inputs: list[Values], sizes: list[int], width: int) -> Values:
    first = inputs[0]
    if call.kind in ("Conv2D", "Dense"):
        kernel = layer.get_weights()[0].astype(np.float64)
        made = np.sqrt((kernel**2).sum(axis=_others(kernel, kernel.ndim - 1)))
    elif call.kind == "DepthwiseConv2D":
        kernel = layer.get_weights()[0].astype(np.float64)  # [h, w, channels, multiplier]
        made = (np.sqrt((kernel**2).sum(axis=(0, 1))) * first[:, None]).ravel()
    elif call.kind == "BatchNormalization":
        made = first * np.abs(norm_scale(layer))
    elif len(inputs) == 1:
        made = np.tile(first, width // len(first))  # flattening repeats, all else keeps
    elif sum(map(len, inputs)) == width and call.kind == "Concatenate":
        made = np.concatenate(inputs)
    elif call.kind in ("Multiply", "math.multiply"):
        made = np.broadcast_to(inputs[int(np.argmax(sizes))], width)
    else:
        made = np.sqrt(sum((np.broadcast_to(one, width) ** 2 for one in inputs), np.zeros(width)))
    return np.asarray(made, np.float64)


def _gains_after(model: Any, graph: ChannelGraph) -> dict[str, Values]:
    """By layer: the factors of the batch normalization that alone reads what it makes."""
    readers: dict[int, list[str]] = {}
    for call in graph.calls:
        for number in call.inputs:
            readers.setdefault(number, []).append(call.layer)
    gains = {}
    for call in graph.calls:
        layer = model.get_layer(call.layer)
        linear = getattr(layer, "activation", None) is keras.activations.linear
        after = [model.get_layer(name) for name in readers.get(call.outputs[0], ())]
        if linear and len(after) == 1 and isinstance(after[0], keras.layers.BatchNormalization):
            gains[call.layer] = norm_scale(after[0])
    return gains


def _kernel(model: Any, slot: Slot) -> Values:
    weight = model.get_layer(slot.layer).get_weights()[slot.weight]
    return np.asarray(weight, np.float64)


def _others(weight: Values, axis: int) -> tuple[int, ...]:
    return tuple(one for one in range(weight.ndim) if one != axis)


def _by_id(graph: ChannelGraph, slot: Slot, values: Values) -> Values:
    summed = np.bincount(slot.ids, weights=values, minlength=graph.ids)
    return np.asarray(summed, np.float64)  # without slots, bincount gives integers
