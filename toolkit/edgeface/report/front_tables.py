"""A search's front as a table. In: `FrontView`. Out: a Rich table, or Markdown with all candidates.

The view holds plain values, because the search that makes it stands above this room. Both forms are
laid out from `front_rows`, which holds the formatted figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.report.text import NOT_MEASURED, escaped, markdown_table

Quantity = Literal["size", "p50", "mae"]
_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_TEXT_HEADINGS = ("model", "started from", "verdict")


@dataclass(frozen=True, kw_only=True)
class FrontEntry:
    """One candidate of a search.

    Attributes:
        name: of its artifact.
        is_chosen: whether it is the answer.
        is_reference: whether relative limits are against it.
        is_plain: nothing pruned.
        scheme: of the file.
        on_front: no other candidate is as good everywhere and better somewhere.
        verdict: what became of it, in words.
        size_bytes: of the file; None reads "not measured", as all that follow.
        gzip_bytes: of it, compressed.
        p50_ms: median latency.
        macs: multiply-and-adds.
        mae_years: age MAE on the validation split.
        gender_accuracy_ratio: likewise, 0 to 1.
        weights: what its training started from; empty if it was not trained.
    """

    name: str
    is_chosen: bool
    is_reference: bool
    is_plain: bool
    scheme: str
    on_front: bool
    verdict: str
    size_bytes: int | None
    gzip_bytes: int | None
    p50_ms: float | None
    macs: int | None
    mae_years: float | None
    gender_accuracy_ratio: float | None
    weights: str


@dataclass(frozen=True, kw_only=True)
class BudgetLine:
    """A limit that a plot can show.

    Attributes:
        quantity: which axis it is on.
        most: in bytes, milliseconds or years.
        text: as asked.
    """

    quantity: Quantity
    most: float
    text: str


@dataclass(frozen=True, kw_only=True)
class FrontView:
    """What is shown of a search.

    Attributes:
        budget: as asked.
        entries: all candidates, the reference first.
        front: names of those on the front, in the order of the first cost.
        lines: limits of size, p50 and MAE.
        data: what the faces are, e.g. "drawn faces".
        images: of the validation split.
        device: name of the machine that latency was measured on, as the budget calls it.
        machine: what it is, in words.
        notes: one sentence or two each.
    """

    budget: str
    entries: tuple[FrontEntry, ...]
    front: tuple[str, ...]
    lines: tuple[BudgetLine, ...]
    data: str
    images: int
    device: str
    machine: str
    notes: tuple[str, ...]

    @property
    def is_drawn(self) -> bool:
        """Whether no figure is of a real face."""
        return self.data.startswith("drawn")


@dataclass(frozen=True, kw_only=True)
class FrontRow:
    """One candidate, as printed."""

    model: str
    size_mb: str
    gzip_mb: str
    p50_ms: str
    macs_m: str
    mae_years: str
    gender_pct: str
    weights: str
    verdict: str


def front_rows(view: FrontView, *, everything: bool) -> list[FrontRow]:
    """Format the candidates: the front in its order, then the others by their MAE.

    Args:
        view: of the search.
        everything: also those that are not on the front; the reference and the chosen one are
            always there.
    """
    place = {name: number for number, name in enumerate(view.front)}

    def order(entry: FrontEntry) -> tuple[float, float]:
        mae = float("inf") if entry.mae_years is None else entry.mae_years
        return (place.get(entry.name, len(place)), mae)

    shown = [
        entry
        for entry in view.entries
        if everything or entry.on_front or entry.is_chosen or entry.is_reference
    ]
    return [_row(entry) for entry in sorted(shown, key=order)]


def front_table(view: FrontView) -> Table:
    """Lay the front out for a terminal of 100 columns, notes as its caption."""
    table = Table(
        title=Text(_title(view)),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("model", overflow="fold", min_width=22)
    for heading in ("file MB\ngzip MB", "p50 ms\nM MACs", "age MAE\nyears", "gender\naccuracy %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    chosen = {entry.name for entry in view.entries if entry.is_chosen}
    for row in front_rows(view, everything=False):
        table.add_row(
            Text(row.model),
            Text(f"{row.size_mb}\n{row.gzip_mb}"),
            Text(f"{row.p50_ms}\n{row.macs_m}"),
            Text(row.mae_years),
            Text(row.gender_pct),
            Text(row.verdict),
            style="bold" if row.model in chosen else "",
        )
    table.caption = Text("\n".join(front_notes(view)), style="default")
    return table


def front_markdown(view: FrontView) -> str:
    """Write all candidates and the notes as Markdown, ending in a newline."""
    headings = ["model", "size MB", "gzip MB", "p50 ms", "M MACs", "age MAE years"]
    headings += ["gender accuracy %", "started from", "verdict"]
    chosen = {entry.name for entry in view.entries if entry.is_chosen}
    rows = [
        [
            f"**{escaped(row.model)}**" if row.model in chosen else escaped(row.model),
            row.size_mb,
            row.gzip_mb,
            row.p50_ms,
            row.macs_m,
            row.mae_years,
            row.gender_pct,
            escaped(row.weights),
            escaped(row.verdict),
        ]
        for row in front_rows(view, everything=True)
    ]
    notes = "\n".join(f"- {escaped(note)}" for note in front_notes(view))
    return f"{_title(view)}\n\n{markdown_table(headings, rows, _TEXT_HEADINGS)}\n\n{notes}\n"


def front_notes(view: FrontView) -> tuple[str, ...]:
    """Say what the figures are of."""
    loud = "DRAWN FACES, NOT PHOTOGRAPHS: MAE and accuracy say nothing about people. "
    return (
        f"{loud if view.is_drawn else ''}Quality: {view.data}, validation split, "
        f"{view.images:,} images, by running each file.",
        f"Latency on {view.device}: {view.machine}; short runs, for comparison within this table.",
        *view.notes,
    )


def _title(view: FrontView) -> str:
    return f"Candidates for {view.budget}" + (" on drawn faces" if view.is_drawn else "")


def _row(entry: FrontEntry) -> FrontRow:
    gender = entry.gender_accuracy_ratio
    return FrontRow(
        model=entry.name,
        size_mb=_scaled(entry.size_bytes, _MB, 3),
        gzip_mb=_scaled(entry.gzip_bytes, _MB, 3),
        p50_ms=_scaled(entry.p50_ms, 1, 3),
        macs_m=_scaled(entry.macs, 1_000_000, 1),
        mae_years=_scaled(entry.mae_years, 1, 2),
        gender_pct=NOT_MEASURED if gender is None else f"{100 * gender:.1f}",
        weights=entry.weights or "not trained",
        verdict=entry.verdict,
    )


def _scaled(value: float | None, unit: int, digits: int) -> str:
    return NOT_MEASURED if value is None else f"{value / unit:,.{digits}f}"
