"""Raw outputs of a model on a device.

In: a model and images that the device has. Out: arrays by tensor name, held to the contract, and
what they say of each face: the device computes, this host only decodes.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.latency import RuntimeVersion, Worker
from edgeface.bench.runner_reply import SLOWEST_INFERENCE_S, START_S, parse_reply
from edgeface.errors import ArtifactError, BenchmarkError
from edgeface.records import RecordError, from_mapping
from edgeface.runtime.decode import decode
from edgeface.types import Contract, TensorSpec

_DTYPES = ("int8", "uint8", "int16", "int32", "float32")

Arrays = Mapping[str, NDArray[Any]]
"""Output tensors by name, each [N, ...] in the dtype of the file."""


@dataclass(frozen=True, kw_only=True)
class _Packed:
    dtype: str
    shape: tuple[int, ...]
    base64: str


@dataclass(frozen=True, kw_only=True)
class DeviceOutputs:
    """What a device gave for some images.

    Attributes:
        runtime: that ran the model there.
        outputs: by tensor name.
    """

    runtime: RuntimeVersion
    outputs: dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class _OutputsReply:
    runtime: str
    runtime_version: str
    threads: int
    images: int
    outputs: dict[str, Any]


def measure_outputs(
    path: Path,
    faces: Path,
    contract: Contract,
    *,
    images: int,
    threads: int,
    worker: Worker,
    where: str,
) -> DeviceOutputs:
    """Run a model on images in a fresh process, and take its raw outputs.

    Args:
        path: of the `.tflite`, as the worker finds it.
        faces: `.npz` with one array "images", uint8 [N, side, side, 3], as the worker finds it.
        contract: of the artifact.
        images: N.
        threads: of the runtime.
        worker: `run_worker`, or a stand-in.
        where: device and model, for messages.

    Raises:
        BenchmarkError: the process failed, or its answer is not as agreed.
    """
    arguments = ("outputs", str(path), str(faces), "--threads", str(threads))
    answer = worker(arguments, START_S + images * SLOWEST_INFERENCE_S)
    reply = parse_reply(_OutputsReply, where, answer)
    if (reply.images, reply.threads) != (images, threads):
        raise BenchmarkError(
            f"{where}: ran {reply.images} images with {reply.threads} threads, expected {images} "
            f"with {threads}"
        )
    return DeviceOutputs(
        runtime=RuntimeVersion(name=reply.runtime, version=reply.runtime_version),
        outputs=unpack_outputs(reply.outputs, contract.outputs, images=images, where=where),
    )


def unpack_outputs(
    packed: Any, specs: Sequence[TensorSpec], *, images: int, where: str
) -> dict[str, NDArray[Any]]:
    """Turn the runner's answer to `outputs` into arrays, and hold them to the contract.

    Args:
        packed: what its key "outputs" holds: tensor name to dtype, shape and the bytes in base64,
            little-endian.
        specs: outputs of the artifact's contract.
        images: that were sent.
        where: device and model, for messages.

    Returns:
        Name to array [images, ...].

    Raises:
        BenchmarkError: a tensor is missing, has another dtype or shape, or too few bytes.
    """
    if not isinstance(packed, dict) or set(packed) != {spec.name for spec in specs}:
        found = ", ".join(map(str, packed)) if isinstance(packed, dict) else type(packed).__name__
        expected = ", ".join(spec.name for spec in specs)
        raise BenchmarkError(
            f"{where}: found outputs {found}, expected {expected}; the device ran another file, "
            "or another edgeface runs there"
        )
    arrays = {}
    for spec in specs:
        shape = (images, *spec.shape[1:])
        arrays[spec.name] = _unpack(packed[spec.name], spec.dtype, shape, f"{where}: {spec.name}")
    return arrays


def _unpack(packed: Any, dtype: str, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    try:
        tensor = from_mapping(_Packed, packed)
        content = base64.b64decode(tensor.base64, validate=True)
    except (RecordError, binascii.Error, ValueError) as err:
        raise BenchmarkError(f"{where}: is not as agreed: {err}") from err
    if (tensor.dtype, tensor.shape) != (dtype, shape) or dtype not in _DTYPES:
        raise BenchmarkError(
            f"{where}: found {tensor.dtype} {list(tensor.shape)}, expected {dtype} {list(shape)}"
        )
    expected_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if len(content) != expected_bytes:
        raise BenchmarkError(f"{where}: found {len(content)} bytes, expected {expected_bytes}")
    array = np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape)
    return array.astype(dtype)


def predictions_of(
    outputs: Arrays, contract: Contract, *, where: str
) -> dict[str, NDArray[np.float64]]:
    """Decode outputs that a device sent, as this host decodes its own.

    Args:
        outputs: by tensor name.
        contract: of the artifact.
        where: device and model, for messages.

    Returns:
        Head name to float64 [N] or [N, K], as `quality.predict_held_out` gives it.

    Raises:
        BenchmarkError: an output is missing or not the contract's, or a value is not finite.
    """
    try:
        return decode([outputs[spec.name] for spec in contract.outputs], contract)
    except KeyError as err:
        raise BenchmarkError(f"{where}: no output tensor {err}, expected the contract's") from err
    except ArtifactError as err:
        raise BenchmarkError(f"{where}: {err}") from err
