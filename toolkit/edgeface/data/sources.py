"""From what the user named to a manifest, and from a manifest's rows to faces in memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.config import DataSpec
from edgeface.data.drawn import GENERATOR_VERSION, draw_face, drawn_labels
from edgeface.data.faces import Faces
from edgeface.data.manifest import (
    DrawnSource,
    FolderSource,
    LabelledImage,
    LeftOut,
    Manifest,
    Row,
    Split,
    make_manifest,
)
from edgeface.data.utkface import scan_folder
from edgeface.runtime.preprocess import read_image, to_input
from edgeface.types import Reporter


def open_data(root: Path | None, spec: DataSpec, seed: int, reporter: Reporter) -> Manifest:
    """Make the manifest of a folder, or of drawn faces where there is none.

    Raises:
        DataError: the folder cannot be used.
    """
    source: FolderSource | DrawnSource
    left_out: tuple[LeftOut, ...] = ()
    if root is None:
        source = DrawnSource(seed=seed, side_px=spec.drawn_side_px, version=GENERATOR_VERSION)
        images = _drawn_images(spec.drawn_count, seed)
    else:
        source = FolderSource(root=root)
        images, left_out = scan_folder(root, reporter)
    return make_manifest(
        source,
        images,
        left_out,
        seed=seed,
        validation_ratio=spec.validation_ratio,
        test_ratio=spec.test_ratio,
    )


def load_faces(manifest: Manifest, split: Split, side_px: int, reporter: Reporter) -> Faces:
    """Bring the images of one split into memory.

    Args:
        manifest: whose rows.
        split: which of them.
        side_px: side the model wants; the resize is `runtime.preprocess.to_input`.
        reporter: shows progress.

    Raises:
        DataError: an image that was readable when the manifest was made is not any more.
    """
    rows = manifest.of_split(split)
    images = np.empty((len(rows), side_px, side_px, 3), np.uint8)

    def load(i: int) -> None:
        images[i] = to_input(_pixels(manifest, rows[i]), side_px)

    label = f"loading {manifest.source.label}, {split}"
    with reporter.track(label, len(rows)) as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(load, range(len(rows))):
            advance(1)
    return Faces(
        ids=tuple(row.id for row in rows),
        images=images,
        age_years=np.array([row.age_years for row in rows], np.float32),
        gender=np.array([row.gender for row in rows], np.int64),
    )


def _drawn_images(count: int, seed: int) -> tuple[LabelledImage, ...]:
    images = []
    for index in range(count):
        age_years, gender = drawn_labels(seed=seed, index=index)
        # every face is drawn afresh, so each is a group of its own
        name = f"drawn-{GENERATOR_VERSION}-{seed}-{index:06d}"
        images.append(LabelledImage(id=name, age_years=age_years, gender=gender, group=name))
    return tuple(images)


def _pixels(manifest: Manifest, row: Row) -> NDArray[np.uint8]:
    source = manifest.source
    if isinstance(source, FolderSource):
        return read_image(source.root / row.id)
    index = int(row.id.rsplit("-", 1)[1])
    return draw_face(seed=source.seed, index=index, side_px=source.side_px).image
