"""A search's front as a picture. In: `FrontView`. Out: an SVG or PNG, MAE against a cost.

Drawn with matplotlib's objects, never with pyplot, which keeps figures in a global.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from edgeface.errors import ExportError
from edgeface.report.front_tables import BudgetLine, FrontEntry, FrontView
from edgeface.report.points import lower_left

CostName = Literal["size", "p50"]
_LABELS = {"size": "size of the .tflite, MB", "p50": "p50 latency, ms"}
_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
# Source: Okabe and Ito 2008, Color Universal Design: told apart by colour-blind readers, too
_COLOURS = {"int8": "#0072B2", "float32": "#E69F00"}
_OTHER = "#009E73"
_CHOSEN = "#D55E00"
# chosen: beyond this range the small candidates would sit on one spot of a linear axis
_LOG_FROM = 6.0
# shares of the axes that a label takes
_LABEL_WIDTH, _LABEL_HEIGHT = 0.22, 0.04


def front_figure(view: FrontView, cost: CostName) -> Figure:
    """Draw the age MAE of every finished candidate against a cost.

    Args:
        view: with at least one candidate that has both figures.
        cost: the horizontal axis.

    Raises:
        ExportError: no candidate has both figures.
    """
    drawn = [entry for entry in view.entries if _x(entry, cost) and entry.mae_years is not None]
    if not drawn:
        raise ExportError(f"front over {cost}: no candidate has an MAE and a {cost}, expected one")
    figure = Figure(figsize=(8.0, 5.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    xs = [_x(entry, cost) for entry in drawn]
    ys = [entry.mae_years or 0.0 for entry in drawn]
    limits = [line for line in view.lines if line.quantity in (cost, "mae")]
    _set_ranges(axes, xs, ys, limits, cost)
    _draw_limits(axes, limits, cost)
    on_line = _draw_front_line(axes, drawn, cost)
    for entry in drawn:
        _draw_entry(axes, entry, cost)
    _label(axes, drawn, cost, on_line)
    device = f" on {view.device}" if cost == "p50" else ""
    axes.set_xlabel(f"{_LABELS[cost]}{device} (less is better)")
    axes.set_ylabel("age MAE, years (less is better)")
    faces = "DRAWN FACES, not photographs" if view.is_drawn else view.data
    axes.set_title(f"{faces}: validation split, n = {view.images:,}", loc="left", fontsize=10)
    axes.legend(handles=_legend(drawn), fontsize=8, framealpha=0.9, loc="upper right")
    axes.grid(visible=True, alpha=0.25)
    text = f"{view.budget}   ({view.machine})" if cost == "p50" else view.budget
    figure.supxlabel(text, fontsize=7, color="#555555", x=0.01, ha="left")
    return figure


def write_front_plot(view: FrontView, path: Path, cost: CostName) -> None:
    """Write the picture; the same view gives the same SVG.

    Args:
        view: of the search.
        path: ends in .svg or .png.
        cost: the horizontal axis.

    Raises:
        ExportError: nothing to draw, or the file cannot be written.
    """
    figure = front_figure(view, cost)
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        # identifiers inside an SVG are random otherwise
        with mpl.rc_context({"svg.hashsalt": "edgeface"}):
            figure.savefig(temporary, metadata=metadata)
        temporary.replace(path)
    except OSError as err:
        raise ExportError(f"{path}: cannot be written: {err.strerror}") from err
    finally:
        temporary.unlink(missing_ok=True)


def _x(entry: FrontEntry, cost: CostName) -> float:
    if cost == "p50":
        return entry.p50_ms or 0.0
    return (entry.size_bytes or 0) / _MB


def _limit(line: BudgetLine, cost: CostName) -> float:
    return line.most / _MB if line.quantity == "size" and cost == "size" else line.most


def _set_ranges(
    axes: Any,
    xs: Sequence[float],
    ys: Sequence[float],
    limits: Sequence[BudgetLine],
    cost: CostName,
) -> None:
    wide = [*xs, *(_limit(line, cost) for line in limits if line.quantity == cost)]
    low, high = min(wide), max(wide)
    if high / low >= _LOG_FROM:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * 1.35)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        ticks = [t * 10.0**e for e in range(-4, 6) for t in (1, 2, 5)]
        axes.set_xticks([tick for tick in ticks if low / 1.25 <= tick <= high * 1.35])
    else:
        margin = 0.08 * (high - low or high)
        axes.set_xlim(max(0.0, low - margin), high + 1.6 * margin)
        axes.xaxis.set_major_locator(MaxNLocator(8))
    tall = [*ys, *(line.most for line in limits if line.quantity == "mae")]
    margin = 0.08 * (max(tall) - min(tall) or 1.0)
    axes.set_ylim(min(tall) - 1.5 * margin, max(tall) + margin)  # labels are below


def _draw_limits(axes: Any, limits: Sequence[BudgetLine], cost: CostName) -> None:
    """A dashed line a limit, and the corner that meets them all shaded."""
    style = {"color": "#777777", "linestyle": "--", "linewidth": 1.0, "zorder": 1}
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    for line in limits:
        at = _limit(line, cost)
        if line.quantity == "mae":
            axes.axhline(at, **style)
            axes.annotate(
                line.text,
                (0.995, at),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=8,
                color="#555555",
            )
            top = min(top, at)
        else:
            axes.axvline(at, **style)
            axes.annotate(
                line.text,
                (at, 0.985),
                xycoords=("data", "axes fraction"),
                xytext=(-2, 0),
                textcoords="offset points",
                ha="right",
                va="top",
                rotation=90,
                fontsize=8,
                color="#555555",
            )
            right = min(right, at)
    if limits:
        left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
        corner = [(left, bottom), (right, bottom), (right, top), (left, top)]
        axes.fill(*zip(*corner, strict=True), color="#009E73", alpha=0.07, zorder=0)


def _draw_front_line(axes: Any, drawn: Sequence[FrontEntry], cost: CostName) -> set[str]:
    points = [(_x(entry, cost), entry.mae_years or 0.0) for entry in drawn]
    on_line = lower_left(points)
    xs, ys = zip(*(points[i] for i in on_line), strict=True)
    axes.step(xs, ys, where="post", color="#999999", linewidth=1.2, zorder=2)
    return {drawn[i].name for i in on_line}


def _draw_entry(axes: Any, entry: FrontEntry, cost: CostName) -> None:
    x, y = _x(entry, cost), entry.mae_years
    colour = _COLOURS.get(entry.scheme, _OTHER)
    axes.scatter(
        [x],
        [y],
        marker="o" if entry.is_plain else "^",
        s=46,
        facecolors=colour if entry.on_front else "none",
        edgecolors=colour,
        linewidths=1.2,
        alpha=1.0 if entry.on_front else 0.55,
        zorder=3,
        gid=entry.name,
    )
    if entry.is_chosen:
        axes.scatter(
            [x], [y], s=220, facecolors="none", edgecolors=_CHOSEN, linewidths=2.0, zorder=4
        )


def _label(axes: Any, drawn: Sequence[FrontEntry], cost: CostName, on_line: set[str]) -> None:
    """Name the choice, the reference and what is on the line, as far as there is room."""
    boxes: list[tuple[float, float]] = []
    named = [each for each in drawn if each.is_chosen or each.is_reference or each.name in on_line]
    for entry in sorted(named, key=lambda each: not (each.is_chosen or each.is_reference)):
        point = (_x(entry, cost), entry.mae_years)
        x, y = axes.transAxes.inverted().transform(axes.transData.transform(point))
        # no point of the line has another one below and left of it, so a label has room there
        at_left = x < _LABEL_WIDTH
        right = x + _LABEL_WIDTH if at_left else x
        important = entry.is_chosen or entry.is_reference
        if not important and any(
            abs(right - other_right) < _LABEL_WIDTH and abs(y - other_y) < _LABEL_HEIGHT
            for other_right, other_y in boxes
        ):
            continue
        boxes.append((right, y))
        what = "chosen: " if entry.is_chosen else "reference: " if entry.is_reference else ""
        away = 10 if entry.is_chosen else 5
        axes.annotate(
            f"{what}{_short(entry.name)}",
            point,
            xytext=(0 if at_left else -away, -away),
            textcoords="offset points",
            ha="left" if at_left else "right",
            va="top",
            fontsize=9 if entry.is_chosen else 7.5,
            fontweight="bold" if entry.is_chosen else "normal",
            color=_CHOSEN if entry.is_chosen else "#333333",
            zorder=5,
        )


def _short(name: str) -> str:
    """Without the backbone, which all have in common."""
    return name.partition("-")[2] or name


def _legend(drawn: Sequence[FrontEntry]) -> list[Line2D]:
    def mark(marker: str, colour: str, label: str, face: str | None = None) -> Line2D:
        face = colour if face is None else face
        return Line2D(
            [], [], linestyle="none", marker=marker, color=colour, markerfacecolor=face, label=label
        )

    schemes = sorted({entry.scheme for entry in drawn})
    return [
        *(mark("s", _COLOURS.get(scheme, _OTHER), scheme) for scheme in schemes),
        mark("o", "#555555", "plain"),
        mark("^", "#555555", "pruned"),
        mark("o", "#999999", "not on the front", face="none"),
        Line2D([], [], color="#999999", label="best MAE at this cost"),
    ]
