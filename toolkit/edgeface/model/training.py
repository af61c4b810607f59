"""Training one model: before pruning and after it, a checkpoint each epoch, resumable.

In: a built model, training and validation faces. Out: the same model with the weights of its best
validation epoch, and the history. Nothing is measured on training images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import TrainSpec
from edgeface.data.balance import epoch_order, sampling_weights
from edgeface.data.batches import plain_batches, training_batches
from edgeface.data.faces import Faces
from edgeface.errors import ArtifactError, ModelError
from edgeface.model.checkpoint import Checkpoints, EpochRecord
from edgeface.model.distill import Lesson, Teaching, check_teaching, taught_targets
from edgeface.model.heads import (
    Targets,
    decode_outputs,
    labelled_rows,
    losses,
    training_targets,
)
from edgeface.model.networks import set_batch_norm_momentum
from edgeface.types import Advance, HeadSpec, Reporter

# chosen: a point of gender accuracy weighs as much as 0.2 years of MAE when the best epoch is
# picked, because between epochs the two differ by about these amounts.
YEARS_PER_GENDER_POINT = 0.2


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """What one training works on and where its checkpoints go.

    Attributes:
        label: for the progress bar, e.g. "fine-tune".
        heads: of the model.
        train: faces of the training split; each trains the heads that it has a label of.
        validation: faces of the validation split; those with an exact age and those with a gender
            pick the best epoch.
        folder: of the checkpoints.
        run_id: digest of all that determines this training.
        seed: of order and augmentation.
        teaching: whose answers are blended into the targets; None learns from labels alone.
    """

    label: str
    heads: tuple[HeadSpec, ...]
    train: Faces
    validation: Faces
    folder: Path
    run_id: str
    seed: int
    teaching: Teaching | None = None


def fine_tune(
    model: Any,
    task: TrainingTask,
    spec: TrainSpec,
    reporter: Reporter,
    *,
    callbacks: Sequence[Any] = (),
    after_epoch: Callable[[EpochRecord], bool] | None = None,
    keep: Literal["best", "last"] = "best",
) -> tuple[EpochRecord, ...]:
    """Train a model; go on where an interrupted run of the same task stopped.

    Args:
        model: tf_keras model with one output a head; changed in place.
        task: faces, folder, seed.
        spec: epochs, optimizer, augmentation.
        reporter: shows progress with time left.
        callbacks: Keras callbacks besides, e.g. those of a pruning schedule.
        after_epoch: is told each new epoch's record; where it answers False, training ends there.
        keep: weights of which epoch the model is left with; "last" where earlier ones are not yet
            what was asked, e.g. while zeros still become more.

    Returns:
        One record an epoch.

    Raises:
        ModelError: too few images for one batch, a head without any label, a loss or an output
            that is not finite (the last good checkpoint stays), or a checkpoint folder of another
            run or that cannot be written.
    """
    plan = _plan(task, spec)
    _check_validation(task)
    if task.teaching:
        check_teaching(task.teaching, task.heads)
    _say_missing(task, plan, reporter)
    set_batch_norm_momentum(model, spec.batch_norm_momentum)
    optimizer = _optimizer(spec, plan.steps)
    optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(task.folder, task.run_id, model, optimizer)
    history = checkpoints.restore()
    if history:
        reporter.say(f"{task.label}: goes on after epoch {len(history)} of {spec.epochs}")
    weights = loss_weights(task.heads, spec)
    model.compile(optimizer=optimizer, loss=losses(task.heads), loss_weights=weights)
    with reporter.track(task.label, spec.epochs * plan.steps) as advance:
        advance(len(history) * plan.steps)
        for epoch in range(len(history), spec.epochs):
            order = epoch_order(
                len(plan.rows),
                spec.batch_size,
                seed=task.seed,
                epoch=epoch,
                sampling=plan.sampling,
            )
            order = plan.rows[order]  # of all faces, not only of those with a label
            batches = training_batches(
                task.train.images,
                _epoch_targets(task, plan, spec, order, epoch),
                plan.targets.weights,
                spec.augment,
                order=order,
                seed=task.seed,
                epoch=epoch,
            )
            watch = _Watch(task.label, epoch, advance)
            model.fit(batches, epochs=1, verbose=0, callbacks=[watch, *callbacks])
            record = _validate(model, task, epoch, watch.mean_loss)
            history = checkpoints.save(record)
            advance(0, _note(record))
            if after_epoch and not after_epoch(record):
                break
    if keep == "best":
        checkpoints.restore_best()
    return history


def count_steps(task: TrainingTask, spec: TrainSpec) -> int:
    """Count the batches that `fine_tune` trains on in all its epochs."""
    return spec.epochs * (len(labelled_rows(task.train, task.heads)) // spec.batch_size)


def loss_weights(heads: tuple[HeadSpec, ...], spec: TrainSpec) -> dict[str, float]:
    """What each head's loss counts, by head name."""
    return {head.name: 1.0 if head.kind == "binary" else spec.age_weight for head in heads}


