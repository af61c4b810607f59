"""Shows on a device that a model does there what it did where it was made.

In: an artifact with golden vectors. Out: the problems, none if every vector gives its outputs.
A vector goes the whole way of a picture: PNG, decoding, resize, model; so it notices swapped
colours, another value range, another resize, and another model. It says nothing about quality.

An int8 model is not rounded alike by all kernels. The golden outputs are a delegate's (XNNPACK's);
a runtime without one is several steps off them, but at most one step off TFLite's reference kernels
(measured: benchmarks/emulated/README.md). So `reference_golden` gives the same vectors with the
outputs of these, for `uses_delegate` to choose from: like is compared with like.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, List, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.interpreter import LoadedModel, open_model, read_nodes, run
from edgeface.runtime.predict import open_predictor
from edgeface.runtime.preprocess import decode_image, to_input
from edgeface.types import Contract, GoldenVector, TensorSpec


def self_test(artifact: Artifact, threads: int = 1) -> Tuple[str, ...]:
    """Run every golden vector of an artifact.

    Args:
        artifact: from `load_artifact`.
        threads: CPU threads, 1 or more.

    Returns:
        One line a problem; empty if the artifact passed. An artifact without golden vectors does
        not pass.

    Raises:
        ArtifactError: the model does not open or run, or its tensors are not the contract's.
        DeviceError: no runtime is installed, or `threads` is below 1.
    """
    predictor = open_predictor(artifact, threads)
    return golden_problems(predictor.model, predictor.contract, artifact.sidecar.golden)


def golden_problems(
    model: LoadedModel, contract: Contract, golden: Sequence[GoldenVector]
) -> Tuple[str, ...]:
    """Run golden vectors on an opened model.

    Args:
        model: from `open_model`.
        contract: of the model the vectors were made with.
        golden: inputs with the outputs they must give.

    Returns:
        One line a problem: vector number from 1, tensor, largest difference found and allowed;
        or what makes the vector unusable. Empty if all passed.

    Raises:
        ArtifactError: the model does not run.
    """
    if not golden:
        return ("no golden vectors: nothing was tested; export the artifact again",)
    problems: List[str] = []
    for number, vector in enumerate(golden, start=1):
        where = f"golden vector {number}"
        try:
            picture = _picture(vector, where)
        except ValueError as err:
            problems.append(f"{where}: its picture is not base64 ({err})")
        except DataError as err:
            problems.append(str(err))
        else:
            raw = run(model, to_input(picture, contract.image.side_px), contract.outputs)
            problems += _differences(where, raw, vector, contract.outputs)
    return tuple(problems)


def reference_golden(artifact: Artifact) -> Tuple[GoldenVector, ...]:
    """Give an artifact's golden vectors as TFLite's reference kernels compute them.

    Args:
        artifact: from `load_artifact`.

    Returns:
        The same pictures and tolerances with other outputs. None for a float model, whose
        tolerance is wider than what kernels differ by; and none where the artifact does not give
        its golden outputs here, because nothing would vouch for what it gives otherwise.

    Raises:
        ArtifactError: the model does not open or run, or its tensors are not the contract's.
        DeviceError: no runtime is installed.
    """
    sidecar = artifact.sidecar
    if sidecar.scheme != "int8" or self_test(artifact):
        return ()
    where = f"{artifact.path} by reference kernels"
    model = open_model(artifact.content, where=where, reference_kernels=True)
    return tuple(
        replace(vector, outputs=_outputs(model, _picture(vector, where), sidecar.contract))
        for vector in sidecar.golden
    )


def uses_delegate(model: LoadedModel) -> bool:
    """Tell whether a delegate runs a model, or a part of it.

    Args:
        model: from `open_model`.

    Returns:
        False where the runtime's own kernels run all of it; True also where it does not tell.
    """
    kinds = read_nodes(model.interpreter, lambda details: details["op_name"])
    return kinds is None or "DELEGATE" in kinds


def make_golden(
    model: LoadedModel, images: Sequence[NDArray[np.uint8]], contract: Contract, tolerance: float
) -> Tuple[GoldenVector, ...]:
    """Record what a model gives for a few pictures.

    Args:
        model: opened from the exported bytes.
        images: uint8 [H, W, 3] each, RGB, of any size; larger than the input and with detail, so
            that a wrong resize shows.
        contract: of the model.
        tolerance: allowed on a device, 0 or more: quantization steps for integer outputs, absolute
            for float ones.

    Returns:
        One vector a picture.

    Raises:
        DataError: an image is not uint8 [H, W, 3].
        ArtifactError: the model does not run.
    """
    vectors = []
    for image in images:
        outputs = _outputs(model, image, contract)
        smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9]
        _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), smallest)
        vectors.append(
            GoldenVector(
                png_base64=base64.b64encode(png.tobytes()).decode("ascii"),
                outputs=outputs,
                tolerance=tolerance,
            )
        )
    return tuple(vectors)


def _picture(vector: GoldenVector, where: str) -> NDArray[np.uint8]:
    return decode_image(base64.b64decode(vector.png_base64, validate=True), where)


def _outputs(
    model: LoadedModel, image: NDArray[np.uint8], contract: Contract
) -> Tuple[Tuple[float, ...], ...]:
    raw = run(model, to_input(image, contract.image.side_px), contract.outputs)
    return tuple(tuple(map(float, array.ravel())) for array in raw)


def _differences(
    where: str,
    raw: Sequence[NDArray[Any]],
    vector: GoldenVector,
    outputs: Sequence[TensorSpec],
) -> List[str]:
    if len(vector.outputs) != len(raw):
        return [f"{where}: holds {len(vector.outputs)} outputs, expected {len(raw)}"]
    problems = []
    for array, expected, spec in zip(raw, vector.outputs, outputs):
        if len(expected) != array.size:
            problems.append(
                f"{where}: tensor {spec.name} has {array.size} values, the vector {len(expected)}"
            )
            continue
        largest = np.abs(array.ravel() - np.asarray(expected, dtype=np.float64)).max()
        if not largest <= vector.tolerance:  # so that NaN is a problem too
            problems.append(
                f"{where}: tensor {spec.name} differs by up to {largest:g}, "
                f"allowed {vector.tolerance:g}"
            )
    return problems
