"""`prepare`: whatever the copies, labels and splits, nothing leaks and nothing is just gone."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.labels import AgeInterval, Attribute, Entry, Listing, Pictures
from edgeface.data.manifest import SPLITS, Manifest, Split
from edgeface.data.prepare import prepare
from edgeface.data.scan import MIRRORED_BITS, Finding, Picture, Scan
from edgeface.data.split import stratum
from edgeface.errors import DataError

GENDER = Attribute(name="gender", classes=("male", "female"))
RACE = Attribute(name="race", classes=("a", "b", "c"))
HELD_OUT: list[Split] = ["test", "validation", "train"]


@dataclass(frozen=True, kw_only=True)
class Made:
    """One made-up picture: which photograph it is a copy of, and how it differs from it."""

    photograph: int
    age: int | None = 30
    gender: int | None = 0
    race: int | None = None
    split: Split | None = None
    kind: str = "same file"
    readable: bool = True

    @property
    def classes(self) -> dict[str, int]:
        found = {"gender": self.gender, "race": self.race}
        return {name: number for name, number in found.items() if number is not None}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def unread(*_: object) -> NoReturn:
    pytest.fail("a picture was read")


def look(made: Made, name: str) -> str | None:
    """Its perceptual hash: two photographs differ in about 128 bits, two copies in up to 20."""
    bits = int(digest(f"look {made.photograph}"), 16)
    if made.kind == "flat":
        return None
    if made.kind in ("resized", "mirrored"):
        flips = Random(name).sample(range(256), 10)
        bits ^= sum(1 << place for place in flips)
    if made.kind == "mirrored":
        bits ^= int(MIRRORED_BITS, 16)
    return f"{bits:064x}"


def set_of(
    found: list[Made], left_out: tuple[tuple[str, str], ...] = (), root: str = "faces"
) -> tuple[Listing, Scan]:
    pictures, unreadable, entries = [], [], []
    for i, made in enumerate(found):
        name = f"p{i:03d}.jpg"
        entries.append(
            Entry(
                id=name,
                age=None
                if made.age is None
                else AgeInterval(low_years=made.age, high_years=made.age),
                classes=made.classes,
                split=made.split,
            )
        )
        if not made.readable:
            unreadable.append(Finding(id=name, reason="the JPEG is truncated"))
            continue
        content = "file" if made.kind == "same file" else name
        pixels = name if made.kind in ("resized", "mirrored") else "pixels"
        pictures.append(
            Picture(
                id=name,
                content_sha256=digest(f"{content} {made.photograph}"),
                pixels_sha256=digest(f"{pixels} {made.photograph}"),
                width_px=10,
                height_px=10,
                brightness=100.0,
                contrast=50.0,
                perceptual_hash=look(made, name),
            )
        )
    listing = Listing(
        adapter="table",
        root=Path(root),
        attributes=(GENDER, RACE),
        entries=tuple(entries),
        left_out=left_out,
        pictures=Pictures(content=unread, decode=unread),
    )
    return listing, Scan(pictures=tuple(pictures), unreadable=tuple(unreadable))


def made_of(found: list[Made], seed: int = 1, own: dict[str, Split] | None = None) -> Manifest:
    listing, scan = set_of(found)
    return prepare(listing, scan, seed=seed, validation_ratio=0.1, test_ratio=0.2, given=own)


def people(count: int, **facts: object) -> list[Made]:
    """Each of a photograph of its own, enough to fill every split."""
    return [
        Made(photograph=1000 + i, age=i % 100, gender=i % 2, race=i % 3, **facts)  # type: ignore[arg-type]  # by name
        for i in range(count)
    ]


def shuffled(listing: Listing, scan: Scan, order: Random) -> tuple[Listing, Scan]:
    return (
        replace(
            listing,
            entries=tuple(order.sample(listing.entries, len(listing.entries))),
            left_out=listing.left_out[::-1],
        ),
        Scan(
            pictures=tuple(order.sample(scan.pictures, len(scan.pictures))),
            unreadable=scan.unreadable[::-1],
        ),
    )


# Few photographs, so that many pictures are copies; few labels, so that some copies agree.
pictures = st.builds(
    Made,
    photograph=st.integers(0, 12),
    age=st.sampled_from([None, 30, 30, 30, 70]),
    gender=st.sampled_from([None, 0, 0, 0, 1]),
    race=st.sampled_from([None, 0, 0, 1]),
    kind=st.sampled_from(["same file", "same pixels", "resized", "mirrored", "flat"]),
    readable=st.sampled_from([True, True, True, False]),
)
sets = st.lists(pictures, max_size=50)
official_sets = st.lists(
    st.tuples(pictures, st.sampled_from([*SPLITS, None])).map(
        lambda found: replace(found[0], split=found[1])
    ),
    max_size=50,
)
seeds = st.integers(0, 2**32)


def settled(members: list[Made]) -> list[tuple[Split | None, bool]]:
    """What should become of the copies of one photograph: split, if it is fixed, and whether used.

    The rules once more, in other words.
    """
    labelled = [one.readable and not (one.age is None and not one.classes) for one in members]
    good = [one for one, its in zip(members, labelled, strict=True) if its]
    ages = {one.age for one in good} - {None}
    genders = {one.gender for one in good} - {None}
    if len(ages) > 1 or len(genders) > 1:
        return [(None, False)] * len(members)
    races = {one.race for one in good} - {None}
    usable = [
        its and not (len(races) > 1 and one.age is None and one.gender is None)
        for one, its in zip(members, labelled, strict=True)
    ]
    there = {one.split for one, its in zip(members, usable, strict=True) if its}
    split = next((each for each in HELD_OUT if each in there), None)
    return [
        (split, its and one.split in (None, split))
        for one, its in zip(members, usable, strict=True)
    ]


def check_against_the_rules(manifest: Manifest, found: list[Made]) -> None:
    assert [one.id for one in manifest.rows] == [f"p{i:03d}.jpg" for i in range(len(found))]
    groups: dict[int, list[int]] = {}
    for i, made in enumerate(found):
        groups.setdefault(made.photograph, []).append(i)
    rows = manifest.rows
    expected = {
        i: fate
        for members in groups.values()
        for i, fate in zip(members, settled([found[i] for i in members]), strict=True)
    }
    present = {split for split, used in expected.values() if used and split}
    cut = set(SPLITS) - present | {"train"}
    for i, (split, used) in expected.items():
        assert bool(rows[i].split) == used, rows[i]
        assert bool(rows[i].left_out) == (not used), rows[i]
        if used and split in ("validation", "test"):
            assert rows[i].split == split, "official splits are kept"
        elif used:
            assert rows[i].split in cut, "missing splits come out of training"
    for members in groups.values():
        homes = {rows[i].split for i in members} - {None}
        assert len(homes) <= 1, "copies are in one split"
        named = {rows[i].group for i in members if rows[i].split}
        assert len(named) <= 1, "and in one group"
    assert sum(bool(one.split) for one in rows) == sum(used for _, used in expected.values())


@settings(max_examples=25)
@given(found=sets, seed=seeds)
def test_every_image_is_used_once_or_left_out_and_no_photograph_is_in_two_splits(
    found: list[Made], seed: int
) -> None:
    # flat pictures have no hash: only those of equal pixels are known as copies
    found = [
        replace(one, photograph=100 + one.photograph) if one.kind == "flat" else one
        for one in found
    ] + people(60)
    manifest = made_of(found, seed)
    check_against_the_rules(manifest, found)
    # shares are kept to within the largest group
    used = [one for one in manifest.rows if one.split]
    largest = max(Counter(one.group for one in used).values())
    for split, ratio in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        assert abs(len(manifest.of_split(split)) - ratio * len(used)) <= largest
    for row, made in zip(manifest.rows, found, strict=True):
        assert row.age is None if made.age is None else row.age and row.age.low_years == made.age
        if row.split:
            assert row.classes in (
                made.classes,
                {k: v for k, v in made.classes.items() if k != "race"},
            )


@settings(max_examples=25)
@given(found=official_sets, seed=seeds, there=st.sets(st.sampled_from(SPLITS)))
def test_official_splits_are_kept_and_missing_ones_come_out_of_training(
    found: list[Made], seed: int, there: set[Split]
) -> None:
    found = [
        replace(
            one,
            split=one.split if one.split in there else None,
            photograph=one.photograph + 100 * (one.kind == "flat"),
        )
        for one in found
    ]
    found += people(60)
    check_against_the_rules(made_of(found, seed), found)


@settings(max_examples=15)
@given(found=official_sets, order=st.randoms(use_true_random=False), seed=seeds)
def test_the_order_of_files_does_not_matter(found: list[Made], order: Random, seed: int) -> None:
    left_out = (("a.jpg", "no row"), ("z.jpg", "no row"))
    # whichever of two test pictures comes first, one of them is named as what this is a copy of
    copies: list[Split] = ["train", "test", "test"]
    found = found + [Made(photograph=99, split=split, kind="resized") for split in copies]
    listing, scan = set_of(found + people(80), left_out)
    one = prepare(listing, scan, seed=seed, validation_ratio=0.1, test_ratio=0.2)
    other = prepare(
        *shuffled(listing, scan, order), seed=seed, validation_ratio=0.1, test_ratio=0.2
    )
    assert one == other
    assert one.sha256 == other.sha256


@settings(max_examples=25)
@given(found=sets, own=st.dictionaries(st.integers(0, 49), st.sampled_from(SPLITS)), seed=seeds)
def test_own_splits_are_kept_and_what_they_do_not_name_is_left_out(
    found: list[Made], own: dict[int, Split], seed: int
) -> None:
    # official splits of the set do not count
    found = [replace(one, split="test", kind="same file") for one in found] + people(60)
    named = {f"p{i:03d}.jpg": split for i, split in own.items() if i < len(found) - 60}
    named |= {f"p{len(found) - 1 - i:03d}.jpg": "train" for i in range(60)}
    manifest = made_of(found, seed, named)
    # not named is not there, as far as the rest goes
    known = [
        replace(one, split=named[f"p{i:03d}.jpg"])
        if f"p{i:03d}.jpg" in named
        else replace(one, readable=False)
        for i, one in enumerate(found)
    ]
    check_against_the_rules(manifest, known)
    for row, made in zip(manifest.rows, found, strict=True):
        if row.id not in named and made.readable and (made.classes or made.age is not None):
            assert row.left_out == "no split in the files given with --split"


@settings(max_examples=5)
@given(seed=seeds)
def test_every_stratum_is_divided_nearly_in_proportion(seed: int) -> None:
    manifest = made_of(people(600), seed)
    strata: dict[tuple[int, ...], Counter[Split | None]] = {}
    for row in manifest.rows:
        strata.setdefault(stratum(row), Counter())[row.split] += 1
    assert len(strata) == 60, "10 decades, 2 genders, 3 races"
    for counts in strata.values():
        for split, ratio in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
            # the running error is below 1 where a stratum begins and where it ends
            assert abs(counts[split] - ratio * counts.total()) < 2


def test_another_seed_gives_another_division() -> None:
    one, other = made_of(people(200), 1), made_of(people(200), 2)
    assert {row.id for row in one.of_split("test")} != {row.id for row in other.of_split("test")}
    assert one.sha256 != other.sha256
    assert one.sha256 == made_of(people(200), 1).sha256


def test_what_is_left_out_says_why() -> None:
    found = [
        Made(photograph=1, gender=0),
        Made(photograph=1, gender=1, kind="resized"),
        Made(photograph=2, readable=False),
        Made(photograph=3, age=None, gender=None),
        Made(photograph=4, split="train"),
        Made(photograph=4, split="test", kind="mirrored"),
        Made(photograph=4, split="train", kind="resized"),
        *people(60),
    ]
    listing, scan = set_of(found, (("labels.csv#7", "no such file"), ("x.jpg", "no row")))
    manifest = prepare(listing, scan, seed=1, validation_ratio=0.1, test_ratio=0.2)
    assert [(row.id, row.left_out) for row in manifest.left_out] == [
        ("labels.csv#7", "no such file"),
        ("p000.jpg", "copies of one picture disagree: gender male and female"),
        ("p001.jpg", "copies of one picture disagree: gender male and female"),
        ("p002.jpg", "the JPEG is truncated"),
        ("p003.jpg", "no label"),
        ("p004.jpg", "copy of p005.jpg, which is in test"),
        ("p006.jpg", "copy of p005.jpg, which is in test"),
        ("x.jpg", "no row"),
    ]
    by_id = {row.id: row for row in manifest.rows}
    assert by_id["labels.csv#7"].path == "labels.csv"
    assert by_id["p005.jpg"].split == "test"
    assert by_id["p002.jpg"].sha256 == ""
    assert by_id["p003.jpg"].sha256 == digest("file 3")
    assert by_id["p005.jpg"].sha256 == digest("p005.jpg 4"), "of the file, not of the pixels"
    assert {by_id[f"p00{i}.jpg"].group for i in (4, 5, 6)} == {"p004.jpg"}
    assert by_id["p010.jpg"].group == "p010.jpg"


def test_a_missing_label_is_no_reason_to_leave_out() -> None:
    found = [
        Made(photograph=1, age=None),
        Made(photograph=2, gender=None),
        Made(photograph=3, age=None, gender=None, race=1),
        *people(60),
    ]
    manifest = made_of(found)
    assert manifest.left_out == ()
    assert (manifest.rows[0].age, manifest.rows[0].classes) == (None, {"gender": 0})
    assert manifest.rows[1].classes == {}
    assert (manifest.rows[2].age, manifest.rows[2].classes) == (None, {"race": 1})


def test_own_splits_of_images_that_the_set_does_not_have() -> None:
    own: dict[str, Split] = {"p001.jpg": "train", "q.jpg": "test", "\x1b.jpg": "test"}
    with pytest.raises(DataError) as info:
        made_of(people(60), own=own)
    assert str(info.value) == (
        "--split: 2 of 3 images are not in faces, e.g. '\\x1b.jpg'; expected paths below it such "
        "as 'p000.jpg'"
    )
    # one that the set has and that cannot be used is no stranger
    listing, scan = set_of(people(60), (("x.jpg", "no row"),))
    own = {f"p{i:03d}.jpg": SPLITS[i % 3] for i in range(60)} | {"x.jpg": "test"}
    made = prepare(listing, scan, seed=1, validation_ratio=0.1, test_ratio=0.2, given=own)
    assert {row.id: row.split for row in made.rows} == own | {"x.jpg": None}


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_too_few_images_to_hold_some_out(count: int) -> None:
    found = [*people(count), Made(photograph=1, readable=False)]
    with pytest.raises(DataError) as info:
        made_of(found)
    assert str(info.value).startswith(f"faces: {count} usable images leave the ")
    assert str(info.value).endswith("give more images (1 were left out)")


def test_pictures_that_nobody_uses_still_join_what_is_near_to_them() -> None:
    """What is a copy does not depend on which labels are known: the check sees the same copies."""
    listing, scan = set_of(
        [Made(photograph=i, age=None if i == 1 else 30, gender=None) for i in range(3)] + people(60)
    )
    middle = int(digest("look"), 16)
    one_end, other_end = middle ^ (2**30 - 1), middle ^ (2**30 - 1 << 100)  # 30 bits, 60 apart
    looks = [f"{bits:064x}" for bits in (one_end, middle, other_end)]
    near = [
        replace(one, perceptual_hash=bits)
        for one, bits in zip(scan.pictures[:3], looks, strict=True)
    ]
    joined = Scan(pictures=(*near, *scan.pictures[3:]), unreadable=())
    for seed in range(20):
        rows = prepare(listing, joined, seed=seed, validation_ratio=0.3, test_ratio=0.3).rows
        assert rows[1].left_out == "no label"
        assert rows[0].group == rows[2].group
        assert rows[0].split == rows[2].split
