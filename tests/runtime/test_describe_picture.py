"""`describe_picture`: what is said of a found face is what is said of its crop."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.crop import crop
from edgeface.runtime.detect import Detection
from edgeface.runtime.predict import (
    Predictor,
    describe_face,
    describe_picture,
    open_predictor,
    predict_faces,
)

FOUND = (
    Detection(box=(20, 10, 30, 30), crop=(18, 12, 30, 30)),
    Detection(box=(0, 0, 12, 12), crop=(-4, -2, 14, 14)),
)


class FakeDetector:
    def __init__(self, *found: Detection) -> None:
        self.found = found

    def find(self, rgb: NDArray[np.uint8]) -> Tuple[Detection, ...]:
        assert rgb.shape == (60, 70, 3)
        return self.found


@pytest.fixture
def predictor(write_artifact: Callable[..., Path], any_model: Any) -> Predictor:
    return open_predictor(load_artifact(write_artifact(any_model)))


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (60, 70, 3), dtype=np.uint8)


def test_each_face_is_its_crop(predictor: Predictor, picture: NDArray[np.uint8]) -> None:
    said = describe_picture(predictor, picture, FakeDetector(*FOUND))
    for each, found in zip(said, FOUND):  # noqa: B905
        values = predict_faces(predictor, [crop(picture, found.crop)])
        assert each == describe_face(values, predictor.contract, 0, found.box)
    assert [each["box"] for each in said] == [[20, 10, 30, 30], [0, 0, 12, 12]]
    assert said[0]["age"] != said[1]["age"]


def test_without_a_detector_the_picture_is_the_face(
    predictor: Predictor, picture: NDArray[np.uint8]
) -> None:
    (said,) = describe_picture(predictor, picture, None)
    assert said == describe_face(predict_faces(predictor, [picture]), predictor.contract, 0, None)
    assert said["box"] is None


def test_no_face_gives_an_empty_list(predictor: Predictor, picture: NDArray[np.uint8]) -> None:
    assert describe_picture(predictor, picture, FakeDetector()) == []
