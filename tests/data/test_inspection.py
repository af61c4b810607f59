"""An inspection is of what is usable, can be kept as JSON, and finds what is wrong with UTKFace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.inspection import Inspection, inspect
from edgeface.data.labels import AgeInterval, Attribute, Entry, Listing, Pictures
from edgeface.data.scan import Finding, Picture, Scan, scan
from edgeface.errors import DataError
from edgeface.records import from_mapping, to_mapping
from edgeface.types import SilentReporter

FACES = Path(__file__).parents[3] / "shared" / "data" / "utkface"
GENDER = Attribute(name="gender", classes=("male", "female"))


def listing(*entries: Entry) -> Listing:
    def content(id: str) -> bytes:
        return id.encode()

    def decode(id: str, content: bytes) -> NDArray[np.uint8]:
        if id.startswith("broken"):
            raise DataError(f"{Path('faces') / id}: not an image")
        seed = int.from_bytes(content.split(b"-")[0], "big")
        return np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)

    return Listing(
        adapter="table",
        root=Path("faces"),
        attributes=(GENDER,),
        entries=entries,
        left_out=(("odd.jpg", "bad name"),),
        pictures=Pictures(content=content, decode=decode),
    )


def entry(id: str, age_years: int | None, gender: int | None, split: str | None = None) -> Entry:
    return Entry(
        id=id,
        age=None if age_years is None else AgeInterval(low_years=age_years, high_years=age_years),
        classes={} if gender is None else {"gender": gender},
        split=split,
    )


def small_set() -> Listing:
    # what stands before "-" makes the pixels
    return listing(
        entry("a-1", 20, 0, "train"),
        entry("a-2", 60, 0, "test"),
        entry("a-3", None, None),
        entry("b-1", 30, 1, "train"),
        entry("broken", 30, 1, "train"),
    )


def test_all_is_of_what_is_usable() -> None:
    found = inspect(small_set(), scan(small_set(), SilentReporter()))
    assert (found.name, found.adapter, found.schema_version) == ("faces", "table", 1)
    assert (found.images.listed, found.images.usable) == (6, 3)
    assert [(one.reason, one.count) for one in found.images.not_usable] == [
        ("bad name", 1),
        ("not an image", 1),
        ("no label", 1),
    ]
    # the copy without a label and the broken picture are nowhere
    assert (found.copies.groups, found.copies.images) == (1, 2)
    assert found.copies.conflicts[0].text == "age 20 and 60"
    assert found.ages.exact == 3
    assert [one.count for one in found.attributes[0].classes] == [2, 1]
    assert found.splits.leaked_images == 1
    assert {finding.name for finding in found.findings} >= {"conflicts", "leaks", "exact_copies"}


def test_it_survives_json() -> None:
    found = inspect(small_set(), scan(small_set(), SilentReporter()))
    mapping = json.loads(json.dumps(to_mapping(found)))
    assert next(iter(mapping)) == "schema_version"
    assert from_mapping(Inspection, mapping) == found


def test_a_set_in_which_nothing_can_be_read() -> None:
    faces = listing(entry("broken-1", 3, 0), entry("broken-2", 4, 1))
    unreadable = tuple(Finding(id=one.id, reason="not an image") for one in faces.entries)
    found = inspect(faces, Scan(pictures=(), unreadable=unreadable))
    assert (found.images.listed, found.images.usable, found.images.unreadable) == (3, 0, 2)
    assert found.images.sizes is None
    assert found.copies.groups == 0
    assert from_mapping(Inspection, to_mapping(found)) == found


def test_the_order_of_the_scan_does_not_matter() -> None:
    measured = scan(small_set(), SilentReporter())
    turned: tuple[Picture, ...] = measured.pictures[::-1]
    assert inspect(small_set(), replace(measured, pictures=turned)) == inspect(
        small_set(), measured
    )


@pytest.mark.slow
@pytest.mark.faces
def test_the_public_set() -> None:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    faces = list_dataset(FACES)
    found = inspect(faces, scan(faces, SilentReporter()))
    assert [example.id for one in found.images.not_usable for example in one.examples] == [
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_1_20170109150557335.jpg.chip.jpg",
    ]
    assert (found.images.listed, found.images.usable) == (21_697, 21_694)
    assert found.copies.exact_groups >= 350
    assert found.copies.exact_conflicts >= 200
    assert len(found.copies.conflicts) >= found.copies.exact_conflicts
    assert max(gap.value for gap in found.copies.age_gaps) == 48
    named = {finding.name: finding.severity for finding in found.findings}
    assert named["conflicts"] == "error"
    assert named["age_heaping"] == "warning"
    assert "rare_groups" in named
