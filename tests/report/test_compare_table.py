"""A comparison is printed as it was found, undecided where nothing could be."""

from __future__ import annotations

from dataclasses import replace

from edgeface.bench.compare import LatencyComparison, PercentileChange
from edgeface.bench.latency_bootstrap import Interval
from edgeface.report.compare_table import compare_section, comparison_mapping

COMPARISON = LatencyComparison(
    name="small",
    same_file=False,
    a_processes=3,
    b_processes=3,
    margin_ratio=0.02,
    percentiles=(
        PercentileChange(
            percent=50, a_ms=10.0, b_ms=12.5, interval=Interval(low=1.2, high=1.3), change="slower"
        ),
        PercentileChange(percent=90, a_ms=10.0, b_ms=9.5, interval=None, change="undecided"),
    ),
)


def test_a_row_a_percentile_with_change_and_interval() -> None:
    made = compare_section([COMPARISON])
    assert made.rows == (
        ("small", "p50", "slower", "10.0", "12.5", "+25.0 %", "+20.0 % to +30.0 %"),
        ("", "p90", "undecided", "10.0", "9.50", "-5.0 %", "none"),
    )
    assert made.notes == (
        "faster, slower: the whole interval is beyond a change of 2 %; undecided: it is not.",
    )


def test_notes_name_same_files_and_single_processes() -> None:
    notes = compare_section([replace(COMPARISON, same_file=True, b_processes=1)]).notes
    assert notes[1] == "The same file in both: small."
    assert notes[2].startswith("One process, so nothing can be decided")
    assert notes[2].endswith(": small.")


def test_the_machine_form_has_the_ratio() -> None:
    mapping = comparison_mapping(COMPARISON)
    first, second = mapping["percentiles"]
    assert first["ratio"] == 1.25
    assert first["interval"] == {"low": 1.2, "high": 1.3}
    assert second["interval"] is None
    assert mapping["name"] == "small"
