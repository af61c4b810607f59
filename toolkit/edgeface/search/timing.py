"""How a search times a file. In: a `.tflite`. Out: `Timing` on one device.

Only this host can be timed yet; another device needs a `Timer` of its own, and a budget that names
one that is not there is refused (`budget.check_devices`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgeface.bench.latency import measure_latency, run_worker
from edgeface.bench.protocol import BenchProtocol
from edgeface.search.budget import LOCAL
from edgeface.search.locks import FileLock
from edgeface.search.measured import Timing
from edgeface.types import Reporter

Timer = Callable[[Path], Timing]
"""Times one file on one device."""

SHORT_PROTOCOL = BenchProtocol(min_runs=100, min_duration_s=1.0, sample_interval_s=0.0)
"""Chosen: 3 processes of a second tell candidates apart that are 5 % apart on a quiet machine, and
take 5 s, little beside training; final figures are for `edgeface bench` and its own protocol."""


def local_timers(
    lock_file: Path, reporter: Reporter, protocol: BenchProtocol = SHORT_PROTOCOL
) -> Mapping[str, Timer]:
    """Give the timers of the devices that there are: this host.

    Args:
        lock_file: held while a file is timed, so that two workers never time at once.
        reporter: shows progress.
        protocol: how.
    """

    def timed(path: Path) -> Timing:
        with FileLock(lock_file).held():
            run = measure_latency({path.stem: path}, protocol, worker=run_worker, reporter=reporter)
        measured = run.latency[path.stem]
        return Timing(p50_ms=measured.p50_ms, p90_ms=measured.p90_ms, warnings=measured.warnings())

    return {LOCAL: timed}
