"""Whether a benchmark counts, and what makes its figures doubtful.

In: the machine before and after, and the looks at it in between. Out: `Validity`: reasons for which
the result is invalid, and warnings. Nothing is left out here: an invalid result is kept with its
reasons, shown with them, and not put into tables.

**Rule.** A result is invalid where a Raspberry Pi's firmware slowed the processor: a throttle bit
"now" set at any look, or another bit that was not set when the benchmark began. Bits "since boot"
that were set already say what happened earlier, and are a warning, because a slowing that is over
between two looks would not show any more. What cannot be read is a warning on a board that should
have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.runtime.telemetry import THROTTLED_NOW, throttle_reasons

CLOCK_FELL_RATIO = 0.9
"""Chosen: 10 %. A step of a Raspberry Pi's clock is 100 of 1800 MHz,
so that a fall beyond it is more than one step."""

CLOCK_JUMP_S = 1.0
"""Chosen: NTP steers by 0.5 ms a second at most (adjtimex(2)), the wall clock and the counting one
alike, so that between them a second is a clock that was set."""


@dataclass(frozen=True, kw_only=True)
class Validity:
    """What a benchmark's conditions say of its figures.

    Attributes:
        invalid_reasons: in words; empty where the result counts.
        warnings: in words.
    """

    invalid_reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def judge_run(
    before: DeviceInfo,
    after: DeviceInfo,
    runs: Sequence[RunSamples],
    *,
    protocol: BenchProtocol,
) -> Validity:
    """Judge the conditions of one benchmark.

    Args:
        before: the machine before the first inference.
        after: the machine after the last.
        runs: what was seen in between; empty if nothing was.
        protocol: of the benchmark.
    """
    return Validity(
        invalid_reasons=tuple(_throttled(before, after, runs)),
        warnings=(
            *_machine_warnings(before, protocol),
            *_since_boot_warnings(before, after),
            *_clock_warnings(runs),
            *_jump_warnings(runs),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Look:
    when: str
    bits: int


def _looks(before: DeviceInfo, after: DeviceInfo, runs: Sequence[RunSamples]) -> Iterator[_Look]:
    if before.throttle_bits is not None:
        yield _Look(when="before the first inference", bits=before.throttle_bits)
    for run in runs:
        for sample in run.samples:
            if sample.throttle_bits is not None:
                when = f"in run {run.run} ({run.what}) after {sample.t_s:.0f} s"
                yield _Look(when=when, bits=sample.throttle_bits)
    if after.throttle_bits is not None:
        yield _Look(when="after the last inference", bits=after.throttle_bits)


def _throttled(before: DeviceInfo, after: DeviceInfo, runs: Sequence[RunSamples]) -> Iterator[str]:
    looks = list(_looks(before, after, runs))
    if not looks:
        return
    # what was set at the first look of all had happened by then; a process of an earlier,
    # interrupted run may have looked before this run's first
    firsts = [_first_bits(run) for run in runs]
    at_first = looks[0].bits & ~THROTTLED_NOW
    for bits in firsts:
        at_first &= ~THROTTLED_NOW if bits is None else bits
    seen: dict[str, list[_Look]] = {}
    for look in looks:
        for reason in throttle_reasons(look.bits & ~at_first):
            seen.setdefault(reason, []).append(look)
    for reason, those in seen.items():
        yield f"{reason}, at {len(those)} of {len(looks)} looks, first {those[0].when}"


def _first_bits(run: RunSamples) -> int | None:
    return next(
        (each.throttle_bits for each in run.samples if each.throttle_bits is not None), None
    )


def _machine_warnings(before: DeviceInfo, protocol: BenchProtocol) -> Iterator[str]:
    if before.governor not in (None, "performance"):
        yield f"governor is {before.governor}, not performance: the clock may change"
    cores = before.cores if protocol.cores is None else len(protocol.cores)
    if protocol.threads > cores:
        yield f"{protocol.threads} threads on {cores} cores"
    if before.is_target and before.throttle_bits is None:
        yield "throttling cannot be read here: nothing says whether the device slowed itself"


def _since_boot_warnings(before: DeviceInfo, after: DeviceInfo) -> Iterator[str]:
    known = 0 if before.throttle_bits is None else before.throttle_bits & ~THROTTLED_NOW
    if known:
        yield (
            f"before this benchmark the firmware had noted {', '.join(throttle_reasons(known))}: "
            "the same between two looks would not show; restart the board before a benchmark"
        )
    if after.throttle_bits is not None and known & ~after.throttle_bits:
        yield "throttle bits since boot were cleared in between: the board may have restarted"


def _clock_warnings(runs: Sequence[RunSamples]) -> Iterator[str]:
    worst: tuple[float, str] | None = None
    for run in runs:
        clocks = [each.clock_mhz for each in run.samples if each.clock_mhz is not None]
        if not clocks or clocks[0] <= 0:
            continue
        ratio = min(clocks) / clocks[0]
        text = f"from {clocks[0]:.0f} to {min(clocks):.0f} MHz in run {run.run} ({run.what})"
        if ratio < CLOCK_FELL_RATIO and (worst is None or ratio < worst[0]):
            worst = (ratio, text)
    if worst is not None:
        yield f"the clock fell by more than {100 * (1 - CLOCK_FELL_RATIO):.0f} %: {worst[1]}"


def _jump_warnings(runs: Sequence[RunSamples]) -> Iterator[str]:
    jumps = [run for run in runs if abs(run.clock_jump_s) > CLOCK_JUMP_S]
    if jumps:
        worst = max(jumps, key=lambda run: abs(run.clock_jump_s))
        yield (
            f"the device's clock was set by {worst.clock_jump_s:+.0f} s in run {worst.run} "
            f"({worst.what}): its dates are not to be trusted; latency is taken by a clock that "
            "only counts up"
        )
