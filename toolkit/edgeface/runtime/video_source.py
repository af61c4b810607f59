"""Opens cameras, video files and streams with OpenCV.

In: what `--source` says: "0", "/dev/video0", "walk.mp4", "rtsp://camera/stream". Out: a
`capture.Source`. What it says on stderr comes from FFmpeg, whose log OpenCV leaves on.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Optional, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError, DeviceError
from edgeface.runtime.capture import StreamInfo

_RATES_HZ = (1.0, 240.0)
"""Frame rates that are believed. Chosen: files without one say 0, or the tick rate of their
container such as 1,000 or 90,000; no usual camera is outside."""

_MOST_FRAMES = 10**9  # chosen: a year at 30 FPS; OpenCV says huge or negative numbers for "unknown"


class CvSource:
    """An opened `cv2.VideoCapture`."""

    def __init__(self, capture: Any, info: StreamInfo) -> None:
        """Take over what is opened already."""
        self._capture, self._info = capture, info
        self._shape: Optional[Tuple[int, ...]] = None

    @property
    def info(self) -> StreamInfo:
        """What is known of it."""
        return self._info

    def read(self) -> Optional[NDArray[np.uint8]]:
        """Give the next frame, uint8 [H, W, 3] RGB, of one size; None at the end of a video.

        A damaged video ends where its damage begins: OpenCV does not tell the two apart.

        Raises:
            DataError: not even one frame can be decoded, a frame has another size than the one
                before, or is not 8 bits in three colours.
            DeviceError: the camera gives no frame.
        """
        name = self._info.name
        try:
            done, bgr = self._capture.read()
        except cv2.error as err:
            raise DataError(f"{name}: cannot be decoded ({' '.join(str(err).split())})") from err
        if not done:
            if self._info.kind == "camera":
                more = "" if self._shape is None else " any more"
                raise DeviceError(f"{name}: gives no frames{more}; is it plugged in and unused?")
            if self._shape is None:
                raise DataError(f"{name}: no frame of it can be decoded; try ffprobe on it")
            return None
        if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
            raise DataError(
                f"{name}: found frames of {bgr.dtype} {list(bgr.shape)}, expected uint8 [H, W, 3]"
            )
        if self._shape not in (None, bgr.shape):
            raise DataError(
                f"{name}: its frames changed from {_size(self._shape)} to {_size(bgr.shape)}; "
                "start again"
            )
        self._shape = bgr.shape
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def close(self) -> None:
        """Let go of the device or file."""
        self._capture.release()


def open_source(text: str) -> CvSource:
    """Open a camera, a file or a stream.

    Args:
        text: a camera's number, the path of a camera or video file, or a URL that OpenCV's FFmpeg
            reads.

    Raises:
        DeviceError: there is no such camera, or it cannot be opened.
        DataError: there is no such file, or nothing here can read it or the stream.
    """
    number = _camera_number(text)
    if number is not None:
        return _open_camera(number)
    if "://" in text:
        name = _without_secrets(text)
        capture = _opened(text)
        if capture is None:
            raise DataError(f"{name}: cannot be opened; check the address, and that it can be read")
        return CvSource(capture, _info(capture, name, is_file=False))
    _check_file(text)
    capture = _opened(text)
    if capture is None:
        raise DataError(
            f"{text}: OpenCV {cv2.__version__} cannot read it: no video, damaged, or its codec is "
            "missing here; try ffprobe on it, or convert it to H.264 in .mp4"
        )
    return CvSource(capture, _info(capture, text, is_file=True))


def _camera_number(text: str) -> Optional[int]:
    if re.fullmatch(r"[0-9]{1,3}", text):
        return int(text)
    if not text.startswith("/dev/"):
        return None
    # /dev/v4l/by-id/... are links to these
    found = re.fullmatch(r"/dev/video([0-9]{1,3})", str(Path(text).resolve()))
    return int(found.group(1)) if found else None


def _check_file(text: str) -> None:
    path = Path(text)
    try:
        is_file, exists = path.is_file(), path.exists()
    except OSError as err:
        raise DataError(f"{text}: cannot be read ({err.strerror})") from err
    if not is_file:
        found = "not a file" if exists else "no such file"
        raise DataError(f"{text}: {found}; expected a camera number, a video file or a URL")


def _open_camera(number: int) -> CvSource:
    name = f"camera {number}"
    # asked for here, because OpenCV says it in three lines
    if sys.platform == "linux" and not Path(f"/dev/video{number}").exists():
        there = sorted(path.name for path in Path("/dev").glob("video*"))
        raise DeviceError(
            f"{name}: there is no /dev/video{number} (found: {', '.join(there) or 'no camera'}); "
            "plug it in, or give --source CAMERA|VIDEO"
        )
    capture = _opened(number)
    if capture is None:
        raise DeviceError(
            f"{name}: cannot be opened; is it used by another program, and may you read it?"
        )
    rate_hz = _rate_hz(capture)
    return CvSource(capture, StreamInfo(name, "camera", rate_hz, announced_frames=None))


def _opened(what: Any) -> Optional[Any]:
    """Open with OpenCV; None if it cannot."""
    try:
        capture = cv2.VideoCapture(what)
    except cv2.error:
        return None
    if capture.isOpened():
        return capture
    capture.release()
    return None


def _info(capture: Any, name: str, *, is_file: bool) -> StreamInfo:
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return StreamInfo(
        name=name,
        kind="file" if is_file else "stream",
        rate_hz=_rate_hz(capture),
        announced_frames=int(frames) if 0 < frames < _MOST_FRAMES else None,
    )


def _rate_hz(capture: Any) -> Optional[float]:
    rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
    return rate_hz if _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] else None


def _without_secrets(url: str) -> str:
    """Leave out user, password, query and fragment."""
    return re.sub(r"[?#].*", "", re.sub(r"//[^/]*@", "//", url))


def _size(shape: Optional[Tuple[int, ...]]) -> str:
    assert shape is not None  # asked only of frames that were there
    return f"{shape[1]} x {shape[0]} px"
