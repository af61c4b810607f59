"""Training one model: before pruning and after it, a checkpoint each epoch, resumable.

In: a built model, training and validation faces. Out: the same model with the weights of its best
validation epoch, and the history. Figures of training images stand in it and choose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import TrainSpec
from edgeface.data.balance import epoch_order, sampling_weights
from edgeface.data.batches import mixed_batches, plain_batches, training_batches
from edgeface.data.faces import Faces
from edgeface.errors import ArtifactError, ModelError
from edgeface.model.averaging import WeightAverage
from edgeface.model.checkpoint import Checkpoints, epochs_since_best
from edgeface.model.distill import check_teaching
from edgeface.model.epochs import EpochPlan, TrainingTask, epoch_batches, plan_epochs
from edgeface.model.heads import decode_outputs, labelled_rows, losses
from edgeface.model.judging import Judge, judge_of, loss_weights
from edgeface.model.metrics import has_truth
from edgeface.model.networks import (
    freeze_backbone,
    set_batch_norm_momentum,
    unfreeze,
)
from edgeface.model.optimizer import make_optimizer
from edgeface.model.precision import copy_of
from edgeface.training_specs import AGE
from edgeface.types import Advance, EpochRecord, HeadSpec, Reporter

__all__ = ["TrainingTask", "count_steps", "fine_tune", "predict_faces", "recalibrate_batch_norm"]


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
        spec: epochs, optimizer, augmentation. With an `average_decay`, what is validated, kept and
            returned is the average. Whatever the `precision`, the model stays float32.
        reporter: shows progress with time left.
        callbacks: Keras callbacks besides, e.g. those of a pruning schedule.
        after_epoch: is told each new epoch's record; where it answers False, training ends there.
        keep: weights of which epoch the model is left with; "last" where earlier ones are not yet
            what was asked, e.g. while zeros still become more.

    Returns:
        One record an epoch.

    Raises:
        ModelError: too few images for one batch, a head without any label, a label of a class that
            a head does not have, a weight of a head that the model does not have, a teacher that
            cannot teach it, mixup of a regression head, an option that does not go with keeping
            the last weights, a loss or an output that is not finite (the last good checkpoint
            stays), or a checkpoint folder of another run or that cannot be written.
    """
    _check_validation(task)
    _check_levers(task, spec, keep)
    _check_weights(task, spec)
    if task.teaching:
        check_teaching(task.teaching, task.heads)
    set_batch_norm_momentum(model, spec.batch_norm_momentum)
    with _frozen(model, task, spec):
        judged, trained = _copies(model, spec)
        history, checkpoints = _train(
            judged,
            trained,
            task,
            spec,
            reporter,
            callbacks=callbacks,
            after_epoch=after_epoch,
        )
        if keep == "best":
            checkpoints.restore_best()
    if judged is not model:
        model.set_weights(judged.get_weights())
    return history


def _train(
    judged: Any,
    trained: Any,
    task: TrainingTask,
    spec: TrainSpec,
    reporter: Reporter,
    *,
    callbacks: Sequence[Any],
    after_epoch: Callable[[EpochRecord], bool] | None,
) -> tuple[tuple[EpochRecord, ...], Checkpoints]:
    plan = plan_epochs(task, spec)
    _say_missing(task, plan, reporter)
    judge = judge_of(task, spec)
    optimizer = make_optimizer(spec, plan.steps)
    optimizer.build(trained.trainable_variables)
    average = judged if spec.average_decay else None
    checkpoints = Checkpoints(task.folder, task.run_id, trained, optimizer, average)
    history = checkpoints.restore()
    if history:
        reporter.say(f"{task.label}: goes on after epoch {len(history)} of {spec.epochs}")
    weights = loss_weights(task.heads, spec)
    trained.compile(optimizer=optimizer, loss=losses(task.heads), loss_weights=weights)
    if spec.average_decay:
        callbacks = [WeightAverage(judged, trained, spec.average_decay), *callbacks]
    with reporter.track(task.label, spec.epochs * plan.steps) as advance:
        advance(len(history) * plan.steps)
        while len(history) < spec.epochs and not _out_of_patience(history, spec):
            epoch = len(history)
            watch = _Watch(task.label, epoch, advance)
            batches = epoch_batches(task, plan, spec, epoch)
            trained.fit(batches, epochs=1, verbose=0, callbacks=[watch, *callbacks])
            record = _validate(judged, judge, task.label, epoch, watch.mean_loss)
            history = checkpoints.save(record)
            advance(0, _note(record, task.heads))
            if after_epoch and not after_epoch(record):
                break
    if len(history) < spec.epochs and _out_of_patience(history, spec):
        best = len(history) - epochs_since_best(history)
        reporter.say(
            f"{task.label}: stops after epoch {len(history)} of {spec.epochs}: none was better on "
            f"validation than epoch {best}"
        )
    return history, checkpoints


