"""What each epoch of a training shows, and what is asked of the network for it.

In: labelled faces, teachers, a `TrainSpec`. Out: the batches of each epoch, a function of the
seed and the epoch's number, so that an epoch that is begun again is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.config import TrainSpec
from edgeface.data.balance import epoch_order, sampling_weights
from edgeface.data.batches import mixed_batches, training_batches
from edgeface.data.faces import Faces
from edgeface.data.mixing import mixed_targets
from edgeface.errors import ModelError
from edgeface.model.distill import Lesson, Teaching, taught_targets
from edgeface.model.heads import Targets, labelled_rows, training_targets
from edgeface.types import HeadSpec


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """What one training works on and where its checkpoints go.

    Attributes:
        label: for the progress bar, e.g. "fine-tune".
        heads: of the model.
        train: faces of the training split; each trains the heads that it has a label of.
        validation: faces of the validation split; those with an exact age and those with a known
            class pick the best epoch.
        folder: of the checkpoints.
        run_id: digest of all that determines this training.
        seed: of order, augmentation and mixing.
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


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """What every epoch is drawn from, [N] as in the training faces, and how.

    Attributes:
        rows: int64, of faces with a label of any head; the order's numbers count these.
        sampling: float64, how often each of them is drawn; None is equally often.
        targets: of all faces.
        steps: batches an epoch.
        images_digest: SHA-256 of the training images where there is a teacher, else empty.
    """

    rows: NDArray[np.int64]
    sampling: NDArray[np.float64] | None
    targets: Targets
    steps: int
    images_digest: str


def plan_epochs(task: TrainingTask, spec: TrainSpec) -> EpochPlan:
    """Look at the labels of a training once for all its epochs.

    Raises:
        ModelError: too few images for one batch, or a head without any label.
    """
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
    return EpochPlan(
        rows=rows, sampling=sampling, targets=targets, steps=steps, images_digest=digest
    )


def epoch_batches(task: TrainingTask, plan: EpochPlan, spec: TrainSpec, epoch: int) -> Any:
    """Make the batches of one epoch; teachers are asked about its pictures first.

    Args:
        task: faces, teachers, seed.
        plan: of this task and spec.
        spec: batch size, augmentation, mixing.
        epoch: its number, from 0.

    Returns:
        Dataset as `data.batches.training_batches` makes it.
    """
    order = epoch_order(
        len(plan.rows), spec.batch_size, seed=task.seed, epoch=epoch, sampling=plan.sampling
    )
    order = plan.rows[order]  # of all faces, not only of those with a label
    values, weights = plan.targets.values, plan.targets.weights
    if spec.mixup_alpha:
        values, weights = mixed_targets(
            values, weights, spec.mixup_alpha, order=order, seed=task.seed, epoch=epoch
        )
    if task.teaching:
        lesson = Lesson(
            images=task.train.images,
            images_digest=plan.images_digest,
            augment=spec.augment,
            order=order,
            seed=task.seed,
            epoch=epoch,
            mixup_alpha=spec.mixup_alpha,
        )
        values = taught_targets(task.teaching, lesson, values, task.heads)
    batches = training_batches(
        task.train.images,
        values,
        weights,
        spec.augment,
        order=order,
        seed=task.seed,
        epoch=epoch,
    )
    return mixed_batches(batches, spec.mixup_alpha, seed=task.seed, epoch=epoch)


def _digest(images: NDArray[np.uint8]) -> str:
    digest = sha256()
    for image in images:  # one at a time: they may be a file larger than the memory
        digest.update(image.tobytes())
    return digest.hexdigest()
