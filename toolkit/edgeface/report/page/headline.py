"""The figures of one model against the baseline, large. In: a result. Out: cards and a table.

A verdict on quality is a paired one, of both models on the same faces (`bench.verdict`); from two
intervals alone none is computed. A model is called faster where the whole interval of its speed-up
(`bench.latency_bootstrap`) is above 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeface.bench.latency import LatencySamples
from edgeface.bench.latency_bootstrap import Interval, percentile_intervals, ratio_intervals
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.bench.verdict import Comparison, TaskComparison
from edgeface.report.heads import MainFigure, main_figures, metrics_of
from edgeface.report.page.blocks import Block, Card, Cards, Cell, Notes, Section, Table, Tone
from edgeface.report.page.models import Cast, main_of
from edgeface.report.quality_tables import metric_figure
from edgeface.report.results_page import how_made
from edgeface.report.tables import bench_rows
from edgeface.report.text import NOT_MEASURED, significant
from edgeface.report.verdict_tables import NOT_JUDGED

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_LATENCY, _FPS = "latency, p50", "speed, model only"
_ONE_PROCESS = "one process, so no interval"
TONES: dict[str, Tone] = {
    "better": "good",
    "not worse": "good",
    "worse": "bad",
    "undecided": "doubtful",
}


def headline_section(
    result: BenchResult, cast: Cast, comparisons: Sequence[Comparison] = ()
) -> Section:
    """Show the candidate against the baseline, then all models.

    Args:
        result: one benchmark.
        cast: of it.
        comparisons: paired, of which those of the candidate give the verdicts on quality.
    """
    blocks: list[Block] = []
    if cast.candidate is not None:
        blocks.append(Cards(cards=tuple(_cards(cast, cast.candidate, comparisons))))
    blocks += [_table(result, cast), Notes(lines=_notes(result), tone="soft")]
    against = "" if cast.baseline is None else f" against {cast.baseline.name}, the baseline"
    lead = (
        "No model was measured."
        if cast.candidate is None
        else f"{cast.candidate.name}{against}. It is {how_made(cast.candidate)}."
    )
    return Section(id="headline", title="At a glance", lead=lead, blocks=tuple(blocks))


def speed_verdict(speed_up: Interval | None) -> tuple[str, Tone]:
    """Say from the interval of a speed-up, as the module states, whether a model is faster."""
    if speed_up is None:
        return NOT_JUDGED, "soft"
    if speed_up.low > 1:
        return "faster", "good"
    return ("slower", "bad") if speed_up.high < 1 else ("undecided", "doubtful")


def _cards(cast: Cast, entry: BenchEntry, comparisons: Sequence[Comparison]) -> list[Card]:
    base = cast.baseline if cast.baseline is not entry else None
    cards = [_size(entry, base), *_speed(entry, base), _memory(entry, base)]
    cards += [
        _quality(cast, entry, base, comparisons, each) for each in main_figures(metrics_of(entry))
    ]
    return cards


def _size(entry: BenchEntry, base: BenchEntry | None) -> Card:
    ratio = None if base is None else base.size_bytes / entry.size_bytes
    return Card(
        title="file size",
        value=significant(entry.size_bytes / _MB),
        unit="MB",
        detail="exact",
        against="" if base is None else f"baseline {significant(base.size_bytes / _MB)} MB",
        verdict="" if ratio is None else _times(ratio, "smaller", "larger"),
        tone="" if ratio is None else _tone(ratio),
    )


def _speed(entry: BenchEntry, base: BenchEntry | None) -> list[Card]:
    samples = entry.latency
    if samples is None:
        return [Card(title=title, value=NOT_MEASURED) for title in (_LATENCY, _FPS)]
    other = None if base is None else base.latency
    (p50,) = percentile_intervals(samples, (50,))
    fps = None if p50 is None else Interval(low=1000 / p50.high, high=1000 / p50.low)
    verdict, tone, why = _speed_up(samples, other)
    latency = Card(
        title=_LATENCY,
        value=significant(samples.p50_ms),
        unit="ms",
        detail=_interval(p50),
        against="" if other is None else f"baseline {significant(other.p50_ms)} ms",
        verdict=verdict,
        tone=tone,
        why=why,
    )
    speed = Card(
        title=_FPS,
        value=significant(samples.fps),
        unit="FPS",
        detail=_interval(fps),
        against="" if other is None else f"baseline {significant(other.fps)} FPS",
    )
    return [latency, speed]


def _speed_up(samples: LatencySamples, other: LatencySamples | None) -> tuple[str, Tone, str]:
    if other is None:
        return "", "", ""
    (ratio,) = ratio_intervals(samples, other, (50,))
    verdict, tone = speed_verdict(ratio)
    why = _ONE_PROCESS if ratio is None else f"speed-up {_interval(ratio)}"
    if verdict in ("faster", "slower"):
        verdict = _times(other.p50_ms / samples.p50_ms, "faster", "slower")
    return verdict, tone, why


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return _ONE_PROCESS
    return f"{significant(interval.low)}–{significant(interval.high)} (95 %)"


def _memory(entry: BenchEntry, base: BenchEntry | None) -> Card:
    if entry.memory is None:
        return Card(title="peak memory", value=NOT_MEASURED)
    other = None if base is None else base.memory
    ratio = None if other is None else other.peak_rss_bytes / entry.memory.peak_rss_bytes
    return Card(
        title="peak memory",
        value=significant(entry.memory.peak_rss_bytes / _MB),
        unit="MB",
        detail=f"{significant(entry.memory.model_rss_bytes / _MB)} MB of it for the model",
        against="" if other is None else f"baseline {significant(other.peak_rss_bytes / _MB)} MB",
        verdict="" if ratio is None else _times(ratio, "less", "more"),
        tone="" if ratio is None else _tone(ratio),
    )


def _quality(
    cast: Cast,
    entry: BenchEntry,
    base: BenchEntry | None,
    comparisons: Sequence[Comparison],
    main: MainFigure,
) -> Card:
    metric = main_of(entry, main)
    figure = metric_figure(metric)
    if metric is None:
        return Card(title=main.words, value=NOT_MEASURED)
    compared = _compared(cast, entry, base, comparisons, main.task)
    shown = base if main_of(base, main) is not None else cast.reference
    shown = shown if compared is None else compared[0]
    verdict, tone, why = NOT_JUDGED, "soft", _why_not(base)
    if compared is not None:
        other, paired = compared
        found = paired.overall.verdict or NOT_JUDGED
        verdict, tone = f"{found} than {cast.part(other) or other.name}", TONES.get(found, "")
        verdict = verdict if found in ("better", "not worse", "worse") else found
        why = _why(paired)
    return Card(
        title=main.words,
        value=figure.value,
        unit=main.unit,
        detail=f"{figure.interval} (95 %), n = {metric.n:,}",
        against="" if shown is None else f"{cast.part(shown)} {_level(shown, main)}",
        verdict=verdict,
        tone=tone,  # type: ignore[arg-type]  # "soft", or a value of TONES
        why=why,
    )


def _compared(
    cast: Cast,
    entry: BenchEntry,
    base: BenchEntry | None,
    comparisons: Sequence[Comparison],
    task: str,
) -> tuple[BenchEntry, TaskComparison] | None:
    """The comparison with the baseline, else with the reference."""
    for other in (base, cast.reference):
        for each in comparisons:
            if other and (each.candidate, each.reference) == (entry.name, other.name):
                for found in each.tasks:
                    if found.task == task:
                        return other, found
    return None


def _why(task: TaskComparison) -> str:
    overall = task.overall
    interval = (
        ""
        if overall.low is None or overall.high is None
        else f" ({overall.low:+.2f} to {overall.high:+.2f})"
    )
    unit = "years" if task.unit == "years" else "points"
    return f"paired: {overall.difference:+.2f} {unit}{interval}, margin {task.margin:g}"


def _why_not(base: BenchEntry | None) -> str:
    if base is None:
        return "no baseline was measured"
    if not base.trained:
        return "the baseline has random weights, so it has no quality"
    return "a verdict needs both models on the same faces: give --data and --models"


def _level(entry: BenchEntry, main: MainFigure) -> str:
    figure = metric_figure(main_of(entry, main))
    return figure.value if figure.value == NOT_MEASURED else f"{figure.value} {main.unit}"


def _times(ratio: float, more: str, less: str) -> str:
    if ratio == 1:
        return "the same"
    return f"{significant(ratio)}× {more}" if ratio > 1 else f"{significant(1 / ratio)}× {less}"


def _tone(ratio: float) -> Tone:
    return "" if ratio == 1 else "good" if ratio > 1 else "bad"


def _table(result: BenchResult, cast: Cast) -> Table:
    has_baseline = cast.baseline is not None
    headings = ["model", "file MB", "p50 ms", "p90 / p99 ms", "FPS"]
    headings += [*(["speed-up"] if has_baseline else []), "memory MB"]
    headings += ["gender accuracy %", "age MAE years"]
    found = {row.model: row for row in bench_rows(result)}
    rows = []
    for entry in cast.entries:
        row = found[entry.name]
        tails = NOT_MEASURED if entry.latency is None else f"{row.p90_ms} / {row.p99_ms}"
        texts = [row.size_mb, row.p50_ms, tails, row.fps]
        texts += [*([row.speedup] if has_baseline else []), row.memory_mb]
        rows.append(
            (
                cast.cell(entry),
                *(plain_cell(text) for text in texts),
                *(
                    plain_cell(each.value, each.details)
                    for each in (row.gender_accuracy_pct, row.age_mae_years)
                ),
            )
        )
    return Table(title="All models", headings=tuple(headings), rows=tuple(rows))


def plain_cell(text: str, detail: str = "") -> Cell:
    """Make a cell, in soft ink where nothing was measured."""
    return Cell(text=text, detail=detail, tone="soft" if text == NOT_MEASURED else "")


def _notes(result: BenchResult) -> tuple[str, ...]:
    protocol = result.protocol
    processes = f"{protocol.repeats} fresh process{'' if protocol.repeats == 1 else 'es'}"
    return (
        f"Latency: batch 1, without pre- and post-processing; {protocol.min_runs} runs and "
        f"{protocol.min_duration_s:g} s at least in each of {processes}, models in turns, "
        f"{protocol.threads} thread{'' if protocol.threads == 1 else 's'}. FPS = 1000 / p50, model "
        "only. Size: 1 MB = 10^6 bytes. Small print: 95 % bootstrap intervals over images.",
    )
