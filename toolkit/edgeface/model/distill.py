"""Distillation: a student learns from labels and from what trained models answer, blended.

In: teachers, and the pictures of one epoch as the student will see them. Out: targets for each of
the epoch's batches. A teacher sees the same augmented and mixed picture as the student. What it
answered is kept on disk by digest, so that a resumed or another training over the same batches
asks no more.

Source: Hinton, Vinyals, Dean 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531),
at temperature 1, where the cross-entropy to a blend of targets is the blend of the cross-entropies.
The same view for both: Beyer et al. 2022, Knowledge distillation: A good teacher is patient and
consistent (arXiv 2106.05237).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeface.config import AugmentSpec
from edgeface.data.batches import mixed_batches, training_batches
from edgeface.errors import ModelError
from edgeface.records import write_bytes
from edgeface.types import HeadSpec

Targets = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """One trained model that answers for a student.

    Attributes:
        name: for people.
        model: tf_keras, outputs by head name.
        heads: of it; it teaches those that the student has too, which must be of the same kind,
            with the same bins or classes. The student's others learn from labels alone.
        side_px: of its input; the student's picture is resized to it.
        digest: SHA-256 of all that its answers depend on.
    """

    name: str
    model: Any
    heads: tuple[HeadSpec, ...]
    side_px: int
    digest: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Teaching:
    """Who teaches, how much it counts, and where the answers are kept.

    Attributes:
        teachers: one or more; their answers are averaged.
        ratio: share of the teachers in the target, 0 to 1; the labels have the rest.
        cache: folder of the answers.
    """

    teachers: tuple[Teacher, ...]
    ratio: float
    cache: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """The pictures of one epoch as the student will see them.

    Attributes:
        images: uint8 [N, side, side, 3], of the training split.
        images_digest: SHA-256 of them.
        augment: of the training.
        order: int64 [steps, B] of indices of faces.
        seed: of augmentation and mixing.
        epoch: its number.
        mixup_alpha: of the training; 0 mixes no pictures.
    """

    images: NDArray[np.uint8]
    images_digest: str
    augment: AugmentSpec
    order: NDArray[np.int64]
    seed: int
    epoch: int
    mixup_alpha: float = 0.0


def weights_digest(model: Any) -> str:
    """Digest of a Keras model's layers and weights, as `Teacher.digest`."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def check_teaching(teaching: Teaching, heads: tuple[HeadSpec, ...]) -> None:
    """Refuse teachers that cannot teach these heads.

    Raises:
        ModelError: there is no teacher, none of the student's heads is its, one differs, or its
            loss does not blend.
    """
    if not teaching.teachers:
        raise ModelError(
            "distillation: distill_ratio is above 0, and there is no teacher; name one with "
            "--teacher, or set distill_ratio to 0"
        )
    for teacher in teaching.teachers:
        theirs = {head.name: head for head in teacher.heads}
        taught = [head for head in heads if head.name in theirs]
        if not taught:
            raise ModelError(
                f"teacher {teacher.name}: has heads {', '.join(theirs)}, expected one of "
                f"{', '.join(head.name for head in heads)}, which the student has"
            )
        for head in taught:
            _check_head(teacher.name, theirs[head.name], head)


def _check_head(teacher: str, found: HeadSpec, head: HeadSpec) -> None:
    if head.kind == "regression":
        raise ModelError(
            f"head {head.name}: a regression learns no distribution, so it cannot be "
            "distilled; use age_head = 'median' or distill_ratio = 0"
        )
    alike = found.kind == head.kind or (found.has_bins and head.has_bins)  # read otherwise, no more
    if not alike or (found.bins, found.classes) != (head.bins, head.classes):
        raise ModelError(
            f"teacher {teacher}: its head {head.name} is {_in_words(found)}, expected "
            f"{_in_words(head)} as in the student"
        )


def _in_words(head: HeadSpec) -> str:
    if head.has_classes:
        return f"{head.kind} (classes: {', '.join(head.classes)})"
    return f"{head.kind} (bins: {len(head.bins)})" if head.bins else head.kind


