"""The usual mistakes between a picture and a model, each made on purpose.

In: a model that is ready to run, a picture and where its face is. Out: what the model then says.
Knows no labels and draws no conclusion (`doctor` does).

Source of the list: docs/field.md, section 2, row 6, and what the preprocessing functions of common
frameworks do; each says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.affine import dequantize, quantize
from edgeface.runtime.crop import Box, crop
from edgeface.runtime.decode import decode
from edgeface.runtime.detect import Detection
from edgeface.runtime.interpreter import invoke
from edgeface.runtime.predict import Predictor
from edgeface.runtime.preprocess import to_input
from edgeface.types import Contract, TensorSpec

RIGHT = "as the contract says"

TIGHTER, WIDER = (0.8, 0.9), (1.1, 1.25)
"""Sides of crops that are too tight or too wide, in right ones. Chosen: at 0.8 a face loses chin or
forehead, and a frame around the box of a detector is commonly a quarter larger; those between, so
that a smaller slip is recognised too."""

_Picture = NDArray[np.uint8]
_Values = NDArray[np.float64]
# Source: keras.applications.imagenet_utils, modes "caffe" (BGR) and "torch" (RGB, of 0 to 1)
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68])
_TORCH_MEAN, _TORCH_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One way to give a model what it was not trained on.

    Attributes:
        name: in a few words.
        advice: what to change in the pipeline that makes it.
        frame: where the face is cut out.
        prepare: from the crop to uint8 [side, side, 3].
        values: from that to the real numbers that the input tensor stands for.
        swaps_classes: the two classes of binary heads are read the wrong way round.
    """

    name: str
    advice: str
    frame: Callable[[Detection], Box] = lambda face: face.crop
    prepare: Callable[[_Picture, int], _Picture] = to_input
    values: Callable[[_Picture, TensorSpec], _Values] = lambda picture, _: picture.astype(float)
    swaps_classes: bool = False


def mistakes_for(contract: Contract, *, detected: bool) -> tuple[Mistake, ...]:
    """List what is tried on a model, the right way first.

    Args:
        contract: of the model; mistakes of quantization are tried on int8 inputs only.
        detected: faces were found by a detector; else the whole picture is the crop.
    """
    tried = [
        Mistake(name=RIGHT, advice="nothing to change"),
        *_COLOURS,
        *(_INT8 if contract.input.dtype == "int8" else ()),
        *(_BOX if detected else ()),
        *_CROPS,
        *_RESIZES,
    ]
    if any(head.kind == "binary" for head in contract.heads):
        tried.append(_CLASSES)
    return tuple(tried)


def outputs_under(
    mistake: Mistake, predictor: Predictor, picture: _Picture, face: Detection
) -> dict[str, _Values]:
    """Run the model on one face with a mistake made.

    Args:
        mistake: from `mistakes_for`.
        predictor: of the model.
        picture: uint8 [H, W, 3], RGB.
        face: where it is.

    Returns:
        Head name to what `decode` gives: float64 [], or [K] of a head of classes.

    Raises:
        ArtifactError: the runtime fails, or an output is not finite.
    """
    model, contract = predictor.model, predictor.contract
    prepared = mistake.prepare(crop(picture, mistake.frame(face)), contract.image.side_px)
    values = mistake.values(np.ascontiguousarray(prepared), model.input)
    if model.input.dtype == "float32":
        tensor = values.astype(np.float32)
    else:
        tensor = quantize(values, model.input)
    model.interpreter.set_tensor(model.input_index, tensor[np.newaxis])
    invoke(model)
    raw = [
        model.interpreter.get_tensor(model.output_indices[spec.name]) for spec in contract.outputs
    ]
    said = {name: np.asarray(array[0]) for name, array in decode(raw, contract).items()}
    if mistake.swaps_classes:
        binary = {head.name for head in contract.heads if head.kind == "binary"}
        said = {name: np.asarray(1 - of) if name in binary else of for name, of in said.items()}
    return said


def whole_picture(picture: _Picture) -> Detection:
    """Take a picture for one face crop."""
    whole = (0, 0, picture.shape[1], picture.shape[0])
    return Detection(box=whole, crop=whole)


def _scaled(face: Detection, ratio: float) -> Box:
    x, y, width, height = face.crop
    new_width, new_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    return x + (width - new_width) // 2, y + (height - new_height) // 2, new_width, new_height


def _bgr(picture: _Picture, side_px: int) -> _Picture:
    return to_input(picture, side_px)[..., ::-1]


def _resized(picture: _Picture, side_px: int, kernel: int) -> _Picture:
    return np.asarray(cv2.resize(picture, (side_px, side_px), interpolation=kernel), np.uint8)


