"""`manifest_file`: a file that somebody doctored is refused in one line that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeface.data.manifest import Manifest, Row, Source
from edgeface.data.manifest_file import read_manifest, write_manifest
from edgeface.records import from_mapping
from support.manifests import BASE, digest, manifest_of, mapping_of, refusal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good manifest, of a folder beside it."""
    path = tmp_path / "faces.manifest.json"
    write_manifest(path, manifest_of(tmp_path / "faces", BASE))
    return path


def sealed(mapping: dict[str, Any]) -> dict[str, Any]:
    """Give a doctored file the digest that its rows now have, as who doctors it well would."""
    manifest = Manifest(
        sources=from_mapping(_Sources, {"sources": mapping["sources"]}).sources,
        seed=0,
        validation_ratio=0.1,
        test_ratio=0.2,
        rows=from_mapping(_Rows, {"rows": mapping["rows"]}).rows,
    )
    return {**mapping, "sha256": manifest.sha256}


@dataclass(frozen=True)
class _Rows:
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class _Sources:
    sources: tuple[Source, ...]


def of_row(index: int, **facts: object) -> Callable[[dict[str, Any]], None]:
    return lambda mapping: mapping["rows"][index].update(facts)


def of_head(**facts: object) -> Callable[[dict[str, Any]], None]:
    return lambda mapping: mapping.update(facts)


def of_source(**facts: object) -> Callable[[dict[str, Any]], None]:
    return lambda mapping: mapping["sources"][0].update(facts)


def swapped(mapping: dict[str, Any]) -> None:
    mapping["rows"][0]["split"], mapping["rows"][3]["split"] = "test", "train"


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a row is moved": of_row(0, split="test"),
    "two rows change places": swapped,
    "a group is renamed": of_row(0, group="b.jpg"),
    "content is another": of_row(0, sha256="0" * 64),
    "an age is another": of_row(0, age={"low_years": 31, "high_years": 31}),
    "an age is forgotten": of_row(0, age=None),
    "a class is another": of_row(0, classes={"gender": 0}),
    "classes are swapped": of_source(
        attributes=[{"name": "gender", "classes": ["female", "male"]}]
    ),
    "a row is left out": of_row(0, split=None, left_out="no label"),
    "a row is used after all": of_row(4, split="test", left_out=""),
    "a row is gone": lambda mapping: mapping["rows"].pop(0),
    "the digest is another": of_head(sha256="0" * 64),
    "the digest is empty": of_head(sha256=""),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_is_noticed_by_the_digest(
    file: Path, edit: Callable[[dict[str, Any]], None]
) -> None:
    mapping = mapping_of(file)
    edit(mapping)
    file.write_text(json.dumps(mapping))
    text = refusal(file)
    assert "it was edited; make it anew with: edgeface data prepare (own splits" in text
    # not because it could not be read otherwise
    file.write_text(json.dumps(sealed(mapping)))
    read_manifest(file)


def copy_in_test(**facts: object) -> Callable[[dict[str, Any]], None]:
    """The test picture is a copy of a training picture, and its group denies it."""
    return of_row(3, **facts)


LEAKS = {
    "by content": copy_in_test(sha256=digest("content a.jpg")),
    "by looks": copy_in_test(perceptual_hash=digest("look a.jpg")),
    "by group": copy_in_test(group="a.jpg"),
}


@pytest.mark.parametrize("edit", LEAKS.values(), ids=LEAKS)
def test_a_leak_is_found_under_a_digest_made_anew(
    file: Path, edit: Callable[[dict[str, Any]], None]
) -> None:
    mapping = mapping_of(file)
    edit(mapping)
    file.write_text(json.dumps(sealed(mapping)))
    assert "'a.jpg' is in train and 'd.jpg' in test" in refusal(file)


