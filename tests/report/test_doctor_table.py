"""A diagnosis as a table: only the columns that something is known for, and plain text."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from edgeface.bench.doctor import Diagnosis, Trial
from edgeface.report.doctor_table import doctor_text

RIGHT = Trial(
    name="as the contract says",
    change={"gender": 0.0, "age": 0.0},
    distance=4.25,
    same_ratio=0.0,
    figures={"gender": 0.925, "age": 4.87},
)
SWAPPED = replace(
    RIGHT,
    name="colours [b]swapped",
    change={"gender": 0.0463, "age": 2.72},
    distance=0.05,
    same_ratio=1.0,
)
FOUND = Diagnosis(
    model="m-int8",
    golden_vectors=2,
    golden_problems=("one", "two"),
    pictures=12,
    faces=11,
    compared=10,
    labelled=9,
    trials=(RIGHT, SWAPPED),
    explained_by=(SWAPPED.name,),
    verdict=("golden vectors FAIL (one)", "your predictions fit"),
    healthy=False,
)


def printed(diagnosis: Diagnosis) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(doctor_text(diagnosis))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_figures_and_verdict_are_all_there() -> None:
    text = printed(FOUND)
    assert text.startswith("m-int8: 11 faces in 12 pictures")
    rows = [
        line.split()
        for line in text.splitlines()
        if line.startswith((" as", " colours", "as", "colours"))
    ]
    assert rows[0][-6:] == ["0", "0", "4.25", "0.0", "92.5", "4.87"]
    assert rows[1][-6:] == ["0.0463", "2.72", "0.05", "100.0", "92.5", "4.87"]
    assert "colours [b]swapped <- yours" in text
    assert "as the contract says <- yours" not in text
    assert "yours: 10 faces compared; labels: 9 faces" in text
    tail = [line.rstrip() for line in text.splitlines()[-3:]]
    assert tail == ["* golden vectors FAIL (one)", "* your predictions fit", "  two"]


def test_columns_that_nothing_is_known_for_are_left_out() -> None:
    bare = replace(RIGHT, distance=None, same_ratio=None, figures={})
    text = printed(
        replace(FOUND, compared=0, labelled=0, trials=(bare,), explained_by=(), golden_problems=())
    )
    for word in ("yours", "correct", "MAE"):
        assert word not in text.split("*")[0]
    assert "gender" in text
