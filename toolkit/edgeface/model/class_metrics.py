"""Quality figures of a head of classes, each with a bootstrap interval. Plain numpy.

In: predictions and labels of the same images. Out: `Metric` values. Nothing is predicted here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeface.data.faces import UNKNOWN
from edgeface.errors import DataError
from edgeface.model.resampling import (
    RESAMPLES,
    Figures,
    Weights,
    checked_predictions,
    metrics_of,
    ratio,
    some,
    vector,
)
from edgeface.runtime.decode import class_numbers
from edgeface.types import HeadSpec, Metric

CALIBRATION_BINS = 15  # Source: Guo et al. 2017 (arXiv 1706.04599), table 1


def class_metrics(
    head: HeadSpec,
    predicted: ArrayLike,
    labels: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Compute all figures of a head of classes with their 95 % intervals.

    The interval of the calibration error lies too high, because chance can only add to a mean of
    absolute values; intervals of few images (`Metric.n` below 30) are too narrow.

    Args:
        head: with its classes.
        predicted: as `runtime.decode.decode` gives them: [N] probability of class 1 of a binary
            head, or [N, K].
        labels: true classes, integer [N], `UNKNOWN` where that is.
        seed: of the resampling.
        resamples: bootstrap resamples, 1 or more.

    Returns:
        Of the images with a label, as ratios: accuracy; of more than two classes
        `balanced_accuracy`, the mean recall, and `macro_f1`, the mean F1, both over the classes
        that there are; precision, recall and F1 of each class, e.g. `recall_female`; the
        confusion matrix as counts in images, `true_male_said_female` being males called female;
        `roc_auc` of two classes, left out where all images are of one; `calibration_error`.

    Raises:
        DataError: no image, arrays of different length, a label that cannot be, or no label.
        ModelError: a prediction that is not a number from 0 to 1.
        ValueError: `resamples` below 1.

    Source:
        Area under the curve: Hanley and McNeil 1982, the share of (class 1, class 0) pairs in which
        class 1 has the higher probability, ties half. Expected calibration error: Guo et al. 2017.
        Balanced accuracy: scikit-learn, `balanced_accuracy_score`. Macro F1: its
        `f1_score(average="macro")`, which also averages the 0 of a class that was named and is not
        there; chosen: left out, so that both are means over the same classes.
    """
    truth = _labels(head, labels)
    values = _answers(head, predicted, len(truth))
    known = some(head.name, "class", truth != UNKNOWN)
    figures = _figures(head, values[known], truth[known])
    count = int(known.sum())
    return tuple(metrics_of(head.name, figures, count, seed=seed, resamples=resamples))