def predict_faces(
    model: Any, images: NDArray[np.uint8], heads: tuple[HeadSpec, ...]
) -> dict[str, NDArray[np.float64]]:
    """Run a Keras model and read its outputs as a device would.

    Args:
        model: with one output a head.
        images: uint8 [N, side, side, 3].
        heads: of the model.

    Returns:
        By head: float64 [N].
    """
    raw = model.predict(plain_batches(images), verbose=0)
    return decode_outputs(raw, heads, images.shape[1])


def recalibrate_batch_norm(
    model: Any, faces: Faces, spec: TrainSpec, *, seed: int, images: int = 2048
) -> None:
    """Set the moving statistics anew from training images, after channels were cut.

    Labels play no part, except in how often a face is drawn if training is balanced.

    Args:
        model: changed in place; only its moving means and variances.
        faces: of the training split.
        spec: batch size, balance and augmentation, as the statistics will be used in training.
        seed: of the images chosen.
        images: how many, at most.

    Source:
        He et al. 2018, AMC (arXiv 1802.03494) and TorchPruning's practice: statistics of the
        uncut network mislead the cut one.
    """
    set_batch_norm_momentum(model, 0.9)
    sampling = sampling_weights(faces, spec.balance, spec.balance_power)
    order = epoch_order(len(faces), spec.batch_size, seed=seed, epoch=0, sampling=sampling)
    chosen = order[: images // spec.batch_size]
    batches = training_batches(faces.images, {}, {}, spec.augment, order=chosen, seed=seed, epoch=0)
    for batch, _, _ in batches:
        model(batch, training=True)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is drawn from, [N] as in the training faces, and how."""

    rows: NDArray[np.int64]  # of faces with a label of any head; the order's numbers count these
    sampling: NDArray[np.float64] | None
    targets: Targets
    steps: int
    images_digest: str  # of the training images where there is a teacher, else empty


def _plan(task: TrainingTask, spec: TrainSpec) -> _Plan:
    rows = labelled_rows(task.train, task.heads)
    steps = len(rows) // spec.batch_size
    if steps == 0:
        raise ModelError(
            f"{task.label}: {len(rows)} labelled training images do not fill a batch of "
            f"{spec.batch_size}; give more images or lower batch_size in the recipe"
        )
    # images may be a file larger than the memory, so rows are taken of the labels only
    labels = task.train.without_images().take(rows)
    sampling = sampling_weights(labels, spec.balance, spec.balance_power)
    shares = np.zeros(len(task.train))
    shares[rows] = 1.0 if sampling is None else sampling
    try:
        targets = training_targets(task.train, task.heads, spec, shares=shares)
    except ModelError as err:
        raise ModelError(f"{task.label}: {err}") from err
    digest = _digest(task.train.images) if task.teaching else ""
    return _Plan(rows=rows, sampling=sampling, targets=targets, steps=steps, images_digest=digest)


def _digest(images: NDArray[np.uint8]) -> str:
    digest = sha256()
    for image in images:  # one at a time: they may be a file larger than the memory
        digest.update(image.tobytes())
    return digest.hexdigest()


def _epoch_targets(
    task: TrainingTask, plan: _Plan, spec: TrainSpec, order: NDArray[np.int64], epoch: int
) -> Mapping[str, NDArray[np.float32]]:
    if task.teaching is None:
        return plan.targets.values
    lesson = Lesson(
        images=task.train.images,
        images_digest=plan.images_digest,
        augment=spec.augment,
        order=order,
        seed=task.seed,
        epoch=epoch,
    )
    return taught_targets(task.teaching, lesson, plan.targets.values, task.heads)


def _say_missing(task: TrainingTask, plan: _Plan, reporter: Reporter) -> None:
    labelled = {name: int((of > 0).sum()) for name, of in plan.targets.weights.items()}
    if min(labelled.values()) < len(task.train):
        counts = ", ".join(f"{name} from {count}" for name, count in labelled.items())
        reporter.say(
            f"{task.label}: of {len(task.train)} training faces it learns {counts}; "
            f"{len(task.train) - len(plan.rows)} have no label and are not shown"
        )


def _check_validation(task: TrainingTask) -> None:
    faces = task.validation
    known = {
        "an exact age": np.isfinite(faces.exact_age_years),
        "a gender": faces.class_of("gender") >= 0,
    }
    for label, has in known.items():
        if not has.any():
            raise ModelError(
                f"{task.label}: none of {len(faces)} validation faces has {label}, expected at "
                "least one, because they pick the best epoch; give a data set that has it"
            )


def _optimizer(spec: TrainSpec, steps: int) -> Any:
    if spec.schedule == "cosine":
        total = spec.epochs * steps
        warmup = max(1, round(spec.warmup_ratio * total))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            max(1, total - warmup),
            warmup_target=spec.learning_rate,
            warmup_steps=warmup,
        )
    else:
        rate = spec.learning_rate
    if spec.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=spec.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _validate(model: Any, task: TrainingTask, epoch: int, train_loss: float) -> EpochRecord:
    try:
        predicted = predict_faces(model, task.validation.images, task.heads)
    except ArtifactError as err:  # the last step of an epoch may be the one that blows up
        raise ModelError(f"{task.label}: after epoch {epoch + 1}: {err}; {_advice(epoch)}") from err
    age, gender = task.validation.exact_age_years, task.validation.class_of("gender")
    exact, known = np.isfinite(age), gender >= 0
    mae = float(np.abs(predicted["age"] - age)[exact].mean())
    accuracy = float(((predicted["gender"] >= 0.5) == (gender == 1))[known].mean())
    return EpochRecord(
        epoch=epoch + 1,
        train_loss=train_loss,
        validation_age_mae_years=mae,
        validation_gender_accuracy_ratio=accuracy,
        score=mae + YEARS_PER_GENDER_POINT * 100 * (1 - accuracy),
    )


def _note(record: EpochRecord) -> str:
    return (
        f"epoch {record.epoch}: validation MAE {record.validation_age_mae_years:.2f} years, "
        f"gender {100 * record.validation_gender_accuracy_ratio:.1f} %"
    )


def _advice(epoch: int) -> str:
    kept = f"the checkpoint of epoch {epoch} is kept" if epoch else "no epoch was finished"
    return f"{kept}; lower learning_rate"


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
    """Moves the progress bar and stops training when the loss is not finite."""

    def __init__(self, label: str, epoch: int, advance: Advance) -> None:
        super().__init__()
        self.label, self.epoch, self.advance = label, epoch, advance
        self.mean_loss = math.nan

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.mean_loss = float((logs or {})["loss"])  # Keras's running mean over the epoch
        if not math.isfinite(self.mean_loss):
            raise ModelError(
                f"{self.label}: the loss is {self.mean_loss} in epoch {self.epoch + 1}, batch "
                f"{batch + 1}; {_advice(self.epoch)}"
            )
        self.advance(1)
