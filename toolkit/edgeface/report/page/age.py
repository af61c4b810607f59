"""How well age is told: as a whole, and by decade. In: models. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeface.bench.result import BenchEntry
from edgeface.bench.slices import SliceFigure
from edgeface.bench.verdict_rule import SMALLEST_GROUPS
from edgeface.report.page.blocks import Block, Cell, Notes, Plot, Plots, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.models import Cast, metric_of
from edgeface.report.page.plots import drawing, slot_colour
from edgeface.report.quality_tables import DECADE_ACCURACY, metric_figure
from edgeface.report.text import NOT_MEASURED
from edgeface.training_specs import AGE, GENDER
from edgeface.types import Metric

_FIGURES = (
    ("mae", "MAE years"),
    ("rmse", "RMSE years"),
    ("r2", "R²"),
    ("within_5_years", "within 5 years % (CS@5)"),
    (DECADE_ACCURACY, "decade right %"),
)


def age_section(cast: Cast) -> Section:
    """Show MAE, RMSE, R², the share within 5 years, and the MAE of each decade."""
    measured = [entry for entry in cast.entries if metric_of(entry, AGE, "mae") is not None]
    decades = _decades(measured)
    blocks: list[Block] = []
    if measured:
        blocks.append(_whole(cast, measured))
    if decades:
        shown = [each for each in (cast.candidate, cast.reference) if each in measured]
        entries = [entry for entry in shown if entry is not None] or measured[:1]
        plots = [_plot(cast, entries, decades), _gender_plot(cast, entries)]
        shown_plots = tuple(plot for plot in plots if plot is not None)
        blocks += [Plots(plots=shown_plots, legend=cast.legend(entries))]
        blocks.append(_table(cast, measured, decades))
    if not decades:
        what = "MAE by decade" if measured else "Age"
        blocks.append(Notes(lines=(f"{what}: {NOT_MEASURED}.",), tone="soft"))
    return Section(
        id="age",
        title="Age",
        lead="MAE: mean absolute error. RMSE: root of the mean squared error. R²: share of the "
        "ages' variance that is explained. CS@5: share of faces that are at most 5 years off.",
        blocks=tuple(blocks),
    )


def _whole(cast: Cast, entries: Sequence[BenchEntry]) -> Table:
    rows = []
    shown = [
        each
        for each in _FIGURES
        if each[0] != DECADE_ACCURACY or any(metric_of(entry, AGE, each[0]) for entry in entries)
    ]
    for entry in entries:
        figures = [metric_figure(metric_of(entry, AGE, name)) for name, _ in shown]
        cells = (plain_cell(figure.value, figure.interval) for figure in figures)
        mae = metric_of(entry, AGE, "mae")
        rows.append((cast.cell(entry), *cells, plain_cell("" if mae is None else f"{mae.n:,}")))
    headings = ("model", *(words for _, words in shown), "images")
    return Table(title="Age report", headings=headings, rows=tuple(rows))


def _decades(entries: Sequence[BenchEntry]) -> list[tuple[str, int]]:
    """Names of the decades' figures with the images in them, young before old."""
    found = {
        metric.name: metric.n
        for entry in entries
        if entry.quality is not None
        for metric in entry.quality.metrics
        if metric.task == AGE and metric.name.startswith("mae_")
    }
    return sorted(found.items(), key=lambda each: _first_year(each[0]))


def _first_year(name: str) -> int:
    return int(name.split("_")[1])


