"""The printed verdicts are those of the record, in both forms, and what is not judged says so."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from edgeface.bench.paired_bootstrap import Resampling
from edgeface.bench.verdict import Comparison, Estimate, Slice, TaskComparison
from edgeface.report.tables import Figure
from edgeface.report.verdict_tables import (
    NOT_JUDGED,
    slice_markdown,
    slice_rows,
    slice_table,
    verdict_markdown,
    verdict_notes,
    verdict_rows,
    verdict_table,
)

FLOAT = "mobilenetv2-a100-128px-p30-float32"  # the longest name that recipes make
INT8 = "mobilenetv2-a100-128px-p30-int8"


def estimate(difference: float, half_width: float, **changes: Any) -> Estimate:
    made = Estimate(
        n=3255,
        groups=3201,
        changed=3000,
        candidate=4.616 + difference,
        reference=4.616,
        difference=difference,
        low=difference - half_width,
        high=difference + half_width,
        verdict="not worse",
    )
    return replace(made, **changes)


SMALL = Slice(
    by="race",
    name="Others|[b]x",
    estimate=estimate(0.9, 0.0, n=12, low=None, high=None, verdict=None),
)
AGE = TaskComparison(
    task="age",
    unit="years",
    margin=0.15,
    overall=estimate(0.0461, 0.0204),
    slice_level=0.975,
    slices=(
        Slice(by="age and gender", name="20-29 male", estimate=estimate(-0.01, 0.2, n=431)),
        Slice(
            by="age and gender",
            name="80-89 female",
            estimate=estimate(0.7777, 0.5, n=1061, verdict="worse"),
        ),
        SMALL,
    ),
    worst_slice="80-89 female",
)
GENDER = TaskComparison(
    task="gender",
    unit="pp",
    margin=0.5,
    overall=estimate(-0.614, 0.31, candidate=93.0, reference=93.614, verdict="undecided"),
    slice_level=0.95,
    slices=(SMALL,),
    worst_slice=None,
)


def comparison(**changes: Any) -> Comparison:
    made = Comparison(
        candidate=INT8,
        reference=FLOAT,
        n=3300,
        by_group=True,
        resampling=Resampling(),
        tasks=(AGE, GENDER),
    )
    return replace(made, **changes)


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rows_hold_the_records_figures() -> None:
    age, gender = verdict_rows([comparison()])
    assert (age.model, age.against, age.figure) == (INT8, FLOAT, "age MAE, years")
    assert (age.reference, age.candidate, age.margin) == ("4.62", "4.66", "0.15 years")
    assert age.difference == Figure(value="+0.046", interval="+0.026 to +0.067", images="n = 3,255")
    assert (age.verdict, age.worst_slice, age.worst_verdict) == (
        "not worse",
        "80-89 female",
        "worse",
    )
    assert age.worst_difference == Figure(
        value="+0.778", interval="+0.278 to +1.278", images="n = 1,061"
    )
    assert (gender.figure, gender.margin) == ("gender accuracy, %", "0.5 pp")
    assert (gender.reference, gender.candidate) == ("93.6", "93.0")
    assert (gender.difference.value, gender.difference.interval) == ("-0.61", "-0.92 to -0.30")
    assert (gender.verdict, gender.worst_slice, gender.worst_verdict) == (
        "undecided",
        NOT_JUDGED,
        "",
    )


def test_every_slice_has_a_row_and_one_of_a_task_is_worst() -> None:
    rows = slice_rows(comparison())
    assert [(row.figure, row.name, row.is_worst, row.verdict) for row in rows] == [
        ("age MAE, years", "20-29 male", False, "not worse"),
        ("age MAE, years", "80-89 female", True, "worse"),
        ("age MAE, years", "Others|[b]x", False, NOT_JUDGED),
        ("gender accuracy, %", "Others|[b]x", False, NOT_JUDGED),
    ]
    assert rows[2].difference == Figure(value="+0.900", images="n = 12")


def test_zero_has_no_sign() -> None:
    for value in (0.0, -0.0, -0.0004, 0.0004):
        task = replace(AGE, overall=estimate(value, 0.0))
        (row,) = verdict_rows([comparison(tasks=(task,))])
        assert row.difference == Figure(
            value="0.000", interval="0.000 to 0.000", images="n = 3,255"
        )


def test_a_terminal_of_100_columns_holds_every_figure() -> None:
    wide = replace(AGE, overall=estimate(-12.5, 10.0), margin=0.125)
    other = comparison(candidate="other", reference="second", tasks=(wide, GENDER))
    text = printed(verdict_table([comparison(), other]))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for row in verdict_rows([comparison(), other]):
        for cell in (
            row.reference,
            row.candidate,
            row.difference.value,
            row.difference.interval,
            row.difference.images,
            row.margin,
            row.verdict,
            row.worst_slice,
            row.worst_difference.value,
            row.worst_difference.interval,
            row.worst_verdict,
        ):
            assert cell in text
    # both models' names are folded in the first column, and stand once for the two tasks
    end = next(line.index("age  ") for line in text.splitlines() if "age  " in line)
    folded = "".join(line[:end].strip() for line in text.splitlines())
    for name in (INT8, f"against{FLOAT}", "otheragainst second"):
        assert folded.count(name) == 1
    assert f"Verdicts against {FLOAT}" in printed(verdict_table([comparison()]))
    for note in verdict_notes([comparison()]):
        assert note in " ".join(text.split())


def test_slices_fit_a_terminal_too_and_brackets_are_no_markup() -> None:
    text = printed(slice_table(comparison()))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert f"{INT8} by slices" in text
    assert "80-89 female (worst)" in text
    assert text.count("(worst)") == 1
    assert text.count("Others|[b]x") == 2
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "20-29 male 431 4.62 4.61 -0.010 -0.210 to +0.190 not worse" in lines
    assert lines.index("age MAE, years") < lines.index("gender accuracy, %")
    assert lines[lines.index("gender accuracy, %") + 1].endswith("12 4.6 5.5 +0.90 not judged")


def test_markdown_has_the_same_figures_in_tables_of_even_width() -> None:
    text = verdict_markdown([comparison()])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in table} == {10}
    assert len(table) == 2 + 2
    assert (
        f"| {INT8} | {FLOAT} | age MAE, years | 4.62 | 4.66 | +0.046 (+0.026 to +0.067; n = 3,255) "
        "| 0.15 years | not worse | 80-89 female | +0.778 (+0.278 to +1.278; n = 1,061) | worse |"
    ) in table
    assert table[1].split(" | ")[:4] == ["| ---", "---", "---", "---:"]
    assert text.endswith("\n")
    slices = slice_markdown(comparison()).splitlines()
    assert len(slices) == 2 + 4
    assert r"Others\|\[b\]x" in slices[-1]
    assert "80-89 female (worst) | 4.62 | 5.39" in slices[3]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([True], "photographs, copies of one together, 10,000 resamples"),
        ([False], "over images, 10,000 resamples"),
        ([True, False], "images, or photographs with their copies"),
    ],
)
def test_notes_say_what_was_drawn(groups: list[bool], words: str) -> None:
    assert words in verdict_notes([comparison(by_group=each) for each in groups])[0]


def test_control_characters_of_a_name_are_escaped() -> None:
    task = replace(GENDER, slices=(replace(SMALL, name="a\x1b[2Jb"),), worst_slice="a\x1b[2Jb")
    bad = comparison(candidate="x\x1b]0;y", tasks=(task,))
    for text in (
        printed(verdict_table([bad])),
        printed(slice_table(bad)),
        verdict_markdown([bad]),
        slice_markdown(bad),
    ):
        assert "\x1b" not in text
        assert "x1b" in text
