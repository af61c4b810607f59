"""Measures where the time of a frame goes.

In: a clock, and the stages as they happen. Out: a summary a stage: how often, how long, what frame
rate it would reach alone. Prints nothing. Says nothing of the model alone: `bench` measures that.
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

FPS_HISTORY = 120
"""Values kept for the graph, one a frame. Chosen: four seconds of a usual camera."""


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


class FpsMeter:
    """Tells the frame rate of the last frames."""

    def __init__(self) -> None:
        """Begin with no frame."""
        self._done_s: Deque[float] = deque(maxlen=FPS_FRAMES + 1)
        self._history: Deque[float] = deque(maxlen=FPS_HISTORY)

    def add(self, now_s: float) -> None:
        """Count a frame that is done."""
        self._done_s.append(now_s)
        span_s = now_s - self._done_s[0]
        if span_s > 0:
            self._history.append((len(self._done_s) - 1) / span_s)

    @property
    def history(self) -> Tuple[float, ...]:
        """FPS after each of the last `FPS_HISTORY` frames, the newest last."""
        return tuple(self._history)


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
