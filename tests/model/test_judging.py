"""What an epoch is judged by: figures and losses of plain faces, against Keras's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.config import ModelSpec, TrainSpec
from edgeface.data.faces import Faces
from edgeface.errors import ArtifactError, ModelError
from edgeface.model import judging
from edgeface.model.epochs import TrainingTask
from edgeface.model.heads import head_specs, labelled_rows, losses, training_targets
from edgeface.model.judging import figures, judge_of, loss_weights, score_of

MakeModel = Callable[..., Any]
MakeFaces = Callable[..., Faces]
MakeTask = Callable[[Path], TrainingTask]

MOODS: dict[str, tuple[str, ...]] = {"mood": ("happy", "sad", "angry")}
HEADS = head_specs(ModelSpec(heads=("gender", "mood", "age"), classes=MOODS))
SPEC = TrainSpec(head_weights={"mood": 2.0}, age_weight=0.25)


@pytest.fixture
def noise(make_faces: MakeFaces) -> Faces:
    """40 faces with 0 to 3 labels each: every third a gender, every fourth a mood, half an age."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    tens = list(enumerate(rng.integers(0, 6, 40).tolist()))
    return make_faces(
        [None if i % 2 else (10 * n, 10 * n + 9) if i % 5 == 0 else 9 * n for i, n in tens],
        [n % 2 if i % 3 == 0 else None for i, n in tens],
        images,
        mood=[n % 3 if i % 4 == 1 else None for i, n in tens],
    )


@pytest.mark.parametrize("age_head", ["median", "expectation", "regression", "decades"])
def test_the_validation_loss_is_what_keras_evaluates(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    noise: Faces,
    age_head: Literal["median", "expectation", "regression", "decades"],
) -> None:
    model_spec = ModelSpec(heads=("gender", "mood", "age"), classes=MOODS, age_head=age_head)
    heads = head_specs(model_spec)
    task = replace(make_task(tmp_path), heads=heads, train=noise, validation=noise)
    model = make_tiny_model(heads)
    record = judge_of(task, SPEC)(model, 3, 0.75)
    assert (record.epoch, record.train_loss) == (3, 0.75)
    rows = labelled_rows(noise, heads)
    assert len(rows) < 40, "some faces have no label"
    targets = training_targets(noise, heads, SPEC)
    model.compile(loss=losses(heads), loss_weights={"gender": 1.0, "mood": 2.0, "age": 0.25})
    expected = model.evaluate(
        noise.images[rows].astype(np.float32),
        {name: values[rows] for name, values in targets.values.items()},
        sample_weight={name: weights[rows] for name, weights in targets.weights.items()},
        batch_size=16,
        verbose=0,
        return_dict=True,
    )
    assert record.validation_loss == pytest.approx(expected["loss"], rel=1e-5)
    # the losses of the heads differ, so that weights that were swapped would be seen
    parts = [expected[f"{head.name}_loss"] for head in heads]
    assert np.ptp(parts) > 0.1


def test_a_heads_weight_is_its_share_of_the_loss(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, noise: Faces
) -> None:
    task = replace(make_task(tmp_path), heads=HEADS, train=noise, validation=noise)
    model = make_tiny_model(HEADS)
    found = []
    for weight in (1.0, 2.0, 4.0):
        spec = TrainSpec(head_weights={"mood": weight})
        loss = judge_of(task, spec)(model, 1, 0.0).validation_loss
        assert loss is not None
        found.append(loss)
    assert found[1] - found[0] > 0.1
    assert found[2] - found[1] == pytest.approx(2 * (found[1] - found[0]), rel=1e-4)


def test_weights_of_the_losses() -> None:
    assert loss_weights(HEADS, TrainSpec()) == {"gender": 1.0, "mood": 1.0, "age": 0.5}
    assert loss_weights(HEADS, SPEC) == {"gender": 1.0, "mood": 2.0, "age": 0.25}
    assert loss_weights(HEADS[:1], SPEC) == {"gender": 1.0}


def test_a_score_is_the_sum_of_what_is_wrong_in_years() -> None:
    found = {"gender": 0.9, "mood": 0.6, "age": 6.5}
    # a point of accuracy weighs as much as 0.2 years
    assert score_of(found, HEADS) == pytest.approx(10 * 0.2 + 40 * 0.2 + 6.5)
    assert score_of(found, HEADS[:1]) == pytest.approx(10 * 0.2)
    assert score_of({"gender": 1.0, "mood": 1.0, "age": 0.0}, HEADS) == 0
    better = {"gender": 0.95, "mood": 0.6, "age": 6.5}
    assert score_of(better, HEADS) < score_of(found, HEADS)


