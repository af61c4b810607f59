"""Looks at a stream: the newest frame, its faces, what the model says, again and again.

In: a feed of frames, a detector, a predictor, a clock, and what shows the frames. Out: what came of
it. Every frame is worked on before the next is taken, and the next is always the newest, so that it
never falls behind. The faces of a frame go to the model together; this one runs them one by one.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Deque, Dict, List, Literal, Optional, Protocol, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError, DeviceError
from edgeface.runtime.averages import Averages
from edgeface.runtime.capture import Frame, FrameCounts
from edgeface.runtime.crop import crop
from edgeface.runtime.detect import Detector
from edgeface.runtime.overlay import draw_live
from edgeface.runtime.predict import Predictor, describe_face, predict_faces
from edgeface.runtime.stage_times import (
    KEPT_SAMPLES,
    FpsMeter,
    FpsSample,
    StageSummary,
    StageTimes,
)
from edgeface.runtime.track import Tracks, associate, detections, follow, look

DETECT_EVERY = 10
"""Frames from one detection to the next. Source: measured (`track`): a crop is as well placed as by
a detection in each frame, and a detection costs as much as following through 14 frames. Chosen: a
new face waits a third of a second at 30 FPS; with 30 it would wait a whole one."""

_POLL_S = 0.1  # chosen: how late Ctrl-C may be noticed while no frame comes

EndedBy = Literal["end of source", "seconds", "interrupt", "window closed", "error"]


class Feed(Protocol):
    """Gives frames; `capture.FrameFeed`."""

    @property
    def ended(self) -> bool:
        """Whether there is no frame and none will come."""

    def take(self, timeout_s: float) -> Optional[Frame]:
        """Take the newest frame; None if there is none in that time."""

    def counts(self) -> FrameCounts:
        """Count the frames until now."""


class Sink(Protocol):
    """Where drawn frames go: `record_video.Recorder`, `window.Window`."""

    @property
    def stage(self) -> str:
        """Name of what it does, for the times."""

    def show(self, rgb: NDArray[np.uint8], media_s: float) -> bool:
        """Take a frame; False if the user has seen enough."""


@dataclass(frozen=True)
class LivePlan:
    """How to look.

    Attributes:
        detect_every: frames from one detection to the next, 1 or more.
        seconds: end after so long; None: with the source.
        min_face_px: side of the smallest face of interest, 1 or more.
        average_frames: of a face whose answers are averaged (`averages`), 1 or more; 1: each frame
            is described by itself, as `predict` would.
        draw_graph: whether the frames shown have a graph of the frame rate.
    """

    detect_every: int
    seconds: Optional[float]
    min_face_px: int
    average_frames: int = 1
    draw_graph: bool = True

    def __post_init__(self) -> None:
        """Refuse what would never end or never look."""
        if self.detect_every < 1:
            raise ValueError(f"detect_every: found {self.detect_every}, expected 1 or more")
        if self.average_frames < 1:
            raise ValueError(f"average_frames: found {self.average_frames}, expected 1 or more")
        if self.min_face_px < 1:
            raise ValueError(f"min_face_px: found {self.min_face_px}, expected 1 or more")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds: found {self.seconds}, expected more than 0")


@dataclass(frozen=True)
class LiveResult:
    """What came of it.

    Attributes:
        ended_by: why it ended.
        error: what the source says, if it ended by that.
        width_px: of the frames; 0 if none came.
        height_px: of the frames; 0 if none came.
        captured_frames: processed and dropped ones.
        processed_frames: looked at from start to end.
        dropped_frames: replaced by a newer one while another was looked at.
        faces: seen in all processed frames together.
        detections: frames that the detector saw.
        wall_s: from the first frame's arrival to the last one's end.
        fps: processed frames in that time; None if it is 0.
        fps_samples: the frame rate as it went, a sample a frame, from the first frame's arrival on.
        delay_p50_ms: median of the time from a frame's arrival to its end; None without frames.
        stages: what each stage cost; their shares are of `wall_s`.
    """

    ended_by: EndedBy
    error: str
    width_px: int
    height_px: int
    captured_frames: int
    processed_frames: int
    dropped_frames: int
    faces: int
    detections: int
    wall_s: float
    fps: Optional[float]
    fps_samples: Tuple[FpsSample, ...]
    delay_p50_ms: Optional[float]
    stages: Tuple[StageSummary, ...]


@dataclass(frozen=True)
class Sight:
    """What is known after a frame.

    Attributes:
        tracks: its faces.
        since_detection: frames since the detector saw one; None before the first.
    """

    tracks: Tracks = field(default_factory=Tracks)
    since_detection: Optional[int] = None


def run_live(
    feed: Feed,
    detector: Detector,
    predictor: Predictor,
    times: StageTimes,
    plan: LivePlan,
    sinks: Sequence[Sink],
    stop: threading.Event,
) -> LiveResult:
    """Look at frames until something ends it.

    Args:
        feed: reads the source.
        detector: finds the faces.
        predictor: says what they are.
        times: gets the time of each stage; has the clock.
        plan: how to look.
        sinks: get the frames drawn upon; without any, nothing is drawn.
        stop: set by Ctrl-C.

    Returns:
        What came of it, also if the source failed after its first frame.

    Raises:
        DataError, DeviceError: the source failed before its first frame, or a sink fails.
        ArtifactError: the runtime fails, or an output is not finite.
    """
    clock = times.clock
    deadline_s = math.inf if plan.seconds is None else clock.now_s() + plan.seconds
    tally, sight, meter = _Tally(), Sight(), FpsMeter()
    averages = Averages(predictor.contract.heads, plan.average_frames)
    error = ""
    while True:
        asked_s = clock.now_s()
        try:
            frame, ended_by = _next_frame(feed, times, stop, deadline_s)
        except (DataError, DeviceError) as err:
            if not tally.processed:
                raise
            frame, ended_by, error = None, "error", str(err)
        if frame is None:
            break
        if tally.processed:  # the wait for the first frame is the source's start
            times.add("wait", clock.now_s() - asked_s)
        tally.begin(frame, clock.now_s())
        sight = see(frame.rgb, sight, detector, plan, times)
        faces = _describe(frame.rgb, sight.tracks, predictor, averages, times)
        rates = meter.recent if plan.draw_graph else ()
        wanted = _show(frame, faces, predictor, rates, sinks, times)
        meter.add(clock.now_s() - tally.first_s)
        tally.end(frame, clock.now_s(), len(faces), detected=sight.since_detection == 0)
        if not wanted:
            ended_by = "window closed"
            break
    assert ended_by is not None  # else there was a frame
    return tally.result(feed.counts(), times, meter.samples, (ended_by, error))


def see(
    rgb: NDArray[np.uint8], sight: Sight, detector: Detector, plan: LivePlan, times: StageTimes
) -> Sight:
    """Find the faces of the next frame: follow those of the last, and detect if it is time.

    It is time in the first frame, every `detect_every` frames, and after a face was lost.
    """
    with times.measure("track"):
        tracks = follow(sight.tracks, look(rgb, plan.min_face_px))
    lost = len(tracks.faces) < len(sight.tracks.faces)
    since = plan.detect_every if sight.since_detection is None else sight.since_detection + 1
    if since < plan.detect_every and not lost:
        return Sight(tracks=tracks, since_detection=since)
    with times.measure("detect"):
        found = detector.find(rgb)
    return Sight(tracks=associate(tracks, found), since_detection=0)


def _next_frame(
    feed: Feed, times: StageTimes, stop: threading.Event, deadline_s: float
) -> Tuple[Optional[Frame], Optional[EndedBy]]:
    """Wait for a frame, or for a reason why there is none."""
    while True:
        if stop.is_set():
            return None, "interrupt"
        left_s = deadline_s - times.clock.now_s()
        if left_s <= 0:
            return None, "seconds"
        frame = feed.take(min(_POLL_S, left_s))
        if frame is not None:
            return frame, None
        if feed.ended:
            feed.take(0.0)  # it may have failed since; raises what it says
            return None, "end of source"


def _describe(
    rgb: NDArray[np.uint8],
    tracks: Tracks,
    predictor: Predictor,
    averages: Averages,
    times: StageTimes,
) -> List[Dict[str, Any]]:
    seen = detections(tracks)
    if not seen:
        return []
    with times.measure("predict"):
        of_frame = predict_faces(predictor, [crop(rgb, face.crop) for face in seen])
        values = averages.add([face.number for face in tracks.faces], of_frame)
        contract = predictor.contract
        return [describe_face(values, contract, i, face.box) for i, face in enumerate(seen)]


def _show(
    frame: Frame,
    faces: Sequence[Dict[str, Any]],
    predictor: Predictor,
    fps: Sequence[FpsSample],
    sinks: Sequence[Sink],
    times: StageTimes,
) -> bool:
    if not sinks:
        return True
    with times.measure("overlay"):
        drawn = draw_live(frame.rgb, faces, predictor.contract, fps)
    wanted = True
    for sink in sinks:  # each gets the last frame too
        with times.measure(sink.stage):
            wanted = sink.show(drawn, frame.media_s) and wanted
    return wanted


class _Tally:
    """Counts what happens in one run."""

    def __init__(self) -> None:
        self.processed = 0
        self._faces = self._detections = 0
        self._size = (0, 0)
        self.first_s = self._last_s = 0.0
        self._delays_s: Deque[float] = deque(maxlen=KEPT_SAMPLES)

    def begin(self, frame: Frame, now_s: float) -> None:
        if not self.processed:
            self.first_s = now_s
            self._size = (frame.rgb.shape[1], frame.rgb.shape[0])

    def end(self, frame: Frame, now_s: float, faces: int, *, detected: bool) -> None:
        self.processed += 1
        self._faces += faces
        self._detections += detected
        self._last_s = now_s
        self._delays_s.append(now_s - frame.captured_s)

    def result(
        self,
        counts: FrameCounts,
        times: StageTimes,
        fps_samples: Tuple[FpsSample, ...],
        ended: Tuple[EndedBy, str],
    ) -> LiveResult:
        ended_by, error = ended
        wall_s = self._last_s - self.first_s
        delays_s = self._delays_s
        return LiveResult(
            ended_by=ended_by,
            error=error,
            width_px=self._size[0],
            height_px=self._size[1],
            captured_frames=counts.captured,
            processed_frames=self.processed,
            dropped_frames=counts.dropped,
            faces=self._faces,
            detections=self._detections,
            wall_s=wall_s,
            fps=self.processed / wall_s if wall_s > 0 else None,
            fps_samples=fps_samples,
            delay_p50_ms=float(np.median(delays_s)) * 1e3 if delays_s else None,
            stages=times.summarise(wall_s),
        )
