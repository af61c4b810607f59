"""From where a face is to the square that the training pictures show.

In: a detector's box or landmarks, in px of the picture. Out: a square, and its pixels. The numbers
here belong to one detector each, because detectors draw their boxes differently; a model sees what
training saw only if its crop is made with the numbers of the detector that found the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError

Box = Tuple[int, int, int, int]
"""x and y of the upper left corner, width and height, in px; may reach beyond the picture."""


@dataclass(frozen=True)
class Framing:
    """Where a training picture lies around what a detector gives, in units of the detector's size.

    Attributes:
        side_ratio: side of the square.
        right_ratio: the square's centre is so far to the right of the detector's.
        down_ratio: the square's centre is so far below the detector's.
    """

    side_ratio: float
    right_ratio: float
    down_ratio: float


HAAR_FRAMING = Framing(side_ratio=0.99, right_ratio=0.005, down_ratio=0.09)
"""Around the box of `detect.open_haar`, in units of its width.

Source: measured on 300 aligned UTKFace chips (validation split, 200 px, drawn with seed 1) at full
size. The detector found 285. Width of the box in sides of the chip: median 1.01 (5 % to 95 %: 0.91
to 1.12); its centre from the chip's left 0.495 (0.470 to 0.515), from its top 0.408 (0.385 to
0.437). So side_ratio = 1 / 1.01, right_ratio = (0.5 - 0.495) / 1.01, down_ratio = (0.5 - 0.408) /
1.01: a chip is as large as the box and reaches further down, to below the chin. Squares placed so
by the detector's own defaults (288 found) have a side of 1.00 chips (0.905 to 1.11) and their
centre at 0.50 (0.480 to 0.528) and 0.50 (0.468 to 0.530). On 485 other chips the age MAE was least
with this side: 5.02 years, 5.15 with 0.9 of it, 5.08 with 1.1, 5.49 with 0.8, 5.90 with 1.4.
"""

EYES_FRAMING = Framing(side_ratio=2.56, right_ratio=0.0, down_ratio=0.54)
"""Around the middle between the centres of the eyes, in units of the distance between them.

Source: measured on the same chips with OpenCV's haarcascade_eye, which found just one eye on each
side in 217 of 300: distance 0.390 of the chip's side (5 % to 95 %: 0.343 to 0.443), middle 0.289
(0.272 to 0.309) from its top. So side_ratio = 1 / 0.390, down_ratio = (0.5 - 0.289) / 0.390. The
middle was 0.482 from the left, which is put down to that cascade: the chips are mirrored as often
as not, and dlib, which aligned them, has the eyes in the middle.
"""

EYES_TO_MOUTH_RATIO = 1.155
"""Distance from the middle of the eyes to that of the mouth, in distances between the eyes.

Source: the five reference points of ArcFace's aligned faces (Deng et al. 2019, arXiv 1801.07698,
code insightface): eyes (38.29, 51.70) and (73.53, 51.50), corners of the mouth (41.55, 92.37) and
(70.73, 92.20); so (92.28 - 51.60) / 35.24.
"""


def square_around(centre_x: float, centre_y: float, size: float, framing: Framing) -> Box:
    """Place the square of a training picture.

    Args:
        centre_x: of what was detected, in px from the left.
        centre_y: the same from the top.
        size: of what was detected in px, above 0.
        framing: of the detector.

    Returns:
        A square in whole px, at least 1; may reach beyond the picture.
    """
    side = size * framing.side_ratio
    x = centre_x + size * framing.right_ratio - side / 2
    y = centre_y + size * framing.down_ratio - side / 2
    side_px = max(1, round(side))
    return round(x), round(y), side_px, side_px


def haar_square(x: float, y: float, width: float, height: float) -> Box:
    """Place the square around a box of the Haar detector, in px."""
    return square_around(x + width / 2, y + height / 2, width, HAAR_FRAMING)


def eyes_square(
    left_eye: Tuple[float, float], right_eye: Tuple[float, float], mouth: Tuple[float, float]
) -> Box:
    """Place the square by landmarks, each (x, y) in px.

    The distance between the eyes is taken from the mouth where that gives more: a head that is
    turned brings the eyes together, one that nods brings eyes and mouth together, and neither
    makes a distance longer.

    Args:
        left_eye: centre of the eye on the left of the picture, or on the right.
        right_eye: the other.
        mouth: middle of the mouth.

    Returns:
        A square in whole px, at least 1; may reach beyond the picture.
    """
    middle_x, middle_y = (left_eye[0] + right_eye[0]) / 2, (left_eye[1] + right_eye[1]) / 2
    apart = float(np.hypot(right_eye[0] - left_eye[0], right_eye[1] - left_eye[1]))
    down = float(np.hypot(mouth[0] - middle_x, mouth[1] - middle_y))
    size = max(apart, down / EYES_TO_MOUTH_RATIO)
    return square_around(middle_x, middle_y, size, EYES_FRAMING)


def crop(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut a box out of a picture; where it reaches beyond, the picture is mirrored at its edge.

    Args:
        rgb: uint8 [H, W, 3], RGB.
        box: at least 1 px wide and high, with at least 1 px inside the picture.

    Returns:
        Uint8 [height, width, 3] of the box, a new array.

    Raises:
        DataError: the box has no px, or none inside the picture.

    Source:
        Mirrored: training turns and shifts its pictures with the same border (`data/augment.py`,
        BORDER_REFLECT), so the model has met it.
    """
    x, y, width, height = box
    picture_height, picture_width = rgb.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, picture_width), min(y + height, picture_height)
    if left >= right or top >= bottom:
        raise DataError(
            f"crop {list(box)}: nothing of it lies in the picture of {picture_width} x "
            f"{picture_height} px; check the box"
        )
    inside = rgb[top:bottom, left:right]
    padded = cv2.copyMakeBorder(
        inside, top - y, y + height - bottom, left - x, x + width - right, cv2.BORDER_REFLECT
    )
    return np.array(padded, dtype=np.uint8)
