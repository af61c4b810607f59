"""What a network costs as a function of how many channels each group keeps.

In: a channel graph. Out: `Terms`, one product for each convolution, weight or measured layer, from
which the cost at any width follows without building the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeface.compress.graph import Call, ChannelGraph, per_group
from edgeface.compress.union import Ids, Slot
from edgeface.errors import CompressionError
from edgeface.model.profile import layer_macs

CostKind = Literal["macs", "parameters", "bytes", "latency_ms"]

# Source: XNNPACK's GEMM micro-kernels make 8 output channels at once on ARM NEON (4x8, 6x8), and
# docs/field.md, Torch-Pruning, for cutting to multiples of 8
KERNEL_TILE = 8
# Source: schema.fbs of TensorFlow Lite: for each output channel an int32 bias, and a float32 scale
# and an int64 zero point of the weight and of the bias
INT8_BYTES_PER_OUTPUT = 4 + 2 * (4 + 8)
FLOAT_BYTES_PER_OUTPUT = 4  # the bias, into which batch normalization is folded


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What the pruned network may cost.

    Attributes:
        kind: "macs" multiply-and-adds of one inference; "parameters" as Keras counts them; "bytes"
            of the weights in a `.tflite`, without its graph; "latency_ms" from `layer_ms`.
        limit: the most it may be, in that unit.
        layer_ms: for "latency_ms": by layer name, its time in the uncut network, measured on the
            device. Every layer with a kernel must be there; others may.
        weight_bits: for "bytes": 32 for a float32 file, 8 for int8.
    """

    kind: CostKind
    limit: float
    layer_ms: Mapping[str, float] | None = None
    weight_bits: Literal[8, 32] = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """A sum of products: Σ factor × Π rounded up(stay + occurrences @ channels).

    Attributes:
        factors: float64 [terms].
        stay: float64 [terms, 2], channels of each of two axes that always stay.
        occurrences: float64 [terms, 2, groups], how often a group's channels occur in that axis.
        tile: widths are rounded up to a multiple of this.
    """

    factors: NDArray[np.float64]
    stay: NDArray[np.float64]
    occurrences: NDArray[np.float64]
    tile: int


def scaled_times(layer_ms: Mapping[str, float], whole: Any, cut: Any) -> dict[str, float]:
    """Estimate each layer's time in a cut network from its time in the whole one.

    Args:
        layer_ms: by layer name, measured in `whole`.
        whole: the network that was measured.
        cut: the same with fewer channels.

    Source:
        In proportion to the kernel's size, as `cost_terms` takes it.
    """
    scaled = dict(layer_ms)
    for layer in cut.layers:
        if layer.name in scaled and layer.weights:
            before = int(np.prod(whole.get_layer(layer.name).weights[0].shape))
            scaled[layer.name] *= int(np.prod(layer.weights[0].shape)) / before
    return scaled


def cost_terms(model: Any, graph: ChannelGraph, budget: Budget) -> Terms:
    """Write down a network's cost for any width of its groups.

    Args:
        model: the network.
        graph: of it.
        budget: says which cost; its limit is not used.

    Raises:
        CompressionError: the table of times lacks a layer, or has one that is not in the model.
    """
    axes = _axes(graph)
    if budget.kind == "parameters":
        listed = _weights(graph, axes, 1.0)
    elif budget.kind == "bytes":
        listed = _file_bytes(graph, axes, budget.weight_bits)
    elif budget.kind == "macs":
        listed = _macs(model, graph, axes)
    else:
        listed = _times(graph, axes, budget.layer_ms or {})
    tile = KERNEL_TILE if budget.kind == "latency_ms" else 1
    none = (float(tile), np.zeros(len(graph.groups)))  # an axis that changes nothing
    padded = [
        (factor / tile ** (2 - len(pair)), [*pair, none, none][:2]) for factor, pair in listed
    ]
    return Terms(
        factors=np.array([factor for factor, _ in padded]),
        stay=np.array([[stay for stay, _ in pair] for _, pair in padded]).reshape(-1, 2),
        occurrences=np.array([[many for _, many in pair] for _, pair in padded]).reshape(
            -1, 2, len(graph.groups)
        ),
        tile=tile,
    )


def cost(terms: Terms, channels: NDArray[np.int64]) -> float:
    """Count the cost with `channels` [groups] left in each group."""
    return float(term_costs(terms, channels).sum())


