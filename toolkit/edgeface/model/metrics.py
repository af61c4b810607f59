"""Quality figures of gender and age, each with a bootstrap interval. Plain numpy.

In: predictions and labels of the same images. Out: `Metric` values. Nothing is predicted here.

The figures of a task are those of the images that have its label, as if there were no others.
Every figure is a function of how often each image counts: once each for the value, as often as it
was drawn for a bootstrap resample.

0/0, e.g. the precision of a class that was never predicted, is 0.0 and not NaN: a model that
never says "female" has earned nothing for it, and NaN cannot be written as JSON.
Source: scikit-learn, `precision_score(zero_division=0)`.
Two figures would mislead so and are left out where they are 0/0 of all images: the area under the
curve where all faces are of one gender, and R² where all are of one age.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeface.data.faces import UNKNOWN
from edgeface.errors import DataError, ModelError
from edgeface.types import GENDER_CLASSES, Metric

# Source: two-sided 95 % percentile interval, Efron and Tibshirani 1993, chapter 13.
INTERVAL_QUANTILES = (0.025, 0.975)
FEMALE_THRESHOLD = 0.5  # Source: the two errors cost the same, so the likelier class is named.
CALIBRATION_BINS = 15  # Source: Guo et al. 2017 (arXiv 1706.04599), table 1
# Source: Geng, Zhou and Smith-Miles 2007, Automatic Age Estimation Based on Facial Aging Patterns,
# for the cumulative score; that it is read at 5 years: issue 5
CUMULATIVE_YEARS = 5.0
_CHUNK_RESAMPLES = 50  # chosen: each array stays below 10 MB at 24,000 images; speed is the same
# chosen: rounding leaves some 1e-16 of the sum of squares where all drawn ages are one
_NO_SPREAD_RATIO = 1e-12

_Weights = NDArray[np.float64]
_Figures = Callable[[_Weights], dict[str, NDArray[np.float64]]]
"""How often each image counts, [R, N], to the figures by name, [R] each."""


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
    those that have the task's label, the same draw serves every figure of the task. Two intervals
    are to be read with care: that of the calibration error lies too high, because chance can only
    add to a mean of absolute values; that of few images (`Metric.n` below 30) is too narrow.

    Args:
        p_female: probability of class 1, [N], 0 to 1; 0.5 and above counts as female.
        gender: true class, integer [N], 0 male, 1 female, `UNKNOWN` where that is.
        age_pred: predicted age in years, [N].
        age_true: true age in years, [N]; NaN where it is unknown or known as an interval only.
        seed: of the resampling.
        resamples: bootstrap resamples, 1 or more.

    Returns:
        gender, as ratios: accuracy, then precision, recall and F1 of male and of female; the
        confusion matrix as counts in images, `true_male_said_female` being males called female;
        `roc_auc`, left out where all are of one gender; `calibration_error`.
        age: mae and rmse in years; `r2`, at most 1 and below 0 for a model that is worse than the
        mean age, left out where all are of one age; `within_5_years`, the share of errors up to
        that; then the MAE of each decade that there is, `mae_20_29`. `Metric.n` counts the images
        that have the task's label, and are of the decade.

    Raises:
        DataError: no image, arrays of different length, a label that cannot be, or a task of
            which no image has the label.
        ModelError: a prediction that is not a number in its range.
        ValueError: `resamples` below 1.

    Source:
        1,000 resamples: Efron and Tibshirani 1993, section 14. Area under the curve: Hanley and
        McNeil 1982, the share of (female, male) pairs in which the female has the higher
        probability, ties half. Expected calibration error: Guo et al. 2017. R²: scikit-learn,
        `r2_score`.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected 1 or more")
    genders, ages = _gender_labels(gender), _age_labels(age_true)
    probability = _predictions("p_female", p_female, high=1.0)
    years = _predictions("age_pred", age_pred, high=np.inf, low=-np.inf)
    for name, array in (("p_female", probability), ("age_pred", years), ("age_true", ages)):
        _check_length(name, array, genders)
    has_gender = _some("gender", genders != UNKNOWN)
    has_age = _some("exact age", ~np.isnan(ages))
    of_gender = _gender_figures(probability[has_gender], genders[has_gender])
    metrics = list(_metrics("gender", of_gender, int(has_gender.sum()), seed, resamples))
    errors, ages = years[has_age] - ages[has_age], ages[has_age]
    metrics += _metrics("age", _age_figures(errors, ages), len(ages), seed, resamples)
    decades = (ages // 10).astype(np.int64)
    for decade in np.unique(decades):
        inside = errors[decades == decade]
        name = f"mae_{10 * decade}_{10 * decade + 9}"
        metrics += _metrics("age", _mean_figure(name, np.abs(inside)), len(inside), seed, resamples)
    return tuple(metrics)


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
    _check_length("p_female", probability, truth)
    counts: NDArray[np.int64] = _cells(probability, truth).sum(axis=0).reshape(2, 2)
    return counts


def _check_length(name: str, array: NDArray[np.float64], gender: NDArray[np.int64]) -> None:
    if len(array) != len(gender):
        raise DataError(
            f"metrics: {name} has {len(array)} values and gender {len(gender)}, expected one "
            "of each for every image"
        )


def _metrics(
    task: str, figures: _Figures, count: int, seed: int, resamples: int
) -> Iterator[Metric]:
    """The figures of `count` images with their intervals."""
    drawn = [figures(weights) for weights in _draws(count, seed, resamples)]
    for name, (value,) in figures(np.ones((1, count))).items():
        resampled = np.concatenate([each[name] for each in drawn])
        low, high = np.quantile(resampled, INTERVAL_QUANTILES)
        yield Metric(
            task=task,
            name=name,
            value=float(value),
            low=float(low),
            high=float(high),
            unit=_unit(name),
            n=count,
        )


def _unit(name: str) -> str:
    if name.startswith("true_"):
        return "images"
    return "years" if name == "rmse" or name.startswith("mae") else "ratio"


def _draws(count: int, seed: int, resamples: int) -> Iterator[_Weights]:
    """How often each of `count` images is drawn, some resamples [rows, count] at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK_RESAMPLES):
        rows = min(_CHUNK_RESAMPLES, resamples - start)
        drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times_drawn = np.bincount(drawn.ravel(), minlength=rows * count)
        yield times_drawn.reshape(rows, count).astype(np.float64)


