"""The levers of training: patience, averaged weights, mixup; resumed as if never interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.config import AugmentSpec, ModelSpec, TrainSpec
from edgeface.errors import ModelError
from edgeface.model import training
from edgeface.model.averaging import decay_at
from edgeface.model.epochs import TrainingTask, epoch_batches, plan_epochs
from edgeface.model.heads import AGE_BINS_YEARS, head_specs
from edgeface.model.training import fine_tune, predict_faces
from edgeface.types import EpochRecord, SilentReporter

MakeModel = Callable[[], Any]
MakeTask = Callable[[Path], TrainingTask]

SPEC = TrainSpec(epochs=6, batch_size=16, learning_rate=0.01)
STEPS = 96 // 16
STILL = AugmentSpec(flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0)


class Lines(SilentReporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class Steps(keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
    """Counts the steps, keeps the weights after each; acts before a step of a given number."""

    def __init__(self, at: int = -1, act: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self.weights: list[list[Any]] = []
        self.at, self.act = at, act

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.act and len(self.weights) == self.at:
            self.act(self.model)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.weights.append(self.model.get_weights())


def interrupt(_: Any) -> None:
    raise KeyboardInterrupt


def spoil(model: Any) -> None:
    model.get_layer("age").bias.assign(np.full(101, np.nan, np.float32))


def epochs_in(folder: Path) -> list[int]:
    state = json.loads((folder / "state.json").read_text())
    return [record["epoch"] for record in state["history"]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs score 5, 3, 4, 3, 2, 1: with a patience of 2, the fifth and sixth are never seen."""
    validate = training._validate

    def score(*arguments: Any) -> EpochRecord:
        record: EpochRecord = validate(*arguments)
        return replace(record, score=[5.0, 3.0, 4.0, 3.0, 2.0, 1.0][record.epoch - 1])

    monkeypatch.setattr(training, "_validate", score)


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 3), (2, 4), (3, 6)])
def test_training_stops_when_the_score_has_not_fallen_for_so_many_epochs(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, patience: int, epochs: int
) -> None:
    spec, reporter = replace(SPEC, patience=patience), Lines()
    history = fine_tune(make_tiny_model(), make_task(tmp_path / "train"), spec, reporter)
    assert [record.epoch for record in history] == list(range(1, epochs + 1))
    said = f"tiny: stops after epoch {epochs} of 6: none was better on validation than epoch 2"
    assert reporter.lines == ([said] if epochs < 6 else [])


