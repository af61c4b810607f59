"""Verdicts on compressed models as tables. In: `Comparison`. Out: Rich tables, or Markdown.

Both forms are laid out from `verdict_rows` and `slice_rows`, which hold the formatted figures; a
form only decides where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.bench.verdict import Comparison, Estimate, TaskComparison
from edgeface.bench.verdict_rule import SMALLEST_GROUPS
from edgeface.data.adapters.paths import printable
from edgeface.report.heads import MainFigure
from edgeface.report.text import Figure, escaped, markdown_table

NOT_JUDGED = "not judged"
_STYLES = {"better": "green", "not worse": "green", "worse": "bold red", "undecided": "yellow"}
_WORST = "worst"
_TEXT_HEADINGS = ("model", "against", "figure", "verdict", "worst slice", "its verdict", "slice")


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """One task of one model, as printed.

    Attributes:
        model: name of the candidate.
        against: name of the reference.
        figure: what is compared, with its unit.
        reference: figure of the reference.
        candidate: figure of the candidate.
        difference: candidate - reference with its 95 % interval and n.
        margin: the largest loss that is accepted.
        verdict: "better", "not worse", "worse" or "undecided".
        worst_slice: its name; "not judged" where all are too small.
        worst_difference: of that slice; empty where there is none.
        worst_verdict: of that slice; empty where there is none.
    """

    model: str
    against: str
    figure: str
    reference: str
    candidate: str
    difference: Figure
    margin: str
    verdict: str
    worst_slice: str
    worst_difference: Figure
    worst_verdict: str


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """One slice of one task, as printed.

    Attributes:
        figure: what is compared, with its unit.
        name: of the slice.
        is_worst: whether it is the one that loses most.
        reference: figure of the reference.
        candidate: figure of the candidate.
        difference: candidate - reference with its interval and n.
        verdict: as in `VerdictRow`; "not judged" where the slice is too small.
    """

    figure: str
    name: str
    is_worst: bool
    reference: str
    candidate: str
    difference: Figure
    verdict: str


def verdict_rows(comparisons: Sequence[Comparison]) -> list[VerdictRow]:
    """Format the verdicts, a row a model and task."""
    return [_verdict_row(each, task) for each in comparisons for task in each.tasks]


def slice_rows(comparison: Comparison) -> list[SliceRow]:
    """Format the slices of one model, a row a task and slice."""
    return [
        SliceRow(
            figure=_figure(task),
            name=printable(each.name),
            is_worst=each is task.worst,
            reference=_level(each.estimate.reference, task),
            candidate=_level(each.estimate.candidate, task),
            difference=_difference(each.estimate, task),
            verdict=each.estimate.verdict or NOT_JUDGED,
        )
        for task in comparison.tasks
        for each in task.slices
    ]


def verdict_table(comparisons: Sequence[Comparison]) -> Table:
    """Lay the verdicts out for a terminal of 100 columns, notes as its caption."""
    rows = verdict_rows(comparisons)
    references = {row.against for row in rows}
    table = _table("Verdicts" + (f" against {rows[0].against}" if len(references) == 1 else ""))
    table.add_column("model", overflow="fold")
    table.add_column("figure", no_wrap=True)
    for heading in ("reference\ncandidate", "difference\nand 95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict\nmargin", no_wrap=True)
    table.add_column("worst slice", overflow="fold")
    last = ""
    for row in rows:
        model = row.model + (f"\nagainst {row.against}" if len(references) > 1 else "")
        worst = (row.worst_slice, row.worst_difference.stacked(), row.worst_verdict)
        table.add_row(
            Text(model if model != last else ""),
            Text(row.figure.replace(" ", "\n", 1)),
            Text(f"{row.reference}\n{row.candidate}"),
            Text(row.difference.stacked()),
            Text.assemble((row.verdict, _STYLES.get(row.verdict, "")), f"\n{row.margin}"),
            Text("\n".join(filter(None, worst))),
        )
        last = model
    table.caption = Text("\n".join(verdict_notes(comparisons)), style="default")
    return table


def slice_table(comparison: Comparison) -> Table:
    """Lay the slices of one model out for a terminal of 100 columns."""
    table = _table(f"{printable(comparison.candidate)} by slices")
    table.add_column("slice", overflow="fold")
    for heading in ("n", "reference", "candidate", "difference", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    last = ""
    for row in slice_rows(comparison):
        if row.figure != last:
            table.add_row(Text(row.figure, style="bold"))
        table.add_row(
            Text(f"{row.name}{f' ({_WORST})' if row.is_worst else ''}"),
            Text(row.difference.images.removeprefix("n = ")),
            Text(row.reference),
            Text(row.candidate),
            Text(row.difference.value),
            Text(row.difference.interval),
            Text(row.verdict, style=_STYLES.get(row.verdict, "dim")),
        )
        last = row.figure
    return table


def verdict_markdown(comparisons: Sequence[Comparison]) -> str:
    """Write the verdicts and their notes as Markdown, ending in a newline."""
    headings = ["model", "against", "figure", "reference", "candidate", "difference (95 %)"]
    headings += ["margin", "verdict", "worst slice", "its difference", "its verdict"]
    rows = [
        [
            escaped(row.model),
            escaped(row.against),
            escaped(row.figure),
            row.reference,
            row.candidate,
            row.difference.one_line(),
            row.margin,
            row.verdict,
            escaped(row.worst_slice),
            row.worst_difference.one_line(),
            row.worst_verdict,
        ]
        for row in verdict_rows(comparisons)
    ]
    notes = "\n".join(f"- {escaped(note)}" for note in verdict_notes(comparisons))
    return f"{markdown_table(headings, rows, _TEXT_HEADINGS)}\n\n{notes}\n"


def slice_markdown(comparison: Comparison) -> str:
    """Write the slices of one model as Markdown, ending in a newline."""
    headings = ["figure", "slice", "reference", "candidate", "difference (interval)", "verdict"]
    rows = [
        [
            escaped(row.figure),
            escaped(row.name) + (f" ({_WORST})" if row.is_worst else ""),
            row.reference,
            row.candidate,
            row.difference.one_line(),
            row.verdict,
        ]
        for row in slice_rows(comparison)
    ]
    return markdown_table(headings, rows, _TEXT_HEADINGS) + "\n"


def verdict_notes(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Say how the verdicts were reached, one sentence or two a line."""
    drawn = {each.by_group for each in comparisons}
    units = {
        frozenset({True}): "photographs, copies of one together",
        frozenset({False}): "images",
    }.get(frozenset(drawn), "images, or photographs with their copies")
    resamples = ", ".join(f"{n:,}" for n in sorted({c.resampling.resamples for c in comparisons}))
    return (
        "Difference = candidate - reference on the same images; intervals are paired bootstrap "
        f"over {units}, {resamples} resamples.",
        "better: the whole interval on the good side of 0; not worse: no loss beyond the margin in "
        "it; worse: all of it is a loss beyond the margin; undecided: all else, or too few images "
        "(Piaggio et al. 2012, CONSORT).",
        "Slices (age decade and gender; race): intervals hold together with 95 % (Bonferroni); "
        f"fewer than {SMALLEST_GROUPS} photographs are not judged; the worst has the largest loss "
        "of those judged.",
    )


