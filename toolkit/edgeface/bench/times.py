"""All that a clock measures of some models, in the order in which a device must do it.

In: a plan and a worker. Out: `Times`. Latency first, while the device is cool; the soak last,
because it is meant to heat it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeface.bench.frames import FrameTimes, measure_frames
from edgeface.bench.latency import (
    LatencySamples,
    MemoryUse,
    RuntimeVersion,
    Worker,
    measure_latency,
    measure_memory,
)
from edgeface.bench.plan import BenchPlan
from edgeface.bench.run_samples import RunSamples
from edgeface.bench.soak import Soak, measure_soak
from edgeface.bench.thread_sweep import ThreadLatency, measure_thread_sweep, usable_threads
from edgeface.errors import BenchmarkError
from edgeface.types import Reporter


@dataclass(frozen=True, kw_only=True)
class Times:
    """What was timed; each by name of the model, empty where the plan does not ask for it.

    Attributes:
        runtime: that all processes used.
        latency: raw samples.
        memory: in processes of their own.
        sweep: latency by number of threads.
        frames: from picture to attributes.
        soak: latency over minutes.
        looks: at the device, one for each process that was watched, in the order started.
    """

    runtime: RuntimeVersion
    latency: Mapping[str, LatencySamples] = field(default_factory=dict)
    memory: Mapping[str, MemoryUse] = field(default_factory=dict)
    sweep: Mapping[str, tuple[ThreadLatency, ...]] = field(default_factory=dict)
    frames: Mapping[str, FrameTimes] = field(default_factory=dict)
    soak: Mapping[str, Soak] = field(default_factory=dict)
    looks: tuple[RunSamples, ...] = ()


def measure_times(
    models: Mapping[str, Path], plan: BenchPlan, *, cores: int, worker: Worker, reporter: Reporter
) -> Times:
    """Time models by a plan.

    Args:
        models: name to `.tflite`, in the order to run.
        plan: what.
        cores: of the device, beyond which a sweep does not go.
        worker: `run_worker`, or a stand-in.
        reporter: shows progress.

    Raises:
        BenchmarkError: a process failed, or processes used unlike runtimes.
    """
    protocol = plan.protocol
    timed = measure_latency(models, protocol, worker=worker, reporter=reporter)
    looks = list(timed.looks)
    runtimes = [timed.runtime]
    memory = measure_memory(models, protocol, worker=worker, reporter=reporter)
    sweep: Mapping[str, tuple[ThreadLatency, ...]] = {}
    if plan.sweep_threads:
        swept = measure_thread_sweep(
            models,
            protocol,
            usable_threads(plan.sweep_threads, len(protocol.cores) if protocol.cores else cores),
            worker=worker,
            reporter=reporter,
            first_run=len(looks),
        )
        sweep = swept.latency
        looks += swept.looks
        runtimes.append(swept.runtime)
    frames = {}
    if plan.frames:
        with reporter.track("frames", len(models)) as advance:
            for name, path in models.items():
                framed = measure_frames(
                    name, path, protocol, plan.frames, run=len(looks), worker=worker
                )
                frames[name] = framed.frames
                looks.append(framed.samples)
                runtimes.append(framed.runtime)
                advance(1, name)
    soak = {}
    if plan.soak_minutes:
        # a bar cannot move inside a process that runs for minutes
        reporter.say(f"soak: {plan.soak_minutes:g} minutes for each of {len(models)} models")
        with reporter.track("soak", len(models)) as advance:
            for name, path in models.items():
                soaked = measure_soak(
                    name,
                    path,
                    protocol,
                    minutes=plan.soak_minutes,
                    run=len(looks),
                    worker=worker,
                )
                soak[name] = soaked.soak
                looks.append(soaked.samples)
                runtimes.append(soaked.runtime)
                advance(1, name)
    return Times(
        runtime=_one(runtimes),
        latency=timed.latency,
        memory=memory,
        sweep=sweep,
        frames=frames,
        soak=soak,
        looks=tuple(looks),
    )


def _one(runtimes: Iterable[RuntimeVersion]) -> RuntimeVersion:
    found = sorted({(each.name, each.version) for each in runtimes})
    if len(found) > 1:
        listed = ", ".join(" ".join(pair) for pair in found)
        raise BenchmarkError(f"processes used unlike runtimes: {listed}; nothing can be compared")
    name, version = found[0]
    return RuntimeVersion(name=name, version=version)
