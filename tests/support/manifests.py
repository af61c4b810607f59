"""Manifests for tests: five rows that are right, and what doctoring them must end in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeface.data.labels import AgeInterval, Attribute
from edgeface.data.manifest import Manifest, Row, Source, Split, file_of
from edgeface.data.manifest_file import read_manifest
from edgeface.errors import DataError

GENDER = Attribute(name="gender", classes=("male", "female"))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def row(name: str, split: Split | None, **facts: Any) -> Row:
    plain = Row(
        id=name,
        path=file_of(name),
        sha256=digest(f"content {name}"),
        perceptual_hash=digest(f"look {name}"),
        age=AgeInterval(low_years=30, high_years=30),
        classes={"gender": 1},
        group=name,
        split=split,
        left_out="" if split else "no label",
    )
    return replace(plain, **facts)


def manifest_of(root: Path, rows: list[Row]) -> Manifest:
    source = Source(
        kind="folder", label="faces", root=str(root), adapter="table", attributes=(GENDER,)
    )
    return Manifest(
        sources=(source,),
        seed=7,
        validation_ratio=0.1,
        test_ratio=0.2,
        rows=tuple(sorted(rows, key=lambda one: one.id)),
    )


BASE = [
    row("a.jpg", "train"),
    row("b.jpg", "train"),
    row("c.jpg", "validation"),
    row("d.jpg", "test"),
    row("e.jpg", None),
]


def mapping_of(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def refusal(file: Path) -> str:
    with pytest.raises(DataError) as info:
        read_manifest(file)
    text = str(info.value)
    assert text.isprintable(), "one line"
    assert text.startswith(f"{file}: "), text
    assert len(text) < 1000 + len(str(file))
    return text
