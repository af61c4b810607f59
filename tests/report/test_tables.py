"""The printed figures are those of the record, and what was not measured says so."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from edgeface.bench.latency import LatencySamples
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.report.attribute_tables import attribute_markdown, attribute_rows, attribute_table
from edgeface.report.tables import (
    NOT_MEASURED,
    bench_markdown,
    bench_notes,
    bench_rows,
    bench_table,
    class_rows,
    class_table,
)
from edgeface.types import Metric, Quality
from support import records
from support import report_results as reports

VGG = "vgg16-a100-224px-float32"
PRUNED = "mobilenetv2-a100-128px-p30-float32"  # the longest name that recipes make
INT8 = "mobilenetv2-a100-128px-p30-int8"

HOST = replace(records.HOST, clock_mhz=None)
FIGURES = {
    "accuracy": (0.9711, 0.9655, 0.9764),
    "precision_female": (0.9, 0.8, 1.0),
    "recall_female": (0.91, 0.81, 1.0),
    "f1_female": (0.92, 0.82, 1.0),
    "precision_male": (0.93, 0.83, 1.0),
    "recall_male": (0.94, 0.84, 1.0),
    "f1_male": (0.95, 0.85, 1.0),
    "mae": (5.128, 4.981, 5.264),
    "rmse": (6.5, 6.25, 6.75),
}


def quality(data: str = "drawn faces") -> Quality:
    return Quality(
        data=data,
        split="test",
        manifest_sha256="abcdef0123456789",
        n=4213,
        metrics=tuple(
            Metric(
                task="age" if name in ("mae", "rmse") else "gender",
                name=name,
                value=value,
                low=low,
                high=high,
                unit="years" if name in ("mae", "rmse") else "ratio",
                n=4213,
            )
            for name, (value, low, high) in FIGURES.items()
        ),
    )


def entry(name: str, latency_ms: float, **changes: Any) -> BenchEntry:
    """Whose every run takes the same time."""
    samples = LatencySamples(
        name=name, repeats=((latency_ms,) * 3,), load_ms=(1.0,), first_inference_ms=(1.0,)
    )
    about: dict[str, Any] = {"latency": samples, "quality": quality(), "size_bytes": 2_345_678}
    return reports.entry(name, **(about | changes))


def result(**changes: Any) -> BenchResult:
    entries = (
        entry(VGG, 250.0, size_bytes=537_000_000, trained=False, quality=None),
        entry(PRUNED, 12.5),
        entry(INT8, 2.5),
    )
    about = {
        "started_utc": "2025-11-22T03:16:05.123456+00:00",
        "device_before": HOST,
        "device_after": HOST,
        "runtime_version": "2.1.0",
        "entries": entries,
        "baseline": VGG,
        "data": "drawn faces",
        "warnings": ("the fan was off",),
    }
    return reports.result(**(about | changes))


def printed(table: Table, width: int = 100) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue()


def test_rows_are_the_arithmetic_of_the_record() -> None:
    row = bench_rows(result())[1]
    assert row.model == INT8
    assert row.size_mb == "2.35"  # 2,345,678 / 10^6
    assert (row.p50_ms, row.p90_ms, row.p99_ms) == ("2.50", "2.50", "2.50")
    assert row.fps == "400"  # 1000 / 2.5
    assert row.memory_mb == "60.0"
    assert row.speedup == "100×"  # 250 / 2.5
    assert row.gender_accuracy_pct.one_line() == "97.1 (96.5–97.6)"
    assert row.age_mae_years.one_line() == "5.13 (4.98–5.26)"
    assert row.n == "4,213"


def test_the_baseline_is_last_and_marked() -> None:
    assert [(row.model, row.is_baseline) for row in bench_rows(result())] == [
        (PRUNED, False),
        (INT8, False),
        (VGG, True),
    ]
    assert f"{VGG} (baseline)" in bench_markdown(result())


def test_an_untrained_baseline_has_no_quality_figure() -> None:
    row = bench_rows(result())[-1]
    cells = (row.gender_accuracy_pct.one_line(), row.age_mae_years.one_line(), row.n)
    assert cells == (NOT_MEASURED,) * 3
    line = next(line for line in bench_markdown(result()).splitlines() if VGG in line)
    assert line.endswith("| 1.00× | not measured | not measured | not measured |")
    assert VGG not in [each.model for each in class_rows(result())]
    assert f"Random weights, so quality was not measured: {VGG}." in " ".join(bench_notes(result()))


def test_a_figure_of_fewer_images_says_how_many() -> None:
    whole = quality()
    metrics = tuple(
        replace(metric, n=1298) if metric.task == "age" else metric for metric in whole.metrics
    )
    made = result(
        entries=(entry(INT8, 0.5, quality=replace(whole, metrics=metrics)),), baseline=None
    )
    (row,) = bench_rows(made)
    assert row.age_mae_years.one_line() == "5.13 (4.98–5.26; n = 1,298)"
    assert row.age_mae_years.stacked() == "5.13\n4.98–5.26\nn = 1,298"
    assert row.gender_accuracy_pct.one_line() == "97.1 (96.5–97.6)"
    assert row.n == "4,213"
    assert "n = 1,298" in printed(bench_table(made))
    assert "n = 1,298" in bench_markdown(made)


def test_the_terminal_says_not_measured_and_no_figure() -> None:
    lines = printed(bench_table(result())).splitlines()
    first = next(index for index, line in enumerate(lines) if VGG in line)
    assert lines[first].split()[-2:] == ["not", "not"]
    assert lines[first + 1].split()[0] == "baseline"
    assert lines[first + 1].split()[-2:] == ["measured", "measured"]


def test_latency_and_memory_that_were_not_measured_say_so() -> None:
    bare = result(entries=(entry(VGG, 1.0), entry(INT8, 1.0, latency=None, memory=None)))
    row = bench_rows(bare)[0]
    cells = (row.p50_ms, row.p90_ms, row.p99_ms, row.fps, row.memory_mb, row.speedup)
    assert cells == (NOT_MEASURED,) * 6
    assert "not" in printed(bench_table(bare))


def test_speed_up_is_not_measured_where_the_baseline_was_not_timed() -> None:
    row = bench_rows(result(entries=(entry(VGG, 1.0, latency=None), entry(INT8, 1.0))))[0]
    assert row.fps == "1,000"
    assert row.speedup == NOT_MEASURED


def test_without_a_baseline_there_is_no_speed_up() -> None:
    alone = result(baseline=None)
    assert "speed-up" not in bench_markdown(alone).lower()
    assert "speed-up" not in printed(bench_table(alone)).lower()


def test_both_forms_print_every_figure_of_the_rows() -> None:
    terminal, markdown = printed(bench_table(result())), bench_markdown(result())
    for row in bench_rows(result()):
        accuracy, mae = row.gender_accuracy_pct, row.age_mae_years
        figures = [row.model, row.size_mb, row.p50_ms, row.p90_ms, row.p99_ms, row.fps]
        figures += [row.memory_mb, row.speedup, accuracy.interval, mae.interval]
        figures += [] if row.n == NOT_MEASURED else [row.n, accuracy.value, mae.value]
        for figure in figures:
            assert figure in terminal
            assert figure in markdown


def test_both_forms_print_every_figure_of_the_classes() -> None:
    terminal, markdown = printed(class_table(result())), bench_markdown(result())
    rows = class_rows(result())
    assert [(row.model, row.class_name) for row in rows] == [
        (PRUNED, "female"),
        (PRUNED, "male"),
        (INT8, "female"),
        (INT8, "male"),
    ]
    assert rows[1].recall_pct.one_line() == "94.0 (84.0–100.0)"
    for row in rows:
        for figure in (row.precision_pct, row.recall_pct, row.f1_pct, row.age_rmse_years):
            assert figure.value in terminal
            assert figure.interval in terminal
            assert figure.one_line() in markdown


def test_nothing_is_squeezed_at_100_columns() -> None:
    wide = entry(VGG, 12_345.6, quality=quality(), size_bytes=1_234_567_890)
    for table in (bench_table(result(entries=(wide, entry(PRUNED, 12.5)))), class_table(result())):
        text = printed(table)
        assert "…" not in text
        assert PRUNED in text
        assert max(map(len, text.splitlines())) <= 100


def test_names_with_brackets_are_printed_as_they_are() -> None:
    odd = result(entries=(entry("[red]a|b[/red]", 1.0),), baseline=None)
    assert "[red]a|b[/red]" in printed(bench_table(odd))
    assert r"\[red\]a\|b\[/red\]" in bench_markdown(odd)


def test_notes_say_machine_runtime_threads_and_warnings() -> None:
    notes = bench_notes(result())
    assert notes[0] == (
        "Device: local, Some CPU (x86_64, 2 cores); ai-edge-litert 2.1.0, 1 thread; "
        "2025-11-22 03:16 UTC."
    )
    assert "NOTE: x86 host, not a device." in notes
    assert "WARNING: the fan was off." in notes
    for note in notes:
        assert note.split()[0] in bench_markdown(result())


def test_an_invalid_result_has_its_reason_and_no_figures() -> None:
    invalid = result(schema_version=3, invalid_reasons=("throttled now, at 1 of 9 looks",))
    assert bench_rows(invalid) == []
    assert class_rows(invalid) == []
    assert "INVALID, so left out of tables: throttled now, at 1 of 9 looks." in bench_notes(invalid)
    text = bench_markdown(invalid)
    assert "INVALID" in text
    assert "|" not in text
    terminal = printed(bench_table(invalid))
    assert terminal.startswith("Benchmark on drawn faces: INVALID")
    assert "97.1" not in terminal
    assert "INVALID" not in bench_markdown(result())


def test_drawn_faces_are_announced_loudly() -> None:
    assert "DRAWN FACES, NOT PHOTOGRAPHS" in bench_markdown(result())
    assert printed(bench_table(result())).startswith("Benchmark on drawn faces")


def test_photographs_are_not_called_drawn() -> None:
    entries = (entry(INT8, 1.0, quality=quality("UTKFace")),)
    text = bench_markdown(result(entries=entries, data="UTKFace", baseline=None))
    assert "UTKFace, test split of manifest abcdef012345, 4,213 images" in text
    assert "drawn" not in text.lower()


def test_no_quality_at_all_is_said_once() -> None:
    bare = result(entries=(entry(VGG, 1.0, quality=None),), data=None)
    assert "Quality: not measured." in bench_notes(bare)
    assert class_rows(bare) == []


@pytest.mark.parametrize(
    ("latency_ms", "text"),
    [(0.0123, "0.012"), (0.9949, "0.995"), (0.9951, "1.00"), (9.996, "10.0"), (99.96, "100"),
     (12_345.6, "12,346")],
)  # fmt: skip
def test_about_three_digits_and_no_exponent(latency_ms: float, text: str) -> None:
    row = bench_rows(result(entries=(entry(VGG, latency_ms),)))[0]
    assert row.p50_ms == text


def of_expressions(never: str = "") -> BenchResult:
    """One model that tells nothing but expressions."""
    quality = replace(reports.quality(0.9, 5.0), metrics=reports.expressions(never))
    return result(entries=(entry(INT8, 2.5, quality=quality),), baseline=None, data="utkface")


def test_a_model_without_gender_or_age_reads_not_measured_there() -> None:
    made = of_expressions()
    (row,) = bench_rows(made)
    assert row.gender_accuracy_pct.one_line() == row.age_mae_years.one_line() == NOT_MEASURED
    assert [each.label for each in class_rows(made)] == [
        f"expression: {name}" for name in reports.EXPRESSIONS
    ]
    assert {each.age_rmse_years.value for each in class_rows(made)} == {NOT_MEASURED}
    ages = replace(quality(), metrics=tuple(m for m in quality().metrics if m.task == "age"))
    (only,) = class_rows(result(entries=(entry(INT8, 1.0, quality=ages),), baseline=None))
    assert (only.label, only.age_rmse_years.value) == ("", "6.50")


def test_other_attributes_have_a_table_of_their_own_and_others_have_none() -> None:
    made = of_expressions(never="disgust")
    # 10 of each: neutral all right, five others half, disgust none: (1 + 5 / 2) / 7
    expected = [
        ("expression", "accuracy %", "50.0 (49.0–51.0)", "70"),
        ("expression", "balanced accuracy %", "50.0 (49.0–51.0)", "70"),
        ("expression", "macro F1 %", "62.5 (61.3–63.7)", "70"),
        ("expression", "never predicted", "disgust", "70"),
    ]
    rows = attribute_rows(made)
    assert [(r.attribute, r.figure, r.value.one_line(), r.n) for r in rows] == expected
    assert attribute_rows(of_expressions())[-1].value.value == "none"
    table = attribute_table(made)
    assert table is not None
    terminal = printed(table)
    assert max(map(len, terminal.splitlines())) <= 100
    for text in (terminal, attribute_markdown(made), bench_markdown(made)):
        for _, figure, value, _ in expected:
            assert figure in text
            assert value in text
    assert attribute_rows(result()) == []
    assert attribute_table(result()) is None
    assert "Other attributes" not in bench_markdown(result())


def test_an_accuracy_is_that_of_its_own_head() -> None:
    both = replace(quality(), metrics=(*reports.expressions(), *quality().metrics))
    (row,) = bench_rows(result(entries=(entry(INT8, 1.0, quality=both),), baseline=None))
    assert row.gender_accuracy_pct.value == "97.1"