def confusion_counts(head: HeadSpec, predicted: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Count images by true and named class; those without a label are not counted.

    Args:
        head: with its K classes.
        predicted: as in `class_metrics`.
        labels: likewise.

    Returns:
        int64 [K, K]: row is the true class, column the named one.

    Raises:
        DataError: as `class_metrics`, but for a set without any label.
        ModelError: likewise.
    """
    truth = _labels(head, labels)
    values = _answers(head, predicted, len(truth))
    classes = len(head.classes)
    counts: NDArray[np.int64] = _cells(head, values, truth).sum(axis=0).reshape(classes, classes)
    return counts


def _labels(head: HeadSpec, labels: ArrayLike) -> NDArray[np.int64]:
    array = vector(head.name, labels)
    classes = len(head.classes)
    bad = ~np.isin(array, (UNKNOWN, *range(classes)))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        meant = ", ".join(f"{number} ({name})" for number, name in enumerate(head.classes))
        raise DataError(
            f"metrics of {head.name}: the label of image {where} is {array[where]:g}, expected "
            f"{meant} or {UNKNOWN} (unknown)"
        )
    return array.astype(np.int64)


def _answers(head: HeadSpec, predicted: ArrayLike, count: int) -> NDArray[np.float64]:
    shape = (count,) if head.kind == "binary" else (count, len(head.classes))
    return checked_predictions(head.name, predicted, shape=shape, low=0.0, high=1.0)


def _cells(
    head: HeadSpec, values: NDArray[np.float64], truth: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What each image adds to the confusion matrix, int64 [N, K * K]; nothing if unknown."""
    classes = len(head.classes)
    cell = np.where(truth == UNKNOWN, UNKNOWN, classes * truth + class_numbers(values, head))
    cells: NDArray[np.int64] = (cell[:, None] == np.arange(classes * classes)).astype(np.int64)
    return cells


def _figures(head: HeadSpec, values: NDArray[np.float64], truth: NDArray[np.int64]) -> Figures:
    classes = len(head.classes)
    per_image = np.hstack([_cells(head, values, truth), _overconfidence(head, values, truth)])
    is_pair = head.kind == "binary" and len(np.unique(truth)) > 1
    pairs = _pair_ratio(values, truth) if is_pair else None

    def figures(weights: Weights) -> dict[str, NDArray[np.float64]]:
        sums, count = weights @ per_image, weights.sum(axis=1)
        confusion = sums[:, : classes * classes].reshape(-1, classes, classes)
        right = np.diagonal(confusion, axis1=1, axis2=2)
        said, there = confusion.sum(axis=1), confusion.sum(axis=2)
        precision, recall = ratio(right, said), ratio(right, there)
        f1 = ratio(2 * right, said + there)
        found = {"accuracy": right.sum(axis=1) / count}
        if head.kind != "binary":
            shown = (there > 0).sum(axis=1)
            found["balanced_accuracy"] = recall.sum(axis=1) / shown
            found["macro_f1"] = (f1 * (there > 0)).sum(axis=1) / shown
        for number, name in enumerate(head.classes):
            found |= {
                f"precision_{name}": precision[:, number],
                f"recall_{name}": recall[:, number],
                f"f1_{name}": f1[:, number],
            }
        for row, true in enumerate(head.classes):
            for column, named in enumerate(head.classes):
                found[f"true_{true}_said_{named}"] = confusion[:, row, column]
        if pairs is not None:
            found["roc_auc"] = pairs(weights)
        off = np.abs(sums[:, classes * classes :]).sum(axis=1)
        return found | {"calibration_error": off / count}

    return figures


def _overconfidence(
    head: HeadSpec, values: NDArray[np.float64], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Confidence minus 1 where the answer is right, in the column of the confidence's bin.

    Returns:
        float64 [N, 15]. The calibration error is the mean absolute column sum: a bin's share of
        the images times |its accuracy - its mean confidence| is |sum of its differences| / N.

    Source:
        Guo et al. 2017, equations 2 to 5: confidence is that of the class that is named, bins of
        equal width, closed above. Of two classes it is at least 0.5, so the lower 7 stay empty.
    """
    binary = head.kind == "binary"
    confidence = np.maximum(values, 1 - values) if binary else values.max(axis=1)
    right = class_numbers(values, head) == truth
    at = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    inside = at[:, None] == np.arange(CALIBRATION_BINS)
    excess: NDArray[np.float64] = np.where(inside, (confidence - right)[:, None], 0.0)
    return excess


def _pair_ratio(
    probability: NDArray[np.float64], truth: NDArray[np.int64]
) -> Callable[[Weights], NDArray[np.float64]]:
    """The area under the curve; of a resample that holds one class only it is 0.5, chance."""
    order = np.argsort(probability, kind="stable")
    first = truth[order].astype(np.float64)
    _, starts = np.unique(probability[order], return_index=True)

    def area(weights: Weights) -> NDArray[np.float64]:
        ordered = weights[:, order]
        ones = np.add.reduceat(ordered * first, starts, axis=1)  # one column a probability
        zeros = np.add.reduceat(ordered * (1 - first), starts, axis=1)
        below = np.cumsum(zeros, axis=1) - zeros
        won = (ones * (below + zeros / 2)).sum(axis=1)
        pairs = ones.sum(axis=1) * zeros.sum(axis=1)
        return np.asarray(np.divide(won, pairs, out=np.full_like(won, 0.5), where=pairs > 0))

    return area
