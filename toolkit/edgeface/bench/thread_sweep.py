"""How latency changes with the number of threads.

In: models by name, and thread counts. Out: `ThreadLatency` values. All models and thread counts
take turns, so that a board that grows hot slows them all alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeface.bench.latency import LatencySamples, RuntimeVersion, Worker, measure_latency
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples
from edgeface.errors import BenchmarkError
from edgeface.types import Reporter

SWEEP_THREADS = (1, 2, 4)
"""Source: issue 6, 3. A Raspberry Pi has 4 cores."""


@dataclass(frozen=True, kw_only=True)
class ThreadLatency:
    """Latency of one model with one number of threads.

    Attributes:
        threads: of the runtime.
        latency: raw samples.
    """

    threads: int
    latency: LatencySamples


@dataclass(frozen=True, kw_only=True)
class ThreadSweep:
    """What came of timing models with several numbers of threads.

    Attributes:
        runtime: that all processes used.
        latency: by name of the model, one value a thread count, in the order asked for.
        looks: at the device, one for each process, in the order started.
    """

    runtime: RuntimeVersion
    latency: dict[str, tuple[ThreadLatency, ...]]
    looks: tuple[RunSamples, ...]


def usable_threads(wanted: Sequence[int], cores: int) -> tuple[int, ...]:
    """Leave out thread counts that have no core each: they only wait for each other.

    Args:
        wanted: thread counts.
        cores: that the processes may use: those they are pinned to, else the device's.

    Returns:
        Those of `wanted` that are at most `cores`, each once and in order.
    """
    return tuple(sorted({each for each in wanted if each <= cores}))


def measure_thread_sweep(
    models: Mapping[str, Path],
    protocol: BenchProtocol,
    threads: Sequence[int],
    *,
    worker: Worker,
    reporter: Reporter,
    first_run: int = 0,
) -> ThreadSweep:
    """Time every model with every number of threads, each time in a fresh process.

    Args:
        models: name to `.tflite`, in the order to run.
        protocol: how; its `threads` does not matter.
        threads: thread counts, each once.
        worker: `run_worker`, or a stand-in.
        reporter: shows progress.
        first_run: number of the first process within its benchmark.

    Raises:
        BenchmarkError: no model, no thread count or one twice, a process failed, or processes
            disagree about the runtime.
    """
    if not threads or len(set(threads)) < len(threads):
        found = ", ".join(map(str, threads)) or "none"
        raise BenchmarkError(f"thread sweep: found {found}, expected thread counts, each once")
    parts: dict[tuple[str, int], list[LatencySamples]] = {}
    runtimes: set[RuntimeVersion] = set()
    looks: list[RunSamples] = []
    for _ in range(protocol.repeats):
        for count in threads:
            once = replace(protocol, threads=count, repeats=1)
            run = measure_latency(
                models, once, worker=worker, reporter=reporter, first_run=first_run + len(looks)
            )
            runtimes.add(run.runtime)
            looks += run.looks
            for name, samples in run.latency.items():
                parts.setdefault((name, count), []).append(samples)
    if len(runtimes) > 1:
        found = ", ".join(sorted(f"{each.name} {each.version}" for each in runtimes))
        raise BenchmarkError(f"thread sweep: processes used unlike runtimes: {found}")
    return ThreadSweep(
        runtime=runtimes.pop(),
        latency={
            name: tuple(
                ThreadLatency(threads=count, latency=_joined(parts[name, count]))
                for count in threads
            )
            for name in models
        },
        looks=tuple(looks),
    )


def _joined(parts: Sequence[LatencySamples]) -> LatencySamples:
    return LatencySamples(
        name=parts[0].name,
        repeats=tuple(repeat for part in parts for repeat in part.repeats),
        load_ms=tuple(time for part in parts for time in part.load_ms),
        first_inference_ms=tuple(time for part in parts for time in part.first_inference_ms),
    )
