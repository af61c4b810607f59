"""Whether zeros among the weights make a model faster, by the conditions of XNNPACK.

In: `ModelGraph` and the machine. Out: `SparseWeights` with each condition that fails, in words.

Source: XNNPACK src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`, and `xnn_is_chw_compatible_config`,
2026-08; LiteRT delegates/xnnpack/README.md, "Sparse Inference".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgeface.bench.model_graph import (
    ModelGraph,
    ModelOperator,
    ModelTensor,
    producers,
    stored_weights,
)
from edgeface.bench.model_macs import weights_operand

# Chosen: 2:4 pruning, the sparsest-looking scheme in use, has 0.5; int8 weights of a normal
# distribution have some 0.05 zeros from rounding alone.
SPARSE_RATIO = 0.4
_FEWEST_WEIGHTS = 256  # chosen: the zeros of a layer as small as this change no size and no time
# Source: XNNPACK src/subgraph.c: num_zeroes * 3 > num_params * 2.
_FAST_RATIO = 2 / 3
# Source: names that platform.machine() gives for x86; all such machines in use have AVX.
_X86 = ("x86_64", "amd64", "i386", "i686")


@dataclass(frozen=True, kw_only=True)
class SparseWeights:
    """Layers of many zeros.

    Attributes:
        operators: that have them, by index.
        zero_ratio: share of zeros in their weights.
        is_stored_sparse: whether the file leaves zeros of at least one layer out.
        reasons: why they will not run sparse; empty where no known condition fails.
    """

    operators: tuple[int, ...]
    zero_ratio: float
    is_stored_sparse: bool
    reasons: tuple[str, ...]


def sparse_weights(graph: ModelGraph, machine: str) -> SparseWeights | None:
    """Find layers that are stored sparse, or have many zeros.

    Args:
        graph: of the model.
        machine: that it would run on, as `platform.machine()` has it.

    Returns:
        None where there is no such layer.
    """
    layers = _layers(graph)
    found = {
        i: weights
        for i, weights in layers.items()
        if weights.is_sparse
        or (
            math.prod(weights.shape) >= _FEWEST_WEIGHTS
            and (weights.zero_ratio or 0) >= SPARSE_RATIO
        )
    }
    if not found:
        return None
    return SparseWeights(
        operators=tuple(found),
        zero_ratio=_zero_ratio(list(found.values())),
        is_stored_sparse=any(weights.is_sparse for weights in found.values()),
        reasons=tuple(_reasons(graph, layers, machine)),
    )


def _layers(graph: ModelGraph) -> dict[int, ModelTensor]:
    writers = producers(graph)
    layers = {}
    for i, operator in enumerate(graph.operators):
        at = weights_operand(operator)
        if at is not None and at >= 0:
            layers[i] = graph.tensors[stored_weights(graph, at, writers)]
    return layers


def _reasons(graph: ModelGraph, layers: dict[int, ModelTensor], machine: str) -> Iterator[str]:
    sparse = [weights for weights in layers.values() if weights.is_sparse]
    kinds = sorted({weights.dtype for weights in sparse if not weights.is_float})
    if kinds:
        yield f"weights are {', '.join(kinds)}, and only float ones have sparse kernels"
    pointwise = [
        weights
        for i, weights in layers.items()
        if graph.operators[i].kind == "CONV_2D" and weights.shape[1:3] == (1, 1)
    ]
    if not pointwise:
        yield "there is no 1×1 convolution"
    elif (ratio := _zero_ratio(pointwise)) <= _FAST_RATIO:
        yield f"1×1 convolutions have {100 * ratio:.0f} % zeros, more than 67 % are needed"
    writers = producers(graph)
    if not any(_is_entry(graph, i, weights, writers) for i, weights in layers.items()):
        yield "no 3×3 stride-2 convolution of 3 channels after a PAD of 1 on every side starts it"
    if any(
        graph.operators[i].kind == "DEPTHWISE_CONV_2D"
        and graph.operators[i].stride == (2, 2)
        and graph.operators[i].padding == "SAME"
        for i in layers
    ):
        yield "a stride-2 depthwise convolution pads by SAME"
    if not any(operator.kind in ("MEAN", "AVERAGE_POOL_2D") for operator in graph.operators):
        yield "no global mean ends it"
    if machine.lower() in _X86:
        yield f"this machine is {machine}: with AVX, dense kernels are used"


def _is_entry(graph: ModelGraph, index: int, weights: ModelTensor, writers: dict[int, int]) -> bool:
    operator = graph.operators[index]
    if operator.kind != "CONV_2D" or weights.shape[1:] != (3, 3, 3):
        return False
    if operator.stride != (2, 2) or operator.padding != "VALID":
        return False
    writer = writers.get(operator.inputs[0])
    return writer is not None and _pads_by_one(graph, graph.operators[writer])


def _pads_by_one(graph: ModelGraph, operator: ModelOperator) -> bool:
    if operator.kind != "PAD" or len(operator.inputs) < 2 or operator.inputs[1] < 0:
        return False
    return graph.tensors[operator.inputs[1]].integers == (0, 0, 1, 1, 1, 1, 0, 0)


def _zero_ratio(weights: list[ModelTensor]) -> float:
    counted = [each for each in weights if each.zero_ratio is not None]
    elements = sum(math.prod(each.shape) for each in counted)
    zeros = sum((each.zero_ratio or 0) * math.prod(each.shape) for each in counted)
    return zeros / elements if elements else 0.0