@contextmanager
def _frozen(model: Any, task: TrainingTask, spec: TrainSpec) -> Iterator[None]:
    if not spec.freeze_backbone:
        yield
        return
    freeze_backbone(model, task.heads)
    try:
        yield
    finally:
        unfreeze(model)


def count_steps(task: TrainingTask, spec: TrainSpec) -> int:
    """Count the batches that `fine_tune` trains on in all its epochs."""
    return spec.epochs * (len(labelled_rows(task.train, task.heads)) // spec.batch_size)


def predict_faces(
    model: Any, images: NDArray[np.uint8], heads: tuple[HeadSpec, ...]
) -> dict[str, NDArray[np.float64]]:
    """Run a Keras model and read its outputs as a device would.

    Args:
        model: with one output a head.
        images: uint8 [N, side, side, 3].
        heads: of the model.

    Returns:
        By head, as `runtime.decode.decode` gives them.
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
        spec: batch size, balance, augmentation and mixing, as the statistics will be used in
            training.
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
    batches = mixed_batches(batches, spec.mixup_alpha, seed=seed, epoch=0)
    for batch, _, _ in batches:
        model(batch, training=True)


def _say_missing(task: TrainingTask, plan: EpochPlan, reporter: Reporter) -> None:
    labelled = {name: int((of > 0).sum()) for name, of in plan.targets.weights.items()}
    if min(labelled.values()) < len(task.train):
        counts = ", ".join(f"{name} from {count}" for name, count in labelled.items())
        reporter.say(
            f"{task.label}: of {len(task.train)} training faces it learns {counts}; "
            f"{len(task.train) - len(plan.rows)} have no label and are not shown"
        )


def _check_validation(task: TrainingTask) -> None:
    faces = task.validation
    for head in task.heads:
        if not has_truth(faces, head).any():
            what = head.name if head.has_classes else f"exact {head.name}"
            raise ModelError(
                f"{task.label}: none of {len(faces)} validation faces has a known {what}, expected "
                "at least one, because they pick the best epoch; give a data set that has it"
            )


def _check_levers(task: TrainingTask, spec: TrainSpec, keep: Literal["best", "last"]) -> None:
    regression = [head.name for head in task.heads if head.kind == "regression"]
    if spec.mixup_alpha and regression:
        raise ModelError(
            f"{task.label}: mixup_alpha is {spec.mixup_alpha:g}, and head {regression[0]} is a "
            "regression, whose loss is not that of a mixed label; use age_head = 'median' or "
            "mixup_alpha = 0"
        )
    of_best = {
        "patience": spec.patience,
        "average_decay": spec.average_decay,
        "precision": spec.precision != "float32",
    }
    asked = [name for name, on in of_best.items() if on]
    if keep == "last" and asked:
        # an average or an early end would not have the zeros asked for, wrapped layers no copy
        raise ModelError(
            f"{task.label}: found {', '.join(asked)} in its recipe, expected none of them where "
            "the last epoch's weights are kept and not the best one's; leave them out"
        )


def _check_weights(task: TrainingTask, spec: TrainSpec) -> None:
    weighed = [head.name for head in task.heads if head.name != AGE]
    unknown = [name for name in spec.head_weights if name not in weighed]
    if unknown:
        raise ModelError(
            f"{task.label}: head_weights has {', '.join(unknown)}, expected of the model's heads "
            f"{', '.join(weighed) or 'none'}; the weight of age is age_weight"
        )


def _copies(model: Any, spec: TrainSpec) -> tuple[Any, Any]:
    """Make what is validated and kept, and what is stepped: both the model unless asked."""
    judged = model if spec.precision == "float32" else copy_of(model, spec.precision)
    trained = copy_of(judged, spec.precision) if spec.average_decay else judged
    return judged, trained


def _out_of_patience(history: tuple[EpochRecord, ...], spec: TrainSpec) -> bool:
    return 0 < spec.patience <= epochs_since_best(history)


def _validate(model: Any, judge: Judge, label: str, epoch: int, train_loss: float) -> EpochRecord:
    try:
        return judge(model, epoch + 1, train_loss)
    except ArtifactError as err:  # the last step of an epoch may be the one that blows up
        raise ModelError(f"{label}: after epoch {epoch + 1}: {err}; {_advice(epoch)}") from err


def _note(record: EpochRecord, heads: tuple[HeadSpec, ...]) -> str:
    said = ", ".join(
        f"{head.name} {100 * record.validation[head.name]:.1f} %"
        if head.has_classes
        else f"{head.name} MAE {record.validation[head.name]:.2f} {head.unit}"
        for head in heads
    )
    return f"epoch {record.epoch}: validation {said}"


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
