"""`celeba` adapter: its two text files, Kaggle's CSV of them, and every folder they come in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeface.data.adapters.celeba import list_celeba
from edgeface.data.adapters.detect import list_dataset
from edgeface.data.labels import Attribute, Entry
from edgeface.errors import DataError

# Source: CelebA's own header.
HEADER = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
)
COLUMNS = HEADER.split()
# image: the attributes that it has
FACES = {
    "000001.jpg": {"Male", "Smiling"},
    "000002.jpg": {"Smiling", "Young"},
    "000003.jpg": {"Male"},
    "000004.jpg": set[str](),
}
PARTITION = {"000001.jpg": 0, "000002.jpg": 1, "000003.jpg": 2, "000004.jpg": 0}


def values(face: str) -> list[str]:
    return ["1" if column in FACES[face] else "-1" for column in COLUMNS]


def attribute_text(rows: list[str] | None = None) -> str:
    # as the authors wrote it: two spaces before a 1, a space at the end of the header
    lines = [f"{face}  {' '.join(values(face))}".replace(" 1", "  1") for face in FACES]
    rows = lines if rows is None else rows
    return f"{len(rows)}\n{HEADER} \n" + "".join(f"{row}\n" for row in rows)


def partition_text() -> str:
    return "".join(f"{face} {split}\n" for face, split in PARTITION.items())


def save(root: Path, below: str = "img_align_celeba") -> None:
    (root / below).mkdir(parents=True, exist_ok=True)
    for face in FACES:
        assert cv2.imwrite(str(root / below / face), np.full((8, 6, 3), 200, np.uint8))


def refusal(root: Path, *attributes: str) -> str:
    with pytest.raises(DataError) as info:
        list_celeba(root, attributes)
    assert "\n" not in str(info.value)
    return str(info.value)


def expected(below: str) -> tuple[Entry, ...]:
    """Visible by hand: gender is 0 for Male; Smiling and Young are 1 for yes."""
    rows = [(0, 1, 0, "train"), (1, 1, 1, "validation"), (0, 0, 0, "test"), (1, 0, 0, "train")]
    return tuple(
        Entry(
            id=f"{below}00000{i}.jpg",
            classes={"gender": gender, "Smiling": smiling, "Young": young},
            split=split,
        )
        for i, (gender, smiling, young, split) in enumerate(rows, 1)
    )


@pytest.mark.parametrize(
    ("attributes", "partition", "below"),
    [
        ("list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba/"),
        ("list_attr_celeba.txt", "list_eval_partition.txt", ""),
        ("Anno/list_attr_celeba.txt", "Eval/list_eval_partition.txt", "Img/img_align_celeba/"),
    ],
)
def test_the_authors_files(tmp_path: Path, attributes: str, partition: str, below: str) -> None:
    save(tmp_path, below)
    for name, text in ((attributes, attribute_text()), (partition, partition_text())):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    listing = list_dataset(tmp_path, attribute="Smiling, Young")
    assert listing.adapter == "celeba"
    assert listing.attributes == (
        Attribute(name="gender", classes=("male", "female")),
        Attribute(name="Smiling", classes=("no", "yes")),
        Attribute(name="Young", classes=("no", "yes")),
    )
    assert listing.entries == expected(below)
    assert listing.left_out == ()
    assert listing.read(listing.entries[0]).shape == (8, 6, 3)


def test_kaggles_csv(tmp_path: Path) -> None:
    below = "img_align_celeba/img_align_celeba/"
    save(tmp_path, below)
    rows = [f"{face},{','.join(values(face))}\n" for face in FACES]
    (tmp_path / "list_attr_celeba.csv").write_text(
        f"image_id,{','.join(COLUMNS)}\n" + "".join(rows)
    )
    (tmp_path / "list_eval_partition.csv").write_text(
        "image_id,partition\n" + partition_text().replace(" ", ",")
    )
    assert list_dataset(tmp_path, attribute="Smiling,Young").entries == expected(below)


@pytest.mark.parametrize("column", COLUMNS)
def test_any_of_the_40_attributes(tmp_path: Path, column: str) -> None:
    save(tmp_path)
    (tmp_path / "list_attr_celeba.txt").write_text(attribute_text())
    listing = list_celeba(tmp_path, [column])
    assert [entry.classes[column] for entry in listing.entries] == [
        int(column in has) for has in FACES.values()
    ]
    assert [entry.classes["gender"] for entry in listing.entries] == [0, 1, 0, 1]
    assert {entry.split for entry in listing.entries} == {None}, "no partition file, no split"


def test_gender_comes_without_being_asked_for(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "list_attr_celeba.txt").write_text(attribute_text())
    for attribute in (None, "gender"):
        listing = list_dataset(tmp_path, attribute=attribute)
        assert [one.name for one in listing.attributes] == ["gender"]
        assert [dict(entry.classes) for entry in listing.entries] == [
            {"gender": 0},
            {"gender": 1},
            {"gender": 0},
            {"gender": 1},
        ]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    save(tmp_path)
    ones = " ".join(["-1"] * 40)
    rows = [
        f"000001.jpg {ones}",
        f"000002.jpg {ones.replace('-1', '0', 21)}",
        "000003.jpg -1 -1",
        f"../000003.jpg {ones}",
        f"000009.jpg {ones}",
        f"000008.jpg {ones}",
    ]
    (tmp_path / "list_attr_celeba.txt").write_text(attribute_text(rows))
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n000009.jpg 0\n")
    listing = list_celeba(tmp_path)
    assert [entry.id for entry in listing.entries] == ["img_align_celeba/000001.jpg"]
    name = "list_attr_celeba.txt"
    assert dict(listing.left_out) == {
        f"{name}#4": "Male '0', expected -1 or 1",
        f"{name}#5": "found 2 values, expected 40",
        f"{name}#6": "path '../000003.jpg' has '..' in it, expected one below the folder",
        f"{name}#7": "no such file: 'img_align_celeba/000009.jpg'",
        f"{name}#8": "no such file: 'img_align_celeba/000008.jpg'",
        "img_align_celeba/000003.jpg": f"not in {name}",
        "img_align_celeba/000004.jpg": f"not in {name}",
    }


def test_an_image_in_no_split_is_left_out(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "list_attr_celeba.txt").write_text(attribute_text())
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    assert dict(list_celeba(tmp_path).left_out)["list_attr_celeba.txt#4"] == (
        "'000002.jpg' is in no split of the partition file"
    )


def test_files_that_are_broken_are_one_line(tmp_path: Path) -> None:
    save(tmp_path)
    table = tmp_path / "list_attr_celeba.txt"
    assert refusal(tmp_path) == (
        f"{tmp_path}: not a CelebA set, expected list_attr_celeba.txt or Anno/list_attr_celeba.txt "
        "or list_attr_celeba.csv"
    )
    not_a_start = (
        f"{table}: lines 1 and 2 are not a count of images and the names of the attributes; "
        "download it again"
    )
    for start in (
        "",
        "\n",
        "4\n",
        "many\nMale\n",
        "4 5\nMale\n",
        f"{'9' * 5000}\nMale\n",
        "٤\nM\n",
    ):
        table.write_text(start)
        assert refusal(tmp_path) == not_a_start
    table.write_text("1" * 2_000_000)
    assert "the record at byte 0 is longer than 1048576 bytes" in refusal(tmp_path)
    table.write_text(attribute_text().replace("4\n", "202599\n", 1))
    assert refusal(tmp_path) == (
        f"{table}: line 1 announces 202599 images, found 4; download it again"
    )
    table.write_text(attribute_text())
    assert refusal(tmp_path, "smiling") == (
        f"{table}: no attribute 'smiling', expected e.g. 'Smiling'"
    )
    table.write_text("1\nSmiling\n000001.jpg 1\n")
    assert "no attribute 'Male', expected e.g. 'Smiling'" in refusal(tmp_path)
    table.write_bytes(b"1\nMale\n\xff\xfe\x00.jpg 1\n")
    assert "none of" in refusal(tmp_path)
    table.write_text(attribute_text())
    for row in ("000001.jpg 3", "000001.jpg", "000001.jpg 0\n000001.jpg 1"):
        (tmp_path / "list_eval_partition.txt").write_text(f"{row}\n")
        assert "expected an image, once, and 0, 1 or 2; download it again" in refusal(tmp_path)


def test_pictures_behind_a_link_are_not_looked_at(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere")
    root = tmp_path / "root"
    root.mkdir()
    (root / "list_attr_celeba.txt").write_text(attribute_text())
    (root / "img_align_celeba").symlink_to(tmp_path / "elsewhere" / "img_align_celeba")
    assert refusal(root) == (f"{root}: 'img_align_celeba/' is a symbolic link out of the folder")
