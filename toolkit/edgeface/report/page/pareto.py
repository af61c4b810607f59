"""Quality against cost, a point a model. In: a result's models. Out: plots."""

from __future__ import annotations

from typing import Any

from edgeface.report.heads import MainFigure, main_figures, metrics_of
from edgeface.report.page.blocks import Block, Notes, Plot, Plots, Section
from edgeface.report.page.models import Cast, main_of
from edgeface.report.page.plots import CARD, SOFT, drawing, plain_log_axis, slot_colour
from edgeface.report.points import COSTS, Cost, Point, best_line, points_of
from edgeface.report.text import NOT_MEASURED


def pareto_section(cast: Cast) -> Section:
    """Plot the figure of each head against latency and size, with 95 % intervals."""
    gender, age, *others = main_figures(m for entry in cast.entries for m in metrics_of(entry))
    qualities = (age, gender, *others)
    plots = [
        _plot(cast, cost, quality, f"pareto-{number}")
        for number, (quality, cost) in enumerate((q, c) for q in qualities for c in COSTS)
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


def _plot(cast: Cast, cost: Cost, quality: MainFigure, name: str) -> Plot | None:
    points = points_of(cast.entries, cost, quality)
    if not points:
        return None
    best = best_line(points, quality)

    def draw(axes: Any) -> None:
        low, high = (0.8 * min(p.x for p in points), 1.3 * max(p.x for p in points))
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        plain_log_axis(axes.xaxis, low, high)
        line = [(point.x, point.y) for point in best]
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


def _draw_point(axes: Any, point: Point, cast: Cast) -> None:
    colour = slot_colour(cast.number(point.entry.name))
    bar = {"ecolor": colour, "elinewidth": 1.2, "alpha": 0.6}
    axes.errorbar([point.x], [point.y], point.bar, fmt="none", **bar)
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
