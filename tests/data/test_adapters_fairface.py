"""`fairface` adapter: bins to intervals, dates back to bins, two tables to two splits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.fairface import list_fairface, parse_bin
from edgeface.data.labels import AgeInterval, Entry
from edgeface.errors import DataError

HEADER = "file,age,gender,race,service_test\n"


def years(low: int, high: int) -> AgeInterval:
    return AgeInterval(low_years=low, high_years=high)


def save(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        done = cv2.imwrite(str(path), np.full((8, 6, 3), 200, np.uint8))
        assert done


def test_the_nine_bins_cover_every_age_once() -> None:
    bins = ["0-2", "3-9", *(f"{low}-{low + 9}" for low in range(10, 70, 10)), "more than 70"]
    covered: list[int] = []
    for text in bins:
        interval = parse_bin(text)
        assert interval is not None
        covered += range(interval.low_years, interval.high_years + 1)
    assert covered == list(range(121))
    assert parse_bin("70+") == parse_bin("More than 70") == years(70, 120)
    assert parse_bin("") is None


@pytest.mark.parametrize(
    "text", ["03-Sep", "3-Sep", "Sep-03", "SEP-3", "9-Mar", "09-mar", "Mar-9", "Mar-09"]
)
def test_dates_that_were_3_to_9(text: str) -> None:
    assert parse_bin(text) == years(3, 9)


@pytest.mark.parametrize("text", ["Oct-19", "19-Oct", "10-Oct", "Oct-10", "oct-19"])
def test_dates_that_were_10_to_19(text: str) -> None:
    assert parse_bin(text) == years(10, 19)


@pytest.mark.parametrize(
    "text",
    ["1-Oct", "Oct-20", "4-Sep", "Sep-09", "3-Mar", "2019-10-19", "43717", "3-10", "20", "-", "70"],
)
def test_what_is_no_bin_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^age '.+', expected one of 0-2, 3-9, .*more than 70"):
        parse_bin(text)


def test_two_tables_are_one_set_with_its_splits(tmp_path: Path) -> None:
    save(tmp_path, *(f"train/{i}.jpg" for i in range(1, 7)), "val/1.jpg", "val/2.jpg")
    (tmp_path / "fairface_label_train.csv").write_text(
        f"{HEADER}"
        "train/1.jpg,50-59,Male,East Asian,True\n"
        "train/2.jpg,03-Sep,Female,Latino_Hispanic,False\n"
        "train/3.jpg,Oct-19,,,True\n"
        "train/4.jpg,1-Oct,Male,White,True\n"
        "train/5.jpg,20-29,Male,Martian,True\n"
        "train/7.jpg,20-29,Male,White,True\n"
        "../x.jpg,20-29,Male,White,True\n"
    )
    (tmp_path / "fairface_label_val.csv").write_text(
        f"{HEADER}val/1.jpg,more than 70,Male,White,True\nval/2.jpg,,Female,Black,True\n"
    )
    listing = list_dataset(tmp_path)
    assert listing.adapter == "fairface"
    assert [attribute.name for attribute in listing.attributes] == ["gender", "race"]
    assert len(listing.attributes[1].classes) == 7
    assert listing.entries == (
        Entry(id="train/1.jpg", age=years(50, 59), classes={"gender": 0, "race": 3}, split="train"),
        Entry(id="train/2.jpg", age=years(3, 9), classes={"gender": 1, "race": 2}, split="train"),
        Entry(id="train/3.jpg", age=years(10, 19), split="train"),
        Entry(
            id="val/1.jpg", age=years(70, 120), classes={"gender": 0, "race": 0}, split="validation"
        ),
        Entry(id="val/2.jpg", classes={"gender": 1, "race": 1}, split="validation"),
    )
    reasons = dict(listing.left_out)
    assert reasons.pop("fairface_label_train.csv#5").startswith("age '1-Oct', expected one of 0-2")
    assert reasons.pop("fairface_label_train.csv#6").startswith("race 'Martian', expected one of")
    assert reasons == {
        "fairface_label_train.csv#7": "no such file: 'train/7.jpg'",
        "fairface_label_train.csv#8": (
            "path '../x.jpg' has '..' in it, expected one below the folder"
        ),
        "train/6.jpg": "not in fairface_label_train.csv or fairface_label_val.csv",
    }
    assert listing.read(listing.entries[0]).shape == (8, 6, 3)

    alone = list_dataset(tmp_path / "fairface_label_val.csv")
    assert alone.adapter == "fairface"
    assert alone.entries == listing.entries[3:]
    assert alone.left_out == ()
    assert alone.read(alone.entries[0]).shape == (8, 6, 3)


@pytest.mark.parametrize("below", ["", "FairFace/"])
def test_kaggles_packing(tmp_path: Path, below: str) -> None:
    save(tmp_path, f"{below}train/1.jpg", f"{below}val/1.jpg", f"{below}val/2.jpg")
    train, val = (tmp_path / f"{below}{name}_labels.csv" for name in ("train", "val"))
    train.write_text(f"{HEADER}train/1.jpg,03-Sep,Male,Black,False\n")
    val.write_text(f"{HEADER}val/1.jpg,0-2,Female,White,False\n/val/2.jpg,0-2,Female,White,\n")
    listing = list_dataset(tmp_path)
    assert listing.adapter == "fairface"
    assert [(entry.id, entry.age, entry.split) for entry in listing.entries] == [
        (f"{below}train/1.jpg", years(3, 9), "train"),
        (f"{below}val/1.jpg", years(0, 2), "validation"),
    ]
    assert [where for where, _ in listing.left_out] == [
        f"{below}val/2.jpg",  # "/" comes before "_"
        f"{below}val_labels.csv#3",
    ]
    assert listing.read(listing.entries[0]).shape == (8, 6, 3)
    assert list_dataset(val).entries[0].split == "validation"


def test_any_sets_train_labels_are_not_fairface(tmp_path: Path) -> None:
    save(tmp_path, "1.jpg")
    (tmp_path / "train_labels.csv").write_text("file,age\n1.jpg,30\n")
    assert list_dataset(tmp_path).adapter == "table"


def test_a_picture_in_both_splits_is_in_none(tmp_path: Path) -> None:
    save(tmp_path, "train/1.jpg", "train/2.jpg")
    row = "train/1.jpg,20-29,Male,White,True\n"
    other = "train/2.jpg,20-29,Male,White,True\n"
    (tmp_path / "fairface_label_train.csv").write_text(HEADER + row + other)
    (tmp_path / "fairface_label_val.csv").write_text(HEADER + row)
    listing = list_fairface(tmp_path)
    assert [entry.id for entry in listing.entries] == ["train/2.jpg"]
    assert [where for where, _ in listing.left_out] == [
        "fairface_label_train.csv#2",
        "fairface_label_val.csv#2",
    ]


def test_what_is_no_fairface(tmp_path: Path) -> None:
    with pytest.raises(DataError) as info:
        list_fairface(tmp_path)
    assert str(info.value) == (
        f"{tmp_path}: not a FairFace set, expected fairface_label_train.csv or "
        "fairface_label_val.csv there"
    )
    table = tmp_path / "fairface_label_val.csv"
    table.write_text("file,age\nval/1.jpg,3-9\n")
    with pytest.raises(DataError) as info:
        list_fairface(tmp_path)
    assert str(info.value) == f"{table}: columns gender, race are missing, found 'file, age'"
    table.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty, expected a table"):
        list_fairface(tmp_path)
