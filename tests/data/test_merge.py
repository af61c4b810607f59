"""`merge`: rows of several sets stay apart, and a copy in another set is still a copy."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest import SPLITS, Manifest, Row, Source, Split
from edgeface.data.manifest_file import read_manifest, write_manifest
from edgeface.data.merge import merge
from edgeface.errors import DataError

GENDER = Attribute(name="gender", classes=("male", "female"))
RACE = Attribute(name="race", classes=("White", "Black", "Asian"))
RACE_TOO = Attribute(name="race", classes=("Black", "White"))
HELD_OUT: list[Split] = ["test", "validation", "train"]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def row(
    name: str,
    split: Split | None,
    photograph: str,
    *,
    age: int | None = 30,
    group: str = "",
    **classes: int,
) -> Row:
    """A picture whose file is its own and whose looks are those of a photograph."""
    return Row(
        id=name,
        path=name,
        sha256=digest(f"{name} {photograph}"),
        perceptual_hash=digest(photograph),
        age=None if age is None else AgeInterval(low_years=age, high_years=age),
        classes=classes,
        group=group or f"g {photograph}",
        split=split,
        left_out="" if split else "no label",
    )


def set_of(label: str, *rows: Row, attributes: tuple[Attribute, ...] = (GENDER,)) -> Manifest:
    """A set with these rows, and some of its own that fill every split."""
    own = [row(f"z{split}.jpg", split, f"{label} {split}") for split in SPLITS]
    source = Source(kind="folder", label=label, root=f"/{label}", attributes=attributes)
    return Manifest(
        sources=(source,),
        seed=len(label),
        validation_ratio=0.1,
        test_ratio=0.2,
        rows=tuple(sorted([*rows, *own], key=lambda one: one.id)),
    )


def found(merged: Manifest) -> dict[str, tuple[Split | None, str]]:
    return {
        merged.key(one): (one.split, one.left_out)
        for one in merged.rows
        if not one.id.startswith("z")
    }


def test_one_set_stays_as_it_is() -> None:
    one = set_of("one", row("a.jpg", "train", "p"))
    assert merge([one], ["gender"]) is one


def test_the_same_names_in_two_sets_are_two_images() -> None:
    one = set_of("one", row("a.jpg", "train", "p", age=20), row("b.jpg", None, "q"))
    two = set_of("two", row("a.jpg", "test", "r", age=50), row("b.jpg", "train", "s"))
    merged = merge([one, two], ["gender"])
    assert found(merged) == {
        "0:a.jpg": ("train", ""),
        "0:b.jpg": (None, "no label"),
        "1:a.jpg": ("test", ""),
        "1:b.jpg": ("train", ""),
    }
    assert merged.label == "one + two"
    assert merged.sources == (*one.sources, *two.sources)
    assert (merged.seed, merged.validation_ratio, merged.test_ratio) == (3, 0.1, 0.2)
    # groups of two sets that have the same name stay two
    alike = [
        set_of("one", row("a.jpg", "train", "p", group="g")),
        set_of("two", row("a.jpg", "test", "r", group="g")),
    ]
    groups = {one.group for one in merge(alike, []).rows if one.id == "a.jpg"}
    assert len(groups) == 2


def test_a_copy_in_another_set_stays_only_where_it_is_most_held_out() -> None:
    merged = merge(
        [
            set_of("one", row("a.jpg", "train", "p"), row("b.jpg", "validation", "q")),
            set_of("two", row("a.jpg", "test", "p"), row("c.jpg", "train", "q")),
            set_of("three", row("d.jpg", "train", "p"), row("e.jpg", "train", "own")),
        ],
        ["gender"],
    )
    assert found(merged) == {
        "0:a.jpg": (None, "copy of a.jpg, which is in test"),
        "0:b.jpg": ("validation", ""),
        "1:a.jpg": ("test", ""),
        "1:c.jpg": (None, "copy of b.jpg, which is in validation"),
        "2:d.jpg": (None, "copy of a.jpg, which is in test"),
        "2:e.jpg": ("train", ""),
    }


def test_copies_across_sets_that_contradict_each_other_go() -> None:
    merged = merge(
        [
            set_of("one", row("a.jpg", "train", "p", age=20), row("b.jpg", "test", "q", gender=0)),
            set_of("two", row("c.jpg", "train", "p", age=21), row("d.jpg", "test", "q", gender=1)),
        ],
        [],  # gender is compared also where it is not learned
    )
    assert found(merged) == {
        "0:a.jpg": (None, "copies of one picture disagree: age 20 and 21"),
        "0:b.jpg": (None, "copies of one picture disagree: gender male and female"),
        "1:c.jpg": (None, "copies of one picture disagree: age 20 and 21"),
        "1:d.jpg": (None, "copies of one picture disagree: gender male and female"),
    }


def test_a_whole_group_follows_one_of_its_copies() -> None:
    """Two groups of one set are one photograph, as a picture of the other set shows."""
    one = set_of(
        "one",
        row("a.jpg", "train", "p", group="ab"),
        row("b.jpg", "train", "q", group="ab"),
        row("c.jpg", "validation", "r", group="cd"),
        row("d.jpg", "validation", "s", group="cd"),
    )
    two = set_of(
        "two",
        row("e.jpg", "train", "q", group="ef"),
        row("f.jpg", "train", "r", group="ef"),
    )
    merged = merge([one, two], ["gender"])
    kept = {name for name, (split, _) in found(merged).items() if split}
    assert kept == {"0:c.jpg", "0:d.jpg"}
    groups = {one.group for one in merged.rows if not one.id.startswith("z")}
    assert len(groups) == 1


def test_groups_are_joined_by_way_of_groups_that_were_joined_before() -> None:
    one = set_of(
        "one",
        row("a.jpg", "train", "p", group="m"),
        row("b.jpg", "train", "q", group="m"),
        row("c.jpg", "train", "r", group="a"),
    )
    two = set_of(
        "two",
        row("d.jpg", "train", "p", group="x"),
        row("e.jpg", "train", "q", group="y"),
        row("f.jpg", "train", "r", group="y"),
    )
    merged = merge([one, two], [])
    assert len({each.group for each in merged.rows if not each.id.startswith("z")}) == 1


def test_a_picture_that_nobody_uses_still_joins_its_copies() -> None:
    """So that the check, which sees it too, does not find what was not joined."""
    middle = int(digest("middle"), 16)
    ends = [f"{middle ^ (2**30 - 1 << place):064x}" for place in (0, 100)]  # 60 bits apart
    one = set_of(
        "one",
        replace(row("a.jpg", "train", "p"), perceptual_hash=ends[0]),
        replace(row("b.jpg", None, "q"), perceptual_hash=f"{middle:064x}", group=""),
        replace(row("c.jpg", None, "r"), sha256="", perceptual_hash=None, group=""),
    )
    two = set_of("two", replace(row("d.jpg", "test", "s"), perceptual_hash=ends[1]))
    assert found(merge([one, two], [])) == {
        "0:a.jpg": (None, "copy of d.jpg, which is in test"),
        "0:b.jpg": (None, "no label"),
        "0:c.jpg": (None, "no label"),
        "1:d.jpg": ("test", ""),
    }


def test_attributes_that_mean_different_things() -> None:
    one = set_of("one", row("a.jpg", "train", "p", race=0), attributes=(GENDER, RACE))
    two = set_of("two", row("b.jpg", "train", "p", race=1), attributes=(GENDER, RACE_TOO))
    with pytest.raises(DataError) as info:
        merge([one, two], ["gender", "race"])
    assert str(info.value) == (
        "one and two: race is 'White, Black, Asian' in the one and 'Black, White' in the other, "
        "expected the same classes; give one of the two sets, or rename the attribute"
    )
    # where nobody learns it, each set keeps its own, and 0 here and 1 there are no contradiction
    merged = merge([one, two], ["gender"])
    assert [each.classes for each in merged.rows if each.id in ("a.jpg", "b.jpg")] == [
        {"race": 0},
        {"race": 1},
    ]
    # two sets that mean the same: the copies' contradiction takes the label away
    three = replace(two, sources=(replace(two.sources[0], attributes=(GENDER, RACE)),))
    merged = merge([one, three], ["gender"])
    assert [each.classes for each in merged.rows if each.id in ("a.jpg", "b.jpg")] == [{}, {}]
    merge([one, set_of("plain", attributes=())], ["gender", "race"])


def test_a_message_names_odd_sets_in_one_line() -> None:
    one = set_of("a\nb", attributes=(Attribute(name="x\x1b", classes=("\n", "b")),))
    two = set_of("two", attributes=(Attribute(name="x\x1b", classes=("c" * 10_000, "b")),))
    with pytest.raises(DataError) as info:
        merge([one, two], ["x\x1b"])
    assert str(info.value).isprintable()
    assert len(str(info.value)) < 400


def test_a_split_that_is_empty_after_that() -> None:
    sets = [
        replace(
            each,
            rows=tuple(
                replace(row, split="validation") if row.split == "train" else row
                for row in each.rows
            ),
        )
        for each in (set_of("one"), set_of("two"))
    ]
    with pytest.raises(DataError, match=r"one \+ two: 6 usable images leave the train split empty"):
        merge(sets, [])


def test_what_was_merged_may_be_merged_again(tmp_path: Path) -> None:
    """Rows still point to their own set, though one of the manifests has two."""
    one, two, three = (
        set_of(label, row("a.jpg", "train", f"p {label}"), row("b.jpg", "test", "same"))
        for label in ("one", "two", "three")
    )
    write_manifest(tmp_path / "m.json", merge([one, two], []))
    merged = merge([read_manifest(tmp_path / "m.json"), three], [])
    assert [source.label for source in merged.sources] == ["one", "two", "three"]
    looks = {digest(f"p {label}"): i for i, label in enumerate(("one", "two", "three"))}
    for each in merged.rows:
        if each.id == "a.jpg":
            assert each.source == looks[str(each.perceptual_hash)]
    keys = [merged.key(each) for each in merged.rows]
    assert len(set(keys)) == len(keys) == 15
    assert len({each.group for each in merged.rows if each.id == "b.jpg"}) == 1
    write_manifest(tmp_path / "m.json", merged)
    assert read_manifest(tmp_path / "m.json") == merged


def test_a_merged_manifest_covers_its_sets_and_nothing_else(tmp_path: Path) -> None:
    """A teacher of one set may teach on both; a division that differs in one image is refused."""
    one = set_of("one", *group_of("a", "p", "test"), row("c.jpg", None, "q"))
    two = set_of("two", *group_of("a", "r", "train"))
    one, two = _named_as_prepare_does(one), _named_as_prepare_does(two)
    write_manifest(tmp_path / "m.json", merge([one, two], []))
    merged = read_manifest(tmp_path / "m.json")
    for each in (merged, one, two):
        assert merged.covers(each.sha256)
    again = merge([merged, set_of("three")], [])
    assert again.covers(one.sha256)
    assert not again.covers(merged.sha256), "two of three sets are not recognised"
    assert not one.covers(merged.sha256)
    moved = replace(one, rows=tuple(replace(r, split="train") if r.split else r for r in one.rows))
    assert not merged.covers(moved.sha256)
    assert not merged.covers("")


def test_a_set_that_merging_changed_is_not_covered() -> None:
    one = set_of("one", row("a.jpg", "train", "p", group="a.jpg"))
    two = set_of("two", row("b.jpg", "test", "p", group="b.jpg"))
    merged = merge([one, two], [])
    assert found(merged)["0:a.jpg"] == (None, "copy of b.jpg, which is in test")
    assert not merged.covers(one.sha256)


def _named_as_prepare_does(manifest: Manifest) -> Manifest:
    """Groups have the name of their first member, which may be left out."""
    rows = (
        replace(each, group=each.group if each.group.endswith(".jpg") else each.id)
        for each in manifest.rows
    )
    return replace(manifest, rows=tuple(rows))


def group_of(name: str, photograph: str, split: Split) -> list[Row]:
    """Copies of one photograph: the first, which names the group, is left out."""
    facts = [(1, None), (2, split), (3, split)]
    return [row(f"{name}{at}.jpg", its, photograph, group=f"{name}1.jpg") for at, its in facts]


def test_places_do_not_matter_and_the_order_of_the_sets_does() -> None:
    one, two = set_of("one", row("a.jpg", "train", "p")), set_of("two")
    merged = merge([one, two], [])
    moved = replace(one, sources=(replace(one.sources[0], root="/moved", label="Moved"),))
    assert merge([moved, two], []).sha256 == merged.sha256
    assert merge([two, one], []).sha256 != merged.sha256


# For each of three sets: of each photograph it has, split, age and number of copies.
photographs = st.dictionaries(
    st.integers(0, 8),
    st.tuples(st.sampled_from(SPLITS), st.sampled_from([None, 30, 30, 70]), st.integers(1, 3)),
    max_size=6,
)


@settings(max_examples=30)
@given(sets=st.lists(photographs, min_size=2, max_size=3))
def test_no_photograph_is_in_two_splits_whatever_the_sets(
    sets: list[dict[int, tuple[Split, int | None, int]]],
) -> None:
    manifests = [
        set_of(
            f"set {number}",
            *(
                row(f"{photograph}-{copy}.jpg", split, f"p{photograph}", age=age)
                for photograph, (split, age, copies) in one.items()
                for copy in range(copies)
            ),
        )
        for number, one in enumerate(sets)
    ]
    merged = merge(manifests, ["gender"])
    assert len(merged.rows) == sum(len(one.rows) for one in manifests)
    assert len({merged.key(one) for one in merged.rows}) == len(merged.rows)
    for each in merged.rows:
        if each.id.startswith("z"):
            assert not each.left_out
            continue
        photograph = int(each.id.partition("-")[0])
        there = [one[photograph] for one in sets if photograph in one]
        contradicted = len({age for _, age, _ in there} - {None}) > 1
        kept = next(split for split in HELD_OUT if split in {one[0] for one in there})
        mine = sets[each.source][photograph][0]
        if contradicted:
            assert each.left_out.startswith("copies of one picture disagree: age 30 and 70")
        elif mine == kept:
            assert (each.split, each.left_out) == (kept, "")
        else:
            assert each.left_out.endswith(f", which is in {kept}")
        assert (each.split is None) == (contradicted or mine != kept)


def test_a_set_that_is_given_twice_would_count_twice() -> None:
    one, two = set_of("one", row("a.jpg", "test", "p")), set_of("two")
    moved = replace(one, sources=(replace(one.sources[0], root="/copy", label="copy"),))
    other_rows = replace(one, rows=one.rows[1:])
    for again in (one, moved, other_rows, merge([two, one], [])):
        with pytest.raises(DataError, match="the same set twice, expected each once"):
            merge([one, again], [])
    assert len(merge([one, two], []).rows) == len(one.rows) + len(two.rows)


def test_one_face_drawn_for_two_sets_is_a_copy() -> None:
    """Drawn faces have no digest: only seed and generator tell that two are the same."""

    def drawn(seed: int, *splits: Split) -> Manifest:
        names = [f"drawn-2-{seed}-{i:06d}" for i in range(len(splits))]
        return Manifest(
            sources=(Source(kind="drawn", label="drawn", seed=seed, version="2"),),
            seed=1,
            validation_ratio=0.1,
            test_ratio=0.2,
            rows=tuple(
                Row(id=name, group=name, split=split)
                for name, split in zip(names, splits, strict=True)
            ),
        )

    one, other = drawn(1, *SPLITS), drawn(1, *reversed(SPLITS))
    with pytest.raises(DataError, match="the same set twice"):
        merge([one, other], [])
    assert len(merge([one, drawn(2, *SPLITS)], []).rows) == 6
