"""How well classes are told, and which way the errors go: a section for each head of classes.

In: models. Out: sections. A confusion matrix of up to three classes is a table, of more a drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.report.attribute_tables import NEVER
from edgeface.report.heads import (
    ClassHead,
    class_heads,
    confusion,
    in_words,
    metrics_of,
    never_predicted,
)
from edgeface.report.page.blocks import Block, Cell, Notes, Plot, Plots, Section, Table, Tables
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.models import Cast, metric_of
from edgeface.report.page.plots import INK, drawing, slot_colour
from edgeface.report.quality_tables import metric_figure
from edgeface.report.tables import ClassRow, class_rows
from edgeface.report.text import NOT_MEASURED
from edgeface.training_specs import GENDER
from edgeface.types import GENDER_CLASSES

_TABLE_CLASSES = 3  # chosen: more do not fit a phone as a table that is large enough to read
_DARKEST = 0.45  # of a full cell; chosen: its text still stands out in light and dark
_OVERALL = (
    ("accuracy", "accuracy {} %"),
    ("balanced_accuracy", "balanced accuracy {} %"),
    ("macro_f1", "macro F1 {} %"),
    ("roc_auc", "ROC AUC {}"),
)
_PERCENT = ("balanced_accuracy", "macro_f1")


def class_sections(result: BenchResult, cast: Cast) -> tuple[Section, ...]:
    """Show precision, recall and F1 of each class, and the confusion matrix of each model.

    Gender has a section also where it was not measured, unless a model tells other classes.

    Args:
        result: one benchmark.
        cast: of it.
    """
    heads = class_heads(metric for entry in cast.entries for metric in metrics_of(entry))
    if not heads:
        heads = (ClassHead(task=GENDER, classes=GENDER_CLASSES),)
    ordered = sorted(heads, key=lambda head: head.task != GENDER)
    return tuple(_section(result, cast, head, number) for number, head in enumerate(ordered))


def _section(result: BenchResult, cast: Cast, head: ClassHead, number: int) -> Section:
    words = in_words(head.task)
    title = words[:1].upper() + words[1:]
    measured = [each for each in cast.entries if metric_of(each, head.task, "accuracy") is not None]
    blocks: list[Block] = []
    if measured:
        blocks += _report(result, cast, head)
    with_counts = [entry for entry in measured if _counts(entry, head) is not None]
    if with_counts and len(head.classes) <= _TABLE_CLASSES:
        tables = (_matrix(cast, entry, head) for entry in with_counts)
        blocks.append(Tables(tables=tuple(tables)))
    elif with_counts:
        drawn = [entry for entry in with_counts if cast.part(entry)] or with_counts[:1]
        plots = (_drawn(cast, entry, head, number) for entry in drawn)
        blocks.append(Plots(plots=tuple(plots)))
    never = _never(cast, with_counts, head)
    if never:
        blocks.append(Notes(lines=never, tone="soft"))
    if len(with_counts) < len(measured) or not measured:
        what = "The confusion matrix of the other models" if with_counts else "Confusion matrices"
        text = f"{what if measured else title}: {NOT_MEASURED}."
        blocks.append(Notes(lines=(text,), tone="soft"))
    return Section(
        id="gender" if head.task == GENDER else f"attribute-{number}",
        title=title,
        lead=_lead(head),
        blocks=tuple(blocks),
    )


def _lead(head: ClassHead) -> str:
    if len(head.classes) != 2:
        return "A model names the likeliest class. A row of a confusion matrix is a true class."
    return f"A face counts as {head.classes[1]} at a probability of 0.5 and above."


def _report(result: BenchResult, cast: Cast, head: ClassHead) -> list[Block]:
    found: dict[str, list[ClassRow]] = {}
    for row in class_rows(result):
        if row.head == head.task:
            found.setdefault(row.model, []).append(row)
    entries = [entry for entry in cast.entries if entry.name in found]
    by_model = [(entry, _report_rows(cast, entry, head, found[entry.name])) for entry in entries]
    headings = ("model", "class", "precision %", "recall %", "F1 %", "images")
    if len(head.classes) <= _TABLE_CLASSES:
        rows = tuple(row for _, each in by_model for row in each)
        title = "Classification report"
        return [Table(title=title, headings=headings, rows=rows, text_columns=(0, 1))]
    return [
        Table(
            title=f"Classification report of {entry.name}",
            headings=headings,
            rows=rows,
            text_columns=(0, 1),
            is_folded=place > 0,  # the candidate's is open; if it has none, the next
        )
        for place, (entry, rows) in enumerate(by_model)
    ]


def _report_rows(
    cast: Cast, entry: BenchEntry, head: ClassHead, found: Sequence[ClassRow]
) -> tuple[tuple[Cell, ...], ...]:
    never = never_predicted(metrics_of(entry), head) or ()
    rows = []
    for place, row in enumerate(found):
        figures = (row.precision_pct, row.recall_pct, row.f1_pct)
        cells = [plain_cell(figure.value, figure.interval) for figure in figures]
        if row.class_name in never:  # a precision of nothing is no figure
            cells[0] = Cell(text=NEVER, tone="bad")
        rows.append(
            (
                Cell(text="") if place else cast.cell(entry, _overall(entry, head)),
                Cell(text=row.class_name),
                *cells,
                plain_cell(_support(entry, head, row.class_name)),
            )
        )
    return tuple(rows)


def _overall(entry: BenchEntry, head: ClassHead) -> str:
    said = []
    for name, words in _OVERALL:
        metric = metric_of(entry, head.task, name)
        if metric is not None:
            percent = f"{100 * metric.value:.1f}"
            said.append(words.format(percent if name in _PERCENT else metric_figure(metric).value))
    return ", ".join(said)


def _counts(entry: BenchEntry, head: ClassHead) -> list[list[int]] | None:
    """The confusion matrix, a row a true class; None where a count is missing or all are 0."""
    rows = confusion(metrics_of(entry), head)
    known = [[count for count in row if count is not None] for row in rows]
    whole = all(len(row) == len(head.classes) for row in known)
    return known if whole and any(map(any, known)) else None


def _support(entry: BenchEntry, head: ClassHead, true: str) -> str:
    counts = _counts(entry, head)
    return NOT_MEASURED if counts is None else f"{sum(counts[head.classes.index(true)]):,}"


def _matrix(cast: Cast, entry: BenchEntry, head: ClassHead) -> Table:
    counts = _counts(entry, head) or []
    order = [head.classes.index(name) for name in head.shown]
    rows = []
    for true in order:
        total = max(1, sum(counts[true]))
        cells = (
            Cell(text=f"{count:,}", detail=f"{100 * count / total:.1f} %", fill=count / total)
            for count in (counts[true][said] for said in order)
        )
        rows.append((Cell(text=f"is {head.classes[true]}"), *cells))
    return Table(
        title=f"{cast.letter(entry.name)}: {entry.name}",
        headings=("", *(f"said {name}" for name in head.shown)),
        rows=tuple(rows),
        is_folded=not cast.part(entry),
        is_matrix=True,
    )


def _drawn(cast: Cast, entry: BenchEntry, head: ClassHead, number: int) -> Plot:
    counts = _counts(entry, head) or []
    places = range(len(head.classes))
    shares = [[100 * count / max(1, sum(row)) for count in row] for row in counts]

    def draw(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        axes.grid(visible=False)
        for true, row in enumerate(shares):
            for said, share in enumerate(row):
                if share:
                    alpha = _DARKEST * share / 100
                    corner = (said - 0.5, true - 0.5)
                    square = Rectangle(corner, 1, 1, color=slot_colour(0), alpha=alpha, lw=0)
                    axes.add_patch(square)
                    text = f"{share:.0f}"
                    axes.text(said, true, text, ha="center", va="center", color=INK, size=9)
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.set_ylim(len(places) - 0.5, -0.5)
        axes.set_xticks(places, head.classes, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, head.classes)
        axes.set_xlabel("said")
        axes.set_ylabel("is")

    right = "; ".join(
        f"{name} {shares[at][at]:.0f} % of {sum(counts[at]):,} right"
        for at, name in enumerate(head.classes)
    )
    letter = cast.letter(entry.name)
    return Plot(
        title=f"{letter}: {entry.name}",
        svg=drawing(
            draw,
            name=f"confusion-{number}-{letter.lower()}",
            alt=f"Confusion matrix of {in_words(head.task)}. {right}. {_never_of(entry, head)}",
            height_ratio=1.35,
        ),
        note="Percent of each true class, a row each.",
    )


def _never(cast: Cast, entries: Sequence[BenchEntry], head: ClassHead) -> tuple[str, ...]:
    """Say it of each model; of two classes only where it is so, for the matrix shows it."""
    return tuple(
        f"{cast.letter(each.name)}: {_never_of(each, head)}"
        for each in entries
        if len(head.classes) > 2 or never_predicted(metrics_of(each), head)
    )


def _never_of(entry: BenchEntry, head: ClassHead) -> str:
    never = never_predicted(metrics_of(entry), head)
    return f"never predicted: {', '.join(never)}." if never else "every class is predicted."
