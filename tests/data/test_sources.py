"""`sources`: what the user names to a manifest, and a manifest's rows to arrays that follow it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.config import DataSpec
from edgeface.data.adapters.detect import list_dataset
from edgeface.data.drawn import GENERATOR_VERSION, draw_face, drawn_labels
from edgeface.data.faces import UNKNOWN
from edgeface.data.labels import AgeInterval
from edgeface.data.manifest import SPLITS, Manifest, Split
from edgeface.data.manifest_file import write_manifest
from edgeface.data.prepare import prepare
from edgeface.data.scan import scan
from edgeface.data.sources import CacheSpec, check_pictures, load_faces, open_data
from edgeface.errors import DataError
from edgeface.runtime.preprocess import read_image, to_input
from edgeface.types import SilentReporter

QUIET = SilentReporter()
DRAWN = DataSpec(drawn_count=60, drawn_side_px=32)
HALVES = DataSpec(validation_ratio=0.25, test_ratio=0.25)


def save(path: Path, image: NDArray[np.uint8]) -> None:
    done, content = cv2.imencode(path.suffix, image)
    assert done
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.tobytes())


def cache(folder: Path, memory_bytes: int = 10**7) -> CacheSpec:
    return CacheSpec(folder=folder, memory_bytes=memory_bytes, disk_bytes=10**7)


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


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twenty pictures with a gender and no age."""
    generator = np.random.default_rng(4)
    lines = ["path,gender"]
    for i in range(20):
        save(tmp_path / "other" / f"{i:02d}.png", generator.integers(0, 256, (30, 30, 3), np.uint8))
        lines.append(f"{i:02d}.png,{'mf'[i % 2]}")
    path = tmp_path / "other" / "labels.csv"
    path.write_text("\n".join(lines))
    return path


def load(manifest: Manifest, split: Split, side_px: int, where: Path) -> Any:
    return load_faces(manifest, split, side_px, cache(where), QUIET)


def test_drawn_faces_are_their_seeds_and_nothing_else() -> None:
    manifest = open_data([], DRAWN, 5, QUIET)
    (source,) = manifest.sources
    assert (source.kind, source.seed, source.side_px) == ("drawn", 5, 32)
    assert source.version == GENERATOR_VERSION
    assert manifest.drawn
    assert manifest.label == "drawn faces"
    assert manifest.left_out == ()
    assert [row.id for row in manifest.rows] == [
        f"drawn-{GENERATOR_VERSION}-5-{index:06d}" for index in range(60)
    ]
    for index, row in enumerate(manifest.rows):
        age_years, gender = drawn_labels(seed=5, index=index)
        assert row.age == AgeInterval(low_years=age_years, high_years=age_years)
        assert row.classes == {"gender": gender}
        assert row.group == row.id, "each is drawn afresh: no two are copies"
    assert manifest.sha256 == open_data([], DRAWN, 5, QUIET).sha256
    assert manifest.sha256 != open_data([], DRAWN, 6, QUIET).sha256


@pytest.mark.parametrize("split", SPLITS)
def test_drawn_faces_are_loaded_in_the_order_of_their_rows(split: Split, tmp_path: Path) -> None:
    manifest = open_data([], DRAWN, 5, QUIET)
    rows = manifest.of_split(split)
    faces = load(manifest, split, 24, tmp_path)
    assert faces.ids == tuple(row.id for row in rows)
    assert faces.images.shape == (len(rows), 24, 24, 3)
    assert faces.images.dtype == np.uint8
    labels = [drawn_labels(seed=5, index=int(row.id[-6:])) for row in rows]
    np.testing.assert_array_equal(faces.exact_age_years, [age for age, _ in labels])
    np.testing.assert_array_equal(faces.class_of("gender"), [gender for _, gender in labels])
    for image, row in zip(faces.images, rows, strict=True):
        drawn = draw_face(seed=5, index=int(row.id[-6:]), side_px=32).image
        np.testing.assert_array_equal(image, to_input(drawn, 24))


