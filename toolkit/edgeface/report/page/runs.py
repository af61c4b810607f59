"""The other runs, a short table each. In: result files. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence

from edgeface.report.page.blocks import Block, Cell, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.results_page import ResultFile
from edgeface.report.tables import bench_rows

SHOWN_RUNS = 20
"""Chosen: more are not looked at on one page; `benchmarks/RESULTS.md` has all."""


def runs_section(files: Sequence[ResultFile]) -> Section | None:
    """Show the main figures of each run; None where there is no other run.

    Args:
        files: the other runs, newest first.
    """
    blocks: list[Block] = [_table(file) for file in files[:SHOWN_RUNS]]
    if not blocks:
        return None
    left = len(files) - len(blocks)
    more = f" {left} older runs are left out." if left else ""
    return Section(
        id="runs",
        title="Earlier runs",
        lead="Unlike machines, runtimes, threads or faces are not compared: each run stands alone."
        + more,
        blocks=tuple(blocks),
    )


def _table(file: ResultFile) -> Table:
    result = file.result
    rows = tuple(
        (
            Cell(text=row.model, detail="baseline" if row.is_baseline else ""),
            plain_cell(row.size_mb),
            plain_cell(row.p50_ms),
            plain_cell(row.fps),
            plain_cell(row.gender_accuracy_pct.value, row.gender_accuracy_pct.details),
            plain_cell(row.age_mae_years.value, row.age_mae_years.details),
            plain_cell(row.n),
        )
        for row in bench_rows(result)
    )
    machine = result.device_before
    data = result.data or "no faces"
    invalid = "".join(f" INVALID: {reason}." for reason in result.invalid_reasons)
    return Table(
        title=f"{result.started_utc[:16].replace('T', ' ')} UTC: {file.name}, on {machine.name}",
        headings=("model", "file MB", "p50 ms", "FPS", "gender accuracy %", "age MAE", "images"),
        rows=rows,
        note=f"{machine.model}; {result.runtime} {result.runtime_version}, "
        f"{result.protocol.threads} thread(s); {data}.{invalid}",
        is_folded=True,
    )
