"""An inspection as one web page that needs nothing else. In: `Inspection`, faces. Out: HTML.

The page has no script and asks for nothing from elsewhere; a policy in it forbids both. Names of
files, folders and classes come from the set and are not trusted: the template escapes all of them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import ceil

import cv2
import numpy as np

from edgeface import __version__
from edgeface.data.adapters.paths import printable
from edgeface.data.inspection import Inspection
from edgeface.data.inspection_copies import Count
from edgeface.data.inspection_findings import plural
from edgeface.data.inspection_labels import AgeCounts
from edgeface.data.labels import Listing
from edgeface.errors import DataError
from edgeface.report.inspection_tables import summary_rows, years

SHOWN_CONFLICTS = 24
FACES_PER_CONFLICT = 8
"""Faces shown of one group. Source: chosen: a row of a wide window."""

THUMBNAIL_PX = 96
_JPEG_QUALITY = 85  # chosen: no difference to be seen at this size, half the bytes of 95

# Chosen: half of a wide window, so that two plots stand side by side.
_PLOT_WIDTH, _PLOT_HEIGHT = 560.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 8.0, 12.0, 46.0
_CHARACTER_PX, _LABEL_GAP_PX = 6.5, 4.0  # of the labels' font, 11 px in the template
_LEAST_BAR_PX = 1.0  # of what is not 0, so that it is seen
_GAP_BIN_YEARS = 5


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A text on an axis, at a place in px."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A rectangle in px, whose colour is that of its series, with a text that explains it."""

    x: float
    y: float
    width: float
    height: float
    series: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A bar plot, laid out.

    Attributes:
        title: what it shows.
        x_title: with unit.
        y_title: with unit.
        series: names in the order of their colours; one name needs no legend.
        bars: of all series.
        x_marks: labels below the bars.
        y_marks: labels of the grid lines, 0 first.
        width: of the drawing, px.
        height: of the drawing, px.
        left: x of the y axis, px.
        right: x of the end of the x axis, px.
        bottom: y of the x axis, px.
    """

    title: str
    x_title: str
    y_title: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    width: float = _PLOT_WIDTH
    height: float = _PLOT_HEIGHT
    left: float = _LEFT
    right: float = _PLOT_WIDTH - _RIGHT
    bottom: float = _PLOT_HEIGHT - _BOTTOM


def inspection_page(inspection: Inspection, thumbnails: Mapping[str, bytes]) -> str:
    """Write an inspection as one HTML file.

    Args:
        inspection: of a set.
        thumbnails: JPEG by id, as `conflict_thumbnails` gives them; a face without one is named
            only.

    Raises:
        DataError: the library that fills templates is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ModuleNotFoundError as err:
        raise DataError(
            f"{err.name} is not installed, an HTML page of an inspection needs it; "
            "install with: pip install 'edgeface[data]'"
        ) from err
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = printable
    environment.filters["plural"] = plural
    source = files("edgeface.report").joinpath("templates", "inspection.html.j2")
    shown = inspection.copies.conflicts[:SHOWN_CONFLICTS]
    return environment.from_string(source.read_text("utf-8")).render(
        inspection=inspection,
        version=__version__,
        summary=summary_rows(inspection),
        age_plots=_age_plots(inspection.ages),
        copy_plots=_copy_plots(inspection),
        conflicts=shown,
        faces=FACES_PER_CONFLICT,
        pictures={
            member.id: b64encode(thumbnails[member.id]).decode("ascii")
            for conflict in shown
            for member in conflict.members[:FACES_PER_CONFLICT]
            if member.id in thumbnails
        },
    )


def conflict_thumbnails(
    listing: Listing, inspection: Inspection, limit: int = SHOWN_CONFLICTS
) -> dict[str, bytes]:
    """Make small pictures of the worst conflicts.

    Args:
        listing: that was inspected.
        inspection: of it.
        limit: groups, of each of which `FACES_PER_CONFLICT` images at most are taken.

    Returns:
        JPEG by id; the longer side is `THUMBNAIL_PX` or, of small pictures, their own.

    Raises:
        DataError: a picture cannot be read any more.
    """
    return {
        member.id: _thumbnail(listing, member.id)
        for conflict in inspection.copies.conflicts[:limit]
        for member in conflict.members[:FACES_PER_CONFLICT]
    }