def raw_answers() -> dict[str, NDArray[np.float32]]:
    """Says female, male, female, female; angry, happy, happy, sad; 20, 30, 40, 50 years."""
    ages = np.full((4, 101), -50, np.float32)
    ages[range(4), [20, 30, 40, 50]] = 50
    return {
        "gender": np.array([[2.0], [-1.0], [0.0], [3.0]], np.float32),
        "mood": np.array([[0, 1, 2], [3, 1, 2], [1, 1, 0], [-1, 0, -2]], np.float32),
        "age": ages,
    }


def test_figures_are_the_accuracy_and_the_mean_error_of_what_is_known(
    make_faces: MakeFaces,
) -> None:
    faces = make_faces([23, None, (40, 49), 49], [1, 1, None, 1], mood=[2, 1, 0, None])
    found = figures(raw_answers(), faces, HEADS)
    assert found["gender"] == 2 / 3
    assert found["mood"] == 2 / 3  # a tie is the first class
    assert found["age"] == pytest.approx((3 + 1) / 2)  # not that of the interval


def test_a_head_without_any_label_has_no_figure(make_faces: MakeFaces) -> None:
    faces = make_faces([(20, 29), None, None, None], [1, 1, 0, 1])
    assert figures(raw_answers(), faces, HEADS) == {"gender": 2 / 4}


def test_train_figures_are_of_the_same_labelled_faces_each_epoch(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    noise: Faces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "TRAIN_FACES", 25)
    seen: list[Faces] = []

    def recorded(raw: Any, faces: Faces, heads: Any) -> dict[str, float]:
        seen.append(faces)
        return figures(raw, faces, heads)

    monkeypatch.setattr(judging, "figures", recorded)
    validation = noise.take(range(5, 40))
    task = replace(make_task(tmp_path), heads=HEADS, train=noise, validation=validation)
    model = make_tiny_model(HEADS)
    judge = judge_of(task, SPEC)
    first, second = judge(model, 1, 0.0), judge(model, 2, 0.0)
    judge_of(task, SPEC)(model, 3, 0.0)  # as a resumed training does
    assert [faces.ids for faces in seen[::2]] == [validation.ids] * 3
    sample, again, resumed = seen[1::2]
    assert sample.ids == again.ids == resumed.ids
    assert len(set(sample.ids)) == 25
    labelled = {noise.ids[row] for row in labelled_rows(noise, HEADS)}
    assert set(sample.ids) < labelled
    assert first.train == second.train
    # they are those of the sample's own pictures and labels
    raw = model.predict(sample.images.astype(np.float32), verbose=0)
    assert first.train == pytest.approx(figures(raw, sample, HEADS), rel=1e-5)
    at = [noise.ids.index(name) for name in sample.ids]
    np.testing.assert_array_equal(sample.images, noise.images[at])
    np.testing.assert_array_equal(sample.class_of("mood"), noise.class_of("mood")[at])


def test_few_training_faces_are_all_judged(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, noise: Faces
) -> None:
    task = replace(make_task(tmp_path), heads=HEADS, train=noise, validation=noise)
    record = judge_of(task, SPEC)(make_tiny_model(HEADS), 1, 0.0)
    assert record.train == pytest.approx(record.validation)


def test_a_loss_that_float32_cannot_hold_is_an_error(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    task, model = make_task(tmp_path), make_tiny_model()
    bias = np.where(np.arange(101) % 2, 3e38, -3e38)  # their difference is beyond float32
    model.get_layer("age").bias.assign(bias.astype(np.float32))
    with pytest.raises(ArtifactError, match=r"the validation loss is (nan|inf)"):
        judge_of(task, TrainSpec())(model, 1, 0.0)


def test_a_validation_label_beyond_the_classes_is_one_line(
    tmp_path: Path, make_task: MakeTask, make_faces: MakeFaces
) -> None:
    faces = make_faces([30, 40], [0, 2])
    with pytest.raises(ModelError) as caught:
        judge_of(replace(make_task(tmp_path), validation=faces), TrainSpec())
    assert str(caught.value) == (
        "tiny: validation faces: head gender: found class 2, expected 0 to 1 (male, female); name "
        "all classes of the data in the recipe"
    )