HEAD = "not a manifest: "
ODD_VALUES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "id twice": (of_row(0, id="b.jpg", path="b.jpg"), "the id 'b.jpg' stands twice"),
    "no split, no reason": (of_row(0, split=None), "'a.jpg' is neither used nor left out"),
    "unknown key": (of_row(0, colour="red"), f"{HEAD}rows[0].colour: unknown key"),
    "key of many lines": (of_head(**{"a\nb\x1b[2J": 1}), f"{HEAD}a\\nb\\x1b[2J: unknown key"),
    "missing key": (lambda mapping: mapping["rows"][0].pop("id"), f"{HEAD}rows[0].id: missing"),
    "unknown split": (of_row(0, split="dev"), f"{HEAD}rows[0].split: found 'dev', expected one"),
    "split as a list": (of_row(0, split=["train"]), f"{HEAD}rows[0].split: found ['train']"),
    "id as a number": (of_row(0, id=3), f"{HEAD}rows[0].id: found 3 (int), expected str"),
    "id as a book": (of_row(0, id=["x" * 10**6]), f"{HEAD}rows[0].id: found a list"),
    "split as a book": (of_row(0, split="x" * 10**6), f"{HEAD}rows[0].split: found 'xxx"),
    "path out of the set": (of_row(0, path="../../etc/passwd"), "has the path '../../etc/passwd'"),
    "class out of range": (of_row(0, classes={"gender": 2}), "has class '2' of 'gender'"),
    "class below 0": (of_row(0, classes={"gender": -1}), "has class '-1' of 'gender'"),
    "class of 4,000 digits": (of_row(0, classes={"gender": 10**4000}), "has class '1000"),
    "class as a float": (of_row(0, classes={"gender": 1.0}), "rows[0].classes.gender: found 1.0"),
    "class as a bool": (of_row(0, classes={"gender": True}), "classes.gender: found True (bool)"),
    "classes as a list": (of_row(0, classes=[1]), f"{HEAD}rows[0].classes: found a list"),
    "unknown attribute": (
        of_row(0, classes={"x": 0}),
        "has class '0' of 'x', expected one of the 0",
    ),
    "age below 0": (of_row(0, age={"low_years": -1, "high_years": 3}), "rows[0].age: age -1 to 3"),
    "age over 120": (of_row(0, age={"low_years": 3, "high_years": 121}), "age 3 to 121 years"),
    "ages swapped": (of_row(0, age={"low_years": 9, "high_years": 8}), "age 9 to 8 years"),
    "age as a number": (of_row(0, age=30), "rows[0].age: found 30 (int), expected a table"),
    "age as NaN": (of_row(0, age={"low_years": float("nan"), "high_years": 3}), "low_years: found"),
    "content as a word": (of_row(0, sha256="x"), "'a.jpg' has the sha256 'x', expected 64"),
    "looks of 63 digits": (of_row(0, perceptual_hash="0" * 63), "has the perceptual_hash '000"),
    "looks as a number": (of_row(0, perceptual_hash=0), "rows[0].perceptual_hash: found 0 (int)"),
    "looks with blanks": (of_row(0, perceptual_hash="0 " * 32), "has the perceptual_hash '0 0"),
    "set of no number": (of_row(0, source=1), "'a.jpg' is of set 1, expected below 1"),
    "set below 0": (of_row(0, source=-1), "'a.jpg' is of set -1, expected below 1"),
    "rows as a table": (of_head(rows={}), f"{HEAD}rows: found a table, expected a list"),
    "rows of numbers": (of_head(rows=[1, 2, 3, 4]), "rows[0]: found 1 (int), expected a table"),
    "no rows": (of_head(rows=[]), "0 usable images leave the train split empty"),
    "no sets": (of_head(sources=[]), "no sources, expected one or more"),
    "neither": (of_head(sources=[], rows=[]), "no sources, expected one or more"),
    "a set of no kind": (of_source(kind="cloud"), "sources[0].kind: found 'cloud', expected one"),
    "ratio as NaN": (of_head(test_ratio=float("nan")), "validation_ratio 0.1 and test_ratio nan"),
    "ratio as infinity": (of_head(test_ratio=float("inf")), "and test_ratio inf, expected each"),
    "ratio over 1": (of_head(validation_ratio=1), "validation_ratio 1 and test_ratio 0.2"),
    "ratio below 0": (of_head(validation_ratio=-0.1), "validation_ratio -0.1 and"),
    "ratio of 4,000 digits": (of_head(test_ratio=10**4000), "test_ratio: found an int beyond"),
    "seed as a text": (of_head(seed="1"), f"{HEAD}seed: found '1' (str), expected int"),
    "another version": (of_head(schema_version=2), "schema_version is '2', expected 1; make it"),
    "version as a text": (of_head(schema_version="1"), "schema_version is '1', expected 1"),
    "version as a bool": (of_head(schema_version=True), "schema_version: found True (bool)"),
    "version as a list": (of_head(schema_version=[1]), "schema_version is missing, expected 1"),
    "no version": (lambda mapping: mapping.pop("schema_version"), "schema_version is missing"),
}


@pytest.mark.parametrize(("edit", "expected"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_a_value_that_cannot_be(
    file: Path, edit: Callable[[dict[str, Any]], None], expected: str
) -> None:
    mapping = mapping_of(file)
    edit(mapping)
    file.write_text(json.dumps(mapping))
    assert expected in refusal(file)


def test_of_many_problems_some_are_told(file: Path) -> None:
    mapping = mapping_of(file)
    for one in mapping["rows"]:
        one["split"] = "dev"
    file.write_text(json.dumps(mapping))
    assert refusal(file).endswith(" and 2 more problems")


@pytest.mark.parametrize("depth", [50, 500, 900, 950, 980, 990])
@pytest.mark.parametrize("place", ["split", "id", "classes", "schema_version"])
def test_a_value_nested_deep(file: Path, depth: int, place: str) -> None:
    mapping = mapping_of(file)
    home = mapping if place == "schema_version" else mapping["rows"][0]
    home[place] = "DEEP"
    deep = "[" * depth + "]" * depth
    file.write_text(json.dumps(mapping).replace('"DEEP"', deep))
    assert "not a manifest" in refusal(file)
