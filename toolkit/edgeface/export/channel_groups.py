"""Which channels of a float `.tflite` can be scaled together without changing what it computes.

In: the bytes of a file. Out: groups of tensors whose channel i may all be divided by s_i, if the
layers that make them divide their weights by it and those that read them multiply. Nothing is
scaled here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgeface.export.constants import own_constants, read_constant
from edgeface.export.flatbuffer import KernelLayer, Operator, kernel_layers, operators, read_graph

_SCALING_ACTIVATIONS = {"none", "relu", "relu6"}
_POOLS = {"AVERAGE_POOL_2D", "MAX_POOL_2D"}
_SPATIAL_AXES = [1, 2]  # of [B, H, W, C]


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """Tensors that have the scale of each channel in common.

    Attributes:
        tensors: activations, by index, at least one.
        clipped: those of them that a ReLU6 made: equal after scaling only while nothing reaches 6.
        producers: layers whose output channels these are.
        consumers: layers whose input channels these are.
    """

    tensors: tuple[int, ...]
    clipped: tuple[int, ...]
    producers: tuple[KernelLayer, ...]
    consumers: tuple[KernelLayer, ...]


def channel_groups(content: bytes) -> tuple[ChannelGroup, ...]:
    """Find the groups that can be scaled, in the order of their first tensor.

    A group ends at convolutions and dense layers, and goes on through additions, poolings, means
    over positions and padding with zeros, which all keep a factor of a channel. What another
    operator reads or writes, the input and the outputs are in none, and neither is what layers
    with common weights read or write.

    Source:
        Nagel et al. 2019 (arXiv 1906.04721), section 4.1: f(s x) = s f(x) for s > 0 holds for
        linear f and ReLU. For ReLU6 it holds below the clip.
    """
    graph = read_graph(content)
    own = own_constants(content)
    layers = {layer.position: layer for layer in kernel_layers(content)}
    ties = _Ties(fixed={int(i) for i in (*graph.inputs, *graph.outputs)})
    for position, operator in enumerate(operators(content)):
        ties.computed.update(operator.outputs)
        if operator.activation not in _SCALING_ACTIVATIONS:
            ties.fixed.update(operator.outputs)
        if layer := layers.get(position):
            # weights [..., input channels], or of a depthwise layer one filter a channel
            whole = _channels(graph, layer.kernel) == _channels(graph, layer.input)
            if not whole or not {layer.kernel, layer.bias} - {-1} <= own:
                ties.fixed.update((layer.input, layer.output))
        elif _keeps_factors(content, graph, operator, ties.computed):
            ties.tie([i for i in (*operator.inputs, *operator.outputs) if i in ties.computed])
        else:
            ties.fixed.update((*operator.inputs, *operator.outputs))
    clipped = {i for op in operators(content) if op.activation == "relu6" for i in op.outputs}
    groups = (
        ChannelGroup(
            tensors=tuple(members),
            clipped=tuple(i for i in members if i in clipped),
            producers=tuple(layer for layer in layers.values() if layer.output in members),
            consumers=tuple(layer for layer in layers.values() if layer.input in members),
        )
        for members in ties.free_groups()
    )
    return tuple(group for group in groups if group.producers and group.consumers)


@dataclass(kw_only=True)
class _Ties:
    """Which tensors belong together so far (union-find), and which cannot be scaled."""

    fixed: set[int]
    computed: set[int] = field(default_factory=set)
    parent: dict[int, int] = field(default_factory=dict)

    def root(self, tensor: int) -> int:
        while tensor in self.parent:
            tensor = self.parent[tensor]
        return tensor

    def tie(self, tensors: Iterable[int]) -> None:
        first, *others = map(self.root, tensors)
        self.parent.update({other: first for other in others if other != first})

    def free_groups(self) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for tensor in sorted(self.computed | self.fixed):
            groups.setdefault(self.root(tensor), []).append(tensor)
        return [members for members in groups.values() if not self.fixed & set(members)]


def _keeps_factors(content: bytes, graph: Any, operator: Operator, computed: set[int]) -> bool:
    """Whether a factor of a channel of the inputs comes out as a factor of that channel."""
    source, result = operator.inputs[0], operator.outputs[0]
    if _channels(graph, source) != _channels(graph, result):
        return False
    if operator.name == "ADD":
        shapes = [list(graph.tensors[i].shape) for i in operator.inputs]
        return shapes[0] == shapes[1] and set(operator.inputs) <= computed
    if operator.name == "MEAN":
        return bool(read_constant(content, operator.inputs[1]).tolist() == _SPATIAL_AXES)
    return operator.name in _POOLS or operator.name == "PAD"


def _channels(graph: Any, tensor: int) -> int:
    shape = graph.tensors[tensor].shape
    return int(shape[-1]) if shape is not None and len(shape) else 0
