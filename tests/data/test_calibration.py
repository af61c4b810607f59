"""`calibration`: only training images, no photograph twice, every stratum in proportion."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.calibration import (
    CalibrationImage,
    CalibrationRecord,
    calibration_record,
    check_calibration,
    choose_calibration,
    write_calibration,
)
from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest import Manifest, Row, Source, Split
from edgeface.errors import DataError
from edgeface.records import from_mapping

Labels = tuple[int | None, int | None, int | None]
"""Age, gender, race."""

GENDER = Attribute(name="gender", classes=("male", "female"))
RACE = Attribute(name="race", classes=("a", "b", "c", "d", "e"))
FOLDER = Source(kind="folder", label="faces", root="/faces", attributes=(GENDER, RACE))

labels = st.tuples(
    st.none() | st.integers(0, 116), st.none() | st.integers(0, 1), st.none() | st.integers(0, 4)
)
# long lists as likely as short ones
many_labels = st.integers(1, 120).flatmap(
    lambda count: st.lists(labels, min_size=count, max_size=count)
)
seeds = st.integers(0, 2**32)


def row(name: str, facts: Labels = (30, 0, None), split: Split | None = "train") -> Row:
    age, gender, race = facts
    classes = {"gender": gender, "race": race}
    return Row(
        id=name,
        path=name,
        sha256=hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest(),
        age=None if age is None else AgeInterval(low_years=age, high_years=age),
        classes={name: number for name, number in classes.items() if number is not None},
        group=name,
        split=split,
        left_out="" if split else "no label",
    )


def manifest_of(*rows: Row, sources: tuple[Source, ...] = (FOLDER,)) -> Manifest:
    return Manifest(sources=sources, seed=1, validation_ratio=0.1, test_ratio=0.2, rows=rows)


def train_of(found: Sequence[Labels]) -> Manifest:
    return manifest_of(*(row(f"{i:04d}.jpg", facts) for i, facts in enumerate(found)))


def stratum(age: int | None, gender: int | None, race: int | None) -> tuple[int | None, ...]:
    return (gender, None if age is None else age // 10, race)


def facts_of(row: Row) -> Labels:
    age = row.age.low_years if row.age else None
    return age, row.classes.get("gender"), row.classes.get("race")


@given(found=many_labels, count=st.integers(1, 150), seed=seeds)
def test_each_image_is_taken_once_as_many_as_wanted_or_there_are(
    found: list[Labels], count: int, seed: int
) -> None:
    manifest = train_of(found)
    chosen = choose_calibration(manifest, count, seed)
    assert len(chosen) == min(count, len(found))
    assert len({one.id for one in chosen}) == len(chosen)
    assert all(one in manifest.rows for one in chosen)


@given(found=many_labels, share=st.floats(0, 1), seed=seeds)
def test_strata_are_in_proportion_and_so_they_are_in_each_half(
    found: list[Labels], share: float, seed: int
) -> None:
    chosen = choose_calibration(train_of(found), 1 + int(share * len(found)), seed)
    there = Counter(stratum(*facts) for facts in found)
    for part in (chosen, chosen[::2], chosen[1::2]):
        taken = Counter(stratum(*facts_of(one)) for one in part)
        share = 1 if part is chosen else 1 / 2
        for each, available in there.items():
            # evenly spaced picks: a run of the sorted list gets its share rounded down or up
            assert abs(taken[each] - share * len(chosen) * available / len(found)) < 1


def test_a_fifth_of_each_stratum_by_hand() -> None:
    found: list[Labels] = [(35, 1, None)] * 60
    found += [(24, 0, 2)] * 20 + [(24, 0, 4)] * 10 + [(71, 0, 1)] * 10
    chosen = choose_calibration(train_of(found), 20, 1)
    assert Counter(map(facts_of, chosen)) == {
        (35, 1, None): 12,
        (24, 0, 2): 4,
        (24, 0, 4): 2,
        (71, 0, 1): 2,
    }
    assert Counter(map(facts_of, chosen[::2])) == {
        (35, 1, None): 6,
        (24, 0, 2): 2,
        (24, 0, 4): 1,
        (71, 0, 1): 1,
    }


def test_only_training_images_and_one_of_each_photograph() -> None:
    manifest = manifest_of(
        *(row(f"train {i}.jpg") for i in range(6)),
        *(replace(row(f"copy {i}.jpg"), group="train 3.jpg") for i in range(9)),
        *(row(f"validation {i}.jpg", split="validation") for i in range(5)),
        *(row(f"test {i}.jpg", split="test") for i in range(5)),
        *(row(f"none {i}.jpg", split=None) for i in range(5)),
    )
    chosen = choose_calibration(manifest, 1000, 1)
    assert {one.split for one in chosen} == {"train"}
    groups = sorted(one.group for one in chosen)
    assert groups == [f"train {i}.jpg" for i in range(6)]
    assert choose_calibration(manifest_of(row("a.jpg", split="test")), 5, 1) == ()


@given(seed=seeds)
def test_only_the_seed_decides(seed: int) -> None:
    manifest = train_of([(30, 0, None)] * 100)
    chosen = choose_calibration(manifest, 20, seed)
    assert chosen == choose_calibration(manifest, 20, seed)
    # One stratum of 100, 20 of them chosen: the chance that two seeds agree is below 1 in 10^19.
    other = choose_calibration(manifest, 20, seed + 1)
    assert {one.id for one in chosen} != {one.id for one in other}


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = Random(1)
    manifest = train_of([(order.randrange(100), order.randrange(2), None) for _ in range(200)])
    shuffled = replace(manifest, rows=tuple(order.sample(manifest.rows, 200)))
    assert choose_calibration(shuffled, 50, 3) == choose_calibration(manifest, 50, 3)


def test_a_name_that_is_not_utf8_does_no_harm() -> None:
    manifest = manifest_of(row("caf\udce9.jpg"), row("b.jpg"))
    assert {one.id for one in choose_calibration(manifest, 2, 1)} == {"caf\udce9.jpg", "b.jpg"}


def test_images_of_several_sets_are_told_apart() -> None:
    rows = [row("a.jpg"), row("b.jpg"), replace(row("a.jpg"), source=1, group="1:a.jpg")]
    rows.append(replace(row("b.jpg", split="test"), source=1, group="1:b.jpg"))
    manifest = manifest_of(*rows, sources=(FOLDER, replace(FOLDER, label="more")))
    chosen = choose_calibration(manifest, 9, 1)
    keys = tuple(manifest.key(one) for one in chosen)
    assert sorted(keys) == ["0:a.jpg", "0:b.jpg", "1:a.jpg"]
    check_calibration(manifest, keys, "m")
    with pytest.raises(DataError, match=r"e\.g\. '1:b\.jpg'"):
        check_calibration(manifest, ("0:b.jpg", "1:b.jpg"), "m")


@pytest.mark.parametrize("stranger", ["validation.jpg", "test.jpg", "none.jpg", "unknown.jpg", ""])
def test_calibration_images_that_a_model_is_measured_on_are_refused(stranger: str) -> None:
    manifest = manifest_of(
        row("a.jpg"),
        row("b.jpg"),
        row("validation.jpg", split="validation"),
        row("test.jpg", split="test"),
        row("none.jpg", split=None),
    )
    check_calibration(manifest, (), "m")
    check_calibration(manifest, ("b.jpg", "a.jpg"), "m")
    with pytest.raises(DataError) as info:
        check_calibration(manifest, ("a.jpg", stranger, "b.jpg"), "m-int8")
    assert str(info.value) == (
        "m-int8: 1 of 3 calibration images are not in the training split of faces, e.g. "
        f"{stranger!r}: figures would be of images that set its int8 ranges; quantize again with "
        "this manifest"
    )


def test_a_refusal_is_one_line_whatever_the_sidecar_says() -> None:
    with pytest.raises(DataError) as info:
        check_calibration(manifest_of(row("a.jpg")), ("\n\x1b[2J" + "x" * 10**6,), "m")
    assert str(info.value).isprintable()
    assert len(str(info.value)) < 500


def test_the_record_names_the_images_and_holds_no_picture(tmp_path: Path) -> None:
    manifest = manifest_of(row("a.jpg", (30, 1, 4)), row("caf\udce9.jpg", (None, None, 0)))
    rows = manifest.rows
    record = calibration_record(manifest, rows, 3, {"shift_pp": 0.25})
    assert record == CalibrationRecord(
        schema_version=1,
        data="faces",
        manifest_sha256=manifest.sha256,
        seed=3,
        images=(
            CalibrationImage(
                id="a.jpg",
                sha256=rows[0].sha256,
                age=AgeInterval(low_years=30, high_years=30),
                classes={"gender": "female", "race": "e"},
            ),
            CalibrationImage(
                id="caf\udce9.jpg", sha256=rows[1].sha256, age=None, classes={"race": "a"}
            ),
        ),
        stability={"shift_pp": 0.25},
    )
    path = write_calibration(tmp_path / "new" / "folder", "m-int8", record)
    assert path == tmp_path / "new" / "folder" / "m-int8.json"
    mapping = json.loads(path.read_bytes())
    assert from_mapping(CalibrationRecord, mapping) == record
    assert set(mapping["images"][0]) == {"id", "sha256", "age", "classes"}
    assert [one.name for one in path.parent.iterdir()] == ["m-int8.json"]


def test_a_class_is_named_as_its_own_set_names_it() -> None:
    other = replace(FOLDER, attributes=(Attribute(name="race", classes=("x", "y")),))
    rows = (row("a.jpg", (30, None, 1)), replace(row("b.jpg", (30, None, 1)), source=1))
    record = calibration_record(manifest_of(*rows, sources=(FOLDER, other)), rows, 1, {})
    assert [(one.id, one.classes) for one in record.images] == [
        ("0:a.jpg", {"race": "b"}),
        ("1:b.jpg", {"race": "y"}),
    ]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = manifest_of(row("a.jpg"))
    record = calibration_record(manifest, manifest.rows, 1, {})
    (tmp_path / "file").touch()
    with pytest.raises(DataError) as info:
        write_calibration(tmp_path / "file", "m", record)
    assert str(info.value) == (
        f"{tmp_path / 'file' / 'm.json'}: cannot be written: File exists; give another folder"
    )

    def deny(path: Path, _: bytes) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", deny)  # chmod does not stop root
    with pytest.raises(DataError, match="cannot be written: Permission denied"):
        write_calibration(tmp_path, "m", record)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
