"""Mixup: each picture of a batch is mixed with another one of it, and so is what it is trained to.

In: the order of an epoch, and targets and weights by face. Out: which are mixed and how much, the
mixed pictures, targets and weights of each showing. All of it is a function of (seed, epoch,
batch), so that pictures and targets, which are mixed in different places, are mixed alike.

Source: Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization (arXiv 1710.09412).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Mixing(NamedTuple):
    """How one batch is mixed: picture i becomes share i of itself and the rest of its partner.

    Attributes:
        partners: int64 [B], places in the batch, each once; a picture may be its own partner.
        shares: float32 [B], 0 to 1.
    """

    partners: NDArray[np.int64]
    shares: Floats


def draw_mixing(size: int, alpha: float, *, seed: int, epoch: int, step: int) -> Mixing:
    """Draw how a batch is mixed.

    Args:
        size: pictures in the batch, B.
        alpha: above 0; the shares are drawn from Beta(alpha, alpha): near 0 and 1 where it is
            small, near one half where it is large.
        seed: of the training.
        epoch: its number.
        step: number of the batch, from 0.

    Returns:
        A function of the arguments.

    Source:
        Zhang et al. 2018, equation 2: a share for each pair; partners by shuffling the same batch,
        section 3. A share a batch, as in their program, would make whole batches nearly unmixed.
    """
    # (seed, epoch, step + 1) draws the augmentation; numpy pads seeds with zeros, so 1 is another
    random = np.random.default_rng((seed, epoch, step + 1, 1))
    partners = random.permutation(size).astype(np.int64, copy=False)
    return Mixing(partners, random.beta(alpha, alpha, size).astype(np.float32))


def mixed_images(images: Floats, mixing: Mixing) -> Floats:
    """Mix the pictures of a batch.

    Args:
        images: float32 [B, side, side, 3], 0 to 255.
        mixing: of the batch.

    Returns:
        Float32 [B, side, side, 3], 0 to 255 but for rounding.
    """
    shares = mixing.shares[:, None, None, None]
    mixed = images[mixing.partners]  # a copy
    mixed *= 1 - shares
    mixed += shares * images
    return mixed


def mixed_targets(
    values: Mapping[str, Floats],
    weights: Mapping[str, Floats],
    alpha: float,
    *,
    order: NDArray[np.int64],
    seed: int,
    epoch: int,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Mix what the faces of one epoch are trained towards, as their pictures are mixed.

    The loss of a mixed picture is to be s·w·L(y) + (1 - s)·v·L(z) for the labels y and z of its
    two faces and their weights w and v, 0 where a label is missing. A cross-entropy is linear in
    its target, so that is W·L(Y) with W = s·w + (1 - s)·v and Y = (s·w·y + (1 - s)·v·z) / W, which
    needs one target a picture. With equal weights, Y is s·y + (1 - s)·z.

    Args:
        values: by head, float32 [N, units]; targets of cross-entropies only.
        weights: by head, float32 [N], 0 or more.
        alpha: as `draw_mixing` takes it.
        order: int64 [steps, B] of indices of faces.
        seed: of the training.
        epoch: its number.

    Returns:
        By head: targets float32 [steps, B, units], 0 where neither face has a label; and weights
        float32 [steps, B], 0 there.
    """
    steps, size = order.shape
    drawn = [draw_mixing(size, alpha, seed=seed, epoch=epoch, step=step) for step in range(steps)]
    shares = np.stack([mixing.shares for mixing in drawn])
    partners = np.take_along_axis(order, np.stack([mixing.partners for mixing in drawn]), axis=1)
    mixed_values, mixed_weights = {}, {}
    for name, of_face in weights.items():
        own, other = shares * of_face[order], (1 - shares) * of_face[partners]
        total = own + other
        blend = own[..., None] * values[name][order] + other[..., None] * values[name][partners]
        counted = np.where(total > 0, total, 1)[..., None]
        mixed_values[name] = np.asarray(blend / counted, np.float32)
        mixed_weights[name] = total
    return mixed_values, mixed_weights
