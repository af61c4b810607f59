"""Latency and memory of `.tflite` files, each measured in fresh processes.

In: models by name, and a protocol. Out: raw samples, never only their summary. Models take turns
(A B C A B C), so that a machine that grows hot or busy slows them all alike. Memory has a pass of
its own, because watching it disturbs the clock. Quality is not measured here.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples, watch_arguments
from edgeface.bench.runner_reply import SLOWEST_INFERENCE_S, START_S, parse_reply
from edgeface.errors import BenchmarkError
from edgeface.runtime.telemetry import DeviceSample
from edgeface.types import Reporter

MEMORY_RUNS = 20  # chosen: buffers are allocated by the first inference; the rest shows a leak
# Source: pyperf, `Benchmark` checks: std-dev of 10 % of the mean, an extreme 50 % off.
UNSTABLE_STDDEV_RATIO = 0.10
UNSTABLE_EXTREME_RATIO = 0.50
# chosen: two models closer than this cannot be told apart, so repeats must agree at least so well
UNSTABLE_REPEATS_RATIO = 0.05

Worker = Callable[[tuple[str, ...], float], Mapping[str, Any]]
"""Runs `edgeface.runtime.runner` with the arguments, within the seconds, and gives its JSON."""


@dataclass(frozen=True, kw_only=True)
class LatencySamples:
    """Raw latency of one model. Statistics are computed from it, never stored.

    Attributes:
        name: of the model.
        repeats: milliseconds of each timed inference, in order, for each fresh process.
        load_ms: time to open the file, for each process.
        first_inference_ms: the first inference, which the warm-up hides, for each process.
    """

    name: str
    repeats: tuple[tuple[float, ...], ...]
    load_ms: tuple[float, ...]
    first_inference_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that there is something to summarise and that every value is a time."""
        if not self.repeats or not all(self.repeats):
            raise ValueError("repeats has no sample, expected at least one in each repeat")
        if not len(self.repeats) == len(self.load_ms) == len(self.first_inference_ms):
            raise ValueError("repeats, load_ms and first_inference_ms differ in length")
        times = [*self.load_ms, *self.first_inference_ms, *self._all()]
        if not all(math.isfinite(time) and time > 0 for time in times):
            raise ValueError("a time is not above 0, expected milliseconds")

    def _all(self) -> list[float]:
        return [time for repeat in self.repeats for time in repeat]

    def percentile_ms(self, percent: float) -> float:
        """Latency that `percent` (0 to 100) of all runs stay within, linearly interpolated."""
        return float(np.percentile(self._all(), percent))

    @property
    def p50_ms(self) -> float:
        """Median over all runs of all repeats."""
        return self.percentile_ms(50)

    @property
    def p90_ms(self) -> float:
        """90th percentile over all runs of all repeats."""
        return self.percentile_ms(90)

    @property
    def p99_ms(self) -> float:
        """99th percentile over all runs of all repeats."""
        return self.percentile_ms(99)

    @property
    def fps(self) -> float:
        """Inferences a second at the median, model only: no detection, crop or decoding."""
        return 1000 / self.p50_ms

    @property
    def runs(self) -> int:
        """Timed inferences, all repeats together."""
        return sum(map(len, self.repeats))

    def warnings(self) -> tuple[str, ...]:
        """Say in words what makes the samples doubtful; empty for a quiet machine."""
        times = np.asarray(self._all())
        median = self.p50_ms
        found = []
        stddev_ratio = float(times.std() / times.mean())
        if stddev_ratio >= UNSTABLE_STDDEV_RATIO:
            found.append(f"standard deviation is {100 * stddev_ratio:.0f} % of the mean")
        for word, extreme in (("slowest", float(times.max())), ("fastest", float(times.min()))):
            off_ratio = abs(extreme - median) / median
            if off_ratio >= UNSTABLE_EXTREME_RATIO:
                found.append(f"{word} run is {100 * off_ratio:.0f} % off the median")
        medians = [float(np.median(repeat)) for repeat in self.repeats]
        spread_ratio = (max(medians) - min(medians)) / median
        if spread_ratio > UNSTABLE_REPEATS_RATIO:
            found.append(f"medians of the repeats differ by {100 * spread_ratio:.0f} %")
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Peak memory of one process that ran one model.

    Attributes:
        peak_rss_bytes: largest resident set of the process: Python, runtime and model.
        baseline_rss_bytes: resident set with the runtime imported, before the model.
    """

    peak_rss_bytes: int
    baseline_rss_bytes: int

    def __post_init__(self) -> None:
        """Check that a peak is a peak."""
        if not 0 < self.baseline_rss_bytes <= self.peak_rss_bytes:
            raise ValueError(
                f"baseline_rss_bytes is {self.baseline_rss_bytes}, expected above 0 and at most "
                f"peak_rss_bytes, {self.peak_rss_bytes}"
            )

    @property
    def model_rss_bytes(self) -> int:
        """What the model adds to the runtime."""
        return self.peak_rss_bytes - self.baseline_rss_bytes


@dataclass(frozen=True, kw_only=True)
class RuntimeVersion:
    """What ran the models.

    Attributes:
        name: package, e.g. "ai-edge-litert".
        version: of it.
    """

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class LatencyRun:
    """What came of timing some models in turns.

    Attributes:
        runtime: that all processes used.
        latency: raw samples by name of the model.
        looks: at the device, one for each process, in the order started.
    """

    runtime: RuntimeVersion
    latency: dict[str, LatencySamples]
    looks: tuple[RunSamples, ...]


@dataclass(frozen=True, kw_only=True)
class _LatencyReply:
    runtime: str
    runtime_version: str
    threads: int
    cores: tuple[int, ...] | None
    load_ms: float
    first_inference_ms: float
    warmup_ms: tuple[float, ...]
    latency_ms: tuple[float, ...]
    samples: tuple[DeviceSample, ...]
    clock_jump_s: float


def run_worker(arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
    """Run `edgeface.runtime.runner` in a fresh process.

    Args:
        arguments: of the runner, e.g. ("latency", "model.tflite", "--threads", "1").
        timeout_s: after which the process is killed.

    Returns:
        The JSON object it printed.

    Raises:
        BenchmarkError: it failed, took too long, or printed something else; says why.
    """
    command = [sys.executable, "-m", "edgeface.runtime.runner", *arguments]
    what = " ".join(arguments[:2])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise BenchmarkError(
            f"{what}: no answer within {timeout_s:.0f} s, killed; try fewer runs"
        ) from err
    except OSError as err:
        raise BenchmarkError(f"{what}: cannot start {sys.executable}: {err}") from err
    return read_reply(what, done.returncode, done.stdout, done.stderr)


def read_reply(what: str, status: int, stdout: str, stderr: str) -> Mapping[str, Any]:
    """Take the runner's answer apart.

    Args:
        what: was asked, for messages.
        status: exit status; negative is the signal that killed it.
        stdout: one JSON object.
        stderr: talk of the runtime, read only where there is no better message.

    Raises:
        BenchmarkError: an error in place of an answer, with the runner's own words.
    """
    try:
        reply = json.loads(stdout)
    except json.JSONDecodeError:
        reply = None
    if isinstance(reply, dict) and "error" in reply:
        raise BenchmarkError(f"{what}: {_one_line(str(reply['error']))}")
    if status < 0:
        raise BenchmarkError(f"{what}: the process was killed by {_signal_name(-status)}")
    if status or not isinstance(reply, dict):
        last = stderr.strip().splitlines()[-1:] or ["it said nothing on stderr"]
        raise BenchmarkError(
            f"{what}: exit status {status} and no JSON object on stdout; {_one_line(last[0])}"
        )
    return reply


def measure_latency(
    models: Mapping[str, Path],
    protocol: BenchProtocol,
    *,
    worker: Worker,
    reporter: Reporter,
    first_run: int = 0,
) -> LatencyRun:
    """Time models in turns, each time in a fresh process.

    Args:
        models: name to `.tflite`, in the order to run.
        protocol: how.
        worker: `run_worker`, or a stand-in.
        reporter: shows progress.
        first_run: number of the first process within its benchmark.

    Raises:
        BenchmarkError: no model, a process failed, or processes disagree about the runtime.
    """
    if not models:
        raise BenchmarkError("nothing to measure: give at least one .tflite file")
    timeout_s = worker_timeout_s(protocol)
    replies: dict[str, list[_LatencyReply]] = {name: [] for name in models}
    looks: list[RunSamples] = []
    with reporter.track("latency", protocol.repeats * len(models)) as advance:
        for repeat in range(protocol.repeats):
            for name, path in models.items():
                reply = worker(_latency_arguments(path, protocol), timeout_s)
                parsed = _checked_reply(name, reply, protocol)
                replies[name].append(parsed)
                looks.append(_looks(first_run + len(looks), name, parsed))
                advance(1, f"{name}, repeat {repeat + 1} of {protocol.repeats}")
    runtimes = {
        (reply.runtime, reply.runtime_version) for each in replies.values() for reply in each
    }
    if len(runtimes) > 1:
        found = ", ".join(sorted(" ".join(pair) for pair in runtimes))
        raise BenchmarkError(f"processes used unlike runtimes: {found}; nothing can be compared")
    name, version = runtimes.pop()
    return LatencyRun(
        runtime=RuntimeVersion(name=name, version=version),
        latency={name: _samples(name, each) for name, each in replies.items()},
        looks=tuple(looks),
    )


def measure_memory(
    models: Mapping[str, Path],
    protocol: BenchProtocol,
    *,
    worker: Worker,
    reporter: Reporter,
) -> dict[str, MemoryUse]:
    """Measure peak memory of each model in a fresh process of its own.

    Args:
        models: name to `.tflite`.
        protocol: of which only `threads` matters here.
        worker: `run_worker`, or a stand-in.
        reporter: shows progress.

    Raises:
        BenchmarkError: a process failed.
    """
    memory = {}
    with reporter.track("memory", len(models)) as advance:
        for name, path in models.items():
            arguments = (
                *("memory", str(path)),
                *("--threads", str(protocol.threads), "--runs", str(MEMORY_RUNS)),
            )
            reply = worker(arguments, START_S + MEMORY_RUNS * SLOWEST_INFERENCE_S)
            memory[name] = parse_reply(MemoryUse, name, reply)
            advance(1, name)
    return memory


def worker_timeout_s(protocol: BenchProtocol) -> float:
    """Seconds after which one latency process counts as hung."""
    runs = protocol.warmup_runs + protocol.min_runs
    return START_S + 2 * protocol.min_duration_s + runs * SLOWEST_INFERENCE_S


def _latency_arguments(path: Path, protocol: BenchProtocol) -> tuple[str, ...]:
    return (
        *("latency", str(path)),
        *("--threads", str(protocol.threads)),
        *("--warmup-runs", str(protocol.warmup_runs)),
        *("--min-runs", str(protocol.min_runs)),
        *("--min-duration-s", str(protocol.min_duration_s)),
        *watch_arguments(protocol),
    )


def _checked_reply(name: str, reply: Mapping[str, Any], protocol: BenchProtocol) -> _LatencyReply:
    parsed = parse_reply(_LatencyReply, name, reply)
    if (parsed.threads, parsed.cores) != (protocol.threads, protocol.cores):
        raise BenchmarkError(
            f"{name}: the runner used {parsed.threads} threads on cores {parsed.cores}, expected "
            f"{protocol.threads} on {protocol.cores}"
        )
    if len(parsed.latency_ms) < protocol.min_runs:
        raise BenchmarkError(
            f"{name}: the runner gave {len(parsed.latency_ms)} runs, expected at least "
            f"{protocol.min_runs}"
        )
    return parsed


def _looks(run: int, name: str, reply: _LatencyReply) -> RunSamples:
    what = f"latency of {name}, {reply.threads} thread{'s' * (reply.threads > 1)}"
    try:
        return RunSamples(
            run=run, what=what, samples=reply.samples, clock_jump_s=reply.clock_jump_s
        )
    except ValueError as err:
        raise BenchmarkError(f"{name}: {err}") from err


def _samples(name: str, replies: list[_LatencyReply]) -> LatencySamples:
    try:
        return LatencySamples(
            name=name,
            repeats=tuple(reply.latency_ms for reply in replies),
            load_ms=tuple(reply.load_ms for reply in replies),
            first_inference_ms=tuple(reply.first_inference_ms for reply in replies),
        )
    except ValueError as err:
        raise BenchmarkError(f"{name}: {err}") from err


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name}, most likely for lack of memory" if name == "SIGKILL" else name


def _one_line(text: str) -> str:
    return " ".join(text.split())
