"""Threads, heat, whole frames, and parity with this host. In: models. Out: a section.

Only what a result of schema version 3 or later holds; a part that none of its models has is left to
the list of what was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeface.bench.frames import PUBLISHED_FPS, FrameTimes
from edgeface.bench.result import BenchEntry
from edgeface.bench.soak import Soak
from edgeface.report.page.blocks import Block, Cell, Legend, Plot, Plots, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.models import Cast
from edgeface.report.page.plots import drawing, slot_colour
from edgeface.report.text import significant

_CURVE_POINTS = 300  # chosen: about a point a unit of the drawing's width


def endurance_section(cast: Cast) -> Section | None:
    """Show thread sweep, soak, whole frames, parity and delegation; None where there is none."""
    blocks: list[Block] = []
    plots = [plot for plot in (_soaks(cast),) if plot is not None]
    framed = [(entry, entry.frames) for entry in cast.entries if entry.frames is not None]
    if framed:
        plots.append(_stages(cast, framed))
    if plots:
        blocks.append(Plots(plots=tuple(plots)))
    tables = (_soak_table(cast), _frame_table(cast), _sweep(cast), _parity(cast), _delegates(cast))
    blocks += [table for table in tables if table is not None]
    if not blocks:
        return None
    return Section(
        id="endurance", title="On the device, end to end and over time", blocks=tuple(blocks)
    )


def _soaked(cast: Cast) -> list[tuple[BenchEntry, Soak]]:
    return [(entry, entry.soak) for entry in cast.entries if entry.soak is not None]


def _soaks(cast: Cast) -> Plot | None:
    soaked = _soaked(cast)
    if not soaked:
        return None

    def draw(axes: Any) -> None:
        for entry, soak in soaked:
            pieces = soak.pieces(_CURVE_POINTS)
            xs = [piece[0].t_s / 60 for piece in pieces]
            ys = [sorted(window.p50_ms for window in piece)[len(piece) // 2] for piece in pieces]
            axes.plot(xs, ys, color=slot_colour(cast.number(entry.name)), linewidth=1.4)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes without a pause")
        axes.set_ylabel("median, ms")

    said = "; ".join(
        f"{entry.name}: {significant(soak.start_ms)} to {significant(soak.end_ms)} ms"
        for entry, soak in soaked
    )
    return Plot(
        title="Soak: latency over minutes",
        svg=drawing(draw, name="soak", alt=f"Latency over minutes without a pause. {said}"),
        legend=cast.legend(entry for entry, _ in soaked),
    )


def _stages(cast: Cast, framed: Sequence[tuple[BenchEntry, FrameTimes]]) -> Plot:
    names = list(dict.fromkeys(stage for _, times in framed for stage in times.stages))
    parts = [{part.stage: part for part in times.groups()[0].stages} for _, times in framed]

    def draw(axes: Any) -> None:
        for row, shares in enumerate(parts):
            left = 0.0
            for slot, name in enumerate(names):
                width = 100 * shares[name].share_ratio if name in shares else 0.0
                axes.barh([-row], [width], left=[left], height=0.6, color=slot_colour(slot))
                left += width
        letters = [cast.letter(entry.name) for entry, _ in framed]
        axes.set_yticks([-row for row in range(len(framed))], letters)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of the time, %")

    first = ", ".join(f"{name} {100 * part.share_ratio:.0f} %" for name, part in parts[0].items())
    return Plot(
        title="Where the time of a frame goes",
        svg=drawing(
            draw,
            name="stages",
            alt=f"Shares of the stages. {framed[0][0].name}: {first}",
            height_ratio=min(1.5, 0.45 + 0.14 * len(framed)),
        ),
        legend=tuple(Legend(text=name, slot=slot) for slot, name in enumerate(names)),
    )


def _soak_table(cast: Cast) -> Table | None:
    rows = []
    for entry, soak in _soaked(cast):
        slowed = soak.slowed_after_s
        texts = [f"{soak.minutes:g}", f"{soak.runs:,}", str(soak.threads)]
        texts += [significant(soak.start_ms), significant(soak.end_ms)]
        texts += [f"{soak.slowdown_ratio:.2f}×"]
        texts += ["never" if slowed is None else f"{slowed:,.0f} s"]
        rows.append((cast.cell(entry), *map(plain_cell, texts)))
    headings = ("model", "minutes", "runs", "threads", "first tenth ms", "last tenth ms")
    return _table("Soak", (*headings, "slower by", "slower for good after"), rows)


def _frame_table(cast: Cast) -> Table | None:
    rows = []
    notes = []
    for entry in cast.entries:
        if entry.frames is None:
            continue
        notes.append(_frames_in_words(entry.frames))
        for number, group in enumerate(entry.frames.groups()):
            head = cast.cell(entry) if number == 0 else Cell(text="")
            stages = ", ".join(f"{p.stage} {significant(p.p50_ms)}" for p in group.stages)
            texts = [group.faces, f"{group.frames:,}", significant(group.p50_ms)]
            texts += [significant(group.p90_ms), significant(group.fps), stages]
            rows.append((head, *map(plain_cell, texts)))
    return _table(
        "Whole frames: read, find faces, cut out, infer, decode",
        ("model", "frames with", "frames", "p50 ms", "p90 ms", "FPS, end to end", "stages, p50 ms"),
        rows,
        f"{'; '.join(dict.fromkeys(notes))}. Published elsewhere, on a "
        f"machine that is not named: {PUBLISHED_FPS} FPS.",
        text_columns=(0, 1, 6),
    )


def _frames_in_words(times: FrameTimes) -> str:
    sizes = dict.fromkeys(f"{each.width_px} × {each.height_px}" for each in times.pictures)
    read = "read and decoded each time" if times.read_each_frame else "decoded before"
    return (
        f"Pictures of {', '.join(sizes)} px, {read}; detector {times.detector}, faces from "
        f"{times.min_face_px} px"
    )


def _sweep(cast: Cast) -> Table | None:
    rows = []
    counts = sorted({each.threads for entry in cast.entries for each in entry.sweep})
    for entry in cast.entries:
        found = {each.threads: each.latency for each in entry.sweep}
        if found:
            texts = (significant(found[c].p50_ms) if c in found else "" for c in counts)
            rows.append((cast.cell(entry), *map(plain_cell, texts)))
    headings = ("model", *(f"{count} thread{'' if count == 1 else 's'}, ms" for count in counts))
    return _table("p50 latency by number of threads", headings, rows)


def _parity(cast: Cast) -> Table | None:
    rows = []
    for entry in cast.entries:
        if entry.parity is None:
            continue
        against = f"{entry.parity.reference_device}, {entry.parity.reference_runtime}"
        for each in entry.parity.tensors:
            rows.append(
                (
                    cast.cell(entry, f"against {against}"),
                    plain_cell(each.tensor),
                    plain_cell(f"{each.largest:g} {each.unit}"),
                    plain_cell(f"{each.mean:.3g}"),
                    plain_cell(f"{100 * each.share_equal_ratio:.1f}"),
                    plain_cell(f"{entry.parity.n:,}"),
                    Cell(
                        text="holds" if each.holds else "differs",
                        tone="good" if each.holds else "bad",
                    ),
                )
            )
        for metric in entry.parity.metrics:
            rows.append(
                (
                    cast.cell(entry, f"against {against}"),
                    plain_cell(f"{metric.task} {metric.name}"),
                    plain_cell(f"{metric.difference:+.4f} {metric.unit}"),
                    plain_cell(""),
                    plain_cell(""),
                    plain_cell(f"{metric.n:,}"),
                    Cell(
                        text="holds" if metric.holds else "differs",
                        tone="good" if metric.holds else "bad",
                    ),
                )
            )
    return _table(
        "Parity: does the device compute what this host computes?",
        ("model", "output", "largest difference", "mean", "equal %", "images", "verdict"),
        rows,
        text_columns=(0, 1, 6),
    )


def _delegates(cast: Cast) -> Table | None:
    rows = [
        (
            cast.cell(entry),
            plain_cell(entry.delegation.delegate or "unnamed"),
            plain_cell(str(entry.delegation.partitions)),
            plain_cell(f"{entry.delegation.delegated_ops} of {entry.delegation.total_ops}"),
        )
        for entry in cast.entries
        if entry.delegation is not None
    ]
    headings = ("model", "delegate", "partitions", "operators in it")
    return _table("What the delegate takes", headings, rows, text_columns=(0, 1))


def _table(
    title: str,
    headings: tuple[str, ...],
    rows: Sequence[tuple[Cell, ...]],
    note: str = "",
    text_columns: tuple[int, ...] = (0,),
) -> Table | None:
    if not rows:
        return None
    return Table(
        title=title, headings=headings, rows=tuple(rows), note=note, text_columns=text_columns
    )
