"""A benchmark as tables. In: `BenchResult`. Out: Rich tables, or Markdown with the same numbers.

Both forms are laid out from `bench_rows` and `class_rows`, which hold the formatted figures; a
form only decides where they stand. The terminal form stacks figures to fit 100 columns. Gender and
age have columns; what else a model tells has a table of its own (`attribute_tables`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.report.attribute_tables import attribute_markdown, ordered_entries
from edgeface.report.heads import (
    AGE_MAE,
    GENDER_ACCURACY,
    ClassHead,
    MainFigure,
    class_heads,
    find_metric,
    in_words,
    metrics_of,
)
from edgeface.report.text import NOT_MEASURED as NOT_MEASURED
from edgeface.report.text import Figure as Figure
from edgeface.report.text import escaped as escaped
from edgeface.report.text import markdown_table as markdown_table
from edgeface.report.text import significant as significant
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.training_specs import GENDER

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """One model of the main table, as printed.

    Attributes:
        model: name of the artifact.
        is_baseline: whether the others are compared with it.
        size_mb: of the `.tflite`.
        p50_ms: median latency.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        fps: 1000 / p50, model only.
        memory_mb: peak of the process.
        speedup: baseline p50 / p50; empty where there is no baseline.
        gender_accuracy_pct: with interval.
        age_mae_years: with interval.
        n: images.
    """

    model: str
    is_baseline: bool
    size_mb: str
    p50_ms: str
    p90_ms: str
    p99_ms: str
    fps: str
    memory_mb: str
    speedup: str
    gender_accuracy_pct: Figure
    age_mae_years: Figure
    n: str


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class of one model in the second table, as printed.

    Attributes:
        model: name of the artifact.
        head: that tells it, e.g. "gender"; empty for a model without heads of classes.
        class_name: e.g. "female"; empty where the head is.
        precision_pct: with interval.
        recall_pct: with interval.
        f1_pct: with interval.
        age_rmse_years: of the model, the same in all its rows.
        n: images.
    """

    model: str
    head: str
    class_name: str
    precision_pct: Figure
    recall_pct: Figure
    f1_pct: Figure
    age_rmse_years: Figure
    n: str

    @property
    def label(self) -> str:
        """The class, with its head where that is not gender."""
        if self.head in ("", GENDER):
            return self.class_name
        return f"{in_words(self.head)}: {self.class_name}"


def bench_rows(result: BenchResult) -> list[BenchRow]:
    """Format the main figures, a row a model, the baseline last; none of an invalid result."""
    return [_bench_row(entry, result) for entry in ordered_entries(result)]


def class_rows(result: BenchResult) -> list[ClassRow]:
    """Format precision, recall and F1 of each class and RMSE; models without quality have none.

    A model that tells no classes has one row, for its RMSE. An invalid result has none.
    """
    none = ClassHead(task="", classes=("",))
    return [
        ClassRow(
            model=entry.name,
            head=head.task,
            class_name=name,
            precision_pct=_figure(entry, head.task, f"precision_{name}"),
            recall_pct=_figure(entry, head.task, f"recall_{name}"),
            f1_pct=_figure(entry, head.task, f"f1_{name}"),
            age_rmse_years=_figure(entry, AGE_MAE.task, "rmse"),
            n=_images(entry),
        )
        for entry in ordered_entries(result)
        if entry.quality is not None
        for head in class_heads(metrics_of(entry)) or (none,)
        for name in head.shown
    ]


