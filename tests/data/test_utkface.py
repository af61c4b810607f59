"""`utkface`: labels from names, groups from pixels, and nothing unusable without its reason."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.config import DataSpec
from edgeface.data.manifest import SPLITS, LeftOut, Manifest, make_manifest
from edgeface.data.sources import open_data
from edgeface.data.utkface import parse_name, scan_folder
from edgeface.errors import DataError
from edgeface.types import SilentReporter

FACES = Path(__file__).parents[3] / "shared" / "data" / "utkface"
NOT_THE_FORM = "name is not <age>_<gender 0|1>_<race 0-4>_<date>.jpg"
LACKING_RACE = (
    "39_1_20170116174525125.jpg.chip.jpg",
    "61_1_20170109142408075.jpg.chip.jpg",
    "61_1_20170109150557335.jpg.chip.jpg",
)

Image = NDArray[np.uint8]


def picture(seed: int, side_px: int = 12) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), np.uint8)


def encoded(image: Image, suffix: str) -> bytes:
    done, content = cv2.imencode(suffix, image)
    assert done
    return content.tobytes()


def save(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image, path.suffix))


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as info:
        scan_folder(root, SilentReporter())
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("25_0_2_20170116174525125.jpg.chip.jpg", (25, 0)),
        ("1_1_0_20161219140623097.jpg.chip.jpg", (1, 1)),
        ("116_1_4_20170105183448500.jpg", (116, 1)),
        ("0_0_3_20170105.png", (0, 0)),
        ("120_0_1_20170105183448500.JPEG", (120, 0)),
        ("007_1_1_20170105183448500.jpg", (7, 1)),
    ],
)
def test_good_names(name: str, labels: tuple[int, int]) -> None:
    assert parse_name(name) == labels


@pytest.mark.parametrize(
    "name",
    [
        *LACKING_RACE,  # a split at "_" would read the date as race
        "",
        "portrait.jpg",
        "25.jpg",
        "25_0.jpg",
        "25_0_2.jpg",
        "25_0_2_.jpg",
        "25_0_2_2017.jpg",  # no date has four digits
        "25_2_2_20170116174525125.jpg",  # no such gender
        "25_0_5_20170116174525125.jpg",  # no such race
        "25_female_2_20170116174525125.jpg",
        "_0_2_20170116174525125.jpg",
        "-5_0_2_20170116174525125.jpg",
        "2.5_0_2_20170116174525125.jpg",
        "1000_0_2_20170116174525125.jpg",
        "25_0__20170116174525125.jpg",
        " 25_0_2_20170116174525125.jpg",
        "x25_0_2_20170116174525125.jpg",
        "25_0_2_x20170116174525125.jpg",
        "25-0-2-20170116174525125.jpg",
    ],
)
def test_names_without_every_label(name: str) -> None:
    with pytest.raises(DataError) as info:
        parse_name(name)
    assert str(info.value) == NOT_THE_FORM


def test_an_age_that_nobody_has() -> None:
    with pytest.raises(DataError, match="age 121 in the name, expected 0 to 120"):
        parse_name("121_0_2_20170116174525125.jpg")


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path: Path) -> None:
    save(tmp_path / "20_0_0_20170101000000000.jpg", picture(1))
    save(tmp_path / "deep" / "er" / "30_1_1_20170101000000000.png", picture(2))
    whole = encoded(picture(3, side_px=64), ".jpg")
    (tmp_path / "40_0_0_20170101000000000.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "41_0_0_20170101000000000.png").write_text("not a picture at all")
    (tmp_path / "42_0_0_20170101000000000.jpg").write_bytes(b"")
    save(tmp_path / "unnamed.png", picture(4))
    (tmp_path / "43_0_0_20170101000000000.jpg").mkdir()  # a folder is no picture and is entered
    save(tmp_path / "43_0_0_20170101000000000.jpg" / "44_1_0_20170101000000000.bmp", picture(5))
    (tmp_path / "notes.txt").write_text("no picture, and no reason to mention it")
    not_utf8 = os.fsencode(tmp_path) + b"/45_0_0_20170101000000000_\xff.png"
    with open(not_utf8, "wb") as file:  # noqa: PTH123  # bytes, which no Path takes
        file.write(encoded(picture(6), ".png"))

    images, left_out = scan_folder(tmp_path, SilentReporter())

    assert {image.id: (image.age_years, image.gender) for image in images} == {
        "20_0_0_20170101000000000.jpg": (20, 0),
        "deep/er/30_1_1_20170101000000000.png": (30, 1),
        "43_0_0_20170101000000000.jpg/44_1_0_20170101000000000.bmp": (44, 1),
    }
    reasons = {one.id: one.reason for one in left_out}
    assert reasons == {
        "40_0_0_20170101000000000.jpg": f"the JPEG is truncated after {len(whole) // 2} bytes; "
        "copy or download it again",
        "41_0_0_20170101000000000.png": "not an image: found b'not a pi' at its start, "
        "expected a JPEG, PNG, BMP or WebP",
        "42_0_0_20170101000000000.jpg": "the file is empty; copy or download it again",
        "unnamed.png": NOT_THE_FORM,
        "45_0_0_20170101000000000_\\udcff.png": "file name is not UTF-8",
    }


def test_equal_pixels_are_one_group_whatever_the_file(tmp_path: Path) -> None:
    image = picture(1)
    save(tmp_path / "20_0_0_20170101000000000.png", image)
    save(tmp_path / "21_0_0_20170101000000000.bmp", image)
    almost = image.copy()
    almost[0, 0, 0] ^= 1
    save(tmp_path / "22_0_0_20170101000000000.png", almost)
    # the same bytes of pixels in another shape are another picture
    save(tmp_path / "23_0_0_20170101000000000.png", image.reshape(6, 24, 3))
    images, _ = scan_folder(tmp_path, SilentReporter())
    group = {image.age_years: image.group for image in images}
    assert group[20] == group[21]
    assert len(set(group.values())) == 3


def test_a_folder_that_gives_no_face_is_one_line(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path}: no pictures in it, expected .jpg, .jpeg, .png, .bmp, .webp files"
    )
    missing = tmp_path / "none"
    assert refusal(missing) == f"{missing}: no such folder; give --data a folder of labelled faces"
    file = tmp_path / "file.txt"
    file.write_text("x")
    assert refusal(file) == f"{file}: no such folder; give --data a folder of labelled faces"
    assert "cannot be listed: File name too long" in refusal(tmp_path / ("x" * 300))
    save(tmp_path / "female" / "b.png", picture(1))
    save(tmp_path / "female" / "a.png", picture(2))
    assert refusal(tmp_path) == (
        f"{tmp_path}: none of 2 pictures can be used, e.g. female/a.png: {NOT_THE_FORM}"
    )


def test_a_folder_that_cannot_be_listed_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "20_0_0_20170101000000000.png", picture(1))
    save(tmp_path / "locked" / "30_0_0_20170101000000000.png", picture(2))
    real = os.scandir

    def scandir(path: str) -> object:
        return deny(path) if Path(path).name == "locked" else real(path)

    def deny(path: str) -> NoReturn:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)  # chmod does not stop root
    assert refusal(tmp_path) == (
        f"{tmp_path / 'locked'}: cannot be listed: Permission denied; check its rights"
    )


@pytest.fixture(scope="module")
def utkface() -> Manifest:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    return open_data(FACES, DataSpec(), 1, SilentReporter())


@pytest.mark.faces
def test_the_defects_of_the_public_set_are_found_twice_alike(utkface: Manifest) -> None:
    for name in LACKING_RACE:
        assert LeftOut(id=name, reason=NOT_THE_FORM) in utkface.left_out
    # read a second time: the groups of what was left out are in no manifest
    images, unusable = scan_folder(FACES, SilentReporter())
    groups = {image.id: image.group for image in images}
    in_conflict = {groups[one.id] for one in utkface.left_out if one not in unusable}
    assert len(in_conflict) >= 200
    assert in_conflict.isdisjoint(row.group for row in utkface.rows)
    again = make_manifest(
        utkface.source, images[::-1], unusable, seed=1, validation_ratio=0.1, test_ratio=0.2
    )
    assert again.sha256 == utkface.sha256
    assert again.left_out == utkface.left_out


@pytest.mark.faces
def test_the_public_set_is_divided_without_a_leak(utkface: Manifest) -> None:
    assert 4000 <= len(utkface.of_split("test")) <= 4400
    sides: dict[str, set[str]] = {}
    for row in utkface.rows:
        sides.setdefault(row.group, set()).add(row.split)
    assert Counter(map(len, sides.values())) == {1: len(sides)}
    assert len(utkface.rows) > len(sides), "agreeing copies are kept, on one side"
    for split in SPLITS:
        # strata are kept: about 47.8 % are women
        female = np.mean([row.gender for row in utkface.of_split(split)])
        assert female == pytest.approx(0.478, abs=0.01), split
