"""The clockwork of `runner`: times calls, one after the other, on any clock.

In: what to call, and a clock. Out: wall times in milliseconds. Knows no model and no device.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Tuple

import numpy as np

NS_PER_MS = 1e6
NS_PER_S = 1e9


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


@dataclass(frozen=True)
class Window:
    """What one stretch of a long run was like.

    Attributes:
        t_s: when it began, in seconds since just before the first inference.
        runs: timed in it, 1 or more.
        p50_ms: median latency.
        p90_ms: 90th percentile, linearly interpolated.
        max_ms: of the slowest run.
    """

    t_s: float
    runs: int
    p50_ms: float
    p90_ms: float
    max_ms: float


def nothing_between() -> bool:
    """Do nothing between two calls."""
    return False


def time_runs(
    call: Callable[[], Any],
    clock_ns: Callable[[], int],
    *,
    warmup_runs: int,
    min_runs: int,
    min_duration_s: float,
    max_runs: int,
    between: Callable[[], bool] = nothing_between,
) -> Timing:
    """Time repeated calls until there are enough of them and enough time has passed.

    Python's garbage collector is off meanwhile: a collection would fall into some runs and not
    others, and is not the model's time.

    Args:
        call: what is timed.
        clock_ns: monotonic time in nanoseconds.
        warmup_runs: calls after the first that do not count, 0 or more.
        min_runs: fewest that count.
        min_duration_s: shortest time over the calls that count, in seconds; what `between` takes
            is not part of it.
        max_runs: most that count, even if the time is not over.
        between: called before each call that counts; see `pause`.

    Returns:
        The time of every call.

    Source:
        Garbage collector: Python's own timeit does the same. At least 200 runs and 10 s (the
        command line's defaults): docs/design.md, Results.
    """
    with no_garbage_collection():
        first_ms = timed_ms(call, clock_ns)
        warmup_ms = [timed_ms(call, clock_ns) for _ in range(warmup_runs)]
        latency_ms: List[float] = []
        end_ns = clock_ns() + min_duration_s * NS_PER_S
        while len(latency_ms) < max_runs and (len(latency_ms) < min_runs or clock_ns() < end_ns):
            end_ns += pause(between, call, clock_ns)
            latency_ms.append(timed_ms(call, clock_ns))
    return Timing(first_ms, tuple(warmup_ms), tuple(latency_ms))


def time_windows(
    call: Callable[[], Any],
    clock_ns: Callable[[], int],
    *,
    start_ns: int,
    duration_s: float,
    window_s: float,
    between: Callable[[], bool] = nothing_between,
) -> Tuple[Window, ...]:
    """Time repeated calls for long, and keep one record a window, so that memory does not grow.

    Args:
        call: what is timed.
        clock_ns: monotonic time in nanoseconds.
        start_ns: moment from which the windows' `t_s` are counted.
        duration_s: after which no new window begins; the first one begins at once.
        window_s: after which a window ends, with the run that is on its way.
        between: called before each call; see `pause`.

    Returns:
        The windows, each with at least one run.
    """
    windows: List[Window] = []
    end_ns = clock_ns() + duration_s * NS_PER_S
    with no_garbage_collection():
        while not windows or clock_ns() < end_ns:
            began_ns = clock_ns()
            runs_ms: List[float] = []
            while not runs_ms or clock_ns() < began_ns + window_s * NS_PER_S:
                pause(between, call, clock_ns)
                runs_ms.append(timed_ms(call, clock_ns))
            windows.append(
                Window(
                    t_s=(began_ns - start_ns) / NS_PER_S,
                    runs=len(runs_ms),
                    p50_ms=float(np.percentile(runs_ms, 50)),
                    p90_ms=float(np.percentile(runs_ms, 90)),
                    max_ms=max(runs_ms),
                )
            )
    return tuple(windows)


def timed_ms(call: Callable[[], Any], clock_ns: Callable[[], int]) -> float:
    """Time one call, in milliseconds."""
    start_ns = clock_ns()
    call()
    return (clock_ns() - start_ns) / NS_PER_MS


def pause(between: Callable[[], bool], call: Callable[[], Any], clock_ns: Callable[[], int]) -> int:
    """Let something else happen between two timed calls.

    If something did happen, `call` is made once without being timed: what ran in between has taken
    its place in the caches, and the next run would pay for that.

    Args:
        between: does it, and says whether it did anything.
        call: what is timed otherwise.
        clock_ns: monotonic time in nanoseconds.

    Returns:
        Nanoseconds it took.
    """
    start_ns = clock_ns()
    if between():
        call()
    return clock_ns() - start_ns


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Hold Python's garbage collector off; afterwards it is as it was."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
