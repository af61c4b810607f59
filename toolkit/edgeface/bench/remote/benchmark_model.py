"""What LiteRT's `benchmark_model` prints, taken apart.

In: its options as numbers, and its text. Out: its command line, and `ToolReport`. The tool prints
statistics of its runs, not the runs: only of two can each be known, as first and last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeface.errors import BenchmarkError

LONGEST_S = 3600.0
"""Chosen: the tool ends a phase after 150 s by itself, with fewer runs than asked for."""

_COUNT = re.compile(r"\bcount=(\d+)(?: (.*))?$", re.MULTILINE)
_FIELD = re.compile(r"(\w+)=([0-9.]+(?:e[+-]?\d+)?)")
_SUMMARY = re.compile(
    r"Inference timings in us: Init: ([0-9.e+]+), First inference: ([0-9.e+]+), "
    r"Warmup \(avg\): ([0-9.e+]+), Inference \(avg\): ([0-9.e+]+)"
)
_THREADS = re.compile(
    r"^(?:INFO: )?(?:#threads used for CPU inference|Num threads): \[(\d+)\]", re.M
)
_PEAK = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: ([0-9.]+)")
_DELTA = re.compile(
    r"Memory footprint delta from the start of the tool \(MB\): init=\S+ overall=([0-9.]+)"
)
_REPLACED = re.compile(
    r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\) node, "
    r"yielding (\d+) partitions"
)
_ERROR = re.compile(r"^(?:ERROR|FATAL)?:?.*(?:ERROR|[Ee]rror|[Ff]ailed|[Uu]nrecognized).*$", re.M)
_BYTES_PER_MB = 1024 * 1024  # Source: memory_info.h: kilobytes of 1024, printed / 1024.0
_US_PER_MS = 1000.0


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Statistics of one series of runs: the warm-up, or the runs that count.

    Attributes:
        count: runs.
        first_ms: the first run.
        last_ms: the last.
        min_ms: the fastest.
        max_ms: the slowest.
        mean_ms: to six digits.
        stddev_ms: in whole microseconds.
        p5_ms: the run that a 20th of all is faster than; None in tools of before 2024.
        median_ms: the same for half of all.
        p95_ms: the same for 19 of 20.
    """

    count: int
    first_ms: float
    last_ms: float
    min_ms: float
    max_ms: float
    mean_ms: float
    stddev_ms: float
    p5_ms: float | None
    median_ms: float | None
    p95_ms: float | None

    def runs_ms(self) -> tuple[float, ...]:
        """Give every run, in order: known for one or two.

        Raises:
            BenchmarkError: there are more, and the tool does not print them.
        """
        if self.count > 2:
            raise BenchmarkError(
                f"benchmark_model tells the statistics of {self.count} runs and not the runs; "
                "expected at most 2"
            )
        return (self.first_ms, self.last_ms)[: self.count]


@dataclass(frozen=True, kw_only=True)
class ToolReport:
    """One process of the tool.

    Attributes:
        init_ms: to open the model and allocate its tensors.
        first_inference_ms: the first of the warm-up.
        warmup: the runs that do not count.
        runs: those that do.
        threads: that the tool says it was given; None where it says nothing.
        peak_bytes: largest resident set; None where it was not watched.
        baseline_bytes: of which the tool itself, before the model; None as above.
        delegated: operators that a delegate took, as (taken, all, its name, partitions); None where
            the tool does not say so.
    """

    init_ms: float
    first_inference_ms: float
    warmup: Phase
    runs: Phase
    threads: int | None
    peak_bytes: int | None
    baseline_bytes: int | None
    delegated: tuple[int, int, str, int] | None


def tool_options(
    model: str,
    *,
    threads: int,
    warmup_runs: int,
    runs: int,
    min_duration_s: float = 0.0,
    watch_memory: bool = False,
) -> tuple[str, ...]:
    """Put a measurement into the tool's own words.

    Args:
        model: path on the phone.
        threads: of the runtime.
        warmup_runs: after the very first inference, which the tool counts among them.
        runs: that count, at least.
        min_duration_s: of the runs that count, at least.
        watch_memory: whether to sample memory, which disturbs the clock.

    Source:
        LiteRT, tools/benchmark/benchmark_model.cc, GetFlags and Run.
    """
    return (
        f"--graph={model}",
        f"--num_threads={threads}",
        f"--warmup_runs={warmup_runs + 1}",
        "--warmup_min_secs=0",
        f"--num_runs={runs}",
        f"--min_secs={min_duration_s:g}",
        f"--max_secs={LONGEST_S:g}",
        f"--report_peak_memory_footprint={'true' if watch_memory else 'false'}",
    )


def parse_report(text: str, where: str) -> ToolReport:
    """Take the tool's text apart.

    Args:
        text: all it wrote, to stdout and stderr.
        where: the phone and the model, for messages.

    Raises:
        BenchmarkError: it holds no result; says the tool's last complaint.

    Source:
        LiteRT, tools/benchmark/benchmark_model.cc: BenchmarkLoggingListener::OnBenchmarkEnd, Run;
        tsl/util/stats_calculator.h: Stat::OutputToStream, StatWithPercentiles.
    """
    text = text.replace("\r", "")
    phases = [_phase(int(count), rest) for count, rest in _COUNT.findall(text)]
    summary = _SUMMARY.search(text)
    if summary is None or len(phases) != 2 or None in phases:
        complaint = _ERROR.findall(text)[-1:] or text.strip().splitlines()[-1:] or ["nothing"]
        raise BenchmarkError(
            f"{where}: benchmark_model gave no result; it said: {' '.join(complaint[0].split())}"
        )
    warmup, runs = phases
    assert warmup is not None
    assert runs is not None
    threads, replaced = _THREADS.search(text), _REPLACED.search(text)
    peak, delta = _PEAK.search(text), _DELTA.search(text)
    peak_bytes = round(float(peak[1]) * _BYTES_PER_MB) if peak else None
    return ToolReport(
        init_ms=float(summary[1]) / _US_PER_MS,
        first_inference_ms=float(summary[2]) / _US_PER_MS,
        warmup=warmup,
        runs=runs,
        threads=int(threads[1]) if threads else None,
        peak_bytes=peak_bytes,
        baseline_bytes=(
            peak_bytes - round(float(delta[1]) * _BYTES_PER_MB) if peak_bytes and delta else None
        ),
        delegated=(
            (int(replaced[1]), int(replaced[2]), replaced[3], int(replaced[4]))
            if replaced
            else None
        ),
    )


def _phase(count: int, rest: str) -> Phase | None:
    """Read one line of statistics; None where it has no run, or lacks what it must have."""
    found = {name: float(value) / _US_PER_MS for name, value in _FIELD.findall(rest)}
    if not count or "curr" not in found:
        return None
    same = found["curr"]
    if "first" not in found:  # printed where all runs took the same number of microseconds
        found = {"first": same, "min": same, "max": same, "avg": same, "std": 0.0, **found}
    if not {"min", "max", "avg", "std"} <= set(found):
        return None
    return Phase(
        count=count,
        first_ms=found["first"],
        last_ms=same,
        min_ms=found["min"],
        max_ms=found["max"],
        mean_ms=found["avg"],
        stddev_ms=found["std"],
        p5_ms=found.get("p5"),
        median_ms=found.get("median"),
        p95_ms=found.get("p95"),
    )
