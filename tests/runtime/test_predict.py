"""`predict`: from pictures to what is printed, against the known weights of the tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import ArtifactError, DataError
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.predict import (
    Predictor,
    describe_face,
    open_predictor,
    predict_faces,
    predict_raw,
)
from edgeface.runtime.preprocess import to_input
from edgeface.runtime.selftest import self_test
from edgeface.types import Contract, HeadSpec
from runtime.conftest import DECADES, EXPRESSIONS, build_tiny_model

Pictures = List[NDArray[np.uint8]]
Write = Callable[..., Path]


def expected_values(model: Any, image: NDArray[np.uint8]) -> Tuple[float, float]:
    logits = model.real(image, "age")
    weights = np.exp(logits) / np.exp(logits).sum()
    age = float((weights * np.array([0.0, 20.0, 40.0, 60.0, 80.0])).sum())
    return age, float(1 / (1 + np.exp(-model.real(image, "gender")[0])))


def test_float_predictions_follow_from_the_weights(
    write_artifact: Write, float_model: Any, pictures: Pictures
) -> None:
    predictor = open_predictor(load_artifact(write_artifact(float_model)))
    values = predict_faces(predictor, pictures)  # of three sizes
    expected = np.array([expected_values(float_model, to_input(p, 8)) for p in pictures])
    np.testing.assert_allclose(values["age"], expected[:, 0], rtol=1e-4)
    np.testing.assert_allclose(values["gender"], expected[:, 1], rtol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.01  # the pictures differ, so an index slip shows


def test_int8_predictions_are_within_a_step_of_the_logits(
    write_artifact: Write, int8_model: Any, pictures: Pictures
) -> None:
    predictor = open_predictor(load_artifact(write_artifact(int8_model)), threads=2)
    p_female = predict_faces(predictor, pictures)["gender"]
    exact = np.array([int8_model.real(to_input(p, 8), "gender")[0] for p in pictures])
    # 0.04 a step: half of it is rounding; the sigmoid was taken, so go back to logits
    np.testing.assert_allclose(np.log(p_female / (1 - p_female)), exact, atol=0.0201)


def test_an_array_of_images_and_a_list_are_the_same(write_artifact: Write, any_model: Any) -> None:
    images = np.random.default_rng(8).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    predictor = open_predictor(load_artifact(write_artifact(any_model)))
    raw = predict_raw(predictor, images)
    assert [array.shape for array in raw] == [(4, 5), (4, 1)]
    assert all(array.dtype == spec.dtype for array, spec in zip(raw, predictor.contract.outputs))  # noqa: B905
    for array, again in zip(raw, predict_raw(predictor, list(images))):  # noqa: B905
        np.testing.assert_array_equal(array, again)


def test_raw_outputs_follow_the_contracts_order(
    write_artifact: Write, int8_model: Any, pictures: Pictures
) -> None:
    predictor = open_predictor(load_artifact(write_artifact(int8_model)))
    outputs = predictor.contract.outputs[::-1]
    swapped = Predictor(predictor.model, replace(predictor.contract, outputs=outputs))
    assert [array.shape for array in predict_raw(swapped, pictures)] == [(3, 1), (3, 5)]
    np.testing.assert_array_equal(
        predict_faces(swapped, pictures)["age"], predict_faces(predictor, pictures)["age"]
    )


def test_no_images_give_no_values(write_artifact: Write, any_model: Any) -> None:
    predictor = open_predictor(load_artifact(write_artifact(any_model)))
    values = predict_faces(predictor, [])
    assert {name: array.shape for name, array in values.items()} == {"age": (0,), "gender": (0,)}


def test_one_image_without_its_batch_is_refused(write_artifact: Write, int8_model: Any) -> None:
    predictor = open_predictor(load_artifact(write_artifact(int8_model)))
    with pytest.raises(DataError, match=r"found uint8 \[8, 3\]"):
        predict_raw(predictor, np.zeros((8, 8, 3), np.uint8))


def test_a_predictor_is_held_to_its_contract(write_artifact: Write, int8_model: Any) -> None:
    artifact = load_artifact(write_artifact(int8_model))
    contract = artifact.sidecar.contract
    wrong = replace(contract, input=replace(contract.input, zero_point=0))
    with pytest.raises(ArtifactError, match="the file and its sidecar differ"):
        open_predictor(replace(artifact, sidecar=replace(artifact.sidecar, contract=wrong)))


HEADS = (
    HeadSpec(name="age", kind="expectation", tensor="a", bins=(0.0, 1.0), unit="years"),
    HeadSpec(name="gender", kind="binary", tensor="g", classes=("male", "female")),
    HeadSpec(name="glasses", kind="binary", tensor="e", classes=("none", "worn")),
    HeadSpec(name="yaw", kind="regression", tensor="y", unit="degrees"),
)
VALUES = {
    "age": np.array([31.4159, 7.96]),
    "gender": np.array([0.97314159, 0.49999]),
    "glasses": np.array([0.5, 0.00001]),
    "yaw": np.array([-12.345678, 3.0]),
}


@pytest.mark.parametrize(
    ("i", "box", "expected"),
    [
        (
            0,
            (np.int64(3), 4, 50, 60),
            {
                "box": [3, 4, 50, 60],
                "age": 31.4,
                "gender": "female",
                "p_female": 0.9731,
                "glasses": "worn",  # 0.5 is class 1
                "p_worn": 0.5,
                "yaw": -12.3457,
            },
        ),
        (
            1,
            None,
            {
                "box": None,
                "age": 8.0,
                "gender": "male",
                "p_female": 0.5,  # rounded for print; the class is taken before
                "glasses": "none",
                "p_worn": 0.0,
                "yaw": 3.0,
            },
        ),
    ],
)
def test_a_face_in_words(
    i: int, box: Any, expected: Dict[str, Any], tiny_contract: Any, int8_model: Any
) -> None:
    contract: Contract = replace(tiny_contract(int8_model), heads=HEADS)
    face = describe_face(VALUES, contract, i, box)
    assert face == expected
    assert list(face) == list(expected)
    assert json.loads(json.dumps(face)) == expected


@pytest.mark.parametrize(
    ("i", "expected"),
    [
        (
            0,
            {
                "box": None,
                "age": 35.0,
                "expression": "happy",
                "p_expression": {"sad": 0.1, "happy": 0.83, "angry": 0.07},
            },
        ),
        # two of the same probability: the first; each is rounded for itself
        (
            1,
            {
                "box": None,
                "age": 105.0,
                "expression": "sad",
                "p_expression": {"sad": 0.4321, "happy": 0.4321, "angry": 0.1358},
            },
        ),
    ],
)
def test_a_face_of_classes_and_decades_in_words(
    i: int, expected: Dict[str, Any], tiny_contract: Any, int8_model: Any
) -> None:
    moods = ("sad", "happy", "angry")
    heads = (
        HeadSpec(name="age", kind="decades", tensor="a", bins=(35.0, 105.0), unit="years"),
        HeadSpec(name="expression", kind="classes", tensor="e", classes=moods),
    )
    values = {
        "age": np.array([35.0, 105.0]),
        "expression": np.array([[0.1, 0.83, 0.07], [0.43211, 0.43211, 0.13578]]),
    }
    face = describe_face(values, replace(tiny_contract(int8_model), heads=heads), i, None)
    assert face == expected
    assert list(face) == list(expected)
    assert list(face["p_expression"]) == list(moods)
    assert json.loads(json.dumps(face)) == expected


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_model_without_gender_or_age(
    dtype: str, write_artifact: Write, pictures: Pictures
) -> None:
    """The whole way, from the file on; the oracle is softmax and argmax of the known weights."""
    model = build_tiny_model(dtype, 3, ("expression", "decade"))
    artifact = load_artifact(write_artifact(model))
    assert self_test(artifact) == ()
    predictor = open_predictor(artifact)
    values = predict_faces(predictor, pictures)
    assert {name: array.shape for name, array in values.items()} == {
        "expression": (3, 7),
        "decade": (3,),
    }
    scale, zero_point = model.scales.get("expression", (0.0, 0))
    for i, picture in enumerate(pictures):
        image = to_input(picture, 8)
        logits = {name: model.real(image, name) for name in model.kernels}
        if dtype == "int8":  # what an output of 8 bits can say of them
            for name, real in logits.items():
                steps = np.clip(np.round(real / scale) + zero_point, -128, 127)
                logits[name] = (steps - zero_point) * scale
        weights = np.exp(logits["expression"])
        # int8 kernels may round a step away from numpy: exp(0.04) is 4 %
        np.testing.assert_allclose(
            values["expression"][i], weights / weights.sum(), rtol=0.09 if scale else 1e-4
        )
        face = describe_face(values, predictor.contract, i, None)
        assert list(face) == ["box", "expression", "p_expression", "decade"]
        assert face["expression"] == EXPRESSIONS[int(logits["expression"].argmax())]
        assert face["decade"] == DECADES[int(logits["decade"].argmax())]
    empty = predict_faces(predictor, [])
    assert empty["expression"].shape == (0, 7)
