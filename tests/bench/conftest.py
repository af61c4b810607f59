"""A real `.tflite` whose heads' outputs are plain arithmetic, built without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeface.records import write_json
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.types import (
    SIDECAR_SCHEMA_VERSION,
    Contract,
    HeadSpec,
    ImageSpec,
    Sidecar,
    TensorSpec,
)
from support.records import provenance

MakeArtifact = Callable[..., Artifact]


# Head to its weights [units, 3] and biases [units].
LINEAR: dict[str, tuple[list[list[float]], list[float]]] = {
    "gender": ([[1, 0, 0]], [-100]),
    "age": ([[0, 0.5, 0]], [1]),
    "tint": ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0]),
}
HEADS = {
    "gender": HeadSpec(name="gender", kind="binary", tensor="gender", classes=("male", "female")),
    "age": HeadSpec(name="age", kind="regression", tensor="age", unit="years"),
    "tint": HeadSpec(name="tint", kind="classes", tensor="tint", classes=("red", "green", "blue")),
}


def tiny_tflite(side_px: int, names: tuple[str, ...] = ("gender", "age")) -> bytes:
    """Mean colour, then linear outputs.

    gender logit = mean red - 100, age = mean green / 2 + 1, tint logits = the mean colour.
    """
    model = schema.ModelT()
    model.version = 3
    model.description = b"tiny"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    for builtin in (schema.BuiltinOperator.MEAN, schema.BuiltinOperator.FULLY_CONNECTED):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 1
        model.operatorCodes.append(code)
    graph = schema.SubGraphT()
    graph.tensors = []

    def tensor(name: str, shape: list[int], kind: int, data: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = list(data)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], output: int, kind: int, options: Any) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        return made

    def floats(*values: float) -> bytes:
        return np.array(values, np.float32).tobytes()

    float32, int32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
    image = tensor("image", [1, side_px, side_px, 3], float32)
    axes = tensor("axes", [2], int32, np.array([1, 2], np.int32).tobytes())
    colour = tensor("colour", [1, 3], float32)
    heads = []
    graph.operators = [
        operator(
            0, [image, axes], colour, schema.BuiltinOptions.ReducerOptions, schema.ReducerOptionsT()
        )
    ]
    for name, (weights, biases) in ((name, LINEAR[name]) for name in names):
        units = len(biases)
        inputs = [
            colour,
            tensor(f"{name}_weights", [units, 3], float32, floats(*np.ravel(weights))),
            tensor(f"{name}_bias", [units], float32, floats(*biases)),
        ]
        heads.append(tensor(name, [1, units], float32))
        kind = schema.BuiltinOptions.FullyConnectedOptions
        graph.operators.append(
            operator(1, inputs, heads[-1], kind, schema.FullyConnectedOptionsT())
        )
    graph.inputs, graph.outputs = [image], heads
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def make_artifact(tmp_path: Path) -> MakeArtifact:
    """Writes a tiny model and its sidecar, and loads them."""

    def make(
        name: str,
        *,
        side_px: int = 32,
        trained: bool = True,
        heads: tuple[str, ...] = ("gender", "age"),
    ) -> Artifact:
        content = tiny_tflite(side_px, heads)
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        outputs = tuple(
            TensorSpec(name=head, shape=(1, len(LINEAR[head][1])), dtype="float32")
            for head in heads
        )
        sidecar = Sidecar(
            schema_version=SIDECAR_SCHEMA_VERSION,
            name=name,
            backbone="tiny",
            scheme="float32",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            contract=Contract(
                image=ImageSpec(side_px=side_px),
                input=TensorSpec(name="image", shape=(1, side_px, side_px, 3), dtype="float32"),
                outputs=outputs,
                heads=tuple(HEADS[head] for head in heads),
            ),
            golden=(),
            provenance=provenance(
                data="drawn faces" if trained else "none",
                data_kind="drawn" if trained else "none",
                trained=trained,
                parameters=8,
                macs=6,
            ),
            quality=None,
            licence="none",
        )
        write_json(path.with_suffix(".json"), sidecar)
        return load_artifact(path)

    return make
