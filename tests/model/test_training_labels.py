"""Training on faces that lack labels: masks, not drops, from the labels to the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import AugmentSpec, ModelSpec, TrainSpec
from edgeface.data.age_targets import interval_bins
from edgeface.data.batches import training_batches
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import ModelError
from edgeface.model import epochs, training
from edgeface.model.heads import (
    AGE_BINS_YEARS,
    Targets,
    head_specs,
    head_width,
    training_targets,
)
from edgeface.model.training import (
    TrainingTask,
    fine_tune,
    predict_faces,
    recalibrate_batch_norm,
)
from edgeface.types import SilentReporter

MakeModel = Callable[[], Any]
MakeTask = Callable[[Path], TrainingTask]

SPEC = TrainSpec(epochs=1, batch_size=16, learning_rate=0.01)
STILL = AugmentSpec(flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0)


class Lines(SilentReporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def with_labels(
    faces: Faces, has_age: NDArray[np.bool_], has_gender: NDArray[np.bool_], years: int = 1
) -> Faces:
    """Only these labels; ages as intervals of so many years from the true one."""
    return replace(
        faces,
        age_low_years=np.where(has_age, faces.age_low_years, UNKNOWN),
        age_high_years=np.where(has_age, faces.age_low_years + years - 1, UNKNOWN),
        classes={"gender": np.where(has_gender, faces.classes["gender"], UNKNOWN)},
    )


@pytest.mark.parametrize(
    ("age_head", "head_weights"),
    [("expectation", {}), ("regression", {}), ("expectation", {"gender": 2.5})],
)
def test_one_model_learns_from_a_set_without_ages_and_one_without_genders(
    tmp_path: Path,
    make_task: MakeTask,
    age_head: Literal["expectation", "regression"],
    head_weights: dict[str, float],
) -> None:
    """The loss is that of the labelled faces, and both heads are moved by it."""
    task = make_task(tmp_path / "train")
    heads = head_specs(ModelSpec(age_head=age_head))
    aged = np.arange(96) < 16
    task = replace(task, heads=heads, train=with_labels(task.train, aged, ~aged, years=5))
    image = keras.Input((32, 32, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(image / 255)
    layers = [keras.layers.Dense(head_width(head), name=head.name) for head in heads]
    model = keras.Model(image, {layer.name: layer(pooled) for layer in layers})
    before = model.get_weights()
    outputs = model.predict(task.train.images.astype(np.float32), verbose=0)
    # Adam moves every weight that has a gradient by the learning rate, too little to be seen in the
    # loss; weight decay would move the others too
    spec = TrainSpec(
        epochs=1,
        batch_size=16,
        learning_rate=1e-4,
        optimizer="adam",
        schedule="constant",
        head_weights=head_weights,
    )
    (record,) = fine_tune(model, task, replace(spec, augment=STILL), SilentReporter())

    p_female = 1 / (1 + np.exp(-outputs["gender"][~aged, 0].astype(np.float64)))
    smooth = spec.label_smoothing_ratio
    truth = task.train.classes["gender"][~aged] * (1 - smooth) + smooth / 2
    gender_loss = -(truth * np.log(p_female) + (1 - truth) * np.log(1 - p_female)).mean()
    logits = outputs["age"][aged].astype(np.float64)
    low = task.train.age_low_years[aged]
    if age_head == "regression":
        age_loss = np.maximum(low - logits[:, 0], 0).mean()  # it starts at about 0 years
    else:
        target = interval_bins(low, low + 4, AGE_BINS_YEARS, spec.age_sigma_years)
        log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        age_loss = -(target * log_softmax).sum(axis=1).mean()
    expected = head_weights.get("gender", 1.0) * gender_loss + spec.age_weight * age_loss
    assert record.train_loss == pytest.approx(expected, rel=2e-3)
    for weight, was in zip(model.get_weights(), before, strict=True):
        assert np.all(weight != was)


def test_what_stands_in_for_a_missing_label_changes_no_weight(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make_task(tmp_path / "train")
    rng = np.random.default_rng(4)
    has_age, has_gender = rng.random(96) < 0.4, rng.random(96) < 0.6
    task = replace(task, train=with_labels(task.train, has_age, has_gender))
    model, other, taught = make_tiny_model(), make_tiny_model(), make_tiny_model()
    (record,) = fine_tune(model, task, SPEC, SilentReporter())

    def spoiled(without: dict[str, NDArray[np.bool_]]) -> Callable[..., Targets]:
        def make(*arguments: Any, **options: Any) -> Targets:
            targets = training_targets(*arguments, **options)
            for name, at in without.items():
                noise = rng.random(targets.values[name].shape).astype(np.float32)
                targets.values[name][at] = noise[at]
            return targets

        return make

    missing = {"age": ~has_age, "gender": ~has_gender}
    monkeypatch.setattr(epochs, "training_targets", spoiled(missing))
    again = replace(task, folder=tmp_path / "again")
    (same,) = fine_tune(other, again, SPEC, SilentReporter())
    assert same.train_loss == pytest.approx(record.train_loss, rel=1e-5)
    # equal to the bit here; with other threads float32 sums may run in another order
    for weight, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5)
    # and the test can fail: a label that is there does change them
    monkeypatch.setattr(epochs, "training_targets", spoiled({"age": has_age}))
    fine_tune(taught, replace(task, folder=tmp_path / "taught"), SPEC, SilentReporter())
    kernel, expected = (m.get_layer("age").get_weights()[0] for m in (taught, model))
    assert np.any(np.abs(kernel - expected) > 1e-3)


def test_faces_without_any_label_are_not_shown_and_no_image_is_copied(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make_task(tmp_path / "train")
    np.save(tmp_path / "images.npy", task.train.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    row = np.arange(96)
    # 24 of 96 have neither; of the others 48 have a gender and 48 an age
    faces = with_labels(replace(task.train, images=mapped), row % 4 >= 2, row % 4 % 2 == 1)
    task = replace(task, train=faces)
    shown: list[NDArray[np.int64]] = []

    def recorded(images: Any, *arguments: Any, order: Any, **options: Any) -> Any:
        assert images is mapped
        shown.append(order)
        return training_batches(images, *arguments, order=order, **options)

    monkeypatch.setattr(epochs, "training_batches", recorded)
    reporter = Lines()
    fine_tune(make_tiny_model(), task, replace(SPEC, epochs=2, batch_size=12), reporter)
    for order in shown:
        np.testing.assert_array_equal(np.sort(order.ravel()), row[row % 4 > 0])
    assert np.any(shown[0] != shown[1])
    assert reporter.lines == [
        "tiny: of 96 training faces it learns gender from 48, age from 48; 24 have no label and "
        "are not shown"
    ]


def test_balanced_training_draws_rare_faces_more_often(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make_task(tmp_path / "train")
    rare = np.arange(96) < 12
    faces = replace(task.train, classes={"gender": rare.astype(np.int64)})
    faces = with_labels(faces, has_age=rare, has_gender=~np.zeros(96, bool))
    orders: list[NDArray[np.int64]] = []
    weights: list[dict[str, NDArray[np.float32]]] = []

    def recorded(images: Any, targets: Any, weighed: Any, *more: Any, **options: Any) -> Any:
        orders.append(options["order"])
        weights.append(weighed)
        return training_batches(images, targets, weighed, *more, **options)

    for module in (epochs, training):
        monkeypatch.setattr(module, "training_batches", recorded)
    spec = replace(SPEC, balance=("gender",), balance_power=1.0)
    fine_tune(make_tiny_model(), replace(task, train=faces), spec, SilentReporter())
    recalibrate_batch_norm(make_tiny_model(), faces, spec, seed=5)
    for order in orders:
        assert rare[order].sum() == 48  # half of the draws for an eighth of the faces
    assert len(orders) == 2
    # so an age, which only they have, counts two and not eight
    np.testing.assert_allclose(weights[0]["age"], np.where(rare, 2, 0), rtol=1e-6)


def test_the_best_epoch_is_picked_by_labelled_faces(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    task, model = make_task(tmp_path / "train"), make_tiny_model()
    row = np.arange(32)
    age, gender = task.validation.age_low_years, task.validation.classes["gender"]
    has_age, has_gender, exact = row % 2 == 0, row % 3 == 0, row % 4 == 0
    faces = with_labels(task.validation, has_age, has_gender)
    high = np.where(exact | ~has_age, faces.age_high_years, age + 9)
    task = replace(task, validation=replace(faces, age_high_years=high))
    (record,) = fine_tune(model, task, SPEC, SilentReporter())
    predicted = predict_faces(model, faces.images, task.heads)
    mae = np.abs(predicted["age"] - age)[exact].mean()
    assert record.validation["age"] == pytest.approx(mae, rel=1e-5)
    accuracy = ((predicted["gender"] >= 0.5) == gender)[has_gender].mean()
    assert record.validation["gender"] == pytest.approx(accuracy)


NONE = np.zeros(96, bool)
ALL = ~NONE


@pytest.mark.parametrize(
    ("split", "has_age", "has_gender", "years", "text"),
    [
        ("train", NONE, ALL, 1, "tiny: head age: found no age among the labels of 96 training fa"),
        ("train", ALL, NONE, 1, "tiny: head gender: found no gender"),
        ("train", NONE, NONE, 1, "tiny: 0 labelled training images do not fill a batch of 16"),
        ("validation", ALL, ALL, 2, "none of 32 validation faces has a known exact age, expected"),
        ("validation", ALL, NONE, 1, "tiny: none of 32 validation faces has a known gender, exp"),
    ],
)
def test_labels_that_are_nowhere_are_an_error_before_training(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    split: str,
    has_age: NDArray[np.bool_],
    has_gender: NDArray[np.bool_],
    years: int,
    text: str,
) -> None:
    task = make_task(tmp_path / "train")
    of_split = getattr(task, split)
    n = len(of_split)
    changes: dict[str, Any] = {split: with_labels(of_split, has_age[:n], has_gender[:n], years)}
    with pytest.raises(ModelError, match=text) as caught:
        fine_tune(make_tiny_model(), replace(task, **changes), SPEC, SilentReporter())
    assert "\n" not in str(caught.value)
    assert not task.folder.exists()
