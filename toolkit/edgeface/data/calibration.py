"""Choosing the calibration set: a small part of the training split that shows its variety.

In: rows of a manifest. Out: some of its training rows; and the record of them that is kept in
`calibration_data/`: ids and digests, never pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeface.data.adapters.paths import printable, shown
from edgeface.data.labels import AgeInterval
from edgeface.data.manifest import Manifest, Row
from edgeface.data.split import seeded_hash, stratum
from edgeface.errors import DataError
from edgeface.records import write_json

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CalibrationImage:
    """One image of the calibration set.

    Attributes:
        id: as in the sidecar's `calibration_ids`.
        sha256: of its file; empty for a drawn face.
        age: None where it is not known.
        classes: name of the class by attribute.
    """

    id: str
    sha256: str
    age: AgeInterval | None
    classes: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """What is written to `calibration_data/`.

    Attributes:
        schema_version: see `SCHEMA_VERSION`.
        data: what the images are.
        manifest_sha256: of the manifest that they were chosen from.
        seed: of the choice.
        images: in the order of the choice.
        stability: what the two-half test found; empty if it was not made.
    """

    schema_version: int
    data: str
    manifest_sha256: str
    seed: int
    images: tuple[CalibrationImage, ...]
    stability: dict[str, Any]


def choose_calibration(manifest: Manifest, count: int, seed: int) -> tuple[Row, ...]:
    """Take evenly spaced images from the training split sorted by gender, age decade and race.

    So each stratum is there in proportion, and so it is in every second one of the images. Of
    copies only one is taken. Fewer images than `count` are all taken.

    Args:
        manifest: of which only the training split is looked at.
        count: images wanted, 1 or more.
        seed: of the order within a stratum.

    Returns:
        `count` rows, or all there are, in the sorted order.
    """
    one_a_group: dict[str, Row] = {}
    for row in manifest.of_split("train"):
        one_a_group.setdefault(row.group, row)
    order = sorted(
        one_a_group.values(),
        key=lambda row: (stratum(row), seeded_hash(seed, manifest.key(row))),
    )
    count = min(count, len(order))
    return tuple(order[(2 * k + 1) * len(order) // (2 * count)] for k in range(count))


def check_calibration(manifest: Manifest, ids: tuple[str, ...], where: str) -> None:
    """Refuse calibration images that a model is measured on.

    Args:
        manifest: of the data that the model is measured on.
        ids: of the calibration images.
        where: the model, for the message.

    Raises:
        DataError: an id is not in the training split.
    """
    train = {manifest.key(row) for row in manifest.of_split("train")}
    strangers = [id for id in ids if id not in train]
    if strangers:
        raise DataError(
            f"{where}: {len(strangers)} of {len(ids)} calibration images are not in the training "
            f"split of {manifest.label}, e.g. {shown(strangers[0])}: figures would be of images "
            "that set its int8 ranges; quantize again with this manifest"
        )


def calibration_record(
    manifest: Manifest, rows: tuple[Row, ...], seed: int, stability: dict[str, Any]
) -> CalibrationRecord:
    """Put down which images were chosen."""
    return CalibrationRecord(
        schema_version=SCHEMA_VERSION,
        data=manifest.label,
        manifest_sha256=manifest.sha256,
        seed=seed,
        images=tuple(
            CalibrationImage(
                id=manifest.key(row),
                sha256=row.sha256,
                age=row.age,
                classes={
                    attribute.name: attribute.classes[row.classes[attribute.name]]
                    for attribute in manifest.sources[row.source].attributes
                    if attribute.name in row.classes
                },
            )
            for row in rows
        ),
        stability=stability,
    )


def write_calibration(folder: Path, name: str, record: CalibrationRecord) -> Path:
    """Write the record as `NAME.json`.

    Args:
        folder: made if it is missing.
        name: of the int8 model that it calibrated.
        record: to write.

    Returns:
        The file's path.

    Raises:
        DataError: the folder cannot be written.
    """
    path = folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
    except OSError as err:
        raise DataError(
            f"{printable(str(path))}: cannot be written: {err.strerror}; give another folder"
        ) from err
    return path
