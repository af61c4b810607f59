"""Makes a picture on which every way of making a picture smaller gives something else.

In: a small picture. Out: a larger one with fine lines, for golden vectors: at a side just above the
model's, kernels differ by less than two builds of a runtime may.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FINE_SIDE_PX = 333
"""Source: chosen: above every usual side of a model (up to 256 px), and no multiple of one: at just
two to one, averaging areas and interpolating linearly are the same."""

_LINE_STEP_PX = 3
"""Source: chosen: a kernel that looks at two pixels in each direction, as OpenCV's linear does,
meets other lines than one that averages all; of 2 px, every picture would look grey to both."""

_LEVELS = 0xE0  # bits kept. Chosen: 8 shades make the PNG small


def with_fine_lines(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge a picture without smoothing and draw a grid of lines, a pixel wide, over it.

    Args:
        rgb: uint8 [H, W, 3], RGB; 32 px a side give a PNG of some 5 kB at compression level 9.

    Returns:
        Uint8 [FINE_SIDE_PX, FINE_SIDE_PX, 3]. A line is the picture with its brightest bit turned
        over; where two lines cross there is none.
    """
    size = (FINE_SIDE_PX, FINE_SIDE_PX)
    large = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    large = (large & np.uint8(_LEVELS)) | np.uint8(0x10)
    line = np.arange(FINE_SIDE_PX) % _LINE_STEP_PX == 0
    grid = line[:, np.newaxis] ^ line
    lined = np.where(grid[..., np.newaxis], large ^ np.uint8(0x80), large)
    return np.asarray(lined, dtype=np.uint8)