def _verdict_row(comparison: Comparison, task: TaskComparison) -> VerdictRow:
    worst = task.worst
    verdict = task.overall.verdict
    return VerdictRow(
        model=printable(comparison.candidate),
        against=printable(comparison.reference),
        figure=_figure(task),
        reference=_level(task.overall.reference, task),
        candidate=_level(task.overall.candidate, task),
        difference=_difference(task.overall, task),
        margin=f"{task.margin:g} {task.unit}",
        verdict=verdict or NOT_JUDGED,
        worst_slice=NOT_JUDGED if worst is None else printable(worst.name),
        worst_difference=Figure(value="") if worst is None else _difference(worst.estimate, task),
        worst_verdict=(worst.estimate.verdict if worst is not None else None) or "",
    )


def _figure(task: TaskComparison) -> str:
    name: Literal["accuracy", "mae"] = "mae" if task.unit == "years" else "accuracy"
    return printable(MainFigure(task=task.task, name=name).label)


def _level(value: float, task: TaskComparison) -> str:
    """A model's own figure, as precise as in the benchmark's table."""
    return f"{value:.2f}" if task.unit == "years" else f"{value:.1f}"


def _difference(estimate: Estimate, task: TaskComparison) -> Figure:
    low, high = estimate.low, estimate.high
    interval = (
        "" if low is None or high is None else f"{_signed(low, task)} to {_signed(high, task)}"
    )
    return Figure(
        value=_signed(estimate.difference, task), interval=interval, images=f"n = {estimate.n:,}"
    )


def _signed(value: float, task: TaskComparison) -> str:
    """One digit more than `_level`, because margins are that small; zero has no sign."""
    digits = 3 if task.unit == "years" else 2
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def _table(title: str) -> Table:
    return Table(
        title=Text(title),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
