"""From what the user named to a manifest, and from a manifest's rows to faces in memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.config import DataSpec
from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.listing import GENDER, folder_of
from edgeface.data.adapters.paths import image_files, printable, shown
from edgeface.data.drawn import GENERATOR_VERSION, draw_face, drawn_labels
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.data.labels import AgeInterval, Pictures
from edgeface.data.manifest import Manifest, Row, Source, Split, check_manifest, shared_attributes
from edgeface.data.manifest_file import SUFFIX, read_manifest
from edgeface.data.merge import merge
from edgeface.data.picture_cache import cached_pictures
from edgeface.data.prepare import prepare
from edgeface.data.scan import scan
from edgeface.data.split import divide
from edgeface.errors import DataError
from edgeface.runtime.preprocess import to_input
from edgeface.types import Reporter


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """Where decoded pictures may be kept.

    Attributes:
        folder: for those that are too many for memory.
        memory_bytes: largest split in memory.
        disk_bytes: most that may be in the folder.
    """

    folder: Path
    memory_bytes: int
    disk_bytes: int


def open_data(
    paths: Sequence[Path],
    spec: DataSpec,
    seed: int,
    reporter: Reporter,
    attributes: Sequence[str] = (GENDER.name,),
) -> Manifest:
    """Make one manifest of all that the user named, or of drawn faces where that is nothing.

    Args:
        paths: each a manifest, a folder of labelled faces or a table of them.
        spec: how those that are no manifest are divided, or how many faces are drawn.
        seed: of the division, and of drawn faces.
        reporter: shows progress.
        attributes: that a model is to learn from all of them.

    Raises:
        DataError: one of them cannot be used, or they do not fit together.
    """
    if not paths:
        return _drawn_manifest(spec, seed)
    return merge([_open_one(path, spec, seed, reporter) for path in paths], attributes)


def load_faces(
    manifest: Manifest, split: Split, side_px: int, cache: CacheSpec, reporter: Reporter
) -> Faces:
    """Decode the images of one split, in memory or in a file on disk.

    Args:
        manifest: whose rows.
        split: which of them.
        side_px: side the model wants; the resize is `runtime.preprocess.to_input`.
        cache: what may be kept where.
        reporter: shows progress.

    Raises:
        DataError: an image cannot be read any more or is not the one that the manifest was made
            of, or the cache is too small.
    """
    rows = manifest.of_split(split)
    read = [
        _reader(source, [row for row in rows if row.source == number])
        for number, source in enumerate(manifest.sources)
    ]

    def fill(images: NDArray[np.uint8]) -> None:
        def load(i: int) -> None:
            images[i] = to_input(read[rows[i].source](rows[i]), side_px)

        label = f"loading {manifest.label}, {split}"
        with (
            reporter.track(label, len(rows)) as advance,
            ThreadPoolExecutor(os.cpu_count()) as pool,
        ):
            for _ in pool.map(load, range(len(rows))):
                advance(1)

    images = cached_pictures(
        len(rows),
        side_px,
        fill,
        key=hashlib.sha256(json.dumps([manifest.sha256, split, side_px]).encode()).hexdigest(),
        folder=cache.folder,
        memory_bytes=cache.memory_bytes,
        disk_bytes=cache.disk_bytes,
    )
    ages = [(r.age.low_years, r.age.high_years) if r.age else (UNKNOWN, UNKNOWN) for r in rows]
    low, high = np.array(ages, np.int64).reshape(-1, 2).T
    names = sorted(attribute.name for attribute in shared_attributes(manifest.sources))
    return Faces(
        ids=tuple(manifest.key(row) for row in rows),
        images=images,
        age_low_years=low,
        age_high_years=high,
        classes={
            name: np.array([row.classes.get(name, UNKNOWN) for row in rows], np.int64)
            for name in names
        },
    )


def check_pictures(manifest: Manifest, split: Split, reporter: Reporter) -> None:
    """Make sure that the pictures of a split are there and unchanged, without decoding them.

    Raises:
        DataError: one cannot be read, or is not the one that the manifest was made of.
    """
    rows = manifest.of_split(split)
    contents = [
        _contents(source, _pictures(source, [row for row in rows if row.source == number]))
        if source.kind == "folder"
        else None
        for number, source in enumerate(manifest.sources)
    ]
    with reporter.track(f"checking {manifest.label}, {split}", len(rows)) as advance:
        for row in rows:
            content = contents[row.source]
            if content is not None:
                content(row)
            advance(1)


def _open_one(path: Path, spec: DataSpec, seed: int, reporter: Reporter) -> Manifest:
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        manifest = read_manifest(path)
        for source in manifest.sources:
            if source.kind == "folder" and not Path(source.root).exists():
                raise DataError(
                    f"{printable(str(path))}: its faces are not at {printable(source.root)}; put "
                    "them there, or write where they are into the manifest's sources.root"
                )
        return manifest
    listing = list_dataset(path)
    return prepare(
        listing,
        scan(listing, reporter),
        seed=seed,
        validation_ratio=spec.validation_ratio,
        test_ratio=spec.test_ratio,
    )


def _drawn_manifest(spec: DataSpec, seed: int) -> Manifest:
    rows = []
    for index in range(spec.drawn_count):
        age_years, gender = drawn_labels(seed=seed, index=index)
        name = f"drawn-{GENERATOR_VERSION}-{seed}-{index:06d}"
        rows.append(
            Row(
                id=name,
                age=AgeInterval(low_years=age_years, high_years=age_years),
                classes={GENDER.name: gender},
                group=name,  # every face is drawn afresh: none is a copy
            )
        )
    ratios = {"validation": spec.validation_ratio, "test": spec.test_ratio}
    manifest = Manifest(
        sources=(
            Source(
                kind="drawn",
                label="drawn faces",
                attributes=(GENDER,),
                seed=seed,
                side_px=spec.drawn_side_px,
                version=GENERATOR_VERSION,
            ),
        ),
        seed=seed,
        validation_ratio=spec.validation_ratio,
        test_ratio=spec.test_ratio,
        rows=tuple(divide(rows, ratios, seed)),
    )
    check_manifest(manifest, "drawn faces")
    return manifest


def _reader(source: Source, rows: Sequence[Row]) -> Callable[[Row], NDArray[np.uint8]]:
    if source.kind == "drawn":
        if source.version != GENERATOR_VERSION:
            raise DataError(
                f"{source.label}: drawn by version {shown(source.version)} of the generator, "
                f"expected {shown(GENERATOR_VERSION)}; make the manifest anew"
            )

        def draw(row: Row) -> NDArray[np.uint8]:
            index = int(row.id.rsplit("-", 1)[1])
            return draw_face(seed=source.seed, index=index, side_px=source.side_px).image

        return draw
    pictures = _pictures(source, rows)
    content = _contents(source, pictures)

    def read(row: Row) -> NDArray[np.uint8]:
        return pictures.decode(row.id, content(row))

    return read


def _contents(source: Source, pictures: Pictures) -> Callable[[Row], bytes]:
    def checked(row: Row) -> bytes:
        content = pictures.content(row.id)
        if hashlib.sha256(content).hexdigest() != row.sha256:
            raise DataError(
                f"{printable(source.root)}: {row.id}: not the picture that the manifest was made "
                "of (its SHA-256 differs); make the manifest anew with: edgeface data prepare"
            )
        return content

    return checked


def _pictures(source: Source, rows: Sequence[Row]) -> Pictures:
    root = Path(source.root)
    if any(row.path != row.id for row in rows):  # in the cells of a table
        return list_dataset(root, adapter=source.adapter).pictures
    return image_files(folder_of(root))
