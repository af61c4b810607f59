"""Training: its history, and that a killed run ends as one that was never killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from edgeface.config import AugmentSpec, TrainSpec
from edgeface.data.batches import training_batches
from edgeface.errors import ModelError
from edgeface.model import epochs, training
from edgeface.model.optimizer import make_optimizer
from edgeface.model.training import (
    TrainingTask,
    fine_tune,
    predict_faces,
    recalibrate_batch_norm,
)
from edgeface.types import Advance, EpochRecord, SilentReporter

MakeModel = Callable[[], Any]
MakeTask = Callable[[Path], TrainingTask]

SPEC = TrainSpec(epochs=4, batch_size=16, learning_rate=0.01)
STEPS = 96 // 16
STILL = AugmentSpec(flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0)
HALF_WRITTEN = "part-00000-of-00001.data-00000-of-00001.tempstate4711"  # as TensorFlow names it

CHILD = """
import contextlib, json, pathlib, runpy, sys, time
from edgeface.config import TrainSpec
from edgeface.model.training import fine_tune
from edgeface.types import SilentReporter

room, folder, steps = runpy.run_path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
spec = TrainSpec(epochs=4, batch_size=16, learning_rate=0.01, **json.loads(sys.argv[4]))

class Pauses(SilentReporter):
    @contextlib.contextmanager
    def track(self, label, total):
        done = 0
        def advance(count, note=""):
            nonlocal done
            done += count
            if done == steps:
                (folder.parent / "paused").touch()
                time.sleep(600)
        yield advance

fine_tune(room["tiny_model"](), room["tiny_task"](folder), spec, Pauses())
"""


class Interrupts(SilentReporter):
    """Presses Ctrl-C after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextlib.contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:
        def advance(steps: int, note: str = "") -> None:
            self.left -= steps
            if self.left == 0:
                raise KeyboardInterrupt

        yield advance


class Notes(SilentReporter):
    """Calls `at_note` with each epoch's note."""

    def __init__(self, at_note: Callable[[str], None]) -> None:
        self.at_note = at_note
        self.steps = 0
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextlib.contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:
        def advance(steps: int, note: str = "") -> None:
            self.steps += steps
            if note:
                self.at_note(note)

        yield advance


def saved_history(folder: Path) -> list[Any]:
    return list(json.loads((folder / "state.json").read_text())["history"])


