"""How a benchmark is run. In: a user's choice. Out: a checked `BenchProtocol`."""

from __future__ import annotations

from dataclasses import dataclass


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

    Source:
        docs/design.md, Results, Protocol. 10 warm-up runs: docs/style.md 4.8. 3 repeats: chosen:
        the fewest that show whether the median itself moves between processes, because VGG16
        takes minutes a repeat on a Raspberry Pi.
    """

    threads: int = 1
    warmup_runs: int = 10
    min_runs: int = 200
    min_duration_s: float = 10.0
    repeats: int = 3

    def __post_init__(self) -> None:
        """Check the ranges."""
        _require_from("threads", self.threads, 1, 64)
        _require_from("warmup_runs", self.warmup_runs, 0, 10_000)
        _require_from("min_runs", self.min_runs, 1, 100_000)
        _require_from("min_duration_s", self.min_duration_s, 0, 3600)
        _require_from("repeats", self.repeats, 1, 100)


def _require_from(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, expected {low:g} to {high:g}")
