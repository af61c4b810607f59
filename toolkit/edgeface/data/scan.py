"""What the pixels of a labelled set are: size, light, digests and perceptual hash of each picture.

In: a `Listing`. Out: a `Scan`, with the reason for each picture that cannot be read. Every picture
is decoded once and dropped after its turn; only its measurements stay. Nothing is compared here
(`duplicates` does), and no label is looked at.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.data.labels import Entry, Listing
from edgeface.errors import DataError
from edgeface.types import Reporter

HASH_SIDE = 16
"""The hash keeps HASH_SIDE x HASH_SIDE cosine coefficients, a bit each.

Source: measured, see benchmarks/LOG.md: with the usual 8 x 8, aligned faces of different people lie
as near to each other as copies do; with 16 x 16 a gap opens between the two.
"""

FLAT_CONTRAST = 2.0
"""Standard deviation in grey levels below which a picture has nothing to hash.

Source: chosen: below it the signs of its cosine coefficients are coding noise; the flattest of
32,136 FER2013 faces has 9.1.
"""

# Row and column of each coefficient, low frequencies first, the mean (0, 0) last: it is positive
# in every picture.
_ORDER = sorted(
    ((row, column) for row in range(HASH_SIDE) for column in range(HASH_SIDE)),
    key=lambda at: (at == (0, 0), sum(at), at),
)
_ROWS, _COLUMNS = np.array(_ORDER).T

MIRRORED_BITS = np.packbits(_COLUMNS % 2).tobytes().hex()
"""The bits of a perceptual hash that change when the picture is mirrored, as such a hash.

Source: a cosine with an odd number of half waves across is odd about the middle: mirroring changes
its coefficient's sign. A bit compares with the median coefficient, which is near 0, not with 0, so
up to a few bits change otherwise.
"""

# Entries handed to the threads at a time: bounds what waits, also for Ctrl-C.
_CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture that can be read.

    Attributes:
        id: of its entry.
        content_sha256: of the bytes that stand for it (file or CSV cell): equal for copied files.
        pixels_sha256: of shape and decoded pixels: equal for copies in whatever file format.
        width_px: 1 or more.
        height_px: 1 or more.
        brightness: mean grey level, 0 to 255.
        contrast: standard deviation of the grey levels, 0 to 127.5.
        perceptual_hash: see the function of that name.
    """

    id: str
    content_sha256: str
    pixels_sha256: str
    width_px: int
    height_px: int
    brightness: float
    contrast: float
    perceptual_hash: str | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One entry and what is wrong with it.

    Attributes:
        id: of the entry.
        reason: one line.
    """

    id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Every entry of a listing, measured or found unreadable.

    Attributes:
        pictures: in the order of the listing.
        unreadable: in the order of the listing.
    """

    pictures: tuple[Picture, ...]
    unreadable: tuple[Finding, ...]


def scan(listing: Listing, reporter: Reporter) -> Scan:
    """Decode and measure every picture once, on all cores.

    Args:
        listing: whose entries; what it has left out is not looked at.
        reporter: shows progress.

    Returns:
        The measurements: the same for the same pictures, whatever the number of cores.

    Raises:
        DataError: the library that hashes is not installed.
    """
    _check_library()
    found: list[Picture | Finding] = []
    with (
        reporter.track(f"reading {listing.root.name}", len(listing.entries)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for start in range(0, len(listing.entries), _CHUNK):
            chunk = listing.entries[start : start + _CHUNK]
            for one in pool.map(partial(_measure, listing), chunk):
                found.append(one)
                advance(1)
    return Scan(
        pictures=tuple(one for one in found if isinstance(one, Picture)),
        unreadable=tuple(one for one in found if isinstance(one, Finding)),
    )


def perceptual_hash(rgb: NDArray[np.uint8]) -> str | None:
    """Hash what a picture looks like: near for copies, whatever their size and JPEG quality.

    Args:
        rgb: uint8 [H, W, 3], RGB.

    Returns:
        256 bits as 64 hexadecimal digits, low frequencies first; None where the picture is flat
        (`FLAT_CONTRAST`).

    Raises:
        DataError: the library that hashes is not installed.

    Source:
        `imagehash.phash(image, 16)`: which of the lowest 16 x 16 cosine coefficients of the picture
        at 64 x 64 px are above their median; N. Krawetz, "Looks Like It", hackerfactor.com (2011).
    """
    _check_library()
    grey = _grey(rgb)
    return _hash(grey, _light(grey)[1])


def _measure(listing: Listing, entry: Entry) -> Picture | Finding:
    try:
        content = listing.pictures.content(entry.id)
        rgb = listing.pictures.decode(entry.id, content)
    except DataError as err:
        # the report names the set once, at its top
        return Finding(id=entry.id, reason=str(err).removeprefix(f"{listing.root / entry.id}: "))
    grey = _grey(rgb)
    brightness, contrast = _light(grey)
    return Picture(
        id=entry.id,
        content_sha256=hashlib.sha256(content).hexdigest(),
        pixels_sha256=_pixel_digest(rgb),
        width_px=rgb.shape[1],
        height_px=rgb.shape[0],
        brightness=brightness,
        contrast=contrast,
        perceptual_hash=_hash(grey, contrast),
    )


def _pixel_digest(rgb: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(f"{rgb.shape}".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def _light(grey: NDArray[np.uint8]) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(grey)
    return float(mean.item()), float(deviation.item())


def _hash(grey: NDArray[np.uint8], contrast: float) -> str | None:
    from imagehash import phash
    from PIL.Image import fromarray

    if contrast < FLAT_CONTRAST:
        return None
    above = phash(fromarray(grey), HASH_SIDE).hash
    return np.packbits(above[_ROWS, _COLUMNS]).tobytes().hex()


def _check_library() -> None:
    try:
        import imagehash  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as err:
        raise DataError(
            f"{err.name} is not installed, looking for copies needs it; "
            "install with: pip install 'edgeface[data]'"
        ) from err