@pytest.mark.usefixtures("scripted")
def test_a_resumed_run_stops_at_the_same_epoch_and_then_trains_no_more(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    spec, task, model = replace(SPEC, patience=2), make_task(tmp_path / "train"), make_tiny_model()
    stop = Steps(3 * STEPS + 2, interrupt)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(make_tiny_model(), task, spec, SilentReporter(), callbacks=[stop])
    assert epochs_in(task.folder) == [1, 2, 3]
    resumed = fine_tune(model, task, spec, SilentReporter())
    assert len(resumed) == 4
    steps, again = Steps(), make_tiny_model()
    assert fine_tune(again, task, spec, SilentReporter(), callbacks=[steps]) == resumed
    assert not steps.weights
    for weight, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_the_model_is_the_average_of_the_weights_of_all_steps(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    """Oracle: the recurrence in float64 over the weights that each step left, statistics too."""
    task, model, steps = make_task(tmp_path / "train"), make_tiny_model(), Steps()
    average = [weight.astype(np.float64) for weight in model.get_weights()]
    spec = replace(SPEC, epochs=1, average_decay=0.6)  # 6 steps: reached at (1 + 5) / (10 + 5)
    (record,) = fine_tune(model, task, spec, SilentReporter(), callbacks=[steps])
    for step, weights in enumerate(steps.weights, start=1):
        decay = min(0.6, (1 + step) / (10 + step))
        average = [
            decay * mean + (1 - decay) * weight
            for mean, weight in zip(average, weights, strict=True)
        ]
    assert len(steps.weights) == STEPS
    names = [weight.name for weight in model.weights]
    assert any("moving_variance" in name for name in names)
    for name, found, expected, last in zip(
        names, model.get_weights(), average, steps.weights[-1], strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=name)
        assert np.any(found != last), name
    # and it is what was validated
    predicted = predict_faces(model, task.validation.images, task.heads)
    mae = np.abs(predicted["age"] - task.validation.exact_age_years).mean()
    assert record.validation["age"] == pytest.approx(mae, rel=1e-5)


def test_an_average_keeps_little_of_itself_at_first() -> None:
    assert decay_at(0.999, 1) == pytest.approx(2 / 11)
    assert decay_at(0.999, 90) == pytest.approx(0.91)
    assert decay_at(0.999, 100_000) == 0.999
    assert decay_at(0.1, 1) == 0.1


def test_the_training_itself_is_not_changed_by_averaging(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    plain, averaged = Steps(), Steps()
    for name, steps, decay in (("plain", plain, 0.0), ("averaged", averaged, 0.9)):
        spec = replace(SPEC, epochs=2, average_decay=decay)
        task = make_task(tmp_path / name)
        fine_tune(make_tiny_model(), task, spec, SilentReporter(), callbacks=[steps])
    for found, expected in zip(averaged.weights[-1], plain.weights[-1], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_the_best_epochs_average_is_restored(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validated: list[list[Any]] = []
    validate = training._validate

    def second_is_best(model: Any, *arguments: Any) -> EpochRecord:
        validated.append(model.get_weights())
        record: EpochRecord = validate(model, *arguments)
        return replace(record, score=abs(record.epoch - 2.0))

    monkeypatch.setattr(training, "_validate", second_is_best)
    spec, model = replace(SPEC, epochs=3, average_decay=0.9), make_tiny_model()
    fine_tune(model, make_task(tmp_path / "train"), spec, SilentReporter())
    for found, second, last in zip(model.get_weights(), validated[1], validated[2], strict=True):
        np.testing.assert_array_equal(found, second)
        assert np.any(second != last)


def test_weights_that_are_gone_leave_the_last_good_average(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    task, spec = make_task(tmp_path / "train"), replace(SPEC, epochs=3, average_decay=0.9)
    steps, model, whole = Steps(2 * STEPS, spoil), make_tiny_model(), make_tiny_model()
    with pytest.raises(ModelError, match=r"loss is nan in epoch 3, batch 1; the checkpoint of epo"):
        fine_tune(make_tiny_model(), task, spec, SilentReporter(), callbacks=[steps])
    assert epochs_in(task.folder) == [1, 2]
    fine_tune(model, task, spec, SilentReporter())
    fine_tune(whole, replace(task, folder=tmp_path / "whole"), spec, SilentReporter())
    for weight, expected in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-5)


def test_a_mixed_picture_is_trained_towards_the_same_mix_of_its_ages(
    tmp_path: Path, make_task: MakeTask, make_faces: Callable[..., Any]
) -> None:
    """A face of age a has the colour 2·a, so colours tell what the mean of the bins must be."""
    ages = np.arange(20, 68)
    images = np.repeat((2 * ages).astype(np.uint8), 32 * 32 * 3).reshape(-1, 32, 32, 3)
    faces = make_faces(list(map(int, ages)), list(map(int, ages % 2)), images)
    task = replace(make_task(tmp_path), train=faces)
    spec = replace(SPEC, mixup_alpha=1.0, augment=STILL, label_smoothing_ratio=0.0)
    batches = list(epoch_batches(task, plan_epochs(task, spec), spec, 0).as_numpy_iterator())
    assert len(batches) == 3
    between = 0
    for mixed, targets, weights in batches:
        years = targets["age"] @ np.array(AGE_BINS_YEARS, np.float32)
        np.testing.assert_allclose(mixed[:, 5, 7, 1], 2 * years, rtol=1e-4)
        np.testing.assert_allclose(weights["age"], 1, rtol=1e-6)
        gender = targets["gender"][:, 0]
        between += int(((gender > 0.01) & (gender < 0.99)).sum())
    assert between > 8, "women are mixed with men"


def test_mixup_of_a_regression_is_refused_before_anything_is_done(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    heads = head_specs(ModelSpec(age_head="regression"))
    task, spec = replace(make_task(tmp_path / "train"), heads=heads), replace(SPEC, mixup_alpha=0.2)
    with pytest.raises(ModelError, match=r"tiny: mixup_alpha is 0\.2, and head age is a regr"):
        fine_tune(make_tiny_model(), task, spec, SilentReporter())
    assert not task.folder.exists()


@pytest.mark.parametrize(
    "lever", [{"patience": 2}, {"average_decay": 0.9}, {"precision": "bfloat16"}]
)
def test_what_would_undo_a_methods_own_course_is_refused(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, lever: dict[str, Any]
) -> None:
    task, spec = make_task(tmp_path / "train"), replace(SPEC, **lever)
    with pytest.raises(ModelError, match=f"tiny: found {next(iter(lever))} in its recipe"):
        fine_tune(make_tiny_model(), task, spec, SilentReporter(), keep="last")
    assert not task.folder.exists()
