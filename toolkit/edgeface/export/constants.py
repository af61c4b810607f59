"""Reading and replacing the constants of a `.tflite`: weights, biases, and weights' scales.

In: the bytes of a file. Out: arrays, or bytes of the same length in which only those constants
differ. Shapes and types never change here.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeface.errors import ExportError
from edgeface.export.flatbuffer import KernelLayer, kernel_layers
from edgeface.export.graph_edit import pack, unpack

_DTYPES = {
    schema.TensorType.FLOAT32: "<f4",
    schema.TensorType.INT8: "<i1",
    schema.TensorType.INT32: "<i4",
}
_BUFFER_DATA_SLOT = 4  # vtable slot of field 0. Source: Buffer.data in schema.fbs, slots 4, 6, ...
_QUANTIZATION_SCALE_SLOT = 8  # field 2. Source: QuantizationParameters.scale in schema.fbs


def read_constant(content: bytes, tensor: int) -> NDArray[Any]:
    """Read a copy of a constant: float32, int8 or int32, in the tensor's shape.

    Raises:
        ExportError: of another type, or the tensor is not a constant.
    """
    found = _tensor(content, tensor)
    dtype = _dtype(found)
    start, size = _constant_bytes(content, tensor)
    values = np.frombuffer(content[start : start + size], dtype)
    return values.reshape(found.ShapeAsNumpy() if found.ShapeLength() else ()).copy()


def with_constants(content: bytes, values: Mapping[int, NDArray[Any]]) -> bytes:
    """Replace constants; not a byte elsewhere changes.

    Args:
        content: a `.tflite`.
        values: by tensor, as many as there are.

    Raises:
        ExportError: another number of values, or another tensor or operator reads the same bytes
            and would change too; `with_own_constants` gives each its own.
    """
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    own = own_constants(content)
    changed = bytearray(content)
    for tensor, value in values.items():
        start, size = _constant_bytes(content, tensor)
        found = graph.Tensors(tensor)
        packed = value.astype(_dtype(found)).tobytes()
        name = found.Name().decode()
        if len(packed) != size:
            raise ExportError(
                f"{name}: {value.size} values, expected {size // np.dtype(_dtype(found)).itemsize}"
            )
        if tensor not in own:
            raise ExportError(f"{name}: another operator reads it too, so it cannot be changed")
        changed[start : start + size] = packed
    return bytes(changed)


def own_constants(content: bytes) -> frozenset[int]:
    """Constants that one operator reads and whose bytes no other tensor shares, by index."""
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    every = (graph.Operators(n) for n in range(graph.OperatorsLength()))
    reads = Counter(op.Inputs(place) for op in every for place in range(op.InputsLength()))
    buffers = [graph.Tensors(i).Buffer() for i in range(graph.TensorsLength())]
    sharing = Counter(buffers)

    def is_own(i: int) -> bool:
        buffer = model.Buffers(buffers[i])
        is_constant = buffer.Offset() > 1 or buffer.DataLength() > 0
        return is_constant and reads[i] == 1 and sharing[buffers[i]] == 1

    return frozenset(i for i in range(len(buffers)) if is_own(i))


def with_own_constants(content: bytes) -> bytes:
    """Give each layer weights and biases of its own, where the converter made equal ones one.

    Returns:
        `content` itself if no two layers share any.
    """
    shared = {
        i for layer in kernel_layers(content) for i in (layer.kernel, layer.bias) if i >= 0
    } - own_constants(content)
    if not shared:
        return content
    model = unpack(content)
    graph = model.subgraphs[0]
    for number, operator in enumerate(graph.operators):
        operator.inputs = np.array(operator.inputs)
        for place, i in enumerate(operator.inputs):
            buffer = model.buffers[graph.tensors[i].buffer] if i in shared else None
            if buffer is None or buffer.data is None:
                continue  # not a constant, e.g. weights that are unpacked as the model runs
            copied = copy.copy(graph.tensors[i])
            copied.name = b"%s/of_operator_%d" % (copied.name, number)
            copied.buffer = len(model.buffers)
            model.buffers.append(copy.copy(buffer))
            operator.inputs[place] = len(graph.tensors)
            graph.tensors.append(copied)
    return pack(model)


def read_scales(content: bytes, tensor: int) -> NDArray[np.float64]:
    """Read the scales of a quantized tensor, float64 [C], or [1] if it has one for all."""
    scales = _tensor(content, tensor).Quantization().ScaleAsNumpy()
    return np.asarray(scales, np.float64)


def with_scales(content: bytes, tensor: int, scales: NDArray[np.float64]) -> bytes:
    """Replace the scales of a quantized tensor; not a byte elsewhere changes.

    Raises:
        ExportError: another number of scales.
    """
    found = _tensor(content, tensor)
    quantization = found.Quantization()
    packed = scales.astype("<f4").tobytes()
    if scales.size != quantization.ScaleLength():
        raise ExportError(
            f"{found.Name().decode()}: {scales.size} scales, expected {quantization.ScaleLength()}"
        )
    start = quantization._tab.Vector(quantization._tab.Offset(_QUANTIZATION_SCALE_SLOT))
    return content[:start] + packed + content[start + len(packed) :]


def read_biases(content: bytes, layer: KernelLayer) -> NDArray[Any]:
    """Read a copy of a layer's biases: int32 [C] of a quantized layer, float32 [C] of a float one.

    Raises:
        ExportError: the layer has none.
    """
    return read_constant(content, layer.bias)


def with_biases(content: bytes, layer: KernelLayer, biases: NDArray[Any]) -> bytes:
    """Replace a layer's biases; not a byte elsewhere changes.

    Raises:
        ExportError: another number of biases, or the layer has none.
    """
    return with_constants(content, {layer.bias: biases})


def _tensor(content: bytes, tensor: int) -> Any:
    if tensor < 0:
        raise ExportError("the layer has no such constant")
    return schema.Model.GetRootAs(content, 0).Subgraphs(0).Tensors(tensor)


def _dtype(tensor: Any) -> str:
    if tensor.Type() not in _DTYPES:
        raise ExportError(
            f"{tensor.Name().decode()}: has type code {tensor.Type()}, expected float32, int8 or "
            "int32"
        )
    return _DTYPES[tensor.Type()]


def _constant_bytes(content: bytes, tensor: int) -> tuple[int, int]:
    found = _tensor(content, tensor)
    buffer = schema.Model.GetRootAs(content, 0).Buffers(found.Buffer())
    if buffer.Offset() > 1:
        return int(buffer.Offset()), int(buffer.Size())
    if not buffer.DataLength():
        raise ExportError(f"{found.Name().decode()}: is not a constant")
    # position of the first element of the `data` vector
    start = buffer._tab.Vector(buffer._tab.Offset(_BUFFER_DATA_SLOT))
    return int(start), int(buffer.DataLength())
