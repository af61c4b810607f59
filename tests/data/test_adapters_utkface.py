"""`utkface` adapter: age, gender and race from names, and the public set as it is."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.utkface import list_utkface, parse_name, signs
from edgeface.data.labels import AgeInterval, Attribute, Entry, Listing
from edgeface.data.manifest import SPLITS, Manifest
from edgeface.data.prepare import prepare
from edgeface.data.scan import Scan, scan
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


def prepared(root: Path) -> Manifest:
    listing = list_dataset(root, adapter="utkface")
    return divided(listing, scan(listing, SilentReporter()))


def divided(listing: Listing, scanned: Scan) -> Manifest:
    return prepare(listing, scanned, seed=1, validation_ratio=0.1, test_ratio=0.2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("25_0_2_20170116174525125.jpg.chip.jpg", (25, 0, 2)),
        ("1_1_0_20161219140623097.jpg.chip.jpg", (1, 1, 0)),
        ("116_1_4_20170105183448500.jpg", (116, 1, 4)),
        ("0_0_3_20170105.png", (0, 0, 3)),
        ("120_0_1_20170105183448500.JPEG", (120, 0, 1)),
        ("007_1_1_20170105183448500.jpg", (7, 1, 1)),
    ],
)
def test_good_names(name: str, expected: tuple[int, int, int]) -> None:
    assert parse_name(name) == expected


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


def test_labels_come_from_names(tmp_path: Path) -> None:
    (tmp_path / "part2").mkdir()
    for name in (
        "25_0_2_20170116174525125.jpg.chip.jpg",
        "part2/116_1_4_20170105183448500.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",
        "121_0_0_20170116174525125.jpg",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    listing = list_utkface(tmp_path)
    assert listing.adapter == "utkface"
    assert listing.attributes == (
        Attribute(name="gender", classes=("male", "female")),
        Attribute(name="race", classes=("White", "Black", "Asian", "Indian", "Others")),
    )
    assert listing.entries == (
        Entry(
            id="25_0_2_20170116174525125.jpg.chip.jpg",
            age=AgeInterval(low_years=25, high_years=25),
            classes={"gender": 0, "race": 2},
        ),
        Entry(
            id="part2/116_1_4_20170105183448500.jpg",
            age=AgeInterval(low_years=116, high_years=116),
            classes={"gender": 1, "race": 4},
        ),
    )
    assert listing.left_out == (
        ("121_0_0_20170116174525125.jpg", "age 121 in the name, expected 0 to 120"),
        ("39_1_20170116174525125.jpg.chip.jpg", NOT_THE_FORM),
    )
    with pytest.raises(DataError, match="the file is empty; copy or download it again"):
        listing.read(listing.entries[0])


labels = st.tuples(st.integers(0, 120), st.integers(0, 1), st.integers(0, 4))


@settings(max_examples=25, deadline=None)
@given(st.lists(labels, min_size=1, max_size=4, unique=True))
def test_what_a_name_says_is_what_is_listed(
    tmp_path_factory: pytest.TempPathFactory, faces: list[tuple[int, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("faces")
    for age, gender, race in faces:
        (root / f"{age}_{gender}_{race}_20170116174525125.jpg").touch()
    found = {
        (entry.age.low_years, entry.classes["gender"], entry.classes["race"])
        for entry in list_utkface(root).entries
        if entry.age is not None and entry.age.low_years == entry.age.high_years
    }
    assert found == set(faces)


def test_a_folder_is_taken_for_utkface_by_most_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "25_0_2_20170116174525125.jpg").touch()
    assert signs(tmp_path) == ["1 UTKFace names"]
    (tmp_path / "holiday.jpg").touch()
    assert signs(tmp_path) == []


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / f"{i}_{i % 2}_0_20170102000000000.png", picture(100 + i, side_px=40))
    same = picture(1, side_px=40)
    save(tmp_path / "50_0_0_20170101000000000.png", same)
    save(tmp_path / "deep" / "er" / "51_0_0_20170101000000000.bmp", same)  # a copy that contradicts
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

    manifest = prepared(tmp_path)

    reasons = {row.id: row.left_out for row in manifest.left_out}
    assert sum(row.split is not None for row in manifest.rows) == 40 + 1
    not_named = reasons.pop("45_0_0_20170101000000000_\\udcff.png")
    assert "is not UTF-8" in not_named
    assert reasons == {
        "40_0_0_20170101000000000.jpg": f"the JPEG is truncated after {len(whole) // 2} bytes; "
        "copy or download it again",
        "41_0_0_20170101000000000.png": "not an image: found b'not a pi' at its start, "
        "expected a JPEG, PNG, BMP or WebP",
        "42_0_0_20170101000000000.jpg": "the file is empty; copy or download it again",
        "50_0_0_20170101000000000.png": "copies of one picture disagree: age 50 and 51",
        "deep/er/51_0_0_20170101000000000.bmp": "copies of one picture disagree: age 50 and 51",
        "unnamed.png": NOT_THE_FORM,
    }


def test_equal_pixels_are_one_group_whatever_the_file(tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / f"{i}_{i % 2}_0_20170102000000000.png", picture(100 + i, side_px=40))
    flat = np.full((12, 12, 3), 90, np.uint8)  # nothing to hash: only equal pixels tell
    save(tmp_path / "50_0_0_20170101000000000.png", flat)
    save(tmp_path / "deep" / "50_0_0_20170101000000001.bmp", flat)
    almost = flat.copy()
    almost[0, 0, 0] ^= 1
    save(tmp_path / "50_0_0_20170101000000002.png", almost)
    # the same bytes of pixels in another shape are another picture
    save(tmp_path / "50_0_0_20170101000000003.png", flat.reshape(6, 24, 3))
    group = {row.id: row.group for row in prepared(tmp_path).rows if "50_0_0" in row.id}
    one, other, near, shape = (
        next(group[name] for name in group if f"00{i}." in name) for i in range(4)
    )
    assert one == other
    assert len({one, near, shape}) == 3


@pytest.fixture(scope="module")
def utkface() -> tuple[Listing, Scan, Manifest]:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    listing = list_dataset(FACES)
    scanned = scan(listing, SilentReporter())
    return listing, scanned, divided(listing, scanned)


@pytest.mark.faces
def test_the_public_set_is_divided_without_a_leak(
    utkface: tuple[Listing, Scan, Manifest],
) -> None:
    listing, scanned, manifest = utkface
    for name in LACKING_RACE:
        assert (name, NOT_THE_FORM) in [(row.id, row.left_out) for row in manifest.left_out]
    contradicted = [row for row in manifest.left_out if "disagree" in row.left_out]
    assert len(contradicted) >= 200
    pixels = {one.id: one.pixels_sha256 for one in scanned.pictures}
    homes: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    for row in manifest.rows:
        if row.split:
            homes.setdefault(pixels[row.id], set()).add(row.split)
            groups.setdefault(row.group, set()).add(row.split)
    assert Counter(map(len, homes.values())) == {1: len(homes)}
    assert Counter(map(len, groups.values())) == {1: len(groups)}
    used = sum(row.split is not None for row in manifest.rows)
    assert used > len(homes) > len(groups), "copies that agree are kept, near ones together"
    for split, ratio in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        rows = manifest.of_split(split)
        assert len(rows) == pytest.approx(ratio * used, abs=50)
        # strata are kept: about 47.8 % are women
        female = np.mean([row.classes["gender"] for row in rows])
        assert female == pytest.approx(0.478, abs=0.01), split
    turned = replace(listing, entries=listing.entries[::-1], left_out=listing.left_out[::-1])
    other = divided(turned, Scan(pictures=scanned.pictures[::-1], unreadable=()))
    assert scanned.unreadable == ()
    assert (other.rows, other.sha256) == (manifest.rows, manifest.sha256)


@pytest.mark.faces
def test_the_public_set() -> None:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    listing = list_dataset(FACES)
    assert listing.adapter == "utkface"
    assert listing.left_out == (
        ("39_1_20170116174525125.jpg.chip.jpg", NOT_THE_FORM),
        ("61_1_20170109142408075.jpg.chip.jpg", NOT_THE_FORM),
        ("61_1_20170109150557335.jpg.chip.jpg", NOT_THE_FORM),
    )
    assert len(listing.entries) == 21_697 - 3
    ages = Counter(entry.age.low_years for entry in listing.entries if entry.age)
    assert (min(ages), max(ages)) == (1, 116)
    assert {entry.classes["race"] for entry in listing.entries} == {0, 1, 2, 3, 4}
    assert listing.read(listing.entries[0]).shape == (200, 200, 3)
