"""Decoded pictures of one split at one side, so that an epoch reads arrays and not files.

In: a function that fills an array. Out: the array, in memory or in a file mapped into it, never
larger than allowed.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError

Pixels = NDArray[np.uint8]

# Only such files are ever deleted: the folder may hold other arrays.
SUFFIX = ".pictures.npy"
CHUNK_BYTES = 2**24


def cached_pictures(
    count: int,
    side_px: int,
    fill: Callable[[Pixels], None],
    *,
    key: str,
    folder: Path,
    memory_bytes: int,
    disk_bytes: int,
) -> Pixels:
    """Give the pictures of one split: from memory if they fit, otherwise from a file.

    On disk the file is `KEY.pictures.npy` in `folder`. A whole file of the right shape is used as
    it is and `fill` is not called; any other is made anew, under a temporary name that is renamed
    when the file is whole. All `.pictures.npy` files in the folder together stay within
    `disk_bytes`: before a file is made, what interrupted runs left is deleted, and then files of
    other keys, those first whose pictures were asked for longest ago (their time stamp is renewed
    each time). Of two runs that fill one folder at the same time, the first one fails.

    Args:
        count: number of pictures N.
        side_px: their height and width.
        fill: writes all pictures into the array it is given, uint8 [N, side, side, 3], zeros.
        key: names the file; a digest of all that determines the pictures (manifest, split, side).
        folder: of the cache; made if it is needed.
        memory_bytes: largest set of pictures that is kept in memory.
        disk_bytes: largest cache folder.

    Returns:
        uint8 [N, side, side, 3]; a read-only `numpy.memmap` if it is on disk.

    Raises:
        DataError: too large for memory and disk, or the file cannot be written or read (a full
            disk leaves no half file behind). Whatever `fill` raises is passed on.
    """
    shape = (count, side_px, side_px, 3)
    picture_bytes = count * side_px * side_px * 3
    if picture_bytes <= memory_bytes:
        pictures = np.zeros(shape, np.uint8)
        fill(pictures)
        return pictures
    header = _header(shape)
    file_bytes = len(header) + picture_bytes
    if file_bytes > disk_bytes:
        raise DataError(
            f"picture cache: {count} pictures at {side_px} px take {file_bytes:,} bytes, expected "
            f"at most {memory_bytes:,} in memory or {disk_bytes:,} on disk; raise "
            "cache_memory_bytes or cache_disk_bytes in the recipe, or lower side_px"
        )
    path = folder / f"{key}{SUFFIX}"
    with _one_line(path, file_bytes):
        if _is_whole(path, header, file_bytes):
            return _opened(path, header, shape)
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder, disk_bytes - file_bytes, keep=path)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with _one_line(path, file_bytes):
            _reserve(part, header, picture_bytes)
            pictures = np.memmap(part, np.uint8, "r+", len(header), shape)
        fill(pictures)
        with _one_line(path, file_bytes):
            pictures.flush()
            del pictures
            part.replace(path)
            return _opened(path, header, shape)
    finally:
        part.unlink(missing_ok=True)


def _header(shape: tuple[int, ...]) -> bytes:
    head = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, description)
    return head.getvalue()


def _is_whole(path: Path, header: bytes, file_bytes: int) -> bool:
    # compared, not parsed: a file that says anything else is not ours
    try:
        with path.open("rb") as file:
            return path.stat().st_size == file_bytes and file.read(len(header)) == header
    except FileNotFoundError:
        return False


def _opened(path: Path, header: bytes, shape: tuple[int, ...]) -> Pixels:
    os.utime(path)
    return np.memmap(path, np.uint8, "r", len(header), shape)


def _make_room(folder: Path, allowed_bytes: int, *, keep: Path) -> None:
    for left in folder.glob(f"*{SUFFIX}.*.part"):
        left.unlink()
    keep.unlink(missing_ok=True)
    files = sorted(folder.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime_ns)
    used_bytes = sum(file.stat().st_size for file in files)
    for file in files:
        if used_bytes <= allowed_bytes:
            return
        used_bytes -= file.stat().st_size
        file.unlink()


def _reserve(part: Path, header: bytes, picture_bytes: int) -> None:
    # written in full first: a page of a mapped file that finds no room on the disk would end the
    # process with a bus error, and here it is an OSError
    with part.open("xb") as file:
        file.write(header)
        for start in range(0, picture_bytes, CHUNK_BYTES):
            file.write(bytes(min(CHUNK_BYTES, picture_bytes - start)))


@contextmanager
def _one_line(path: Path, file_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        advice = (
            f"free {file_bytes:,} bytes there"
            if err.errno in (errno.ENOSPC, errno.EDQUOT)
            else "check that the folder can be written and no other run fills it"
        )
        raise DataError(f"picture cache {path}: {err.strerror or err}; {advice}") from err
