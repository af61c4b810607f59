"""What two models say of the same faces, head by head, as scores of single images.

In: predictions of two models, and labels. Out: `Paired` values, one for each head that both have
with one meaning. No interval and no verdict is computed here (`verdict`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.verdict_rule import Margins, Task
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError, DataError, ModelError
from edgeface.model.metrics import has_truth
from edgeface.runtime.decode import class_numbers
from edgeface.types import HeadSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one model says of N faces.

    Attributes:
        name: of the artifact.
        heads: of it, as its contract has them.
        values: by head, float64 [N] or [N, K], as `runtime.decode.decode` gives them.
    """

    name: str
    heads: tuple[HeadSpec, ...]
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Paired:
    """One head: how well both models do on each image.

    Attributes:
        task: name of the head.
        in_points: whether the scores are of accuracy; else errors in years.
        margin: the largest loss that is accepted.
        candidate: scores of the one, float64 [N]: 100 or 0 where a class is right or wrong; the
            absolute error of an age, NaN without a label.
        reference: of the other.
        units: int64 [N], number of the photograph that an image is a copy of.
        has_label: bool [N], which images count.
    """

    task: Task
    in_points: bool
    margin: float
    candidate: NDArray[np.float64]
    reference: NDArray[np.float64]
    units: NDArray[np.int64]
    has_label: NDArray[np.bool_]


def shared_heads(
    candidate: Predictions, reference: Predictions, where: str
) -> tuple[HeadSpec, ...]:
    """Find the heads that two models have with one meaning: ages first, as the candidate has them.

    Args:
        candidate: one model.
        reference: the other.
        where: what is compared, for the message.

    Raises:
        BenchmarkError: there is none.
    """
    theirs = {_meaning(head) for head in reference.heads}
    shared = [head for head in candidate.heads if _meaning(head) in theirs]
    if not shared:
        found = [", ".join(each.name for each in model.heads) for model in (candidate, reference)]
        raise BenchmarkError(
            f"{where}: the one has {found[0]}, the other {found[1]}, expected a head that both "
            "have, with the same classes"
        )
    return tuple(sorted(shared, key=lambda head: head.has_classes))


def _meaning(head: HeadSpec) -> tuple[str, tuple[str, ...], str]:
    return head.name, head.classes if head.has_classes else (), head.unit


def check_comparable(
    models: Sequence[Predictions], heads: Sequence[HeadSpec], labels: Faces, where: str
) -> None:
    """Refuse answers or labels that cannot be.

    Args:
        models: one or more.
        heads: those that are compared.
        labels: of the N faces.
        where: what is compared, for messages.

    Raises:
        BenchmarkError: not one answer for each face.
        DataError: a class that cannot be.
        ModelError: a prediction that is not a number in its range.
    """
    for model in models:
        _check_predictions(model, heads, len(labels), where)
    _check_labels(labels, heads, where)


def paired(
    head: HeadSpec,
    candidate: Predictions,
    reference: Predictions,
    labels: Faces,
    margins: Margins,
    units: NDArray[np.int64],
) -> Paired:
    """Score two models on each image.

    Args:
        head: that both have, see `shared_heads`.
        candidate: one model.
        reference: the other.
        labels: of the N faces.
        margins: the largest losses that are accepted.
        units: int64 [N], number of the photograph that an image is a copy of.
    """
    return Paired(
        task=head.name,
        in_points=head.has_classes,
        margin=margins.accuracy_pp(head.name) if head.has_classes else margins.age_mae_years,
        candidate=_scores(candidate, head.name, labels),
        reference=_scores(reference, head.name, labels),
        units=units,
        has_label=has_truth(labels, head),
    )


def _scores(model: Predictions, name: str, labels: Faces) -> NDArray[np.float64]:
    """Score each image: 100 where the class is right, else 0; or the error of the age."""
    head, values = _head(model, name), model.values[name]
    if head.has_classes:
        right = class_numbers(values, head) == labels.class_of(name)
        return np.where(right, 100.0, 0.0)
    return np.asarray(np.abs(values - labels.exact_age_years))


def _head(model: Predictions, name: str) -> HeadSpec:
    return next(head for head in model.heads if head.name == name)


def _check_predictions(
    model: Predictions, heads: Sequence[HeadSpec], count: int, where: str
) -> None:
    for name in (head.name for head in heads):
        head, values = _head(model, name), model.values[name]
        least, most = (0.0, 1.0) if head.has_classes else (-math.inf, math.inf)
        shape = (count, len(head.classes)) if head.kind == "classes" else (count,)
        if values.shape != shape:
            raise BenchmarkError(
                f"{where}: {name} of {model.name} has shape {values.shape}, expected {shape}, one "
                "answer for each face; run the model on the faces whose labels these are"
            )
        bad = np.argwhere(~(np.isfinite(values) & (values >= least) & (values <= most)))
        if bad.size:
            at = tuple(int(each) for each in bad[0])
            raise ModelError(
                f"{where}: {name} of image {at[0]} by {model.name} is {values[at]}, expected a "
                f"number from {least:g} to {most:g}; the model gives no usable figures"
            )


def _check_labels(labels: Faces, heads: Sequence[HeadSpec], where: str) -> None:
    for head in heads:
        if not head.has_classes:
            continue
        numbers = labels.class_of(head.name)
        bad = np.flatnonzero(~np.isin(numbers, (UNKNOWN, *range(len(head.classes)))))
        if bad.size:
            meant = ", ".join(f"{number} ({name})" for number, name in enumerate(head.classes))
            raise DataError(
                f"{where}: {head.name} of face {bad[0]} is {numbers[bad[0]]}, expected {meant} or "
                f"{UNKNOWN} (unknown); check the manifest"
            )
