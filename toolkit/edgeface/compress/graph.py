"""Which channels of a network can only be removed together.

In: a tf_keras functional (or built sequential) model. Out: a `ChannelGraph`: every axis of every
weight that runs over channels, and the groups among whose channels pruning may choose.

Every tensor gets a vector of channel ids along its last axis. Convolutions and dense layers make
new ids; all else passes, joins, repeats or unites them. What is united is one channel, however many
layers it runs through. Channels that run through the same places make a group.

Source: Fang et al. 2023, DepGraph (arXiv 2301.12900), for the idea of coupled parameters; ids for
each single channel, and not for each layer, because concatenation shifts and flattening repeats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeface.compress.rules import follow
from edgeface.compress.union import Draft, Ids, Slot, fix, fresh, resolved
from edgeface.errors import CompressionError

Scope = Literal["auto", "all", "expansion"]
SUMS = ("Add", "math.add", "__operators__.add")


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One call of one layer.

    Attributes:
        layer: its name.
        kind: its type's name; for an operator on tensors the name Keras gives the function, e.g.
            "math.multiply".
        inputs: numbers of the tensors that go in.
        outputs: numbers of those that come out.
        places: elements of the first output for one channel, e.g. height × width; 0 if unknown.
        weights: shapes of the layer's weights.
        frozen: whether its channels cannot be followed, and all that go in must stay.
    """

    layer: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    places: int
    weights: tuple[tuple[int, ...], ...]
    frozen: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelGroup:
    """Channels that run through the same places; pruning chooses among them.

    Attributes:
        name: `maker`, with `:2` and so on where that layer makes several groups.
        maker: the first layer that makes them.
        ids: int64 [channels], rising; each stands for all that goes with it.
        layers: names of all layers whose weights hold them, in graph order.
    """

    name: str
    maker: str
    ids: Ids
    layers: tuple[str, ...]

    @property
    def channels(self) -> int:
        """How many."""
        return len(self.ids)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelGraph:
    """How channels run through a network.

    Attributes:
        model: name of the network.
        ids: how many there are; every id is below.
        tensors: by number, the ids along the last axis, int64 [channels].
        calls: in an order in which each comes after those it needs.
        slots: all weight axes over channels, in graph order.
        groups: what may be cut, in graph order. Inputs, outputs, and what reaches a frozen call
            are in no group.
        frozen: layers of a kind that is not known here and whose channels therefore stay,
            e.g. "scale (LayerScale)".
    """

    model: str
    ids: int
    tensors: tuple[Ids, ...]
    calls: tuple[Call, ...]
    slots: tuple[Slot, ...]
    groups: tuple[ChannelGroup, ...]
    frozen: tuple[str, ...]


def channel_graph(model: Any) -> ChannelGraph:
    """Follow the channels of a model from its inputs to its outputs.

    Args:
        model: tf_keras functional or built sequential model; not changed.

    Returns:
        The graph; a pure function of the architecture, the same for any weights.

    Raises:
        CompressionError: the model has no graph to follow.
    """
    if not getattr(model, "_is_graph_network", False):
        raise CompressionError(
            f"model {getattr(model, 'name', model)!r}: is a {type(model).__name__} without a graph "
            "of layers, expected a functional or built sequential tf_keras model"
        )
    draft = Draft()
    tensors: list[Ids] = []
    numbers: dict[str, int] = {}  # Keras's own name of a tensor: number
    calls, frozen = [], []
    # Keras runs its graphs by this table too; layer.inbound_nodes has calls of other models as well
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            inputs = tuple(numbers[name] for name in node.flat_input_ids)
            known = [tensors[number] for number in inputs]
            made = None if node.is_input else follow(draft, node, known)
            if made is None:
                if any(not draft.fixed.issuperset(ids.tolist()) for ids in known):
                    frozen.append(f"{node.layer.name} ({type(node.layer).__name__})")
                for ids in known:
                    fix(draft, ids)
            shapes = [tuple(tensor.shape) for tensor in _flat(node.outputs)]
            outputs = tuple(range(len(tensors), len(tensors) + len(shapes)))
            for shape in shapes:
                width = shape[-1] if len(shape) > 1 else None
                tensors.append(fresh(draft, width or 0, fixed=True) if made is None else made)
            numbers.update(zip(node.flat_output_ids, outputs, strict=True))
            calls.append(
                Call(
                    layer=node.layer.name,
                    kind=_kind(node.layer),
                    inputs=inputs,
                    outputs=outputs,
                    places=math.prod(size or 0 for size in shapes[0][1:-1]),
                    weights=tuple(tuple(weight.shape) for weight in node.layer.weights),
                    frozen=made is None and not node.is_input,
                )
            )
    for output in model.outputs:
        fix(draft, tensors[numbers[str(id(output))]])
    return _resolve(model.name, draft, tensors, calls, frozen)


