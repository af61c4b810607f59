"""How latency is spread. In: raw samples. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeface.bench.latency import LatencySamples
from edgeface.bench.result import BenchEntry
from edgeface.report.page.blocks import Block, Legend, Notes, Plot, Plots, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.models import Cast
from edgeface.report.page.plots import INK, drawing, plain_log_axis, slot_colour
from edgeface.report.text import NOT_MEASURED, significant

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_BINS = 60  # chosen: a bin is 6 units of a drawing of 350, as fine as is told apart on a phone
_PIECES = 40  # chosen: of 200 runs, the fewest there are, 5 each, enough for a median
# chosen: beyond this ratio a slow baseline would press the others into a few pixels
_FAR_RATIO = 8.0
_TAIL = (0.05, 99.9)  # percent that the axis spans; single runs beyond would press the rest flat


def latency_section(cast: Cast) -> Section:
    """Show the distribution of every model, and how each process of the candidate went on."""
    timed = [(entry, entry.latency) for entry in cast.entries if entry.latency is not None]
    if not timed:
        blocks: tuple[Block, ...] = (Notes(lines=(f"Latency: {NOT_MEASURED}.",), tone="soft"),)
    else:
        fastest_ms = min(samples.p50_ms for _, samples in timed)
        near = [each for each in timed if each[1].p50_ms <= _FAR_RATIO * fastest_ms]
        plots = [_spread(cast, near, [each for each in timed if each not in near])]
        if cast.candidate is not None and cast.candidate.latency is not None:
            plots.append(_course(cast.candidate.latency))
        blocks = (Plots(plots=tuple(plots)), _table(cast, timed))
    return Section(
        id="latency",
        title="Latency",
        lead="Every timed run counts: a median hides the slow ones.",
        blocks=blocks,
    )


def _all(samples: LatencySamples) -> Any:
    return np.concatenate([np.asarray(repeat) for repeat in samples.repeats])


_Timed = Sequence[tuple[BenchEntry, LatencySamples]]


def _spread(cast: Cast, timed: _Timed, far: _Timed) -> Plot:
    times = [_all(samples) for _, samples in timed]
    low = min(float(np.percentile(each, _TAIL[0])) for each in times) * 0.97
    high = max(float(np.percentile(each, _TAIL[1])) for each in times) * 1.03
    edges = np.geomspace(low, high, _BINS + 1)

    def draw(axes: Any) -> None:
        for row, ((entry, samples), each) in enumerate(zip(timed, times, strict=True)):
            counts, _ = np.histogram(each, edges)
            base, colour = -float(row), slot_colour(cast.number(entry.name))
            heights = base + 0.85 * counts / max(1, counts.max())
            axes.fill_between(
                edges, np.append(heights, base), base, step="post", color=colour, alpha=0.55, lw=0
            )
            for percent, height in ((50, 0.85), (90, 0.45), (99, 0.25)):
                at = samples.percentile_ms(percent)
                axes.plot([at, at], [base, base + height], color=INK, linewidth=1)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        plain_log_axis(axes.xaxis, low, high)
        axes.set_yticks(
            [-float(row) for row in range(len(timed))],
            [cast.letter(entry.name) for entry, _ in timed],
        )
        axes.set_ylim(-len(timed) + 0.9, 1)
        axes.set_xlabel("latency, ms")

    said = "; ".join(
        f"{entry.name}: p50 {significant(samples.p50_ms)}, p99 {significant(samples.p99_ms)} ms"
        for entry, samples in timed
    )
    note = "Long, middle and short line: p50, p90 and p99."
    for entry, samples in far:
        note += (
            f" {cast.letter(entry.name)} is far to the right, at {significant(samples.p50_ms)} ms."
        )
    height = min(2.0, max(0.6, 0.3 + 0.13 * len(timed)))
    return Plot(
        title="Distribution of all timed runs",
        svg=drawing(draw, name="latency-spread", alt=f"Latency. {said}", height_ratio=height),
        note=note,
        legend=cast.legend(entry for entry, _ in timed),
    )


def _course(samples: LatencySamples) -> Plot:
    """The median of each fortieth of every process, in the order in which they ran."""
    curves = []
    for repeat in samples.repeats:
        pieces = np.array_split(np.asarray(repeat), min(_PIECES, len(repeat)))
        ends = np.cumsum([len(piece) for piece in pieces])
        curves.append((100 * ends / ends[-1], [float(np.median(piece)) for piece in pieces]))

    def draw(axes: Any) -> None:
        for number, (xs, ys) in enumerate(curves):
            axes.plot(xs, ys, color=slot_colour(number), linewidth=1.3)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of the process's runs, %")
        axes.set_ylabel("median, ms")

    medians = [float(np.median(repeat)) for repeat in samples.repeats]
    said = ", ".join(significant(each) for each in medians)
    return Plot(
        title=f"In the order of running: {samples.name}",
        svg=drawing(draw, name="latency-course", alt=f"Medians of the processes: {said} ms"),
        note="A curve that climbs is a machine that grows hot or busy.",
        legend=tuple(
            Legend(text=f"process {number + 1}", slot=number) for number in range(len(curves))
        ),
    )


def _table(cast: Cast, timed: _Timed) -> Table:
    headings = ("model", "p50 ms", "p90 ms", "p99 ms", "medians of processes", "runs")
    rows = []
    for entry, samples in timed:
        medians = [float(np.median(repeat)) for repeat in samples.repeats]
        memory = None if entry.memory is None else entry.memory.peak_rss_bytes / _MB
        texts = [significant(samples.percentile_ms(percent)) for percent in (50, 90, 99)]
        texts += [" ".join(significant(each) for each in medians), f"{samples.runs:,}"]
        texts += [significant(float(np.median(samples.load_ms)))]
        texts += [significant(float(np.median(samples.first_inference_ms)))]
        texts += [NOT_MEASURED if memory is None else significant(memory)]
        rows.append((cast.cell(entry), *(plain_cell(text) for text in texts)))
    return Table(
        title="Latency and memory",
        headings=(*headings, "load ms", "first run ms", "peak memory MB"),
        rows=tuple(rows),
        note="Load and first run: median of the processes. Memory: of a process of its own, with "
        "Python and the runtime.",
    )
