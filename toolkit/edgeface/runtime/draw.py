"""Draws what was found into a picture, and turns it into a file's bytes.

In: an RGB picture and its faces as `predict.describe_face` gives them. Out: another RGB picture, or
an encoded one. Writes no file and shows no window.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.crop import Box
from edgeface.types import Contract, HeadSpec

DRAWN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""File names that `encode` knows a format for."""

_JPEG_QUALITY = 95  # Source: OpenCV's default; written down because its versions may differ
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _GREEN = (255, 255, 255), (0, 110, 60)  # RGB. Chosen: contrast 6.4 to 1 between them
_TEXT_RATIO = 0.09  # height of a letter, in box widths. Chosen: "female, 31 years" is a box wide
_TEXT_PX = (
    11.0,
    60.0,
)  # smallest and largest. Chosen: read on a small screen, not all of a large one
_ROW_LETTERS = 20  # of a row of words. Chosen: "female, 31 years" fits, and "happy 83 %" goes below
_FONT_PX = (
    21.0  # height of a capital letter of the font at scale 1. Source: OpenCV's Hershey tables
)


def annotate(
    rgb: NDArray[np.uint8], faces: Sequence[Mapping[str, Any]], contract: Contract
) -> NDArray[np.uint8]:
    """Draw boxes with what the model says of them.

    Args:
        rgb: uint8 [H, W, 3], RGB.
        faces: from `predict.describe_face`; without a box it is the whole picture's text.
        contract: of the model that said so.

    Returns:
        A new picture of the same size.
    """
    drawn = np.array(rgb, order="C")
    whole = (0, 0, rgb.shape[1], rgb.shape[0])
    # the largest face last, so that its text is not covered
    for face in reversed(faces):
        box = whole if face["box"] is None else tuple(face["box"])
        _draw_one(drawn, box, caption_rows(face, contract), framed=face["box"] is not None)
    return drawn


def caption_rows(face: Mapping[str, Any], contract: Contract) -> Tuple[str, ...]:
    """Say what a model says of a face in a few words, e.g. "31 years, female", "happy 83 %".

    Args:
        face: from `predict.describe_face`.
        contract: of the model.

    Returns:
        Rows, of as many heads each as fit; one that is too long for a row has one for itself.
    """
    rows: List[str] = []
    for head in contract.heads:
        words = _words(face, head)
        if rows and len(rows[-1]) + len(", ") + len(words) <= _ROW_LETTERS:
            rows[-1] += f", {words}"
        else:
            rows.append(words)
    return tuple(rows)


def _words(face: Mapping[str, Any], head: HeadSpec) -> str:
    value = face[head.name]
    if head.kind == "classes":
        return f"{value} {100 * face[f'p_{head.name}'][value]:.0f} %"
    if head.kind == "binary":
        return str(value)
    if head.unit == "years":
        return f"{value:.0f} years"
    return f"{head.name} {value:g} {head.unit}".rstrip()


def encode(rgb: NDArray[np.uint8], suffix: str, where: str) -> bytes:
    """Turn a picture into the bytes of a file.

    Args:
        rgb: uint8 [H, W, 3], RGB.
        suffix: one of `DRAWN_SUFFIXES`, in any case.
        where: the file, for messages.

    Raises:
        DataError: OpenCV cannot write that format, or not at this size.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    kept = options if suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, content = cv2.imencode(suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), kept)
    except cv2.error as err:
        raise DataError(f"{where}: cannot be written ({' '.join(str(err).split())})") from err
    if not done:
        raise DataError(f"{where}: OpenCV {cv2.__version__} cannot write {suffix}")
    return content.tobytes()


def _draw_one(drawn: NDArray[np.uint8], box: Box, rows: Sequence[str], *, framed: bool) -> None:
    height, width = drawn.shape[:2]
    x, y, box_width, box_height = box
    letter_px = min(max(_TEXT_RATIO * box_width, _TEXT_PX[0]), _TEXT_PX[1])
    line_px = max(1, round(letter_px / 8))
    if framed:
        corner, opposite = (x, y), (x + box_width - 1, y + box_height - 1)
        cv2.rectangle(drawn, corner, opposite, _GREEN, line_px + 1)
    scale = letter_px / _FONT_PX
    sizes = [cv2.getTextSize(row, _FONT, scale, line_px) for row in rows]
    (_, text_height), below = sizes[0]  # of the font, the same for all texts
    row_px, pad = text_height + below, line_px + 2
    label = max(size[0] for size, _ in sizes) + 2 * pad, len(rows) * row_px + 2 * pad
    left, top = _label_corner((x, y), label, (width, height))
    opposite = (left + label[0], top + label[1])
    cv2.rectangle(drawn, (left, top), opposite, _GREEN, cv2.FILLED)
    for i, row in enumerate(rows):
        at = (left + pad, top + pad + i * row_px + text_height)
        cv2.putText(drawn, row, at, _FONT, scale, _WHITE, line_px, cv2.LINE_AA)


def _label_corner(
    corner: Tuple[int, int], label: Tuple[int, int], picture: Tuple[int, int]
) -> Tuple[int, int]:
    """Put a label above its box, or into it where there is no room; inside the picture."""
    x, y = corner
    left = max(0, min(x, picture[0] - label[0]))
    top = y - label[1] if y >= label[1] else y
    return left, max(0, min(top, picture[1] - label[1]))