def groups_in(graph: ChannelGraph, scope: Scope) -> tuple[ChannelGroup, ...]:
    """Pick the groups that pruning may cut.

    Args:
        graph: of the network.
        scope: "expansion": what a 1×1 convolution widens before a depthwise one, and no residual
            sum sees, as in the inverted residual blocks of MobileNetV2 and V3 and EfficientNet;
            "all": every group; "auto": "expansion" where there is one, else "all".

    Raises:
        CompressionError: there is none.

    Source:
        "auto": Sandler et al. 2018 (arXiv 1801.04381): the narrow residual streams carry what the
        blocks know, the expansions are where there is room.
    """
    summed = {
        one
        for call in graph.calls
        if call.kind in SUMS and len(call.inputs) > 1
        for number in call.inputs
        for one in graph.tensors[number].tolist()
    }
    depthwise = {call.layer for call in graph.calls if call.kind == "DepthwiseConv2D"}
    pointwise = {
        call.layer
        for call in graph.calls
        if call.kind == "Conv2D" and call.weights[0][:2] == (1, 1)
    }
    expansions = tuple(
        group
        for group in graph.groups
        if group.maker in pointwise
        and depthwise.intersection(group.layers)
        and not summed.intersection(group.ids.tolist())
    )
    groups = graph.groups if scope == "all" or (scope == "auto" and not expansions) else expansions
    if not groups:
        stays = f"; the channels at {', '.join(graph.frozen[:3])} stay" if graph.frozen else ""
        raise CompressionError(
            f"model {graph.model!r}: found no channels to prune in scope {scope!r}{stays}; "
            "expected convolutions or dense layers before the heads; set pruning_ratio = 0 in the "
            "recipe to leave it whole"
        )
    return groups


def per_group(graph: ChannelGraph, ids: Ids) -> tuple[int, NDArray[np.int64]]:
    """Count how many of an axis's channels always stay, and how often each group's occur.

    Returns:
        The number that stay, and int64 [groups]: positions for each channel of a group. Of n[g]
        channels kept in each group, the axis has `stay + occurrences @ n` left.
    """
    owner = np.full(graph.ids, -1)
    for number, group in enumerate(graph.groups):
        owner[group.ids] = number
    owners = owner[ids]
    counts = np.bincount(owners[owners >= 0], minlength=len(graph.groups))
    channels = np.array([group.channels for group in graph.groups], np.int64)
    return int((owners < 0).sum()), np.asarray(counts // np.maximum(channels, 1), np.int64)


def _resolve(
    name: str, draft: Draft, tensors: list[Ids], calls: list[Call], frozen: list[str]
) -> ChannelGraph:
    roots, fixed = resolved(draft)
    slots = tuple(
        Slot(
            layer=slot.layer,
            weight=slot.weight,
            axis=slot.axis,
            role=slot.role,
            ids=roots[slot.ids],
        )
        for slot in draft.slots.values()
    )
    return ChannelGraph(
        model=name,
        ids=len(roots),
        tensors=tuple(roots[ids] for ids in tensors),
        calls=tuple(calls),
        slots=slots,
        groups=_groups(slots, fixed),
        frozen=tuple(dict.fromkeys(frozen)),
    )


def _groups(slots: tuple[Slot, ...], fixed: NDArray[np.bool_]) -> tuple[ChannelGroup, ...]:
    """Put channels together that occur in the same slots equally often."""
    where: dict[int, list[tuple[int, int]]] = {}
    for number, slot in enumerate(slots):
        for one, count in zip(*np.unique(slot.ids, return_counts=True), strict=True):
            if not fixed[one]:
                where.setdefault(int(one), []).append((number, int(count)))
    alike: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for one in sorted(where):
        alike.setdefault(tuple(where[one]), []).append(one)
    groups: list[ChannelGroup] = []
    seen: dict[str, int] = {}
    for places, members in alike.items():
        layers = tuple(dict.fromkeys(slots[number].layer for number, _ in places))
        maker = next(slots[number].layer for number, _ in places if slots[number].role == "writes")
        seen[maker] = seen.get(maker, 0) + 1
        groups.append(
            ChannelGroup(
                maker=maker,
                name=maker if seen[maker] == 1 else f"{maker}:{seen[maker]}",
                ids=np.array(members, np.int64),
                layers=layers,
            )
        )
    return tuple(groups)


def _kind(layer: Any) -> str:
    kind = type(layer).__name__
    return str(layer.get_config()["function"]) if kind == "TFOpLambda" else kind


def _flat(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
