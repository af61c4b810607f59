"""Reads just enough of an image file to refuse it before it is decoded.

In: the bytes of a file. Out: nothing, or a `DataError`. Decides by magic number, not by name; does
not decode a pixel, so that a header that announces 50,000 x 50,000 pixels allocates nothing.

The end of a JPEG is looked for here because OpenCV of Raspberry Pi OS Bookworm (4.6) silently
returns a half-grey picture for a truncated one; 4.11 and later refuse it themselves. Damage inside
compressed data that leaves the segments intact cannot be seen here.

Source: ITU-T T.81 annex B (JPEG), W3C PNG specification, WebP container specification and RFC 6386
9.1 (VP8), WebP lossless bitstream specification, BITMAPCOREHEADER and BITMAPINFOHEADER (BMP).
"""

from __future__ import annotations

import re
from struct import error as StructError
from struct import unpack_from
from typing import Tuple

from edgeface.errors import DataError

MAX_PIXELS = 100_000_000
"""Largest picture decoded. Chosen: every camera of a phone or Pi is below it, and its 300 MB as
RGB still fit a Pi with 1 GB."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# a marker with a segment, or SOI, or EOI; 00 is a stuffed byte, FF fills, 01 and D0..D7 stand alone
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
_JPEG_SOI, _JPEG_EOI = 0xD8, 0xD9
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn; these three are not
_BMP_CORE_HEADER_BYTES = 12

_Size = Tuple[int, int]  # width, height


def check_image_file(content: bytes, where: str) -> None:
    """Refuse a file that is not a whole JPEG, PNG, BMP or WebP of bearable size.

    Args:
        content: the whole file.
        where: the file, for messages.

    Raises:
        DataError: empty, another format, truncated, no pixels, or more than `MAX_PIXELS`. Data
            missing from a BMP is left to the decoder, which refuses it in every OpenCV since 4.6.
    """
    if not content:
        raise DataError(f"{where}: the file is empty; copy or download it again")
    name = _format(content)
    if not name:
        raise DataError(
            f"{where}: not an image: found {content[:8]!r} at its start, "
            "expected a JPEG, PNG, BMP or WebP"
        )
    try:
        width, height = _FORMATS[name](content)
    except (EOFError, StructError) as err:
        raise DataError(
            f"{where}: the {name} is truncated after {len(content)} bytes; "
            "copy or download it again"
        ) from err
    if width < 1 or height < 1:
        raise DataError(f"{where}: the {name} has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{where}: the {name} announces {width} x {height} pixels, "
            f"expected at most {MAX_PIXELS}; shrink it first"
        )


def _format(content: bytes) -> str:
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(_PNG_MAGIC):
        return "PNG"
    if content.startswith(b"BM"):
        return "BMP"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WebP"
    return ""


def _jpeg_size(content: bytes) -> _Size:
    # Segments are skipped by their length, so the markers of an embedded thumbnail do not count.
    # Between scans of a progressive file the same search runs over the compressed data.
    largest = (0, 0)
    at = 2
    while True:
        marker = _JPEG_MARKER.search(content, at)
        if marker is None:
            raise EOFError
        code, body = content[marker.end() - 1], marker.end()
        if code == _JPEG_EOI:
            return largest
        if code == _JPEG_SOI:
            at = body
            continue
        if code in _JPEG_FRAMES:
            height, width = unpack_from(">HH", content, body + 3)
            largest = max(largest, (width, height), key=lambda size: size[0] * size[1])
        (length,) = unpack_from(">H", content, body)
        at = body + length


def _png_size(content: bytes) -> _Size:
    width, height = unpack_from(">II", content, 16)
    at = len(_PNG_MAGIC)
    kind = b""
    while kind != b"IEND":
        length, kind = unpack_from(">I4s", content, at)
        at += 12 + length  # length, kind, data, checksum
        if at > len(content):
            raise EOFError
    return width, height


def _bmp_size(content: bytes) -> _Size:
    (header_bytes,) = unpack_from("<I", content, 14)
    layout = "<HH" if header_bytes == _BMP_CORE_HEADER_BYTES else "<ii"
    width, height = unpack_from(layout, content, 18)
    return abs(width), abs(height)  # a negative height says that rows go down


def _webp_size(content: bytes) -> _Size:
    riff_bytes, chunk = unpack_from("<I4x4s", content, 4)
    if len(content) < 8 + riff_bytes:
        raise EOFError
    if chunk == b"VP8X":
        low_w, high_w, low_h, high_h = unpack_from("<HBHB", content, 24)
        return 1 + low_w + (high_w << 16), 1 + low_h + (high_h << 16)
    if chunk == b"VP8L":
        (bits,) = unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = unpack_from("<HH", content, 26)  # VP8: after chunk, frame tag, start code
    return width & 0x3FFF, height & 0x3FFF  # the upper two bits ask for scaling


_FORMATS = {"JPEG": _jpeg_size, "PNG": _png_size, "BMP": _bmp_size, "WebP": _webp_size}
