"""Batches for training and prediction: gathered and augmented while the model computes.

In: images and targets in memory, or images in a file mapped into it. Out: a `tf.data.Dataset` for
one epoch. Everything random is a function of (seed, epoch, batch), so an epoch that is trained
again sees the same batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeface.config import AugmentSpec
from edgeface.data.augment import augment_batch
from edgeface.data.mixing import draw_mixing, mixed_images


def training_batches(
    images: NDArray[np.uint8],
    targets: Mapping[str, NDArray[np.float32]],
    weights: Mapping[str, NDArray[np.float32]],
    augment: AugmentSpec,
    *,
    order: NDArray[np.int64],
    seed: int,
    epoch: int,
) -> Any:
    """One epoch of augmented batches in the order given.

    Args:
        images: uint8 [N, side, side, 3], RGB; may be a read-only `numpy.memmap`. Read batch by
            batch, never copied whole.
        targets: by head, float32 [N, units], or [steps, B, units] where a face's target differs
            from one showing to the next.
        weights: by head, float32 [N], of each face's loss, or [steps, B] where a face's weight
            differs from one showing to the next.
        augment: what is done to the images.
        order: int64 [steps, B] of indices of faces, as from `balance.epoch_order`.
        seed: of the augmentation.
        epoch: its number.

    Returns:
        Dataset of (float32 [B, side, side, 3] 0..255, {head: [B, units]}, {head: [B]}).
    """
    steps, size = order.shape
    shapes = [*(each.shape[-1:] for each in targets.values()), *(() for _ in weights)]

    def read(step: int) -> list[NDArray[np.float32]]:
        rows = order[step]
        # + 1: numpy pads seeds with zeros, and the epoch's order is drawn from [seed, epoch]
        batch = augment_batch(images[rows], augment, (seed, epoch, int(step) + 1))
        wanted = [each[step] if each.ndim == 3 else each[rows] for each in targets.values()]
        weighed = [each[step] if each.ndim == 2 else each[rows] for each in weights.values()]
        return [batch, *wanted, *weighed]

    def make_batch(step: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        batch, *found = tf.numpy_function(read, [step], [tf.float32] * (1 + len(shapes)))
        batch.set_shape((size, *images.shape[1:]))
        for label, shape in zip(found, shapes, strict=True):
            label.set_shape((size, *shape))
        wanted, weighed = found[: len(targets)], found[len(targets) :]
        return (
            batch,
            dict(zip(targets, wanted, strict=True)),
            dict(zip(weights, weighed, strict=True)),
        )

    return tf.data.Dataset.range(steps).map(make_batch, num_parallel_calls=2).prefetch(4)


def mixed_batches(batches: Any, mixup_alpha: float, *, seed: int, epoch: int) -> Any:
    """Mix each augmented picture of an epoch with another one of its batch.

    Args:
        batches: as `training_batches` makes them. Their targets and weights stay as they are: what
            a mixed picture is trained towards comes from `mixing.mixed_targets`.
        mixup_alpha: as `mixing.draw_mixing` takes it; 0 mixes nothing.
        seed: of the mixing.
        epoch: its number.

    Returns:
        Dataset of the same form.
    """
    if not mixup_alpha:
        return batches

    def mix(step: int, images: NDArray[np.float32]) -> NDArray[np.float32]:
        mixing = draw_mixing(len(images), mixup_alpha, seed=seed, epoch=epoch, step=int(step))
        return mixed_images(images, mixing)

    def mix_batch(step: Any, batch: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        images, targets, weights = batch
        mixed = tf.numpy_function(mix, [step, images], tf.float32)
        mixed.set_shape(images.shape)
        return mixed, targets, weights

    return batches.enumerate().map(mix_batch, num_parallel_calls=2).prefetch(2)


def plain_batches(images: NDArray[np.uint8], batch_size: int = 128) -> Any:
    """Images in order as float32 batches, for prediction; the last one may be smaller.

    Args:
        images: uint8 [N, side, side, 3]; may be a `numpy.memmap`, read batch by batch.
        batch_size: images a batch.

    Returns:
        Dataset of float32 [batch_size or less, side, side, 3], 0 to 255.
    """

    def read(start: int) -> NDArray[np.float32]:
        return images[start : start + batch_size].astype(np.float32)

    def make_batch(start: Any) -> Any:
        batch = tf.numpy_function(read, [start], tf.float32)
        batch.set_shape((None, *images.shape[1:]))
        return batch

    starts = tf.data.Dataset.range(0, len(images), batch_size)
    return starts.map(make_batch, num_parallel_calls=1).prefetch(2)
