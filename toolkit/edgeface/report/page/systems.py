"""The five published systems beside what is measured here. In: `SystemRow`. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence

from edgeface.bench.systems import SystemRow
from edgeface.report.page.blocks import Cell, Notes, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.systems_table import HEADINGS, TITLE, SystemLine, system_lines, system_notes


def systems_section(rows: Sequence[SystemRow]) -> Section | None:
    """Show a row a figure; None where there are no rows.

    Args:
        rows: of `bench.systems.system_rows`.
    """
    if not rows:
        return None
    cells = tuple(_cells(line) for line in system_lines(rows))
    return Section(
        id="systems",
        title=TITLE,
        blocks=(
            Table(
                title="Published and held out",
                headings=HEADINGS,
                rows=cells,
                text_columns=(0, 1, 2, 3, 4),
                is_dense=True,
            ),
            Notes(lines=system_notes(rows), tone="soft"),
        ),
    )


def _cells(line: SystemLine) -> tuple[Cell, ...]:
    return (
        Cell(text=line.system),
        Cell(text=line.figure),
        plain_cell(line.model, line.recipe),
        plain_cell(line.data),
        Cell(text=line.published),
        plain_cell(line.float32.value, line.float32.interval),
        plain_cell(line.int8.value, line.int8.interval),
        plain_cell(line.size_mb),
        plain_cell(line.p50_ms),
        plain_cell(line.fps),
    )
