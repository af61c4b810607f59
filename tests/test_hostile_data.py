"""A hostile face set through `data inspect`, `data prepare` and the loading that follows.

Archives (bombs, paths out of the folder) are in tests/data/test_archives.py.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.config import DataSpec
from edgeface.data.manifest import SPLITS
from edgeface.data.manifest_file import read_manifest
from edgeface.data.sources import CacheSpec, load_faces, open_data
from edgeface.types import SilentReporter

Run = Callable[..., tuple[int, str, str]]
GOOD = 30
BOMB = "33_0_0_20170101000000033.png"


def picture(seed: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return np.asarray(cv2.resize(generator.integers(0, 256, (6, 6, 3), np.uint8), (48, 48)))


def png(seed: int) -> bytes:
    done, content = cv2.imencode(".png", picture(seed))
    assert done
    return content.tobytes()


def huge_png() -> bytes:
    """A few bytes that announce 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Good faces among a file of each bad kind, and a secret picture beside the folder."""
    root = tmp_path / "faces"
    root.mkdir()
    for i in range(GOOD):
        (root / f"{20 + i}_{i % 2}_{i % 5}_{20170101000000 + i}.png").write_bytes(png(i))
    (tmp_path / "secret.png").write_bytes(png(1000))
    (root / "30_0_0_20170101000000030\n.png").write_bytes(png(101))
    (root / "31_0_0_20170101000000031'\"<b>.png").write_bytes(png(102))
    Path(os.fsdecode(os.fsencode(root) + b"/32_0_0_20170101000000032\xff.png")).write_bytes(
        png(103)
    )
    (root / BOMB).write_bytes(huge_png())
    (root / "34_0_0_20170101000000034.png").write_bytes(b"")
    (root / "35_0_0_20170101000000035.jpg").write_bytes(b"GIF89a, not a picture that we read")
    (root / "36_0_0_20170101000000036.png").symlink_to("../secret.png")
    (root / "37_0_0_20170101000000037.png").symlink_to("37_0_0_20170101000000037.png")
    (root / "loop").symlink_to(".")
    os.mkfifo(root / "38_0_0_20170101000000038.png")
    return root


def test_each_bad_file_is_listed_and_every_good_one_used(
    hostile: Path, edgeface: Run, tmp_path: Path
) -> None:
    status, _, err = edgeface("data", "prepare", "faces")
    assert status == 0, err
    manifest = read_manifest(tmp_path / "faces.manifest.json")
    used = [row.id for row in manifest.rows if row.split]
    odd_but_good = "31_0_0_20170101000000031'\"<b>.png"
    assert len(used) == GOOD + 1
    assert odd_but_good in used
    reasons = {row.id: row.left_out for row in manifest.left_out}
    expected = {
        "30_0_0_20170101000000030\\n.png": "control character",
        "32_0_0_20170101000000032\\udcff.png": "not UTF-8",
        BOMB: "50000 x 50000 pixels",
        "34_0_0_20170101000000034.png": "empty",
        "35_0_0_20170101000000035.jpg": "not an image",
        "36_0_0_20170101000000036.png": "link out of the folder",
        "37_0_0_20170101000000037.png": "cannot be looked up",
        "38_0_0_20170101000000038.png": "not an ordinary file",
        "loop": "not followed",
    }
    assert reasons.keys() == expected.keys()
    for name, part in expected.items():
        assert part in reasons[name], name
        assert "\n" not in reasons[name]
    cache = CacheSpec(folder=tmp_path / "cache", memory_bytes=10**7, disk_bytes=0)
    read = open_data([tmp_path / "faces.manifest.json"], DataSpec(), 1, SilentReporter())
    loaded = sum(len(load_faces(read, split, 16, cache, SilentReporter())) for split in SPLITS)
    assert loaded == GOOD + 1


def test_inspect_shows_them_all_without_harm(hostile: Path, edgeface: Run, tmp_path: Path) -> None:
    status, out, err = edgeface("data", "inspect", "faces", "--json")
    assert status == 0, err
    (line,) = out.splitlines()
    found = json.loads(line)["images"]
    assert found["listed"] == GOOD + 10
    assert found["usable"] == GOOD + 1
    page = (tmp_path / "inspection-faces.html").read_text("utf-8")
    assert "<b>.png" not in page, "a name is text, not markup"
    status, table, _ = edgeface("data", "inspect", "faces")
    assert status == 0
    assert "50000" in table
    assert "\udcff" not in table


def test_nothing_of_the_folder_is_changed(hostile: Path, edgeface: Run, tmp_path: Path) -> None:
    def state() -> list[tuple[str, int, int]]:
        return [
            (name.name, name.lstat().st_mtime_ns, name.lstat().st_size)
            for name in sorted(hostile.iterdir())
        ]

    before = state()
    assert edgeface("data", "inspect", "faces")[0] == 0
    assert edgeface("data", "prepare", "faces")[0] == 0
    assert state() == before
    assert {name.name for name in tmp_path.iterdir()} == {
        "faces",
        "secret.png",
        "inspection-faces.html",
        "faces.manifest.json",
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"\xef\xbb\xbfpath;age;gender\n", "BOM and semicolons"),
        (b"path,age,gender\r\n", "Windows line ends"),
        (b"path\tage\tgender\n", "tabs"),
    ],
)
def test_tables_as_programs_write_them(
    text: bytes, found: str, hostile: Path, edgeface: Run, tmp_path: Path
) -> None:
    mark = b";" if b";" in text else b"\t" if b"\t" in text else b","
    names = sorted(path.name for path in hostile.iterdir() if path.name.startswith("2"))[:10]
    names += sorted(path.name for path in hostile.iterdir() if path.name.startswith("4"))
    rows = [
        mark.join((name.encode(), b"%d" % (20 + i), b"mf"[i % 2 : i % 2 + 1]))
        for i, name in enumerate(names)
    ]
    rows += [mark.join((b"../secret.png", b"40", b"m")), mark.join((b"/etc/passwd", b"40", b"m"))]
    rows += [mark.join((BOMB.encode(), b"40", b"m")), mark.join((b"none.png", b"40", b"m"))]
    (hostile / "labels.csv").write_bytes(text + b"\n".join(rows) + b"\n")
    status, _, err = edgeface("data", "prepare", "faces/labels.csv", "--out", "m.json")
    assert status == 0, (found, err)
    manifest = read_manifest(tmp_path / "m.json")
    assert sorted(row.id for row in manifest.rows if row.split) == sorted(names)
    reasons = sorted(row.left_out for row in manifest.left_out)
    assert len(reasons) == 4
    for part in ("'..' in it", "is absolute", "50000 x 50000", "no such file"):
        assert any(part in reason for reason in reasons), part


def test_a_table_with_a_column_twice_is_one_line(
    hostile: Path, edgeface: Run, tmp_path: Path
) -> None:
    (hostile / "labels.csv").write_text("path,age,age\nx.png,1,2\n")
    before = sorted(tmp_path.rglob("*.json"))
    status, out, err = edgeface("data", "prepare", "faces/labels.csv")
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("edgeface: faces/labels.csv: ")
    assert "age" in line
    assert sorted(tmp_path.rglob("*.json")) == before
