"""Drawings that follow the page's colours. In: a matplotlib figure. Out: SVG to put into HTML.

Colours are stand-ins while matplotlib draws, and become CSS variables in the SVG, so that one
drawing serves the light and the dark page. Texts stay texts: sharp at any size, and found by a
search of the page. Text is never read as mathematics, because names come from files.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

SLOTS = 8
"""Colours that models can have; the ninth model has the first again, and another letter."""

INK, SOFT, GRID, CARD = (
    "#010101",
    "#020202",
    "#030303",
    "#050505",
)  # no drawing has these colours of itself
_SLOT_COLOURS = tuple(f"#0401{number:02x}" for number in range(SLOTS))
_VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    GRID: "var(--line)",
    CARD: "var(--card)",
    **{colour: f"var(--m{number})" for number, colour in enumerate(_SLOT_COLOURS)},
}
# chosen: a plot is 350 wide in its own units, which is about a phone's width, so that a font of 10
# is 10 px there and larger on wider screens
_WIDTH_PT, _HEIGHT_PT, _FONT_PT = 350.0, 235.0, 10.0
_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": _FONT_PT,
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "axes.labelpad": 7.0,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
}
_LEAST_TICKS, _MOST_TICKS = 3, 7
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_COORDINATES = ("d", "x", "y", "width", "height", "points")
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"


def slot_colour(number: int) -> str:
    """Give the stand-in colour of a model or series, from 0."""
    return _SLOT_COLOURS[number % SLOTS]


def drawing(draw: Callable[[Any], None], *, name: str, alt: str, height_ratio: float = 1.0) -> str:
    """Draw one pair of axes as an SVG without anything that is the page's own.

    Args:
        draw: given the matplotlib axes.
        name: of small letters, digits and hyphens; no two drawings of a page have the same.
        alt: what the drawing shows, in words.
        height_ratio: of the usual height.

    Returns:
        An `<svg>` element with `role="img"`; the same drawing gives the same text.
    """
    settings: dict[Any, Any] = {**_SETTINGS, "svg.hashsalt": name}  # ids are random otherwise
    with mpl.rc_context(settings):
        size = (_WIDTH_PT / 72, height_ratio * _HEIGHT_PT / 72)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_facecolor("none")
        axes.grid(visible=True)
        draw(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _inlined(written.getvalue(), name, alt)


def plain_log_axis(axis: Any, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers, as many as there is room for.

    Args:
        axis: of matplotlib, already logarithmic.
        low: its lower end, above 0.
        high: its upper end.
    """
    found: list[float] = []
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)):
        ticks = [step * 10.0**power for power in range(-6, 9) for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= _MOST_TICKS:  # more would touch on a phone
            found = inside
    if len(found) < _LEAST_TICKS:  # within one step
        found = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    axis.set_ticks(found)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())


def _inlined(document: str, name: str, alt: str) -> str:
    root = ElementTree.fromstring(document)
    for element in list(root):
        if element.tag == f"{_SVG}metadata":
            root.remove(element)
    for parent in list(root.iter()):
        for style in [each for each in parent if each.tag == f"{_SVG}style"]:
            parent.remove(style)  # it would hold for the whole page; the page's own says the same
    linked = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', document))
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _clean(element, name, linked)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": alt}
    text = ElementTree.tostring(root, encoding="unicode")
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    return re.sub(r">\s+<", "><", text)


def _clean(element: Any, name: str, linked: set[str]) -> None:
    given = element.attrib
    if "id" in given and given["id"] not in linked:
        del given["id"]  # several drawings on a page have a "figure_1"
    elif "id" in given:
        given["id"] = f"{name}-{given['id']}"
    if _LINK in given:
        given["href"] = f"#{name}-{given.pop(_LINK).removeprefix('#')}"
    if "clip-path" in given:
        given["clip-path"] = given["clip-path"].replace("url(#", f"url(#{name}-")
    if element.tag == "text":  # the page's font; matplotlib's is not on every machine
        given["style"] = re.sub(
            r"font: ([\d.]+)px [^;]*", r"font-size: \1px", given.get("style", "")
        )
    for attribute in _COORDINATES:
        if attribute in given:
            given[attribute] = _LONG_NUMBER.sub(_shortened, given[attribute])


def _shortened(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
