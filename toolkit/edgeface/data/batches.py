"""Batches for training: shuffled and augmented by tf.data while the model computes.

In: images and targets in memory. Out: a `tf.data.Dataset` for one epoch. Everything random is a
function of (seed, epoch, batch), so an epoch that is trained again sees the same batches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeface.config import AugmentSpec


def training_batches(
    images: Any,
    targets: dict[str, Any],
    augment: AugmentSpec,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
) -> Any:
    """One epoch of shuffled, augmented batches; an incomplete last batch is left out.

    Args:
        images: uint8 tensor [N, side, side, 3], RGB.
        targets: by head, float32 tensor [N, units].
        augment: what is done to the images.
        batch_size: images a batch, at most N.
        seed: of order and augmentation.
        epoch: its number.

    Returns:
        Dataset of (float32 [B, side, side, 3] 0..255, {head: [B, units]}).
    """
    count = int(images.shape[0]) // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(int(images.shape[0]))
    rows = tf.constant(order[: count * batch_size].reshape(count, batch_size), tf.int64)

    def make_batch(step: Any) -> tuple[Any, dict[str, Any]]:
        chosen = rows[step]
        random_seed = tf.stack([tf.constant(seed * 1009 + epoch, tf.int64), step])
        batch = augment_batch(tf.gather(images, chosen), augment, random_seed)
        return batch, {name: tf.gather(target, chosen) for name, target in targets.items()}

    batches = tf.data.Dataset.range(count).map(make_batch, num_parallel_calls=2)
    return batches.prefetch(4)


def augment_batch(images: Any, spec: AugmentSpec, random_seed: Any) -> Any:
    """Flip, zoom, shift, turn and relight each image of a batch by its own random amounts.

    Args:
        images: uint8 [B, side, side, 3].
        spec: how much.
        random_seed: int64 [2]; equal seeds give equal results.

    Returns:
        float32 [B, side, side, 3], 0 to 255.
    """
    draws = tf.random.stateless_uniform((7, tf.shape(images)[0]), random_seed, -1.0, 1.0)
    flip, zoom, shift_x, shift_y, turn, gain, offset = tf.unstack(draws)
    side_px = int(images.shape[1])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),  # on uint8 it would round every pixel down
        transforms=_transforms(spec, side_px, flip, zoom, (shift_x, shift_y), turn),
        output_shape=[side_px, side_px],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    light = spec.light_ratio
    contrast = tf.reshape(tf.exp(gain * math.log1p(light)), (-1, 1, 1, 1))
    lift = tf.reshape(offset * light * 127.5, (-1, 1, 1, 1))
    relit = (moved - 127.5) * contrast + 127.5 + lift
    return tf.clip_by_value(relit, 0.0, 255.0)


def _transforms(
    spec: AugmentSpec, side_px: int, flip: Any, zoom: Any, shift: tuple[Any, Any], turn: Any
) -> Any:
    # maps output to input coordinates: centre, turn and zoom, mirror, shift, back from the centre
    angle = turn * math.radians(spec.rotate_degrees)
    scale = 1.0 + zoom * spec.scale_ratio
    mirror = tf.where(flip > 0, -1.0, 1.0) if spec.flip else tf.ones_like(flip)
    centre = (side_px - 1) / 2
    a = mirror * scale * tf.cos(angle)
    b = -mirror * scale * tf.sin(angle)
    d = scale * tf.sin(angle)
    e = scale * tf.cos(angle)
    c = centre - (a + b) * centre + shift[0] * spec.shift_ratio * side_px
    f = centre - (d + e) * centre + shift[1] * spec.shift_ratio * side_px
    zero = tf.zeros_like(a)
    return tf.stack([a, b, c, d, e, f, zero, zero], axis=1)


def plain_batches(images: NDArray[np.uint8], batch_size: int = 128) -> Any:
    """Images in order as float32 batches, for prediction."""

    def to_float(batch: Any) -> Any:
        return tf.cast(batch, tf.float32)

    batches = tf.data.Dataset.from_tensor_slices(images).batch(batch_size)
    return batches.map(to_float, num_parallel_calls=1).prefetch(2)
