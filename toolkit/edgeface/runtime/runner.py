"""Times one model, or takes its memory, in a process of its own: what `bench` starts on a device.

In: `python -m edgeface.runtime.runner latency|memory MODEL.tflite ...`. Out: one JSON object on
stdout; `{"error": TEXT}` and exit status 1 for an `EdgefaceError`, 2 for wrong usage. Only
`invoke()` is timed: no pre- or post-processing. Computes no statistics (`bench` does), and needs
no sidecar. Uses argparse, and not Typer, because only the standard library is sure to be there.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edgeface.errors import DeviceError, EdgefaceError
from edgeface.runtime.artifact import read_model
from edgeface.runtime.interpreter import (
    LoadedModel,
    invoke,
    open_model,
    runtime_name_and_version,
    set_input,
)

IMAGE_SEED = 0
"""Of the random image timed. Chosen: any, because the time of a convolution does not depend on the
values; fixed, so that all runs see the same one."""

_STATUS = Path("/proc/self/status")
_NS_PER_MS = 1e6
_NS_PER_S = 1e9


@dataclass(frozen=True)
class Timing:
    """Wall time of each inference, in milliseconds and in order.

    Attributes:
        first_inference_ms: of the very first one, which may still pack weights.
        warmup_ms: of the runs after it that do not count.
        latency_ms: of the runs that count.
    """

    first_inference_ms: float
    warmup_ms: Tuple[float, ...]
    latency_ms: Tuple[float, ...]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one measurement and print it.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit status: 0, or 1 for an `EdgefaceError`.
    """
    options = _parse(arguments)
    try:
        result = _latency(options) if options.command == "latency" else _memory(options)
    except EdgefaceError as err:
        print(json.dumps({"error": str(err)}))
        return 1
    print(json.dumps(result))
    return 0


def time_runs(
    call: Callable[[], Any],
    clock_ns: Callable[[], int],
    *,
    warmup_runs: int,
    min_runs: int,
    min_duration_s: float,
    max_runs: int,
) -> Timing:
    """Time repeated calls until there are enough of them and enough time has passed.

    Python's garbage collector is off meanwhile: a collection would fall into some runs and not
    others, and is not the model's time.

    Args:
        call: what is timed.
        clock_ns: monotonic time in nanoseconds.
        warmup_runs: calls after the first that do not count, 0 or more.
        min_runs: fewest that count.
        min_duration_s: shortest time over the calls that count, in seconds.
        max_runs: most that count, even if the time is not over.

    Returns:
        The time of every call.

    Source:
        Garbage collector: Python's own timeit does the same. At least 200 runs and 10 s (the
        command line's defaults): docs/design.md, Results.
    """

    def timed() -> float:
        start_ns = clock_ns()
        call()
        return (clock_ns() - start_ns) / _NS_PER_MS

    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        first_ms = timed()
        warmup_ms = [timed() for _ in range(warmup_runs)]
        latency_ms: List[float] = []
        end_ns = clock_ns() + min_duration_s * _NS_PER_S
        while len(latency_ms) < max_runs and (len(latency_ms) < min_runs or clock_ns() < end_ns):
            latency_ms.append(timed())
    finally:
        if enabled:
            gc.enable()
    return Timing(first_ms, tuple(warmup_ms), tuple(latency_ms))


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


def _latency(options: argparse.Namespace) -> Dict[str, Any]:
    content = read_model(options.model)
    runtime, version = runtime_name_and_version()  # imports it, so that load_ms is the model's only
    start_ns = time.perf_counter_ns()
    model = open_model(content, threads=options.threads, where=str(options.model))
    load_ms = (time.perf_counter_ns() - start_ns) / _NS_PER_MS
    _set_random_input(model)
    timing = time_runs(
        partial(invoke, model),
        time.perf_counter_ns,
        warmup_runs=options.warmup_runs,
        min_runs=options.min_runs,
        min_duration_s=options.min_duration_s,
        max_runs=options.max_runs,
    )
    return {
        "runtime": runtime,
        "runtime_version": version,
        "threads": options.threads,
        "load_ms": load_ms,
        "first_inference_ms": timing.first_inference_ms,
        "warmup_ms": list(timing.warmup_ms),
        "latency_ms": list(timing.latency_ms),
    }


def _memory(options: argparse.Namespace) -> Dict[str, Any]:
    runtime_name_and_version()
    baseline_rss_bytes = resident_bytes("VmRSS", _status())
    content = read_model(options.model)
    model = open_model(content, threads=options.threads, where=str(options.model))
    _set_random_input(model)
    for _ in range(options.runs):
        invoke(model)
    return {
        "peak_rss_bytes": resident_bytes("VmHWM", _status()),
        "baseline_rss_bytes": baseline_rss_bytes,
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


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m edgeface.runtime.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    latency = commands.add_parser("latency", help="wall time of every inference")
    latency.add_argument("--warmup-runs", type=_count(0), default=10)
    latency.add_argument("--min-runs", type=_count(1), default=200)
    latency.add_argument("--min-duration-s", type=_duration_s, default=10.0)
    latency.add_argument("--max-runs", type=_count(1), default=100_000)
    memory = commands.add_parser("memory", help="peak resident set")
    memory.add_argument("--runs", type=_count(1), default=20)
    for command in (latency, memory):
        command.add_argument("model", type=Path, metavar="MODEL.tflite")
        command.add_argument("--threads", type=_count(1), default=1)
    options = parser.parse_args(arguments)
    if options.command == "latency" and options.max_runs < options.min_runs:
        parser.error(f"--max-runs {options.max_runs} is below --min-runs {options.min_runs}")
    return options


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"found {value}, expected {least} or more")
        return value

    return count


def _duration_s(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:  # also refuses nan; an hour is surely a mistake
        raise argparse.ArgumentTypeError(f"found {value}, expected 0 to 3600 seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
