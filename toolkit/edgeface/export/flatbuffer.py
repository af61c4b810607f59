"""What is in a `.tflite`, read from the flatbuffer itself rather than from who made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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
Kind = Literal["conv", "depthwise", "dense"]
_KERNEL_KINDS: dict[str, Kind] = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "dense",
}
_OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
_ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: "none",
    schema.ActivationFunctionType.RELU: "relu",
    schema.ActivationFunctionType.RELU6: "relu6",
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
class Operator:
    """One operator of the main graph, tensors by index.

    Attributes:
        name: of the kind in the TFLite schema, e.g. "CONV_2D".
        inputs: -1 where an optional one is left out.
        outputs: of the results.
        activation: fused into it: "none", "relu", "relu6", or "other" for what edgeface does not
            know by name; "none" for operators that cannot have one.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str


@dataclass(frozen=True, kw_only=True)
class KernelLayer:
    """One convolution or dense operator, tensors by index.

    Attributes:
        output_name: name of the output tensor.
        position: of the operator in the graph, from 0.
        kind: what the operator is.
        input: of the activations.
        kernel: of the weights; [K, H, W, C] for "conv", [1, H, W, C] for "depthwise" and [K, C]
            for "dense".
        bias: of the biases; -1 where there are none.
        output: of the result, after the activation function.
        activation: see `Operator`.
    """

    output_name: str
    position: int
    kind: Kind
    input: int
    kernel: int
    bias: int
    output: int
    activation: str

    @property
    def is_linear(self) -> bool:
        """No activation function is fused into it."""
        return self.activation == "none"

    @property
    def channel_axis(self) -> int:
        """Axis of the kernel that holds the output channels."""
        return 3 if self.kind == "depthwise" else 0


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


def operators(content: bytes) -> tuple[Operator, ...]:
    """List the operators of the main graph in the order they run."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    found = []
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        fused = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
        found.append(
            Operator(
                # small codes are stored in the old field, large ones in the new (schema v3a)
                name=_OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)],
                inputs=tuple(int(i) for i in operator.inputs),
                outputs=tuple(int(i) for i in operator.outputs),
                activation=_ACTIVATIONS.get(fused, "other"),
            )
        )
    return tuple(found)


def kernel_layers(content: bytes) -> tuple[KernelLayer, ...]:
    """List the convolutions and dense layers in the order they run."""
    tensors = read_graph(content).tensors
    return tuple(
        KernelLayer(
            output_name=tensors[operator.outputs[0]].name.decode(),
            position=position,
            kind=_KERNEL_KINDS[operator.name],
            input=operator.inputs[0],
            kernel=operator.inputs[1],
            bias=operator.inputs[2] if len(operator.inputs) > 2 else -1,
            output=operator.outputs[0],
            activation=operator.activation,
        )
        for position, operator in enumerate(operators(content))
        if operator.name in _KERNEL_KINDS
    )


def activations(content: bytes) -> dict[str, int]:
    """Tensors that operators compute, by name: their indices."""
    graph = read_graph(content)
    computed = [i for operator in graph.operators for i in operator.outputs]
    return {graph.tensors[i].name.decode(): int(i) for i in computed}


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
