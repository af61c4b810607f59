"""An artifact and face crops, or pictures with a detector, to predictions.

In: an artifact; RGB face crops of any size, or pictures of any content with a detector. Out: raw
outputs, attribute values, or one `dict` a face as `edgeface predict --json` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.artifact import Artifact, check_contract
from edgeface.runtime.crop import crop
from edgeface.runtime.decode import class_numbers, decode
from edgeface.runtime.detect import Detector
from edgeface.runtime.interpreter import LoadedModel, open_model, run
from edgeface.runtime.preprocess import to_input
from edgeface.types import Contract

Images = Union[NDArray[np.uint8], Sequence[NDArray[np.uint8]]]
"""Uint8 [N, H, W, 3], or N arrays [H, W, 3] of any size; RGB, 0 to 255."""

YEARS_DECIMALS = 1
"""Chosen: an MAE is several years, so that more digits would be noise."""

OTHER_DECIMALS = 4
"""Of probabilities and of values in other units. Chosen: finer than an int8 step of a logit."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model that is ready to run, with what its outputs mean.

    Attributes:
        model: opened, its tensors equal to the contract's.
        contract: from the sidecar.
    """

    model: LoadedModel
    contract: Contract


def open_predictor(artifact: Artifact, threads: int = 1) -> Predictor:
    """Open an artifact's model and hold it to its contract.

    Args:
        artifact: from `load_artifact`.
        threads: CPU threads, 1 or more.

    Returns:
        What the functions below take.

    Raises:
        ArtifactError: the runtime refuses the file, or its tensors are not the contract's.
        DeviceError: no runtime is installed, or `threads` is below 1.
    """
    model = open_model(artifact.content, threads=threads, where=str(artifact.path))
    check_contract(model, artifact)
    return Predictor(model=model, contract=artifact.sidecar.contract)


def predict_raw(predictor: Predictor, images: Images) -> Tuple[NDArray[Any], ...]:
    """Run the model on each image, one at a time.

    Args:
        predictor: from `open_predictor`.
        images: RGB crops; those of another size than the model's go through `to_input`.

    Returns:
        Raw arrays [N, ...], dtype as in the file, in the order of the contract's outputs.

    Raises:
        DataError: an image is not uint8 [H, W, 3].
        ArtifactError: the runtime fails.
    """
    contract = predictor.contract
    side_px = contract.image.side_px
    rows = [run(predictor.model, to_input(image, side_px), contract.outputs) for image in images]
    if not rows:
        return tuple(np.empty((0, *spec.shape[1:]), spec.dtype) for spec in contract.outputs)
    return tuple(np.concatenate(column) for column in zip(*rows))


def predict_faces(predictor: Predictor, images: Images) -> Dict[str, NDArray[np.float64]]:
    """Predict the attributes of each face.

    Args:
        predictor: from `open_predictor`.
        images: RGB crops, one face each, of any size.

    Returns:
        By head name, as `decode` gives them.

    Raises:
        DataError: an image is not uint8 [H, W, 3].
        ArtifactError: the runtime fails, or an output is not finite.
    """
    return decode(predict_raw(predictor, images), predictor.contract)


def describe_picture(
    predictor: Predictor, rgb: NDArray[np.uint8], detector: Optional[Detector]
) -> List[Dict[str, Any]]:
    """Say what the model says of every face of a picture.

    Args:
        predictor: from `open_predictor`.
        rgb: uint8 [H, W, 3], RGB.
        detector: finds the faces; None if the whole picture is one.

    Returns:
        One `describe_face` a face, the largest first; empty if there is none.

    Raises:
        DataError: the picture is not uint8 [H, W, 3].
        ArtifactError: the runtime or the detector fails, or an output is not finite.
    """
    contract = predictor.contract
    if detector is None:
        return [describe_face(predict_faces(predictor, [rgb]), contract, 0, None)]
    found = detector.find(rgb)
    values = predict_faces(predictor, [crop(rgb, face.crop) for face in found])
    return [describe_face(values, contract, i, face.box) for i, face in enumerate(found)]


def describe_face(
    values: Mapping[str, NDArray[np.float64]],
    contract: Contract,
    i: int,
    box: Optional[Sequence[int]],
) -> Dict[str, Any]:
    """Put one face into words, as `edgeface predict --json` prints it.

    Args:
        values: from `predict_faces`.
        contract: of the same model.
        i: which of the N faces.
        box: x, y, width and height in px in the whole picture; None if the picture is the face.

    Returns:
        "box", then for each head its name with a value, years rounded to 0.1 and others to four
        decimals; for a binary head its name with the likelier class (`classes[1]` from 0.5 on),
        and "p_<classes[1]>" with the probability, rounded to four decimals; for a head of classes
        its name with the likeliest, and "p_<name>" with the probability of each by its name.
    """
    face: Dict[str, Any] = {"box": None if box is None else [int(edge) for edge in box]}
    for head in contract.heads:
        of_face = values[head.name][i]
        if head.has_classes:
            (number,) = class_numbers(of_face[None], head)
            face[head.name] = head.classes[number]
        if head.kind == "binary":
            face[f"p_{head.classes[1]}"] = round(float(of_face), OTHER_DECIMALS)
        elif head.kind == "classes":
            face[f"p_{head.name}"] = {
                name: round(float(of_class), OTHER_DECIMALS)
                for name, of_class in zip(head.classes, of_face)
            }
        else:
            decimals = YEARS_DECIMALS if head.unit == "years" else OTHER_DECIMALS
            face[head.name] = round(float(of_face), decimals)
    return face
