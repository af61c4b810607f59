"""The `data` commands as the command line runs them: what is printed, written and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeface.data.manifest import SPLITS
from edgeface.data.manifest_file import read_manifest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Forty faces; the last two are one picture with two ages, the third-last cannot be read."""
    root = tmp_path / "faces"
    root.mkdir()
    generator = np.random.default_rng(7)
    for i in range(40):
        picture = cv2.resize(generator.integers(0, 256, (6, 6, 3), np.uint8), (48, 48))
        path = root / f"{20 + i}_{i % 2}_{i % 5}_{20170101000000 + i}.png"
        assert cv2.imwrite(str(path), picture)
    files = sorted(root.iterdir())
    files[-1].write_bytes(files[-2].read_bytes())
    files[-3].write_bytes(b"\x89PNG cut")
    return root


def test_inspect_prints_tables_and_writes_a_page(
    edgeface: Run, faces: Path, tmp_path: Path
) -> None:
    status, out, err = edgeface("data", "inspect", "faces")
    assert status == 0, err
    assert "40 listed" in out
    assert "age 58 and 59" in out
    page = (tmp_path / "inspection-faces.html").read_text()
    assert page.startswith(("<!doctype html>", "<!DOCTYPE html>"))
    assert "age 58 and 59" in page
    assert err.splitlines()[-1] == "page: inspection-faces.html"


def test_inspect_as_json(edgeface: Run, faces: Path) -> None:
    status, out, _ = edgeface("data", "inspect", "faces", "--json", "--page", "faces.html")
    assert status == 0
    (line,) = out.splitlines()
    found = json.loads(line)
    assert found["images"]["listed"] == 40
    assert found["images"]["unreadable"] == 1
    assert len(found["copies"]["conflicts"]) == 1


def test_prepare_writes_a_manifest_that_can_be_read(
    edgeface: Run, faces: Path, tmp_path: Path
) -> None:
    status, out, err = edgeface("data", "prepare", "faces", "--seed", "3")
    assert status == 0, err
    assert err.splitlines()[-1] == "manifest: faces.manifest.json"
    manifest = read_manifest(tmp_path / "faces.manifest.json")
    assert manifest.seed == 3
    assert sum(len(manifest.of_split(split)) for split in SPLITS) == 37
    assert sum("disagree: age 58 and 59" in row.left_out for row in manifest.left_out) == 2
    assert "left out: 3 images" in out
    again = edgeface("data", "prepare", "faces", "--seed", "3", "--out", "again.json")
    assert again[0] == 0
    assert (tmp_path / "again.json").read_text() == (tmp_path / "faces.manifest.json").read_text()


def test_own_splits_are_kept(edgeface: Run, faces: Path, tmp_path: Path) -> None:
    names = [path.name for path in sorted(faces.iterdir())[:30]]
    for name, part in (("train", names[:20]), ("val", names[20:25]), ("test", names[25:])):
        (tmp_path / f"{name}.txt").write_text("\n".join(part))
    own = [f"--split={name}={name}.txt" for name in ("train", "val", "test")]
    status, _, err = edgeface("data", "prepare", "faces", *own)
    assert status == 0, err
    manifest = read_manifest(tmp_path / "faces.manifest.json")
    for split, part in zip(SPLITS, (names[:20], names[20:25], names[25:]), strict=True):
        assert [row.id for row in manifest.of_split(split)] == part


@pytest.mark.parametrize(
    ("arguments", "status", "starts", "holds"),
    [
        (("inspect", "none"), 1, "edgeface: none: no such folder", "give a folder"),
        (("inspect", "faces", "--adapter", "x"), 1, "edgeface: adapter 'x', expected one of", ""),
        (("inspect", "faces", "--page", "no/page.html"), 1, "edgeface: no/page.html: cannot", ""),
        (("prepare", "faces", "--test", "1.5"), 2, "edgeface: data prepare: ", "test_ratio"),
        (("prepare", "faces", "--out", "no/m.json"), 1, "edgeface: no/m.json: cannot", "--out"),
        (("prepare", "faces", "--split", "none.csv"), 1, "edgeface: ", "none.csv"),
        (("prepare", "faces", "--split", "test=none"), 1, "edgeface: none: cannot be read", ""),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    status: int,
    starts: str,
    holds: str,
    edgeface: Run,
    faces: Path,
    tmp_path: Path,
) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended, out, err = edgeface("data", *arguments)
    assert (ended, out) == (status, "")
    (line,) = err.splitlines()
    assert line.startswith(starts)
    assert holds in line
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_a_doctored_manifest_is_refused(edgeface: Run, faces: Path, tmp_path: Path) -> None:
    assert edgeface("data", "prepare", "faces")[0] == 0
    path = tmp_path / "faces.manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"split": "test"', '"split": "train"', 1))
    status, out, err = edgeface("compress", "--data", "faces.manifest.json", "--weights", "none")
    assert (status, out) == (1, "")
    assert err.startswith("edgeface: faces.manifest.json: its rows have the digest ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (("prepare", "faces", "--out", "labels.csv"), "expected '.json'"),
        (("prepare", "faces", "--out", "labels.json"), "is no manifest; give another --out"),
        (("prepare", "faces", "--out", "record.json"), "is no manifest; give another --out"),
        (("prepare", "faces", "--out", "faces.manifest"), "expected '.json'"),
        (("inspect", "faces", "--page", "labels.csv"), "expected .html"),
    ],
)
def test_a_file_of_the_user_is_not_replaced(
    arguments: tuple[str, ...], holds: str, edgeface: Run, faces: Path, tmp_path: Path
) -> None:
    assert faces.is_dir()
    (tmp_path / "labels.csv").write_text("path,age\n")
    (tmp_path / "labels.json").write_text('{"images": []}')
    (tmp_path / "record.json").write_text('{\n "schema_version": 1,\n "data": "x"\n}\n')
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    status, out, err = edgeface("data", *arguments)
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert holds in line
    assert files == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}


def test_a_manifest_and_a_page_are_replaced(edgeface: Run, faces: Path, tmp_path: Path) -> None:
    assert faces.is_dir()
    for seed in ("1", "2"):
        assert edgeface("data", "prepare", "faces", "--seed", seed)[0] == 0
        assert edgeface("data", "inspect", "faces")[0] == 0
    assert read_manifest(tmp_path / "faces.manifest.json").seed == 2


def test_own_splits_that_leave_nothing_to_train_on(
    edgeface: Run, faces: Path, tmp_path: Path
) -> None:
    names = [path.name for path in sorted(faces.iterdir())]
    (tmp_path / "test.txt").write_text("\n".join(names[:9]))
    (tmp_path / "none.txt").write_text("")
    for file, count in (("test.txt", 9), ("none.txt", 0)):
        status, _, err = edgeface("data", "prepare", "faces", f"--split=test={file}")
        assert status == 1
        assert err.splitlines()[-1].startswith(
            f"edgeface: --split: none of the {count} images that it names is in train"
        )
