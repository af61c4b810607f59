"""Two results side by side. In: `LatencyComparison` values. Out: a section, Rich or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeface.bench.compare import LatencyComparison, PercentileChange
from edgeface.records import to_mapping
from edgeface.report.sections import Section
from edgeface.report.text import significant


def compare_section(comparisons: Sequence[LatencyComparison]) -> Section:
    """Lay out which models became faster or slower, a row a percentile."""
    rows = []
    for comparison in comparisons:
        for at, change in enumerate(comparison.percentiles):
            rows.append((comparison.name if at == 0 else "", *_cells(change)))
    notes = []
    for margin in sorted({each.margin_ratio for each in comparisons}):
        notes.append(
            f"faster, slower: the whole interval is beyond a change of {100 * margin:g} %; "
            "undecided: it is not."
        )
    same = [each.name for each in comparisons if each.same_file]
    if same:
        notes.append(f"The same file in both: {', '.join(same)}.")
    few = [each.name for each in comparisons if min(each.a_processes, each.b_processes) < 2]
    if few:
        notes.append(
            f"One process, so nothing can be decided; measure with 2 repeats or more: "
            f"{', '.join(few)}."
        )
    return Section(
        title="Latency, second result against the first",
        headings=("model", "", "verdict", "first ms", "second ms", "change", "95 % interval"),
        rows=tuple(rows),
        text_columns=3,
        notes=tuple(notes),
    )


def comparison_mapping(comparison: LatencyComparison) -> dict[str, Any]:
    """Turn a comparison into what `--json` prints, the ratio beside its interval."""
    mapping = to_mapping(comparison)
    for row, change in zip(mapping["percentiles"], comparison.percentiles, strict=True):
        row["ratio"] = change.ratio
    return mapping


def _cells(change: PercentileChange) -> tuple[str, ...]:
    interval = change.interval
    return (
        f"p{change.percent}",
        change.change,
        significant(change.a_ms),
        significant(change.b_ms),
        _percent(change.ratio),
        "none" if interval is None else f"{_percent(interval.low)} to {_percent(interval.high)}",
    )


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"
