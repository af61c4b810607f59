"""Any `.tflite` to plain values, however it came about.

In: the bytes, from anywhere. Out: `ModelGraph`, every index and length checked, or one
`ArtifactError`. Nothing is run, nothing is followed out of the file, and the work is bounded by the
file's size and the limits below. Needs the schema that comes with ai-edge-litert.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.model_graph import ModelGraph, ModelOperator, ModelTensor
from edgeface.data.adapters.paths import shown
from edgeface.errors import ArtifactError, DeviceError
from edgeface.runtime.interpreter import check_identifier

# Chosen: far above any face model (ResNet-50 has some 80 operators), far below what makes Python
# slow. A hostile file can point many tables at one long vector, so totals are limited too.
MAX_TENSORS = 20_000
MAX_OPERATORS = 20_000
MAX_LINKS = 1_000_000
MAX_NAME_BYTES = 16_384
MAX_RANK = 16
_SMALL = 16  # elements of an integer constant that are kept: paddings, axes, shapes
# Chosen: writers may share a buffer among tensors, but a sum beyond this means overlapping ones.
_MAX_BUFFERS_TO_FILE_RATIO = 4

_NUMPY_TYPES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "i1",
    "uint8": "u1",
}

# What the schema's reader was seen to raise on garbled files: reading beyond the end, a vector
# that does not fit, a field that is not there, a number that does not fit its type.
_GARBLED = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True, kw_only=True)
class _Names:
    """The schema's numbers, by what they stand for."""

    operators: dict[int, str]
    dtypes: dict[int, str]
    activations: dict[int, str]
    paddings: dict[int, str]
    options: dict[int, Any]


def parse_model(content: bytes, where: str) -> ModelGraph:
    """Read the main graph of a `.tflite`.

    Args:
        content: the whole file.
        where: the file, for messages.

    Returns:
        The graph. Names are as in the file.

    Raises:
        ArtifactError: not a `.tflite`, cut off, garbled, or beyond the limits of this module.
        DeviceError: ai-edge-litert, whose schema reads the file, is not installed.
    """
    check_identifier(content, where)
    schema = _schema()
    try:
        return _parse(content, schema)
    except _Malformed as err:
        raise ArtifactError(f"{where}: {err}; export or copy the model again") from err
    except _GARBLED as err:
        raise ArtifactError(
            f"{where}: cut off or garbled: found {len(content)} bytes that the .tflite schema "
            "cannot read; export or copy the model again"
        ) from err


class _Malformed(Exception):
    """Says in words what is wrong with a file."""


def _schema() -> Any:
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as err:
        raise DeviceError(
            f"reading a .tflite needs the schema of ai-edge-litert ({err}): "
            "pip install ai-edge-litert"
        ) from err
    return schema_py_generated


def _names(schema: Any) -> _Names:
    def of(enum: Any) -> dict[int, str]:
        return {code: name for name, code in vars(enum).items() if isinstance(code, int)}

    return _Names(
        operators=of(schema.BuiltinOperator),
        dtypes={code: name.lower() for code, name in of(schema.TensorType).items()},
        activations=of(schema.ActivationFunctionType),
        paddings=of(schema.Padding),
        options={
            code: getattr(schema, name) for code, name in of(schema.BuiltinOptions).items() if code
        },
    )


def _parse(content: bytes, schema: Any) -> ModelGraph:
    names = _names(schema)
    model = schema.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() < 1:
        raise _Malformed("found no graph in it, expected at least one")
    graph = model.Subgraphs(0)
    count = _limited("tensors", graph.TensorsLength(), MAX_TENSORS)
    _limited("operators", graph.OperatorsLength(), MAX_OPERATORS)
    tables = [graph.Tensors(i) for i in range(count)]
    data = _buffers(content, model, [table.Buffer() for table in tables])
    tensors = tuple(_tensor(table, data[table.Buffer()], names) for table in tables)
    _limited(
        "bytes of names", sum(len(each.name) for each in tensors), MAX_NAME_BYTES + len(content)
    )
    operators, links = [], 0
    for i in range(graph.OperatorsLength()):
        operator = _operator(model, graph.Operators(i), names, count)
        links += len(operator.inputs) + len(operator.outputs)
        _limited("operands", links, MAX_LINKS)
        operators.append(operator)
    return ModelGraph(
        tensors=tensors,
        operators=tuple(operators),
        inputs=_indices(graph.InputsAsNumpy, count, optional=False),
        outputs=_indices(graph.OutputsAsNumpy, count, optional=False),
        signature_names=tuple(_signature_names(model, count)),
        subgraphs=model.SubgraphsLength(),
        weights_bytes=sum(each.size for each in data.values() if each is not None),
    )


