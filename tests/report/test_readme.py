"""The README's figures, and its picture, are those of the result file that it links."""

from __future__ import annotations

import re
from pathlib import Path

from edgeface.bench.result import BenchResult, read_result
from edgeface.report.results_page import read_results
from edgeface.report.size_front import leading_front
from edgeface.report.tables import bench_rows
from edgeface.report.text import escaped

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")

# what the README calls each model, by the name of its artifact
LABELS = {
    "vgg16-a100-128px-float16": "VGG16 as published, float16 weights: the baseline",
    "vgg16-a100-128px-int8": "VGG16 as published, int8",
    "vgg16-a100-128px-float32": "VGG16 with our recipe, float32",
    "mobilenetv2-a100-128px-float32": "MobileNetV2 α=1.0 float32",
    "mobilenetv2-a100-128px-int8": "MobileNetV2 α=1.0 int8",
    "mobilenetv2-a100-128px-bytes34-int8": "cut to a third of its bytes, int8",
    "mobilenetv2-a100-128px-latency45-int8": "cut to 45 % of its layers' time, int8",
    "mobilenetv2-a35-96px-int8": "MobileNetV2 α=0.35 at 96 px, int8: the fastest of twelve sizes",
    "mobilenetv1-a100-160px-bytes77-int8": "MobileNetV1 pretrained on faces, 160 px, cut, int8",
}


def linked_result() -> BenchResult:
    link = re.search(r"\((benchmarks/results/[^)]+\.json)\)", README)
    assert link, "README.md links no result file"
    return read_result(ROOT / link[1])


def test_every_row_of_the_table_is_that_model_in_the_result_file() -> None:
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
        for row in bench_rows(linked_result())
        if row.model in LABELS
    }
    table = [line for line in README.splitlines() if line.startswith("| ") and "×" in line]
    shown = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table}
    assert shown == rows


def test_the_picture_is_of_the_same_result_and_is_said_in_words() -> None:
    front = leading_front(each.result for each in read_results(ROOT / "benchmarks" / "results"))
    assert front is not None
    assert front.result == linked_result()
    assert f"![{escaped(front.alt_text)}](benchmarks/front.svg)" in README
