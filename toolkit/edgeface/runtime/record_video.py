"""Writes shown frames into a video file, whole or not at all.

In: RGB frames with their times. Out: a file of constant frame rate. No sound.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError, DeviceError

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""Codec by suffix. Source: what OpenCV writes without further libraries: MPEG-4 part 2 by the
FFmpeg of its wheels, Motion JPEG by its own code."""

USUAL_RATE_HZ = 30.0
"""Frame rate of the file if the source does not say its own. Chosen: that of most cameras."""


class Recorder:
    """Takes frames until its context ends; see `recording`.

    Attributes:
        path: where the file will be.
        written_frames: in the file until now.
        stage: name of what it does, for the times.
    """

    stage = "record"

    def __init__(self, path: Path, temporary: Path, rate_hz: float) -> None:
        """Write nothing yet: the size comes with the first frame."""
        self.path, self._temporary, self._rate_hz = path, temporary, rate_hz
        self.written_frames = 0
        self._writer: Optional[Any] = None
        self._last: Optional[NDArray[Any]] = None
        self._shape: Tuple[int, ...] = ()
        self._begun_s = 0.0

    def show(self, rgb: NDArray[np.uint8], media_s: float) -> bool:
        """Write a frame; one that was dropped before it is replaced by its forerunner.

        So the file is as long as what was recorded took, and each of its frames is encoded, also
        where few are shown. A frame that comes sooner than the file's frame rate allows is left
        out.

        Args:
            rgb: uint8 [H, W, 3], always of one size; an odd last column or row is cut by FFmpeg.
            media_s: where it belongs, from the start of the source on; never goes back.

        Returns:
            True: a recorder never wants to stop.

        Raises:
            DeviceError: this OpenCV cannot write such a file.
        """
        if self._writer is None:
            self._writer, self._shape = self._opened(rgb), rgb.shape
            # what comes first begins the file, also if the source has run for a while
            self._begun_s = media_s
        assert rgb.shape == self._shape, "a source has one size"
        until = round((media_s - self._begun_s) * self._rate_hz)
        while self._last is not None and self.written_frames < until:
            self._write(self._last)
        self._last = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        if self.written_frames <= until:
            self._write(self._last)
        return True

    def finish(self) -> None:
        """Close the file and look whether it holds what was written; does nothing without frames.

        Raises:
            DataError: it does not: the disk is full, or it was taken away.
        """
        if self._writer is None:
            return
        self.drop()
        check = cv2.VideoCapture(str(self._temporary))
        try:
            found = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        finally:
            check.release()
        if found != self.written_frames:  # OpenCV does not say so when it writes
            raise DataError(
                f"{self.path}: {found} of {self.written_frames} frames could be written, so none "
                "are kept; is the disk full?"
            )

    def drop(self) -> None:
        """Close the file, whatever it holds."""
        if self._writer is not None:
            self._writer.release()

    def _write(self, bgr: NDArray[Any]) -> None:
        assert self._writer is not None
        self._writer.write(bgr)
        self.written_frames += 1

    def _opened(self, rgb: NDArray[np.uint8]) -> Any:
        codec = CODECS[self.path.suffix.lower()]
        size = (rgb.shape[1], rgb.shape[0])
        writer = cv2.VideoWriter(
            str(self._temporary), cv2.VideoWriter.fourcc(*codec), self._rate_hz, size
        )
        if not writer.isOpened():
            writer.release()
            others = " or ".join(suffix for suffix in CODECS if suffix != self.path.suffix.lower())
            raise DeviceError(
                f"{self.path}: OpenCV {cv2.__version__} cannot write {codec} of {size[0]} x "
                f"{size[1]} px there; its codec may be missing (try {others}), or the folder "
                "cannot be written"
            )
        return writer


def check_target(path: Path) -> None:
    """Refuse a recording before any work.

    Raises:
        DataError: the file is there already, its folder is not, or its suffix has no codec.
    """
    if path.suffix.lower() not in CODECS:
        known = ", ".join(CODECS)
        raise DataError(f"{path}: no known video format, expected a name that ends in {known}")
    try:
        there, folder_there = path.exists(), path.parent.is_dir()
    except OSError as err:
        raise DataError(f"{path}: cannot be written: {err.strerror}; give another name") from err
    if there:
        raise DataError(f"{path}: is there already, nothing was recorded; give another name")
    if not folder_there:
        raise DataError(f"{path}: there is no folder {path.parent}; make it first")


@contextmanager
def recording(path: Path, rate_hz: Optional[float]) -> Iterator[Recorder]:
    """Record while the context is open.

    Args:
        path: checked by `check_target`.
        rate_hz: frames a second of the file; None: `USUAL_RATE_HZ`.

    Yields:
        What takes the frames. At the end of the context the file gets its name; if the context ends
        by an error, or there was no frame, there is no file. A killed process leaves a hidden
        `.NAME.PID.part.SUFFIX`.

    Raises:
        DeviceError: this OpenCV cannot write such a file.
        DataError: it was not written whole, or something else has taken its name by now.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    recorder = Recorder(path, temporary, USUAL_RATE_HZ if rate_hz is None else rate_hz)
    try:
        yield recorder
        recorder.finish()
        if recorder.written_frames:
            check_target(path)
            _rename(temporary, path)
    finally:
        recorder.drop()
        temporary.unlink(missing_ok=True)


def _rename(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as err:
        raise DataError(f"{path}: cannot be written: {err.strerror}; give another name") from err
