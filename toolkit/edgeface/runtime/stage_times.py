"""Measures where the time of a frame goes.

In: a clock, and the stages as they happen. Out: a summary a stage: how often, how long, what frame
rate it would reach alone; and the frame rate as it went. Prints nothing. Says nothing of the model
alone: `bench` measures that.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Deque, Dict, Iterator, Optional, Protocol, Sequence, Tuple

import numpy as np

KEPT_SAMPLES = 10_000
"""Of each stage, for the percentiles; sums and counts know all. Chosen: five minutes at 30 FPS, so
that days of running fit into 1 MB."""

FPS_FRAMES = 30
"""Frames that the current FPS is a mean of. Chosen: a second of a usual camera, so that the frames
with a detection among them do not make the figure jump."""

GRAPH_S = 10.0
"""What the graph of the frame rate shows, until now. Chosen: long enough for a change of the scene
to be seen, and 1.9 frames of 30 FPS for each of the graph's columns of pixels."""


class Clock(Protocol):
    """Tells the time and waits; tests have one that does not take any."""

    def now_s(self) -> float:
        """Give seconds since some moment; never goes back."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long or until `stop` is set; says whether it is."""


class SystemClock:
    """The clock of this machine."""

    def now_s(self) -> float:
        """Give seconds of the finest clock that never goes back."""
        return time.perf_counter()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long or until `stop` is set; says whether it is."""
        return stop.wait(seconds)


@dataclass(frozen=True)
class StageSummary:
    """What one stage cost.

    Attributes:
        stage: its name.
        frames: times it ran.
        p50_ms: median wall time of one run, of the last `KEPT_SAMPLES`.
        p95_ms: 95th percentile of the same.
        fps: frames a second if there were only this stage, 1 / mean of all runs; None if it took no
            time that the clock can see.
        share_ratio: its sum in parts of the whole wall time; None if that is 0. Stages of another
            thread overlap, so that all of them may add to more than 1.
    """

    stage: str
    frames: int
    p50_ms: float
    p95_ms: float
    fps: Optional[float]
    share_ratio: Optional[float]


class StageTimes:
    """Collects the wall time of stages; threads may share one.

    Attributes:
        clock: what it measures by.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with no stage."""
        self.clock = clock
        self._lock = threading.Lock()
        self._samples_s: Dict[str, Deque[float]] = {}
        self._total_s: Dict[str, float] = {}
        self._runs: Dict[str, int] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Count one run of a stage."""
        with self._lock:
            if stage not in self._samples_s:
                self._samples_s[stage] = deque(maxlen=KEPT_SAMPLES)
                self._total_s[stage], self._runs[stage] = 0.0, 0
            self._samples_s[stage].append(seconds)
            self._total_s[stage] += seconds
            self._runs[stage] += 1

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time inside the context; a run that raises counts nothing."""
        begun_s = self.clock.now_s()
        yield
        self.add(stage, self.clock.now_s() - begun_s)

    def summarise(self, wall_s: float) -> Tuple[StageSummary, ...]:
        """Sum up each stage, in the order in which they first ran.

        Args:
            wall_s: the time that the shares are of, 0 or more.
        """
        with self._lock:
            return tuple(
                _summary(stage, samples, self._total_s[stage], self._runs[stage], wall_s)
                for stage, samples in self._samples_s.items()
            )


@dataclass(frozen=True)
class FpsSample:
    """The frame rate at one moment.

    Attributes:
        at_s: when a frame was done, in seconds since the meter's moment 0.
        fps: frames a second, end to end, of the last `FPS_FRAMES` until then.
    """

    at_s: float
    fps: float


class FpsMeter:
    """Tells the frame rate of the last frames, whatever becomes of their time."""

    def __init__(self) -> None:
        """Begin with no frame."""
        self._done_s: Deque[float] = deque(maxlen=FPS_FRAMES + 1)
        self._samples: Deque[FpsSample] = deque(maxlen=KEPT_SAMPLES)
        self._recent: Deque[FpsSample] = deque(maxlen=KEPT_SAMPLES)

    def add(self, now_s: float) -> None:
        """Count a frame that is done, at a moment that never goes back."""
        self._done_s.append(now_s)
        span_s = now_s - self._done_s[0]
        if span_s <= 0:
            return
        sample = FpsSample(at_s=now_s, fps=(len(self._done_s) - 1) / span_s)
        self._samples.append(sample)
        self._recent.append(sample)
        while now_s - self._recent[0].at_s > GRAPH_S:
            self._recent.popleft()

    @property
    def recent(self) -> Tuple[FpsSample, ...]:
        """One sample a frame of the last `GRAPH_S`, the newest last."""
        return tuple(self._recent)

    @property
    def samples(self) -> Tuple[FpsSample, ...]:
        """One sample a frame of the last `KEPT_SAMPLES`, the newest last.

        A frame has none if no time has passed since the first; the first itself never has one.
        """
        return tuple(self._samples)


def _summary(
    stage: str, samples_s: Sequence[float], total_s: float, runs: int, wall_s: float
) -> StageSummary:
    p50_ms, p95_ms = np.percentile(np.asarray(samples_s) * 1e3, [50, 95])
    return StageSummary(
        stage=stage,
        frames=runs,
        p50_ms=float(p50_ms),
        p95_ms=float(p95_ms),
        fps=runs / total_s if total_s > 0 else None,
        share_ratio=total_s / wall_s if wall_s > 0 else None,
    )
