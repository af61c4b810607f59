"""`prepare`: its steps, which other modules take too."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeface.data.adapters.paths import image_files
from edgeface.data.labels import AgeInterval, Attribute, Listing
from edgeface.data.manifest import Row, Source, Split
from edgeface.data.prepare import folder_source, grouped
from edgeface.data.split import divide, stratum

GENDER = Attribute(name="gender", classes=("male", "female"))
RATIOS = {"validation": 0.1, "test": 0.2}


def row(name: str, split: Split | None = None, group: str = "", age: int = 30) -> Row:
    interval = AgeInterval(low_years=age, high_years=age)
    return Row(id=name, group=group or name, split=split, age=interval)


def test_divide_leaves_what_is_held_out_and_keeps_the_order() -> None:
    rows = [row(f"{i:03d}", "test" if i % 4 == 0 else "train") for i in range(200)]
    divided = divide(rows, RATIOS, 1)
    assert [one.id for one in divided] == [one.id for one in rows]
    for before, after in zip(rows, divided, strict=True):
        assert (after.split == "test") == (before.split == "test")
    # a tenth of the 150 that are left, not of all
    assert abs(sum(one.split == "validation" for one in divided) - 15) <= 1
    assert divide(divided, RATIOS, 2) == divided, "with every split there, nothing is cut"


def test_groups_are_named_after_their_first_member() -> None:
    rows = [row(name) for name in ("c", "a", "d", "b")]
    assert [one.group for one in grouped(rows, [(0, 3), (1,)])] == ["b", "a", "d", "b"]


@pytest.mark.parametrize(
    ("ages", "classes", "expected"),
    [
        ((35, 35), {"gender": 1, "race": 2}, (1, 3, 2, -1)),
        ((30, 39), {"gender": 0}, (0, 3, -1, -1)),
        ((0, 2), {}, (-1, 0, -1, -1)),
        ((3, 9), {}, (-1, 0, -1, -1)),
        ((9, 10), {}, (-1, 0, -1, -1)),
        ((10, 10), {}, (-1, 1, -1, -1)),
        ((120, 120), {}, (-1, 12, -1, -1)),
        (None, {"race": 4, "mood": 1}, (-1, -1, 4, -1)),
        (None, {"mood": 1, "hat": 0}, (-1, -1, -1, 0)),
        (None, {}, (-1, -1, -1, -1)),
    ],
)
def test_strata(
    ages: tuple[int, int] | None, classes: dict[str, int], expected: tuple[int, ...]
) -> None:
    age = AgeInterval(low_years=ages[0], high_years=ages[1]) if ages else None
    assert stratum(Row(id="x", age=age, classes=classes)) == expected


def test_the_source_says_where_the_pixels_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def source_of(root: str) -> Source:
        listing = Listing(
            adapter="table",
            root=Path(root),
            attributes=(GENDER,),
            entries=(),
            left_out=(),
            pictures=image_files(Path(root)),
        )
        return folder_source(listing)

    assert source_of("faces") == Source(
        kind="folder", label="faces", root="faces", adapter="table", attributes=(GENDER,)
    )
    monkeypatch.chdir(tmp_path)
    assert source_of("").label == tmp_path.name
    assert source_of("a/b/..").label == "a"
    assert source_of("caf\udce9").label == "caf\\udce9"
