"""Channels are those of the files themselves; a cost in int8 is shown as the tool measured it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeface.errors import BenchmarkError
from edgeface.export.flatbuffer import kernel_layers, read_graph
from edgeface.report.models_table import list_models
from edgeface.report.page.blocks import Block, Notes, Plots, Table
from edgeface.report.page.layers import layers_section
from edgeface.report.page.pruned import read_pruned
from edgeface.report.page.sensitivity import read_sensitivity
from support.report_results import pruned_layers

ROOT = Path(__file__).parents[2]
EXPORTED = ROOT / "exported"
MEASURED = ROOT / "benchmarks" / "results" / "tools" / "2026-11-24_quantization.json"


def test_channels_of_shipped_models_are_counted_in_their_files() -> None:
    found = read_pruned(list_models(EXPORTED))
    assert [each.name for each in found] == [
        "mobilenetv2-a100-128px-bytes34-int8",
        "mobilenetv2-a100-128px-latency45-int8",
    ]
    for each in found:
        assert each.whole == "mobilenetv2-a100-128px-int8"
        # Sandler et al. 2018, table 2: 32 channels first, 1280 last, 52 convolutions; and two heads
        before = {layer.name: layer.before for layer in each.layers}
        assert len(before) == 54
        assert (before["Conv1"], before["Conv_1"]) == (32, 1280)
        after = {layer.name: layer.after for layer in each.layers}
        assert after["Conv_1"] < 1280
        assert after["age"] == before["age"] == 101
        for number in range(1, 17):  # a depthwise layer has a channel of each channel before it
            block = f"block_{number}"
            assert (
                after[f"{block}_expand"] == after[f"{block}_depthwise"] <= before[f"{block}_expand"]
            )
        # the same, read by the other reader of flatbuffers, axis by kind
        content = (EXPORTED / f"{each.name}.tflite").read_bytes()
        tensors = read_graph(content).tensors
        shapes = [(layer.kind, tensors[layer.kernel].shape) for layer in kernel_layers(content)]
        axis = {"conv": 0, "dense": 0, "depthwise": 3}
        counted = [(kind, int(shape[axis[kind]])) for kind, shape in shapes]
        assert [(layer.kind, layer.after) for layer in each.layers] == counted


def test_a_pruned_model_without_the_whole_one_is_left_out() -> None:
    listings = list_models(EXPORTED)
    assert read_pruned([each for each in listings if "bytes34" in each.path.name]) == ()
    assert read_pruned([]) == ()


def blocks_of(kind: type, blocks: tuple[Block, ...]) -> list[Any]:
    return [block for block in blocks if isinstance(block, kind)]


def test_what_pruning_took_is_drawn_and_listed() -> None:
    blocks = layers_section([pruned_layers()], None).blocks
    (plots,) = blocks_of(Plots, blocks)
    # 32 + 96 + 40 before, 24 + 96 + 20 after: 28 of 168
    assert "3 layers before and after pruning, 17 % gone" in plots.plots[0].svg
    (table,) = blocks_of(Table, blocks)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["stem", "32", "24", "25"],
        ["expand", "96", "96", "0"],
        ["last", "40", "20", "50"],
    ]
    (notes,) = blocks_of(Notes, blocks)
    assert "sensitivity of each layer to int8: not measured" in notes.lines[0]
    assert "--sensitivity FILE" in notes.lines[0]


def test_a_measured_sensitivity_is_shown_layer_by_layer() -> None:
    blocks = layers_section([], read_sensitivity(MEASURED)).blocks
    raw = json.loads(MEASURED.read_text("utf-8"))["layers"]
    (plots,) = blocks_of(Plots, blocks)
    assert len(plots.plots) == 2
    worst = max(raw["layers"], key=lambda each: each["costs"][1]["difference"])
    years = worst["costs"][1]["difference"]
    assert f"Largest: {worst['layer'].split('/')[-2]} {years:.3f}" in plots.plots[1].svg
    (table,) = blocks_of(Table, blocks)
    assert len(table.rows) == len(raw["layers"]) + 1
    points = 100 * raw["layers"][0]["costs"][0]["difference"]
    assert [cell.text for cell in table.rows[0]][:3] == ["Conv1", "32 × 3 × 3 × 3", f"{points:.3f}"]
    assert table.headings[2:] == (
        "gender: change, points",
        "gender: loss, points",
        "age: change, years",
        "age: loss, years",
    )
    (notes,) = blocks_of(Notes, blocks)
    assert notes.lines[0].startswith("Pruning layer by layer: not measured.")


def cost(head: str) -> dict[str, Any]:
    return {
        "head": head,
        "unit": "ratio",
        "loss": 0.0,
        "difference": 0.1,
        "shift": 0.0,
        "labelled": 1,
    }


def layers(*heads: str) -> dict[str, Any]:
    row = {"layer": "a", "kind": "conv", "position": 0, "shape": [1]}
    return {
        "calibration_images": 1,
        "images": 1,
        "whole": [cost("gender")],
        "layers": [row | {"costs": [cost(head) for head in heads]}],
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "cannot be read"),
        ("[]", "has no layers"),
        ('{"layers": null}', "has no layers"),
        ('{"layers": {"images": 1}}', "layers: calibration_images: missing"),
        (json.dumps({"layers": layers("age")}), "each with the costs of gender"),
        (json.dumps({"layers": layers("gender") | {"layers": []}}), "found 0, expected one"),
    ],
)
def test_a_file_that_is_no_sensitivity_is_refused(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "layers.json"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=text) as refused:
        read_sensitivity(path)
    assert "benchmarks/quantization.py MODEL --data MANIFEST --layers --json FILE" in str(
        refused.value
    )
    path.write_text(json.dumps({"layers": layers("gender"), "model": "m.tflite"}))
    assert read_sensitivity(path).model == "m.tflite"


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"none\.json: cannot be read"):
        read_sensitivity(tmp_path / "none.json")
