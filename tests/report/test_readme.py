"""The README's figures are those of the result file that it links."""

from __future__ import annotations

import re
from pathlib import Path

from edgeface.bench.result import read_result
from edgeface.report.tables import bench_rows

ROOT = Path(__file__).parent.parent.parent


def test_every_figure_of_the_table_is_in_the_result_file() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    link = re.search(r"\((benchmarks/results/[^)]+\.json)\)", readme)
    assert link, "README.md links no result file"
    rows = {
        (
            row.size_mb,
            row.p50_ms,
            row.fps,
            row.speedup,
            row.memory_mb,
            row.gender_accuracy_pct.one_line(),
            row.age_mae_years.one_line(),
        )
        for row in bench_rows(read_result(ROOT / link[1]))
    }
    table = [line for line in readme.splitlines() if line.startswith("| ") and "×" in line]
    shown = {
        tuple(cell.strip().strip("*") for cell in line.strip("|").split("|"))[1:] for line in table
    }
    assert len(shown) >= 4, "a table of one row compares nothing"
    assert shown <= rows