def test_a_folder_becomes_faces_that_the_device_would_see(folder: Path, tmp_path: Path) -> None:
    manifest = open_data([folder], DataSpec(), 1, QUIET)
    assert manifest.label == "faces"
    assert not manifest.drawn
    assert [one.id for one in manifest.left_out] == ["unnamed.jpg"]
    seen: list[str] = []
    for split in SPLITS:
        faces = load(manifest, split, 16, tmp_path)
        seen += faces.ids
        for i, name in enumerate(faces.ids):
            age, gender = map(int, Path(name).name.split("_")[:2])
            found = (faces.age_low_years[i], faces.age_high_years[i], faces.class_of("gender")[i])
            assert found == (age, age, gender)
            np.testing.assert_array_equal(faces.images[i], to_input(read_image(folder / name), 16))
    assert sorted(seen) == [row.id for row in manifest.rows if row.split]
    assert len(seen) == 40


def test_too_many_for_memory_come_from_disk_and_are_the_same(folder: Path, tmp_path: Path) -> None:
    manifest = open_data([folder], DataSpec(), 1, QUIET)
    in_memory = load(manifest, "train", 16, tmp_path)
    small = cache(tmp_path / "cache", memory_bytes=1000)
    mapped = load_faces(manifest, "train", 16, small, QUIET)
    assert isinstance(mapped.images, np.memmap)
    np.testing.assert_array_equal(mapped.images, in_memory.images)
    other = load_faces(manifest, "validation", 16, small, QUIET)
    assert len(other) == len(manifest.of_split("validation"))
    assert not np.array_equal(other.images[0], mapped.images[0])


def test_what_the_recipe_says_about_shares_is_done(folder: Path) -> None:
    spec = DataSpec(validation_ratio=0.25, test_ratio=0.5)
    manifest = open_data([folder], spec, 1, QUIET)
    for split, wanted in zip(SPLITS, (10, 10, 20), strict=True):
        assert abs(len(manifest.of_split(split)) - wanted) <= 1
    assert manifest.sha256 != open_data([folder], spec, 2, QUIET).sha256


def test_the_same_pictures_elsewhere_are_the_same_data(folder: Path) -> None:
    moved = folder.rename(folder.with_name("moved"))
    (folder / "0").mkdir(parents=True)
    files = sorted(moved.rglob("*.png"), reverse=True)
    for file in files:  # written in another order
        target = folder / file.relative_to(moved)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    one, other = (open_data([root], DataSpec(), 1, QUIET) for root in (moved, folder))
    assert one.sha256 == other.sha256
    assert (one.label, other.label) == ("moved", "faces")


def test_a_manifest_stands_for_the_folder_it_was_made_of(folder: Path, tmp_path: Path) -> None:
    made = open_data([folder], HALVES, 7, QUIET)
    write_manifest(tmp_path / "faces.json", made)
    # how it was divided stands in the manifest; what the recipe says does not matter any more
    read = open_data([tmp_path / "faces.json"], DataSpec(), 1, QUIET)
    assert (read.rows, read.sha256, read.seed) == (made.rows, made.sha256, 7)
    one, other = (load(manifest, "test", 16, tmp_path) for manifest in (made, read))
    np.testing.assert_array_equal(one.images, other.images)


def test_a_manifest_whose_faces_have_gone(folder: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "faces.json", open_data([folder], DataSpec(), 1, QUIET))
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"faces\.json: its faces are not at .*sources\.root"):
        open_data([tmp_path / "faces.json"], DataSpec(), 1, QUIET)
    # as the message says
    text = json.loads((tmp_path / "faces.json").read_text())
    text["sources"][0]["root"] = "elsewhere"
    (tmp_path / "faces.json").write_text(json.dumps(text))
    manifest = open_data([tmp_path / "faces.json"], DataSpec(), 1, QUIET)
    assert len(load(manifest, "test", 16, tmp_path)) > 0


