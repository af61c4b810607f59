"""`image_file`: whole files pass, cut files and announced giants do not, and nothing is decoded."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Callable, Dict

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime import image_file
from edgeface.runtime.image_file import MAX_PIXELS, check_image_file


def picture(height: int = 37, width: int = 53, channels: int = 3) -> NDArray[np.uint8]:
    generator = np.random.default_rng(5)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(extension: str, image: NDArray[np.uint8], *options: int) -> bytes:
    done, content = cv2.imencode(extension, image, list(options))
    assert done
    return content.tobytes()


def with_thumbnail(jpeg: bytes) -> bytes:
    """Put a whole second JPEG into an APP1 segment, as cameras do."""
    payload = b"Exif\0\0" + encoded(".jpg", picture(9, 9))
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


ENCODERS: Dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
    "jpeg": lambda image: encoded(".jpg", image),
    "jpeg thumbnail": lambda image: with_thumbnail(encoded(".jpg", image)),
    "jpeg progressive": lambda image: encoded(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg restarts": lambda image: encoded(".jpg", image, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "png": lambda image: encoded(".png", image),
    "webp lossy": lambda image: encoded(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 60),
    "webp lossless": lambda image: encoded(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101),
    "webp alpha": lambda image: encoded(
        ".webp", np.dstack([image, image[..., 0]]), cv2.IMWRITE_WEBP_QUALITY, 60
    ),
    "bmp": lambda image: encoded(".bmp", image),
}
CUTTABLE = {name: encode(picture()) for name, encode in ENCODERS.items() if name != "bmp"}


def refusal(content: bytes) -> str:
    with pytest.raises(DataError) as info:
        check_image_file(content, "a.jpg")
    text = str(info.value)
    assert text.startswith("a.jpg: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 53), (300, 7)])
def test_the_size_is_read_from_the_header(
    name: str, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = ENCODERS[name](picture(height, width))
    # a thumbnail of 9 x 9 must not count, nor be taken for the picture
    monkeypatch.setattr(image_file, "MAX_PIXELS", height * width)
    check_image_file(content, "x")
    monkeypatch.setattr(image_file, "MAX_PIXELS", height * width - 1)
    assert f"announces {width} x {height} pixels" in refusal(content)


@given(
    name=st.sampled_from(sorted(ENCODERS.keys() - {"bmp"})),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    share=st.floats(0, 1, exclude_max=True),
)
def test_any_picture_cut_anywhere_is_refused(
    name: str, height: int, width: int, share: float
) -> None:
    content = ENCODERS[name](picture(height, width))
    length = 12 + int(share * (len(content) - 12))
    assert f"truncated after {length} bytes" in refusal(content[:length])


@pytest.mark.parametrize("name", CUTTABLE)
def test_a_file_cut_at_every_length_is_refused(name: str) -> None:
    content = CUTTABLE[name]
    for length in range(12, len(content)):
        with pytest.raises(DataError, match=f"truncated after {length} bytes"):
            check_image_file(content[:length], "x")


def test_the_end_of_an_embedded_thumbnail_is_not_the_end() -> None:
    content = CUTTABLE["jpeg thumbnail"]
    cut = content[: len(content) // 2]
    assert b"\xff\xd9" in cut  # the thumbnail's
    assert "truncated" in refusal(cut)


def test_bytes_after_the_end_do_no_harm() -> None:  # phones append a second picture
    for content in CUTTABLE.values():
        check_image_file(content + b"\xff\xd8\xff appended", "x")


def test_fill_bytes_before_a_marker_are_allowed() -> None:
    content = CUTTABLE["jpeg"]
    check_image_file(content[:-2] + b"\xff\xff" + content[-2:], "x")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty"),
        (b"just text in a .png", "not an image: found b'just tex'"),
        (b"<html><body>404</body></html>", "expected a JPEG, PNG, BMP or WebP"),
        (b"GIF89a\x01\x00\x01\x00", "not an image"),
        (b"II*\0\x08\0\0\0", "not an image"),  # TIFF
        (b"RIFF\x10\0\0\0WAVEfmt ", "not an image"),
        (b"\xff\xd8", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "the PNG is truncated after 8 bytes"),
        (b"BM", "the BMP is truncated after 2 bytes"),
        (b"\xff\xd8\xff\xd9", "the JPEG has no pixels (0 x 0)"),
    ],
)
def test_what_is_no_image_is_refused(content: bytes, text: str) -> None:
    assert text in refusal(content)


def png_header(width: int, height: int) -> bytes:
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for kind, body in ((b"IHDR", header), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        content += struct.pack(">I", len(body)) + kind + body + checksum
    return content


def jpeg_header(width: int, height: int, marker: int = 0xC0) -> bytes:
    frame = struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff" + bytes([marker]) + frame + b"\xff\xd9"


def webp_header(kind: bytes, width: int, height: int) -> bytes:
    if kind == b"VP8X":
        body = bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    elif kind == b"VP8L":
        body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    chunk = kind + struct.pack("<I", len(body)) + body + bytes(4)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, width, height, 1, 24, 0) + bytes(20)


def bmp_core_header(width: int, height: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<IHHHH", 12, width, height, 1, 24)


GIANTS: Dict[str, bytes] = {
    "png": png_header(50_000, 50_000),
    "jpeg": jpeg_header(50_000, 50_000),
    "jpeg progressive": jpeg_header(50_000, 50_000, 0xC2),
    "jpeg arithmetic": jpeg_header(50_000, 50_000, 0xC9),
    "jpeg second frame": jpeg_header(8, 8)[:-2] + jpeg_header(50_000, 50_000)[2:],
    "jpeg first frame": jpeg_header(50_000, 50_000)[:-2] + jpeg_header(8, 8)[2:],
    "webp VP8X": webp_header(b"VP8X", 50_000, 50_000),
    "webp VP8X wide": webp_header(b"VP8X", 70_000, 2_000),  # needs the third byte
    "webp VP8X high": webp_header(b"VP8X", 2_000, 70_000),
    "webp VP8L": webp_header(b"VP8L", 16_384, 16_384),
    "webp VP8": webp_header(b"VP8 ", 16_383, 16_383),
    "bmp": bmp_header(50_000, 50_000),
    "bmp top down": bmp_header(50_000, -50_000),
    "bmp core": bmp_core_header(50_000, 50_000),
}


@pytest.mark.parametrize("name", GIANTS)
def test_a_giant_is_refused_by_its_header(name: str) -> None:
    assert f"expected at most {MAX_PIXELS}" in refusal(GIANTS[name])


@pytest.mark.parametrize("header", [png_header, jpeg_header, bmp_header, bmp_core_header])
def test_the_limit_itself_is_allowed(header: Callable[[int, int], bytes]) -> None:
    assert MAX_PIXELS == 10_000 * 10_000
    check_image_file(header(10_000, 10_000), "x")
    assert "announces 10001 x 10000" in refusal(header(10_001, 10_000))


@pytest.mark.parametrize("content", [png_header(0, 5), jpeg_header(5, 0), bmp_header(0, 0)])
def test_a_picture_without_pixels_is_refused(content: bytes) -> None:
    assert "has no pixels" in refusal(content)


MAGICS = [b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]


@given(content=st.binary(max_size=200), magic=st.sampled_from(MAGICS))
def test_any_bytes_pass_or_are_a_data_error(content: bytes, magic: bytes) -> None:
    with contextlib.suppress(DataError):  # any other error fails
        check_image_file(magic + content, "x")
