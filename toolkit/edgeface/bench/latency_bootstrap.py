"""How sure a percentile of latency is, by a bootstrap over processes and runs.

In: `LatencySamples`. Out: intervals of percentiles, and of ratios of percentiles.

Runs of one process share its memory layout, its clock and its moment; so whole processes are drawn
with replacement, and in each the runs, and the percentile is taken of all drawn runs. Source:
Kalibera and Jones 2012, Quantifying Performance Changes with Effect Size Confidence Intervals
(University of Kent, report 4-12; arXiv 2007.10899): random variation at every level must be drawn
anew at that level, and a change is given as the interval of a ratio. Runs within a process are
drawn as if each were independent, which neighbours are not quite; what lasts longer than a process
shows between the processes.

A bootstrap of few processes is too narrow: by sqrt((n - 1) / n) because the spread in a sample is
smaller than the true one, and by z / t because the spread is itself uncertain. Both are undone
here, on the logarithm, where a ratio is a difference. Source: Hesterberg 2015, What Teachers Should
Know About the Bootstrap (The American Statistician 69:371), narrowness bias and expanded percentile
interval; degrees of freedom of two samples: Welch 1947. With the 3 processes that a benchmark has
by default this widens the interval of a ratio 1.7-fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.latency import LatencySamples

RESAMPLES = 2000
"""Chosen: 50 of them lie beyond each end of the interval, and a model that made 30,000 runs takes
0.6 s here. Even, because `_opposite` pairs them."""

_SEED = 0  # the same for every model, so that an interval does not depend on its neighbours
_TAIL = 0.025  # Source: docs/design.md, Results, Protocol: 95 % intervals
_Z = 1.959964  # Source: the normal distribution's 0.975 quantile
_MAX_DEGREES = 1e4  # beyond it t is z to four digits
Resampled = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % interval; in ms, or a ratio.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float


def resampled_percentiles(samples: LatencySamples, percents: Sequence[float]) -> Resampled:
    """Draw processes, then their runs, and take the percentiles of each such draw.

    Args:
        samples: of one model.
        percents: 0 to 100.

    Returns:
        Logarithms of milliseconds, float64 [RESAMPLES, len(percents)].
    """
    random = np.random.default_rng(_SEED)
    repeats = [np.asarray(repeat) for repeat in samples.repeats]
    shares = np.asarray(percents) / 100
    found = np.empty((RESAMPLES, len(percents)))
    for row in range(RESAMPLES):
        drawn = [
            repeats[at][random.integers(len(repeats[at]), size=len(repeats[at]))]
            for at in random.integers(len(repeats), size=len(repeats))
        ]
        found[row] = _percentiles(np.concatenate(drawn), shares)
    return np.log(found)


def percentile_intervals(
    samples: LatencySamples, percents: Sequence[float]
) -> tuple[Interval | None, ...]:
    """Give the 95 % interval of percentiles, in ms.

    Args:
        samples: of one model.
        percents: 0 to 100.

    Returns:
        One a percentile; None where there is one process, which cannot tell how others would
        differ.
    """
    count = len(samples.repeats)
    if count < 2:
        return tuple(None for _ in percents)
    logs = resampled_percentiles(samples, percents)
    factor = _widened(count) * t_quantile(count - 1) / _Z
    return tuple(_interval(logs[:, column], factor) for column in range(len(percents)))


def ratio_intervals(
    a: LatencySamples, b: LatencySamples, percents: Sequence[float]
) -> tuple[Interval | None, ...]:
    """Give the 95 % interval of b's percentiles over a's.

    Swapping a and b gives the reciprocal intervals, and equal samples an interval around 1.

    Args:
        a: of the first model or run.
        b: of the second.
        percents: 0 to 100.

    Returns:
        One a percentile; None where a or b has one process.
    """
    counts = (len(a.repeats), len(b.repeats))
    if min(counts) < 2:
        return tuple(None for _ in percents)
    sides = [resampled_percentiles(each, percents) for each in (a, b)]
    found = []
    for column in range(len(percents)):
        spread = [
            _centred(side[:, column]) * _widened(count)
            for side, count in zip(sides, counts, strict=True)
        ]
        middle = float(np.median(sides[1][:, column]) - np.median(sides[0][:, column]))
        degrees = _welch_degrees([float(each.var()) for each in spread], counts)
        differences = middle + spread[1] - _opposite(spread[0])
        found.append(_interval(differences, t_quantile(degrees) / _Z))
    return tuple(found)


def t_quantile(degrees: float) -> float:
    """0.975 quantile of Student's t distribution.

    Args:
        degrees: of freedom, 1 or more.

    Source:
        With t = sqrt(degrees) * tan(angle) the density is proportional to cos(angle)^(degrees - 1),
        which is smooth, so that the trapezoid rule is exact to six digits here.
    """
    degrees = min(degrees, _MAX_DEGREES)
    angle = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angle) ** (degrees - 1)
    share = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    at = float(np.interp(1 - 2 * _TAIL, share / share[-1], angle))
    return math.sqrt(degrees) * math.tan(at)


def _percentiles(values: Resampled, shares: NDArray[np.float64]) -> Resampled:
    # as np.percentile, linearly interpolated, whose checks would take most of the time here
    values.sort()
    at = shares * (len(values) - 1)
    below = at.astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    found: Resampled = values[below] + (at - below) * (values[above] - values[below])
    return found


def _widened(count: int) -> float:
    return math.sqrt(count / (count - 1))


def _centred(logs: Resampled) -> Resampled:
    centred: Resampled = logs - np.median(logs)
    return centred


def _opposite(logs: Resampled) -> Resampled:
    # both sides are drawn from one seed: paired with the draw half a turn away they are
    # independent, and, as that turn undoes itself, swapping the sides gives the same pairs
    return np.roll(logs, RESAMPLES // 2)


def _welch_degrees(variances: Sequence[float], counts: Sequence[int]) -> float:
    total = sum(variances)
    if total == 0:
        return float(min(counts) - 1)
    parts = zip(variances, counts, strict=True)
    return total**2 / sum(variance**2 / (count - 1) for variance, count in parts)


def _interval(logs: Resampled, factor: float) -> Interval:
    middle = float(np.median(logs))
    low, high = (float(end) for end in np.quantile(logs, [_TAIL, 1 - _TAIL]))
    return Interval(
        low=math.exp(middle + factor * (low - middle)),
        high=math.exp(middle + factor * (high - middle)),
    )
