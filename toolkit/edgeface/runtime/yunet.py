"""Finds faces with a YuNet model that the user gives: more faces than Haar finds, and turned ones.

In: the path of an `.onnx`; an RGB picture. Out: its faces as `detect` gives them, and the SHA-256
of what was opened. The file is native code's input: OpenCV's parser is not made for files of
strangers. Not tried on the published file, which edgeface neither ships nor downloads; the tests
have a file written by hand with the same inputs and outputs.

Source: Wu, Peng, Yu 2023, YuNet: A Tiny Millisecond-level Face Detector; OpenCV's
cv::FaceDetectorYN, which needs OpenCV 4.8 for the files of 2023 and later.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ArtifactError, DataError, DeviceError
from edgeface.runtime.crop import eyes_square
from edgeface.runtime.detect import MIN_FACE_PX, Detection, in_picture, shrunk
from edgeface.runtime.preprocess import read_content

LARGEST_SIDE_PX = 640
"""Longer side of the picture that is searched; larger ones are made smaller. Source: chosen: YuNet
finds faces of 10 to 300 px (README of opencv_zoo's face_detection_yunet), so that of a picture of
640 px it finds those from a sixty-fourth to half of it."""

SCORE = 0.6  # Source: opencv_zoo's yunet.py, its default; OpenCV's own, 0.9, is for frontal faces
SAME_FACE_RATIO = 0.3  # of union, in OpenCV's non-maximum suppression. Source: OpenCV's default
MOST_FACES = 5000  # before that suppression. Source: OpenCV's default


@dataclass(frozen=True, eq=False)
class YunetDetector:
    """A YuNet model, ready to run.

    Attributes:
        network: OpenCV's object.
        where: the file, for messages.
        sha256: of the file.
        min_face_px: narrower faces are left out.
    """

    network: Any
    where: str
    sha256: str
    min_face_px: int

    def find(self, rgb: NDArray[np.uint8]) -> Tuple[Detection, ...]:
        """Find the faces of a picture.

        Args:
            rgb: uint8 [H, W, 3], RGB.

        Returns:
            Largest first; the square for the model is placed by eyes and mouth.

        Raises:
            ArtifactError: the model fails to run.
        """
        small = shrunk(rgb, min(1.0, LARGEST_SIDE_PX / max(rgb.shape[:2])))
        ratio_x, ratio_y = rgb.shape[1] / small.shape[1], rgb.shape[0] / small.shape[0]
        faces = []
        for row in _detect(self.network, small, self.where):
            points = row[:14].reshape(7, 2).astype(np.float64) * (ratio_x, ratio_y)
            corner, size, eye, other_eye, _, mouth, other_mouth = points
            if not np.isfinite(points).all() or size[0] < self.min_face_px or size[1] <= 0:
                continue
            mouth_x, mouth_y = (mouth + other_mouth) / 2
            square = eyes_square(
                (float(eye[0]), float(eye[1])),
                (float(other_eye[0]), float(other_eye[1])),
                (float(mouth_x), float(mouth_y)),
            )
            box = (float(corner[0]), float(corner[1]), float(size[0]), float(size[1]))
            faces.append((box, square))
        return in_picture(faces, rgb.shape[1], rgb.shape[0])


def open_yunet(path: Path, min_face_px: int = MIN_FACE_PX) -> YunetDetector:
    """Open a YuNet model and try it on an empty picture.

    Args:
        path: of the `.onnx`.
        min_face_px: width of the narrowest face wanted, in px of the picture.

    Raises:
        DataError: no such file, or not readable.
        ArtifactError: not a YuNet model, or not one that this OpenCV runs.
        DeviceError: this OpenCV has no YuNet.
    """
    content = read_content(path)
    if not hasattr(cv2, "FaceDetectorYN"):
        raise DeviceError(
            f"OpenCV {cv2.__version__} has no FaceDetectorYN; pip install "
            "'opencv-python-headless<5', or leave out --detector"
        )
    if not content:
        raise DataError(f"{path}: the file is empty; copy or download it again")
    try:
        network = cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(content, np.uint8),
            np.empty(0, np.uint8),
            (32, 32),
            SCORE,
            SAME_FACE_RATIO,
            MOST_FACES,
        )
    except cv2.error as err:
        raise _refused(str(path), err) from err
    _detect(network, np.zeros((32, 32, 3), np.uint8), str(path))
    digest = hashlib.sha256(content).hexdigest()
    return YunetDetector(network=network, where=str(path), sha256=digest, min_face_px=min_face_px)


def _detect(network: Any, rgb: NDArray[np.uint8], where: str) -> NDArray[np.float32]:
    network.setInputSize((rgb.shape[1], rgb.shape[0]))
    try:
        _, faces = network.detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    except cv2.error as err:
        raise _refused(where, err) from err
    return np.empty((0, 15), np.float32) if faces is None else np.asarray(faces, np.float32)


def _refused(where: str, err: cv2.error) -> ArtifactError:
    reason = " ".join(str(err).split())
    return ArtifactError(
        f"{where}: OpenCV {cv2.__version__} cannot use it as a YuNet model ({reason}); give a "
        "face_detection_yunet .onnx, or leave out --detector"
    )
