"""Reading a folder of UTKFace names: `<age>_<gender>_<race>_<date>.jpg`.

In: a folder. Out: labelled images, and those left out with the reason.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from edgeface.data.labels import MAX_AGE_YEARS
from edgeface.data.manifest import LabelledImage, LeftOut
from edgeface.errors import DataError
from edgeface.runtime.preprocess import read_image
from edgeface.types import Reporter

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# Anchored on all four fields: a naive split on "_" reads the date as race where race is missing.
# Source: UTKFace; age 0 to 116, gender 0 or 1, race 0 to 4, date and time in digits.
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_(?P<date>\d{8,}).*")


def scan_folder(
    root: Path, reporter: Reporter
) -> tuple[tuple[LabelledImage, ...], tuple[LeftOut, ...]]:
    """Read every picture once: its labels from its name, its group from its pixels.

    Args:
        root: searched with its subfolders; symbolic links to folders are not followed.
        reporter: shows progress.

    Returns:
        Usable images, and those left out with the reason.

    Raises:
        DataError: no such folder, a folder in it that cannot be listed, no pictures in it, or
            none that can be used.
    """
    names = _picture_names(root)
    images: list[LabelledImage] = []
    left_out: list[LeftOut] = []
    with (
        reporter.track(f"reading {root.name}", len(names)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for found in pool.map(_read_with(root), names):
            (images if isinstance(found, LabelledImage) else left_out).append(found)  # type: ignore[arg-type]  # each goes to the list of its type
            advance(1)
    if not images:
        example = left_out[0]
        raise DataError(
            f"{root}: none of {len(names)} pictures can be used, e.g. {example.id}: "
            f"{example.reason}"
        )
    return tuple(images), tuple(left_out)


def parse_name(name: str) -> tuple[int, int]:
    """Age in years and gender (0 male, 1 female) from a UTKFace file name.

    Raises:
        DataError: the name has another form, or an age over 120.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError("name is not <age>_<gender 0|1>_<race 0-4>_<date>.jpg")
    age = int(match["age"])
    if age > MAX_AGE_YEARS:
        raise DataError(f"age {age} in the name, expected 0 to {MAX_AGE_YEARS}")
    return age, int(match["gender"])


def _picture_names(root: Path) -> list[str]:
    try:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; give --data a folder of labelled faces")
    except OSError as err:
        _refuse_folder(err)
    names = []
    for folder, _, files in os.walk(root, onerror=_refuse_folder):
        for file in files:
            if Path(file).suffix.lower() in IMAGE_SUFFIXES:
                names.append((Path(folder) / file).relative_to(root).as_posix())
    if not names:
        raise DataError(f"{root}: no pictures in it, expected {', '.join(IMAGE_SUFFIXES)} files")
    return sorted(names)


def _refuse_folder(err: OSError) -> NoReturn:
    raise DataError(f"{err.filename}: cannot be listed: {err.strerror}; check its rights") from err


def _read_with(root: Path) -> Callable[[str], LabelledImage | LeftOut]:
    def read(name: str) -> LabelledImage | LeftOut:
        printable = name.encode("utf-8", "backslashreplace").decode("utf-8")
        if printable != name:
            return LeftOut(id=printable, reason="file name is not UTF-8")
        try:
            age_years, gender = parse_name(Path(name).name)
            image = read_image(root / name)
        except DataError as err:
            return LeftOut(id=name, reason=str(err).removeprefix(f"{root / name}: "))
        digest = hashlib.sha256(f"{image.shape}".encode())
        digest.update(image.tobytes())
        return LabelledImage(id=name, age_years=age_years, gender=gender, group=digest.hexdigest())

    return read
