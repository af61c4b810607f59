"""What ran it, and what makes the figures doubtful. In: a result. Out: a section, and warnings."""

from __future__ import annotations

from typing import Any

from edgeface.bench.result import BenchResult
from edgeface.bench.run_samples import extremes
from edgeface.report.page.blocks import (
    Block,
    Cell,
    Notes,
    Plot,
    Plots,
    Section,
    Table,
    Tables,
)
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.plots import drawing, slot_colour

_NOT_READABLE = "not readable"


def device_section(result: BenchResult, source: str) -> Section:
    """List the facts of the machine before and after, the protocol and the software.

    Args:
        result: one benchmark.
        source: name of its file.
    """
    blocks: list[Block] = []
    if result.warnings:
        blocks.append(Notes(lines=result.warnings, tone="doubtful"))
    heat = _samples(result)
    blocks += [Plots(plots=(heat,))] if heat is not None else []
    blocks.append(Tables(tables=(_machine(result), _protocol(result, source))))
    return Section(id="device", title="Device and protocol", blocks=tuple(blocks))


def _samples(result: BenchResult) -> Plot | None:
    """The device's temperature during the processes, one after the other."""
    points: list[tuple[float, float]] = []
    start_s = 0.0
    for run in result.samples:
        known = [each for each in run.samples if each.temperature_c is not None]
        points += [(start_s + each.t_s, each.temperature_c or 0.0) for each in known]
        start_s += max((each.t_s for each in run.samples), default=0.0)
    if not points:
        return None
    found = extremes(result.samples)

    def draw(axes: Any) -> None:
        xs, ys = zip(*points, strict=True)
        axes.plot([x / 60 for x in xs], ys, color=slot_colour(1), linewidth=1.4)
        axes.set_xlabel("minutes of measuring")
        axes.set_ylabel("temperature, °C")

    low, high = found.temperature_c or (0.0, 0.0)
    power = "" if found.mean_power_w is None else f" Mean power {found.mean_power_w:.1f} W."
    return Plot(
        title="Temperature while it ran",
        svg=drawing(draw, name="temperature", alt=f"Temperature, {low:.0f} to {high:.0f} °C"),
        note=f"{found.count:,} looks, pauses left out.{power}",
    )


def loud_notes(result: BenchResult) -> tuple[str, ...]:
    """Say what must be known before any figure is read: drawn faces, no real device."""
    notes = []
    if result.data is not None and result.data.startswith("drawn"):
        notes.append("Drawn faces, not photographs: accuracy and MAE say nothing about people.")
    if result.device_before.note:
        notes.append(f"{result.device_before.note}.")
    return tuple(notes)


def _machine(result: BenchResult) -> Table:
    before, after = result.device_before, result.device_after
    throttled = {None: _NOT_READABLE, True: "yes", False: "no"}
    facts = [
        ("name", before.name, after.name),
        ("machine", before.model, after.model),
        ("architecture", before.arch, after.arch),
        ("cores", str(before.cores), str(after.cores)),
        ("memory", _number(before.ram_bytes, 1e9, "GB"), _number(after.ram_bytes, 1e9, "GB")),
        ("system", before.os, after.os),
        ("Python", before.python, after.python),
        ("governor", before.governor or _NOT_READABLE, after.governor or _NOT_READABLE),
        ("clock", _number(before.clock_mhz, 1, "MHz"), _number(after.clock_mhz, 1, "MHz")),
        (
            "temperature",
            _number(before.temperature_c, 1, "°C"),
            _number(after.temperature_c, 1, "°C"),
        ),
        ("throttled", throttled[before.throttled], throttled[after.throttled]),
    ]
    rows = tuple(
        (Cell(text=name), _fact(first), _fact("the same" if first == last else last))
        for name, first, last in facts
    )
    return Table(
        title="Machine", headings=("fact", "before", "after"), rows=rows, text_columns=(0, 1, 2)
    )


def _protocol(result: BenchResult, source: str) -> Table:
    protocol = result.protocol
    facts = [
        ("started", f"{result.started_utc[:16].replace('T', ' ')} UTC"),
        ("runtime", f"{result.runtime} {result.runtime_version}"),
        ("threads", str(protocol.threads)),
        ("warm-up", f"{protocol.warmup_runs} runs"),
        (
            "timed",
            f"{protocol.min_runs} runs and {protocol.min_duration_s:g} s a process, at least",
        ),
        ("processes", f"{protocol.repeats} a model, models in turns"),
        ("faces", _faces(result)),
        ("edgeface", f"{result.edgeface_version}, commit {result.commit[:12]}"),
        ("result file", source),
    ]
    rows = tuple((Cell(text=name), plain_cell(text)) for name, text in facts)
    return Table(title="Protocol", headings=("what", "how"), rows=rows, text_columns=(0, 1))


def _faces(result: BenchResult) -> str:
    quality = next((each.quality for each in result.entries if each.quality is not None), None)
    if quality is None:
        return "not measured"
    return (
        f"{quality.data}, {quality.split} split, {quality.n:,} images, manifest "
        f"{quality.manifest_sha256[:12]}"
    )


def _number(value: float | None, scale: float, unit: str) -> str:
    return _NOT_READABLE if value is None else f"{value / scale:.{scale > 1:d}f} {unit}"


def _fact(text: str) -> Cell:
    return Cell(text=text, tone="soft" if text in (_NOT_READABLE, "the same") else "")
