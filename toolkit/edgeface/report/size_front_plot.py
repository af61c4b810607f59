"""The picture of a front of size and latency. In: `SizeFront`. Out: an SVG.

It is an image in a page whose theme it does not know, so its ground is white. Texts stay texts, and
are never read as mathematics, because names come from files.
"""

from __future__ import annotations

import io
import textwrap
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgeface.report.page.plots import plain_log_axis
from edgeface.report.points import Point
from edgeface.report.size_front import Panel, SizeFront
from edgeface.report.tables import source_notes

# 600 pt are 800 px, about the width of a README
_WIDTH, _LEGEND_ROW, _PANELS, _CAPTION_ROW, _PAD = 600.0, 13.5, 370.0, 11.5, 8.0
_LEFT, _BELOW = 50.0, 36.0  # of the panels, for the labels of the axes
_LEGEND_PT, _CAPTION_PT = 8.0, 7.5
_LETTER = 0.56  # chosen: width of a letter of DejaVu Sans and of Verdana on average, of its size
_CAPTION_LETTERS = int((_WIDTH - 2 * _PAD) / (_LETTER * _CAPTION_PT))
_KEY = 24.0  # a marker of the legend with the space around
_INK, _SOFT, _GRID = "#222222", "#555555", "#e2e2e2"
# Source: Okabe and Ito 2008, Color Universal Design: told apart by colour-blind readers, too; grey
# in place of their yellow, which is hardly seen on white
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8A8A8A",
)  # fmt: skip
# one more than the colours, so that both together repeat after 72 models only
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgeface",  # identifiers inside an SVG are random otherwise
    "text.parse_math": False,
    "font.size": 8.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _SOFT,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.axisbelow": True,
    "grid.color": _GRID,
}
_HOW = (
    "Bars are 95 % intervals. The line joins the models that no other one beats in both; these are "
    "filled."
)


def front_svg(front: SizeFront) -> str:
    """Draw the four panels with their legend and what they are of.

    Returns:
        A whole SVG document; the same front gives the same text.
    """
    settings: dict[Any, Any] = _SETTINGS
    with mpl.rc_context(settings):
        figure = _figure(front)
        written = io.StringIO()
        metadata = {"Title": front.alt_text, "Date": None, "Creator": None}
        figure.savefig(written, format="svg", metadata=metadata)
    return written.getvalue()


def _figure(front: SizeFront) -> Figure:
    caption = [
        line
        for note in (*source_notes(front.result), _HOW)
        for line in textwrap.wrap(note, _CAPTION_LETTERS)
    ]
    longest = max(len(entry.name) for entry in front.models)
    columns = max(1, int((_WIDTH - 2 * _PAD) / (longest * _LETTER * _LEGEND_PT + _KEY)))
    legend = -(-len(front.models) // columns) * _LEGEND_ROW + 2 * _PAD
    below = _BELOW + len(caption) * _CAPTION_ROW + _PAD
    height = legend + _PANELS + below
    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="white")
    FigureCanvasSVG(figure)
    grid = figure.subplots(2, 2, sharex="col", sharey="row")
    figure.subplots_adjust(
        left=_LEFT / _WIDTH,
        right=1 - _PAD / _WIDTH,
        bottom=below / height,
        top=1 - legend / height,
        wspace=0.05,
        hspace=0.06,
    )
    for axes, panel in zip(grid.flat, front.panels, strict=True):
        _draw(axes, panel)
    for axes in grid.flat:
        axes.label_outer()
    figure.legend(
        handles=[_key(entry.name, number) for number, entry in enumerate(front.models)],
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        fontsize=_LEGEND_PT,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    figure.text(
        _PAD / _WIDTH, _PAD / height, "\n".join(caption), size=_CAPTION_PT, color=_SOFT, va="bottom"
    )
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    xs = [point.x for point in panel.points]
    low, high = 0.8 * min(xs), 1.25 * max(xs)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    plain_log_axis(axes.xaxis, low, high)
    axes.grid(visible=True)
    line = [(point.x, point.y) for point in panel.line]
    axes.step(*zip(*line, strict=True), where="post", color=_SOFT, linewidth=1.0, zorder=2)
    for number, point in enumerate(panel.points):
        _draw_point(axes, panel, point, number)
    axes.set_xlabel(f"{panel.cost.label} (less is better)")
    better = "more" if panel.quality.sign < 0 else "less"
    axes.set_ylabel(f"{panel.quality.label} ({better} is better)")


def _draw_point(axes: Any, panel: Panel, point: Point, number: int) -> None:
    colour, marker = _look(number)
    is_filled = panel.is_on_front(point)
    bar = {"ecolor": colour, "elinewidth": 1.0, "alpha": 0.55}
    axes.errorbar([point.x], [point.y], point.bar, fmt="none", zorder=1, **bar)
    axes.plot(
        [point.x],
        [point.y],
        linestyle="none",
        marker=marker,
        markersize=8.0 if is_filled else 6.5,
        markerfacecolor=colour if is_filled else "none",
        markeredgecolor="white" if is_filled else colour,  # parts markers that touch
        markeredgewidth=0.7 if is_filled else 1.2,
        zorder=4 if is_filled else 3,
        gid=f"{panel.quality.name}-{panel.cost.word}-{point.entry.name}",
    )


def _key(name: str, number: int) -> Line2D:
    colour, marker = _look(number)
    return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=6, label=name)


def _look(number: int) -> tuple[str, str]:
    return _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
