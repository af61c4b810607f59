"""What a benchmark on a device gives beside the main table, and the devices themselves.

In: `BenchResult`, or what devices answered. Out: sections: thread sweep, percentiles with their
intervals, soak, parity, delegation, frames, and what the device did meanwhile. What was not
measured has no section.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from edgeface.bench.frames import PUBLISHED_FPS, FrameTimes
from edgeface.bench.latency import LatencySamples
from edgeface.bench.latency_bootstrap import percentile_intervals
from edgeface.bench.parity import PARITY_FLOAT, PARITY_STEPS, MetricAgreement, TensorParity
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.bench.run_samples import extremes
from edgeface.bench.soak import Soak
from edgeface.report.heads import MainFigure
from edgeface.report.sections import Section, section_markdown, section_table
from edgeface.report.text import significant
from edgeface.runtime.device_facts import DeviceInfo

_PERCENTS = (50, 90, 99)
_CURVE = "▁▂▃▄▅▆▇█"
_CURVE_PIECES = 24  # chosen: a curve beside the figures in 100 columns
_NONE = "not readable"


@dataclass(frozen=True, kw_only=True)
class DeviceAnswer:
    """One device of `devices.toml`, as asked.

    Attributes:
        name: in the file.
        reached_by: e.g. "ssh pi@192.0.2.7", "local".
        info: what it says of itself; None if it did not answer.
        problem: what is not ready and what to do about it, in one line; empty if all is.
    """

    name: str
    reached_by: str
    info: DeviceInfo | None
    problem: str


def device_sections(result: BenchResult) -> tuple[Section, ...]:
    """Lay out what a result of version 3 has beside the main table; nothing of an invalid one."""
    if result.invalid_reasons:
        return ()
    makers: tuple[Callable[[BenchResult], Section | None], ...] = (
        _percentiles,
        _sweep,
        _soak,
        _frames,
        _parity,
        _figures,
        _delegation,
        _conditions,
    )
    return tuple(section for make in makers if (section := make(result)) is not None)


def device_tables(result: BenchResult) -> tuple[Table, ...]:
    """Lay the sections out for a terminal."""
    return tuple(map(section_table, device_sections(result)))


def device_markdown(result: BenchResult) -> list[str]:
    """Write the sections as Markdown, one text each."""
    return list(map(section_markdown, device_sections(result)))


def devices_section(answers: Sequence[DeviceAnswer]) -> Section:
    """Lay out devices: who each is, and for those not ready what to do."""
    rows = []
    for answer in answers:
        info = answer.info
        machine, system = ("no answer", "") if info is None else (_machine(info), _system(info))
        ready = "not ready" if answer.problem else "ready"
        rows.append((answer.name, answer.reached_by, machine, system, ready))
    return Section(
        title="Devices",
        headings=("device", "reached by", "machine", "system", "state"),
        rows=tuple(rows),
        text_columns=5,
        notes=tuple(f"{each.name}: {each.problem}" for each in answers if each.problem),
    )


def _machine(info: DeviceInfo) -> str:
    ram = _NONE if info.ram_bytes is None else f"{info.ram_bytes / 1e9:.1f} GB"
    facts = [info.model, *([info.soc] if info.soc else [])]
    return "\n".join([*facts, f"{info.arch}, {info.cores} cores, {ram}"])


def _system(info: DeviceInfo) -> str:
    runtime = f"{info.runtime} {info.runtime_version}" if info.runtime else "no runtime"
    state = [
        f"governor {info.governor or _NONE}",
        _NONE if info.temperature_c is None else f"{info.temperature_c:.0f} °C",
        {None: "throttling not readable", True: "THROTTLED", False: "not throttled"}[
            info.throttled
        ],
    ]
    return "\n".join([info.os, f"Python {info.python}, {runtime}", ", ".join(state)])


def _percentiles(result: BenchResult) -> Section | None:
    # results of older versions keep the page they have
    timed = [each for each in result.entries if each.latency is not None]
    if result.schema_version < 3 or not timed:
        return None
    rows = []
    for entry in timed:
        latency = _latency(entry)
        cells = _with_intervals(latency)
        rows.append(
            (entry.name, *cells, _range(latency.load_ms), _range(latency.first_inference_ms))
        )
    return Section(
        title="Latency in ms with 95 % intervals",
        headings=("model", "p50", "p90", "p99", "load", "first inference"),
        rows=tuple(rows),
        notes=(
            "Intervals: bootstrap over processes and runs, widened for few processes. Load and "
            "first inference: fastest and slowest process.",
        ),
    )


def _with_intervals(latency: LatencySamples) -> list[str]:
    cells = []
    intervals = percentile_intervals(latency, _PERCENTS)
    for percent, interval in zip(_PERCENTS, intervals, strict=True):
        value = significant(latency.percentile_ms(percent))
        if interval is None:
            cells.append(f"{value}\n(one process)")
        else:
            cells.append(f"{value}\n({significant(interval.low)}–{significant(interval.high)})")
    return cells


def _range(values: Sequence[float]) -> str:
    return f"{significant(min(values))}–{significant(max(values))}"


def _sweep(result: BenchResult) -> Section | None:
    rows = []
    for entry in result.entries:
        first = entry.sweep[0].latency.p50_ms if entry.sweep else 0.0
        for each in entry.sweep:
            latency = each.latency
            times = (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.fps)
            faster = f"{significant(first / latency.p50_ms)}×"
            rows.append((entry.name, str(each.threads), *map(significant, times), faster))
    if not rows:
        return None
    return Section(
        title="Threads",
        headings=("model", "threads", "p50 ms", "p90 ms", "p99 ms", "FPS (model only)", "gain"),
        rows=tuple(rows),
        notes=("Gain: p50 of the model's first row / p50.",),
    )


def _soak(result: BenchResult) -> Section | None:
    soaks = [(entry.name, entry.soak) for entry in result.entries if entry.soak is not None]
    if not soaks:
        return None
    rows = []
    for name, soak in soaks:
        slowed = soak.slowed_after_s
        rows.append(
            (
                name,
                f"{soak.minutes:g}",
                f"{soak.runs:,}",
                significant(soak.start_ms),
                significant(soak.end_ms),
                f"{100 * (soak.slowdown_ratio - 1):+.1f} %",
                "never" if slowed is None else f"{slowed:.0f} s",
                soak_curve(soak),
            )
        )
    return Section(
        title="Soak: without a pause",
        headings=(
            *("model", "minutes", "runs", "p50 ms\nfirst tenth", "p50 ms\nlast tenth"),
            *("change", "slower\nfrom", "p50 over time"),
        ),
        rows=tuple(rows),
        notes=(
            "Slower from: when the median had grown by more than 5 % for good. Curve: lowest to "
            "highest.",
        ),
    )


def soak_curve(soak: Soak) -> str:
    """Draw the medians over time with one of eight blocks each, the lowest to the highest."""
    medians = [
        sum(window.p50_ms for window in piece) / len(piece) for piece in soak.pieces(_CURVE_PIECES)
    ]
    low, span = min(medians), max(medians) - min(medians)
    top = len(_CURVE) - 1
    return "".join(_CURVE[round(top * (each - low) / span) if span else 0] for each in medians)


def _frames(result: BenchResult) -> Section | None:
    framed = [(entry.name, entry.frames) for entry in result.entries if entry.frames is not None]
    if not framed:
        return None
    rows = [row for name, frames in framed for row in _frame_rows(name, frames)]
    sources = {_how_frames(frames) for _, frames in framed}
    return Section(
        title="End to end: from a picture to attributes",
        headings=(
            "model",
            "frames with",
            "frames",
            "faces",
            "p50 ms",
            "FPS",
            "share of each stage",
        ),
        rows=tuple(rows),
        text_columns=2,
        notes=(
            *(f"Frames: {source}." for source in sorted(sources)),
            f"To be set against {PUBLISHED_FPS} FPS of docs/seeds.md, S3, whose machine is not "
            "named.",
        ),
    )


def _how_frames(frames: FrameTimes) -> str:
    sizes = sorted({f"{each.width_px} x {each.height_px}" for each in frames.pictures})
    read = "read and decoded each time" if frames.read_each_frame else "decoded beforehand"
    return (
        f"{len(frames.pictures)} pictures of {', '.join(sizes)} px, {read}; faces of "
        f"{frames.min_face_px} px or more by {frames.detector}; threads: {frames.threads}"
    )


def _frame_rows(name: str, frames: FrameTimes) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for group in frames.groups():
        shares = [f"{each.stage} {100 * each.share_ratio:.0f} %" for each in group.stages]
        # three in a line fit 100 columns beside the figures
        lines = [", ".join(shares[at : at + 3]) for at in range(0, len(shares), 3)]
        figures = (f"{group.mean_faces:.1f}", significant(group.p50_ms), significant(group.fps))
        rows.append((name, group.faces, f"{group.frames:,}", *figures, ",\n".join(lines)))
    return rows


def _parity(result: BenchResult) -> Section | None:
    rows, notes = [], set()
    for entry in result.entries:
        if entry.parity is not None:
            rows += [_tensor_row(entry, each) for each in entry.parity.tensors]
            notes.add(
                f"Against {entry.parity.reference_device}, {entry.parity.reference_runtime}, on "
                f"{entry.parity.n:,} images."
            )
    if not rows:
        return None
    equal = f"Equal: at most {PARITY_STEPS:g} step of quantization, or {PARITY_FLOAT:g} of a float."
    return Section(
        title="Parity: the device's outputs against the host's",
        headings=("model", "output", "verdict", "largest", "mean", "identical %"),
        rows=tuple(rows),
        text_columns=3,
        notes=(*sorted(notes), equal),
    )


def _tensor_row(entry: BenchEntry, tensor: TensorParity) -> tuple[str, ...]:
    digits = ".0f" if tensor.unit == "steps" else ".2e"
    unit = " steps" if tensor.unit == "steps" else ""
    return (
        entry.name,
        tensor.tensor,
        "equal" if tensor.holds else "UNEQUAL",
        f"{tensor.largest:{digits}}{unit}",
        f"{tensor.mean:.2g}{unit}",
        f"{100 * tensor.share_equal_ratio:.1f}",
    )


def _figures(result: BenchResult) -> Section | None:
    rows = [
        _figure_row(entry, each)
        for entry in result.entries
        if entry.parity is not None
        for each in entry.parity.metrics
    ]
    if not rows:
        return None
    return Section(
        title="Quality from the device's own outputs",
        headings=("model", "figure", "verdict", "host", "device", "difference", "allowed", "n"),
        rows=tuple(rows),
        text_columns=3,
    )


def _figure_row(entry: BenchEntry, metric: MetricAgreement) -> tuple[str, ...]:
    main = MainFigure(task=metric.task, name="accuracy" if metric.unit == "ratio" else "mae")
    scale = main.scale
    return (
        entry.name,
        main.heading,
        "agree" if metric.holds else "DISAGREE",
        f"{scale * metric.here:.2f}",
        f"{scale * metric.there:.2f}",
        f"{scale * metric.difference:+.3f}",
        f"{scale * metric.tolerance:.2f}",
        f"{metric.n:,}",
    )


def _delegation(result: BenchResult) -> Section | None:
    rows = []
    for entry in result.entries:
        if entry.delegation is not None:
            found = entry.delegation
            counts = (found.delegated_ops, found.total_ops, found.partitions)
            rows.append((entry.name, found.delegate or "not named", *map(str, counts)))
    if not rows:
        return None
    return Section(
        title="Delegate",
        headings=("model", "delegate", "operators it takes", "of", "partitions"),
        rows=tuple(rows),
        text_columns=2,
    )


def _conditions(result: BenchResult) -> Section | None:
    if not result.samples:
        return None
    rows = []
    for what in dict.fromkeys(run.what for run in result.samples):
        runs = [run for run in result.samples if run.what == what]
        found = extremes(runs)
        power = _NONE if found.mean_power_w is None else significant(found.mean_power_w)
        ranges = [
            _NONE if each is None else f"{each[0]:.0f}–{each[1]:.0f}"
            for each in (found.temperature_c, found.clock_mhz)
        ]
        rows.append((what, f"{found.count:,}", *ranges, power))
    return Section(
        title="What the device did meanwhile",
        headings=("during", "looks", "temperature °C", "clock MHz", "mean power W"),
        rows=tuple(rows),
    )


def _latency(entry: BenchEntry) -> LatencySamples:
    if entry.latency is None:
        raise ValueError(f"{entry.name} was not timed")
    return entry.latency
