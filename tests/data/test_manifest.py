"""`manifest`: no picture on two sides, contradictions out, and the same whatever the file order."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.manifest import (
    SPLITS,
    DrawnSource,
    FolderSource,
    LabelledImage,
    LeftOut,
    Manifest,
    left_out_csv,
    make_manifest,
)
from edgeface.errors import DataError

SOURCE = DrawnSource(seed=1, side_px=64, version="1")

# Age, gender and group of each picture: few groups, so that many pictures are copies, and few
# ages, so that some copies agree and others do not.
pictures = st.lists(
    st.tuples(st.sampled_from([3, 25, 26, 70]), st.integers(0, 1), st.integers(0, 40)),
    min_size=1,
    max_size=80,
)


def images_of(found: list[tuple[int, int, int]]) -> list[LabelledImage]:
    return [
        LabelledImage(id=f"{i:03d}.jpg", age_years=age, gender=gender, group=f"group {group}")
        for i, (age, gender, group) in enumerate(found)
    ]


def people(count: int) -> list[LabelledImage]:
    """Enough usable pictures, each of its own, to fill every split."""
    return [
        LabelledImage(id=f"p{i:03d}.jpg", age_years=i % 100, gender=i % 2, group=f"person {i}")
        for i in range(count)
    ]


def make(
    images: list[LabelledImage], seed: int = 1, left_out: tuple[LeftOut, ...] = ()
) -> Manifest:
    return make_manifest(SOURCE, images, left_out, seed=seed, validation_ratio=0.1, test_ratio=0.2)


@given(found=pictures, seed=st.integers(0, 2**32))
def test_every_picture_is_on_one_side_or_left_out(
    found: list[tuple[int, int, int]], seed: int
) -> None:
    images = images_of(found) + people(60)
    manifest = make(images, seed)
    used = {row.id for row in manifest.rows}
    unused = {image.id for image in manifest.left_out}
    assert used.isdisjoint(unused)
    assert used | unused == {image.id for image in images}
    assert [row.id for row in manifest.rows] == sorted(used)
    given_labels = {image.id: image for image in images}
    for row in manifest.rows:
        image = given_labels[row.id]
        assert (row.age_years, row.gender, row.group) == (
            image.age_years,
            image.gender,
            image.group,
        )


@given(found=pictures, seed=st.integers(0, 2**32))
def test_no_group_is_on_two_sides(found: list[tuple[int, int, int]], seed: int) -> None:
    manifest = make(images_of(found) + people(60), seed)
    sides: dict[str, set[str]] = {}
    for row in manifest.rows:
        sides.setdefault(row.group, set()).add(row.split)
    assert {group: found for group, found in sides.items() if len(found) > 1} == {}


@given(found=pictures)
def test_contradicting_copies_go_and_agreeing_ones_stay(found: list[tuple[int, int, int]]) -> None:
    images = images_of(found)
    manifest = make(images + people(60))
    labels: dict[str, set[tuple[int, int]]] = {}
    for image in images:
        labels.setdefault(image.group, set()).add((image.age_years, image.gender))
    agreeing = {image.id for image in images if len(labels[image.group]) == 1}
    assert {row.id for row in manifest.rows} == agreeing | {person.id for person in people(60)}


@given(found=pictures, seed=st.integers(0, 2**32))
def test_shares_are_kept_to_within_the_largest_group(
    found: list[tuple[int, int, int]], seed: int
) -> None:
    manifest = make(images_of(found) + people(60), seed)
    largest = max(Counter(row.group for row in manifest.rows).values())
    for split, ratio in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        wanted = ratio * len(manifest.rows)
        assert abs(len(manifest.of_split(split)) - wanted) <= largest


@given(found=pictures, order=st.randoms(use_true_random=False))
def test_the_file_order_does_not_matter(found: list[tuple[int, int, int]], order: Random) -> None:
    images = images_of(found) + people(60)
    left_out = (LeftOut(id="b.jpg", reason="x"), LeftOut(id="a.jpg", reason="y"))
    shuffled = list(images)
    order.shuffle(shuffled)
    one, other = make(images, 1, left_out), make(shuffled, 1, left_out[::-1])
    assert one == other
    assert one.sha256 == other.sha256
    assert [image.id for image in one.left_out] == sorted(image.id for image in one.left_out)


def test_a_contradiction_says_what_it_is() -> None:
    images = images_of([(30, 0, 1), (30, 1, 1), (30, 0, 1), (7, 1, 2), (7, 1, 2)])
    manifest = make(images + people(60), left_out=(LeftOut(id="x.jpg", reason="unreadable"),))
    reason = "same picture labelled age 30 gender 0 and age 30 gender 1"
    assert manifest.left_out == (
        LeftOut(id="000.jpg", reason=reason),
        LeftOut(id="001.jpg", reason=reason),
        LeftOut(id="002.jpg", reason=reason),
        LeftOut(id="x.jpg", reason="unreadable"),
    )
    copies = {row.id: row.split for row in manifest.rows if row.group == "group 2"}
    assert set(copies) == {"003.jpg", "004.jpg"}
    assert len(set(copies.values())) == 1


def test_another_seed_gives_another_division() -> None:
    one, other = make(people(200), seed=1), make(people(200), seed=2)
    assert {row.id for row in one.of_split("test")} != {row.id for row in other.of_split("test")}
    assert one.sha256 != other.sha256
    assert one.sha256 == make(people(200), seed=1).sha256


def test_the_splits_share_out_the_rows_in_order() -> None:
    manifest = make(people(200))
    # 200 single pictures: 140, 20 and 40, to within the one image of the largest group
    sizes = [len(manifest.of_split(split)) for split in SPLITS]
    assert sum(sizes) == 200
    for size, wanted in zip(sizes, (140, 20, 40), strict=True):
        assert abs(size - wanted) <= 1
    for split in SPLITS:
        rows = manifest.of_split(split)
        assert list(rows) == sorted(rows, key=lambda row: row.id)
        assert {row.split for row in rows} == {split}


@pytest.mark.parametrize("field", ["id", "age_years", "gender", "group", "split"])
def test_the_digest_covers_every_field_of_every_row(field: str) -> None:
    manifest = make(people(60))
    first, *others = manifest.rows
    changed = {
        "id": "other.jpg",
        "age_years": 99,
        "gender": 1 - first.gender,
        "group": "other",
        "split": "test" if first.split != "test" else "train",
    }
    rows = (replace(first, **{field: changed[field]}), *others)  # type: ignore[arg-type]  # by name
    assert replace(manifest, rows=rows).sha256 != manifest.sha256


def test_an_id_that_stands_twice() -> None:
    with pytest.raises(DataError, match="drawn faces: an image id stands twice"):
        make([*people(60), people(1)[0]])


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_too_few_images_to_hold_some_out(count: int) -> None:
    with pytest.raises(DataError) as info:
        make(people(count), left_out=(LeftOut(id="x.jpg", reason="unreadable"),))
    text = str(info.value)
    assert "\n" not in text
    assert f"drawn faces: {count} usable images leave the" in text
    assert "(1 were left out)" in text


def test_data_is_called_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert FolderSource(root=Path()).label == tmp_path.name
    assert FolderSource(root=Path("a/b/..")).label == "a"
    # what tables and sidecars hold must be printable: not so the bytes of such a name
    assert FolderSource(root=Path(os.fsdecode(b"caf\xe9"))).label == "caf\\udce9"
    assert SOURCE.label == "drawn faces"


def test_what_is_left_out_survives_as_csv() -> None:
    strange = 'a,"b"\nc.jpg'
    manifest = make(people(40), left_out=(LeftOut(id=strange, reason="not an image, at all"),))
    rows = list(csv.reader(io.StringIO(left_out_csv(manifest))))
    assert rows == [["id", "reason"], [strange, "not an image, at all"]]
