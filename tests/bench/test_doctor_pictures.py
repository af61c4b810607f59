"""What `doctor` works on: which pictures are taken, labels, and predictions read strictly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeface.bench.doctor_pictures import labelled_pictures, pictures_of, read_theirs
from edgeface.config import DataSpec
from edgeface.data.manifest_file import write_manifest
from edgeface.data.sources import open_data
from edgeface.errors import DataError
from edgeface.runtime.artifact import load_artifact
from edgeface.types import Contract, HeadSpec, SilentReporter
from support.dense_artifact import write_dense_artifact


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    folder = tmp_path / "model"
    folder.mkdir()
    return load_artifact(write_dense_artifact(folder)).sidecar.contract


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Thirty pictures named as UTKFace names them."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(30):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        path = folder / f"{20 + i}_{i % 2}_0_20170101{i:04d}.png"
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return folder


def test_pictures_are_spread_evenly_and_read_late() -> None:
    paths = [Path(f"folder/{i}.png") for i in range(10)]  # none of them is there
    assert [case.name for case in pictures_of(paths, None, 4)] == [
        "0.png",
        "3.png",
        "6.png",
        "9.png",
    ]
    assert len(pictures_of(paths, None, 99)) == 10
    named = pictures_of(paths, {"7.png", "2.png", "other.png"}, 99)
    assert [case.name for case in named] == ["2.png", "7.png"]
    with pytest.raises(DataError, match=r"folder/2\.png: no such file"):
        named[0].read()
    for names, text in ((None, "there is no picture"), ({"x"}, "no picture has a name that")):
        with pytest.raises(DataError, match=text):
            pictures_of(paths if names else [], names, 3)


def test_labels_come_from_the_set(faces: Path) -> None:
    cases = labelled_pictures(faces, None, 3, SilentReporter())
    assert [(case.age_years, case.classes["gender"]) for case in cases] == [
        (20, "male"),
        (34, "male"),
        (49, "female"),
    ]
    assert all(case.classes["race"] == "White" for case in cases), "UTKFace's race 0"
    expected = cv2.imread(str(faces / cases[1].name))
    assert expected is not None
    np.testing.assert_array_equal(cases[1].read(), expected[..., ::-1])


def test_of_a_manifest_the_validation_split_is_taken(faces: Path, tmp_path: Path) -> None:
    spec = DataSpec(validation_ratio=0.3, test_ratio=0.2)
    manifest = open_data([faces], spec, 1, SilentReporter())
    path = tmp_path / "faces.json"
    write_manifest(path, manifest)
    cases = labelled_pictures(path, None, 99, SilentReporter())
    rows = manifest.of_split("validation")
    assert [case.name for case in cases] == [row.id for row in rows]
    assert 3 < len(cases) < 15
    numbers = [("male", "female").index(case.classes["gender"]) for case in cases]
    assert numbers == [row.classes["gender"] for row in rows]
    assert cases[0].read().shape == (40, 40, 3)


def test_a_manifest_of_drawn_faces_has_no_pictures(tmp_path: Path) -> None:
    manifest = open_data([], DataSpec(drawn_count=50, drawn_side_px=32), 1, SilentReporter())
    path = tmp_path / "drawn.json"
    write_manifest(path, manifest)
    with pytest.raises(DataError, match="of drawn faces, which are in no file"):
        labelled_pictures(path, None, 9, SilentReporter())


def test_predictions_are_read_by_file_name_and_the_first_face(
    tmp_path: Path, contract: Contract
) -> None:
    face = {"box": [1, 2, 3, 4], "gender": "female", "p_female": 0.75, "age": 31, "other": "x"}
    lines = [
        {"image": "/elsewhere/é.png", "faces": [face, {"p_female": 0.1, "age": 5}]},
        {"image": "b.png", "faces": []},
        {"image": "c.png", "error": "unreadable"},
        {"image": "d.png", "faces": [{"age": 40.5}]},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n\n".join(json.dumps(line) for line in lines), "utf-8")
    assert read_theirs(path, contract) == {
        "é.png": {"age": 31.0, "gender": 0.75},
        "d.png": {"age": 40.5},
    }


def test_classes_are_read_as_probabilities_in_the_model_s_order(
    tmp_path: Path, contract: Contract
) -> None:
    mood = HeadSpec(name="mood", kind="classes", tensor="age", classes=("calm", "glad", "sad"))
    moody = replace(contract, heads=(mood,))
    path = tmp_path / "t.jsonl"
    face = {"mood": "glad", "p_mood": {"sad": 0.1, "calm": 0.2, "glad": 0.7}}
    path.write_text(json.dumps({"image": "a.png", "faces": [face]}), "utf-8")
    assert read_theirs(path, moody) == {"a.png": {"mood": (0.2, 0.7, 0.1)}}
    for wrong, text in (
        (0.7, "p_mood is not an object with a number for calm, glad, sad"),
        ({"calm": 1, "glad": 0}, "p_mood is not an object with a number for calm, glad, sad"),
        ({"calm": 1, "glad": 0, "sad": "x"}, "p_mood.sad is 'x', expected a number"),
    ):
        path.write_text(json.dumps({"image": "a", "faces": [{"p_mood": wrong}]}), "utf-8")
        with pytest.raises(DataError, match=f"line 1: {text}"):
            read_theirs(path, moody)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "holds no face"),
        (b'{"image": "a.png", "faces": []}', "holds no face"),
        (b"\xff", "not text"),
        (b"age: 31", "line 1: not JSON"),
        (b"[1]", 'line 1: found no "image"'),
        (b'{"image": 3}', 'line 1: found no "image"'),
        (b'\n{"image": "a.png", "faces": {}}', 'line 2: "faces" is not a list of objects'),
        (b'{"image": "a.png", "faces": [1]}', "is not a list of objects"),
        (b'{"image": "a.png", "faces": [{"gender": "male"}]}', "has none of age, p_female"),
        (b'{"image": "a.png", "faces": [{"age": "old"}]}', "age is 'old', expected a number"),
        (b'{"image": "a.png", "faces": [{"age": NaN}]}', "age is 'nan', expected a number"),
        (b'{"image": "a.png", "faces": [{"p_female": true}]}', "p_female is 'True', expected"),
        (
            b'{"image": "x/a", "faces": [{"age": 1}]}\n{"image": "y/a", "faces": [{"age": 1}]}',
            "line 2: a second picture called 'a'",
        ),
    ],
)
def test_other_predictions_are_one_line(
    content: bytes, text: str, tmp_path: Path, contract: Contract
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as info:
        read_theirs(path, contract)
    assert text in str(info.value)
    assert str(info.value).startswith(f"{path}: ")
    assert "\n" not in str(info.value)


def test_missing_predictions_are_one_line(tmp_path: Path, contract: Contract) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        read_theirs(tmp_path / "none.jsonl", contract)
