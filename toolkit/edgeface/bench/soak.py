"""Latency of one model over minutes without a pause: what it settles at when the device is hot.

In: a model and minutes. Out: `Soak`, one record a window of time, because the raw times of an hour
would be a million. The device's own state during it goes into `RunSamples`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edgeface.bench.latency import RuntimeVersion, Worker
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples, watch_arguments
from edgeface.bench.runner_reply import SLOWEST_INFERENCE_S, START_S, parse_reply
from edgeface.errors import BenchmarkError
from edgeface.runtime.telemetry import DeviceSample

WINDOW_S = 1.0  # Source: issue 6's design; 600 records in ten minutes still make a curve
SLOWED_RATIO = 1.05
"""Chosen: as `latency.UNSTABLE_REPEATS_RATIO`, by which processes that do the same may differ."""
_LONGEST_MINUTES = 24 * 60  # chosen: more is surely a mistake
_END_SHARE = 0.1  # chosen: of ten minutes one, long enough that single windows do not matter


@dataclass(frozen=True, kw_only=True)
class SoakWindow:
    """The runs of one window of time.

    Attributes:
        t_s: when it began, from the first run on.
        runs: inferences that began in it.
        p50_ms: their median.
        p90_ms: their 90th percentile.
        max_ms: the slowest.
    """

    t_s: float
    runs: int
    p50_ms: float
    p90_ms: float
    max_ms: float

    def __post_init__(self) -> None:
        """Check that these are times in their order."""
        if self.runs < 1 or self.t_s < 0:
            raise ValueError(f"a window has {self.runs} runs at {self.t_s} s, expected 1 or more")
        if not 0 < self.p50_ms <= self.p90_ms <= self.max_ms < math.inf:
            raise ValueError(
                f"window at {self.t_s} s: p50_ms, p90_ms, max_ms are {self.p50_ms}, "
                f"{self.p90_ms}, {self.max_ms}, expected above 0 and in this order"
            )


@dataclass(frozen=True, kw_only=True)
class Soak:
    """A model that ran for minutes.

    Attributes:
        minutes: asked for.
        window_s: length of a window.
        threads: of the runtime.
        windows: in order; one without a run is not there.
    """

    minutes: float
    window_s: float
    threads: int
    windows: tuple[SoakWindow, ...]

    def __post_init__(self) -> None:
        """Check that there is something, and its order."""
        times = [window.t_s for window in self.windows]
        if not times or times != sorted(set(times)):
            raise ValueError("windows of a soak: expected one or more, in the order of t_s")

    @property
    def runs(self) -> int:
        """Inferences, all windows together."""
        return sum(window.runs for window in self.windows)

    @property
    def start_ms(self) -> float:
        """Median of the windows' medians in the first tenth."""
        return float(np.median([each.p50_ms for each in self.windows[: self._tenth]]))

    @property
    def end_ms(self) -> float:
        """Median of the windows' medians in the last tenth: what it settles at."""
        return float(np.median([each.p50_ms for each in self.windows[-self._tenth :]]))

    @property
    def slowdown_ratio(self) -> float:
        """`end_ms` over `start_ms`: above 1 where the device grew slower."""
        return self.end_ms / self.start_ms

    @property
    def slowed_after_s(self) -> float | None:
        """When it had become slower for good; None if it never did.

        The beginning of the first window from which on every tenth of the soak has a median above
        `SLOWED_RATIO` times `start_ms`.
        """
        limit_ms = SLOWED_RATIO * self.start_ms
        medians = [each.p50_ms for each in self.windows]
        slow_from = None
        for at in range(len(medians) - self._tenth + 1):
            is_slow = float(np.median(medians[at : at + self._tenth])) > limit_ms
            slow_from = (at if slow_from is None else slow_from) if is_slow else None
        return None if slow_from is None else self.windows[slow_from].t_s

    @property
    def _tenth(self) -> int:
        return max(1, round(_END_SHARE * len(self.windows)))

    def pieces(self, count: int) -> tuple[Sequence[SoakWindow], ...]:
        """Divide the windows into at most `count` runs of neighbours, for a table or a curve."""
        bounds = np.linspace(0, len(self.windows), min(count, len(self.windows)) + 1)
        edges = [round(float(bound)) for bound in bounds]
        return tuple(self.windows[low:high] for low, high in pairwise(edges))


@dataclass(frozen=True, kw_only=True)
class SoakRun:
    """What came of one soak.

    Attributes:
        runtime: that ran it.
        soak: the latency over time.
        samples: the device's state meanwhile.
    """

    runtime: RuntimeVersion
    soak: Soak
    samples: RunSamples


@dataclass(frozen=True, kw_only=True)
class _SoakReply:
    runtime: str
    runtime_version: str
    threads: int
    cores: tuple[int, ...] | None
    load_ms: float
    first_inference_ms: float
    windows: tuple[SoakWindow, ...]
    samples: tuple[DeviceSample, ...]
    clock_jump_s: float


def measure_soak(
    name: str,
    path: Path,
    protocol: BenchProtocol,
    *,
    minutes: float,
    run: int,
    worker: Worker,
) -> SoakRun:
    """Run one model without a pause in a fresh process.

    Args:
        name: of the model.
        path: of the `.tflite`.
        protocol: of which threads, cores and the interval of the samples matter.
        minutes: for how long, above 0, at most 24 hours.
        run: number of the process within its benchmark.
        worker: `run_worker`, or a stand-in.

    Raises:
        BenchmarkError: so many minutes cannot be, the process failed, or its answer is not as
            agreed.
    """
    where = f"soak of {name}"
    if not 0 < minutes <= _LONGEST_MINUTES:
        raise BenchmarkError(
            f"{where}: {minutes:g} minutes, expected above 0 and at most {_LONGEST_MINUTES}"
        )
    reply = parse_reply(
        _SoakReply, where, worker(_arguments(path, protocol, minutes), _timeout_s(minutes))
    )
    if reply.threads != protocol.threads or reply.cores != protocol.cores:
        raise BenchmarkError(
            f"{where}: ran with {reply.threads} threads on cores {reply.cores}, expected "
            f"{protocol.threads} on {protocol.cores}"
        )
    try:
        soak = Soak(
            minutes=minutes, window_s=WINDOW_S, threads=reply.threads, windows=reply.windows
        )
        samples = RunSamples(
            run=run, what=where, samples=reply.samples, clock_jump_s=reply.clock_jump_s
        )
    except ValueError as err:
        raise BenchmarkError(f"{where}: {err}") from err
    runtime = RuntimeVersion(name=reply.runtime, version=reply.runtime_version)
    return SoakRun(runtime=runtime, soak=soak, samples=samples)


def _arguments(path: Path, protocol: BenchProtocol, minutes: float) -> tuple[str, ...]:
    return (
        *("soak", str(path)),
        *("--threads", str(protocol.threads)),
        *("--minutes", str(minutes)),
        *("--window-s", str(WINDOW_S)),
        *watch_arguments(protocol),
    )


def _timeout_s(minutes: float) -> float:
    return START_S + 60 * minutes + 2 * SLOWEST_INFERENCE_S
