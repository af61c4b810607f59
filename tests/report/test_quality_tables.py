"""Figures on spoiled faces fit a terminal, and every figure keeps its own unit."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from edgeface.bench.corruption import CORRUPTIONS, STRENGTHS, CorruptedQuality
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.bench.slices import SliceFigure, SliceQuality
from edgeface.report.quality_tables import (
    corruption_table,
    images_of,
    metric_figure,
    quality_markdown,
)
from edgeface.types import Metric
from support import report_results as reports

LONG = "mobilenetv2-a100-128px-macs50-s80-qat-int8"


def metric(name: str, value: float, unit: str) -> Metric:
    task = "gender" if name in ("accuracy", "roc_auc") else "age"
    return Metric(
        task=task, name=name, value=value, low=value / 2, high=2 * value, unit=unit, n=1000
    )


def corrupted(kind: Any, strength: int) -> CorruptedQuality:
    metrics = (
        metric("accuracy", 0.9 - strength / 10, "ratio"),
        metric("mae", 5.0 + strength, "years"),
    )
    return CorruptedQuality(kind=kind, strength=strength, n=1000, metrics=metrics)


def entry(name: str, *corruptions: CorruptedQuality) -> BenchEntry:
    return reports.entry(name, 1.0, 1, latency=None, memory=None, corruptions=corruptions)


def result(*entries: BenchEntry) -> BenchResult:
    return reports.result(*entries, schema_version=2, warnings=())


EVERY = (
    corrupted("none", 0),
    *(corrupted(kind, strength) for kind in CORRUPTIONS for strength in STRENGTHS),
)


def test_every_corruption_is_a_row_of_the_terminal() -> None:
    text = io.StringIO()
    Console(file=text, width=100).print(
        corruption_table(result(entry(LONG, *EVERY), entry("bare")))
    )
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text.getvalue()
    for kind in CORRUPTIONS:
        at = next(number for number, line in enumerate(lines) if f" {kind} " in line)
        assert lines[at].split()[-4:] == ["90.0", "80.0", "70.0", "60.0"]
        assert lines[at + 1].split()[-4:] == ["5.00", "6.00", "7.00", "8.00"]
    assert "bare" not in text.getvalue()
    assert "n = 1,000" in text.getvalue()
    assert "rotation 10, 20, 30 degrees" in " ".join(text.getvalue().split())


def test_every_figure_on_spoiled_faces_has_its_own_images() -> None:
    # drawn from the faces with a label of any head: of 1,000, 800 have a gender and all an age
    fewer = tuple(
        replace(each, metrics=(replace(each.metrics[0], n=800), each.metrics[1])) for each in EVERY
    )
    made = result(entry(LONG, *EVERY), entry("fewer", *fewer))
    (markdown,) = quality_markdown(made)
    assert markdown.startswith("Spoiled faces, the same for every model of the same heads. Str")
    last = {
        tuple(cells[:3]): cells[-1]
        for line in markdown.splitlines()
        if len(cells := [each.strip() for each in line.strip("|").split("|")]) == 8
    }
    for kind in CORRUPTIONS:
        assert last["fewer", kind, "gender accuracy %"] == "800"
        assert last["fewer", kind, "age MAE years"] == "1,000"
        assert last[LONG, kind, "gender accuracy %"] == "1,000"
    text = io.StringIO()
    Console(file=text, width=100).print(corruption_table(made))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    starts = [line.split("  ")[0].strip() for line in lines]
    at = starts.index("fewer")
    assert starts[at + 1 : at + 3] == ["gender %: n = 800", "MAE: n = 1,000"]
    assert starts.count("n = 1,000") == 1, "once where all are of the same images"


def test_a_result_without_quality_has_no_table() -> None:
    assert quality_markdown(result(entry("bare"))) == []


def test_a_strength_that_was_not_measured_says_so() -> None:
    (text,) = quality_markdown(result(entry("m", corrupted("none", 0), corrupted("jpeg", 2))))
    line = next(each for each in text.splitlines() if "| jpeg | age MAE years |" in each)
    assert line == (
        "| m | jpeg | age MAE years | 5.00 (2.50–10.00) | not measured | 7.00 (3.50–14.00) "
        "| not measured | 1,000 |"
    )


@pytest.mark.parametrize(
    ("name", "unit", "text"),
    [
        ("accuracy", "ratio", "50.0 (25.0–100.0)"),
        ("roc_auc", "ratio", "0.500 (0.250–1.000)"),
        ("mae_20_29", "years", "0.50 (0.25–1.00)"),
    ],
)
def test_a_share_is_percent_and_others_are_not(name: str, unit: str, text: str) -> None:
    assert metric_figure(metric(name, 0.5, unit)).one_line() == text


def test_too_few_images_are_said_with_their_number() -> None:
    figure = SliceFigure(task="age", name="mae", value=5.0, low=None, high=None, unit="years", n=12)
    assert metric_figure(figure).one_line() == "5.00 (too few; n = 12)"
    wide = replace(figure, low=4.0, high=6.0, n=300)
    assert metric_figure(wide).one_line() == "5.00 (4.00–6.00)"


def test_a_figure_says_its_images_where_others_stand_beside_it() -> None:
    figure = metric("accuracy", 0.5, "ratio")
    assert metric_figure(figure, 1000).one_line() == "50.0 (25.0–100.0)"
    assert metric_figure(figure, 1200).one_line() == "50.0 (25.0–100.0; n = 1,000)"
    assert metric_figure(figure, 1200).details == "25.0–100.0; n = 1,000"
    assert metric_figure(None, 1200).details == ""
    assert images_of([figure, None, replace(figure, n=7)]) == "7 or 1,000"
    assert images_of([None]) == "not measured"


def test_a_share_of_decades_has_a_column_only_where_it_was_measured() -> None:
    known = reports.quality(0.9, 5.0)
    right = metric("decade_accuracy", 0.582, "ratio")
    more = replace(known, metrics=(*known.metrics, right))
    made = [reports.entry("m", 1.0, 1, quality=each) for each in (known, more)]
    assert "decade right" not in "".join(quality_markdown(result(made[0])))
    further = next(each for each in quality_markdown(result(*made[1:])) if "ROC AUC" in each)
    heading, _, row = (line.split(" | ") for line in further.splitlines())
    assert heading[-1] == "age decade right % (95 %) |"
    assert row[-1] == "58.2 (29.1–116.4; n = 1,000) |", "the others are of 400"


def test_the_worst_group_of_another_attribute_is_told_too() -> None:
    figures = tuple(
        SliceFigure(task=task, name="accuracy", value=value, low=0.5, high=0.9, unit="ratio", n=40)
        for task, value in (("expression", 0.625), ("gender", 0.75))
    )
    part = SliceQuality(by="race", name="Some", n=40, figures=figures)
    text = "".join(quality_markdown(result(reports.entry("m", 1.0, 1, slices=(part,)))))
    rows = {
        cells[1].strip(): cells[3].strip()
        for line in text.splitlines()
        if len(cells := line.strip("|").split("|")) > 4
    }
    assert rows["gender accuracy %"] == "Some: 75.0 (50.0–90.0), n = 40"
    assert rows["expression accuracy %"] == "Some: 62.5 (50.0–90.0), n = 40"
    assert rows["age MAE years"] == "not measured"
