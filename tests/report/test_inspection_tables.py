"""The terminal shows what was found, in 100 columns, and takes no name for markup."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from edgeface.data.inspection import Inspection, inspect
from edgeface.data.labels import AgeInterval, Attribute, Entry, Listing, Pictures
from edgeface.data.scan import Finding, Picture, Scan
from edgeface.report.inspection_tables import bar, inspection_text, summary_rows

GENDER = Attribute(name="gender", classes=("male", "female"))


def never(*_: object) -> bytes:
    raise AssertionError("a report reads no picture")


def made(
    labels: list[tuple[str, int | None, int, str, str | None]],
    attribute: Attribute = GENDER,
    left_out: tuple[tuple[str, str], ...] = (),
    unreadable: tuple[Finding, ...] = (),
    adapter: str = "table",
    root: str = "faces",
) -> Inspection:
    """Inspect made-up images: (id, age in years, class, pixels, split)."""
    listing = Listing(
        adapter=adapter,
        root=Path(root),
        attributes=(attribute,),
        entries=tuple(
            Entry(
                id=id,
                age=None if age is None else AgeInterval(low_years=age, high_years=age),
                classes={attribute.name: number},
                split=split,
            )
            for id, age, number, _, split in labels
        ),
        left_out=left_out,
        pictures=Pictures(content=never, decode=never),  # type: ignore[arg-type]
    )
    pictures = tuple(
        Picture(
            id=id,
            content_sha256=id,
            pixels_sha256=pixels,
            width_px=80,
            height_px=100,
            brightness=99.0,
            contrast=50.0,
            perceptual_hash=None,
        )
        for id, _, _, pixels, _ in labels
    )
    return inspect(listing, Scan(pictures=pictures, unreadable=unreadable))


def shown(inspection: Inspection, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(inspection_text(inspection))
    return out.getvalue()


@pytest.fixture(name="small")
def small_set() -> Inspection:
    return made(
        [
            ("a.jpg", 26, 0, "A", "train"),
            ("b.jpg", 74, 1, "A", "test"),
            ("c.jpg", 31, 0, "C", "train"),
        ],
        left_out=(("d.jpg", "bad name"),),
        unreadable=(Finding(id="e.jpg", reason="the file is empty"),),
    )


def test_everything_is_there(small: Inspection) -> None:
    text = shown(small)
    for expected in (
        "faces: table set",
        "5 listed, 3 usable, 1 left out for name or table, 1 unreadable",
        "80 × 100 px",
        "1 group, 2 images; 1 group with equal pixels; labels disagree in 1 group",
        "test 1, train 2; copies across: test + train: 1 group",
        "Classes of gender",
        "age 26 and 74; gender male and female",
        "same pixels",
        "bad name",
        "the file is empty",
        "e.jpg",
    ):
        assert expected in text, expected
    rows = [line.split() for line in text.splitlines()]
    assert ["male", "2", "66.7", "%", "█" * 28] in rows
    assert ["female", "1", "33.3", "%", "█" * 14] in rows
    assert ["30–39", "1", "█" * 28, "0"] in rows
    assert ["40–49", "0", "0"] in rows


@pytest.mark.parametrize("width", [100, 80])
def test_it_fits(small: Inspection, width: int) -> None:
    long = made(
        [("n" * 300 + ".jpg", 1, 0, "A", None), ("m" * 300 + ".jpg", 90, 1, "A", None)],
        Attribute(name="x" * 150, classes=("y" * 150, "z" * 150)),
    )
    for inspection in (small, long):
        assert max(map(len, shown(inspection, width).splitlines())) <= width


def test_what_a_set_does_not_have_is_left_away() -> None:
    text = shown(made([("a.jpg", None, 0, "A", None), ("b.jpg", None, 1, "B", None)]))
    assert "nothing found" in text
    for absent in ("Ages", "Whipple", "own splits", "disagree", "Not usable", "unknown"):
        assert absent not in text
    assert dict(summary_rows(made([("a.jpg", None, 0, "A", None)])))["copies"] == "none"


def test_names_are_no_markup_and_break_no_line() -> None:
    evil = Attribute(name="[red]mood", classes=("[bold]a[/bold]", "b\n\x1b[31mc"))
    inspection = made(
        [("[link=x]1.jpg", 1, 0, "A", None), (":smile:.jpg", 2, 1, "A", None)],
        evil,
        left_out=(("[/]3.jpg", "bad [blink]name"),),
        root="[red]faces",
    )
    text = shown(inspection, 200)
    for expected in (
        "[red]faces: table set",
        "Classes of [red]mood",
        "[bold]a[/bold]",
        r"b\n\x1b[31mc",
        "[link=x]1.jpg",
        ":smile:.jpg",
        "[/]3.jpg",
        "bad [blink]name",
    ):
        assert expected in text, expected
    assert "\x1b" not in text


def test_long_lists_are_cut_and_say_so() -> None:
    many = Attribute(name="who", classes=tuple(f"class{number}" for number in range(23)))
    labels = [(f"{number}.jpg", None, number, f"{number // 2}", None) for number in range(23)]
    inspection = made([(*one[:4], None) for one in labels], many)
    text = shown(inspection)
    assert "and 3 classes more" in text
    assert "class19 " in text.split("Copies")[0]
    assert "class20 " not in text.split("Copies")[0]
    assert "the worst 10 of 11" in text
    assert text.count("same pixels") == 10
    group = replace(
        inspection.copies.conflicts[0], members=inspection.copies.conflicts[0].members * 4
    )
    copies = replace(inspection.copies, conflicts=(group,))
    assert "and 5 more" in shown(replace(inspection, copies=copies))  # 8 members, 3 are named


def test_bars() -> None:
    assert bar(0, 100) == ""
    assert bar(100, 100, 4) == "████"
    assert bar(1, 100_000, 4) == "▏"  # what is not nothing is seen
    assert bar(50, 100, 3) == "█▌"
    assert bar(25, 100, 1) == "▎"
