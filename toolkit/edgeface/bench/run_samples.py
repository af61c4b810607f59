"""What a device did while it was measured.

In: `DeviceSample` values as the runner took them. Out: the same by run, and their extremes. Whether
a run counts is judged by `validity`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeface.bench.protocol import BenchProtocol
from edgeface.runtime.telemetry import DeviceSample


@dataclass(frozen=True, kw_only=True)
class RunSamples:
    """Looks at the device during one process.

    Attributes:
        run: number of the process within its benchmark, from 0, in the order started.
        what: ran, in words, e.g. "latency of NAME, 2 threads".
        samples: in order; `t_s` counts from just before the first inference.
        clock_jump_s: by how much the device's wall clock was set meanwhile.
    """

    run: int
    what: str
    samples: tuple[DeviceSample, ...]
    clock_jump_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the order."""
        if self.run < 0:
            raise ValueError(f"run is {self.run}, expected 0 or more")
        times = [each.t_s for each in self.samples]
        if times != sorted(times):
            raise ValueError(f"samples of run {self.run} are not in the order of t_s")


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """Least and most of what could be read; None where it never could.

    Attributes:
        count: samples.
        temperature_c: lowest and highest.
        clock_mhz: lowest and highest.
        mean_power_w: of the board, idle power included.
    """

    count: int
    temperature_c: tuple[float, float] | None
    clock_mhz: tuple[float, float] | None
    mean_power_w: float | None


def extremes(runs: Sequence[RunSamples]) -> Extremes:
    """Find least and most over all samples of some runs."""
    power = _readable(runs, lambda sample: sample.power_w)
    return Extremes(
        count=sum(len(run.samples) for run in runs),
        temperature_c=_range(_readable(runs, lambda sample: sample.temperature_c)),
        clock_mhz=_range(_readable(runs, lambda sample: sample.clock_mhz)),
        mean_power_w=sum(power) / len(power) if power else None,
    )


def watch_arguments(protocol: BenchProtocol) -> tuple[str, ...]:
    """Arguments of the runner for where it runs and how often it looks at the device."""
    cores = () if protocol.cores is None else ("--cores", ",".join(map(str, protocol.cores)))
    return ("--sample-interval-s", str(protocol.sample_interval_s), *cores)


def _readable(
    runs: Sequence[RunSamples], pick: Callable[[DeviceSample], float | None]
) -> list[float]:
    values = (pick(sample) for run in runs for sample in run.samples)
    return [value for value in values if value is not None]


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
