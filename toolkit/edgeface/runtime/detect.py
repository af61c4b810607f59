"""Finds faces with the Haar cascade that comes with OpenCV 4.

In: an RGB picture. Out: its faces, largest first, each with a box for people and a square for the
model (`crop`). Says nothing about who or how old. `yunet` is the other detector.

Frontal, upright faces only, up to some 15° of turn in the picture: Viola and Jones 2004, section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Protocol, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DeviceError
from edgeface.runtime.crop import Box, haar_square

MIN_FACE_PX = 64
"""Side of the smallest face looked for, if nobody says otherwise.

Source: measured on 1,500 UTKFace chips (validation split) shrunk to that side, with a pruned int8
MobileNetV2 of 128 px: gender 93.8 % and age MAE 5.35 years at 128 px and more, 93.2 % and 5.61 at
64 px, 92.8 % and 5.84 at 48 px, 91.6 % and 6.75 at 32 px. Half of the model's side costs little;
below, a statement about a face is worth less, and the search takes longer (70 ms for 475 x 625 px
on one x86 core at 64 px, 166 ms at 40 px)."""

HAAR_FILE = "haarcascade_frontalface_alt2.xml"
"""Source: chosen by measurement among OpenCV's frontal cascades, on 300 UTKFace chips and 30
pictures of 475 x 625 px put together from shuffled 25 px pieces of them: "alt2" found 285 faces and
5 false ones, "default" 283 and 9, "alt" 281 and 1, taking a tenth longer. The box of alt2 fits a
face a little more evenly than that of "default": 5 % to 95 % of the widths are 0.21 of the chip's
side apart, with "default" 0.24."""

HAAR_FOLDERS = ("/usr/share/opencv4/haarcascades", "/usr/share/opencv/haarcascades")
"""Where else OpenCV's cascades may be. Source: Debian's package opencv-data; its python3-opencv has
no `cv2.data`, which is in the wheels of PyPI."""

_SCALE_STEP = 1.1  # Source: OpenCV's default of detectMultiScale
_NEIGHBOURS = 5
"""Windows that must agree on a face. Source: measured as above: 3 finds 288 and 9 false ones, 5
finds 285 and 5, 7 leaves 2 false ones but is not needed for what a picture costs here."""

_DETECTION_PX = 40
"""Side of the smallest face in the picture that is searched; larger pictures are made smaller.

Source: measured: the cascade's window is 20 px, and OpenCV tries every second place only for faces
below twice that. Of the 300 chips it found 287 shrunk to 50 px, 280 to 40 px, 258 to 35 px, 225 to
25 px."""

_PAD_RATIO = 0.25
"""Border around the picture while it is searched, in shorter sides; its edge is repeated in it.

Source: measured: a face that fills the picture is found only with a border (170 of 300 chips
without, 253 with 0.05, 282 with 0.125, 285 with 0.25), and its box is cut short by a narrow one
(median width 0.80, 0.865, 0.94 and 1.01 of the chip; 1.025 with 0.5). It does not matter what is in
it: grey or black give the same widths within 0.01."""

_SAME_FACE_RATIO = 0.5
"""Of two boxes that share this part of the smaller one, the smaller is dropped. Chosen: a false
find inside a face, such as a mouth, lies wholly in it, and two faces side by side share less."""


@dataclass(frozen=True)
class Detection:
    """One face.

    Attributes:
        box: where a person would draw it: x, y, width, height in px, inside the picture.
        crop: the square that training pictures show; may reach beyond the picture.
    """

    box: Box
    crop: Box


class Detector(Protocol):
    """Finds faces. Not for two threads at once: OpenCV's detectors have state."""

    def find(self, rgb: NDArray[np.uint8]) -> Tuple[Detection, ...]:
        """Find the faces of a picture, uint8 [H, W, 3] RGB; largest first."""


