"""Frames from a camera, a video file or a stream, the newest first and only.

In: what `--source` says. Out: RGB frames, one at a time. A thread of its own reads the source and
keeps the newest frame; one that nobody took in time is dropped and counted, so that what is shown
is never old. `video_source` opens sources. Knows nothing of faces.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Iterator, Literal, Optional, Protocol, Type

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError, EdgefaceError
from edgeface.runtime.stage_times import StageTimes

CAPTURE_STAGE = "capture"
"""Name of the stage that reads and decodes; it runs beside all others."""

_JOIN_S = 2.0
"""How long the end waits for a read in progress. Chosen: a frame of any camera comes sooner; a
camera that hangs keeps its thread, which does not keep the process alive."""


@dataclass(frozen=True)
class StreamInfo:
    """What is known of a source before its first frame.

    Attributes:
        name: for people; a URL without its password and query.
        kind: what it is.
        rate_hz: frames a second as the source says; None if it does not, or nothing plausible.
        announced_frames: length as the source says; None if it does not.
    """

    name: str
    kind: Literal["camera", "file", "stream"]
    rate_hz: Optional[float]
    announced_frames: Optional[int]

    @property
    def is_live(self) -> bool:
        """Whether frames come by themselves: cameras, and streams without a length."""
        return self.kind == "camera" or (self.kind == "stream" and self.announced_frames is None)


class Source(Protocol):
    """Gives frames one after another; used by one thread."""

    @property
    def info(self) -> StreamInfo:
        """What is known of it."""

    def read(self) -> Optional[NDArray[np.uint8]]:
        """Give the next frame, uint8 [H, W, 3] RGB, of one size; None at the end.

        Raises:
            DataError: the source cannot be decoded, or its frames change.
            DeviceError: the camera gives nothing.
        """

    def close(self) -> None:
        """Let go of the device or file."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        rgb: uint8 [H, W, 3].
        captured_s: when it was there, by the clock.
        media_s: where it lies in the video, from its first frame on.
    """

    rgb: NDArray[np.uint8]
    captured_s: float
    media_s: float


@dataclass(frozen=True)
class FrameCounts:
    """How many frames there were; a frame that still waits at the end counts nowhere.

    Attributes:
        captured: taken or dropped.
        dropped: replaced by a newer one before anybody took them.
    """

    captured: int
    dropped: int


def pace_of(info: StreamInfo, *, paced: bool) -> Optional[float]:
    """Decide how fast a source is read.

    Args:
        info: of the source.
        paced: whether a video is shown in its own time.

    Returns:
        Frames a second; None if as they come.

    Raises:
        DataError: the video does not say its frame rate.
    """
    if info.is_live or not paced:
        return None
    if info.rate_hz is None:
        raise DataError(f"{info.name}: does not say its frame rate; give --no-pace")
    return info.rate_hz


def frames_of(
    source: Source, times: StageTimes, stop: threading.Event, pace_hz: Optional[float]
) -> Iterator[Frame]:
    """Read a source to its end, each frame when it is due.

    Args:
        source: opened.
        times: gets the time of each read.
        stop: ends it.
        pace_hz: frames a second; None: as fast as they are asked for. A frame that is late already
            comes at once, so that a video that decodes too slowly plays slowly.

    Raises:
        DataError, DeviceError: as `Source.read`.
    """
    clock, info = times.clock, source.info
    begun_s: Optional[float] = None
    for index in itertools.count():
        if stop.is_set():
            return
        with times.measure(CAPTURE_STAGE):
            rgb = source.read()
        if rgb is None:
            return
        now_s = clock.now_s()
        begun_s = now_s if begun_s is None else begun_s
        if pace_hz is not None:
            early_s = begun_s + index / pace_hz - now_s
            if early_s > 0 and clock.wait(stop, early_s):
                return
            now_s = clock.now_s()
        timed = not info.is_live and info.rate_hz is not None
        media_s = index / info.rate_hz if timed and info.rate_hz else now_s - begun_s
        yield Frame(rgb=rgb, captured_s=now_s, media_s=media_s)


class NewestFrame:
    """Holds at most one frame between two threads."""

    def __init__(self) -> None:
        """Begin empty."""
        self._changed = threading.Condition()
        self._frame: Optional[Frame] = None
        self._error: Optional[EdgefaceError] = None
        self._ended = self._failed = False
        self._taken = self._dropped = 0

    def put(self, frame: Frame, *, keep_all: bool = False) -> None:
        """Give a frame.

        Args:
            frame: replaces one that nobody took, which is dropped.
            keep_all: wait until the one before is taken instead. Does nothing after `end`.
        """
        with self._changed:
            if keep_all:
                self._changed.wait_for(lambda: self._frame is None or self._ended)
            if self._ended:
                return
            self._dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def end(self, error: Optional[EdgefaceError] = None, *, failed: bool = False) -> None:
        """Say that no frame follows; what the first call says counts.

        Args:
            error: why, if something went wrong.
            failed: a mistake of ours ended it; its traceback is on stderr.
        """
        with self._changed:
            if not self._ended:
                self._ended, self._error, self._failed = True, error, failed
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Optional[Frame]:
        """Take the newest frame.

        Args:
            timeout_s: how long to wait for one.

        Returns:
            None if there is none in that time, or none any more: see `ended`.

        Raises:
            EdgefaceError: the source's, once the frame before it was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._ended, timeout_s)
            frame, self._frame = self._frame, None
            if frame is not None:
                self._taken += 1
                self._changed.notify_all()
                return frame
            if self._error is not None:
                raise self._error
            assert not self._failed, "the thread that reads the source failed, see above"
            return None

    @property
    def ended(self) -> bool:
        """Whether there is no frame and none will come."""
        with self._changed:
            return self._ended and self._frame is None

    def counts(self) -> FrameCounts:
        """Count the frames until now."""
        with self._changed:
            return FrameCounts(captured=self._taken + self._dropped, dropped=self._dropped)


