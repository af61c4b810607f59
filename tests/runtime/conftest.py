"""Tiny real `.tflite` files, written by hand through the flatbuffer schema.

Dense heads on an 8 x 8 picture. No TensorFlow: these tests run wherever `runtime` runs, and
because the weights are known, numpy can say what a model must give.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeface.records import write_json
from edgeface.runtime.decode import output_units
from edgeface.runtime.interpreter import open_model, tensor_specs
from edgeface.runtime.selftest import make_golden
from edgeface.types import (
    GENDER_CLASSES,
    SIDECAR_SCHEMA_VERSION,
    Contract,
    HeadSpec,
    ImageSpec,
    Sidecar,
)
from support.records import provenance

SIDE_PX = 8
BINS = (0.0, 20.0, 40.0, 60.0, 80.0)
DECADES = tuple(float(age) for age in range(5, 110, 10))
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
HEADS = {
    head.name: head
    for head in (
        HeadSpec(name="age", kind="expectation", tensor="age", bins=BINS, unit="years"),
        HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES),
        HeadSpec(name="expression", kind="classes", tensor="expression", classes=EXPRESSIONS),
        HeadSpec(name="decade", kind="decades", tensor="decade", bins=DECADES, unit="years"),
    )
}
TWO = ("age", "gender")
TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32,
}


@dataclass(frozen=True)
class TinyModel:
    """A `.tflite` and what it computes: the logits of some of `HEADS`, kernel @ pixels + bias.

    Attributes:
        content: the file.
        kernels: real weights by head, which is the output's name too, [K, 192].
        biases: real biases by output name, [K].
        scales: (scale, zero point) by output name; empty if the file is float32.
    """

    content: bytes
    kernels: Dict[str, NDArray[np.float64]]
    biases: Dict[str, NDArray[np.float64]]
    scales: Dict[str, Tuple[float, int]]

    def real(self, image: NDArray[np.uint8], name: str) -> NDArray[np.float64]:
        return self.kernels[name] @ image.ravel().astype(np.float64) + self.biases[name]


class _Writer:
    """Collects buffers and tensors of one subgraph."""

    def __init__(self) -> None:
        self.buffers: List[Any] = [schema.BufferT()]  # by convention the first buffer is empty
        self.tensors: List[Any] = []

    def tensor(
        self,
        name: str,
        dtype: str,
        shape: Sequence[int],
        data: Optional[NDArray[Any]] = None,
        scale: Optional[float] = None,
        zero_point: int = 0,
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name, list(shape), TYPES[dtype]
        made.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            made.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero_point]
        self.tensors.append(made)
        return len(self.tensors) - 1


def build_tiny_model(dtype: str, seed: int, names: Sequence[str] = TWO) -> TinyModel:
    """Write a model with input and outputs of one dtype, and with those of `HEADS`."""
    generator = np.random.default_rng(seed)
    pixels = SIDE_PX * SIDE_PX * 3
    writer = _Writer()
    first_pixel = {"float32": 0, "int8": -128, "uint8": 0}[dtype]
    quantized = dtype != "float32"
    shape = (1, SIDE_PX, SIDE_PX, 3)
    image = writer.tensor("image", dtype, shape, None, 1.0 if quantized else None, first_pixel)
    kernels: Dict[str, NDArray[np.float64]] = {}
    biases: Dict[str, NDArray[np.float64]] = {}
    scales: Dict[str, Tuple[float, int]] = {}
    operators, outputs = [], []
    for name in names:
        size = output_units(HEADS[name])
        steps = generator.integers(-127, 128, (size, pixels))
        bias_steps = generator.integers(-2000, 2000, size)
        kernel_scale = float(np.float32(2e-5))
        kernels[name] = steps.astype(np.float64) * kernel_scale
        biases[name] = bias_steps.astype(np.float64) * kernel_scale
        if quantized:
            scales[name] = (float(np.float32(0.04)), 5)
            # uint8 kernels have their zero in the middle
            weights = steps.astype(np.int8) if dtype == "int8" else (steps + 128).astype(np.uint8)
            middle = 0 if dtype == "int8" else 128
            operands = [
                writer.tensor(f"{name}_k", dtype, steps.shape, weights, kernel_scale, middle),
                writer.tensor(
                    f"{name}_b", "int32", (size,), bias_steps.astype("<i4"), kernel_scale
                ),
            ]
            output = writer.tensor(name, dtype, (1, size), None, *scales[name])
        else:
            operands = [
                writer.tensor(f"{name}_k", dtype, steps.shape, kernels[name].astype("<f4")),
                writer.tensor(f"{name}_b", dtype, (size,), biases[name].astype("<f4")),
            ]
            output = writer.tensor(name, dtype, (1, size))
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        operator.inputs, operator.outputs = [image, *operands], [output]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        operators.append(operator)
        outputs.append(output)
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "main", writer.tensors, operators
    graph.inputs, graph.outputs = [image], outputs
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if dtype == "int8" else 1
    model = schema.ModelT()
    model.version, model.operatorCodes = 3, [code]
    model.subgraphs, model.buffers = [graph], writer.buffers
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return TinyModel(bytes(builder.Output()), kernels, biases, scales)


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., TinyModel]:
    return build_tiny_model


@pytest.fixture(scope="session")
def float_model() -> TinyModel:
    return build_tiny_model("float32", seed=3)


@pytest.fixture(scope="session")
def int8_model() -> TinyModel:
    return build_tiny_model("int8", seed=3)


@pytest.fixture(params=["float32", "int8", "uint8"])
def any_model(request: pytest.FixtureRequest) -> TinyModel:
    return build_tiny_model(request.param, seed=3)


def contract_of(model: TinyModel) -> Contract:
    opened = open_model(model.content, where="tiny")
    input_spec, outputs = tensor_specs(opened)
    return Contract(
        image=ImageSpec(side_px=SIDE_PX),
        input=input_spec,
        outputs=outputs,
        heads=tuple(HEADS[name] for name in model.kernels),
    )


@pytest.fixture(scope="session")
def tiny_contract() -> Callable[[TinyModel], Contract]:
    return contract_of


@pytest.fixture(scope="session")
def pictures() -> List[NDArray[np.uint8]]:
    """Pictures with detail, larger than the input, so that a wrong resize shows."""
    generator = np.random.default_rng(11)
    shapes = [(24, 24, 3), (31, 17, 3), (40, 40, 3)]
    return [generator.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


@pytest.fixture
def write_artifact(
    tmp_path: Path, pictures: List[NDArray[np.uint8]]
) -> Callable[[TinyModel, str], Path]:
    """Write `NAME.tflite` and `NAME.json` and give the path of the first."""

    def write(model: TinyModel, name: str = "tiny-a100-8px-int8") -> Path:
        return write_tiny(tmp_path / f"{name}.tflite", model, pictures)

    return write


def write_tiny(path: Path, model: TinyModel, pictures: Sequence[NDArray[np.uint8]]) -> Path:
    """Write a model and its sidecar, with golden vectors of the pictures; gives the path."""
    contract = contract_of(model)
    opened = open_model(model.content, where=path.stem)
    units = sum(len(bias) for bias in model.biases.values())
    sidecar = Sidecar(
        schema_version=SIDECAR_SCHEMA_VERSION,
        name=path.stem,
        backbone="tiny",
        scheme="int8" if model.scales else "float32",
        sha256=hashlib.sha256(model.content).hexdigest(),
        size_bytes=len(model.content),
        contract=contract,
        golden=make_golden(opened, pictures, contract, 1.0 if model.scales else 1e-4),
        provenance=provenance(trained=False, parameters=units * 192 + units, macs=units * 192),
        quality=None,
        licence="none",
    )
    path.write_bytes(model.content)
    write_json(path.with_suffix(".json"), sidecar)
    return path
