"""`table` and `values`: any CSV of paths and labels; what is missing is missing, not guessed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.adapters.listing import GENDER
from edgeface.data.adapters.table import MAX_CLASSES, list_table
from edgeface.data.adapters.values import parse_age, parse_gender, parse_split
from edgeface.data.labels import AgeInterval, Attribute, Entry
from edgeface.errors import DataError

_done, _encoded = cv2.imencode(".png", np.full((4, 5, 3), 7, np.uint8))


def save(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_encoded.tobytes())


def years(low: int, high: int | None = None) -> AgeInterval:
    return AgeInterval(low_years=low, high_years=low if high is None else high)


def refusal(root: Path, *attributes: str) -> str:
    with pytest.raises(DataError) as info:
        list_table(root, attributes)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", years(0)),
        ("34", years(34)),
        ("007", years(7)),
        ("34.0", years(34)),  # pandas writes this where a column of numbers has gaps
        ("34.9", years(34)),  # completed years
        ("34,5", years(34)),
        ("120", years(120)),
        ("30-39", years(30, 39)),
        ("30 – 39", years(30, 39)),
        ("70+", years(70, 120)),
        ("More than 70", years(70, 120)),
        ("", None),
        ("NaN", None),
        ("N/A", None),
    ],
)
def test_ages(text: str, expected: AgeInterval | None) -> None:
    assert parse_age(text) == expected


@pytest.mark.parametrize(
    "text",
    ["-1", "121", "1e2", "old", "3-", "39-30", "30-121", "03-Sep", "34.", "٣٤", "1_0", "9" * 5000],
)
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(DataError, match=r"^age '.{0,81}', expected") as info:
        parse_age(text)
    assert len(str(info.value)) < 200


@given(st.integers(0, 120), st.integers(0, 120))
def test_every_interval_survives_being_written(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert parse_age(f"{low}-{high}") == years(low, high)
    assert parse_age(str(low)) == years(low)


def test_genders_and_splits() -> None:
    for text in ("0", "m", "M", "male", "MALE", "0.0"):
        assert parse_gender(text) == 0
    for text in ("1", "f", "F", "Female", "1.0"):
        assert parse_gender(text) == 1
    assert parse_gender("") is None
    for text in ("2", "w", "-1", "malefemale"):
        with pytest.raises(DataError, match="expected 0, 1, m, f, male or female"):
            parse_gender(text)
    assert [parse_split(t) for t in ("Training", "val", "TEST", "")] == [
        "train",
        "validation",
        "test",
        None,
    ]
    with pytest.raises(DataError, match="split 'extra', expected train, validation or test"):
        parse_split("extra")


def test_labels_that_are_missing_are_missing(tmp_path: Path) -> None:
    save(tmp_path, "a.png", "b/b.png", "c.png", "d")
    (tmp_path / "faces.csv").write_text(
        "PATH,Age,Gender,Glasses,split,note\n"
        "a.png,30-39,F,round,train,\n"
        "b/b.png,,male,none,,x\n"
        "./c.png,34,,,test,\n"
        "d,,,,,\n"  # a file's content says that it is a picture, not its name
    )
    listing = list_table(tmp_path, ["glasses"])
    assert listing.adapter == "table"
    assert listing.attributes == (GENDER, Attribute(name="Glasses", classes=("none", "round")))
    assert listing.entries == (
        Entry(id="a.png", age=years(30, 39), classes={"gender": 1, "Glasses": 1}, split="train"),
        Entry(id="b/b.png", classes={"gender": 0, "Glasses": 0}),
        Entry(id="c.png", age=years(34), split="test"),
        Entry(id="d"),
    )
    assert listing.left_out == ()
    for entry in listing.entries:
        np.testing.assert_array_equal(listing.read(entry), np.full((4, 5, 3), 7, np.uint8))


def test_the_table_itself_may_be_named(tmp_path: Path) -> None:
    save(tmp_path, "a.png", "b.png")
    (tmp_path / "train.csv").write_text("file;age\na.png;3\n", encoding="utf-8-sig")
    (tmp_path / "test.tsv").write_text("image\tage\nb.png\t4\n")
    assert refusal(tmp_path) == (
        f"{tmp_path}: several tables fit, test.tsv and train.csv; give the one to read instead of "
        "the folder"
    )
    listing = list_table(tmp_path / "train.csv")
    assert listing.entries == (Entry(id="a.png", age=years(3)),)
    assert listing.left_out == (), "a table says nothing of pictures that it does not name"
    assert listing.attributes == ()
    assert listing.read(listing.entries[0]).shape == (4, 5, 3)
    assert list_table(tmp_path / "test.tsv").entries == (Entry(id="b.png", age=years(4)),)


def test_every_row_and_picture_is_accounted_for(tmp_path: Path) -> None:
    save(tmp_path, "good.png", "same.png", "other.png", "split.png", "unnamed.png")
    save(tmp_path.parent, "outside.png")
    (tmp_path / "link.png").symlink_to("../outside.png")
    rows = [
        "good.png,20,0,",
        "same.png,21,1,",
        "same.png,21,f,",
        "other.png,22,0,",
        "other.png,23,0,",
        "split.png,20,0,train",
        "split.png,20,0,test",
        "../outside.png,20,0,",
        f"{tmp_path}/good.png,20,0,",
        "link.png,20,0,",
        "none.png,20,0,",
        "good.png,twenty,0,",
        "good.png,20,x,",
        "good.png,20",
        '"a\nb.png",20,0,',
        ",20,0,",
    ]
    (tmp_path / "faces.csv").write_text("\n".join(["path,age,gender,split", *rows]))
    listing = list_table(tmp_path)
    assert [entry.id for entry in listing.entries] == ["good.png", "same.png"]
    left_out = dict(listing.left_out)
    assert list(left_out) == sorted(left_out)
    absolute = f"{tmp_path}/good.png"
    expected = {
        "faces.csv#4": "'same.png' is in faces.csv#3 already, with the same labels",
        "faces.csv#5": "'other.png' is in faces.csv#6 too, with other labels",
        "faces.csv#6": "'other.png' is in faces.csv#5 already, with other labels",
        "faces.csv#7": "'split.png' is in faces.csv#8 too, with other labels",
        "faces.csv#8": "'split.png' is in faces.csv#7 already, with other labels",
        "faces.csv#9": "path '../outside.png' has '..' in it, expected one below the folder",
        "faces.csv#11": "'link.png' is a symbolic link out of the folder",
        "faces.csv#12": "no such file: 'none.png'",
        "faces.csv#13": "age 'twenty', expected a number or an interval such as 30-39",
        "faces.csv#14": "gender 'x', expected 0, 1, m, f, male or female",
        "faces.csv#15": "found 2 cells, expected 4",
        "faces.csv#16": "path 'a\\nb.png' has a control character in it",
        "faces.csv#17": "no path in the row",
        "unnamed.png": "not in faces.csv",
    }
    at_ten = left_out.pop("faces.csv#10")
    assert at_ten.startswith(f"path '{absolute[:80]}")
    assert at_ten.endswith("is absolute, expected one below the folder")
    assert left_out == expected


def test_a_zero_byte_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "faces.csv").write_text("path,age\na.png,1\n")
    listing = list_table(tmp_path)
    with pytest.raises(DataError) as info:
        listing.read(listing.entries[0])
    assert str(info.value) == (
        f"{tmp_path / 'a.png'}: the file is empty; copy or download it again"
    )


def test_tables_that_do_not_fit(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    assert refusal(tmp_path) == f"{tmp_path}: no .csv or .tsv file there"
    assert refusal(table) == f"{tmp_path}: no such file: 't.csv'"
    table.write_text("name,age\na.png,1\n")
    assert refusal(tmp_path) == (
        f"{table}: no column with paths, expected one of path, file, image, filename, file_name, "
        "found 'name, age'"
    )
    table.write_text("path,smile\na.png,1\n")
    assert "no label column, expected age, gender or an attribute" in refusal(tmp_path)
    table.write_text("path,age\nnone.png,1\nworse.png,2\n")
    assert refusal(tmp_path) == (
        f"{tmp_path}: none of 2 images can be used as table, e.g. t.csv#2: no such file: 'none.png'"
    )
    table.write_text("path,age\n")
    assert refusal(table) == f"{table}: no images in it, expected a table set"


def test_attributes_that_are_none(tmp_path: Path) -> None:
    save(tmp_path, "a.png")
    table = tmp_path / "t.csv"
    many = "".join(f"x{i}.png,1,same,{i}\n" for i in range(MAX_CLASSES + 1))
    table.write_text("path,age,constant,number\na.png,1,same,0\n" + many)
    assert refusal(tmp_path, "hair") == (
        f"{table}: no column 'hair', found 'path, age, constant, number'"
    )
    assert refusal(tmp_path, "age") == f"{table}: column 'age' is no attribute; name another"
    assert refusal(tmp_path, "Path") == f"{table}: column 'path' is no attribute; name another"
    assert refusal(tmp_path, "constant") == (
        f"{table}: column 'constant' has 1 distinct values, expected 2 to {MAX_CLASSES}"
    )
    assert refusal(tmp_path, "number") == (
        f"{table}: column 'number' has more than {MAX_CLASSES} distinct values, expected 2 to "
        f"{MAX_CLASSES}"
    )


def test_classes_keep_their_numbers_when_pictures_are_missing(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,hair\na.png,red\nb.png,black\nc.png,grey\n")
    save(tmp_path, "a.png")
    before = list_table(tmp_path, ["hair"])
    save(tmp_path, "b.png", "c.png")
    after = list_table(tmp_path, ["hair"])
    assert (
        before.attributes
        == after.attributes
        == (Attribute(name="hair", classes=("black", "grey", "red")),)
    )
    assert before.entries[0] == after.entries[0] == Entry(id="a.png", classes={"hair": 2})
