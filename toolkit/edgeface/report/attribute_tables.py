"""Attributes besides gender and age as tables. In: `BenchResult`. Out: Rich, or Markdown.

There is a table only where a model has such heads. Both forms are laid out from `attribute_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.data.adapters.paths import printable
from edgeface.report.heads import (
    ClassHead,
    find_metric,
    in_words,
    metrics_of,
    never_predicted,
    other_heads,
)
from edgeface.report.text import Figure, escaped, markdown_table

_FIGURES = (
    ("accuracy", "accuracy %", 100.0, 1),
    ("balanced_accuracy", "balanced accuracy %", 100.0, 1),
    ("macro_f1", "macro F1 %", 100.0, 1),
    ("roc_auc", "ROC AUC", 1.0, 3),
    ("calibration_error", "calibration error %", 100.0, 1),
)
NEVER = "never predicted"


@dataclass(frozen=True, kw_only=True)
class AttributeRow:
    """One figure of one head of one model, as printed.

    Attributes:
        model: name of the artifact.
        attribute: the head's name, in words.
        figure: what it is, with its unit.
        value: with its 95 % interval.
        n: images that have the head's label.
    """

    model: str
    attribute: str
    figure: str
    value: Figure
    n: str


def attribute_rows(result: BenchResult) -> list[AttributeRow]:
    """Format the figures of heads other than gender and age; none of an invalid result."""
    return [
        row
        for entry in ordered_entries(result)
        for head in other_heads(metrics_of(entry))
        for row in _rows(entry, head)
    ]


def ordered_entries(result: BenchResult) -> list[BenchEntry]:
    """List the models of a result, the baseline last; none of an invalid one."""
    if result.invalid_reasons:
        return []
    return sorted(result.entries, key=lambda entry: entry.name == result.baseline)


def attribute_table(result: BenchResult) -> Table | None:
    """Lay them out for a terminal of 100 columns; None where there are none."""
    rows = attribute_rows(result)
    if not rows:
        return None
    table = Table(
        title="Other attributes", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for heading in ("model", "attribute", "figure"):
        table.add_column(heading, overflow="fold")
    table.add_column("value\nand 95 %", justify="right", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    last = ("", "")
    for row in rows:
        here = (row.model, row.attribute)
        table.add_row(
            Text(printable(row.model) if row.model != last[0] else ""),
            Text(printable(row.attribute) if here != last else ""),
            Text(row.figure),
            Text(printable(row.value.one_line())),
            Text(row.n),
        )
        last = here
    return table


def attribute_markdown(result: BenchResult) -> str:
    """Write them as Markdown, without a last newline; empty where there are none."""
    rows = [
        [
            escaped(row.model),
            escaped(row.attribute),
            row.figure,
            escaped(row.value.one_line()),
            row.n,
        ]
        for row in attribute_rows(result)
    ]
    headings = ["model", "attribute", "figure", "value (95 %)", "n"]
    if not rows:
        return ""
    return f"Other attributes:\n\n{markdown_table(headings, rows, headings[:3])}"


def _rows(entry: BenchEntry, head: ClassHead) -> Iterator[AttributeRow]:
    metrics, attribute = metrics_of(entry), in_words(head.task)
    images = ""
    for name, words, scale, digits in _FIGURES:
        metric = find_metric(metrics, head.task, name)
        if metric is None:  # not every head has each: macro F1 is of more than two classes
            continue
        value, low, high = (
            f"{scale * number:.{digits}f}" for number in (metric.value, metric.low, metric.high)
        )
        images = images or f"{metric.n:,}"
        yield AttributeRow(
            model=entry.name,
            attribute=attribute,
            figure=words,
            value=Figure(value=value, interval=f"{low}–{high}"),
            n=f"{metric.n:,}",
        )
    never = never_predicted(metrics, head)
    if never is not None:
        yield AttributeRow(
            model=entry.name,
            attribute=attribute,
            figure=NEVER,
            value=Figure(value=", ".join(never) or "none"),
            n=images,
        )
