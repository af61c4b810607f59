"""Rewriting the graph of a `.tflite`: pieces of it for measuring, and outputs without conversion.

In: the bytes of a file. Out: bytes of another. Weights are not changed here (`constants`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeface.export.flatbuffer import operators, read_graph

_ALIGNMENT_BYTES = 16  # Source: schema.fbs, `Buffer.data: [ubyte] (force_align: 16)`


def expose(
    content: bytes, tensors: Sequence[int], *, source: int | None = None, first: int = 0
) -> bytes:
    """Make tensors the outputs of a copy of the graph, so that the fast runtime shows their values.

    The copy ends with the operator that computes the last of them, and holds no weights but its
    own. Signatures are left out; it serves for measuring only.

    Args:
        content: a `.tflite`.
        tensors: one or more that operators of the copy compute.
        source: tensor that becomes the input; the graph's own if None.
        first: position of the first operator of the copy. `source` must be all that it and those
            after it read of what comes before; `bottlenecks` finds such places.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    last = max(i for i, op in enumerate(graph.operators) if set(op.outputs) & set(tensors))
    graph.operators = graph.operators[first : last + 1]
    read = {graph.tensors[i].buffer for op in graph.operators for i in op.inputs if i >= 0}
    model.buffers = [
        buffer if number in read else schema.BufferT()
        for number, buffer in enumerate(model.buffers)
    ]
    if source is not None:
        graph.inputs = np.asarray([source], np.int32)
    graph.outputs = np.asarray(tensors, np.int32)
    model.signatureDefs = []
    model.metadata = []  # it numbers buffers that may be empty now
    return pack(model)


def bottlenecks(content: bytes) -> dict[int, int]:
    """Find where a graph can be cut in two with one tensor passing.

    Returns:
        Position of an operator, 1 or more: index of the only tensor that it and those after it
        read of what comes before.
    """
    graph = operators(content)
    last_use = {i: position for position, op in enumerate(graph) for i in op.inputs}
    live: set[int] = {int(i) for i in read_graph(content).inputs}
    found = {}
    for position, op in enumerate(graph):
        live = {i for i in live if last_use.get(i, -1) >= position}
        if len(live) == 1 and position:
            (found[position],) = live
        live.update(op.outputs)
    return found


def without_output_conversions(content: bytes, names: Sequence[str]) -> bytes:
    """Give out float tensors as they are, where the quantizer put a QUANTIZE behind them.

    Args:
        content: a quantized `.tflite`.
        names: of float tensors; those that are not converted to an output are left alone.

    Returns:
        `content` itself if there is nothing to change.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    outputs = [int(i) for i in graph.outputs]
    made_of = {
        int(op.outputs[0]): int(op.inputs[0])
        for op, known in zip(graph.operators, operators(content), strict=True)
        if known.name == "QUANTIZE"
        and int(op.outputs[0]) in outputs
        and graph.tensors[op.inputs[0]].name.decode() in names
    }
    if not made_of:
        return content
    graph.operators = [op for op in graph.operators if int(op.outputs[0]) not in made_of]
    graph.outputs = np.asarray([made_of.get(i, i) for i in outputs], np.int32)
    for signature in model.signatureDefs:
        for output in signature.outputs:
            output.tensorIndex = made_of.get(output.tensorIndex, output.tensorIndex)
    return pack(model)


def unpack(content: bytes) -> Any:
    """Parse a whole file (`schema.ModelT`), with weights that are stored behind the flatbuffer."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # where litert-quantizer puts them
            stored = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(stored, np.uint8)
            buffer.offset = buffer.size = 0
    return model


def repacked(content: bytes) -> bytes:
    """Write a file anew with all weights inside the flatbuffer.

    litert-quantizer puts them behind it (`Buffer.offset`), which TFLite's C library up to 2.17
    refuses: the AArch64 build of it that a Flutter or C++ application links.

    Args:
        content: a `.tflite`.
    """
    return pack(unpack(content))


class _Builder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers has no types
    """Aligns vectors of bytes, which Python's object API does not."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        alignment = _ALIGNMENT_BYTES if elemSize == 1 else alignment
        return int(super().StartVector(elemSize, numElems, alignment))


def pack(model: Any) -> bytes:
    """Write an unpacked model (`schema.ModelT`) as a file, constants at multiples of 16 bytes."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
