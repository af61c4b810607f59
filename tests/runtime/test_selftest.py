"""`selftest`: a good artifact passes, and every fault that golden vectors are for is caught."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, List

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import ArtifactError, DataError
from edgeface.runtime import selftest
from edgeface.runtime.affine import quantize
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.interpreter import open_model
from edgeface.runtime.preprocess import decode_image
from edgeface.runtime.selftest import golden_problems, make_golden, self_test

Pictures = List[NDArray[np.uint8]]
Write = Callable[..., Path]


@pytest.fixture
def artifact(write_artifact: Write, any_model: Any) -> Artifact:
    return load_artifact(write_artifact(any_model))


def test_a_good_artifact_passes(artifact: Artifact) -> None:
    assert len(artifact.sidecar.golden) == 3
    assert self_test(artifact) == ()
    assert self_test(artifact, threads=2) == ()


def test_golden_outputs_are_the_models(float_model: Any, tiny_contract: Any) -> None:
    image = np.random.default_rng(9).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    model = open_model(float_model.content, where="m")
    (vector,) = make_golden(model, [image], tiny_contract(float_model), tolerance=0.5)
    np.testing.assert_allclose(vector.outputs[0], float_model.real(image, "age"), rtol=1e-4)
    np.testing.assert_allclose(vector.outputs[1], float_model.real(image, "gender"), rtol=1e-4)
    assert vector.tolerance == 0.5


def test_golden_pictures_keep_size_and_colours(
    int8_model: Any, tiny_contract: Any, pictures: Pictures
) -> None:
    model = open_model(int8_model.content, where="m")
    vectors = make_golden(model, pictures, tiny_contract(int8_model), tolerance=1)
    assert len(vectors) == len(pictures)
    for vector, rgb in zip(vectors, pictures):  # noqa: B905
        np.testing.assert_array_equal(decode_image(base64.b64decode(vector.png_base64), "x"), rgb)


def test_swapped_colours_are_caught(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "decode_image", lambda *a: decode_image(*a)[..., ::-1])
    assert_every_vector_fails(self_test(artifact))


def test_another_resize_is_caught(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    def nearest(rgb: NDArray[np.uint8], side_px: int) -> NDArray[Any]:
        return np.asarray(cv2.resize(rgb, (side_px, side_px), interpolation=cv2.INTER_NEAREST))

    monkeypatch.setattr(selftest, "to_input", nearest)
    assert_every_vector_fails(self_test(artifact))


def test_another_value_range_is_caught(artifact: Artifact) -> None:
    contract = artifact.sidecar.contract
    model = open_model(artifact.content, where="m")
    doubled = np.arange(256, dtype=np.float32) * 2
    table = doubled if contract.input.dtype == "float32" else quantize(doubled, contract.input)
    wrong = replace(model, pixel_table=table)
    assert golden_problems(model, contract, artifact.sidecar.golden) == ()
    assert_every_vector_fails(golden_problems(wrong, contract, artifact.sidecar.golden))


def test_another_model_is_caught(artifact: Artifact, tiny_model: Callable[..., Any]) -> None:
    contract = artifact.sidecar.contract
    other = open_model(tiny_model(contract.input.dtype, seed=4).content, where="m")
    assert_every_vector_fails(golden_problems(other, contract, artifact.sidecar.golden))


def assert_every_vector_fails(problems: Any) -> None:
    for number in (1, 2, 3):
        found = [text for text in problems if text.startswith(f"golden vector {number}: tensor ")]
        assert found, problems
        assert all("differs by up to" in text and "\n" not in text for text in found)


def test_the_largest_difference_is_named_and_the_tolerance_holds(
    int8_model: Any, tiny_contract: Any, pictures: Pictures
) -> None:
    contract = tiny_contract(int8_model)
    model = open_model(int8_model.content, where="m")
    (vector,) = make_golden(model, pictures[:1], contract, tolerance=2.0)
    age, gender = vector.outputs

    def with_offset(offset: float) -> Any:
        return replace(vector, outputs=((age[0] + 1, age[1] - offset, *age[2:]), gender))

    assert golden_problems(model, contract, [with_offset(2)]) == ()
    assert golden_problems(model, contract, [with_offset(3)]) == (
        "golden vector 1: tensor age differs by up to 3, allowed 2",
    )
    assert golden_problems(model, contract, [with_offset(float("nan"))]) != ()


def test_unusable_vectors_are_problems(artifact: Artifact) -> None:
    contract = artifact.sidecar.contract
    model = open_model(artifact.content, where="m")
    good = artifact.sidecar.golden[0]
    for bad, text in [
        (replace(good, png_base64="no base64!"), "golden vector 2: its picture is not base64"),
        (replace(good, png_base64="é"), "golden vector 2: its picture is not base64"),
        (replace(good, png_base64="bm90IGFuIGltYWdl"), "golden vector 2: not an image"),
        (replace(good, png_base64=""), "golden vector 2: the file is empty"),
        (replace(good, png_base64=good.png_base64[:200]), "golden vector 2: the PNG is truncated"),
        (replace(good, outputs=good.outputs[:1]), "golden vector 2: holds 1 outputs, expected 2"),
        (
            replace(good, outputs=(good.outputs[0][:4], good.outputs[1])),
            "golden vector 2: tensor age has 5 values, the vector 4",
        ),
    ]:
        problems = golden_problems(model, contract, [good, bad])
        assert len(problems) == 1
        assert problems[0].startswith(text)
        assert "\n" not in problems[0]


def test_an_artifact_without_vectors_does_not_pass(artifact: Artifact) -> None:
    bare = replace(artifact, sidecar=replace(artifact.sidecar, golden=()))
    (problem,) = self_test(bare)
    assert problem.startswith("no golden vectors")


def test_a_file_that_is_not_the_contracts_is_not_run(artifact: Artifact) -> None:
    contract = artifact.sidecar.contract
    wrong = replace(contract, outputs=contract.outputs[:1])
    with pytest.raises(ArtifactError, match="the file and its sidecar differ"):
        self_test(replace(artifact, sidecar=replace(artifact.sidecar, contract=wrong)))


def test_only_pictures_become_vectors(int8_model: Any, tiny_contract: Any) -> None:
    model = open_model(int8_model.content, where="m")
    with pytest.raises(DataError, match="expected uint8"):
        make_golden(model, [np.zeros((8, 8, 3))], tiny_contract(int8_model), 1.0)  # type: ignore[list-item]  # the mistake shown
