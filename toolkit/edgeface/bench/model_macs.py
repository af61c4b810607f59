"""Multiply-and-adds of each operator of a `.tflite`, from its shapes alone.

In: `ModelGraph`. Out: a count an operator; None where it is not known, never a guess. Biases,
normalization, activations and pooling count 0, as in `model.profile`.
"""

from __future__ import annotations

import math

from edgeface.bench.model_graph import ModelGraph, ModelOperator

KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Operators with weights that multiply; position of the weights: `weights_operand`."""

# They multiply too, but how often depends on more than shapes, or nothing here ever has them.
_NOT_COUNTED = (
    *("BATCH_MATMUL", "CONV_3D", "CONV_3D_TRANSPOSE", "LSTM", "RNN", "SVDF", "CALL", "IF", "WHILE"),
    *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    *("UNIDIRECTIONAL_SEQUENCE_RNN", "CONCAT_EMBEDDINGS", "CALL_ONCE", "RFFT2D"),
)
_NOT_COUNTED_STARTS = ("CUSTOM", "STABLEHLO", "operator ", "PLACEHOLDER", "DELEGATE")


def operator_macs(graph: ModelGraph, operator: ModelOperator) -> int | None:
    """Count one operator's multiply-and-adds for one inference.

    Returns:
        The count, 0 for operators without weights, None where it is not known: an operator that is
        not counted, an open size, or shapes that do not fit the operator.

    Source:
        The definition of each operator: one MAC for each weight that an output value sums over; a
        transposed convolution spreads each input value over all weights of its channel instead.
    """
    if operator.kind in _NOT_COUNTED or operator.kind.startswith(_NOT_COUNTED_STARTS):
        return None
    if operator.kind not in KERNELS:
        return 0
    at, data = weights_operand(operator), data_operand(operator)
    if at is None or data is None or not operator.outputs or min(at, data) < 0:
        return None
    weights, output = graph.tensors[at].shape, graph.tensors[operator.outputs[0]]
    source = graph.tensors[data]
    if len(weights) != (2 if operator.kind == "FULLY_CONNECTED" else 4):
        return None
    if output.is_dynamic or source.is_dynamic:
        return None
    if operator.kind == "TRANSPOSE_CONV":  # weights [out, rows, columns, in]
        return math.prod(source.shape) * math.prod(weights[:3])
    if operator.kind == "DEPTHWISE_CONV_2D":  # weights [1, rows, columns, out]
        return math.prod(output.shape) * math.prod(weights[1:3])
    return math.prod(output.shape) * math.prod(weights[1:])  # weights [out, (rows, columns,) in]


def total_macs(counts: tuple[int | None, ...]) -> int | None:
    """Add the operators' counts; None where one of them is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def weights_operand(operator: ModelOperator) -> int | None:
    """Give the tensor that holds a kernel operator's weights; None for other operators."""
    if operator.kind not in KERNELS or len(operator.inputs) < 2:
        return None
    return operator.inputs[1]


def data_operand(operator: ModelOperator) -> int | None:
    """Give the tensor that a kernel operator's weights are applied to; None for other operators."""
    if operator.kind not in KERNELS:
        return None
    at = 2 if operator.kind == "TRANSPOSE_CONV" else 0
    return operator.inputs[at] if len(operator.inputs) > at else None