def assert_same_course(found: tuple[EpochRecord, ...], expected: tuple[EpochRecord, ...]) -> None:
    """Float32 sums may run in another order with other threads; here both are equal to the bit."""
    assert [record.epoch for record in found] == [record.epoch for record in expected]
    for name in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(
            [getattr(record, name) for record in found],
            [getattr(record, name) for record in expected],
            rtol=1e-3,
        )
    for name in ("train", "validation"):
        np.testing.assert_allclose(
            [getattr(record, name)["age"] for record in found],
            [getattr(record, name)["age"] for record in expected],
            rtol=1e-3,
        )


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, make_tiny_model: MakeModel, make_task: MakeTask
) -> tuple[EpochRecord, ...]:
    """The course of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "train"
    return fine_tune(make_tiny_model(), make_task(folder), SPEC, SilentReporter())


def test_history_has_one_record_an_epoch(uninterrupted: tuple[EpochRecord, ...]) -> None:
    assert [record.epoch for record in uninterrupted] == [1, 2, 3, 4]
    for record in uninterrupted:
        error = 1 - record.validation["gender"]
        assert record.score == pytest.approx(record.validation["age"] + 0.2 * 100 * error)
        for found in (record.train, record.validation):
            assert list(found) == ["gender", "age"]
            assert 0 <= found["gender"] <= 1
            assert 0 <= found["age"] <= 100
    first, last = uninterrupted[0], uninterrupted[-1]
    assert last.train_loss < first.train_loss, "it learns nothing"
    assert last.validation_loss is not None
    assert first.validation_loss is not None
    assert last.validation_loss < first.validation_loss
    assert last.train["age"] < first.train["age"]


def test_the_best_epochs_weights_are_restored(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, model = make_task(tmp_path / "train"), make_tiny_model()
    weights_after: list[list[Any]] = []
    validate = training._validate

    def second_is_best(*arguments: Any) -> EpochRecord:
        weights_after.append(model.get_weights())
        record = validate(*arguments)
        return replace(record, score=abs(record.epoch - 2.0))

    monkeypatch.setattr(training, "_validate", second_is_best)
    history = fine_tune(model, task, SPEC, SilentReporter())
    assert [record.score for record in history] == [1, 0, 1, 2]
    for found, second, last in zip(
        model.get_weights(), weights_after[1], weights_after[3], strict=True
    ):
        np.testing.assert_array_equal(found, second)
        assert np.any(second != last)
    # and what the model now says is what the history holds for that epoch
    predicted = predict_faces(model, task.validation.images, task.heads)
    mae = np.abs(predicted["age"] - task.validation.exact_age_years).mean()
    assert mae == pytest.approx(history[1].validation["age"], rel=1e-5)


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: tuple[EpochRecord, ...],
) -> None:
    task = make_task(tmp_path / "train")
    seen: list[tuple[int, str]] = []

    def recorded(*arguments: Any, **options: Any) -> Any:
        batches = training_batches(*arguments, **options)
        pixels = b"".join(images.tobytes() for images, *_ in batches.as_numpy_iterator())
        seen.append((options["epoch"], hashlib.sha256(pixels).hexdigest()))
        return batches

    monkeypatch.setattr(epochs, "training_batches", recorded)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(make_tiny_model(), task, SPEC, Interrupts(2 * STEPS + 3))
    before = saved_history(task.folder)
    assert [record["epoch"] for record in before] == [1, 2]
    reporter = Notes(lambda note: None)
    resumed = fine_tune(make_tiny_model(), task, SPEC, reporter)
    assert reporter.lines == ["tiny: goes on after epoch 2 of 4"]
    assert reporter.steps == SPEC.epochs * STEPS, "the bar does not end at its end"
    assert [vars(record) for record in resumed[:2]] == before
    # the third epoch was begun twice, with the same pixels in the same order; no two are alike
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 2, 3]
    assert seen[2] == seen[3]
    assert len({digest for _, digest in seen}) == 4
    assert_same_course(resumed, uninterrupted)


def test_a_finished_run_is_not_trained_again(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    task, spec = make_task(tmp_path / "train"), replace(SPEC, epochs=2)
    model = make_tiny_model()
    history = fine_tune(model, task, spec, SilentReporter())
    again = make_tiny_model()
    assert fine_tune(again, task, spec, Interrupts(2 * STEPS + 1)) == history
    for weight, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("levers", [{}, {"average_decay": 0.9, "mixup_alpha": 0.3}])
def test_a_killed_process_loses_only_the_epoch_it_was_in(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, levers: dict[str, Any]
) -> None:
    folder, spec = tmp_path / "train", replace(SPEC, **levers)
    room = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", CHILD, str(room), str(folder), str(2 * STEPS + 3)]
    command.append(json.dumps(levers))
    with (tmp_path / "stderr").open("wb") as stderr:
        child = subprocess.Popen(command, stderr=stderr, stdout=stderr)
        try:
            for _ in range(3000):  # 150 s, which only a child that hangs needs
                if (tmp_path / "paused").exists():
                    break
                assert child.poll() is None, (tmp_path / "stderr").read_text()
                time.sleep(0.05)
            child.send_signal(signal.SIGKILL)
        finally:
            child.kill()
            child.wait(60)
    assert child.returncode == -signal.SIGKILL
    before = saved_history(folder)
    assert [record["epoch"] for record in before] == [1, 2]
    # killed while it wrote the third epoch, it would also have left this
    (folder / "epoch-0003_temp").mkdir()
    (folder / "epoch-0003_temp" / HALF_WRITTEN).write_bytes(b"half")
    model, whole = make_tiny_model(), make_tiny_model()
    resumed = fine_tune(model, make_task(folder), spec, SilentReporter())
    assert [vars(record) for record in resumed[:2]] == before
    assert len(resumed) == SPEC.epochs
    unkilled = fine_tune(whole, make_task(tmp_path / "unkilled"), spec, SilentReporter())
    assert_same_course(resumed, unkilled)
    for weight, expected in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)
    assert not (folder / "epoch-0003_temp").exists()


# the loss of the first batch is still finite; with one batch an epoch, only the outputs after it
# show that the weights are gone
@pytest.mark.parametrize("batch_size", [16, 96])
def test_a_learning_rate_that_blows_up_is_an_error(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask, batch_size: int
) -> None:
    spec = replace(SPEC, learning_rate=1e30, schedule="constant", batch_size=batch_size)
    with pytest.raises(ModelError, match=r"tiny.*epoch 1.*no epoch was.*lower learn") as caught:
        fine_tune(make_tiny_model(), make_task(tmp_path / "train"), spec, SilentReporter())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "train" / "state.json").exists()


def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    uninterrupted: tuple[EpochRecord, ...],
) -> None:
    task, model = make_task(tmp_path / "train"), make_tiny_model()

    def spoil(note: str) -> None:
        if note.startswith("epoch 2"):
            model.get_layer("age").bias.assign(np.full(101, np.nan, np.float32))

    with pytest.raises(ModelError, match=r"loss is nan in epoch 3, batch 1; the checkpoint of epo"):
        fine_tune(model, task, SPEC, Notes(spoil))
    assert [record["epoch"] for record in saved_history(task.folder)] == [1, 2]
    resumed = fine_tune(make_tiny_model(), task, SPEC, SilentReporter())
    assert_same_course(resumed, uninterrupted)


def test_the_checkpoints_of_another_run_are_refused(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    task, spec = make_task(tmp_path / "train"), replace(SPEC, epochs=1)
    history = fine_tune(make_tiny_model(), task, spec, SilentReporter())
    other = replace(task, run_id="b" * 64)
    with pytest.raises(ModelError, match=r"checkpoints of another run \(a{12}, expected b{12}\)"):
        fine_tune(make_tiny_model(), other, spec, SilentReporter())
    assert fine_tune(make_tiny_model(), task, spec, SilentReporter()) == history


def test_too_few_images_for_a_batch_is_an_error(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    spec = replace(SPEC, batch_size=97)
    with pytest.raises(ModelError, match="96 labelled training images do not fill a batch of 97"):
        fine_tune(make_tiny_model(), make_task(tmp_path / "train"), spec, SilentReporter())


def test_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    spec = TrainSpec(epochs=4, learning_rate=0.2, warmup_ratio=0.1)
    rate = make_optimizer(spec, steps=25)._learning_rate  # 100 steps, 10 of them warm up
    found = [float(rate(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(found, [0, 0.1, 0.2, 0.1, 0], atol=1e-7)
    middle = float(rate(40))
    assert middle == pytest.approx(0.2 * (1 + math.cos(math.pi * 30 / 90)) / 2, rel=1e-5)


def test_weight_decay_leaves_normalisation_and_biases_alone(make_tiny_model: MakeModel) -> None:
    model = make_tiny_model()
    spec = TrainSpec(schedule="constant", learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(spec, steps=1)
    optimizer.build(model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    zeros = [tf.zeros_like(variable) for variable in model.trainable_variables]
    optimizer.apply_gradients(zip(zeros, model.trainable_variables, strict=True))
    kernels = 0
    for variable, was in zip(model.trainable_variables, before, strict=True):
        decays = "kernel" in variable.name
        kernels += decays
        shrink = 1 - 0.1 * 0.5 if decays else 1
        np.testing.assert_allclose(variable.numpy(), was * shrink, rtol=1e-5, atol=1e-7)
    assert kernels == 3


def test_recalibration_averages_the_statistics_of_training_batches(
    make_tiny_model: MakeModel, make_task: MakeTask, tmp_path: Path
) -> None:
    model, faces = make_tiny_model(), make_task(tmp_path).train
    spec = TrainSpec(batch_size=32, augment=STILL)
    trainable = [variable.numpy() for variable in model.trainable_variables]
    recalibrate_batch_norm(model, faces, spec, seed=5, images=70)
    for variable, before in zip(model.trainable_variables, trainable, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)

    # 70 images are two whole batches of 32; each moves the averages a tenth of the way
    until_norm = keras.Model(model.input, model.get_layer("conv").output)
    order = np.random.default_rng([5, 0]).permutation(96)
    mean, variance = np.zeros(8), np.ones(8)
    for rows in (order[:32], order[32:64]):
        batch = faces.images[rows].astype(np.float32)
        features = np.asarray(until_norm(batch), np.float64).reshape(-1, 8)
        mean = 0.9 * mean + 0.1 * features.mean(axis=0)
        variance = 0.9 * variance + 0.1 * features.var(axis=0, ddof=1)
    norm = model.get_layer("norm")
    # float32 sums of 2,048 values
    np.testing.assert_allclose(norm.moving_mean.numpy(), mean, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-3)