def _buffers(
    content: bytes, model: Any, wanted: Iterable[int]
) -> dict[int, NDArray[np.uint8] | None]:
    found: dict[int, NDArray[np.uint8] | None] = {}
    total = 0
    for index in wanted:
        if index in found:
            continue
        if index >= model.BuffersLength():
            raise _Malformed(f"a tensor names buffer {index} of {model.BuffersLength()}")
        found[index] = data = _buffer(content, model.Buffers(index))
        total += 0 if data is None else data.size
        if total > _MAX_BUFFERS_TO_FILE_RATIO * len(content):
            raise _Malformed(f"its buffers overlap: more than {total} bytes in {len(content)}")
    return found


def _buffer(content: bytes, buffer: Any) -> NDArray[np.uint8] | None:
    # Source: schema.fbs, Buffer: weights may stand behind the flatbuffer; 0 and 1 mean they do not
    start, size = buffer.Offset(), buffer.Size()
    if start > 1:
        if start + size > len(content):
            raise _Malformed(
                f"cut off: weights reach to byte {start + size} of {len(content)} in the file"
            )
        return np.frombuffer(content, np.uint8, size, start)
    if buffer.DataLength() == 0:
        return None
    data: NDArray[np.uint8] = buffer.DataAsNumpy()
    return data


def _tensor(table: Any, data: NDArray[np.uint8] | None, names: _Names) -> ModelTensor:
    name = _text(table.Name())
    shape = _shape(table, name)
    dtype = names.dtypes.get(table.Type(), f"type {table.Type()}")
    scale, zero_point, scales = _quantization(table.Quantization(), name)
    is_sparse = table.Sparsity() is not None
    open_sizes = () if table.ShapeSignatureIsNone() else table.ShapeSignatureAsNumpy().tolist()
    return ModelTensor(
        name=name,
        shape=shape,
        dtype=dtype,
        constant_bytes=None if data is None else int(data.size),
        scale=scale,
        zero_point=zero_point,
        scales=scales,
        is_sparse=is_sparse,
        zero_ratio=None if data is None else _zero_ratio(data, shape, dtype, is_sparse, zero_point),
        integers=() if data is None or is_sparse else _integers(data, dtype),
        is_dynamic=any(size < 0 for size in open_sizes[:MAX_RANK]),
    )


def _shape(table: Any, name: str) -> tuple[int, ...]:
    _limited("dimensions", table.ShapeLength(), MAX_RANK)
    shape = () if table.ShapeIsNone() else tuple(table.ShapeAsNumpy().tolist())
    if any(size < 0 for size in shape):
        raise _Malformed(f"tensor {shown(name)}: found shape {list(shape)}, expected sizes from 0")
    return shape


def _quantization(table: Any, name: str) -> tuple[float | None, int | None, int]:
    if table is None or table.ScaleLength() == 0:
        return None, None, 0
    scales = table.ScaleAsNumpy()
    if not np.all(np.isfinite(scales[:1])):
        raise _Malformed(f"tensor {shown(name)}: found scale {scales[0]}, expected a finite one")
    zero_point = int(table.ZeroPoint(0)) if table.ZeroPointLength() else 0
    return float(scales[0]), zero_point, int(scales.size)


