"""Ages, exact or in bins, to what the age head is trained towards.

In: age intervals. Out: distributions over the head's bins. Knows nothing of where ages come from.
The only place with the normal around an age.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.data.labels import MAX_AGE_YEARS
from edgeface.errors import DataError

_YEARS = np.arange(MAX_AGE_YEARS + 1, dtype=np.float64)
_HALF_DECADE_YEARS = 5.0

Ages = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]


def interval_bins(
    low_years: Ages, high_years: Ages, bins: Sequence[float], sigma_years: float
) -> NDArray[np.float64]:
    """Spread each age interval over the bins: the average of the normals of its years.

    An exact age (low = high) is the interval of its one year. Years outside the bins are not
    counted, as long as the interval has one inside: a head up to 100 learns "70 to 120" as 70 to
    100. Else 21 years of that bin would count as 100, and its mean be 89. An interval wholly
    outside counts as the nearest bin.

    Args:
        low_years: [N], whole numbers, 0 to 120.
        high_years: [N], whole numbers, `low_years` to 120; included.
        bins: centres in years, rising.
        sigma_years: width of the normal of one year, above 0.

    Returns:
        float64 [N, bins]; rows add up to 1.

    Raises:
        DataError: lengths differ, bins do not rise, σ is not above 0, or an age is missing, not
            whole, out of range, or low is above high.

    Source:
        Normal around an age: Gao et al. 2017, Deep Label Distribution Learning (arXiv 1611.01731).
        Equal weight of the years of an interval: chosen, because a bin says nothing else.
    """
    centres = np.asarray(bins, np.float64)
    low, high = np.asarray(low_years, np.float64), np.asarray(high_years, np.float64)
    _check(low, high, centres, sigma_years)
    targets = _normals(_YEARS, centres, sigma_years)
    return _shared_out(low, high, targets, first=centres[0], last=centres[-1])


def decade_shares(
    low_years: Ages, high_years: Ages, middles: Sequence[float]
) -> NDArray[np.float64]:
    """Share each age interval out among decades, as many of its years as lie in each.

    Years after the first of the last decade are not counted, as long as the interval has an
    earlier one, as in `interval_bins`: "70 to 120" is 70 to 100. Else 21 of its 51 years would
    make the last decade, in which there is hardly a face, the likeliest of that bin.

    Args:
        low_years: [N], whole numbers, 0 to 120.
        high_years: [N], whole numbers, `low_years` to 120; included.
        middles: of the decades in years, rising by ten; the last one has all older years too.

    Returns:
        float64 [N, decades]; rows add up to 1, an exact age is 1 in its decade.

    Raises:
        DataError: as `interval_bins`.
    """
    centres = np.asarray(middles, np.float64)
    low, high = np.asarray(low_years, np.float64), np.asarray(high_years, np.float64)
    _check(low, high, centres, 1.0)
    decade = np.searchsorted(centres[:-1] + _HALF_DECADE_YEARS, _YEARS, side="right")
    targets = (decade[:, None] == np.arange(len(centres))).astype(np.float64)
    return _shared_out(low, high, targets, first=0.0, last=centres[-1] - _HALF_DECADE_YEARS)


def _shared_out(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    targets: NDArray[np.float64],
    *,
    first: float,
    last: float,
) -> NDArray[np.float64]:
    """Average the targets [years, bins] of each interval's years from `first` to `last`."""
    # a set has few distinct intervals, however many faces: nine in FairFace, 121 exact ages
    pairs, of_pair = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    inside = (first <= _YEARS) & (last >= _YEARS)
    counted = (pairs[:, :1] <= _YEARS) & (pairs[:, 1:] >= _YEARS)
    has_one = (counted & inside).any(axis=1)
    counted[has_one] &= inside
    shares = counted / counted.sum(axis=1, keepdims=True)
    return np.asarray((shares @ targets)[of_pair.reshape(-1)], np.float64)


def _check(
    low: NDArray[np.float64], high: NDArray[np.float64], bins: NDArray[np.float64], sigma: float
) -> None:
    if low.ndim != 1 or low.shape != high.shape:
        raise DataError(
            f"age intervals: found shapes {list(low.shape)} and {list(high.shape)}, "
            "expected [N] and [N]"
        )
    if bins.ndim != 1 or not bins.size or not np.all(np.diff(bins) > 0):
        raise DataError("age bins: expected one row of rising centres")
    if not sigma > 0:
        raise DataError(f"age sigma: found {sigma} years, expected more than 0")
    good = (low >= 0) & (low <= high) & (high <= MAX_AGE_YEARS)
    good &= (low == np.floor(low)) & (high == np.floor(high))  # NaN compares false above
    if not good.all():
        at = int(np.argmin(good))
        raise DataError(
            f"age interval {at}: found {low[at]:g} to {high[at]:g} years, expected whole numbers "
            f"from 0 to {MAX_AGE_YEARS}, the lower first; leave faces without an age out"
        )


def _normals(
    years: NDArray[np.float64], centres: NDArray[np.float64], sigma_years: float
) -> NDArray[np.float64]:
    clipped = np.clip(years, centres[0], centres[-1])
    halves = 0.5 * ((clipped[:, None] - centres) / sigma_years) ** 2
    # relative to the nearest bin, so that a narrow normal between two bins is not 0 / 0
    weight = np.exp(halves.min(axis=1, keepdims=True) - halves)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
