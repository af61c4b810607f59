"""Quality figures of gender and age, each with a bootstrap interval. Plain numpy.

In: predictions and labels of the same images. Out: `Metric` values. Nothing is predicted here.

The figures of a task are those of the images that have its label, as if there were no others.
Every figure is a function of six sums over its images (four cells of the confusion matrix,
absolute and squared age error), so that a bootstrap resample is one row of a matrix product.

0/0, e.g. the precision of a class that was never predicted, is 0.0 and not NaN: a model that
never says "female" has earned nothing for it, and NaN cannot be written as JSON.
Source: scikit-learn, `precision_score(zero_division=0)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeface.data.faces import UNKNOWN
from edgeface.errors import DataError, ModelError
from edgeface.types import GENDER_CLASSES, Metric

# Source: two-sided 95 % percentile interval, Efron and Tibshirani 1993, chapter 13.
INTERVAL_QUANTILES = (0.025, 0.975)
FEMALE_THRESHOLD = 0.5  # Source: the two errors cost the same, so the likelier class is named.
_Figures = Callable[[NDArray[np.float64], int], dict[str, NDArray[np.float64]]]
_CHUNK_RESAMPLES = 50  # chosen: each array stays below 10 MB at 24,000 images; speed is the same


def quality_metrics(
    *,
    p_female: ArrayLike,
    gender: ArrayLike,
    age_pred: ArrayLike,
    age_true: ArrayLike,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Metric, ...]:
    """Compute all figures of gender and age with their 95 % intervals.

    The interval is the percentile bootstrap over images: images are drawn with replacement from
    those that have the task's label, the same draw serves every figure of the task.

    Args:
        p_female: probability of class 1, [N], 0 to 1; 0.5 and above counts as female.
        gender: true class, integer [N], 0 male, 1 female, `UNKNOWN` where that is.
        age_pred: predicted age in years, [N].
        age_true: true age in years, [N]; NaN where it is unknown or known as an interval only.
        seed: of the resampling.
        resamples: bootstrap resamples, 1 or more.

    Returns:
        gender: accuracy, then precision, recall and F1 of male and of female, as ratios;
        age: mae and rmse in years. `Metric.n` counts the images that have the task's label.

    Raises:
        DataError: no image, arrays of different length, a label that cannot be, or a task of
            which no image has the label.
        ModelError: a prediction that is not a number in its range.
        ValueError: `resamples` below 1.

    Source:
        1,000 resamples: Efron and Tibshirani 1993, section 14.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected 1 or more")
    genders, ages = _gender_labels(gender), _age_labels(age_true)
    per_image = _per_image(
        _predictions("p_female", p_female, high=1.0),
        genders,
        _predictions("age_pred", age_pred, high=np.inf, low=-np.inf),
        ages,
    )
    has_gender = _some("gender", genders != UNKNOWN)
    has_age = _some("exact age", ~np.isnan(ages))
    of_gender = _resampled_sums(per_image[has_gender], seed, resamples)
    same = np.array_equal(has_gender, has_age)
    of_age = of_gender if same else _resampled_sums(per_image[has_age], seed, resamples)
    return (
        *_metrics("gender", "ratio", _gender_figures, per_image[has_gender], of_gender),
        *_metrics("age", "years", _age_figures, per_image[has_age], of_age),
    )


def confusion_counts(*, p_female: ArrayLike, gender: ArrayLike) -> NDArray[np.int64]:
    """Count images by true and predicted gender; those of unknown gender are not counted.

    Args:
        p_female: probability of class 1, [N], 0 to 1; 0.5 and above counts as female.
        gender: true class, integer [N], 0 male, 1 female, `UNKNOWN` where that is.

    Returns:
        int64 [2, 2]: row is the true class, column the predicted one, 0 male, 1 female.

    Raises:
        DataError: no image, arrays of different length, or a label that cannot be.
        ModelError: a probability outside 0 to 1.
    """
    truth = _gender_labels(gender)
    probability = _predictions("p_female", p_female, high=1.0)
    no_age = np.zeros(len(truth))
    cells = _per_image(probability, truth, no_age, no_age).sum(axis=0)[:4]
    counts: NDArray[np.int64] = cells.astype(np.int64).reshape(2, 2)
    return counts


