"""Training of any heads: classes with missing labels, a frozen backbone, weights of the heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.config import AugmentSpec, ModelSpec, TrainSpec
from edgeface.data.faces import Faces
from edgeface.errors import ModelError
from edgeface.model.epochs import TrainingTask
from edgeface.model.heads import head_specs
from edgeface.model.training import fine_tune, predict_faces
from edgeface.runtime.decode import class_numbers
from edgeface.types import SilentReporter

MakeModel = Callable[..., Any]
MakeFaces = Callable[..., Faces]
MakeTask = Callable[[Path], TrainingTask]

SHADES: dict[str, tuple[str, ...]] = {"shade": ("dark", "grey", "light")}
HEADS = head_specs(ModelSpec(heads=("shade", "age"), classes=SHADES, age_head="decades"))
STILL = AugmentSpec(flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0)
SPEC = TrainSpec(
    epochs=2, batch_size=16, learning_rate=0.05, batch_norm_momentum=0.6, augment=STILL
)


def shaded(make_faces: MakeFaces, count: int, seed: int) -> Faces:
    """Half of the faces have the shade of their picture as a label, the others an age by it."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 3, count)
    images = rng.normal(50 + 70 * numbers[:, None, None, None], 10, (count, 32, 32, 3))
    has_shade = np.arange(count) % 2 == 0
    return make_faces(
        [None if has else 25 + 10 * int(n) for has, n in zip(has_shade, numbers, strict=True)],
        [None] * count,
        np.clip(images, 0, 255).astype(np.uint8),
        shade=[int(n) if has else None for has, n in zip(has_shade, numbers, strict=True)],
    )


def test_a_head_of_three_classes_learns_from_the_faces_that_have_its_label(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, make_faces: MakeFaces
) -> None:
    faces, unseen = shaded(make_faces, 192, seed=1), shaded(make_faces, 48, seed=2)
    task = replace(make_task(tmp_path / "train"), heads=HEADS, train=faces, validation=unseen)
    model = make_tiny_model(HEADS)
    before = predict_faces(model, unseen.images, HEADS)
    history = fine_tune(model, task, replace(SPEC, epochs=5), SilentReporter())
    after = predict_faces(model, unseen.images, HEADS)
    known = unseen.class_of("shade") >= 0
    truth = unseen.class_of("shade")[known]
    was, now = (
        float((class_numbers(said["shade"], HEADS[0])[known] == truth).mean())
        for said in (before, after)
    )
    assert was < 0.7, "it knew them all along"
    assert now > 0.9
    best = min(history, key=lambda record: record.score)
    assert best.validation["shade"] == pytest.approx(now)
    aged = ~np.isnan(unseen.exact_age_years)
    mae = np.abs(after["age"] - unseen.exact_age_years)[aged].mean()
    assert best.validation["age"] == pytest.approx(mae)
    assert best.score == pytest.approx(20 * (1 - now) + mae)
    assert set(class_numbers(after["shade"], HEADS[0]).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    "levers", [{}, {"average_decay": 0.5, "precision": "bfloat16"}], ids=["plain", "copies"]
)
def test_a_frozen_backbone_keeps_its_weights_and_statistics(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, levers: dict[str, Any]
) -> None:
    task, model = make_task(tmp_path / "frozen"), make_tiny_model()
    before = {weight.name: weight.numpy() for weight in model.weights}
    assert any("moving_mean" in name for name in before)
    spec = replace(SPEC, epochs=2, freeze_backbone=True, **levers)
    first, last = fine_tune(model, task, spec, SilentReporter())
    assert last.train_loss < first.train_loss
    for weight in model.weights:
        is_head = weight.name.startswith(("gender", "age"))
        if is_head:
            assert np.any(weight.numpy() != before[weight.name]), weight.name
        else:
            np.testing.assert_array_equal(weight.numpy(), before[weight.name], weight.name)
    assert all(layer.trainable for layer in model.layers)
    # and it can be trained as a whole afterwards
    thawed = replace(task, folder=tmp_path / "thawed")
    fine_tune(model, thawed, replace(SPEC, epochs=1), SilentReporter())
    for name in ("conv", "norm"):
        for weight in model.get_layer(name).weights:
            assert np.any(weight.numpy() != before[weight.name]), weight.name


def test_a_frozen_training_that_is_interrupted_thaws_and_goes_on_where_it_was(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    class Interrupts(keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 2:
                raise KeyboardInterrupt

    task, spec = make_task(tmp_path / "train"), replace(SPEC, epochs=2, freeze_backbone=True)
    stopped, resumed, whole = make_tiny_model(), make_tiny_model(), make_tiny_model()
    with pytest.raises(KeyboardInterrupt):
        fine_tune(stopped, task, spec, SilentReporter(), callbacks=[Interrupts()])
    assert all(layer.trainable for layer in stopped.layers)
    history = fine_tune(resumed, task, spec, SilentReporter())
    expected = fine_tune(whole, replace(task, folder=tmp_path / "whole"), spec, SilentReporter())
    assert [record.epoch for record in history] == [1, 2]
    assert history[1].train_loss == pytest.approx(expected[1].train_loss, rel=1e-3)
    for weight, wanted in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"hat": 2.0}, "tiny: head_weights has hat, expected of the model's heads gender; the wei"),
        ({"age": 2.0, "gender": 3.0}, "head_weights has age, .* the weight of age is age_weight"),
    ],
)
def test_a_weight_of_no_head_is_refused_before_anything_is_done(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    weights: dict[str, float],
    says: str,
) -> None:
    task, spec = make_task(tmp_path / "train"), replace(SPEC, head_weights=weights)
    with pytest.raises(ModelError, match=says):
        fine_tune(make_tiny_model(), task, spec, SilentReporter())
    assert not task.folder.exists()


def test_one_head_alone_is_a_model_too(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, make_faces: MakeFaces
) -> None:
    heads = HEADS[:1]
    faces = shaded(make_faces, 64, seed=3)
    task = replace(make_task(tmp_path / "train"), heads=heads, train=faces, validation=faces)
    spec = replace(SPEC, epochs=1)
    (record,) = fine_tune(make_tiny_model(heads), task, spec, SilentReporter())
    assert list(record.train) == list(record.validation) == ["shade"]
    assert record.score == pytest.approx(20 * (1 - record.validation["shade"]))
