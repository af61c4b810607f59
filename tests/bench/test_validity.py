"""A result is invalid for each throttle bit, and what only makes figures doubtful is a warning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples, extremes, watch_arguments
from edgeface.bench.validity import Validity, judge_run
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.runtime.telemetry import DeviceSample
from support.records import PI

WORDS = {
    0: "under-voltage now",
    1: "clock capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "clock capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}


def run(*samples: DeviceSample, number: int = 0, jump_s: float = 0.0) -> RunSamples:
    return RunSamples(run=number, what="latency of small", samples=samples, clock_jump_s=jump_s)


def bits(*values: int | None) -> RunSamples:
    return run(*(DeviceSample(t_s=float(t), throttle_bits=each) for t, each in enumerate(values)))


def judged(
    *runs: RunSamples,
    before: DeviceInfo = PI,
    after: DeviceInfo = PI,
    protocol: BenchProtocol | None = None,
) -> Validity:
    return judge_run(before, after, runs, protocol=protocol or BenchProtocol())


def test_a_quiet_board_is_valid_and_without_warnings() -> None:
    assert judged(bits(0, 0, 0)) == Validity(invalid_reasons=(), warnings=())


@pytest.mark.parametrize(("bit", "words"), WORDS.items())
def test_each_throttle_bit_at_one_look_makes_it_invalid(bit: int, words: str) -> None:
    (reason,) = judged(bits(0, 0, 1 << bit, 0)).invalid_reasons
    # the look before, four in the run and the one after
    assert reason == (f"{words}, at 1 of 6 looks, first in run 0 (latency of small) after 2 s")


@pytest.mark.parametrize(("bit", "words"), WORDS.items())
def test_each_throttle_bit_after_the_run_makes_it_invalid(bit: int, words: str) -> None:
    (reason,) = judged(after=replace(PI, throttle_bits=1 << bit)).invalid_reasons
    assert reason == f"{words}, at 1 of 2 looks, first after the last inference"


def test_throttled_from_the_start_is_invalid_but_since_boot_is_a_warning() -> None:
    hot = replace(PI, throttle_bits=0x50005)
    found = judged(before=hot, after=replace(PI, throttle_bits=0x50000))
    assert [each.split(",")[0] for each in found.invalid_reasons] == [
        "under-voltage now",
        "throttled now",
    ]
    (warning,) = found.warnings
    assert "had noted under-voltage since boot, throttled since boot" in warning

    earlier = replace(PI, throttle_bits=0x50000)
    assert judged(bits(0x50000), before=earlier, after=earlier).invalid_reasons == ()
    (new,) = judged(bits(0x70000), before=earlier, after=earlier).invalid_reasons
    assert new.startswith("clock capped since boot, at 1 of 3 looks")


def test_a_bit_that_nobody_knows_counts_too() -> None:
    (reason,) = judged(bits(0, 1 << 8)).invalid_reasons
    assert reason.startswith("unknown throttle bit 8")


def test_only_the_runs_can_tell() -> None:
    dumb = replace(PI, throttle_bits=None)
    found = judged(bits(None, 0x50000, 0x50004), before=dumb, after=dumb)
    (reason,) = found.invalid_reasons  # what is set at the first look happened before
    assert reason.startswith("throttled now, at 1 of 2 looks")


def test_a_run_that_was_resumed_is_judged_by_its_own_first_looks() -> None:
    # run 0 was measured before the interruption and throttled; the board says so ever since
    earlier, later = bits(0, 0x40000), bits(0x40000)
    again = replace(PI, throttle_bits=0x40000)
    found = judge_run(again, again, [earlier, later], protocol=BenchProtocol())
    assert "throttled since boot" in found.invalid_reasons[0]


def test_what_cannot_be_read_is_a_warning_on_a_board_and_none_on_a_pc() -> None:
    dumb = replace(PI, throttle_bits=None)
    (warning,) = judged(before=dumb, after=dumb).warnings
    assert warning.startswith("throttling cannot be read here")
    host = replace(dumb, is_target=False)
    assert judged(before=host, after=host).warnings == ()


def test_bits_that_vanish_may_be_a_restart() -> None:
    found = judged(before=replace(PI, throttle_bits=0x50000))
    assert found.invalid_reasons == ()
    assert "may have restarted" in found.warnings[-1]


@pytest.mark.parametrize(("lowest", "fell"), [(1800, False), (1621, False), (1619, True)])
def test_a_clock_that_fell_by_a_tenth_is_a_warning(lowest: float, fell: bool) -> None:
    samples = [DeviceSample(t_s=t, clock_mhz=mhz) for t, mhz in ((0, 1800), (1, lowest), (2, 1800))]
    found = judged(run(*samples))
    assert found.invalid_reasons == ()
    assert found.warnings == (
        ("the clock fell by more than 10 %: from 1800 to 1619 MHz in run 0 (latency of small)",)
        if fell
        else ()
    )


@pytest.mark.parametrize(
    ("jump_s", "said"), [(0.9, False), (-0.9, False), (3600, True), (-2, True)]
)
def test_a_clock_that_was_set_is_a_warning(jump_s: float, said: bool) -> None:
    found = judged(run(), run(number=1, jump_s=jump_s))
    assert found.invalid_reasons == ()
    assert [f"set by {jump_s:+.0f} s in run 1" in text for text in found.warnings] == [True] * said


def test_governor_and_too_many_threads_are_warnings() -> None:
    slow = replace(PI, governor="ondemand")
    governor, threads = judged(before=slow, protocol=BenchProtocol(threads=8)).warnings
    assert governor.startswith("governor is ondemand")
    assert threads == "8 threads on 4 cores"
    (pinned,) = judged(protocol=BenchProtocol(threads=2, cores=(3,))).warnings
    assert pinned == "2 threads on 1 cores"


def test_extremes_are_of_all_that_could_be_read() -> None:
    found = extremes(
        [
            run(DeviceSample(t_s=0, temperature_c=50, power_w=2.0), DeviceSample(t_s=1)),
            run(DeviceSample(t_s=0, temperature_c=61.5, power_w=4.0)),
        ]
    )
    assert (found.count, found.temperature_c, found.clock_mhz) == (3, (50, 61.5), None)
    assert found.mean_power_w == 3.0
    assert extremes([]).mean_power_w is None


def test_samples_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="not in the order of t_s"):
        run(DeviceSample(t_s=1), DeviceSample(t_s=0))
    with pytest.raises(ValueError, match="run is -1"):
        run(number=-1)


def test_the_runner_is_told_where_to_run_and_how_often_to_look() -> None:
    assert watch_arguments(BenchProtocol()) == ("--sample-interval-s", "1.0")
    assert watch_arguments(BenchProtocol(cores=(0, 2), sample_interval_s=0)) == (
        *("--sample-interval-s", "0"),
        *("--cores", "0,2"),
    )
