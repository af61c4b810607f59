"""Choosing the calibration set: a small part of the training split that shows its variety."""

from __future__ import annotations

import numpy as np

from edgeface.data.faces import Faces
from edgeface.data.split import seeded_hash


def choose_calibration(train: Faces, count: int, seed: int) -> Faces:
    """Take evenly spaced images from the training split sorted by age decade and gender.

    So each stratum is there in proportion. Fewer images than `count` are all taken.

    Args:
        train: faces of the training split, and of no other.
        count: images wanted.
        seed: of the order within a stratum.

    Returns:
        `count` faces, or all.
    """
    decade = train.age_years.astype(np.int64) // 10
    order = sorted(
        range(len(train)),
        key=lambda i: (train.gender[i], decade[i], seeded_hash(seed, train.ids[i])),
    )
    count = min(count, len(order))
    chosen = [order[(2 * k + 1) * len(order) // (2 * count)] for k in range(count)]
    return Faces(
        ids=tuple(train.ids[i] for i in chosen),
        images=train.images[chosen],
        age_years=train.age_years[chosen],
        gender=train.gender[chosen],
    )
