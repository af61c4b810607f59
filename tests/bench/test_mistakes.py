"""`mistakes`: the right way is what `predict` does, and each mistake is what numpy says it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.bench.mistakes import RIGHT, Mistake, mistakes_for, outputs_under, whole_picture
from edgeface.config import Recipe
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.crop import crop
from edgeface.runtime.detect import Detection
from edgeface.runtime.predict import Predictor, open_predictor, predict_faces
from edgeface.runtime.preprocess import to_input
from support.dense_artifact import dense_model, write_dense_artifact

BINS = np.array([0.0, 20.0, 40.0, 60.0, 80.0])
PICTURE = np.random.default_rng(7).integers(0, 256, (40, 30, 3), dtype=np.uint8)
FACE = Detection(box=(2, 3, 20, 20), crop=(1, 5, 21, 21))


def predictor_of(folder: Path, dtype: str) -> Predictor:
    return open_predictor(load_artifact(write_dense_artifact(folder, dtype)))


def mistake_called(start: str, predictor: Predictor, *, detected: bool = True) -> Mistake:
    (found,) = (
        each
        for each in mistakes_for(predictor.contract, detected=detected)
        if each.name.startswith(start)
    )
    return found


def answer(values: NDArray[Any]) -> dict[str, float]:
    """What the float model says of real input values, [8, 8, 3], by its weights."""
    model = dense_model()
    logits = {
        name: model.kernels[name] @ values.ravel() + model.biases[name] for name in model.kernels
    }
    weights = np.exp(logits["age"]) / np.exp(logits["age"]).sum()
    return {
        "age": float(weights @ BINS),
        "gender": float(1 / (1 + np.exp(-logits["gender"][0]))),
    }


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_the_right_way_is_what_predict_does(dtype: str, tmp_path: Path) -> None:
    predictor = predictor_of(tmp_path, dtype)
    right = mistakes_for(predictor.contract, detected=True)[0]
    assert right.name == RIGHT
    expected = predict_faces(predictor, [crop(PICTURE, FACE.crop)])
    said = outputs_under(right, predictor, PICTURE, FACE)
    assert said == {name: float(array[0]) for name, array in expected.items()}
    whole = outputs_under(right, predictor, PICTURE, whole_picture(PICTURE))
    expected = predict_faces(predictor, [PICTURE])
    assert whole == {name: float(array[0]) for name, array in expected.items()}


def prepared(picture: NDArray[np.uint8], kernel: int) -> NDArray[Any]:
    return np.asarray(cv2.resize(picture, (8, 8), interpolation=kernel), np.float64)


CHIP = PICTURE[5:26, 1:22]  # FACE.crop
SMALL = to_input(CHIP, 8).astype(np.float64)
EXPECTED = {
    "colours swapped": SMALL[..., ::-1],
    "scaled to 0..1": SMALL / 255,
    "scaled to -1..1": SMALL / 127.5 - 1,
    "scale doubled": SMALL * 2,
    "VGG16": np.stack(
        [SMALL[..., 2] - 103.939, SMALL[..., 1] - 116.779, SMALL[..., 0] - 123.68], axis=-1
    ),
    "ImageNet": (SMALL / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "the detector's box": to_input(PICTURE[3:23, 2:22], 8),
    # 0.8 * 21 = 17 px, (21 - 17) // 2 = 2 further in; 0.9 * 21 = 19, 1 further in
    "crop too tight (0.8": to_input(CHIP[2:19, 2:19], 8),
    "crop too tight (0.9": to_input(CHIP[1:20, 1:20], 8),
    # 1.1 * 21 = 23, 1 further out, which is within the picture
    "crop too wide (1.1": to_input(PICTURE[4:27, 0:23], 8),
    "turned a quarter left": to_input(np.ascontiguousarray(np.rot90(CHIP)), 8),
    "turned a quarter right": to_input(np.ascontiguousarray(np.rot90(CHIP, 3)), 8),
    "mirrored": SMALL[:, ::-1],
    "resized by nearest": prepared(CHIP, cv2.INTER_NEAREST),
    "resized linearly": prepared(CHIP, cv2.INTER_LINEAR),
    "resized by cubic": prepared(CHIP, cv2.INTER_CUBIC),
    "wrong side": to_input(to_input(CHIP, 4), 8),
}


@pytest.mark.parametrize("start", EXPECTED)
def test_a_mistake_is_what_its_name_says(start: str, tmp_path: Path) -> None:
    predictor = predictor_of(tmp_path, "float32")
    said = outputs_under(mistake_called(start, predictor), predictor, PICTURE, FACE)
    expected = answer(np.asarray(EXPECTED[start], np.float64))
    assert said == pytest.approx(expected, rel=1e-4)
    assert said != pytest.approx(answer(SMALL), rel=1e-3), "it changes something"


def test_swapped_classes_turn_the_probability_round(tmp_path: Path) -> None:
    predictor = predictor_of(tmp_path, "float32")
    said = outputs_under(mistake_called("classes", predictor), predictor, PICTURE, FACE)
    expected = answer(SMALL)
    assert said == pytest.approx({"age": expected["age"], "gender": 1 - expected["gender"]})


def test_mirroring_is_called_harmless_only_where_training_did_it(tmp_path: Path) -> None:
    mirrored = mistake_called("mirrored", predictor_of(tmp_path, "float32"))
    assert mirrored.name == "mirrored", "recipes with flip = false do not mirror"
    assert "if training mirrored its pictures too (train.augment.flip in its" in mirrored.advice
    assert Recipe().train.augment.flip, "the name that the advice gives is that of the setting"


def test_mistakes_of_quantization_are_tried_on_int8_only(tmp_path: Path) -> None:
    names = {}
    for dtype in ("float32", "int8", "uint8"):
        contract = predictor_of(tmp_path, dtype).contract
        names[dtype] = {each.name for each in mistakes_for(contract, detected=True)}
    assert names["float32"] == names["uint8"]
    assert names["int8"] - names["float32"] == {
        "int8 input filled with the bytes of uint8",
        "0..1 cast to int8",
    }


def test_bytes_taken_for_int8_move_the_upper_half_below_the_lower(tmp_path: Path) -> None:
    """The input's q = pixel - 128: byte 200 is q = -56, so the model sees 72; 100 becomes 228."""
    predictor = predictor_of(tmp_path, "int8")
    pixels = np.array([[0, 100], [127, 200]], np.uint8)
    values = mistake_called("int8 input", predictor).values(pixels, predictor.model.input)
    np.testing.assert_array_equal(values, [[128, 228], [255, 72]])
    cast = mistake_called("0..1 cast", predictor)
    values = cast.values(np.array([0, 254, 255], np.uint8), predictor.model.input)
    np.testing.assert_array_equal(values, [128, 128, 129])


def test_what_cannot_be_is_not_tried(tmp_path: Path) -> None:
    contract = predictor_of(tmp_path, "float32").contract
    names = [each.name for each in mistakes_for(contract, detected=False)]
    assert len(set(names)) == len(names)
    assert not any("detector" in name for name in names), "there is no box"
    ages = replace(contract, heads=contract.heads[:1])
    assert not any(each.swaps_classes for each in mistakes_for(ages, detected=False))
