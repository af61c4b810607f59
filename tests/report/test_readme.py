"""The README's figures are those of the result file that it links."""

from __future__ import annotations

import re
from pathlib import Path

from edgeface.bench.result import read_result
from edgeface.report.tables import bench_rows

ROOT = Path(__file__).parent.parent.parent


# what the README calls each model, by the name of its artifact
LABELS = {
    "vgg16-a100-128px-float32": "VGG16 as published, float32: the baseline",
    "vgg16-a100-128px-int8": "VGG16 as published, int8",
    "mobilenetv2-a100-128px-float32": "MobileNetV2 α=1.0 float32",
    "mobilenetv2-a100-128px-int8": "MobileNetV2 α=1.0 int8",
    "mobilenetv2-a100-128px-bytes34-int8": "pruned to a third of its bytes, int8",
    "mobilenetv2-a100-128px-latency45-int8": "pruned to 45 % of its layers' time, int8",
    "mobilenetv2-a35-128px-int8": "MobileNetV2 α=0.35 taught alike, int8",
}


def test_every_row_of_the_table_is_that_model_in_the_result_file() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    link = re.search(r"\((benchmarks/results/[^)]+\.json)\)", readme)
    assert link, "README.md links no result file"
    rows = {
        (
            LABELS[row.model],
            row.size_mb,
            row.p50_ms,
            row.fps,
            row.speedup,
            row.memory_mb,
            row.gender_accuracy_pct.one_line(),
            row.age_mae_years.one_line(),
        )
        for row in bench_rows(read_result(ROOT / link[1]))
        if row.model in LABELS
    }
    table = [line for line in readme.splitlines() if line.startswith("| ") and "×" in line]
    shown = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table}
    assert shown == rows