@dataclass(frozen=True, eq=False)
class HaarDetector:
    """OpenCV's frontal face cascade, ready to run.

    Attributes:
        cascade: OpenCV's object.
        min_face_px: smaller faces are not looked for.
    """

    cascade: Any
    min_face_px: int

    def find(self, rgb: NDArray[np.uint8]) -> Tuple[Detection, ...]:
        """Find the faces of a picture.

        The histogram is not equalised: the cascade divides each window by its own contrast (Viola
        and Jones 2004, section 5.1), and on 300 chips equalising found 284 instead of 285.

        Args:
            rgb: uint8 [H, W, 3], RGB.

        Returns:
            Largest first.
        """
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        small = shrunk(grey, min(1.0, _DETECTION_PX / self.min_face_px))
        pad = round(_PAD_RATIO * min(small.shape))
        searched = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        ratio_x, ratio_y = grey.shape[1] / small.shape[1], grey.shape[0] / small.shape[0]
        least_px = round(self.min_face_px / max(ratio_x, ratio_y))
        found = self.cascade.detectMultiScale(
            searched,
            scaleFactor=_SCALE_STEP,
            minNeighbors=_NEIGHBOURS,
            minSize=(least_px, least_px),
        )
        faces = []
        for x, y, width, height in found:
            box = (
                float(x - pad) * ratio_x,
                float(y - pad) * ratio_y,
                float(width) * ratio_x,
                float(height) * ratio_y,
            )
            faces.append((box, haar_square(*box)))
        return in_picture(faces, rgb.shape[1], rgb.shape[0])


def open_haar(min_face_px: int = MIN_FACE_PX) -> HaarDetector:
    """Load the cascade of this OpenCV.

    Args:
        min_face_px: side of the smallest face looked for, in px of the picture; 1 or more. Below
            40 px many are missed.

    Raises:
        DeviceError: this OpenCV has no cascades, or cannot read its own.
    """
    path = find_cascade()
    cascade = cv2.CascadeClassifier()
    try:
        loaded = cascade.load(str(path))
    except cv2.error as err:
        raise DeviceError(f"{path}: cannot be read ({' '.join(str(err).split())})") from err
    if not loaded:
        raise DeviceError(f"{path}: OpenCV {cv2.__version__} cannot read it; install OpenCV again")
    return HaarDetector(cascade=cascade, min_face_px=min_face_px)


def find_cascade() -> Path:
    """Find the cascade's file: in the wheel, else where Debian has it.

    Raises:
        DeviceError: it is nowhere.
    """
    packaged = getattr(cv2, "data", None)
    folders = [packaged.haarcascades] if packaged else []
    for folder in (*folders, *HAAR_FOLDERS):
        path = Path(folder) / HAAR_FILE
        if path.is_file():
            return path
    raise DeviceError(
        f"OpenCV {cv2.__version__} has no {HAAR_FILE} (looked in "
        f"{', '.join((*folders, *HAAR_FOLDERS))}); pip install 'opencv-python-headless<5', or "
        "give a YuNet model with --detector"
    )


def shrunk(picture: NDArray[np.uint8], ratio: float) -> NDArray[np.uint8]:
    """Make a picture smaller for a detector.

    Args:
        picture: uint8 [H, W] or [H, W, 3].
        ratio: of the sides, above 0 to 1.

    Returns:
        Averaged over areas; at least 1 px a side; the picture itself for a ratio of 1.
    """
    if ratio == 1:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def in_picture(
    faces: Sequence[Tuple[Tuple[float, float, float, float], Box]], width_px: int, height_px: int
) -> Tuple[Detection, ...]:
    """Keep one box a face, cut the boxes at the picture's edge, and sort them.

    Args:
        faces: (x, y, width, height) in px as found, and the square for the model.
        width_px: of the picture.
        height_px: of the picture.

    Returns:
        Largest first, of equals the upper, then the left one. A face whose centre lies outside the
        picture is dropped: less than half of it would be seen.
    """
    found = []
    for (x, y, width, height), square in faces:
        if 0 <= x + width / 2 < width_px and 0 <= y + height / 2 < height_px:
            left, top = max(0, round(x)), max(0, round(y))
            right, bottom = min(width_px, round(x + width)), min(height_px, round(y + height))
            box = (left, top, max(1, right - left), max(1, bottom - top))
            found.append(Detection(box=box, crop=square))
    found.sort(key=lambda face: (-_area(face.box), face.box[1], face.box[0]))
    kept: List[Detection] = []
    for face in found:
        if all(_shared_ratio(face.box, other.box) <= _SAME_FACE_RATIO for other in kept):
            kept.append(face)
    return tuple(kept)


def _area(box: Box) -> int:
    return box[2] * box[3]


def _shared_ratio(smaller: Box, larger: Box) -> float:
    width = min(smaller[0] + smaller[2], larger[0] + larger[2]) - max(smaller[0], larger[0])
    height = min(smaller[1] + smaller[3], larger[1] + larger[3]) - max(smaller[1], larger[1])
    return max(0, width) * max(0, height) / _area(smaller)