def test_several_sets_keep_what_each_of_them_knows(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    manifest = open_data([folder, table], HALVES, 1, QUIET)
    assert manifest.label == "faces + labels.csv"
    faces = load(manifest, "train", 16, tmp_path)
    assert len(set(faces.ids)) == len(faces)
    of_table = np.array([name.startswith("1:") for name in faces.ids])
    assert of_table.sum() == 10
    np.testing.assert_array_equal(np.isnan(faces.exact_age_years), of_table)
    assert (faces.class_of("gender") != UNKNOWN).all()
    np.testing.assert_array_equal(faces.class_of("race") == UNKNOWN, of_table)
    for i in np.flatnonzero(of_table):
        name = faces.ids[i].removeprefix("1:")
        picture = read_image(table.parent / name)
        np.testing.assert_array_equal(faces.images[i], to_input(picture, 16))


def test_a_copy_in_another_set_does_not_leak(folder: Path, table: Path, tmp_path: Path) -> None:
    held_out = open_data([folder], HALVES, 1, QUIET).of_split("test")
    women = [row for row in held_out if row.classes["gender"] == 1]
    trained = [
        row
        for row in open_data([table], HALVES, 1, QUIET).of_split("train")
        if row.classes["gender"]
    ]
    (table.parent / trained[0].id).write_bytes((folder / women[0].id).read_bytes())
    manifest = open_data([folder, table], HALVES, 1, QUIET)
    copies = [row for row in manifest.rows if row.sha256 == women[0].sha256]
    assert len(copies) == 2
    assert len({row.group for row in copies}) == 1
    assert len({row.split for row in copies if row.split}) == 1


def test_pictures_in_the_cells_of_a_table(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    pixels = generator.integers(0, 256, (30, 48 * 48))
    lines = ["emotion,pixels,Usage"]
    usages = ["Training"] * 20 + ["PublicTest"] * 5 + ["PrivateTest"] * 5
    for i, usage in enumerate(usages):
        lines.append(f"{i % 7},{' '.join(map(str, pixels[i]))},{usage}")
    (tmp_path / "fer2013.csv").write_text("\n".join(lines))
    made = open_data([tmp_path], DataSpec(), 1, QUIET)
    write_manifest(tmp_path / "fer.json", made)
    manifest = open_data([tmp_path / "fer.json"], DataSpec(), 1, QUIET)
    assert [len(manifest.of_split(split)) for split in SPLITS] == [20, 5, 5]
    faces = load(manifest, "test", 48, tmp_path)
    assert {row.path for row in manifest.rows} == {"fer2013.csv"}
    found = sorted(int(image[..., 0].astype(np.int64).sum()) for image in faces.images)
    assert found == sorted(int(row.sum()) for row in pixels[25:])
    np.testing.assert_array_equal(
        np.sort(faces.class_of("expression")), sorted(i % 7 for i in range(25, 30))
    )


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled face set found"):
        open_data([tmp_path], DataSpec(), 1, QUIET)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n cut"])
def test_a_picture_that_went_bad_since_is_an_error(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    manifest = open_data([folder], DataSpec(), 1, QUIET)
    path = folder / manifest.of_split("train")[5].id
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError) as info:
        load(manifest, "train", 16, tmp_path)
    assert str(path.relative_to(folder)) in str(info.value)
    assert str(folder) in str(info.value)
    assert "\n" not in str(info.value)
    assert len(load(manifest, "test", 16, tmp_path)) == len(manifest.of_split("test"))


def test_another_picture_under_the_same_name_is_an_error(folder: Path, tmp_path: Path) -> None:
    manifest = open_data([folder], DataSpec(), 1, QUIET)
    one, other = (folder / row.id for row in manifest.of_split("test")[:2])
    one.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match="not the picture that the manifest was made of"):
        load(manifest, "test", 16, tmp_path)
    with pytest.raises(DataError, match="not the picture that the manifest was made of"):
        check_pictures(manifest, "test", QUIET)
    check_pictures(manifest, "train", QUIET)
    check_pictures(open_data([], DRAWN, 5, QUIET), "test", QUIET)


def test_faces_of_another_generator_are_not_drawn(tmp_path: Path) -> None:
    manifest = open_data([], DRAWN, 5, QUIET)
    old = replace(manifest, sources=(replace(manifest.sources[0], version="0"),))
    with pytest.raises(DataError, match="drawn by version '0' of the generator, expected"):
        load(old, "test", 24, tmp_path)


def test_numbers_that_mean_other_classes_elsewhere_are_not_mixed(
    folder: Path, table: Path, tmp_path: Path
) -> None:
    rows = [f"{line},{'ab'[i % 2]}" for i, line in enumerate(table.read_text().splitlines()[1:])]
    table.write_text("\n".join(["path,gender,race", *rows]))
    listing = list_dataset(table, attribute="race")
    other = prepare(listing, scan(listing, QUIET), seed=1, validation_ratio=0.25, test_ratio=0.25)
    write_manifest(tmp_path / "other.json", other)
    faces = load(
        open_data([folder, tmp_path / "other.json"], HALVES, 1, QUIET), "train", 8, tmp_path
    )
    assert set(faces.classes) == {"gender"}