def bench_table(result: BenchResult) -> Table:
    """Lay the main table out for a terminal of 100 columns, notes as its caption."""
    rows = bench_rows(result)
    title = "Benchmark" + (" on drawn faces" if _is_drawn(result) else "")
    table = _table(title + (": INVALID" if result.invalid_reasons else ""))
    table.add_column("model", overflow="fold")
    for heading in (
        "file MB\npeak MB",
        "p50 ms\np90 / p99",
        "FPS\nspeed-up" if result.baseline is not None else "FPS",
        "gender\naccuracy %",
        "age MAE\nyears",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        _add_row(
            table,
            f"{row.model}\n{', '.join(_remarks(row))}",
            f"{row.size_mb}\n{row.memory_mb}",
            f"{row.p50_ms}\n{row.p90_ms} / {row.p99_ms}",
            f"{row.fps}\n{row.speedup}",
            row.gender_accuracy_pct.stacked(),
            row.age_mae_years.stacked(),
        )
    table.caption = Text("\n".join(bench_notes(result)), style="default")
    return table


def class_table(result: BenchResult) -> Table:
    """Lay the second table out for a terminal of 100 columns."""
    table = _table("Per class" + (" on drawn faces" if _is_drawn(result) else ""))
    table.add_column("model", overflow="fold")
    table.add_column("class", overflow="fold")
    for heading in ("precision\n%", "recall\n%", "F1\n%", "age RMSE\nyears"):
        table.add_column(heading, justify="right", no_wrap=True)
    last = ""
    for row in class_rows(result):
        is_first = row.model != last
        last = row.model
        _add_row(
            table,
            f"{row.model}\nn = {row.n}" if is_first else "",
            row.label,
            row.precision_pct.stacked(),
            row.recall_pct.stacked(),
            row.f1_pct.stacked(),
            row.age_rmse_years.stacked() if is_first else "",
        )
    return table


def bench_markdown(result: BenchResult) -> str:
    """Write both tables and their notes as Markdown, ending in a newline.

    Of an invalid result only the notes, which say why.
    """
    main = [
        [
            escaped(row.model) + (" (baseline)" if row.is_baseline else ""),
            row.size_mb,
            row.p50_ms,
            row.p90_ms,
            row.p99_ms,
            row.fps,
            row.memory_mb,
            *([row.speedup] if result.baseline is not None else []),
            row.gender_accuracy_pct.one_line(),
            row.age_mae_years.one_line(),
            row.n,
        ]
        for row in bench_rows(result)
    ]
    classes = [
        [
            escaped(row.model),
            escaped(row.label),
            row.precision_pct.one_line(),
            row.recall_pct.one_line(),
            row.f1_pct.one_line(),
            row.age_rmse_years.one_line(),
            row.n,
        ]
        for row in class_rows(result)
    ]
    headings = ["model", "size MB", "p50 ms", "p90 ms", "p99 ms", "FPS (model only)"]
    headings += ["peak memory MB", *(["speed-up"] if result.baseline is not None else [])]
    headings += ["gender accuracy % (95 %)", "age MAE years (95 %)", "n"]
    parts = [] if result.invalid_reasons else [markdown_table(headings, main)]
    if classes:
        headings = ["model", "class", "precision %", "recall %", "F1 %", "age RMSE years", "n"]
        parts.append(markdown_table(headings, classes))
    parts += filter(None, (attribute_markdown(result),))
    parts.append("\n".join(f"- {escaped(note)}" for note in bench_notes(result)))
    return "\n\n".join(parts) + "\n"


def source_notes(result: BenchResult) -> tuple[str, ...]:
    """Say on which machine, when and on which faces it was measured, one sentence a line."""
    device = result.device_before
    notes = [
        f"Device: {device.name}, {_device(device)}; {result.runtime} {result.runtime_version}, "
        f"{_count(result.protocol.threads, 'thread')}; "
        f"{result.started_utc[:16].replace('T', ' ')} UTC.",
    ]
    if device.note:
        notes.append(f"NOTE: {device.note}.")
    return (*notes, _data_note(result))


def bench_notes(result: BenchResult) -> tuple[str, ...]:
    """Say what the figures are of, and what makes them doubtful, one sentence a line."""
    protocol = result.protocol
    baseline = result.baseline
    notes = list(source_notes(result))
    untrained = [entry.name for entry in result.entries if not entry.trained]
    if untrained:
        notes.append(
            f"Random weights, so quality was {NOT_MEASURED}: {', '.join(untrained)}. Latency, "
            "memory and size do not depend on the weights."
        )
    notes.append(
        f"Latency: batch 1, without pre- and post-processing; {protocol.min_runs} runs and "
        f"{protocol.min_duration_s:g} s at least in each of "
        f"{_count(protocol.repeats, 'fresh process', 'es')}, models in turns. "
        "FPS = 1000 / p50, model only."
        + (f" Speed-up = p50 of {baseline} / p50." if baseline is not None else "")
    )
    notes.append(_memory_note(result))
    notes += [f"INVALID, so left out of tables: {text}." for text in result.invalid_reasons]
    notes += [f"WARNING: {text}." for text in result.warnings]
    return tuple(note for note in notes if note)


def _bench_row(entry: BenchEntry, result: BenchResult) -> BenchRow:
    latency, memory = entry.latency, entry.memory
    baseline = next((each for each in result.entries if each.name == result.baseline), None)
    base_latency = None if baseline is None else baseline.latency
    speedup = "" if baseline is None else NOT_MEASURED
    if latency is not None and base_latency is not None:
        speedup = f"{significant(base_latency.p50_ms / latency.p50_ms)}×"
    return BenchRow(
        model=entry.name,
        is_baseline=entry is baseline,
        size_mb=significant(entry.size_bytes / _MB),
        p50_ms=NOT_MEASURED if latency is None else significant(latency.p50_ms),
        p90_ms=NOT_MEASURED if latency is None else significant(latency.p90_ms),
        p99_ms=NOT_MEASURED if latency is None else significant(latency.p99_ms),
        fps=NOT_MEASURED if latency is None else significant(latency.fps),
        memory_mb=NOT_MEASURED if memory is None else significant(memory.peak_rss_bytes / _MB),
        speedup=speedup,
        gender_accuracy_pct=_main(entry, GENDER_ACCURACY),
        age_mae_years=_main(entry, AGE_MAE),
        n=_images(entry),
    )


def _main(entry: BenchEntry, figure: MainFigure) -> Figure:
    return _figure(entry, figure.task, figure.name)


def _figure(entry: BenchEntry, task: str, name: str) -> Figure:
    metric = find_metric(metrics_of(entry), task, name)
    if metric is None:
        return Figure(value=NOT_MEASURED)
    scale, digits = (100, 1) if metric.unit == "ratio" else (1, 2)
    value, low, high = (
        f"{scale * number:.{digits}f}" for number in (metric.value, metric.low, metric.high)
    )
    fewer = entry.quality is not None and metric.n != entry.quality.n
    images = f"n = {metric.n:,}" if fewer else ""
    return Figure(value=value, interval=f"{low}–{high}", images=images)


def _images(entry: BenchEntry) -> str:
    return NOT_MEASURED if entry.quality is None else f"{entry.quality.n:,}"


def _device(device: DeviceInfo) -> str:
    facts = [f"{device.model} ({device.arch}, {_count(device.cores, 'core')})"]
    if device.governor is not None:
        facts.append(f"governor {device.governor}")
    if device.clock_mhz is not None:
        facts.append(f"{device.clock_mhz:.0f} MHz")
    if device.temperature_c is not None:
        facts.append(f"{device.temperature_c:.0f} °C before")
    return ", ".join(facts)


def _data_note(result: BenchResult) -> str:
    quality = next((entry.quality for entry in result.entries if entry.quality is not None), None)
    if quality is None:
        return f"Quality: {NOT_MEASURED}."
    loud = "DRAWN FACES, NOT PHOTOGRAPHS: accuracy and MAE say nothing about people. "
    return (
        f"{loud if _is_drawn(result) else ''}Quality: {quality.data}, {quality.split} split of "
        f"manifest {quality.manifest_sha256[:12]}, {_count(quality.n, 'image')}; intervals are "
        "95 % bootstrap over images."
    )


def _memory_note(result: BenchResult) -> str:
    baselines = [
        entry.memory.baseline_rss_bytes for entry in result.entries if entry.memory is not None
    ]
    if not baselines:
        return ""
    return (
        f"Memory: peak of the process, of which Python and the runtime take "
        f"{significant(max(baselines) / _MB)} MB. MB = 10^6 bytes."
    )


def _is_drawn(result: BenchResult) -> bool:
    return result.data is not None and result.data.startswith("drawn")


def _count(number: int, word: str, plural: str = "s") -> str:
    return f"{number:,} {word}{'' if number == 1 else plural}"


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_lines=False,
    )


def _remarks(row: BenchRow) -> list[str]:
    measured = [f"n = {row.n}"] if row.n != NOT_MEASURED else []
    return (["baseline"] if row.is_baseline else []) + measured


def _add_row(table: Table, *cells: str) -> None:
    # once is enough where a whole cell was not measured; two words fit a narrow column as two lines
    short = {
        f"{NOT_MEASURED}\n{NOT_MEASURED}": NOT_MEASURED,
        f"{NOT_MEASURED}\n{NOT_MEASURED} / {NOT_MEASURED}": NOT_MEASURED,
    }
    texts = (short.get(cell, cell).replace(NOT_MEASURED, "not\nmeasured") for cell in cells)
    # Text, because a name with [brackets] would be read as markup
    table.add_row(*(Text(text.rstrip("\n")) for text in texts))
