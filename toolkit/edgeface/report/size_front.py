"""Size and latency against MAE and accuracy. In: results. Out: the front, as values and Markdown.

The picture of it is drawn by `size_front_plot`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.report.heads import AGE_MAE, GENDER_ACCURACY, MainFigure
from edgeface.report.points import COSTS, Cost, Point, best_line, points_of
from edgeface.report.tables import bench_rows, source_notes
from edgeface.report.text import escaped, markdown_table

TITLE = "Front: size and latency against age MAE and gender accuracy"
_QUALITIES = (AGE_MAE, GENDER_ACCURACY)
_LEAST_MODELS = 3  # chosen: two models make no front worth a picture
_YES, _NO = "yes", "–"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One quality against one cost.

    Attributes:
        cost: horizontal.
        quality: vertical.
        points: one a model, from the fastest to the slowest.
        line: those that no other one beats in both, from the cheapest to the best.
    """

    cost: Cost
    quality: MainFigure
    points: tuple[Point, ...]
    line: tuple[Point, ...]

    @property
    def words(self) -> str:
        """E.g. "age MAE by p50"."""
        return f"{self.quality.words} by {self.cost.word}"

    def is_on_front(self, point: Point) -> bool:
        """Whether no model is cheaper and as good, or better at no more cost; equals share it."""
        return (point.x, point.y) in {(each.x, each.y) for each in self.line}


@dataclass(frozen=True, kw_only=True)
class SizeFront:
    """The models of one result that have all four figures.

    Attributes:
        result: where they are from.
        panels: age above gender, latency left of size; all with the same models in one order.
    """

    result: BenchResult
    panels: tuple[Panel, ...]

    @property
    def models(self) -> tuple[BenchEntry, ...]:
        """From the fastest to the slowest."""
        return tuple(point.entry for point in self.panels[0].points)

    @property
    def alt_text(self) -> str:
        """What the picture shows, in words."""
        names = [
            entry.name
            for number, entry in enumerate(self.models)
            if any(panel.is_on_front(panel.points[number]) for panel in self.panels)
        ]
        return (
            f"Four plots of {len(self.models)} models with 95 % intervals: age MAE and gender "
            "accuracy, each against p50 latency and file size. On the front of one plot or more: "
            f"{', '.join(names)}."
        )


def front_path(page: Path) -> Path:
    """Where the picture of a page goes: beside it."""
    return page.with_name("front.svg")


def leading_front(results: Iterable[BenchResult]) -> SizeFront | None:
    """Take the result that shows most models with latency, size, age MAE and gender accuracy.

    One of a board goes before any of a host. Of equals it is the first.

    Args:
        results: the newest first. Invalid ones are passed over.

    Returns:
        None if no result has three such models.
    """
    return max(
        filter(None, map(_front, results)),
        key=lambda front: (front.result.device_before.is_target, len(front.models)),
        default=None,
    )


def front_markdown(front: SizeFront, link: str, picture: str) -> str:
    """Write picture, table and notes as Markdown.

    Args:
        front: of one result.
        link: Markdown link to the result file.
        picture: its path, from the page.
    """
    headings = ["model", "size MB", "p50 ms"]
    headings += ["age MAE years (95 %)", "gender accuracy % (95 %)"]
    headings += [panel.words for panel in front.panels]
    printed = {row.model: row for row in bench_rows(front.result)}
    rows = []
    for number, entry in enumerate(front.models):
        row = printed[entry.name]
        marks = [panel.is_on_front(panel.points[number]) for panel in front.panels]
        rows.append(
            [
                escaped(entry.name),
                row.size_mb,
                row.p50_ms,
                row.age_mae_years.one_line(),
                row.gender_accuracy_pct.one_line(),
                *(_YES if mark else _NO for mark in marks),
            ]
        )
    notes = [
        f"The last four columns: “{_YES}” where the model is on the front, because no other one is "
        "cheaper and as good, or better at no more cost. They follow the figures as they are; a "
        "difference within the intervals may be chance.",
        *(escaped(note) for note in source_notes(front.result)),
        f"Result file: {link}, the one in which most models have all four figures.",
    ]
    return "\n\n".join(
        [
            f"![{escaped(front.alt_text)}]({picture})",
            markdown_table(headings, rows),
            "\n".join(f"- {note}" for note in notes),
        ]
    )


def _front(result: BenchResult) -> SizeFront | None:
    entries = [] if result.invalid_reasons else list(result.entries)
    for cost in COSTS:
        for quality in _QUALITIES:
            entries = [point.entry for point in points_of(entries, cost, quality)]
    if len(entries) < _LEAST_MODELS:
        return None
    entries.sort(key=lambda entry: (*(cost.of(entry) for cost in COSTS), entry.name))
    panels = (
        _panel(cost, quality, points_of(entries, cost, quality))
        for quality in _QUALITIES
        for cost in COSTS
    )
    return SizeFront(result=result, panels=tuple(panels))


def _panel(cost: Cost, quality: MainFigure, points: tuple[Point, ...]) -> Panel:
    return Panel(cost=cost, quality=quality, points=points, line=best_line(points, quality))
