"""Drawn faces with a made-up third attribute, some of whose labels are missing."""

from __future__ import annotations

from dataclasses import replace

from edgeface.config import DataSpec
from edgeface.data.labels import Attribute
from edgeface.data.manifest import Manifest, Row
from edgeface.data.sources import open_data
from edgeface.types import SilentReporter

MOOD = Attribute(name="mood", classes=("calm", "glad", "sad"))


def moody_faces(*, count: int, side_px: int, seed: int = 1) -> Manifest:
    """Men are calm, women below 30 glad and the others sad; of a third no mood, of a third no age.

    A face without a mood is as one of UTKFace, one without an age or gender as one of FER2013.
    """
    spec = DataSpec(drawn_count=count, drawn_side_px=side_px)
    drawn = open_data([], spec, seed, SilentReporter())
    (source,) = drawn.sources
    return replace(
        drawn,
        sources=(replace(source, attributes=(*source.attributes, MOOD)),),
        rows=tuple(_labelled(row, number) for number, row in enumerate(drawn.rows)),
    )


def mood_of(row: Row) -> int:
    assert row.age is not None
    if row.classes["gender"] == 0:
        return 0
    return 1 if row.age.low_years < 30 else 2


def _labelled(row: Row, number: int) -> Row:
    mood = {"mood": mood_of(row)}
    if number % 3 == 0:
        return row
    if number % 3 == 1:
        return replace(row, age=None, classes=mood)
    return replace(row, classes=row.classes | mood)
