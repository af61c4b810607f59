"""Whether a model became faster or slower from one result to another.

In: two results of like runs. Out: `LatencyComparison` values, from the raw samples. Unlike runs are
refused, with every difference: another machine, runtime or protocol explains a change as well as
the model does.

**Rule.** With the 95 % interval of the ratio of b to a (`latency_bootstrap`) and a margin m, by
which two runs of one thing may differ: "faster" where the whole interval is below 1 / (1 + m),
"slower" where it is beyond 1 + m, else "undecided". It is the same rule both ways round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from edgeface.bench.latency import LatencySamples
from edgeface.bench.latency_bootstrap import Interval, ratio_intervals
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.errors import BenchmarkError, ConfigError
from edgeface.types import Reporter, SilentReporter

Change = Literal["faster", "slower", "undecided"]
PERCENTS = (50, 90, 99)
DEFAULT_MARGIN_RATIO = 0.02
"""Chosen: layouts of memory alone move a program by a few percent from build to build, so that less
than this says nothing of a model (Mytkowicz et al. 2009, Producing Wrong Data Without Doing
Anything Obviously Wrong)."""

_SILENT = SilentReporter()
_RULE = re.compile(r"p(50|90|99):\+([0-9]{1,4}(?:\.[0-9]{1,3})?)%")


@dataclass(frozen=True, kw_only=True)
class PercentileChange:
    """One percentile of latency, before and after.

    Attributes:
        percent: 50, 90 or 99.
        a_ms: of the first result, over all its runs.
        b_ms: of the second.
        interval: 95 % interval of b / a; None where a or b is of one process.
        change: by the rule of the module; "undecided" without an interval.
    """

    percent: int
    a_ms: float
    b_ms: float
    interval: Interval | None
    change: Change

    @property
    def ratio(self) -> float:
        """`b_ms` over `a_ms`: above 1 is slower."""
        return self.b_ms / self.a_ms


@dataclass(frozen=True, kw_only=True)
class LatencyComparison:
    """One model in two results.

    Attributes:
        name: of the model.
        same_file: whether the same bytes ran in both.
        a_processes: fresh processes of the first result.
        b_processes: of the second.
        margin_ratio: m of the module's rule.
        percentiles: p50, p90, p99.
    """

    name: str
    same_file: bool
    a_processes: int
    b_processes: int
    margin_ratio: float
    percentiles: tuple[PercentileChange, ...]

    def percentile(self, percent: int) -> PercentileChange:
        """The change of one percentile: 50, 90 or 99."""
        return next(each for each in self.percentiles if each.percent == percent)


@dataclass(frozen=True, kw_only=True)
class FailRule:
    """When a comparison counts as failed.

    Attributes:
        text: as the user wrote it.
        percent: 50, 90 or 99.
        margin_ratio: the largest growth that is accepted, 0.05 for "+5%".
    """

    text: str
    percent: int
    margin_ratio: float


def compare_results(
    a: BenchResult,
    b: BenchResult,
    *,
    names: Sequence[str] = (),
    margin_ratio: float = DEFAULT_MARGIN_RATIO,
    reporter: Reporter = _SILENT,
) -> tuple[LatencyComparison, ...]:
    """Compare the latency of the models that two results have in common.

    Args:
        a: the first result, e.g. of the last release.
        b: the second.
        names: of models; empty for all that both have.
        margin_ratio: m of the module's rule, 0 to 10.
        reporter: shows a bar: eight models of 600 to 21,000 runs took 3 s.

    Returns:
        One value a model, in a's order.

    Raises:
        BenchmarkError: the runs are unlike, one is invalid, or a name is not timed in both.
    """
    if not 0 <= margin_ratio <= 10:
        raise BenchmarkError(f"compare: margin is {margin_ratio:g}, expected 0 to 10")
    unlike = differences(a, b)
    if unlike:
        raise BenchmarkError(f"cannot compare unlike runs: {'; '.join(unlike)}; measure both alike")
    sides = [_timed(each) for each in (a, b)]
    wanted = list(names) or [name for name in sides[0] if name in sides[1]]
    missing = [name for name in wanted if not all(name in side for side in sides)]
    if missing or not wanted:
        raise BenchmarkError(
            f"cannot compare {', '.join(missing) or 'anything'}: timed in the first result are "
            f"{', '.join(sides[0]) or 'none'}, in the second {', '.join(sides[1]) or 'none'}"
        )
    found = []
    with reporter.track("comparing", len(wanted)) as advance:
        for name in wanted:
            found.append(_comparison(sides[0][name], sides[1][name], margin_ratio))
            advance(1)
    return tuple(found)


def differences(a: BenchResult, b: BenchResult) -> tuple[str, ...]:
    """List what forbids comparing two results, in words; empty where nothing does."""
    facts = [
        ("device", a.device_before.model, b.device_before.model),
        ("architecture", a.device_before.arch, b.device_before.arch),
        ("cores", a.device_before.cores, b.device_before.cores),
        ("governor", a.device_before.governor, b.device_before.governor),
        ("word size of Python", _bits(a), _bits(b)),
        ("runtime", a.runtime, b.runtime),
        ("runtime version", a.runtime_version, b.runtime_version),
        *(
            (
                f"protocol {field.name}",
                getattr(a.protocol, field.name),
                getattr(b.protocol, field.name),
            )
            for field in fields(a.protocol)
        ),
    ]
    found = [
        f"{what} {_word(one)} and {_word(other)}" for what, one, other in facts if one != other
    ]
    for which, result in (("first", a), ("second", b)):
        found += [f"the {which} is invalid, {reason}" for reason in result.invalid_reasons]
    return tuple(found)


def change_of(interval: Interval | None, margin_ratio: float) -> Change:
    """Give the verdict that the module states.

    Args:
        interval: of b / a; None decides nothing.
        margin_ratio: m, 0 or more.
    """
    if interval is None:
        return "undecided"
    if interval.high < 1 / (1 + margin_ratio):
        return "faster"
    return "slower" if interval.low > 1 + margin_ratio else "undecided"


def parse_fail_on(text: str) -> FailRule:
    """Read one value of `--fail-on`.

    Args:
        text: e.g. "p50:+5%": fail where the median surely grew by more than 5 %.

    Raises:
        ConfigError: of another form.
    """
    found = _RULE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise ConfigError(
            "--fail-on",
            [f"found {text!r}, expected p50, p90 or p99 and a growth in percent, e.g. p50:+5%"],
        )
    return FailRule(text=text, percent=int(found[1]), margin_ratio=float(found[2]) / 100)


def failures(
    comparisons: Sequence[LatencyComparison], rules: Sequence[FailRule]
) -> tuple[str, ...]:
    """Say which models break which rule, a line each; empty where all pass.

    A rule is broken where the whole interval is beyond its growth, and where there is no interval:
    a check that cannot fail must not pass.
    """
    lines = []
    for comparison in comparisons:
        for rule in rules:
            found = comparison.percentile(rule.percent)
            what = f"{comparison.name}: p{rule.percent} {100 * (found.ratio - 1):+.1f} %"
            if found.interval is None:
                lines.append(
                    f"{what}, of {comparison.a_processes} and {comparison.b_processes} processes: "
                    f"cannot be held to {rule.text}; measure with 2 repeats or more"
                )
            elif change_of(found.interval, rule.margin_ratio) == "slower":
                interval = found.interval
                lines.append(
                    f"{what} (95 % {100 * (interval.low - 1):+.1f} to "
                    f"{100 * (interval.high - 1):+.1f} %), beyond {rule.text}"
                )
    return tuple(lines)


def _timed(result: BenchResult) -> dict[str, BenchEntry]:
    return {entry.name: entry for entry in result.entries if entry.latency is not None}


def _comparison(a: BenchEntry, b: BenchEntry, margin_ratio: float) -> LatencyComparison:
    first, second = _samples(a), _samples(b)
    intervals = ratio_intervals(first, second, PERCENTS)
    return LatencyComparison(
        name=a.name,
        same_file=a.artifact_sha256 == b.artifact_sha256,
        a_processes=len(first.repeats),
        b_processes=len(second.repeats),
        margin_ratio=margin_ratio,
        percentiles=tuple(
            PercentileChange(
                percent=percent,
                a_ms=first.percentile_ms(percent),
                b_ms=second.percentile_ms(percent),
                interval=interval,
                change=change_of(interval, margin_ratio),
            )
            for percent, interval in zip(PERCENTS, intervals, strict=True)
        ),
    )


def _samples(entry: BenchEntry) -> LatencySamples:
    if entry.latency is None:
        raise BenchmarkError(f"{entry.name}: not timed")
    return entry.latency


def _bits(result: BenchResult) -> str:
    # "3.11.2 (64-bit)": the part that decides which wheel runs; a patch of Python does not
    return result.device_before.python.partition("(")[2].rstrip(")")


def _word(value: object) -> str:
    if value is None or value == "":
        return "not known"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
