"""Quality against cost as points, and which no other one beats. In: benchmark entries. Out: points.

Without matplotlib, so that a table can be made of them where nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edgeface.bench.result import BenchEntry
from edgeface.report.heads import MainFigure, find_metric, metrics_of

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a model costs.

    Attributes:
        word: e.g. "size", for a column.
        label: e.g. "file size, MB", for an axis.
        of: gives a model's, in the unit of the label; None where it was not measured.
    """

    word: str
    label: str
    of: Callable[[BenchEntry], float | None]


def _p50_ms(entry: BenchEntry) -> float | None:
    return None if entry.latency is None else entry.latency.p50_ms


COSTS = (
    Cost(word="p50", label="p50 latency, ms", of=_p50_ms),
    Cost(word="size", label="file size, MB", of=lambda entry: entry.size_bytes / _MB),
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One model in a plot.

    Attributes:
        entry: the model.
        x: cost.
        y: quality as it is printed: years, or percent.
        low: lower end of its 95 % interval.
        high: upper end of it.
    """

    entry: BenchEntry
    x: float
    y: float
    low: float
    high: float

    @property
    def bar(self) -> list[list[float]]:
        """How far the interval goes down and up from the point, (2, 1), as matplotlib takes it."""
        # an interval that a resampling gave need not hold its own figure
        return [[max(0.0, self.y - self.low)], [max(0.0, self.high - self.y)]]


def points_of(entries: Iterable[BenchEntry], cost: Cost, quality: MainFigure) -> tuple[Point, ...]:
    """Place the models that have both figures, in their order."""
    points = []
    for entry in entries:
        metric = find_metric(metrics_of(entry), quality.task, quality.name)
        x = cost.of(entry)
        if metric is not None and x is not None:
            y, low, high = (quality.scale * end for end in (metric.value, metric.low, metric.high))
            points.append(Point(entry=entry, x=x, y=y, low=low, high=high))
    return tuple(points)


def best_line(points: Sequence[Point], quality: MainFigure) -> tuple[Point, ...]:
    """Give the models that no other one beats in both, from the cheapest to the best.

    Of models that are equal in both the first.
    """
    return tuple(points[i] for i in lower_left([(p.x, quality.sign * p.y) for p in points]))


def lower_left(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Which points no other one is below and left of, from left to right.

    Two dimensions of what may be a front of more: a member of that need not be on this line.

    Args:
        points: (cost, MAE).

    Returns:
        Indices; of equal points the first.
    """
    chosen: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: points[i]):
        if not chosen or points[index][1] < points[chosen[-1]][1]:
            chosen.append(index)
    return tuple(chosen)
