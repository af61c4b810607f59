"""Quality beyond accuracy and MAE as tables. In: `BenchResult`. Out: Markdown; Rich of corruptions.

By class, other attributes, further figures, the worst groups, and spoiled faces. A table of which a
result has no figure is left out: records of an older edgeface lack the later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.bench.corruption import CORRUPTIONS, SETTINGS, STRENGTHS, CorruptedQuality, Corruption
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.bench.slices import SliceFigure, SliceKind, SliceQuality
from edgeface.bench.verdict_rule import SMALLEST_GROUPS
from edgeface.report.attribute_tables import attribute_markdown
from edgeface.report.heads import (
    AGE_MAE,
    GENDER_ACCURACY,
    MainFigure,
    find_metric,
    main_figures,
    metrics_of,
)
from edgeface.report.tables import class_rows
from edgeface.report.text import NOT_MEASURED, Figure, escaped, markdown_table
from edgeface.training_specs import AGE, GENDER
from edgeface.types import Metric

TOO_FEW = "too few"
DECADE_ACCURACY = "decade_accuracy"
_FURTHER = (
    (GENDER, "roc_auc", "ROC AUC"),
    (GENDER, "calibration_error", "calibration error %"),
    (AGE, "rmse", "age RMSE years"),
    (AGE, "r2", "age R²"),
    (AGE, "within_5_years", "within 5 years %"),
    (AGE, DECADE_ACCURACY, "age decade right %"),
)
_LATER = (DECADE_ACCURACY,)  # results from before it was measured keep the columns they had
_PERCENT = ("accuracy", "calibration_error", "within_5_years", DECADE_ACCURACY)
_WORST_OF: tuple[SliceKind, ...] = ("age and gender", "race", "age, gender and race")
_SHORT = {GENDER_ACCURACY: "gender %", AGE_MAE: "MAE"}


def quality_markdown(result: BenchResult) -> list[str]:
    """Write what is known beyond the main table, a Markdown text a table, without a last newline.

    By class; other attributes; further figures; MAE by decade; worst groups; spoiled faces.
    """
    measured = [entry for entry in result.entries if entry.quality is not None]
    tables = (
        _classes(result),
        attribute_markdown(result),
        _further(measured),
        _decades(measured),
        _worst(result.entries),
        _spoiled(result.entries),
    )
    return [table for table in tables if table]


def corruption_table(result: BenchResult) -> Table:
    """Lay the figures on spoiled faces out for a terminal of 100 columns."""
    table = Table(
        title="Spoiled faces",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    figures = _spoiled_figures(result.entries)
    table.add_column("model", overflow="fold")
    table.add_column("corruption", no_wrap=True)
    lines = [_SHORT.get(figure, figure.heading) for figure in figures]
    for heading in ("clean", "1", "2", "3"):
        table.add_column("\n".join(lines) + f", {heading}", justify="right")
    last = ""
    for entry in result.entries:
        for kind, columns in _by_kind(entry.corruptions, figures):
            named = f"{entry.name}\n{_images_by_figure(columns)}" if entry.name != last else ""
            table.add_row(
                Text(named),
                Text(kind),
                *(
                    Text("\n".join(metric_figure(metric).value for metric in column))
                    for column in zip(*columns.values(), strict=True)
                ),
            )
            last = entry.name
    table.caption = Text("\n".join(_strengths()), style="default")
    return table


def metric_figure(metric: Metric | SliceFigure | None, n: int | None = None) -> Figure:
    """Format a figure: shares as percent, years with two decimals, others with three.

    Args:
        metric: None reads "not measured".
        n: images that stand beside it; the figure says how many it is of where that differs.
    """
    if metric is None:
        return Figure(value=NOT_MEASURED)
    percent, years = metric.name in _PERCENT, metric.unit == "years"
    scale, digits = (100, 1) if percent else (1, 2 if years else 3)
    value = f"{scale * metric.value:.{digits}f}"
    if metric.low is None or metric.high is None:
        return Figure(value=value, interval=TOO_FEW, images=f"n = {metric.n:,}")
    return Figure(
        value=value,
        interval=f"{scale * metric.low:.{digits}f}–{scale * metric.high:.{digits}f}",
        images="" if n in (None, metric.n) else f"n = {metric.n:,}",
    )


def images_of(metrics: Iterable[Metric | None]) -> str:
    """Say how many images some figures are of, e.g. "1,000"; each number where they differ."""
    numbers = sorted({metric.n for metric in metrics if metric is not None})
    return " or ".join(f"{n:,}" for n in numbers) or NOT_MEASURED


def _classes(result: BenchResult) -> str:
    rows = [
        [
            escaped(row.model),
            escaped(row.label),
            row.precision_pct.one_line(),
            row.recall_pct.one_line(),
            row.f1_pct.one_line(),
            row.n,
        ]
        for row in class_rows(result)
    ]
    headings = ["model", "class", "precision % (95 %)", "recall % (95 %)", "F1 % (95 %)", "n"]
    return markdown_table(headings, rows) if rows else ""


def _further(entries: Sequence[BenchEntry]) -> str:
    columns = [
        each
        for each in _FURTHER
        if each[1] not in _LATER or any(_metric(entry, *each[:2]) for entry in entries)
    ]
    rows = [
        [
            escaped(entry.name),
            *(
                metric_figure(_metric(entry, task, name), _images(entry)).one_line()
                for task, name, _ in columns
            ),
        ]
        for entry in entries
    ]
    headings = ["model", *(f"{words} (95 %)" for _, _, words in columns)]
    return markdown_table(headings, rows) if rows else ""


def _decades(entries: Sequence[BenchEntry]) -> str:
    names = {
        metric.name: metric.n
        for entry in entries
        for metric in metrics_of(entry)
        if metric.task == AGE and metric.name.startswith("mae_")
    }
    if not names:
        return ""
    ordered = sorted(names, key=_first_year)
    rows = [
        [escaped(entry.name), *(_decade(_metric(entry, AGE, name)) for name in ordered)]
        for entry in entries
    ]
    headings = [
        f"{_first_year(name)}–{_first_year(name) + 9} (n = {names[name]:,})" for name in ordered
    ]
    note = "Age MAE by decade, years (95 %):"
    return f"{note}\n\n{markdown_table(['model', *headings], rows)}"


def _first_year(name: str) -> int:
    return int(name.split("_")[1])


def _decade(metric: Metric | None) -> str:
    figure = metric_figure(metric)
    if metric is not None and metric.n < SMALLEST_GROUPS:
        return f"{figure.value} ({TOO_FEW})"
    return figure.one_line()


def _worst(entries: Sequence[BenchEntry]) -> str:
    rows = [
        [
            escaped(entry.name),
            escaped(figure.heading),
            *(_worst_of(entry.slices, kind, figure) for kind in _WORST_OF),
            str(_count_too_few(entry.slices, figure)),
        ]
        for entry in entries
        if entry.slices
        for figure in main_figures(each for part in entry.slices for each in part.figures)
    ]
    if not rows:
        return ""
    headings = ["model", "figure", *(f"worst by {kind} (95 %)" for kind in _WORST_OF), TOO_FEW]
    note = (
        f"Worst groups, of those with {SMALLEST_GROUPS} images or more; the last column counts the "
        "groups by age, gender and race that have fewer, which are too few to tell. Each interval "
        "stands alone: the worst of many looks bad by chance too. All groups are in the result "
        "file."
    )
    return f"{note}\n\n{markdown_table(headings, rows, ('model', 'figure', *headings[2:-1]))}"


def _worst_of(slices: Sequence[SliceQuality], kind: SliceKind, main: MainFigure) -> str:
    judged = [
        (main.sign * figure.value, each.name, figure)
        for each in slices
        if each.by == kind
        for figure in each.figures
        if _is_of(figure, main) and not figure.is_too_few
    ]
    if not judged:
        return NOT_MEASURED
    _, group, figure = max(judged, key=lambda each: each[0])
    return f"{escaped(group)}: {metric_figure(figure).one_line()}, n = {figure.n:,}"


def _count_too_few(slices: Sequence[SliceQuality], main: MainFigure) -> int:
    return sum(
        figure.is_too_few
        for each in slices
        if each.by == "age, gender and race"
        for figure in each.figures
        if _is_of(figure, main)
    )


def _is_of(figure: SliceFigure, main: MainFigure) -> bool:
    return (figure.task, figure.name) == (main.task, main.name)


def _spoiled(entries: Sequence[BenchEntry]) -> str:
    figures = _spoiled_figures(entries)
    rows = [
        [
            escaped(entry.name),
            kind,
            escaped(main.heading),
            *(metric_figure(metric).one_line() for metric in columns[main]),
            images_of(columns[main]),
        ]
        for main in figures
        for entry in entries
        for kind, columns in _by_kind(entry.corruptions, figures)
    ]
    if not rows:
        return ""
    headings = ["model", "corruption", "figure", "clean (95 %)"]
    headings += [*(f"strength {each} (95 %)" for each in STRENGTHS), "n"]
    text = ("model", "corruption", "figure")
    return f"{' '.join(_strengths())}\n\n{markdown_table(headings, rows, text)}"


def _strengths() -> list[str]:
    listed = "; ".join(f"{kind} {SETTINGS[kind]}" for kind in CORRUPTIONS)
    return [f"Spoiled faces, the same for every model of the same heads. Strengths: {listed}."]


def _images_by_figure(columns: Mapping[MainFigure, Sequence[Metric | None]]) -> str:
    """E.g. "n = 1,000"; a line a figure where they are of unlike numbers."""
    numbers = {
        _SHORT.get(main, main.heading): images_of(metrics)
        for main, metrics in columns.items()
        if any(metrics)
    }
    if len(set(numbers.values())) == 1:
        return f"n = {next(iter(numbers.values()))}"
    return "\n".join(f"{heading}: n = {n}" for heading, n in numbers.items())


def _spoiled_figures(entries: Sequence[BenchEntry]) -> tuple[MainFigure, ...]:
    return main_figures(
        metric for entry in entries for each in entry.corruptions for metric in each.metrics
    )


def _by_kind(
    corruptions: Sequence[CorruptedQuality], figures: Sequence[MainFigure]
) -> Iterator[tuple[Corruption, dict[MainFigure, list[Metric | None]]]]:
    """Each kind of corruption with the figures of the clean faces and of the three strengths."""
    found: dict[tuple[str, int, str, str], Metric] = {
        (each.kind, each.strength, metric.task, metric.name): metric
        for each in corruptions
        for metric in each.metrics
    }
    kinds = {each.kind for each in corruptions}
    for kind in CORRUPTIONS:
        if kind in kinds:
            places = [("none", 0), *((kind, strength) for strength in STRENGTHS)]
            yield (
                kind,
                {
                    main: [found.get((*place, main.task, main.name)) for place in places]
                    for main in figures
                },
            )


def _images(entry: BenchEntry) -> int | None:
    return None if entry.quality is None else entry.quality.n


def _metric(entry: BenchEntry, task: str, name: str) -> Metric | None:
    return find_metric(metrics_of(entry), task, name)