def _over_half_side(picture: _Picture, side_px: int) -> _Picture:
    return to_input(to_input(picture, max(1, side_px // 2)), side_px)


def _turned(picture: _Picture, side_px: int, quarters: int) -> _Picture:
    return to_input(np.ascontiguousarray(np.rot90(picture, quarters)), side_px)


def _mirrored(picture: _Picture, side_px: int) -> _Picture:
    return to_input(picture, side_px)[:, ::-1]


def _caffe(picture: _Picture, _: TensorSpec) -> _Values:
    return np.asarray(picture[..., ::-1] - _CAFFE_MEAN, np.float64)


def _torch(picture: _Picture, _: TensorSpec) -> _Values:
    return np.asarray((picture / 255.0 - _TORCH_MEAN) / _TORCH_DEVIATION)


def _as_bytes(picture: _Picture, spec: TensorSpec) -> _Values:
    return dequantize(picture.view(np.int8), spec)


def _cast(picture: _Picture, spec: TensorSpec) -> _Values:
    return dequantize((picture / 255.0).astype(np.int8), spec)


_GIVE_PIXELS = "give the pixels as they are, 0 to 255: the model normalises them itself"
_COLOURS = (
    Mistake(
        name="colours swapped (BGR)",
        advice="convert to RGB after cv2.imread or a camera: cv2.cvtColor(picture, "
        "cv2.COLOR_BGR2RGB)",
        prepare=_bgr,
    ),
    Mistake(
        name="scaled to 0..1",
        advice=_GIVE_PIXELS,
        values=lambda picture, _: picture.astype(float) / 255,
    ),
    Mistake(
        name="scaled to -1..1",  # MobileNetV2's preprocess_input
        advice=_GIVE_PIXELS,
        values=lambda picture, _: picture.astype(float) / 127.5 - 1,
    ),
    Mistake(
        name="scale doubled (0..510)",
        advice=_GIVE_PIXELS,
        values=lambda picture, _: picture.astype(float) * 2,
    ),
    Mistake(
        name="VGG16's preprocessing (BGR, mean subtracted)",
        advice=f"leave preprocess_input out; {_GIVE_PIXELS}",
        values=_caffe,
    ),
    Mistake(
        name="ImageNet's mean and deviation (PyTorch)",
        advice=f"leave Normalize out; {_GIVE_PIXELS}",
        values=_torch,
    ),
)
_INT8 = (
    Mistake(
        name="int8 input filled with the bytes of uint8",
        advice="quantize the input: q = round(pixel / scale) + zero_point, with the contract's",
        values=_as_bytes,
    ),
    Mistake(
        name="0..1 cast to int8",
        advice="quantize the input: q = round(pixel / scale) + zero_point, with the contract's",
        values=_cast,
    ),
)
_BOX = (
    Mistake(
        name="the detector's box as the crop",
        advice="cut out what training pictures show: edgeface.runtime.crop.haar_square",
        frame=lambda face: face.box,
    ),
)
_CROPS = (
    *(
        Mistake(
            name=f"crop too tight ({ratio:g} of the side)",
            advice="cut out more around the face",
            frame=partial(_scaled, ratio=ratio),
        )
        for ratio in TIGHTER
    ),
    *(
        Mistake(
            name=f"crop too wide ({ratio:g} of the side)",
            advice="cut out less around the face",
            frame=partial(_scaled, ratio=ratio),
        )
        for ratio in WIDER
    ),
    Mistake(
        name="turned a quarter left",
        advice="turn pictures upright by their EXIF orientation first",
        prepare=partial(_turned, quarters=1),
    ),
    Mistake(
        name="turned a quarter right",
        advice="turn pictures upright by their EXIF orientation first",
        prepare=partial(_turned, quarters=-1),
    ),
    Mistake(
        name="mirrored",
        advice="nothing to change if training mirrored its pictures too (train.augment.flip in its "
        "recipe)",
        prepare=_mirrored,
    ),
)
_RESIZES = (
    Mistake(
        name="resized by nearest pixel",
        advice="resize with cv2.INTER_AREA when shrinking",
        prepare=partial(_resized, kernel=cv2.INTER_NEAREST),
    ),
    Mistake(
        name="resized linearly (OpenCV's default)",
        advice="resize with cv2.INTER_AREA when shrinking",
        prepare=partial(_resized, kernel=cv2.INTER_LINEAR),
    ),
    Mistake(
        name="resized by cubic interpolation",
        advice="resize with cv2.INTER_AREA when shrinking",
        prepare=partial(_resized, kernel=cv2.INTER_CUBIC),
    ),
    Mistake(
        name="wrong side: resized over half of the model's",
        advice="resize once, from the crop to the model's own side",
        prepare=_over_half_side,
    ),
)
_CLASSES = Mistake(
    name="classes swapped",
    advice="a binary head's sigmoid is the probability of its second class",
    swaps_classes=True,
)
