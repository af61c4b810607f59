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
from typing import Any, Literal

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import AugmentSpec, ModelSpec, TrainSpec
from edgeface.data.age_targets import interval_bins
from edgeface.data.batches import training_batches
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import ModelError
from edgeface.model import training
from edgeface.model.checkpoint import EpochRecord
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
from edgeface.types import Advance, SilentReporter

MakeModel = Callable[[], Any]
MakeTask = Callable[[Path], TrainingTask]

SPEC = TrainSpec(epochs=4, batch_size=16, learning_rate=0.01)
STEPS = 96 // 16
STILL = AugmentSpec(flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0)
HALF_WRITTEN = "part-00000-of-00001.data-00000-of-00001.tempstate4711"  # as TensorFlow names it

CHILD = """
import contextlib, pathlib, runpy, sys, time
from edgeface.config import TrainSpec
from edgeface.model.training import fine_tune
from edgeface.types import SilentReporter

room, folder, steps = runpy.run_path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
spec = TrainSpec(epochs=4, batch_size=16, learning_rate=0.01)

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
    for name in ("train_loss", "validation_age_mae_years"):
        np.testing.assert_allclose(
            [getattr(record, name) for record in found],
            [getattr(record, name) for record in expected],
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
        error = 1 - record.validation_gender_accuracy_ratio
        expected = record.validation_age_mae_years + 0.2 * 100 * error
        assert record.score == pytest.approx(expected)
        assert 0 <= record.validation_gender_accuracy_ratio <= 1
    assert uninterrupted[-1].train_loss < uninterrupted[0].train_loss, "it learns nothing"


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
    assert mae == pytest.approx(history[1].validation_age_mae_years, rel=1e-5)


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

    monkeypatch.setattr(training, "training_batches", recorded)
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


def test_a_killed_process_loses_only_the_epoch_it_was_in(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    uninterrupted: tuple[EpochRecord, ...],
) -> None:
    folder = tmp_path / "train"
    room = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", CHILD, str(room), str(folder), str(2 * STEPS + 3)]
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
    resumed = fine_tune(make_tiny_model(), make_task(folder), SPEC, SilentReporter())
    assert [vars(record) for record in resumed[:2]] == before
    assert len(resumed) == SPEC.epochs
    assert_same_course(resumed, uninterrupted)
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


@pytest.mark.parametrize("age_head", ["expectation", "regression"])
def test_one_model_learns_from_a_set_without_ages_and_one_without_genders(
    tmp_path: Path, make_task: MakeTask, age_head: Literal["expectation", "regression"]
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
        epochs=1, batch_size=16, learning_rate=1e-4, optimizer="adam", schedule="constant"
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
    expected = gender_loss + spec.age_weight * age_loss
    assert record.train_loss == pytest.approx(expected, rel=2e-3)
    for weight, was in zip(model.get_weights(), before, strict=True):
        assert np.all(weight != was)


def test_what_stands_in_for_a_missing_label_changes_no_weight(
    tmp_path: Path,
    make_tiny_model: MakeModel,
    make_task: MakeTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, spec = make_task(tmp_path / "train"), replace(SPEC, epochs=1)
    rng = np.random.default_rng(4)
    has_age, has_gender = rng.random(96) < 0.4, rng.random(96) < 0.6
    task = replace(task, train=with_labels(task.train, has_age, has_gender))
    model, other, taught = make_tiny_model(), make_tiny_model(), make_tiny_model()
    (record,) = fine_tune(model, task, spec, SilentReporter())

    def spoiled(without: dict[str, NDArray[np.bool_]]) -> Callable[..., Targets]:
        def make(*arguments: Any, **options: Any) -> Targets:
            targets = training_targets(*arguments, **options)
            for name, at in without.items():
                noise = rng.random(targets.values[name].shape).astype(np.float32)
                targets.values[name][at] = noise[at]
            return targets

        return make

    missing = {"age": ~has_age, "gender": ~has_gender}
    monkeypatch.setattr(training, "training_targets", spoiled(missing))
    again = replace(task, folder=tmp_path / "again")
    assert fine_tune(other, again, spec, SilentReporter()) == (record,)
    for weight, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    # and the test can fail: a label that is there does change them
    monkeypatch.setattr(training, "training_targets", spoiled({"age": has_age}))
    fine_tune(taught, replace(task, folder=tmp_path / "taught"), spec, SilentReporter())
    kernel, expected = (m.get_layer("age").get_weights()[0] for m in (taught, model))
    assert np.any(kernel != expected)


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

    monkeypatch.setattr(training, "training_batches", recorded)
    reporter = Notes(lambda note: None)
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
    orders: list[NDArray[np.int64]] = []

    def recorded(*arguments: Any, order: Any, **options: Any) -> Any:
        orders.append(order)
        return training_batches(*arguments, order=order, **options)

    monkeypatch.setattr(training, "training_batches", recorded)
    spec = replace(SPEC, epochs=1, balance=("gender",), balance_power=1.0)
    fine_tune(make_tiny_model(), replace(task, train=faces), spec, SilentReporter())
    recalibrate_batch_norm(make_tiny_model(), faces, spec, seed=5)
    for order in orders:
        assert rare[order].sum() == 48  # half of the draws for an eighth of the faces
    assert len(orders) == 2


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
    (record,) = fine_tune(model, task, replace(SPEC, epochs=1), SilentReporter())
    predicted = predict_faces(model, faces.images, task.heads)
    mae = np.abs(predicted["age"] - age)[exact].mean()
    assert record.validation_age_mae_years == pytest.approx(mae, rel=1e-5)
    accuracy = ((predicted["gender"] >= 0.5) == gender)[has_gender].mean()
    assert record.validation_gender_accuracy_ratio == pytest.approx(accuracy)


NONE = np.zeros(96, bool)
ALL = ~NONE


@pytest.mark.parametrize(
    ("split", "has_age", "has_gender", "years", "text"),
    [
        ("train", NONE, ALL, 1, "tiny: head age: found no age among the labels of 96 training fa"),
        ("train", ALL, NONE, 1, "tiny: head gender: found no gender"),
        ("train", NONE, NONE, 1, "tiny: 0 labelled training images do not fill a batch of 16"),
        ("validation", ALL, ALL, 2, "tiny: none of 32 validation faces has an exact age, expected"),
        ("validation", ALL, NONE, 1, "tiny: none of 32 validation faces has a gender, expected"),
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


def test_too_few_images_for_a_batch_is_an_error(
    tmp_path: Path, make_tiny_model: MakeModel, make_task: MakeTask
) -> None:
    spec = replace(SPEC, batch_size=97)
    with pytest.raises(ModelError, match="96 labelled training images do not fill a batch of 97"):
        fine_tune(make_tiny_model(), make_task(tmp_path / "train"), spec, SilentReporter())


def test_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    spec = TrainSpec(epochs=4, learning_rate=0.2, warmup_ratio=0.1)
    rate = training._optimizer(spec, steps=25)._learning_rate  # 100 steps, 10 of them warm up
    found = [float(rate(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(found, [0, 0.1, 0.2, 0.1, 0], atol=1e-7)
    middle = float(rate(40))
    assert middle == pytest.approx(0.2 * (1 + math.cos(math.pi * 30 / 90)) / 2, rel=1e-5)


def test_weight_decay_leaves_normalisation_and_biases_alone(make_tiny_model: MakeModel) -> None:
    model = make_tiny_model()
    spec = TrainSpec(schedule="constant", learning_rate=0.1, weight_decay=0.5)
    optimizer = training._optimizer(spec, steps=1)
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