def bar_plot(
    title: str,
    axes: tuple[str, str],
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[int]]],
    *,
    overlaid: bool = False,
) -> Plot:
    """Lay bars out, those of one label side by side.

    Args:
        title: what it shows.
        axes: titles of x and y, with units.
        labels: of the groups of bars, from left to right.
        series: name and values of each, one a label, 0 or more.
        overlaid: put the bars of one label into one place; for series where all but one are 0.
    """
    largest = max((value for _, values in series for value in values), default=0)
    ticks = y_ticks(largest)
    room = _PLOT_HEIGHT - _BOTTOM - _TOP
    step = (_PLOT_WIDTH - _RIGHT - _LEFT) / max(1, len(labels))
    beside = 1 if overlaid else max(1, len(series))
    width = min(40.0, 0.8 * step / beside)
    start = (step - width * beside) / 2
    bars = []
    for number, (name, values) in enumerate(series):
        for at, (label, value) in enumerate(zip(labels, values, strict=True)):
            height = max(_LEAST_BAR_PX, room * value / ticks[-1]) if value else 0.0
            bars.append(
                Bar(
                    x=round(_LEFT + at * step + start + (number % beside) * width, 2),
                    y=round(_TOP + room - height, 2),
                    width=round(width, 2),
                    height=round(height, 2),
                    series=number,
                    text=f"{label}{f', {name}' if len(series) > 1 else ''}: {value:,}",
                )
            )
    every = _label_step(labels, step)
    return Plot(
        title=title,
        x_title=axes[0],
        y_title=axes[1],
        series=tuple(name for name, _ in series),
        bars=tuple(bar for bar in bars if bar.height),
        x_marks=tuple(
            Mark(at=round(_LEFT + (at + 0.5) * step, 2), text=labels[at])
            for at in range(0, len(labels), every)
        ),
        y_marks=tuple(
            Mark(at=round(_TOP + room - room * tick / ticks[-1], 2), text=f"{tick:,}")
            for tick in ticks
        ),
    )


def y_ticks(largest: int) -> list[int]:
    """Choose whole numbers for an axis from 0 to at least `largest`: 3 to 6 of them, 2 for 0 or 1.

    Source:
        Steps of 1, 2 or 5 times a power of ten: P. Heckbert, "Nice numbers for graph labels",
        Graphics Gems (1990).
    """
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            count = -(-largest // step)
            if count <= 5:
                return [step * number for number in range(max(1, count) + 1)]
        power *= 10


def _age_plots(ages: AgeCounts) -> list[Plot]:
    plots = []
    if ages.decades:
        plots.append(
            bar_plot(
                "Ages by gender",
                ("age in years", "images"),
                [years(row) for row in ages.decades],
                [
                    (name, [row.counts[number] for row in ages.decades])
                    for number, name in enumerate(ages.genders)
                ],
            )
        )
    if ages.years:
        sums = [(row.low_years, sum(row.counts)) for row in ages.years]
        plots.append(
            bar_plot(
                "Exact ages, year by year",
                ("age in years", "images"),
                [years(row) for row in ages.years],
                [
                    ("ending in 0 or 5", [n if age % 5 == 0 else 0 for age, n in sums]),
                    ("other ages", [0 if age % 5 == 0 else n for age, n in sums]),
                ],
                overlaid=True,
            )
        )
    return plots


def _copy_plots(inspection: Inspection) -> list[Plot]:
    copies = inspection.copies
    plots = []
    if copies.sizes:
        plots.append(
            bar_plot(
                "Size of the groups of copies",
                ("images in a group", "groups"),
                [f"{one.value:,}" for one in copies.sizes],
                [("groups", [one.count for one in copies.sizes])],
            )
        )
    if copies.age_gaps:
        labels, counts = _gap_bins(copies.age_gaps)
        plots.append(
            bar_plot(
                "Age gap of the groups whose ages disagree",
                ("years between the youngest and the oldest label", "groups"),
                labels,
                [("groups", counts)],
            )
        )
    return plots


def _gap_bins(gaps: Sequence[Count]) -> tuple[list[str], list[int]]:
    """Count gaps of 1 to 5 years, 6 to 10 and so on."""
    counts = [0] * ((gaps[-1].value - 1) // _GAP_BIN_YEARS + 1)
    for gap in gaps:
        counts[(gap.value - 1) // _GAP_BIN_YEARS] += gap.count
    starts = range(1, _GAP_BIN_YEARS * len(counts), _GAP_BIN_YEARS)
    return [f"{low}–{low + _GAP_BIN_YEARS - 1}" for low in starts], counts


def _label_step(labels: Sequence[str], step_px: float) -> int:
    """Choose how many labels to go on by, so that they do not touch."""
    longest_px = _CHARACTER_PX * max(map(len, labels), default=0) + _LABEL_GAP_PX
    fitting = ceil(longest_px / step_px)
    return next((every for every in (1, 2, 5, 10, 20, 50) if every >= fitting), fitting)


def _thumbnail(listing: Listing, id: str) -> bytes:
    rgb = listing.pictures.read(id)
    height, width = rgb.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return np.asarray(jpeg, np.uint8).tobytes()
