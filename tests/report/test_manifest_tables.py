"""`manifest_tables`: the counts are those of the rows, and alike reasons are counted together."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest import Manifest, Row, Source, Split
from edgeface.report.manifest_tables import manifest_tables

GENDER = Attribute(name="gender", classes=("male", "female"))
RACE = Attribute(name="race", classes=("White", "Black", "Asian"))
RACE_TOO = Attribute(name="race", classes=("Black", "White"))


def cells(table: Table) -> list[list[str]]:
    return [list(map(str, column.cells)) for column in table.columns]


def lines(table: Table) -> dict[str, list[str]]:
    return {name: list(counts) for name, *counts in zip(*cells(table), strict=True)}


def row(
    name: str,
    split: Split | None,
    age: tuple[int, int] | None = None,
    *,
    group: str = "",
    source: int = 0,
    left_out: str = "",
    **classes: int,
) -> Row:
    return Row(
        id=name,
        age=AgeInterval(low_years=age[0], high_years=age[1]) if age else None,
        classes=classes,
        group=group or name,
        split=split,
        left_out=left_out,
        source=source,
    )


def manifest_of(rows: list[Row], *attributes: tuple[Attribute, ...]) -> Manifest:
    sources = tuple(
        Source(kind="folder", label=f"set {i}", attributes=each)
        for i, each in enumerate(attributes)
    )
    return Manifest(sources=sources, seed=1, validation_ratio=0.1, test_ratio=0.2, rows=tuple(rows))


def test_what_is_in_which_split() -> None:
    rows = [
        row("a", "train", (30, 30), gender=0, race=2),
        row("b", "train", (30, 39), gender=1, group="a"),
        row("c", "train", None, gender=1),
        row("d", "validation", (20, 20), gender=1, race=2),
        row("e", "test", (0, 2), race=2),
        row("f", None, (9, 9), gender=0, race=1, left_out="no label"),
    ]
    table, _ = manifest_tables(manifest_of(rows, (GENDER, RACE)))
    assert str(table.title) == "set 0: images by split"
    assert [str(column.header) for column in table.columns] == ["", "train", "validation", "test"]
    assert lines(table) == {
        "images": ["3", "1", "1"],
        "distinct pictures": ["2", "1", "1"],
        "age known exactly": ["1", "1", "0"],
        "age in a bin": ["1", "0", "1"],
        "gender male": ["1", "0", "0"],
        "gender female": ["2", "1", "0"],
        # White and Black are in no image that is used
        "race Asian": ["1", "1", "1"],
    }


def test_sets_that_number_a_class_differently_are_counted_by_its_name() -> None:
    rows = [
        row("a", "train", race=0),
        row("b", "train", race=1),
        row("c", "train", race=1, source=1),
        row("d", "test", race=0, source=1),
    ]
    (table,) = manifest_tables(manifest_of(rows, (RACE,), (GENDER, RACE_TOO)))
    assert str(table.title) == "set 0 + set 1: images by split"
    assert lines(table) == {
        "images": ["3", "0", "1"],
        "distinct pictures": ["3", "0", "1"],
        "race White": ["2", "0", "0"],
        "race Black": ["1", "0", "1"],
    }


def test_large_numbers_can_be_read() -> None:
    (table,) = manifest_tables(manifest_of([row(f"{i}", "train") for i in range(1234)], ()))
    assert lines(table)["images"] == ["1,234", "0", "0"]


@pytest.mark.parametrize(
    "reasons",
    [
        ("copy of a/b.jpg, which is in test", "copy of c 2.jpg, which is in validation"),
        (
            "copies of one picture disagree: age 26 and 74",
            "copies of one picture disagree: gender male and female",
        ),
        (
            "the JPEG is truncated after 17 bytes; copy it",
            "the JPEG is truncated after 9 bytes; copy it",
        ),
        ("age 121 in the name, expected 0 to 120", "age 130 in the name, expected 0 to 120"),
        ("age 'x', expected a number", 'age "it\'s", expected a number'),
        (
            "'a.jpg' is in t.csv#2 already, with other labels",
            "'b' is in t.csv#9 already, with other labels",
        ),
        ("no such file: 'a.jpg'", "no such file: 'b.jpg'; write it with forward slashes"),
        ("not an image: found b'x' at its start", "not an image: found b'yy' at its start"),
    ],
)
def test_alike_reasons_are_one_line_with_an_example(reasons: tuple[str, str]) -> None:
    rows = [row("z", None, left_out="no label")]
    rows += [row(f"{i}.jpg", None, left_out=reason) for i, reason in enumerate(reasons)]
    _, table = manifest_tables(manifest_of(rows, ()))
    assert str(table.title) == "left out: 3 images"
    assert cells(table) == [["2", "1"], [f"0.jpg: {reasons[0]}", "z: no label"]]


def test_reasons_that_differ_are_lines_of_their_own_the_most_frequent_first() -> None:
    reasons = ["no label", "not in t.csv", "the file is empty", "not in t.csv"]
    rows = [row(f"{i}", None, left_out=reason) for i, reason in enumerate(reasons)]
    _, table = manifest_tables(manifest_of(rows, ()))
    assert cells(table) == [
        ["2", "1", "1"],
        ["1: not in t.csv", "0: no label", "2: the file is empty"],
    ]


def test_untrusted_text_stays_text() -> None:
    odd = Attribute(name="x\x1b[2J", classes=("[red]a[/red]", "b\nc"))
    rows = [
        replace(row("a", "train"), classes={"x\x1b[2J": 0}),
        replace(row("b", "train"), classes={"x\x1b[2J": 1}),
        row("[bold]c\n", None, left_out="\x1b[31m[blink]"),
    ]
    console = Console(file=io.StringIO(), width=200, color_system=None)
    for table in manifest_tables(manifest_of(rows, (odd,))):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "x\\x1b[2J [red]a[/red]" in text
    assert "x\\x1b[2J b\\nc" in text
    assert "[bold]c\\n: \\x1b[31m[blink]" in text
    assert "\x1b" not in text