def _some(label: str, has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not has.any():
        raise DataError(
            f"metrics: none of {len(has)} images has a known {label}, expected at least one; "
            "measure on a data set that has it"
        )
    return has


def _cells(p_female: NDArray[np.float64], gender: NDArray[np.int64]) -> NDArray[np.int64]:
    """What each image adds to the confusion matrix, int64 [N, 4]; nothing where it is unknown."""
    cell = np.where(gender == UNKNOWN, UNKNOWN, 2 * gender + (p_female >= FEMALE_THRESHOLD))
    cells: NDArray[np.int64] = (cell[:, None] == np.arange(4)).astype(np.int64)
    return cells


def _gender_figures(p_female: NDArray[np.float64], gender: NDArray[np.int64]) -> _Figures:
    per_image = np.hstack([_cells(p_female, gender), _overconfidence(p_female, gender)])
    pairs = _pair_ratio(p_female, gender) if len(np.unique(gender)) > 1 else None

    def figures(weights: _Weights) -> dict[str, NDArray[np.float64]]:
        sums, count = weights @ per_image, weights.sum(axis=1)
        confusion = sums[:, :4].reshape(-1, 2, 2)
        right = np.diagonal(confusion, axis1=1, axis2=2)
        found = {"accuracy": right.sum(axis=1) / count}
        for index, name in enumerate(GENDER_CLASSES):
            said, there = confusion[:, :, index].sum(axis=1), confusion[:, index].sum(axis=1)
            found |= {
                f"precision_{name}": _ratio(right[:, index], said),
                f"recall_{name}": _ratio(right[:, index], there),
                f"f1_{name}": _ratio(2 * right[:, index], said + there),
            }
        for row, true in enumerate(GENDER_CLASSES):
            for column, said_name in enumerate(GENDER_CLASSES):
                found[f"true_{true}_said_{said_name}"] = confusion[:, row, column]
        if pairs is not None:
            found["roc_auc"] = pairs(weights)
        found["calibration_error"] = np.abs(sums[:, 4:]).sum(axis=1) / count
        return found

    return figures


def _overconfidence(
    p_female: NDArray[np.float64], gender: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Confidence minus 1 where the answer is right, in the column of the confidence's bin.

    Returns:
        float64 [N, 15]. The calibration error is the mean absolute column sum: a bin's share of
        the images times |its accuracy - its mean confidence| is |sum of its differences| / N.

    Source:
        Guo et al. 2017, equations 2 to 5: confidence is that of the class that is named, bins of
        equal width, closed above. Of two classes it is at least 0.5, so the lower 7 stay empty.
    """
    confidence = np.maximum(p_female, 1 - p_female)
    right = (p_female >= FEMALE_THRESHOLD) == gender
    at = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    inside = at[:, None] == np.arange(CALIBRATION_BINS)
    excess: NDArray[np.float64] = np.where(inside, (confidence - right)[:, None], 0.0)
    return excess


def _pair_ratio(
    p_female: NDArray[np.float64], gender: NDArray[np.int64]
) -> Callable[[_Weights], NDArray[np.float64]]:
    """The area under the curve; of a resample that holds one gender only it is 0.5, chance."""
    order = np.argsort(p_female, kind="stable")
    female = gender[order].astype(np.float64)
    _, starts = np.unique(p_female[order], return_index=True)

    def ratio(weights: _Weights) -> NDArray[np.float64]:
        ordered = weights[:, order]
        females = np.add.reduceat(ordered * female, starts, axis=1)  # one column a probability
        males = np.add.reduceat(ordered * (1 - female), starts, axis=1)
        below = np.cumsum(males, axis=1) - males
        won = (females * (below + males / 2)).sum(axis=1)
        pairs = females.sum(axis=1) * males.sum(axis=1)
        return np.asarray(np.divide(won, pairs, out=np.full_like(won, 0.5), where=pairs > 0))

    return ratio


def _age_figures(errors: NDArray[np.float64], ages: NDArray[np.float64]) -> _Figures:
    near = np.abs(errors) <= CUMULATIVE_YEARS
    from_mean = ages - ages.mean()  # R² does not change, and rounding matters less
    per_image = np.column_stack([np.abs(errors), errors**2, near, from_mean, from_mean**2])
    has_spread = bool(np.ptp(ages) > 0)

    def figures(weights: _Weights) -> dict[str, NDArray[np.float64]]:
        absolute, squared, close, linear, square = (weights @ per_image).T
        count = weights.sum(axis=1)
        found = {"mae": absolute / count, "rmse": np.sqrt(squared / count)}
        if has_spread:
            found["r2"] = _explained(squared, square - linear**2 / count, square)
        found[f"within_{CUMULATIVE_YEARS:g}_years"] = close / count
        return found

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


def _mean_figure(name: str, values: NDArray[np.float64]) -> _Figures:
    return lambda weights: {name: weights @ values / weights.sum(axis=1)}


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
