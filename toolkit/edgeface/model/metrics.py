"""Quality figures of all heads of a model. Plain numpy.

In: predictions and faces with their labels. Out: `Metric` values. Nothing is predicted here.

The figures of a head are those of the images that have its label, as if there were no others.
Two figures would mislead and are left out where they are 0/0 of all images: the area under the
curve where all faces are of one class, and R² where all are of one age.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import DataError
from edgeface.model.age_metrics import age_metrics
from edgeface.model.class_metrics import class_metrics
from edgeface.model.resampling import RESAMPLES
from edgeface.types import HeadSpec, Metric


def head_metrics(
    heads: Sequence[HeadSpec],
    predicted: Mapping[str, NDArray[np.float64]],
    faces: Faces,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Compute all figures of each head that a face has a label of.

    The interval is the percentile bootstrap over images: images are drawn with replacement from
    those that have the head's label, the same draw serves every figure of the head.

    Args:
        heads: of the model; `Metric.task` is a head's name.
        predicted: by head, as `runtime.decode.decode` gives them for the N faces.
        faces: N of them; images are not looked at.
        seed: of the resampling.
        resamples: bootstrap resamples, 1 or more.

    Returns:
        As `class_metrics` and `age_metrics` list them, in the order of the heads.

    Raises:
        DataError: no face has a label of any head, a label that cannot be, or predictions of
            another number of faces.
        ModelError: a prediction that is not a number in its range.
    """
    labelled = [head for head in heads if has_truth(faces, head).any()]
    if not labelled:
        raise DataError(
            f"metrics: none of {len(faces)} faces has a label of "
            f"{', '.join(head.name for head in heads)}, expected at least one; measure on a data "
            "set that has it"
        )
    found: list[Metric] = []
    for head in labelled:
        values = predicted[head.name]
        if head.has_classes:
            truth = faces.class_of(head.name)
            found += class_metrics(head, values, truth, seed=seed, resamples=resamples)
        else:
            ages = faces.exact_age_years
            found += age_metrics(head.name, values, ages, seed=seed, resamples=resamples)
    return tuple(found)


def has_truth(faces: Faces, head: HeadSpec) -> NDArray[np.bool_]:
    """Where a head can be measured, bool [N]: a class is known, or an age exactly."""
    if head.has_classes:
        return np.asarray(faces.class_of(head.name) != UNKNOWN)
    return ~np.isnan(faces.exact_age_years)
