"""What is in a `.tflite`, read from the flatbuffer itself rather than from who made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

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
_KERNEL_OPERATORS = {
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
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


@dataclass(frozen=True, kw_only=True)
class KernelLayer:
    """One convolution or dense operator, tensors by index.

    Attributes:
        output_name: name of the output tensor.
        input: of the activations.
        kernel: of the weights.
        bias: of the biases; -1 where there are none.
        output: of the result, after the activation function.
        is_linear: no activation function is fused into it.
    """

    output_name: str
    input: int
    kernel: int
    bias: int
    output: int
    is_linear: bool


def float_tensors(content: bytes) -> tuple[str, ...]:
    """Names of all tensors that any operator reads or writes as floating point."""
    graph = read_graph(content)
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


def read_graph(content: bytes) -> Any:
    """Parse the main graph of a `.tflite`."""
    return schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]


def kernel_layers(content: bytes) -> tuple[KernelLayer, ...]:
    """List the convolutions and dense layers in the order they run."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    layers = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        # small codes are stored in the old field, large ones in the new (TFLite schema v3a)
        if max(code.builtinCode, code.deprecatedBuiltinCode) not in _KERNEL_OPERATORS:
            continue
        fused = operator.builtinOptions.fusedActivationFunction
        layers.append(
            KernelLayer(
                output_name=graph.tensors[operator.outputs[0]].name.decode(),
                input=int(operator.inputs[0]),
                kernel=int(operator.inputs[1]),
                bias=int(operator.inputs[2]) if len(operator.inputs) > 2 else -1,
                output=int(operator.outputs[0]),
                is_linear=fused == schema.ActivationFunctionType.NONE,
            )
        )
    return tuple(layers)


def activations(content: bytes) -> dict[str, int]:
    """Tensors that operators compute, by name: their indices."""
    graph = read_graph(content)
    computed = [i for operator in graph.operators for i in operator.outputs]
    return {graph.tensors[i].name.decode(): int(i) for i in computed}


def expose(content: bytes, tensors: Sequence[int]) -> bytes:
    """Make tensors outputs of the graph, so that the fast runtime shows their values.

    Signatures are left out of the copy; it serves for measuring only.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # the quantizer stores weights behind the flatbuffer: bring them in
            stored = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(stored, np.uint8)
            buffer.offset = buffer.size = 0
    model.subgraphs[0].outputs = np.asarray(tensors, np.int32)
    model.signatureDefs = []
    return _pack(model)


def read_biases(content: bytes, layer: KernelLayer) -> NDArray[np.int32]:
    """Read a copy of an integer layer's biases, int32 [C]."""
    start, size = _bias_bytes(content, layer)
    return np.frombuffer(content[start : start + size], "<i4").copy()


def with_biases(content: bytes, layer: KernelLayer, biases: NDArray[np.int32]) -> bytes:
    """Replace an integer layer's biases; not a byte elsewhere changes."""
    start, size = _bias_bytes(content, layer)
    packed = biases.astype("<i4").tobytes()
    if len(packed) != size:
        raise ExportError(f"{layer.output_name}: {biases.size} biases, expected {size // 4}")
    return content[:start] + packed + content[start + size :]


def _bias_bytes(content: bytes, layer: KernelLayer) -> tuple[int, int]:
    model = schema.Model.GetRootAs(content, 0)
    buffer = model.Buffers(model.Subgraphs(0).Tensors(layer.bias).Buffer())
    if buffer.Offset() > 1:
        return int(buffer.Offset()), int(buffer.Size())
    # position of the first element of the `data` vector (field 0, vtable slot 4)
    start = buffer._tab.Vector(buffer._tab.Offset(4))
    return int(start), int(buffer.DataLength())


def _pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


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
