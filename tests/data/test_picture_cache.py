"""`picture_cache`: within its limits, never a half file, never work done twice."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data import picture_cache
from edgeface.data.picture_cache import cached_pictures
from edgeface.errors import DataError

Pixels = NDArray[np.uint8]

COUNT, SIDE_PX = 5, 4
PICTURE_BYTES = 5 * 4 * 4 * 3
FILE_BYTES = 128 + PICTURE_BYTES  # numpy's header is padded to a multiple of 64


def expected(first: int = 0) -> Pixels:
    values = np.arange(first, first + PICTURE_BYTES)
    return values.astype(np.uint8).reshape(COUNT, SIDE_PX, SIDE_PX, 3)


def filler(calls: list[int], first: int = 0) -> Callable[[Pixels], None]:
    def fill(array: Pixels) -> None:
        calls.append(len(array))
        assert array.shape == (COUNT, SIDE_PX, SIDE_PX, 3)
        assert array.dtype == np.uint8
        array[...] = expected(first)

    return fill


def ask(
    folder: Path,
    fill: Callable[[Pixels], None],
    *,
    key: str = "key",
    memory_bytes: int = 0,
    disk_bytes: int = 10 * FILE_BYTES,
) -> Pixels:
    return cached_pictures(
        COUNT,
        SIDE_PX,
        fill,
        key=key,
        folder=folder,
        memory_bytes=memory_bytes,
        disk_bytes=disk_bytes,
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_fits_stays_in_memory(tmp_path: Path) -> None:
    calls: list[int] = []
    found = ask(tmp_path / "cache", filler(calls), memory_bytes=PICTURE_BYTES, disk_bytes=0)
    assert not isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, expected())
    assert calls == [COUNT]
    assert not (tmp_path / "cache").exists()


def test_one_byte_too_many_goes_to_disk_and_is_there_the_next_time(tmp_path: Path) -> None:
    calls: list[int] = []
    for _ in range(3):
        found = ask(
            tmp_path / "cache",
            filler(calls),
            memory_bytes=PICTURE_BYTES - 1,
            disk_bytes=FILE_BYTES,
        )
        assert isinstance(found, np.memmap)
        assert not found.flags.writeable
        np.testing.assert_array_equal(found, expected())
    assert calls == [COUNT], "filled once"
    assert names(tmp_path / "cache") == {"key.pictures.npy"}
    path = tmp_path / "cache" / "key.pictures.npy"
    assert path.stat().st_size == FILE_BYTES
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), expected(), "numpy's format")


def test_too_large_for_both_is_refused_in_one_line(tmp_path: Path) -> None:
    calls: list[int] = []
    with pytest.raises(DataError) as caught:
        ask(
            tmp_path / "cache",
            filler(calls),
            memory_bytes=PICTURE_BYTES - 1,
            disk_bytes=FILE_BYTES - 1,
        )
    message = str(caught.value)
    assert message.count("\n") == 0
    for part in ("5 pictures at 4 px", "368 bytes", "239 in memory", "367 on disk", "raise cache_"):
        assert part in message
    assert not calls
    assert not (tmp_path / "cache").exists()


def header_of(shape: tuple[int, ...], kind: type, *, fortran: bool = False) -> bytes:
    array: NDArray[Any] = np.zeros(shape, kind, order="F" if fortran else "C")
    description = np.lib.format.header_data_from_array_1_0(array)
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, description)
    return out.getvalue()


SHAPE = (COUNT, SIDE_PX, SIDE_PX, 3)
WHOLE = header_of(SHAPE, np.uint8) + bytes(PICTURE_BYTES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"PK\x03\x04" + bytes(FILE_BYTES - 4),
        WHOLE[:-1],
        WHOLE + b"\0",
        header_of((COUNT, SIDE_PX, 3, SIDE_PX), np.uint8) + bytes(PICTURE_BYTES),
        header_of(SHAPE, np.int8) + bytes(PICTURE_BYTES),
        header_of(SHAPE, np.uint8, fortran=True) + bytes(PICTURE_BYTES),
        header_of(SHAPE, object) + bytes(PICTURE_BYTES),
    ],
    ids=[
        "empty",
        "garbage",
        "archive",
        "cut-off",
        "too-long",
        "shape",
        "dtype",
        "order",
        "objects",
    ],
)
def test_a_file_that_is_not_whole_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pictures.npy").write_bytes(content)
    calls: list[int] = []
    np.testing.assert_array_equal(ask(tmp_path, filler(calls)), expected())
    assert calls == [COUNT]
    assert names(tmp_path) == {"key.pictures.npy"}


def test_a_whole_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """The contrast to the test above: this content is accepted, zeros and all."""
    (tmp_path / "key.pictures.npy").write_bytes(WHOLE)
    calls: list[int] = []
    np.testing.assert_array_equal(ask(tmp_path, filler(calls)), np.zeros(SHAPE))
    assert not calls


@pytest.mark.parametrize("reason", [KeyboardInterrupt(), DataError("a.jpg is gone"), OSError("x")])
def test_an_interrupted_filling_leaves_nothing(tmp_path: Path, reason: BaseException) -> None:
    def broken(array: Pixels) -> None:
        array[:2] = 7
        assert len(names(tmp_path)) == 1, "the half file"
        assert "key.pictures.npy" not in names(tmp_path), "not under its name yet"
        raise reason

    with pytest.raises(type(reason)) as caught:
        ask(tmp_path, broken)
    assert caught.value is reason, "passed on as it is"
    assert names(tmp_path) == set()
    calls: list[int] = []
    np.testing.assert_array_equal(ask(tmp_path, filler(calls)), expected())
    assert calls == [COUNT]


def test_what_a_killed_run_left_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "key.pictures.npy.0123.part").write_bytes(b"half")
    ask(tmp_path, filler([]))
    assert names(tmp_path) == {"key.pictures.npy"}


def test_a_run_whose_half_file_another_run_deleted_fails(tmp_path: Path) -> None:
    """It must not take the other run's half file for its own."""
    started, go_on = threading.Event(), threading.Event()

    def slow(array: Pixels) -> None:
        started.set()
        assert go_on.wait(60)
        array[...] = expected(100)

    other = threading.Thread(target=ask, args=(tmp_path, slow))

    def overtaken(array: Pixels) -> None:
        array[...] = expected()
        other.start()
        assert started.wait(60)

    try:
        with pytest.raises(DataError, match="no other run fills it"):
            ask(tmp_path, overtaken)
    finally:
        go_on.set()
        other.join()
    calls: list[int] = []
    np.testing.assert_array_equal(ask(tmp_path, filler(calls)), expected(100))
    assert not calls, "the other run's file"


