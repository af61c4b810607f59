"""A `.tflite` as plain values: the tensors and operators of its main graph.

`model_parse` makes them from bytes; the rules of `inspect` read them.
"""

from __future__ import annotations

from dataclasses import dataclass

# Chosen: weights are unpacked in at most two steps, DENSIFY and then DEQUANTIZE.
_MAX_UNPACKING = 3


@dataclass(frozen=True, kw_only=True)
class ModelTensor:
    """One tensor of the main graph.

    Attributes:
        name: as in the file, not trusted: escape it before it is shown.
        shape: sizes from 0; a dynamic one stands as what the file states, mostly 1.
        dtype: e.g. "float32", "int8", "int4"; "type 99" for one that the schema does not know.
        constant_bytes: stored in the file; None for what operators or the caller write.
        scale: the first one; None where not quantized.
        zero_point: the first one; None where not quantized.
        scales: how many there are: 0 not quantized, 1 per tensor, more per channel.
        is_sparse: stored without most of its zeros.
        zero_ratio: share of zeros among all elements; None where not constant or not counted.
        integers: values of a constant of at most 16 int32 or int64; else empty.
        is_dynamic: the file leaves a size of it open.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant_bytes: int | None
    scale: float | None
    zero_point: int | None
    scales: int
    is_sparse: bool
    zero_ratio: float | None
    integers: tuple[int, ...]
    is_dynamic: bool

    @property
    def is_float(self) -> bool:
        """Whether it holds floating point."""
        return self.dtype in ("float16", "float32", "float64", "bfloat16")

    @property
    def is_int8(self) -> bool:
        """Whether it holds quantized values of 8 bits or fewer."""
        return self.dtype in ("int8", "uint8", "int4", "uint4", "int2") and self.scales > 0


@dataclass(frozen=True, kw_only=True)
class ModelOperator:
    """One operator of the main graph, in the order they run.

    Attributes:
        kind: e.g. "CONV_2D"; "CUSTOM name" for one that no schema knows.
        inputs: tensors by index; -1 for an optional one that is not there.
        outputs: tensors by index.
        activation: fused into it, e.g. "RELU6"; "NONE" where there is none.
        padding: "SAME" or "VALID"; empty where the operator has none.
        stride: rows, columns; (1, 1) where the operator has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    padding: str
    stride: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ModelGraph:
    """The main graph of a `.tflite`.

    Attributes:
        tensors: by index.
        operators: in the order they run.
        inputs: tensors by index.
        outputs: tensors by index.
        signature_names: (name, tensor) of all outputs that a signature names.
        subgraphs: in the file; all but the first are not read.
        weights_bytes: of all constants, each buffer counted once.
    """

    tensors: tuple[ModelTensor, ...]
    operators: tuple[ModelOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signature_names: tuple[tuple[str, int], ...]
    subgraphs: int
    weights_bytes: int


def producers(graph: ModelGraph) -> dict[int, int]:
    """Say which operator writes each tensor, both by index."""
    return {t: i for i, operator in enumerate(graph.operators) for t in operator.outputs}


def stored_weights(graph: ModelGraph, tensor: int, writers: dict[int, int]) -> int:
    """Follow a tensor to the constant that it is unpacked from, through DENSIFY and DEQUANTIZE.

    Returns:
        Index of the constant, or `tensor` itself where no constant is behind it.
    """
    at = tensor
    for _ in range(_MAX_UNPACKING):  # a garbled graph may go in circles
        if at not in writers:
            break
        operator = graph.operators[writers[at]]
        if operator.kind not in ("DENSIFY", "DEQUANTIZE") or not operator.inputs:
            return tensor
        at = operator.inputs[0]
    return at if at >= 0 and graph.tensors[at].constant_bytes is not None else tensor