class FrameFeed:
    """Reads a source in a thread while its context is open; closes the source at its end."""

    def __init__(
        self,
        source: Source,
        times: StageTimes,
        *,
        pace_hz: Optional[float] = None,
        keep_all: bool = False,
    ) -> None:
        """Start nothing yet.

        Args:
            source: opened.
            times: gets the time of each read, as `CAPTURE_STAGE`.
            pace_hz: from `pace_of`.
            keep_all: drop none; the source waits for whoever takes the frames.
        """
        self._source, self._times = source, times
        self._pace_hz, self._keep_all = pace_hz, keep_all
        self._newest = NewestFrame()
        self._stop = threading.Event()
        # a daemon: a read that never returns must not keep the process alive
        self._thread = threading.Thread(target=self._read, name="edgeface-capture", daemon=True)

    def __enter__(self) -> FrameFeed:
        """Start reading."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        """Stop reading, and wait for a read in progress for two seconds at most."""
        self._stop.set()
        self._newest.end()
        self._thread.join(_JOIN_S)

    def take(self, timeout_s: float) -> Optional[Frame]:
        """Take the newest frame, as `NewestFrame.take`."""
        return self._newest.take(timeout_s)

    @property
    def ended(self) -> bool:
        """Whether there is no frame and none will come."""
        return self._newest.ended

    def counts(self) -> FrameCounts:
        """Count the frames until now."""
        return self._newest.counts()

    def _read(self) -> None:
        try:
            for frame in frames_of(self._source, self._times, self._stop, self._pace_hz):
                self._newest.put(frame, keep_all=self._keep_all)
            self._newest.end()
        except EdgefaceError as err:
            self._newest.end(err)
        finally:
            # here, because OpenCV must not close what another thread reads
            self._newest.end(failed=True)
            self._source.close()
