"""bfloat16: the training computes in it, and nothing of it is left when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from edgeface.config import ModelSpec, TrainSpec
from edgeface.errors import ModelError
from edgeface.export.convert import to_float_tflite
from edgeface.model import training
from edgeface.model.networks import build_model
from edgeface.model.precision import copy_of
from edgeface.model.training import TrainingTask, fine_tune, predict_faces
from edgeface.types import SilentReporter

MakeModel = Callable[[], Any]
MakeTask = Callable[[Path], TrainingTask]

SPEC = TrainSpec(epochs=2, batch_size=16, learning_rate=0.01, precision="bfloat16")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
EIGHT_BITS = 2**-8  # half a step of a value with 8 significant bits, relative


def assert_plain_float32(model: Any) -> None:
    assert keras.mixed_precision.global_policy().name == "float32"
    assert keras.layers.Dense(1).compute_dtype == "float32"
    for layer in model.layers:
        assert layer.dtype_policy.name == "float32", layer.name
    assert {variable.dtype for variable in model.variables} == {tf.float32}


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenetv2"])
def test_a_copy_computes_in_bfloat16_but_for_its_ends(
    backbone: Literal["vgg16", "mobilenetv2"],
) -> None:
    width_ratio = 1.0 if backbone == "vgg16" else 0.35
    spec = ModelSpec(backbone=backbone, width_ratio=width_ratio, side_px=32, weights="none")
    model = build_model(spec, seed=1, reporter=SilentReporter())
    copy = copy_of(model, "bfloat16")
    assert_plain_float32(model)
    ends = {"image", "rescale", "gender", "age"}
    for layer in copy.layers:
        expected = "float32" if layer.name in ends else "bfloat16"
        assert layer.compute_dtype == expected, layer.name
    assert {variable.dtype for variable in copy.variables} == {tf.float32}
    for weight, expected in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    first = next(layer.name for layer in copy.layers if isinstance(layer, keras.layers.Conv2D))
    assert keras.Model(copy.input, copy.get_layer(first).output)(IMAGES).dtype == tf.bfloat16
    found, exact = copy(IMAGES), model(IMAGES)
    for name in ("gender", "age"):
        assert found[name].dtype == tf.float32
        # each of a score of layers rounds by up to 2**-8, in either direction
        scale = np.abs(exact[name]).max()
        difference = np.abs(found[name] - exact[name]).max()
        assert 0 < difference < 20 * EIGHT_BITS * scale


def test_a_float32_copy_is_the_same_with_variables_of_its_own(make_tiny_model: MakeModel) -> None:
    model = make_tiny_model()
    copy = copy_of(model, "float32")
    assert_plain_float32(copy)
    np.testing.assert_array_equal(copy(IMAGES)["age"], model(IMAGES)["age"])
    copy.get_layer("age").bias.assign(np.ones(101, np.float32))
    assert not model.get_layer("age").bias.numpy().any()


@pytest.mark.parametrize("average_decay", [0.0, 0.5])
def test_a_model_trained_in_bfloat16_is_a_plain_float32_model(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, average_decay: float
) -> None:
    task, model, exact = make_task(tmp_path / "train"), make_tiny_model(), make_tiny_model()
    before = model.get_weights()
    spec = replace(SPEC, average_decay=average_decay)
    history = fine_tune(model, task, spec, SilentReporter())
    assert_plain_float32(model)
    for weight, was in zip(model.get_weights(), before, strict=True):
        assert np.any(weight != was), "not trained"
    # more bits than bfloat16 has: the updates were not rounded to it
    kernel = model.get_layer("age").get_weights()[0]
    rounded = tf.cast(tf.cast(kernel, tf.bfloat16), tf.float32).numpy()
    assert np.mean(kernel != rounded) > 0.9
    # what was validated is, but for rounding, what the float32 model says
    best = min(history, key=lambda record: record.score)
    predicted = predict_faces(model, task.validation.images, task.heads)
    mae = np.abs(predicted["age"] - task.validation.exact_age_years).mean()
    assert best.validation["age"] == pytest.approx(mae, rel=0.02)
    # and the course is, but for rounding, that of float32
    plain = replace(spec, precision="float32")
    course = fine_tune(exact, replace(task, folder=tmp_path / "plain"), plain, SilentReporter())
    losses, expected = ([record.train_loss for record in each] for each in (history, course))
    np.testing.assert_allclose(losses, expected, rtol=0.02)
    assert losses != expected


def test_a_model_trained_in_bfloat16_is_exported_as_it_is(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    task, model = make_task(tmp_path / "train"), make_tiny_model()
    fine_tune(model, task, replace(SPEC, epochs=1), SilentReporter())
    model.save(tmp_path / "model.keras", save_format="keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert_plain_float32(again)
    raw = model.predict(IMAGES[:1], verbose=0)
    np.testing.assert_array_equal(again.predict(IMAGES[:1], verbose=0)["age"], raw["age"])
    interpreter = Interpreter(model_content=to_float_tflite(model))
    interpreter.allocate_tensors()
    types = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert types <= {np.float32, np.int32}
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], IMAGES[:1])
    interpreter.invoke()
    exported = [interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details()]
    # float32 sums in another order; bfloat16 would be off by 4e-3
    for found in exported:
        expected = raw["gender" if found.shape[1] == 1 else "age"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_an_interrupted_run_in_bfloat16_goes_on_where_it_was(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    whole, resumed = make_tiny_model(), make_tiny_model()
    fine_tune(whole, make_task(tmp_path / "whole"), SPEC, SilentReporter())
    task = make_task(tmp_path / "train")

    def after_the_first(record: Any) -> bool:
        return False

    fine_tune(make_tiny_model(), task, SPEC, SilentReporter(), after_epoch=after_the_first)
    assert len(fine_tune(resumed, task, SPEC, SilentReporter())) == 2
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0.02, atol=0.01)


def test_a_training_that_fails_leaves_float32_too(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[Any] = []

    def copied(*arguments: Any) -> Any:
        trained.append(copy_of(*arguments))
        return trained[-1]

    monkeypatch.setattr(training, "copy_of", copied)
    model, spec = make_tiny_model(), replace(SPEC, learning_rate=1e30, schedule="constant")
    with pytest.raises(ModelError, match="no epoch was finished"):
        fine_tune(model, make_task(tmp_path / "train"), spec, SilentReporter())
    assert len(trained) == 1
    assert trained[0].get_layer("conv").compute_dtype == "bfloat16"
    assert_plain_float32(model)
