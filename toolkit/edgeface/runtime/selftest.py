"""Shows on a device that a model does there what it did where it was made.

In: an artifact with golden vectors. Out: the problems, none if every vector gives its outputs.
A vector goes the whole way of a picture: PNG, decoding, resize, model; so it notices swapped
colours, another value range, another resize, and another model. It says nothing about quality.
"""

from __future__ import annotations

import base64
from typing import Any, List, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.interpreter import LoadedModel, run
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
            picture = decode_image(base64.b64decode(vector.png_base64, validate=True), where)
        except ValueError as err:
            problems.append(f"{where}: its picture is not base64 ({err})")
        except DataError as err:
            problems.append(str(err))
        else:
            raw = run(model, to_input(picture, contract.image.side_px), contract.outputs)
            problems += _differences(where, raw, vector, contract.outputs)
    return tuple(problems)


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
        raw = run(model, to_input(image, contract.image.side_px), contract.outputs)
        smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9]
        _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), smallest)
        vectors.append(
            GoldenVector(
                png_base64=base64.b64encode(png.tobytes()).decode("ascii"),
                outputs=tuple(tuple(map(float, array.ravel())) for array in raw),
                tolerance=tolerance,
            )
        )
    return tuple(vectors)


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