def _plot(cast: Cast, entries: Sequence[BenchEntry], decades: Sequence[tuple[str, int]]) -> Plot:
    judged = [(name, n) for name, n in decades if n >= SMALLEST_GROUPS] or list(decades)

    def draw(axes: Any) -> None:
        for place, entry in enumerate(entries):
            points = [
                (at + 0.24 * (place - (len(entries) - 1) / 2), metric)
                for at, (name, _) in enumerate(judged)
                if (metric := metric_of(entry, AGE, name)) is not None
            ]
            xs, ys = [x for x, _ in points], [metric.value for _, metric in points]
            error = [[m.value - m.low for _, m in points], [m.high - m.value for _, m in points]]
            axes.errorbar(
                xs,
                ys,
                [[max(0.0, each) for each in side] for side in error],
                fmt="o",
                markersize=5,
                elinewidth=1.4,
                color=slot_colour(cast.number(entry.name)),
            )
        axes.set_xticks(range(len(judged)), [f"{_first_year(name)}s" for name, _ in judged])
        axes.set_xlim(-0.5, len(judged) - 0.5)
        axes.grid(visible=False, axis="x")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("true age")
        axes.set_ylabel("age MAE, years")

    first = entries[0]
    said = "; ".join(
        f"{_first_year(name)}s: {metric_figure(metric_of(first, AGE, name)).value}"
        for name, _ in judged
    )
    small = len(decades) - len(judged)
    note = "95 % intervals."
    if small:
        note += f" Decades of fewer than {SMALLEST_GROUPS} images are left out: {small}."
    return Plot(
        title="Age MAE by decade",
        svg=drawing(draw, name="decades", alt=f"Age MAE by decade. {first.name}: {said}"),
        note=note,
    )


def _gender_plot(cast: Cast, entries: Sequence[BenchEntry]) -> Plot | None:
    """Gender accuracy by decade, from the slices by age; None where there are none."""
    judged: list[tuple[BenchEntry, dict[int, SliceFigure]]] = [
        (
            entry,
            {
                int(each.name.partition("-")[0]): figure
                for each in entry.slices
                if each.by == "age"
                for figure in each.figures
                if figure.task == GENDER and not figure.is_too_few
            },
        )
        for entry in entries
    ]
    years = sorted({year for _, found in judged for year in found})
    if not years:
        return None

    def draw(axes: Any) -> None:
        for place, (entry, found) in enumerate(judged):
            shift = 0.24 * (place - (len(judged) - 1) / 2)
            points = [(years.index(year) + shift, figure) for year, figure in found.items()]
            ys = [100 * figure.value for _, figure in points]
            lows = [
                max(0.0, y - 100 * (f.low or 0.0)) for y, (_, f) in zip(ys, points, strict=True)
            ]
            highs = [
                max(0.0, 100 * (f.high or 0.0) - y) for y, (_, f) in zip(ys, points, strict=True)
            ]
            axes.errorbar(
                [x for x, _ in points],
                ys,
                [lows, highs],
                fmt="o",
                markersize=5,
                elinewidth=1.4,
                color=slot_colour(cast.number(entry.name)),
            )
        axes.set_xticks(range(len(years)), [f"{year}s" for year in years])
        axes.set_xlim(-0.5, len(years) - 0.5)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("true age")
        axes.set_ylabel("gender accuracy, %")

    first, found = judged[0]
    said = "; ".join(f"{year}s: {100 * figure.value:.1f} %" for year, figure in found.items())
    return Plot(
        title="Gender accuracy by decade",
        svg=drawing(
            draw, name="gender-decades", alt=f"Gender accuracy by decade. {first.name}: {said}"
        ),
        note="95 % intervals.",
    )


def _table(cast: Cast, entries: Sequence[BenchEntry], decades: Sequence[tuple[str, int]]) -> Table:
    rows = [
        (cast.cell(entry), *(_decade(metric_of(entry, AGE, name)) for name, _ in decades))
        for entry in entries
    ]
    headings = ("model", *(f"{_first_year(name)}–{_first_year(name) + 9}" for name, _ in decades))
    counts = ", ".join(f"{_first_year(name)}s {n:,}" for name, n in decades)
    return Table(
        title="Age MAE by decade, years, of every model",
        headings=headings,
        rows=tuple(rows),
        note=f"Images: {counts}.",
        is_folded=True,
    )


def _decade(metric: Metric | None) -> Cell:
    figure = metric_figure(metric)
    too_few = metric is not None and metric.n < SMALLEST_GROUPS
    return plain_cell(figure.value, "too few" if too_few else figure.interval)