def term_costs(terms: Terms, channels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count each term's cost, float64 [terms]."""
    widths = terms.stay + terms.occurrences @ channels
    if terms.tile > 1:
        widths = np.ceil(widths / terms.tile) * terms.tile
    return np.asarray(terms.factors * widths.prod(axis=1), np.float64)


_Axis = tuple[float, NDArray[np.float64]]  # channels that stay; occurrences of each group's
_Listed = list[tuple[float, list[_Axis]]]


def _axes(graph: ChannelGraph) -> dict[tuple[str, int], list[tuple[Slot, _Axis]]]:
    found: dict[tuple[str, int], list[tuple[Slot, _Axis]]] = {}
    for slot in graph.slots:
        found.setdefault((slot.layer, slot.weight), []).append((slot, _axis(graph, slot.ids)))
    return found


def _axis(graph: ChannelGraph, ids: Ids) -> _Axis:
    stay, many = per_group(graph, ids)
    return float(stay), many.astype(np.float64)


def _weight(
    call: Call, number: int, axes: dict[tuple[str, int], list[tuple[Slot, _Axis]]]
) -> tuple[float, list[_Axis]]:
    """One weight's size: the product of its other axes, and those over channels."""
    pairs = axes.get((call.layer, number), [])
    taken = {slot.axis for slot, _ in pairs}
    rest = math.prod(size for axis, size in enumerate(call.weights[number]) if axis not in taken)
    return float(rest), [axis for _, axis in pairs]


def _weights(
    graph: ChannelGraph, axes: dict[tuple[str, int], list[tuple[Slot, _Axis]]], unit: float
) -> _Listed:
    listed = []
    for call in {call.layer: call for call in graph.calls}.values():
        for number in range(len(call.weights)):
            rest, pairs = _weight(call, number, axes)
            listed.append((unit * rest, pairs))
    return listed


def _file_bytes(
    graph: ChannelGraph, axes: dict[tuple[str, int], list[tuple[Slot, _Axis]]], weight_bits: int
) -> _Listed:
    listed = []
    each = INT8_BYTES_PER_OUTPUT if weight_bits == 8 else FLOAT_BYTES_PER_OUTPUT
    for call in {call.layer: call for call in graph.calls}.values():
        if _has_kernel(call):
            rest, pairs = _weight(call, 0, axes)
            listed.append((rest * weight_bits / 8, pairs))
            listed.append((float(each), [_axis(graph, graph.tensors[call.outputs[0]])]))
    return listed


def _macs(
    model: Any, graph: ChannelGraph, axes: dict[tuple[str, int], list[tuple[Slot, _Axis]]]
) -> _Listed:
    listed: _Listed = []
    for call in graph.calls:
        if _has_kernel(call):
            if call.places == 0:
                raise CompressionError(
                    f"{call.layer}: its output has no fixed size, so its MACs cannot be counted; "
                    "build the model with a fixed input size"
                )
            rest, pairs = _weight(call, 0, axes)
            listed.append((call.places * rest, pairs))
        elif call.frozen:
            listed.append((float(layer_macs(model.get_layer(call.layer))), []))
    return listed


def _times(
    graph: ChannelGraph,
    axes: dict[tuple[str, int], list[tuple[Slot, _Axis]]],
    layer_ms: Mapping[str, float],
) -> _Listed:
    """A layer's time falls with its kernel, or with its output where it has none."""
    calls = {call.layer: call for call in graph.calls}
    missing = [name for name, call in calls.items() if _has_kernel(call) and name not in layer_ms]
    foreign = [name for name in layer_ms if name not in calls]
    if missing or foreign:
        found = f"{missing[0]} is missing" if missing else f"{foreign[0]} is not in the model"
        raise CompressionError(
            f"table of layer times: {found}, expected every layer of {graph.model!r} with a kernel "
            f"and none of another model ({len(missing)} missing, {len(foreign)} foreign)"
        )
    full = np.array([group.channels for group in graph.groups], np.float64)
    listed: _Listed = []
    for name, measured_ms in layer_ms.items():
        call = calls[name]
        pairs = _weight(call, 0, axes)[1] if _has_kernel(call) else []
        pairs = pairs or [_axis(graph, graph.tensors[call.outputs[0]])]
        sizes = [np.ceil((stay + many @ full) / KERNEL_TILE) * KERNEL_TILE for stay, many in pairs]
        listed.append((measured_ms / float(np.prod(sizes)), pairs))
    return listed


def _has_kernel(call: Call) -> bool:
    return call.kind in ("Conv2D", "Dense", "DepthwiseConv2D") and not call.frozen
