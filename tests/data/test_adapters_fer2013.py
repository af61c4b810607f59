"""`fer2013` adapter: folders and the CSV of pixels give one order of classes and the splits."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.fer2013 import EXPRESSION, list_fer2013
from edgeface.data.labels import Entry
from edgeface.errors import DataError

FACES = Path(__file__).parents[3] / "shared" / "data" / "fer2013"


def grey(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def pixels(image: NDArray[np.uint8]) -> str:
    return " ".join(map(str, image.ravel().tolist()))


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), grey(0))


def test_the_order_of_classes_is_the_number_of_the_csv() -> None:
    assert dict(enumerate(EXPRESSION.classes)) == {
        0: "angry",
        1: "disgust",
        2: "fear",
        3: "happy",
        4: "sad",
        5: "surprise",
        6: "neutral",
    }


def test_folders_and_csv_agree(tmp_path: Path) -> None:
    folders, table = tmp_path / "folders", tmp_path / "table"
    for name in EXPRESSION.classes:
        save(folders / "train" / name / "1.png")
    table.mkdir()
    rows = [f"{i},{pixels(grey(0))},Training\n" for i in range(7)]
    (table / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(rows))
    one, other = list_dataset(folders), list_dataset(table)
    assert one.adapter == other.adapter == "fer2013"
    assert one.attributes == other.attributes == (EXPRESSION,)
    of_folder = {entry.id.split("/")[1]: entry for entry in one.entries}
    for number, name in enumerate(EXPRESSION.classes):
        from_csv = other.entries[number]
        assert from_csv.id == f"fer2013.csv#{number + 2}"
        assert from_csv.classes == of_folder[name].classes == {"expression": number}
        assert from_csv.split == of_folder[name].split == "train"
        np.testing.assert_array_equal(other.read(from_csv), one.read(of_folder[name]))


@pytest.mark.parametrize("header", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_the_csv(tmp_path: Path, header: str) -> None:
    # the second header, with its spaces, is that of icml_face_data.csv
    def row(emotion: str, text: str, usage: str) -> str:
        by_name = {"emotion": emotion, "pixels": text, "Usage": usage}
        return ",".join(by_name[column.strip()] for column in header.split(","))

    rows = [
        row("0", pixels(grey(1)), "Training"),
        row("6", pixels(grey(2)), "PublicTest"),
        row("3", pixels(grey(3)), "PrivateTest"),
        row("", pixels(grey(4)), ""),
        row("7", pixels(grey(5)), "Training"),
        row("1", pixels(grey(6)), "Holdout"),
        "1",
    ]
    path = tmp_path / "icml_face_data.csv"
    path.write_text("\r\n".join([header, *rows]))
    for root in (tmp_path, path):
        listing = list_dataset(root)
        assert listing.entries == (
            Entry(id="icml_face_data.csv#2", classes={"expression": 0}, split="train"),
            Entry(id="icml_face_data.csv#3", classes={"expression": 6}, split="validation"),
            Entry(id="icml_face_data.csv#4", classes={"expression": 3}, split="test"),
            Entry(id="icml_face_data.csv#5"),
        )
        assert listing.left_out == (
            ("icml_face_data.csv#6", "emotion '7', expected 0 to 6"),
            (
                "icml_face_data.csv#7",
                "Usage 'Holdout', expected Training, PublicTest or PrivateTest",
            ),
            ("icml_face_data.csv#8", "found 1 cells, expected 3"),
        )
        with ThreadPoolExecutor(4) as pool:  # later stages read with threads
            images = list(pool.map(listing.read, listing.entries[::-1]))
        for seed, image in zip((4, 3, 2, 1), images, strict=True):
            assert image.dtype == np.uint8
            np.testing.assert_array_equal(image, np.stack([grey(seed)] * 3, axis=2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 2 3", "found 3 pixels, expected 2304"),
        ("", "found 0 pixels, expected 2304"),
        (" ".join(["256"] * 2304), "found pixel '256', expected 0 to 255"),
        (" ".join(["-1"] * 2304), "found pixel '-1', expected 0 to 255"),
        (" ".join(["1e1"] * 2304), "found pixel '1e1', expected 0 to 255"),
        (" ".join(["1"] * 2305), "found 2305 pixels, expected 2304"),
    ],
)
def test_pixels_that_are_none(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n0,{text},Training\n")
    listing = list_fer2013(tmp_path)
    with pytest.raises(DataError) as info:
        listing.read(listing.entries[0])
    assert str(info.value) == f"{tmp_path}: fer2013.csv#2: {expected}"


def test_a_row_that_was_not_listed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(f"emotion,pixels,Usage\n0,{pixels(grey(1))},Training\n")
    listing = list_fer2013(path)
    with pytest.raises(DataError, match=r"no row 'fer2013\.csv#3'"):
        listing.read(Entry(id="fer2013.csv#3"))
    path.write_text("emotion,pixels,Usage\n")
    with pytest.raises(DataError, match=r"fer2013\.csv#2: not the row that was listed"):
        listing.read(listing.entries[0])


def test_folders_that_are_no_expression_are_named(tmp_path: Path) -> None:
    for name in (
        "train/angry/a.png",
        "test/sad/b.png",
        "validation/neutral/c.png",
        "train/contempt/d.png",
        "train/happy/deep/e.png",
        "extra/happy/f.png",
        "g.png",
    ):
        save(tmp_path / name)
    (tmp_path / "train" / "happy").mkdir(exist_ok=True)
    listing = list_dataset(tmp_path)
    assert [(entry.id, entry.classes["expression"], entry.split) for entry in listing.entries] == [
        ("test/sad/b.png", 4, "test"),
        ("train/angry/a.png", 0, "train"),
        ("validation/neutral/c.png", 6, "validation"),
    ]
    reason = "not in the folder of a split and, in that, of one of the seven expressions"
    assert listing.left_out == tuple(
        (name, reason)
        for name in ("extra/happy/f.png", "g.png", "train/contempt/d.png", "train/happy/deep/e.png")
    )


def test_both_forms_at_once_must_be_told_apart(tmp_path: Path) -> None:
    save(tmp_path / "train" / "angry" / "a.png")
    save(tmp_path / "train" / "sad" / "b.png")
    path = tmp_path / "fer2013.csv"
    path.write_text(f"emotion,pixels,Usage\n0,{pixels(grey(1))},Training\n")
    with pytest.raises(DataError, match=r"fer2013\.csv and train/ are there; give the CSV's path"):
        list_fer2013(tmp_path)
    with pytest.raises(DataError, match="several formats fit equally"):
        list_dataset(tmp_path)
    assert len(list_dataset(path).entries) == 1
    with pytest.raises(DataError, match="not a FER2013 set, expected train/"):
        list_fer2013(tmp_path / "train" / "angry")


@pytest.mark.faces
def test_the_public_set() -> None:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    listing = list_dataset(FACES)
    assert (listing.adapter, len(listing.entries), listing.left_out) == ("fer2013", 32_136, ())
    splits = Counter(entry.split for entry in listing.entries)
    assert splits == {"train": 28_557, "test": 3_579}
    disgusted = sum(entry.classes["expression"] == 1 for entry in listing.entries)
    assert disgusted / len(listing.entries) == pytest.approx(0.015, abs=0.001)
    image = listing.read(listing.entries[0])
    assert image.shape == (48, 48, 3)
    np.testing.assert_array_equal(image[:, :, 0], image[:, :, 2])
