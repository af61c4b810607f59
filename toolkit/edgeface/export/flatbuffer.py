"""What is in a `.tflite`, read from the flatbuffer itself rather than from who made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgeface.errors import ExportError
from edgeface.types import TensorSpec

SIGNATURE = "serving_default"
_FLOAT_TYPES = {
    schema.TensorType.FLOAT32,
    schema.TensorType.FLOAT16,
    schema.TensorType.FLOAT64,
    schema.TensorType.BFLOAT16,
}
_DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.INT8: "int8",
    schema.TensorType.UINT8: "uint8",
}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The named input and outputs of a model.

    Attributes:
        input: the one input.
        outputs: by output name.
    """

    input: TensorSpec
    outputs: dict[str, TensorSpec]


def float_tensors(content: bytes) -> tuple[str, ...]:
    """Names of all tensors that any operator reads or writes as floating point."""
    graph = _graph(content)
    used = {i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    return tuple(
        graph.tensors[i].name.decode()
        for i in sorted(used)
        if graph.tensors[i].type in _FLOAT_TYPES
    )


def read_signature(content: bytes) -> Signature:
    """Find the input and outputs that the converter named.

    Raises:
        ExportError: no signature with one input, or a tensor of a type that edgeface does not use.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    named = [s for s in model.signatureDefs or () if s.signatureKey == SIGNATURE.encode()]
    if len(named) != 1 or len(named[0].inputs) != 1:
        raise ExportError(f".tflite has no signature {SIGNATURE!r} with one input")
    return Signature(
        input=_tensor_spec(graph.tensors[named[0].inputs[0].tensorIndex]),
        outputs={
            output.name.decode(): _tensor_spec(graph.tensors[output.tensorIndex])
            for output in named[0].outputs
        },
    )


def _graph(content: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]


def _tensor_spec(tensor: Any) -> TensorSpec:
    name = tensor.name.decode()
    if tensor.type not in _DTYPES:
        raise ExportError(
            f"tensor {name}: has type code {tensor.type}, expected {', '.join(_DTYPES.values())}"
        )
    quantization = tensor.quantization
    quantized = quantization is not None and quantization.scale is not None
    return TensorSpec(
        name=name,
        shape=tuple(int(size) for size in tensor.shape),
        dtype=_DTYPES[tensor.type],
        scale=float(quantization.scale[0]) if quantized else None,
        zero_point=int(quantization.zeroPoint[0]) if quantized else None,
    )
