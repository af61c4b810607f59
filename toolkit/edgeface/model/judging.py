"""What an epoch reached: figures and losses of a network in training, by head.

In: a training's faces and heads. Out: a `Judge` that makes an `EpochRecord` of a model. The score
of the validation split picks the best epoch; the figures of training faces choose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.config import TrainSpec
from edgeface.data.batches import plain_batches
from edgeface.data.faces import Faces
from edgeface.errors import ArtifactError, ModelError
from edgeface.model.epochs import TrainingTask
from edgeface.model.heads import (
    Targets,
    decode_outputs,
    labelled_rows,
    losses,
    training_targets,
)
from edgeface.model.metrics import has_truth
from edgeface.runtime.decode import class_numbers
from edgeface.training_specs import AGE
from edgeface.types import EpochRecord, HeadSpec

# chosen: a point of accuracy weighs as much as 0.2 years of MAE when the best epoch is picked,
# because between epochs the two differ by about these amounts.
YEARS_PER_POINT = 0.2
# chosen: the standard error of an accuracy of 95 % is 0.7 points, enough for a curve, and asking
# MobileNetV2 for them takes 2 % of the time of an epoch of 14,000 faces
TRAIN_FACES = 1000

Judge = Callable[[Any, int, float], EpochRecord]
"""Model, number of the epoch from 1, mean training loss, to what the epoch reached."""


def judge_of(task: TrainingTask, spec: TrainSpec) -> Judge:
    """Prepare what every epoch of a training is judged by.

    Args:
        task: its validation faces have a label of every head.
        spec: weights of the losses, smoothing and σ.

    Returns:
        A function that raises ArtifactError where the model's outputs, or the loss of them, are
        not finite.

    Raises:
        ModelError: a validation label is of a class that the head does not have.
    """
    try:
        targets = training_targets(task.validation, task.heads, spec)
    except ModelError as err:
        raise ModelError(f"{task.label}: validation faces: {err}") from err
    sample = _sample(task)
    weights = loss_weights(task.heads, spec)

    def judge(model: Any, epoch: int, train_loss: float) -> EpochRecord:
        raw = _raw(model, task.validation)
        validation = figures(raw, task.validation, task.heads)
        loss = _mean_loss(raw, targets, task.heads, weights)
        if not math.isfinite(loss):  # of outputs that are finite, but too far apart for float32
            raise ArtifactError(f"the validation loss is {loss}")
        return EpochRecord(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=loss,
            train=figures(_raw(model, sample), sample, task.heads),
            validation=validation,
            score=score_of(validation, task.heads),
        )

    return judge


def loss_weights(heads: tuple[HeadSpec, ...], spec: TrainSpec) -> dict[str, float]:
    """What each head's loss counts, by head name."""
    return {
        head.name: spec.age_weight if head.name == AGE else spec.head_weights.get(head.name, 1.0)
        for head in heads
    }


def score_of(figure: Mapping[str, float], heads: tuple[HeadSpec, ...]) -> float:
    """Sum what is wrong in all heads, in years; lower is better.

    Args:
        figure: as `figures` gives them, of each head.
        heads: of the model.
    """
    return sum(
        YEARS_PER_POINT * 100 * (1 - figure[head.name]) if head.has_classes else figure[head.name]
        for head in heads
    )


def figures(
    raw: Mapping[str, NDArray[np.float32]], faces: Faces, heads: tuple[HeadSpec, ...]
) -> dict[str, float]:
    """Compute each head's one figure.

    Args:
        raw: a Keras model's outputs, by head float32 [N, units].
        faces: N faces.
        heads: of the model.

    Returns:
        By head: accuracy of classes, 0 to 1; mean absolute error of ages that are known exactly.
        A head that no face has such a label of is left out.

    Raises:
        ArtifactError: an output is not finite.
    """
    predicted = decode_outputs(dict(raw), heads, faces.images.shape[1])
    found = {}
    for head in heads:
        values, known = predicted[head.name], has_truth(faces, head)
        if head.has_classes:
            wanted = (class_numbers(values, head) == faces.class_of(head.name)).astype(np.float64)
        else:
            wanted = np.abs(values - faces.exact_age_years)
        if known.any():
            found[head.name] = float(wanted[known].mean())
    return found


def _sample(task: TrainingTask) -> Faces:
    rows = labelled_rows(task.train, task.heads)
    drawn = np.random.default_rng(task.seed).permutation(rows)[:TRAIN_FACES]
    return task.train.take(np.sort(drawn))


def _raw(model: Any, faces: Faces) -> dict[str, NDArray[np.float32]]:
    return dict(model.predict(plain_batches(faces.images), verbose=0))


def _mean_loss(
    raw: Mapping[str, NDArray[np.float32]],
    targets: Targets,
    heads: tuple[HeadSpec, ...],
    weights: Mapping[str, float],
) -> float:
    total = 0.0
    for name, loss in losses(heads).items():
        counts = targets.weights[name]
        known = counts > 0
        answers = raw[name].reshape(len(counts), -1)
        total += weights[name] * float(
            loss(targets.values[name][known], answers[known]).numpy().mean()
        )
    return total
