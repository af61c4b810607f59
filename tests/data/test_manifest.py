"""`manifest`: what leaks or contradicts itself is refused, and the digest covers what counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest import SPLITS, Manifest, Row, Source, Split, check_manifest, file_of
from edgeface.data.scan import MIRRORED_BITS
from edgeface.errors import DataError

GENDER = Attribute(name="gender", classes=("male", "female"))
MOOD = Attribute(name="mood", classes=("calm", "cross", "sad"))
FOLDER = Source(kind="folder", label="faces", root="faces", attributes=(GENDER, MOOD))
DRAWN = Source(
    kind="drawn", label="drawn faces", attributes=(GENDER,), seed=5, side_px=32, version="1"
)
NO_DIGITS = "expected 64 digits of 0-9 and a-f"


def digest(text: str) -> str:
    """64 digits; two of them differ in about 128 of 256 bits, also as perceptual hashes."""
    return hashlib.sha256(text.encode()).hexdigest()


def flipped(perceptual_hash: str, bits: int) -> str:
    """The hash with that many of its bits, spread over it, the other way round."""
    mask = sum(1 << (256 // bits * k) for k in range(bits)) if bits else 0
    return f"{int(perceptual_hash, 16) ^ mask:064x}"


def row(name: str, split: Split | None, source: int = 0) -> Row:
    return Row(
        id=name,
        path=name,
        sha256=digest(f"content {name}"),
        perceptual_hash=digest(f"look {name}"),
        age=AgeInterval(low_years=30, high_years=39),
        classes={"gender": 1, "mood": 2},
        group=name,
        split=split,
        left_out="" if split else "no label",
        source=source,
    )


def drawn(index: int, split: Split) -> Row:
    name = f"drawn-1-5-{index:06d}"
    return Row(id=name, group=name, classes={"gender": 0}, split=split)


def manifest_of(*rows: Row, sources: tuple[Source, ...] = (FOLDER,)) -> Manifest:
    return Manifest(sources=sources, seed=1, validation_ratio=0.1, test_ratio=0.2, rows=rows)


GOOD = manifest_of(
    row("a.jpg", "train"),
    row("b.jpg", "train"),
    row("c.jpg", "validation"),
    row("d.jpg", "test"),
    row("e.jpg", None),
)
TRAIN, TRAIN_TOO, VALIDATION, TEST, OUT = range(5)


def changed(index: int, **facts: object) -> Manifest:
    rows = list(GOOD.rows)
    rows[index] = replace(rows[index], **facts)  # type: ignore[arg-type]  # by name
    return replace(GOOD, rows=tuple(rows))


def refusal(manifest: Manifest) -> str:
    with pytest.raises(DataError) as info:
        check_manifest(manifest, "my.json")
    text = str(info.value)
    assert text.isprintable(), "one line"
    assert len(text) < 500
    assert text.startswith("my.json: ")
    return text


def test_a_good_manifest_is_not_refused() -> None:
    check_manifest(GOOD, "my.json")
    check_manifest(
        manifest_of(drawn(0, "train"), drawn(1, "validation"), drawn(2, "test"), sources=(DRAWN,)),
        "drawn",
    )


@pytest.mark.parametrize(
    ("index", "facts", "expected"),
    [
        (OUT, {"id": "a.jpg"}, "the id 'a.jpg' stands twice, expected unique ids"),
        (OUT, {"source": 1}, "'e.jpg' is of set 1, expected below 1"),
        (TRAIN, {"source": -1}, "'a.jpg' is of set -1, expected below 1"),
        (TRAIN, {"split": None}, "'a.jpg' is neither used nor left out"),
        (OUT, {"left_out": ""}, "'e.jpg' is neither used nor left out"),
        (OUT, {"split": "test"}, "'e.jpg' is used and left out"),
        (TRAIN, {"left_out": "ugly"}, "'a.jpg' is used and left out"),
        (TRAIN, {"group": ""}, "'a.jpg' has no group, expected one"),
        (TRAIN, {"path": "../a.jpg"}, "'a.jpg' has the path '../a.jpg', expected 'a.jpg'"),
        (TRAIN, {"sha256": ""}, f"'a.jpg' has the sha256 '', {NO_DIGITS}"),
        (TRAIN, {"sha256": "A" * 64}, f"'a.jpg' has the sha256 {'A' * 64!r}, {NO_DIGITS}"),
        (OUT, {"sha256": "12"}, f"'e.jpg' has the sha256 '12', {NO_DIGITS}"),
        (TRAIN, {"perceptual_hash": "1" * 63}, "'a.jpg' has the perceptual_hash '1111"),
        (TRAIN, {"perceptual_hash": " " * 64}, "'a.jpg' has the perceptual_hash '    "),
        (TEST, {"perceptual_hash": ""}, f"has the perceptual_hash '', {NO_DIGITS}, or null"),
        (OUT, {"perceptual_hash": "g" * 64}, "'e.jpg' has the perceptual_hash 'gggg"),
        (TRAIN, {"classes": {"mood": 3}}, "class '3' of 'mood', expected one of the 3"),
        (TRAIN, {"classes": {"mood": -1}}, "class '-1' of 'mood', expected one of the 3"),
        (TRAIN, {"classes": {"race": 0}}, "class '0' of 'race', expected one of the 0"),
        (OUT, {"classes": {"gender": 2}}, "class '2' of 'gender', expected one of the 2"),
        (TRAIN, {"group": "d.jpg"}, "'a.jpg' is in train and 'd.jpg' in test, both in group"),
        (TEST, {"split": "train"}, "4 usable images leave the test split empty"),
        (VALIDATION, {"split": "test"}, "leave the validation split empty, expected some in each"),
    ],
)
def test_a_row_that_cannot_be(index: int, facts: dict[str, object], expected: str) -> None:
    assert expected in refusal(changed(index, **facts))


@pytest.mark.parametrize(
    ("validation_ratio", "test_ratio"),
    [
        (0.0, 0.2),
        (0.1, 0.0),
        (-0.1, 0.2),
        (0.1, -0.2),
        (0.5, 0.5),
        (float("nan"), 0.2),
        (0.1, float("nan")),
        (float("inf"), 0.2),
        (0.1, 1e300),
    ],
)
def test_shares_that_cannot_be(validation_ratio: float, test_ratio: float) -> None:
    odd = replace(GOOD, validation_ratio=validation_ratio, test_ratio=test_ratio)
    assert "expected each above 0 and their sum below 1" in refusal(odd)


def test_no_set_and_no_rows() -> None:
    assert "no sources, expected one or more" in refusal(replace(GOOD, sources=()))
    assert "0 usable images leave the train split empty" in refusal(replace(GOOD, rows=()))
    # the reason is most often that too much was left out
    out = replace(GOOD, rows=(GOOD.rows[OUT],))
    assert refusal(out).endswith("give more images (1 were left out)")


def test_a_name_as_long_as_a_book_does_not_fill_the_screen() -> None:
    assert len(refusal(changed(TRAIN, id="\x1b[2J\n" + "x" * 100_000, group=""))) < 300


@pytest.mark.parametrize("bits", [0, 1, 40])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_leak_is_found_by_looks_whatever_the_groups_say(bits: int, *, mirrored: bool) -> None:
    look = digest("look a.jpg")
    copy = flipped(look, bits)
    if mirrored:
        copy = f"{int(copy, 16) ^ int(MIRRORED_BITS, 16):064x}"
    text = refusal(changed(TEST, perceptual_hash=copy))
    assert "'a.jpg' is in train and 'd.jpg' in test, copies of one picture: a leak" in text
    check_manifest(changed(TRAIN_TOO, perceptual_hash=copy), "two copies in one split")


def test_copies_may_be_joined_by_one_that_is_left_out() -> None:
    """As `prepare` and `merge` join them, so that neither makes what is refused here."""
    middle = int(digest("middle"), 16)
    bridge = list(changed(OUT, perceptual_hash=f"{middle:064x}").rows)
    for index, place in ((TRAIN, 0), (TEST, 100)):  # 30 bits from the middle, 60 from each other
        ends = f"{middle ^ (2**30 - 1 << place):064x}"
        bridge[index] = replace(bridge[index], perceptual_hash=ends)
    assert "'a.jpg' is in train and 'd.jpg' in test" in refusal(replace(GOOD, rows=tuple(bridge)))
    check_manifest(replace(GOOD, rows=tuple(bridge[:OUT])), "60 bits apart")


def test_a_leak_is_found_by_content_where_there_is_nothing_to_see() -> None:
    flat = changed(TRAIN, perceptual_hash=None)
    rows = list(flat.rows)
    rows[VALIDATION] = replace(
        rows[VALIDATION], sha256=digest("content a.jpg"), perceptual_hash=None
    )
    assert "'a.jpg' is in train and 'c.jpg' in validation" in refusal(
        replace(flat, rows=tuple(rows))
    )


def test_what_is_left_out_does_not_leak() -> None:
    check_manifest(
        changed(OUT, sha256=digest("content d.jpg"), perceptual_hash=digest("look d.jpg")),
        "a copy of a test picture that nobody uses",
    )
    check_manifest(changed(OUT, group="d.jpg"), "the same by its group")
    near = flipped(digest("look d.jpg"), 30)
    check_manifest(changed(OUT, perceptual_hash=near), "near one split only")
    check_manifest(changed(OUT, sha256="", perceptual_hash=None), "one that nobody could read")


@pytest.mark.parametrize(
    "facts",
    [
        {"id": "drawn-1-5-1"},  # another name of 000001
        {"id": "drawn-1-6-000000"},
        {"id": "drawn-2-5-000000"},
        {"id": "drawn-1-5--00001"},
        {"id": "drawn-1-5-"},
        {"id": "drawn-1-5-٠٠٠٠٠٠"},
        {"id": f"drawn-1-5-{'9' * 5000}"},
        {"id": "face.jpg"},
        {"path": "face.jpg"},
        {"sha256": "0" * 64},
        {"perceptual_hash": "0" * 64},
    ],
)
def test_a_drawn_face_is_what_its_name_says(facts: dict[str, str]) -> None:
    first = replace(drawn(0, "train"), **facts)  # type: ignore[arg-type]  # by name
    rows = (first, drawn(1, "validation"), drawn(2, "test"))
    text = refusal(manifest_of(*rows, sources=(DRAWN,)))
    assert "is no drawn face of this set" in text or "is drawn and has a path" in text


splits = st.sampled_from([*SPLITS, None])


@settings(max_examples=30)
@given(
    found=st.lists(st.tuples(splits, st.integers(0, 9)), max_size=25),
    by=st.sampled_from(["group", "sha256", "perceptual_hash"]),
)
def test_refused_exactly_if_copies_are_in_two_splits(
    found: list[tuple[Split | None, int]], by: str
) -> None:
    rows = [
        replace(
            row(f"p{i:02d}.jpg", split),
            **{by: digest(f"{group}")},  # type: ignore[arg-type]  # by name
        )
        for i, (split, group) in enumerate(found)
    ]
    manifest = manifest_of(*GOOD.rows, *rows)
    homes: dict[int, set[Split]] = {}
    for split, group in found:
        if split:
            homes.setdefault(group, set()).add(split)
    if any(len(home) > 1 for home in homes.values()):
        assert "a leak" in refusal(manifest)
    else:
        check_manifest(manifest, "my.json")


def other_source(**facts: object) -> Manifest:
    return replace(GOOD, sources=(replace(FOLDER, **facts),))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    "change",
    [
        lambda: changed(TRAIN, id="other.jpg"),
        lambda: changed(TRAIN, source=1),
        lambda: changed(TRAIN, sha256=digest("other")),
        lambda: changed(TRAIN, age=AgeInterval(low_years=31, high_years=39)),
        lambda: changed(TRAIN, age=AgeInterval(low_years=30, high_years=40)),
        lambda: changed(TRAIN, age=None),
        lambda: changed(TRAIN, classes={"gender": 0, "mood": 2}),
        lambda: changed(TRAIN, classes={"gender": 1}),
        lambda: changed(TRAIN, group="other"),
        lambda: changed(TRAIN, split="test"),
        lambda: replace(GOOD, rows=GOOD.rows[1:]),
        # the same numbers would mean other classes
        lambda: other_source(
            attributes=(Attribute(name="gender", classes=("female", "male")), MOOD)
        ),
        # other faces would be drawn
        lambda: other_source(seed=9),
        lambda: other_source(side_px=64),
        lambda: other_source(version="2"),
        lambda: other_source(kind="drawn"),
    ],
)
def test_the_digest_covers_what_figures_depend_on(change: Callable[[], Manifest]) -> None:
    assert change().sha256 != GOOD.sha256


@pytest.mark.parametrize(
    "change",
    [
        lambda: changed(TRAIN, classes={"mood": 2, "gender": 1}),
        lambda: replace(GOOD, rows=GOOD.rows[:OUT]),
        lambda: changed(OUT, left_out="another reason"),
        lambda: other_source(label="Faces", root="/elsewhere/Faces", adapter="table"),
        lambda: replace(GOOD, seed=7),
    ],
)
def test_the_digest_does_not_depend_on_where_files_lie_nor_on_what_is_unused(
    change: Callable[[], Manifest],
) -> None:
    assert change().sha256 == GOOD.sha256


def test_keys_are_ids_of_one_set_and_tell_several_apart() -> None:
    one, other = row("a.jpg", "train"), row("a.jpg", "test", source=1)
    assert manifest_of(one).key(one) == "a.jpg"
    both = manifest_of(one, other, sources=(FOLDER, FOLDER))
    assert [both.key(each) for each in both.rows] == ["0:a.jpg", "1:a.jpg"]


def test_splits_and_what_is_left_out_share_the_rows_out_in_order() -> None:
    assert [one.id for one in GOOD.of_split("train")] == ["a.jpg", "b.jpg"]
    assert [one.id for one in GOOD.of_split("validation")] == ["c.jpg"]
    assert [one.id for one in GOOD.of_split("test")] == ["d.jpg"]
    assert [one.id for one in GOOD.left_out] == ["e.jpg"]


def test_the_label_names_every_set_in_one_line() -> None:
    assert GOOD.label == "faces"
    assert manifest_of(sources=(FOLDER, DRAWN)).label == "faces + drawn faces"
    odd = replace(FOLDER, label="a\n\x1b[31mb\udcff")
    assert manifest_of(sources=(odd,)).label == "a\\n\\x1b[31mb\\udcff"


def test_only_drawn_faces_are_free_of_real_ones() -> None:
    assert manifest_of(sources=(DRAWN, DRAWN)).drawn
    assert not manifest_of(sources=(DRAWN, FOLDER)).drawn


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("fer2013.csv#17", "fer2013.csv"),
        ("part/Labels.TSV#2", "part/Labels.TSV"),
        ("a#1.jpg", "a#1.jpg"),
        ("b.jpg#1", "b.jpg#1"),
        ("x.csv#", "x.csv#"),
        ("x.csv#1b", "x.csv#1b"),
        ("x.csv#²", "x.csv#²"),
        ("#1", "#1"),
    ],
)
def test_the_file_that_holds_an_image(name: str, file: str) -> None:
    assert file_of(name) == file
