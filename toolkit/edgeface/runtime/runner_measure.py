"""Latency, memory and endurance of one model in this process: the work of `runner`.

In: the path of a `.tflite`, and the rules. Out: one `dict` that JSON can hold, raw samples only:
`bench` computes the statistics. Only `invoke()` is timed: no pre- or post-processing. Needs no
sidecar and no OpenCV, whose memory would count as the model's.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np

from edgeface.errors import DeviceError
from edgeface.runtime.affinity import pin_to_cores
from edgeface.runtime.artifact import read_model
from edgeface.runtime.interpreter import (
    LoadedModel,
    invoke,
    open_model,
    runtime_name_and_version,
    set_input,
)
from edgeface.runtime.runner_timing import NS_PER_MS, time_runs, time_windows, timed_ms
from edgeface.runtime.sampling import Sampler, clock_jump_s, seconds_since, wall_offset_ns

IMAGE_SEED = 0
"""Of the random image timed. Chosen: any, because the time of a convolution does not depend on the
values; fixed, so that all runs see the same one."""

_STATUS = Path("/proc/self/status")
_S_PER_MINUTE = 60


@dataclass(frozen=True)
class HowToRun:
    """What runs, and where on the device.

    Attributes:
        path: of the `.tflite`.
        threads: of the runtime, 1 or more.
        cores: that the process may use; empty leaves it to the kernel.
        sample_interval_s: least time between two looks at the device; 0 takes none.
    """

    path: Path
    threads: int
    cores: Tuple[int, ...]
    sample_interval_s: float


@dataclass(frozen=True)
class RunLimits:
    """How many runs; see `runner_timing.time_runs`.

    Attributes:
        warmup_runs: that do not count, after the first.
        min_runs: fewest that count.
        min_duration_s: shortest time over those that count, in seconds.
        max_runs: most that count.
    """

    warmup_runs: int
    min_runs: int
    min_duration_s: float
    max_runs: int


def measure_latency(how: HowToRun, limits: RunLimits) -> Dict[str, Any]:
    """Time every inference.

    Args:
        how: what runs.
        limits: how often.

    Returns:
        "runtime", "runtime_version", "threads", "cores" (a list, or None if the kernel chose),
        "load_ms", "first_inference_ms", "warmup_ms" and "latency_ms" (a list each), "samples" (one
        `DeviceSample` each; the clock starts just before the first inference), "clock_jump_s" (by
        how much the wall clock was set meanwhile).

    Raises:
        ArtifactError: no model, or the runtime refuses it.
        DeviceError: no runtime, or no such core.
    """
    opened, reply = _open(how)
    start_ns, offset_ns = time.perf_counter_ns(), wall_offset_ns()
    sampler = Sampler(how.sample_interval_s, seconds_since(start_ns, time.perf_counter_ns))
    sampler.take()
    timing = time_runs(
        partial(invoke, opened),
        time.perf_counter_ns,
        warmup_runs=limits.warmup_runs,
        min_runs=limits.min_runs,
        min_duration_s=limits.min_duration_s,
        max_runs=limits.max_runs,
        between=sampler.take_if_due,
    )
    sampler.take()
    return {
        **reply,
        "first_inference_ms": timing.first_inference_ms,
        "warmup_ms": list(timing.warmup_ms),
        "latency_ms": list(timing.latency_ms),
        "samples": [asdict(sample) for sample in sampler.samples],
        "clock_jump_s": clock_jump_s(offset_ns),
    }


def measure_soak(how: HowToRun, *, minutes: float, window_s: float) -> Dict[str, Any]:
    """Run without a pause for long, as a device does that watches a door.

    There is no warm-up: the first window shows it.

    Args:
        how: what runs.
        minutes: for how long, above 0.
        window_s: length of the stretches that are summarised, above 0.

    Returns:
        As `measure_latency`, but with "windows" (one `Window` each, in order) instead of
        "warmup_ms" and "latency_ms".

    Raises:
        ArtifactError: no model, or the runtime refuses it.
        DeviceError: no runtime, or no such core.
    """
    opened, reply = _open(how)
    start_ns, offset_ns = time.perf_counter_ns(), wall_offset_ns()
    sampler = Sampler(how.sample_interval_s, seconds_since(start_ns, time.perf_counter_ns))
    sampler.take()
    first_ms = timed_ms(partial(invoke, opened), time.perf_counter_ns)
    windows = time_windows(
        partial(invoke, opened),
        time.perf_counter_ns,
        start_ns=start_ns,
        duration_s=minutes * _S_PER_MINUTE,
        window_s=window_s,
        between=sampler.take_if_due,
    )
    sampler.take()
    return {
        **reply,
        "first_inference_ms": first_ms,
        "windows": [asdict(window) for window in windows],
        "samples": [asdict(sample) for sample in sampler.samples],
        "clock_jump_s": clock_jump_s(offset_ns),
    }


def measure_memory(path: Path, *, threads: int, runs: int) -> Dict[str, Any]:
    """Take the peak memory of this process, which must have run nothing else.

    Args:
        path: of the `.tflite`.
        threads: of the runtime, 1 or more.
        runs: inferences made, 1 or more.

    Returns:
        "peak_rss_bytes", and "baseline_rss_bytes" with the runtime imported but no model.

    Raises:
        ArtifactError: no model, or the runtime refuses it.
        DeviceError: no runtime, or the kernel does not tell.
    """
    runtime_name_and_version()
    baseline_rss_bytes = resident_bytes("VmRSS", _status())
    content = read_model(path)
    model = open_model(content, threads=threads, where=str(path))
    _set_random_input(model)
    for _ in range(runs):
        invoke(model)
    return {
        "peak_rss_bytes": resident_bytes("VmHWM", _status()),
        "baseline_rss_bytes": baseline_rss_bytes,
    }


def resident_bytes(field: str, status: str) -> int:
    """Read one size from the text of `/proc/self/status`.

    Args:
        field: "VmHWM", the peak resident set of this program, or "VmRSS", the one now.
        status: the text.

    Returns:
        Bytes.

    Raises:
        DeviceError: the field is not there.

    Source:
        proc_pid_status(5): kB there are 1024 bytes. Not `getrusage().ru_maxrss`, which Linux
        carries over fork and exec: started by a parent of 400 MB, a 10 MB process reported 392 MB.
    """
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if not found:
        raise DeviceError(f"{_STATUS}: no {field}; memory cannot be measured on this kernel")
    return int(found.group(1)) * 1024


def _open(how: HowToRun) -> Tuple[LoadedModel, Dict[str, Any]]:
    cores = pin_to_cores(how.cores)  # before the runtime makes its threads
    content = read_model(how.path)
    runtime, version = runtime_name_and_version()  # imports it, so that load_ms is the model's only
    start_ns = time.perf_counter_ns()
    model = open_model(content, threads=how.threads, where=str(how.path))
    load_ms = (time.perf_counter_ns() - start_ns) / NS_PER_MS
    _set_random_input(model)
    return model, {
        "runtime": runtime,
        "runtime_version": version,
        "threads": how.threads,
        "cores": None if cores is None else list(cores),
        "load_ms": load_ms,
    }


def _set_random_input(model: LoadedModel) -> None:
    generator = np.random.default_rng(IMAGE_SEED)
    set_input(model, generator.integers(0, 256, model.input.shape[1:], dtype=np.uint8))


def _status() -> str:
    try:
        return _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError as err:
        raise DeviceError(
            f"{_STATUS}: cannot be read ({err.strerror}); memory is measured on Linux only"
        ) from err
