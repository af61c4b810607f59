"""`preprocess`: colours, sizes and damage, against arrays that are known before encoding."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.preprocess import decode_image, read_image, to_input

RED_GREEN = np.zeros((16, 24, 3), np.uint8)  # RGB: left red, right green
RED_GREEN[:, :12, 0] = 250
RED_GREEN[:, 12:, 1] = 200


def encoded(extension: str, rgb: NDArray[Any], *options: int) -> bytes:
    channels = rgb.shape[2] if rgb.ndim == 3 else 1
    code = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(channels)
    done, content = cv2.imencode(
        extension, rgb if code is None else cv2.cvtColor(rgb, code), list(options)
    )
    assert done
    return content.tobytes()


@pytest.mark.parametrize("extension", [".png", ".bmp", ".webp"])
def test_lossless_files_decode_to_the_same_rgb(extension: str) -> None:
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if extension == ".webp" else []
    rgb = decode_image(encoded(extension, RED_GREEN, *options), "x")
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, RED_GREEN)


def test_jpeg_is_rgb_and_near() -> None:
    rgb = decode_image(encoded(".jpg", RED_GREEN, cv2.IMWRITE_JPEG_QUALITY, 100), "x")
    # away from the edge only rounding of the colour conversion is left
    np.testing.assert_allclose(rgb[:, :8].mean((0, 1)), [250, 0, 0], atol=3)
    np.testing.assert_allclose(rgb[:, 16:].mean((0, 1)), [0, 200, 0], atol=3)


def test_grey_becomes_three_equal_channels() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    rgb = decode_image(encoded(".png", grey), "x")
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., np.newaxis], 3, axis=2))


def test_alpha_is_dropped_without_blending() -> None:
    alpha = np.zeros(RED_GREEN.shape[:2], np.uint8)  # wholly transparent
    rgb = decode_image(encoded(".png", np.dstack([RED_GREEN, alpha])), "x")
    np.testing.assert_array_equal(rgb, RED_GREEN)


def test_sixteen_bits_become_eight() -> None:
    deep = RED_GREEN.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_image(encoded(".png", deep), "x"), RED_GREEN)


def exif(orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_exif_orientation_is_applied(extension: str, orientation: int, turns: int) -> None:
    plain = encoded(extension, RED_GREEN)
    if extension == ".jpg":
        payload = b"Exif\0\0" + exif(orientation)
        part, at = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload, 2
    else:
        body = b"eXIf" + exif(orientation)
        part, at = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)), 33
    turned = decode_image(plain[:at] + part + plain[at:], "x")
    np.testing.assert_array_equal(turned, np.rot90(decode_image(plain, "x"), turns))


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp", ".webp"])
def test_a_file_cut_anywhere_is_refused(extension: str) -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    content = encoded(extension, rgb)
    decode_image(content, "x")
    for length in range(0, len(content), 7):
        with pytest.raises(DataError) as info:
            decode_image(content[:length], "x")
        assert "\n" not in str(info.value)


def test_damaged_png_data_is_refused() -> None:
    content = bytearray(encoded(".png", RED_GREEN))
    content[content.index(b"IDAT") + 12] ^= 0xFF
    with pytest.raises(DataError, match="x: cannot be decoded"):
        decode_image(bytes(content), "x")


def test_a_giant_never_reaches_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> None:
        raise AssertionError("the decoder was called")

    content = bytearray(encoded(".png", RED_GREEN))
    content[16:24] = struct.pack(">II", 50_000, 50_000)
    monkeypatch.setattr(cv2, "imdecode", decode)
    with pytest.raises(DataError, match="announces 50000 x 50000"):
        decode_image(bytes(content), "x")


def test_an_error_of_opencv_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> None:
        raise cv2.error("OpenCV(4)\n error: (-2)\n in function 'x'")

    monkeypatch.setattr(cv2, "imdecode", decode)
    with pytest.raises(DataError, match=r"x: cannot be decoded \(OpenCV\(4\) error: \(-2\) in"):
        decode_image(encoded(".png", RED_GREEN), "x")


def test_read_image_reads_by_content_not_name(tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(encoded(".png", RED_GREEN))
    np.testing.assert_array_equal(read_image(path), RED_GREEN)


def test_read_image_refuses_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    for name, text in [
        ("none.png", "no such file"),
        ("", "not a file"),
        ("pipe.png", "not a file"),
        ("text.png", "not an image"),
        ("empty.png", "the file is empty"),
        ("a" * 300, "cannot be read"),  # longer than a file name may be
    ]:
        with pytest.raises(DataError) as info:
            read_image(tmp_path / name)
        assert text in str(info.value)
        assert str(info.value).startswith(str(tmp_path))
        assert "\n" not in str(info.value)


def test_shrinking_is_the_mean_of_each_block() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    means = rgb.reshape(8, 3, 8, 3, 3).astype(float).mean(axis=(1, 3))
    resized = to_input(rgb, 8)
    assert resized.dtype == np.uint8
    np.testing.assert_allclose(resized, means, atol=0.5 + 1e-4)  # rounded to a whole value


def test_enlarging_is_linear() -> None:
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[:, 1] = 100
    # centres of the 4 new pixels lie at -0.25, 0.25, 0.75, 1.25 of the old ones
    expected = np.broadcast_to(np.array([0, 25, 75, 100])[np.newaxis, :, np.newaxis], (4, 4, 3))
    np.testing.assert_array_equal(to_input(rgb, 4), expected)


def test_a_picture_that_shrinks_in_one_direction_uses_area() -> None:
    rgb = np.random.default_rng(4).integers(0, 256, (6, 40, 3), dtype=np.uint8)
    for picture in (rgb, np.ascontiguousarray(rgb.transpose(1, 0, 2))):
        area = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA)
        assert np.any(area != cv2.resize(picture, (8, 8), interpolation=cv2.INTER_LINEAR))
        np.testing.assert_array_equal(to_input(picture, 8), area)


def test_the_right_size_is_copied() -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    same = to_input(rgb, 8)
    np.testing.assert_array_equal(same, rgb)
    assert not np.shares_memory(same, rgb)


@given(height=st.integers(1, 40), width=st.integers(1, 40), value=st.integers(0, 255))
def test_a_flat_picture_stays_flat(height: int, width: int, value: int) -> None:
    resized = to_input(np.full((height, width, 3), value, np.uint8), 13)
    np.testing.assert_array_equal(resized, np.full((13, 13, 3), value, np.uint8))


def test_flipped_and_cropped_views_resize_like_copies() -> None:
    rgb = np.random.default_rng(6).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    for view in (rgb[:, ::-1], rgb[3:20, 5:9], rgb[..., ::-1]):
        np.testing.assert_array_equal(to_input(view, 8), to_input(view.copy(), 8))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_picture_is_refused(array: NDArray[Any]) -> None:
    with pytest.raises(DataError, match=r"expected uint8 \[H, W, 3\], not empty"):
        to_input(array, 8)
