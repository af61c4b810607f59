"""How well gender is told: by class, and which way the errors go. In: models. Out: a section."""

from __future__ import annotations

from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.report.page.blocks import Block, Cell, Notes, Section, Table, Tables
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.models import Cast, metric_of
from edgeface.report.quality_tables import metric_figure
from edgeface.report.tables import NOT_MEASURED, class_rows
from edgeface.types import GENDER_CLASSES


def gender_section(result: BenchResult, cast: Cast) -> Section:
    """Show precision, recall and F1 of each class, and the confusion matrix of each model."""
    measured = [entry for entry in cast.entries if metric_of(entry, "accuracy") is not None]
    blocks: list[Block] = []
    if measured:
        blocks.append(_report(result, cast))
    matrices = [_matrix(cast, entry) for entry in measured]
    found = tuple(matrix for matrix in matrices if matrix is not None)
    if found:
        blocks.append(Tables(tables=found))
    if len(found) < len(measured) or not measured:
        what = "The confusion matrix of the other models" if found else "Confusion matrices"
        text = f"{what if measured else 'Gender'}: {NOT_MEASURED}."
        blocks.append(Notes(lines=(text,), tone="soft"))
    return Section(
        id="gender",
        title="Gender",
        lead="A face counts as female at a probability of 0.5 and above.",
        blocks=tuple(blocks),
    )


def _report(result: BenchResult, cast: Cast) -> Table:
    headings = ("model", "class", "precision %", "recall %", "F1 %", "images")
    entries = {entry.name: entry for entry in cast.entries}
    rows: list[tuple[Cell, ...]] = []
    last = ""
    for row in sorted(class_rows(result), key=lambda row: cast.number(row.model)):
        entry = entries[row.model]
        head = cast.cell(entry, _overall(entry)) if row.model != last else Cell(text="")
        last = row.model
        figures = (row.precision_pct, row.recall_pct, row.f1_pct)
        rows.append(
            (
                head,
                Cell(text=row.class_name),
                *(plain_cell(figure.value, figure.interval) for figure in figures),
                plain_cell(_support(entry, row.class_name)),
            )
        )
    return Table(
        title="Classification report", headings=headings, rows=tuple(rows), text_columns=(0, 1)
    )


def _overall(entry: BenchEntry) -> str:
    accuracy = metric_figure(metric_of(entry, "accuracy")).value
    return f"accuracy {accuracy} %, ROC AUC {metric_figure(metric_of(entry, 'roc_auc')).value}"


def _count(entry: BenchEntry, true: str, said: str) -> int | None:
    metric = metric_of(entry, f"true_{true}_said_{said}")
    return None if metric is None else round(metric.value)


def _support(entry: BenchEntry, true: str) -> str:
    counts = [_count(entry, true, said) for said in GENDER_CLASSES]
    known = [count for count in counts if count is not None]
    return f"{sum(known):,}" if len(known) == len(counts) else NOT_MEASURED


def _matrix(cast: Cast, entry: BenchEntry) -> Table | None:
    rows = []
    for true in reversed(GENDER_CLASSES):
        counts = [_count(entry, true, said) for said in reversed(GENDER_CLASSES)]
        known = [count for count in counts if count is not None]
        total = sum(known)
        if len(known) < len(counts) or total == 0:
            return None
        cells = (
            Cell(text=f"{count:,}", detail=f"{100 * count / total:.1f} %", fill=count / total)
            for count in known
        )
        rows.append((Cell(text=f"is {true}"), *cells))
    headings = ("", *(f"said {name}" for name in reversed(GENDER_CLASSES)))
    return Table(
        title=f"{cast.letter(entry.name)}: {entry.name}",
        headings=headings,
        rows=tuple(rows),
        is_folded=entry not in (cast.candidate, cast.reference, cast.baseline),
        is_matrix=True,
    )
