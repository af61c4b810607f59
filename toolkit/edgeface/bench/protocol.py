"""How a benchmark is run. In: a user's choice. Out: a checked `BenchProtocol`."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_CORES = 1024  # chosen: the size of the kernel's own affinity mask, CPU_SETSIZE


@dataclass(frozen=True, kw_only=True)
class BenchProtocol:
    """The rules of one benchmark; results under unlike rules are not compared.

    Batch is 1; pre- and post-processing are not timed.

    Attributes:
        threads: of the runtime.
        warmup_runs: inferences before the clock counts, in each process.
        min_runs: timed inferences in each process, at least.
        min_duration_s: timed seconds in each process, at least.
        repeats: fresh processes for each model, interleaved A B C A B C.
        cores: that each process is pinned to, by number; None: the kernel chooses.
        sample_interval_s: between two looks at temperature, clock and throttle bits, at least;
            they are taken between timed inferences. 0: none, as in results of version 1 and 2.

    Source:
        docs/design.md, Results, Protocol. 10 warm-up runs: docs/style.md 4.8. 3 repeats: chosen:
        the fewest that show whether the median itself moves between processes, because VGG16
        takes minutes a repeat on a Raspberry Pi. 1 s: chosen: heat moves in seconds, and a look
        costs a Raspberry Pi some milliseconds.
    """

    threads: int = 1
    warmup_runs: int = 10
    min_runs: int = 200
    min_duration_s: float = 10.0
    repeats: int = 3
    cores: tuple[int, ...] | None = None
    sample_interval_s: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        _require_from("threads", self.threads, 1, 64)
        _require_from("warmup_runs", self.warmup_runs, 0, 10_000)
        _require_from("min_runs", self.min_runs, 1, 100_000)
        _require_from("min_duration_s", self.min_duration_s, 0, 3600)
        _require_from("repeats", self.repeats, 1, 100)
        _require_from("sample_interval_s", self.sample_interval_s, 0, 3600)
        if self.cores is not None:
            _check_cores(self.cores)


def _check_cores(cores: tuple[int, ...]) -> None:
    for core in cores:
        _require_from("cores", core, 0, _MAX_CORES - 1)
    if not cores or list(cores) != sorted(set(cores)):
        found = ", ".join(map(str, cores)) or "none"
        raise ValueError(f"cores is {found}, expected one or more, each once and in order")


def _require_from(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, expected {low:g} to {high:g}")
