"""`sources`: a folder or nothing to a manifest, and a manifest's rows to arrays that follow it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.config import DataSpec
from edgeface.data.drawn import GENERATOR_VERSION, draw_face, drawn_labels
from edgeface.data.manifest import SPLITS, DrawnSource, FolderSource
from edgeface.data.sources import load_faces, open_data
from edgeface.errors import DataError
from edgeface.runtime.preprocess import read_image, to_input
from edgeface.types import SilentReporter

QUIET = SilentReporter()
DRAWN = DataSpec(drawn_count=60, drawn_side_px=32)


def save(path: Path, image: NDArray[np.uint8]) -> None:
    done, content = cv2.imencode(path.suffix, image)
    assert done
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures of unlike sizes, in colour, and one that cannot be used."""
    generator = np.random.default_rng(3)
    root = tmp_path / "faces"
    for age in range(1, 41):
        shape = (int(generator.integers(20, 60)), int(generator.integers(20, 60)), 3)
        name = f"{age}_{age % 2}_0_{20170101000000 + age}.png"
        save(root / f"{age % 3}" / name, generator.integers(0, 256, shape, np.uint8))
    (root / "unnamed.jpg").write_bytes(b"")
    return root


def test_drawn_faces_are_their_seeds_and_nothing_else() -> None:
    manifest = open_data(None, DRAWN, 5, QUIET)
    assert manifest.source == DrawnSource(seed=5, side_px=32, version=GENERATOR_VERSION)
    assert manifest.left_out == ()
    assert [row.id for row in manifest.rows] == [
        f"drawn-{GENERATOR_VERSION}-5-{index:06d}" for index in range(60)
    ]
    for index, row in enumerate(manifest.rows):
        assert (row.age_years, row.gender) == drawn_labels(seed=5, index=index)
        assert row.group == row.id, "each is drawn afresh: no two are copies"
    assert manifest.sha256 == open_data(None, DRAWN, 5, QUIET).sha256
    assert manifest.sha256 != open_data(None, DRAWN, 6, QUIET).sha256


@pytest.mark.parametrize("split", SPLITS)
def test_drawn_faces_are_loaded_in_the_order_of_their_rows(split: str) -> None:
    manifest = open_data(None, DRAWN, 5, QUIET)
    rows = [row for row in manifest.rows if row.split == split]
    faces = load_faces(manifest, split, 24, QUIET)  # type: ignore[arg-type]  # one of SPLITS
    assert faces.ids == tuple(row.id for row in rows)
    assert faces.images.shape == (len(rows), 24, 24, 3)
    assert [array.dtype.name for array in (faces.images, faces.age_years, faces.gender)] == [
        "uint8",
        "float32",
        "int64",
    ]
    np.testing.assert_array_equal(faces.age_years, [row.age_years for row in rows])
    np.testing.assert_array_equal(faces.gender, [row.gender for row in rows])
    for image, row in zip(faces.images, rows, strict=True):
        drawn = draw_face(seed=5, index=int(row.id[-6:]), side_px=32).image
        np.testing.assert_array_equal(image, to_input(drawn, 24))


def test_a_folder_becomes_faces_that_the_device_would_see(folder: Path) -> None:
    manifest = open_data(folder, DataSpec(), 1, QUIET)
    assert manifest.source == FolderSource(root=folder)
    assert len(manifest.rows) == 40
    assert [one.id for one in manifest.left_out] == ["unnamed.jpg"]
    seen: list[str] = []
    for split in SPLITS:
        faces = load_faces(manifest, split, 16, QUIET)
        seen += faces.ids
        for i, name in enumerate(faces.ids):
            age, gender = map(int, Path(name).name.split("_")[:2])
            assert (faces.age_years[i], faces.gender[i]) == (age, gender)
            np.testing.assert_array_equal(faces.images[i], to_input(read_image(folder / name), 16))
    assert sorted(seen) == [row.id for row in manifest.rows]


def test_what_the_recipe_says_about_shares_is_done(folder: Path) -> None:
    spec = DataSpec(validation_ratio=0.25, test_ratio=0.5)
    manifest = open_data(folder, spec, 1, QUIET)
    for split, wanted in zip(SPLITS, (10, 10, 20), strict=True):
        assert abs(len(manifest.of_split(split)) - wanted) <= 1
    assert manifest.sha256 != open_data(folder, spec, 2, QUIET).sha256


def test_the_same_pictures_elsewhere_are_the_same_data(folder: Path) -> None:
    moved = folder.rename(folder.with_name("moved"))
    (folder / "0").mkdir(parents=True)
    files = sorted(moved.rglob("*.png"), reverse=True)
    for file in files:  # written in another order
        target = folder / file.relative_to(moved)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    one, other = (open_data(root, DataSpec(), 1, QUIET) for root in (moved, folder))
    assert one.sha256 == other.sha256
    assert (one.source.label, other.source.label) == ("moved", "faces")


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures in it"):
        open_data(tmp_path, DataSpec(), 1, QUIET)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n cut"])
def test_a_picture_that_went_bad_since_is_an_error(folder: Path, content: bytes | None) -> None:
    manifest = open_data(folder, DataSpec(), 1, QUIET)
    path = folder / manifest.of_split("train")[5].id
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError) as info:
        load_faces(manifest, "train", 16, QUIET)
    assert str(info.value).startswith(f"{path}: ")
    assert "\n" not in str(info.value)
    assert len(load_faces(manifest, "test", 16, QUIET)) == len(manifest.of_split("test"))