def _per_image(
    p_female: NDArray[np.float64],
    gender: NDArray[np.int64],
    age_pred: NDArray[np.float64],
    age_true: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What each image adds to the six sums, float64 [N, 6]; nothing where a label is missing."""
    for name, array in (("p_female", p_female), ("age_pred", age_pred), ("age_true", age_true)):
        if len(array) != len(gender):
            raise DataError(
                f"metrics: {name} has {len(array)} values and gender {len(gender)}, expected one "
                "of each for every image"
            )
    cell = np.where(gender == UNKNOWN, UNKNOWN, 2 * gender + (p_female >= FEMALE_THRESHOLD))
    error = np.where(np.isnan(age_true), 0.0, age_pred - age_true)
    return np.column_stack([cell[:, None] == np.arange(4), np.abs(error), error**2])


def _resampled_sums(
    per_image: NDArray[np.float64], seed: int, resamples: int
) -> NDArray[np.float64]:
    """The six sums of each bootstrap resample, float64 [R, 6]."""
    rng = np.random.default_rng(seed)
    count = len(per_image)
    sums = []
    for start in range(0, resamples, _CHUNK_RESAMPLES):
        rows = min(_CHUNK_RESAMPLES, resamples - start)
        drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times_drawn = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        sums.append(times_drawn @ per_image)
    return np.concatenate(sums)


def _some(label: str, has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not has.any():
        raise DataError(
            f"metrics: none of {len(has)} images has a known {label}, expected at least one; "
            "measure on a data set that has it"
        )
    return has


def _metrics(
    task: str,
    unit: str,
    figures: _Figures,
    per_image: NDArray[np.float64],
    resampled_sums: NDArray[np.float64],
) -> tuple[Metric, ...]:
    """Figures of one task, from what the n images that have its label add to the sums."""
    count = len(per_image)
    resampled = figures(resampled_sums, count)
    metrics = []
    for name, value in figures(per_image.sum(axis=0), count).items():
        low, high = np.quantile(resampled[name], INTERVAL_QUANTILES)
        metrics.append(
            Metric(
                task=task,
                name=name,
                value=float(value),
                low=float(low),
                high=float(high),
                unit=unit,
                n=count,
            )
        )
    return tuple(metrics)


def _gender_figures(sums: NDArray[np.float64], count: int) -> dict[str, NDArray[np.float64]]:
    """Figures from the six sums of `count` images, [..., 6] to name -> [...]."""
    confusion = sums[..., :4].reshape(*sums.shape[:-1], 2, 2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    figures = {"accuracy": right.sum(axis=-1) / count}
    for index, name in enumerate(GENDER_CLASSES):
        said = confusion[..., :, index].sum(axis=-1)
        there = confusion[..., index, :].sum(axis=-1)
        figures |= {
            f"precision_{name}": _ratio(right[..., index], said),
            f"recall_{name}": _ratio(right[..., index], there),
            f"f1_{name}": _ratio(2 * right[..., index], said + there),
        }
    return figures


def _age_figures(sums: NDArray[np.float64], count: int) -> dict[str, NDArray[np.float64]]:
    """Figures from the six sums of `count` images, [..., 6] to name -> [...]."""
    return {"mae": sums[..., 4] / count, "rmse": np.sqrt(sums[..., 5] / count)}


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide, with 0/0 = 0.0 as the module says."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise DataError(
            f"metrics: {name} has shape {array.shape}, expected one value for each of at least "
            "one image"
        )
    return array


def _predictions(
    name: str, values: ArrayLike, *, high: float, low: float = 0.0
) -> NDArray[np.float64]:
    array = _vector(name, values)
    bad = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise ModelError(
            f"metrics: {name} of image {where} is {array[where]}, expected a number from {low:g} "
            f"to {high:g}; the model gives no usable figures"
        )
    return array


def _gender_labels(values: ArrayLike) -> NDArray[np.int64]:
    array = _vector("gender", values)
    bad = ~np.isin(array, (UNKNOWN, 0, 1))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"metrics: gender of image {where} is {array[where]:g}, expected 0 (male), "
            f"1 (female) or {UNKNOWN} (unknown)"
        )
    return array.astype(np.int64)


def _age_labels(values: ArrayLike) -> NDArray[np.float64]:
    array = _vector("age_true", values)
    bad = ~(np.isnan(array) | (np.isfinite(array) & (array >= 0)))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"metrics: age_true of image {where} is {array[where]:g}, expected years from 0, "
            "or NaN (unknown)"
        )
    return array
