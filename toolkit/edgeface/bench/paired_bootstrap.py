"""Interval of a mean paired difference, by bootstrap over images or over groups of copies.

In: the differences of single images, summed by group. Out: an interval.

Images of one group are copies of one photograph and not independent, so whole groups are drawn with
replacement (cluster bootstrap), and a resample's mean is over the images it happens to hold.
Source: Efron and Tibshirani 1993, chapters 8 (paired data) and 13 (percentile interval); clusters:
Davison and Hinkley 1997, section 3.8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.records import RangeError

_LEAST_BEYOND = 5  # chosen: an end of an interval that rests on fewer resamples moves with the seed
_CHUNK_DRAWS = 1 << 18  # chosen: 2 MB of drawn values at a time; larger chunks were not faster


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How the bootstrap draws.

    Attributes:
        seed: of the draws, 0 or more; every slice starts from it, so that its interval does not
            depend on which other slices there are.
        resamples: 1,000 or more. Source of the least: Efron and Tibshirani 1993, section 14; of the
            default: 25 slices put 0.1 % beyond each end, which is 10 of 10,000.
    """

    seed: int = 0
    resamples: int = 10_000

    def __post_init__(self) -> None:
        """Check ranges."""
        fields = (("seed", self.seed, 0), ("resamples", self.resamples, 1000))
        problems = [
            f"{name}: found {value}, expected {least} or more"
            for name, value, least in fields
            if value < least
        ]
        if problems:
            raise RangeError(problems)


def resamples_needed(tail: float) -> int:
    """Count the resamples that an interval needs, so that its ends do not rest on a few of them.

    Args:
        tail: share of the resamples beyond each end.
    """
    return math.ceil(_LEAST_BEYOND / tail)


def group_numbers(names: Sequence[str]) -> NDArray[np.int64]:
    """Number groups from 0 in the order in which they come, int64 [N]."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def percentile_interval(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], tail: float, drawing: Resampling
) -> tuple[float, float]:
    """Bootstrap the mean difference of an image.

    Args:
        sums: of the differences of each group's images, float64 [G].
        sizes: images of each group, float64 [G], 1 or more; all 1 where there are no copies.
        tail: share of the resamples beyond each end, 0.025 for 95 %.
        drawing: how to draw.

    Returns:
        The lower and the upper end, in the unit of `sums`.
    """
    rng = np.random.default_rng(drawing.seed)
    count = len(sums)
    rows = max(1, _CHUNK_DRAWS // count)
    alone = bool((sizes == 1).all())
    means = []
    for start in range(0, drawing.resamples, rows):
        shape = (min(rows, drawing.resamples - start), count)
        drawn = rng.integers(count, size=shape, dtype=np.int32)  # int32: twice as fast
        images = float(count) if alone else sizes[drawn].sum(axis=1)
        means.append(sums[drawn].sum(axis=1) / images)
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)
