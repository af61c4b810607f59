from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from edgeface.report.front_tables import (
    BudgetLine,
    FrontEntry,
    FrontView,
    front_markdown,
    front_notes,
    front_rows,
    front_table,
)


def entry(name: str, **facts: object) -> FrontEntry:
    plain = FrontEntry(
        name=name,
        is_chosen=False,
        is_reference=False,
        is_plain=True,
        scheme="int8",
        on_front=True,
        verdict="fits",
        size_bytes=812_345,
        gzip_bytes=700_001,
        p50_ms=0.5678,
        macs=61_549_999,
        mae_years=4.876,
        gender_accuracy_ratio=0.9387,
        weights="imagenet",
    )
    return replace(plain, **facts)  # type: ignore[arg-type]  # fields by name


CHOSEN = entry("m-a50-96px-p30-int8", is_chosen=True, is_plain=False, verdict="chosen")
SMALL = entry("m-a35-96px-int8", mae_years=5.5, verdict="over: mae +0.50 years")
REFERENCE = entry(
    "m-a100-128px-float32",
    is_reference=True,
    on_front=False,
    scheme="float32",
    size_bytes=8_000_000,
    mae_years=4.7,
    verdict="reference; over: size +7.00 MB",
)
OFF = entry("m-a75-96px-int8", on_front=False, mae_years=5.0)
STOPPED = entry(
    "m-a75-160px-int8",
    on_front=False,
    verdict="not trained: size +1.00 MB",
    gzip_bytes=None,
    p50_ms=None,
    mae_years=None,
    gender_accuracy_ratio=None,
    weights="",
)
VIEW = FrontView(
    budget="size<=1MB, mae<=5",
    entries=(REFERENCE, OFF, STOPPED, CHOSEN, SMALL),
    front=(SMALL.name, CHOSEN.name),
    lines=(BudgetLine(quantity="size", most=1_000_000, text="size<=1MB"),),
    data="some faces",
    images=2037,
    device="local",
    machine="a processor (x86_64, 2 cores)",
    notes=("It won.", "x86 host, not a device"),
)


def test_the_front_comes_in_its_order_then_the_others_by_mae() -> None:
    names = [row.model for row in front_rows(VIEW, everything=True)]
    assert names == [SMALL.name, CHOSEN.name, REFERENCE.name, OFF.name, STOPPED.name]


def test_the_short_form_has_the_front_and_the_reference_only() -> None:
    names = [row.model for row in front_rows(VIEW, everything=False)]
    assert names == [SMALL.name, CHOSEN.name, REFERENCE.name]
    off = replace(CHOSEN, on_front=False)
    view = replace(VIEW, entries=(REFERENCE, off, SMALL), front=(SMALL.name,))
    assert CHOSEN.name in [row.model for row in front_rows(view, everything=False)]


def test_figures_with_their_units_and_what_was_not_measured() -> None:
    rows = {row.model: row for row in front_rows(VIEW, everything=True)}
    row = rows[CHOSEN.name]
    assert (row.size_mb, row.gzip_mb, row.p50_ms, row.macs_m) == ("0.812", "0.700", "0.568", "61.5")
    assert (row.mae_years, row.gender_pct, row.weights) == ("4.88", "93.9", "imagenet")
    row = rows[STOPPED.name]
    assert row.size_mb == "0.812"
    assert {row.gzip_mb, row.p50_ms, row.mae_years, row.gender_pct} == {"not measured"}
    assert row.weights == "not trained"


def test_the_table_fits_a_terminal_and_ends_with_the_notes() -> None:
    console = Console(width=100, record=True, file=None, color_system=None)
    with console.capture() as captured:
        console.print(front_table(VIEW))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 100
    for words in ("Candidates for size<=1MB, mae<=5", SMALL.name, "chosen", "It won."):
        assert words in text
    assert STOPPED.name not in text
    assert "DRAWN" not in text


def test_markdown_has_all_candidates_and_marks_the_choice() -> None:
    text = front_markdown(VIEW)
    assert text.endswith("\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5
    assert len({line.count("|") for line in rows}) == 1
    assert f"| **{CHOSEN.name}** | 0.812 |" in text
    assert "| not trained: size +1.00 MB |" in text
    assert "- x86 host, not a device" in text


def test_markup_in_names_is_escaped() -> None:
    view = replace(VIEW, entries=(replace(CHOSEN, verdict="a|b <i>"),), front=(CHOSEN.name,))
    assert r"a\|b \<i\>" in front_markdown(view)


@pytest.mark.parametrize(("data", "loud"), [("drawn faces", True), ("some faces", False)])
def test_drawn_faces_say_so(data: str, loud: bool) -> None:
    view = replace(VIEW, data=data)
    assert front_notes(view)[0].startswith("DRAWN FACES") is loud
    assert ("on drawn faces" in front_markdown(view).splitlines()[0]) is loud
    assert "2,037 images" in front_notes(view)[0]
    assert "local: a processor (x86_64, 2 cores)" in front_notes(view)[1]
