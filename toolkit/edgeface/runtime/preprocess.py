"""Encoded images to RGB arrays, and RGB arrays to what a model takes.

In: a file's path or bytes; an RGB array of any size. Out: uint8 RGB. The one decoder and the one
resize of training, calibration and device, so that a model meets on the phone what it was trained
on. Normalisation is not here: it is inside the graph.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.image_file import check_image_file


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read one picture as `decode_image` does.

    Args:
        path: a JPEG, PNG, BMP or WebP; its name does not matter.

    Returns:
        Uint8 [H, W, 3], RGB, 0 to 255.

    Raises:
        DataError: what `read_content` or `decode_image` refuses.
    """
    return decode_image(read_content(path), str(path))


def read_content(path: Path) -> bytes:
    """Read a file of a picture without decoding it.

    Raises:
        DataError: missing, not a plain file, or not readable.
    """
    try:
        if not path.is_file():  # a folder, a pipe or /dev/zero would be read for ever
            found = "not a file" if path.exists() else "no such file"
            raise DataError(f"{path}: {found}; check the path")
        return path.read_bytes()
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror})") from err


def decode_image(content: bytes, where: str) -> NDArray[np.uint8]:
    """Decode one picture.

    Grey becomes three equal channels, 16 bits become 8, alpha is dropped without blending, and of
    an animation the first frame is taken. OpenCV turns the picture upright by its EXIF orientation:
    JPEG and PNG with every OpenCV tried (4.6, 4.11, 4.14), WebP with 4.14 only.

    Args:
        content: a whole JPEG, PNG, BMP or WebP file.
        where: the file, for messages.

    Returns:
        Uint8 [H, W, 3], RGB, 0 to 255.

    Raises:
        DataError: what `check_image_file` refuses, or damage that the decoder finds. Damage that
            leaves a JPEG or WebP decodable is not found.
    """
    check_image_file(content, where)
    try:
        bgr = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as err:
        raise DataError(f"{where}: cannot be decoded ({' '.join(str(err).split())})") from err
    if bgr is None:
        raise DataError(f"{where}: cannot be decoded, the file is damaged; copy it again")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def to_input(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Resize a picture to the square that a model takes.

    The whole picture is squeezed into the square: nothing is cropped or padded, and the aspect
    ratio is not kept. Crop to a square first, as the training pictures were.

    Args:
        rgb: uint8 [H, W, 3], RGB, 0 to 255.
        side_px: height and width wanted, 1 or more.

    Returns:
        Uint8 [side_px, side_px, 3], a new array; equal to `rgb` if the size is already right.

    Raises:
        DataError: the array is not uint8 [H, W, 3] with at least one pixel.

    Source:
        INTER_AREA when either side shrinks, because it averages and so does not alias, INTER_LINEAR
        otherwise: OpenCV documentation of cv2.resize. (Where one side grows and the other shrinks,
        OpenCV's INTER_AREA interpolates linearly.)
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise DataError(
            f"image: found {rgb.dtype} {list(rgb.shape)}, expected uint8 [H, W, 3], not empty"
        )
    height, width = rgb.shape[:2]
    if (height, width) == (side_px, side_px):
        return np.array(rgb, order="C")
    shrinks = height > side_px or width > side_px
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(rgb, (side_px, side_px), interpolation=kernel)
    return np.asarray(resized, dtype=np.uint8)
