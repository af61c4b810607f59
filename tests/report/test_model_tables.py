"""The terminal shows an inspected model in 100 columns, and takes no name for markup."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from edgeface.bench.inspect_model import INSPECTION_SCHEMA_VERSION, ModelInspection
from edgeface.bench.model_graph import ModelGraph, ModelOperator, ModelTensor
from edgeface.bench.model_rules import finding
from edgeface.bench.partitions import RuntimeView
from edgeface.report.model_tables import model_text, summary_rows

TENSOR = ModelTensor(
    name="image",
    shape=(1, 8, 8, 3),
    dtype="float32",
    constant_bytes=None,
    scale=None,
    zero_point=None,
    scales=0,
    is_sparse=False,
    zero_ratio=None,
    integers=(),
    is_dynamic=False,
)
WEIGHTS = replace(
    TENSOR, name="w", shape=(4, 3, 3, 3), dtype="int8", constant_bytes=108, scale=0.5, scales=4
)
OUTPUT = replace(
    TENSOR, name="out", shape=(1, 4), dtype="int8", scale=0.25, zero_point=-3, scales=1
)


def operator(kind: str, *inputs: int) -> ModelOperator:
    return ModelOperator(
        kind=kind,
        inputs=inputs,
        outputs=(2,),
        activation="NONE",
        padding="",
        stride=(1, 1),
    )


INSPECTION = ModelInspection(
    schema_version=INSPECTION_SCHEMA_VERSION,
    file="model.tflite",
    size_bytes=2_345_678,
    sha256="ab" * 32,
    machine="aarch64",
    graph=ModelGraph(
        tensors=(TENSOR, WEIGHTS, OUTPUT),
        operators=(operator("CONV_2D", 0, 1), operator("CONV_2D", 0, 1), operator("MEAN", 2)),
        inputs=(0,),
        outputs=(2,),
        signature_names=(),
        subgraphs=1,
        weights_bytes=1_234_567,
    ),
    operator_macs=(1000, 234, 0),
    macs=1234,
    runtime=RuntimeView(
        state="opened",
        runtime="ai-edge-litert",
        runtime_version="2.3.0",
        delegate="XNNPACK",
        partitions=((0,), (2,)),
        outside=(1,),
    ),
    findings=(finding("16x8", "error", "int16 in 2 operators"),),
)


def text(inspection: ModelInspection) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100).print(model_text(inspection))
    return stream.getvalue()


def cells(shown: str, start: str) -> list[str]:
    """The columns of the one line that starts so."""
    (line,) = (line for line in shown.splitlines() if line.split()[:1] == [start])
    return line.split()


def test_the_main_facts() -> None:
    assert dict(summary_rows(INSPECTION)) == {
        "size": "2.346 MB, weights 1.235 MB",
        "sha256": "ab" * 32,
        "input": "image: float32 1×8×8×3",
        "output": "out: int8 1×4, scale 0.25, zero point -3",
        "MACs": "1,234",
        "runtime": "ai-edge-litert 2.3.0 on aarch64 opens it",
        "delegate": "XNNPACK takes 2 of 3 operators in 2 partitions",
    }


def test_operators_and_tensors_are_counted() -> None:
    shown = text(INSPECTION)
    assert cells(shown, "CONV_2D") == ["CONV_2D", "2", "1", "1,234"]
    assert cells(shown, "MEAN") == ["MEAN", "1", "1"]  # no MACs
    assert cells(shown, "int8") == ["int8", "1", "1", "108", "1", "0"]
    assert cells(shown, "float32") == ["float32", "1", "0", "0", "0", "0"]


def test_a_finding_stands_with_its_rule_and_source() -> None:
    shown = " ".join(text(INSPECTION).split())
    assert "nothing found" not in shown
    for words in ("error 16x8", "int16 in 2 operators", "Source: tensorflow#40282"):
        assert words in shown
    assert "nothing found" in text(replace(INSPECTION, findings=()))


def test_what_is_not_known_says_so() -> None:
    unknown = replace(
        INSPECTION,
        macs=None,
        operator_macs=(1000, None, 0),
        runtime=RuntimeView(state="crashed", reason="killed by SIGABRT"),
    )
    rows = dict(summary_rows(unknown))
    assert (rows["MACs"], rows["delegate"]) == ("not known", "not known")
    assert rows["runtime"] == "on aarch64: crashed: killed by SIGABRT"
    assert cells(text(unknown), "CONV_2D") == ["CONV_2D", "2", *("not known " * 2).split()]


def test_one_partition_is_singular() -> None:
    whole = replace(INSPECTION.runtime, partitions=((0, 1, 2),), outside=(), delegate="")
    rows = dict(summary_rows(replace(INSPECTION, runtime=whole)))
    assert rows["delegate"] == "the delegate takes 3 of 3 operators in 1 partition"


def test_hostile_names_stay_text_within_the_columns() -> None:
    name = "[red]\x1b[2J\n" + "x" * 5000
    graph = replace(
        INSPECTION.graph,
        tensors=(replace(TENSOR, name=name), WEIGHTS, OUTPUT),
        operators=tuple(operator(f"CUSTOM [b]{i}\x1b") for i in range(99)),
    )
    hostile = replace(
        INSPECTION,
        file=name,
        graph=graph,
        operator_macs=(None,) * 99,
        findings=(finding("16x8", "error", name),),
        runtime=RuntimeView(state="refused", reason=name),
    )
    shown = text(hostile)
    assert "\x1b" not in shown
    assert "[red]\\x1b" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.count("CUSTOM [b]") == 40


@pytest.mark.parametrize("module", ["tensorflow", "PIL", "imagehash", "jinja2"])
def test_the_base_install_is_enough(module: str) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import edgeface.report.model_tables, edgeface.runtime.partition_probe"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
