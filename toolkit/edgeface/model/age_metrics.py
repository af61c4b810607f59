"""Quality figures of a head that gives an age, each with a bootstrap interval. Plain numpy.

In: predictions and labels of the same images. Out: `Metric` values. Nothing is predicted here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeface.errors import DataError
from edgeface.model.resampling import (
    RESAMPLES,
    Figures,
    Weights,
    checked_predictions,
    metrics_of,
    some,
    vector,
)
from edgeface.types import Metric

# Source: Geng, Zhou and Smith-Miles 2007, Automatic Age Estimation Based on Facial Aging Patterns,
# for the cumulative score; that it is read at 5 years: issue 5
CUMULATIVE_YEARS = 5.0
LAST_DECADE = 10  # Source: docs/seeds.md S3, 11 decades; the last has all from 100 years on
# chosen: rounding leaves some 1e-16 of the sum of squares where all drawn ages are one
_NO_SPREAD_RATIO = 1e-12


def age_metrics(
    task: str,
    predicted: ArrayLike,
    labels: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Compute all figures of ages with their 95 % intervals.

    Args:
        task: name of the head.
        predicted: age in years, [N].
        labels: true age in years, [N]; NaN where it is unknown or known as an interval only.
        seed: of the resampling.
        resamples: bootstrap resamples, 1 or more.

    Returns:
        Of the images with an exact age: mae and rmse in years; `r2`, at most 1 and below 0 for a
        model that is worse than the mean age, left out where all are of one age;
        `within_5_years`, the share of errors up to that; `decade_accuracy`, the share whose
        predicted age lies in the true one's decade, 100 years and more being one; then the MAE of
        each decade that there is, `mae_20_29`. `Metric.n` counts the images, of the decade.

    Raises:
        DataError: no image, arrays of different length, a label that cannot be, or no exact age.
        ModelError: a prediction that is not a number.
        ValueError: `resamples` below 1.

    Source:
        R²: scikit-learn, `r2_score`.
    """
    ages = _labels(task, labels)
    years = checked_predictions(task, predicted, shape=ages.shape, low=-np.inf, high=np.inf)
    known = some(task, "exact age", ~np.isnan(ages))
    years, ages = years[known], ages[known]
    figures = _figures(years, ages)
    metrics = list(metrics_of(task, figures, len(ages), seed=seed, resamples=resamples))
    decades = (ages // 10).astype(np.int64)
    for decade in np.unique(decades):
        inside = np.abs(years - ages)[decades == decade]
        name = f"mae_{10 * decade}_{10 * decade + 9}"
        mean = _mean(name, inside)
        metrics += metrics_of(task, mean, len(inside), seed=seed, resamples=resamples)
    return tuple(metrics)


def decades_of(years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Number of the decade of each age, 0 to `LAST_DECADE`; NaN stays."""
    return np.clip(np.floor(years / 10), 0, LAST_DECADE)


def _labels(task: str, labels: ArrayLike) -> NDArray[np.float64]:
    array = vector(task, labels)
    bad = ~(np.isnan(array) | (np.isfinite(array) & (array >= 0)))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"metrics of {task}: the label of image {where} is {array[where]}, expected years "
            "from 0, or NaN (unknown)"
        )
    return array


def _figures(years: NDArray[np.float64], ages: NDArray[np.float64]) -> Figures:
    errors = years - ages
    near = np.abs(errors) <= CUMULATIVE_YEARS
    in_decade = decades_of(years) == decades_of(ages)
    from_mean = ages - ages.mean()  # R² does not change, and rounding matters less
    per_image = np.column_stack(
        [np.abs(errors), errors**2, near, in_decade, from_mean, from_mean**2]
    )
    has_spread = bool(np.ptp(ages) > 0)

    def figures(weights: Weights) -> dict[str, NDArray[np.float64]]:
        absolute, squared, close, same, linear, square = (weights @ per_image).T
        count = weights.sum(axis=1)
        found = {"mae": absolute / count, "rmse": np.sqrt(squared / count)}
        if has_spread:
            found["r2"] = _explained(squared, square - linear**2 / count, square)
        found[f"within_{CUMULATIVE_YEARS:g}_years"] = close / count
        return found | {"decade_accuracy": same / count}

    return figures


def _explained(
    squared_error: NDArray[np.float64], spread: NDArray[np.float64], square: NDArray[np.float64]
) -> NDArray[np.float64]:
    """R²; of a resample of one age only: 1 if every prediction is right, else 0.

    Source: scikit-learn, `r2_score(force_finite=True)`.
    """
    one_age = np.where(squared_error > 0, 0.0, 1.0)
    lost = np.divide(
        squared_error, spread, out=1 - one_age, where=spread > _NO_SPREAD_RATIO * square
    )
    return np.asarray(1 - lost)


def _mean(name: str, values: NDArray[np.float64]) -> Figures:
    return lambda weights: {name: weights @ values / weights.sum(axis=1)}
