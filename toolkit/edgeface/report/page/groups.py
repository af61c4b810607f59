"""Who is served worst. In: the slices of models, paired comparisons. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence

from edgeface.bench.result import BenchEntry
from edgeface.bench.slices import SliceFigure, SliceKind, SliceQuality
from edgeface.bench.verdict import Comparison
from edgeface.bench.verdict_rule import SMALLEST_GROUPS
from edgeface.report.heads import MainFigure, main_figures
from edgeface.report.page.blocks import Block, Cell, Notes, Section, Table, Tables, Whisker
from edgeface.report.page.headline import TONES, plain_cell
from edgeface.report.page.models import Cast
from edgeface.report.quality_tables import TOO_FEW, metric_figure
from edgeface.report.text import NOT_MEASURED
from edgeface.report.verdict_tables import slice_rows, verdict_notes, verdict_rows

_KINDS: tuple[SliceKind, ...] = ("gender", "race", "age", "age and gender", "age, gender and race")
_FOLDED = ("age and gender", "age, gender and race")


def groups_section(cast: Cast, comparisons: Sequence[Comparison] = ()) -> Section:
    """Show the figures of each kind of faces, of the candidate beside the reference.

    Args:
        cast: of a result.
        comparisons: paired; each gives its verdicts, as a whole and by slices.
    """
    entry = cast.candidate
    blocks: list[Block] = []
    if entry is not None and entry.slices:
        found = [table for kind in _KINDS if (table := _table(cast, entry, kind)) is not None]
        blocks.append(
            Tables(tables=tuple(each for each in found if not each.is_folded), is_flowing=True)
        )
        blocks += [each for each in found if each.is_folded]
    else:
        blocks.append(Notes(lines=(f"Groups of the candidate: {NOT_MEASURED}.",), tone="soft"))
    if comparisons:
        blocks += [_verdicts(cast, comparisons), *(_paired_slices(each) for each in comparisons)]
        blocks.append(Notes(lines=verdict_notes(comparisons), tone="soft"))
    return Section(
        id="groups",
        title="Groups of faces",
        lead="A mean hides the group that is served worst. Each interval stands alone: the worst "
        f"of many looks bad by chance too. Fewer than {SMALLEST_GROUPS} images are too few to "
        "tell. Bars: 95 % intervals; the hollow mark is the reference.",
        blocks=tuple(blocks),
    )


def _table(cast: Cast, entry: BenchEntry, kind: SliceKind) -> Table | None:
    slices = _of(entry, kind)
    if not slices:
        return None
    reference = cast.reference
    beside = {} if reference is None else {each.name: each for each in _of(reference, kind)}
    rows = []
    figures = main_figures(figure for each in slices for figure in each.figures)
    spans = {main: _span(slices, main) for main in figures}
    for each in slices:
        cells = [Cell(text=each.name, detail=f"n = {each.n:,}")]
        for main in figures:
            other = _figure(beside.get(each.name), main)
            cells.append(_cell(_figure(each, main), other, spans[main]))
        rows.append(tuple(cells))
    named = "." if not beside or reference is None else f", reference {reference.name}."
    return Table(
        title=f"By {kind}",
        headings=(kind, *(main.heading for main in figures)),
        rows=tuple(rows),
        note=f"Candidate {entry.name}{named}",
        is_folded=kind in _FOLDED,
    )


def _of(entry: BenchEntry, kind: SliceKind) -> list[SliceQuality]:
    return [each for each in entry.slices if each.by == kind]


def _figure(part: SliceQuality | None, main: MainFigure) -> SliceFigure | None:
    figures = () if part is None else part.figures
    return next((figure for figure in figures if _is_of(figure, main)), None)


def _is_of(figure: SliceFigure, main: MainFigure) -> bool:
    return (figure.task, figure.name) == (main.task, main.name)


def _span(slices: Sequence[SliceQuality], main: MainFigure) -> tuple[float, float] | None:
    """The range of the drawn intervals, in which those of one table are to be compared."""
    ends = [
        end
        for each in slices
        for figure in each.figures
        if _is_of(figure, main) and figure.low is not None and figure.high is not None
        for end in (figure.low, figure.high, figure.value)
    ]
    if not ends or max(ends) == min(ends):
        return None
    return min(ends), max(ends)


def _cell(
    figure: SliceFigure | None, other: SliceFigure | None, span: tuple[float, float] | None
) -> Cell:
    shown = metric_figure(figure)
    if figure is None:
        return plain_cell(shown.value)
    beside = "" if other is None else f"reference {metric_figure(other).value}"
    if figure.low is None or figure.high is None:
        return Cell(text=shown.value, detail=TOO_FEW, tone="soft", other=beside)
    whisker = None
    if span is not None:

        def place(value: float) -> float:
            return min(100.0, max(0.0, round(100 * (value - span[0]) / (span[1] - span[0]), 1)))

        whisker = Whisker(
            at=place(figure.value),
            low=place(figure.low),
            high=place(figure.high),
            other=None if other is None else place(other.value),
        )
    return Cell(text=shown.value, detail=shown.interval, whisker=whisker, other=beside)


def _verdicts(cast: Cast, comparisons: Sequence[Comparison]) -> Table:
    known = {entry.name: entry for entry in cast.entries}
    rows = []
    for row in verdict_rows(comparisons):
        entry, against = known.get(row.model), f"against {row.against}"
        worst = (row.worst_difference.value, row.worst_verdict)
        rows.append(
            (
                Cell(text=row.model, detail=against)
                if entry is None
                else cast.cell(entry, against),
                Cell(text=row.figure),
                Cell(text=row.reference),
                Cell(text=row.candidate),
                Cell(text=row.difference.value, detail=row.difference.interval),
                Cell(text=row.margin),
                Cell(text=row.verdict, tone=TONES.get(row.verdict, "")),
                Cell(text=row.worst_slice, detail=" ".join(filter(None, worst))),
            )
        )
    headings = ("model", "figure", "reference", "candidate", "difference", "margin")
    return Table(
        title="Verdicts, on the same faces",
        headings=(*headings, "verdict", "worst group"),
        rows=tuple(rows),
        text_columns=(0, 1, 6, 7),
    )


def _paired_slices(comparison: Comparison) -> Table:
    rows = tuple(
        (
            Cell(text=row.name, detail="worst" if row.is_worst else ""),
            Cell(text=row.figure),
            Cell(text=row.reference),
            Cell(text=row.candidate),
            Cell(text=row.difference.value, detail=row.difference.interval),
            Cell(text=row.verdict, tone=TONES.get(row.verdict, "soft")),
        )
        for row in slice_rows(comparison)
    )
    return Table(
        title=f"{comparison.candidate} against {comparison.reference}, by groups",
        headings=("group", "figure", "reference", "candidate", "difference", "verdict"),
        rows=rows,
        text_columns=(0, 1, 5),
        is_folded=True,
    )
