"""What a poor camera costs. In: figures on spoiled faces. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeface.bench.corruption import CORRUPTIONS, SETTINGS, STRENGTHS, Corruption
from edgeface.bench.result import BenchEntry
from edgeface.report.heads import MainFigure, find_metric, main_figures
from edgeface.report.page.blocks import Block, Cell, Legend, Notes, Plot, Plots, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.models import Cast
from edgeface.report.page.plots import drawing, slot_colour
from edgeface.report.quality_tables import images_of, metric_figure
from edgeface.report.text import NOT_MEASURED
from edgeface.types import Metric


def spoiled_section(cast: Cast) -> Section:
    """Show the figure of each head on faces made dark, blurred, noisy and so on."""
    measured = [entry for entry in cast.entries if entry.corruptions]
    if not measured:
        text = f"Spoiled faces: {NOT_MEASURED}. Measure them with: edgeface bench --corruptions"
        blocks: tuple[Block, ...] = (Notes(lines=(text,), tone="soft"),)
    else:
        blocks = (_plots(cast, measured), *(_table(cast, entry) for entry in measured))
    return Section(
        id="spoiled",
        title="Light, blur, noise",
        lead="The same faces spoiled as a cheap camera would, in three strengths.",
        blocks=blocks,
    )


def _figures(entry: BenchEntry) -> tuple[MainFigure, ...]:
    return main_figures(metric for each in entry.corruptions for metric in each.metrics)


def _found(entry: BenchEntry, kind: str, strength: int, main: MainFigure) -> Metric | None:
    places = (each for each in entry.corruptions if (each.kind, each.strength) == (kind, strength))
    metrics = (metric for each in places for metric in each.metrics)
    return find_metric(metrics, main.task, main.name)


def _plots(cast: Cast, entries: Sequence[BenchEntry]) -> Plots:
    shown = [each for each in (cast.candidate, cast.reference) if each in entries]
    drawn = [each for each in shown if each is not None] or list(entries[:1])
    return Plots(
        plots=tuple(
            _plot(cast, entry, figure)
            for entry in drawn
            for figure in _figures(entry)
            if any(_points(entry, kind, figure) for kind in CORRUPTIONS)
        ),
        legend=tuple(
            Legend(text=f"{kind}: {SETTINGS[kind]}", slot=slot)
            for slot, kind in enumerate(CORRUPTIONS)
        ),
    )


def _points(entry: BenchEntry, kind: Corruption, main: MainFigure) -> list[tuple[int, Metric]]:
    places = [("none", 0), *((kind, strength) for strength in STRENGTHS)]
    return [
        (strength, metric)
        for which, strength in places
        if (metric := _found(entry, which, strength, main)) is not None
    ]


def _plot(cast: Cast, entry: BenchEntry, main: MainFigure) -> Plot:
    label, scale = main.label, main.scale
    number = _figures(entry).index(main)
    curves = [(slot, kind, _points(entry, kind, main)) for slot, kind in enumerate(CORRUPTIONS)]

    def draw(axes: Any) -> None:
        for slot, _, points in curves:
            xs = [strength for strength, _ in points]
            ys = [scale * metric.value for _, metric in points]
            axes.plot(xs, ys, marker="o", markersize=4, color=slot_colour(slot))
        axes.set_xticks([0, *STRENGTHS], ["clean", *map(str, STRENGTHS)])
        axes.set_xlabel("strength")
        axes.set_ylabel(label)

    said = "; ".join(
        f"{kind}: {', '.join(f'{scale * metric.value:.2f}' for _, metric in points)}"
        for _, kind, points in curves
    )
    letter = cast.letter(entry.name)
    return Plot(
        title=f"{letter}: {label}",
        svg=drawing(
            draw,
            name=f"spoiled-{letter.lower()}-{number}",
            alt=f"{entry.name}, {label}, clean, then strength 1 to 3. {said}",
        ),
        note=entry.name,
    )


def _table(cast: Cast, entry: BenchEntry) -> Table:
    rows = []
    for kind in CORRUPTIONS:
        if not any(each.kind == kind for each in entry.corruptions):
            continue
        for main in _figures(entry):
            places = [("none", 0), *((kind, strength) for strength in STRENGTHS)]
            metrics = [_found(entry, *place, main) for place in places]
            figures = [metric_figure(metric) for metric in metrics]
            cells = (plain_cell(each.value, each.interval) for each in figures)
            n = plain_cell(images_of(metrics))
            rows.append((Cell(text=kind), Cell(text=main.label), *cells, n))
    strengths = (f"strength {each}" for each in STRENGTHS)
    return Table(
        title=f"{cast.letter(entry.name)}: {entry.name}",
        headings=("spoiled by", "figure", "clean", *strengths, "images"),
        rows=tuple(rows),
        note="The images are the same for every model of the same heads.",
        text_columns=(0, 1),
        is_folded=True,
    )