def taught_targets(
    teaching: Teaching, lesson: Lesson, targets: Targets, heads: tuple[HeadSpec, ...]
) -> dict[str, NDArray[np.float32]]:
    """Blend the labels of one epoch with what the teachers answer to its pictures.

    Args:
        teaching: who, how much, where answers are kept.
        lesson: the epoch.
        targets: by head, from the labels, float32 [N, units], or [steps, B, units] where they
            are mixed as the pictures are. What a teacher answers is to a mixed picture already.
        heads: of the student.

    Returns:
        By head: float32 [steps, B, units]; a head that no teacher has keeps its targets.

    Raises:
        ModelError: the cache cannot be written.
    """
    answers: dict[str, list[NDArray[np.float32]]] = {}
    for teacher in teaching.teachers:
        path = teaching.cache / f"{_key(teacher, lesson)}.npz"
        theirs = {head.name for head in teacher.heads}
        taught = tuple(head for head in heads if head.name in theirs)
        found = _read(path, taught, lesson.order.shape)
        if found is None:
            found = _ask(teacher, lesson, taught)
            _keep(path, found)
        for name, answer in found.items():
            answers.setdefault(name, []).append(answer)
    ratio = np.float32(teaching.ratio)
    blended = dict(targets)
    for name, given in answers.items():
        mean = sum(answer / np.float32(len(given)) for answer in given)
        blended[name] = ratio * mean + (1 - ratio) * _of_showings(targets[name], lesson)
    return blended


def _of_showings(target: NDArray[np.float32], lesson: Lesson) -> NDArray[np.float32]:
    return target if target.ndim == 3 else target[lesson.order]


def _ask(
    teacher: Teacher, lesson: Lesson, heads: tuple[HeadSpec, ...]
) -> dict[str, NDArray[np.float32]]:
    batches = training_batches(
        lesson.images,
        {},
        {},
        lesson.augment,
        order=lesson.order,
        seed=lesson.seed,
        epoch=lesson.epoch,
    )
    batches = mixed_batches(batches, lesson.mixup_alpha, seed=lesson.seed, epoch=lesson.epoch)
    answer = tf.function(lambda images: teacher.model(images, training=False))
    found: dict[str, list[NDArray[np.float32]]] = {head.name: [] for head in heads}
    for batch, _, _ in batches:
        raw = answer(_resized(batch.numpy(), teacher.side_px))
        for head in heads:
            probability = tf.sigmoid if head.kind == "binary" else tf.nn.softmax
            found[head.name].append(probability(tf.cast(raw[head.name], tf.float32)).numpy())
    return {name: np.stack(each) for name, each in found.items()}


def _resized(batch: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    if batch.shape[1] == side_px:
        return batch
    # as `runtime.preprocess.to_input` resizes
    how = cv2.INTER_AREA if side_px < batch.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(image, (side_px, side_px), interpolation=how) for image in batch])


def _key(teacher: Teacher, lesson: Lesson) -> str:
    facts: tuple[object, ...] = (
        teacher.digest,
        lesson.images_digest,
        lesson.images.shape,
        lesson.augment,
        lesson.order.shape,
        lesson.seed,
        lesson.epoch,
    )
    if lesson.mixup_alpha:  # only then, so that answers kept from unmixed trainings still serve
        facts = (*facts, lesson.mixup_alpha)
    order = np.ascontiguousarray(lesson.order).tobytes()
    return hashlib.sha256(repr(facts).encode() + order).hexdigest()


def _read(
    path: Path, heads: tuple[HeadSpec, ...], shape: tuple[int, ...]
) -> dict[str, NDArray[np.float32]] | None:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = {head.name: file[head.name].astype(np.float32) for head in heads}
    except FileNotFoundError:
        return None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None  # damaged or of other heads: asked anew and replaced
    fits = all(answer.shape[:2] == shape for answer in found.values())
    return found if fits else None


def _keep(path: Path, answers: Mapping[str, NDArray[np.float32]]) -> None:
    content = io.BytesIO()
    # half precision: probabilities to 3 digits, half of the disk
    np.savez(content, **{name: each.astype(np.float16) for name, each in answers.items()})  # type: ignore[arg-type]  # numpy's stub takes the names for options
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.getvalue())
    except OSError as err:
        raise ModelError(
            f"teacher's answers {path}: cannot be written: {err.strerror}; free space, then run "
            "the same again"
        ) from err
