"""Quality is what the `.tflite` itself says about held-out faces, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.bench.quality import CHUNK_IMAGES, measure_quality, predict_in_chunks
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError
from edgeface.runtime.artifact import Artifact
from edgeface.types import Quality, Reporter, SilentReporter
from support.bars import Bars

MakeArtifact = Callable[..., Artifact]


def plain_faces(red: list[int], green: list[int], side_px: int = 32) -> Faces:
    """Faces of one colour; the tiny model says female from red 100, age green / 2 + 1 years.

    All are 20 years old; two are male and two female.
    """
    images = np.zeros((len(red), side_px, side_px, 3), np.uint8)
    images[..., 0] = np.reshape(red, (-1, 1, 1))
    images[..., 1] = np.reshape(green, (-1, 1, 1))
    return Faces(
        ids=tuple(map(str, range(len(red)))),
        images=images,
        age_low_years=np.full(len(red), 20),
        age_high_years=np.full(len(red), 20),
        classes={"gender": np.array([0, 0, 1, 1])},
    )


FACES = plain_faces(red=[90, 110, 100, 120], green=[40, 38, 30, 38])  # says 21, 20, 16, 20 years


def measure(
    artifact: Artifact,
    faces: Faces = FACES,
    split: str = "test",
    reporter: Reporter | None = None,
) -> Quality:
    return measure_quality(
        artifact,
        faces,
        data="drawn faces",
        split=split,
        manifest_sha256="ab",
        reporter=reporter or SilentReporter(),
    )


def test_figures_are_those_of_the_file(make_artifact: MakeArtifact) -> None:
    quality = measure(make_artifact("tiny"))
    values = {metric.name: metric.value for metric in quality.metrics}
    assert values["accuracy"] == 3 / 4  # the second is male and red above 100
    assert values["precision_female"] == 2 / 3
    assert values["mae"] == pytest.approx((1 + 0 + 4 + 0) / 4, rel=1e-6)  # float32 model
    assert values["rmse"] == pytest.approx(((1 + 16) / 4) ** 0.5, rel=1e-6)
    assert (quality.data, quality.split, quality.manifest_sha256) == ("drawn faces", "test", "ab")
    assert quality.n == 4


def test_each_figure_comes_from_the_faces_that_have_its_label(make_artifact: MakeArtifact) -> None:
    faces = replace(
        FACES,
        age_low_years=np.array([20, UNKNOWN, 20, 20]),
        age_high_years=np.array([20, UNKNOWN, 20, 29]),  # the last is an interval
        classes={"gender": np.array([UNKNOWN, 0, 1, UNKNOWN])},
    )
    quality = measure(make_artifact("tiny"), faces)
    found = {metric.name: metric for metric in quality.metrics}
    assert found["accuracy"].value == 1 / 2
    assert found["mae"].value == pytest.approx((1 + 4) / 2, rel=1e-6)
    assert (found["accuracy"].n, found["mae"].n, quality.n) == (2, 2, 4)


NOTHING: dict[str, Any] = {
    "classes": {},
    "age_high_years": np.full(4, 29),
}  # an interval is no exact age


@pytest.mark.parametrize(
    ("label", "left"), [("classes", {"age": "mae"}), ("age_high_years", {"gender": "accuracy"})]
)
def test_a_head_without_labels_is_not_measured_and_that_is_said(
    make_artifact: MakeArtifact, label: str, left: dict[str, str]
) -> None:
    bars = Bars()
    faces = replace(FACES, **{label: NOTHING[label]})
    quality = measure(make_artifact("tiny"), faces, reporter=bars)
    assert {each.task for each in quality.metrics} == set(left)
    assert set(left.items()) <= {(each.task, each.name) for each in quality.metrics}
    (missing,) = {"gender", "age"} - set(left)
    assert bars.said == [
        f"quality of tiny: {missing} not measured, none of 4 faces has such a label"
    ]


def test_faces_without_any_label_give_no_figure(make_artifact: MakeArtifact) -> None:
    text = "quality of tiny: none of 4 test faces of drawn faces has a label of gender, age"
    with pytest.raises(BenchmarkError, match=text) as caught:
        measure(make_artifact("tiny"), replace(FACES, **NOTHING))
    assert "\n" not in str(caught.value)


def test_three_classes_are_read_from_the_file(make_artifact: MakeArtifact) -> None:
    """Its three outputs are the mean red, green and blue: the brightest colour is named."""
    artifact = make_artifact("tiny", heads=("tint",))
    faces = replace(FACES, classes={"tint": np.array([0, 0, 1, UNKNOWN])})
    faces.images[:, :, :, 2] = np.reshape([0, 200, 0, 0], (-1, 1, 1))  # the second is blue
    quality = measure(artifact, faces)
    found = {each.name: each for each in quality.metrics}
    # named are red, blue, red: 1 of 3; recall 1/2 of red and 0 of green, no face is blue
    assert {each.task for each in quality.metrics} == {"tint"}
    assert (found["accuracy"].value, found["accuracy"].n, quality.n) == (1 / 3, 3, 4)
    assert found["balanced_accuracy"].value == 1 / 4
    assert found["true_red_said_blue"].value == 1
    assert found["true_green_said_red"].value == 1
    assert "roc_auc" not in found


@pytest.mark.parametrize("count", [1, CHUNK_IMAGES, 2 * CHUNK_IMAGES + 1])
def test_chunks_cover_every_image_once_and_in_order(count: int) -> None:
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    sizes = []

    def predict(chunk: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        sizes.append(len(chunk))
        values = chunk[:, 0, 0, 0].astype(np.float64)
        return {"gender": values, "age": values + 1, "smile": np.stack([values, values], axis=1)}

    bars = Bars()
    found = predict_in_chunks(predict, images, label="quality", reporter=bars)
    np.testing.assert_array_equal(found["gender"], np.arange(count))
    np.testing.assert_array_equal(found["age"], np.arange(count) + 1)
    np.testing.assert_array_equal(found["smile"], np.tile(np.arange(count), (2, 1)).T)
    assert max(sizes) <= CHUNK_IMAGES
    assert bars.totals == [("quality", count)]
    assert sum(bars.steps) == count


def test_random_weights_get_no_quality(make_artifact: MakeArtifact) -> None:
    with pytest.raises(BenchmarkError, match="quality of tiny: its weights are random"):
        measure(make_artifact("tiny", trained=False))


def test_training_images_give_no_quality(make_artifact: MakeArtifact) -> None:
    with pytest.raises(BenchmarkError, match="split is 'train', expected one of validation, test"):
        measure(make_artifact("tiny"), split="train")


def test_faces_of_another_side_are_refused(make_artifact: MakeArtifact) -> None:
    faces = plain_faces(red=[1] * 4, green=[1] * 4, side_px=64)
    with pytest.raises(BenchmarkError, match=r"shape \(64, 64, 3\), expected \(32, 32, 3\)"):
        measure(make_artifact("tiny"), faces)


def test_a_model_without_age_is_measured_by_the_heads_it_has(make_artifact: MakeArtifact) -> None:
    whole = {(each.task, each.name): each for each in measure(make_artifact("tiny")).metrics}
    alone = measure(make_artifact("alone", heads=("gender",)))
    assert {each.task for each in alone.metrics} == {"gender"}
    for each in alone.metrics:
        assert each == whole[each.task, each.name]