def _zero_ratio(
    data: NDArray[np.uint8],
    shape: tuple[int, ...],
    dtype: str,
    is_sparse: bool,
    zero_point: int | None,
) -> float | None:
    numpy_type = _NUMPY_TYPES.get(dtype)
    if len(shape) < 2 or 0 in shape or numpy_type is None:
        return None
    elements = 1
    for size in shape:
        elements *= size
    item = np.dtype(numpy_type).itemsize
    stored = data.size // item
    if (stored > elements) if is_sparse else (stored != elements or data.size % item):
        return None  # the runtime will say what it thinks of such a file
    values = data[: stored * item].view(numpy_type)
    zero = 0 if zero_point is None else zero_point
    return (elements - int(np.count_nonzero(values != zero))) / elements


def _integers(data: NDArray[np.uint8], dtype: str) -> tuple[int, ...]:
    if dtype not in ("int32", "int64"):
        return ()
    item = np.dtype(_NUMPY_TYPES[dtype]).itemsize
    if data.size % item or data.size // item > _SMALL:
        return ()
    return tuple(data.view(_NUMPY_TYPES[dtype]).tolist())


def _operator(model: Any, table: Any, names: _Names, tensors: int) -> ModelOperator:
    if table.OpcodeIndex() >= model.OperatorCodesLength():
        raise _Malformed(f"an operator names kind {table.OpcodeIndex()} of those listed")
    code = model.OperatorCodes(table.OpcodeIndex())
    # small codes are stored in the old field, large ones in the new (TFLite schema v3a)
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = names.operators.get(number, f"operator {number}")
    if kind == "CUSTOM":
        kind = f"CUSTOM {_text(code.CustomCode())}"
    options = _options(table, names)
    activation = getattr(options, "FusedActivationFunction", int)()
    padding = getattr(options, "Padding", None)
    stride = (1, 1)
    if hasattr(options, "StrideH"):
        stride = (options.StrideH(), options.StrideW())
    return ModelOperator(
        kind=kind,
        inputs=_indices(table.InputsAsNumpy, tensors, optional=True),
        outputs=_indices(table.OutputsAsNumpy, tensors, optional=False),
        activation=names.activations.get(activation, f"activation {activation}"),
        padding=names.paddings.get(padding(), "") if padding else "",
        stride=stride,
    )


def _options(table: Any, names: _Names) -> Any:
    reader = names.options.get(table.BuiltinOptionsType())
    union = table.BuiltinOptions()
    if reader is None or union is None:
        return None
    options = reader()
    options.Init(union.Bytes, union.Pos)
    return options


def _indices(read: Callable[[], Any], tensors: int, *, optional: bool) -> tuple[int, ...]:
    found = np.atleast_1d(read())  # the reader gives a plain 0 for a vector that is not there
    if not isinstance(read(), np.ndarray):
        return ()
    _limited("operands", found.size, MAX_LINKS)
    low = -1 if optional else 0
    wrong = found[(found < low) | (found >= tensors)]
    if wrong.size:
        raise _Malformed(f"an operator or the graph names tensor {wrong[0]} of {tensors}")
    return tuple(found.tolist())


def _signature_names(model: Any, tensors: int) -> Iterable[tuple[str, int]]:
    for i in range(_limited("signatures", model.SignatureDefsLength(), MAX_RANK)):
        signature = model.SignatureDefs(i)
        if signature.SubgraphIndex() != 0:
            continue
        for j in range(_limited("outputs", signature.OutputsLength(), MAX_TENSORS)):
            named = signature.Outputs(j)
            if named.TensorIndex() >= tensors:
                raise _Malformed(f"a signature names tensor {named.TensorIndex()} of {tensors}")
            yield _text(named.Name()), int(named.TensorIndex())


def _text(raw: bytes | None) -> str:
    if raw is None:
        return ""
    _limited("bytes of one name", len(raw), MAX_NAME_BYTES)
    return raw.decode("utf-8", "backslashreplace")


def _limited(what: str, found: int, most: int) -> int:
    if found > most:
        raise _Malformed(f"found {found} {what}, edgeface reads at most {most}")
    return found
