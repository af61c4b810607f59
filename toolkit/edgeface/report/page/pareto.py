"""Quality against cost, a point a model. In: a result's models. Out: plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeface.bench.result import BenchEntry
from edgeface.report.front_plot import lower_left
from edgeface.report.heads import MainFigure, main_figures, metrics_of
from edgeface.report.page.blocks import Block, Notes, Plot, Plots, Section
from edgeface.report.page.models import Cast, main_of
from edgeface.report.page.plots import CARD, SOFT, drawing, plain_log_axis, slot_colour
from edgeface.report.text import NOT_MEASURED

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """One quantity: what it is called and how a model has it."""

    label: str
    of: Callable[[BenchEntry], float | None]


def _p50(entry: BenchEntry) -> float | None:
    return None if entry.latency is None else entry.latency.p50_ms


_COSTS = (
    _Axis(label="p50 latency, ms", of=_p50),
    _Axis(label="file size, MB", of=lambda entry: entry.size_bytes / _MB),
)


def pareto_section(cast: Cast) -> Section:
    """Plot the figure of each head against latency and size, with 95 % intervals."""
    gender, age, *others = main_figures(m for entry in cast.entries for m in metrics_of(entry))
    qualities = (age, gender, *others)
    plots = [
        _plot(cast, cost, quality, f"pareto-{number}")
        for number, (quality, cost) in enumerate((q, c) for q in qualities for c in _COSTS)
    ]
    drawn = tuple(plot for plot in plots if plot is not None)
    legend = cast.legend(entry for entry in cast.entries if entry.quality is not None)
    left_out = [
        cast.letter(entry.name)
        for entry in cast.entries
        if all(main_of(entry, quality) is None for quality in qualities)
    ]
    blocks: list[Block] = [Plots(plots=drawn, legend=legend)] if drawn else []
    if left_out:
        text = f"Not drawn, because their quality was {NOT_MEASURED}: {', '.join(left_out)}."
        blocks.append(Notes(lines=(text,), tone="soft"))
    if not blocks:
        blocks.append(Notes(lines=(f"Quality and cost: {NOT_MEASURED}.",), tone="soft"))
    return Section(
        id="pareto",
        title="Quality against cost",
        lead="Bars are 95 % intervals. The line joins the models that no other one beats in both.",
        blocks=tuple(blocks),
    )


@dataclass(frozen=True, kw_only=True)
class _Point:
    """One model in a plot."""

    entry: BenchEntry
    x: float
    y: float
    low: float
    high: float


def _points(cast: Cast, cost: _Axis, quality: MainFigure) -> list[_Point]:
    points = []
    for entry in cast.entries:
        metric, x = main_of(entry, quality), cost.of(entry)
        if metric is not None and x is not None:
            y, low, high = (quality.scale * end for end in (metric.value, metric.low, metric.high))
            points.append(_Point(entry=entry, x=x, y=y, low=low, high=high))
    return points


def _plot(cast: Cast, cost: _Axis, quality: MainFigure, name: str) -> Plot | None:
    points = _points(cast, cost, quality)
    if not points:
        return None
    best = lower_left([(point.x, quality.sign * point.y) for point in points])

    def draw(axes: Any) -> None:
        low, high = (0.8 * min(p.x for p in points), 1.3 * max(p.x for p in points))
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        plain_log_axis(axes.xaxis, low, high)
        line = [(points[i].x, points[i].y) for i in best]
        axes.step(*zip(*line, strict=True), where="post", color=SOFT, linewidth=1, zorder=1)
        for point in points:
            _draw_point(axes, point, cast)
        axes.set_xlabel(cost.label)
        axes.set_ylabel(quality.label)

    better = "upper left" if quality.sign < 0 else "lower left"
    said = "; ".join(f"{point.entry.name}: {point.x:.3g}, {point.y:.2f}" for point in points)
    return Plot(
        title=f"{quality.label} against {cost.label}",
        svg=drawing(draw, name=name, alt=f"{quality.label} against {cost.label}. {said}"),
        note=f"Best is at the {better}.",
    )


def _draw_point(axes: Any, point: _Point, cast: Cast) -> None:
    colour = slot_colour(cast.number(point.entry.name))
    # an interval that a resampling gave need not hold its own figure
    error = [[max(0.0, point.y - point.low)], [max(0.0, point.high - point.y)]]
    axes.errorbar([point.x], [point.y], error, fmt="none", ecolor=colour, elinewidth=1.2, alpha=0.6)
    axes.plot([point.x], [point.y], marker="o", markersize=13, color=colour, markeredgecolor=CARD)
    axes.annotate(
        cast.letter(point.entry.name),
        (point.x, point.y),
        xytext=(0, -0.5),
        textcoords="offset points",
        color=CARD,
        weight="bold",
        ha="center",
        va="center_baseline",
        size=8.5,
    )