def test_the_oldest_files_of_other_keys_make_room(tmp_path: Path) -> None:
    (tmp_path / "precious.npy").write_bytes(bytes(10 * FILE_BYTES))  # not the cache's
    for age_s, key in enumerate("cba"):  # a is the oldest
        ask(tmp_path, filler([]), key=key)
        stamp = 1_700_000_000 - age_s
        os.utime(tmp_path / f"{key}.pictures.npy", (stamp, stamp))
    ask(tmp_path, filler([]), key="a")  # asked for again: now b is the oldest
    ask(tmp_path, filler([]), key="d", disk_bytes=3 * FILE_BYTES)
    kept = {f"{key}.pictures.npy" for key in "acd"}
    assert names(tmp_path) == kept | {"precious.npy"}
    ask(tmp_path, filler([]), key="e", disk_bytes=2 * FILE_BYTES - 1)
    assert names(tmp_path) == {"e.pictures.npy", "precious.npy"}


def test_a_wrong_file_of_its_own_name_makes_room_first(tmp_path: Path) -> None:
    ask(tmp_path, filler([]), key="other")
    (tmp_path / "key.pictures.npy").write_bytes(bytes(FILE_BYTES))
    ask(tmp_path, filler([]), disk_bytes=2 * FILE_BYTES)
    assert names(tmp_path) == {"other.pictures.npy", "key.pictures.npy"}


def test_a_full_disk_is_one_line_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(part: Path, header: bytes, picture_bytes: int) -> None:
        part.write_bytes(header)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(picture_cache, "_reserve", full)
    calls: list[int] = []
    with pytest.raises(DataError) as caught:
        ask(tmp_path, filler(calls))
    assert str(caught.value) == (
        f"picture cache {tmp_path / 'key.pictures.npy'}: No space left on device; "
        "free 368 bytes there"
    )
    assert not calls
    assert names(tmp_path) == set()


def test_the_file_is_as_large_before_it_is_filled(tmp_path: Path) -> None:
    """So that a full disk is found when it is an error and not a signal."""
    blocks: list[int] = []

    def fill(array: Pixels) -> None:
        (part,) = tmp_path.iterdir()
        blocks.append(part.stat().st_size)
        assert not array.any()

    cached_pictures(
        1, 2400, fill, key="k", folder=tmp_path, memory_bytes=0, disk_bytes=20_000_000
    )  # more than one chunk of 2**24 bytes
    assert blocks == [128 + 2400 * 2400 * 3]


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(DataError, match=r"picture cache .*; check that the folder can be written"):
        ask(tmp_path / "cache", filler([]))
