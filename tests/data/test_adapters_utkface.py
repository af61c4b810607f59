"""`utkface` adapter: age, gender and race from names, and the public set as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.utkface import list_utkface, signs
from edgeface.data.labels import AgeInterval, Attribute, Entry
from edgeface.errors import DataError

FACES = Path(__file__).parents[3] / "shared" / "data" / "utkface"
NOT_THE_FORM = "name is not <age>_<gender 0|1>_<race 0-4>_<date>.jpg"


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
