"""Rules on made values: what each takes, what it leaves, and what the exit status is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from edgeface.bench.model_findings import FINDERS, Subject, exit_status, find_all
from edgeface.bench.model_graph import ModelGraph, ModelOperator, ModelTensor
from edgeface.bench.model_rules import RULES, ModelFinding, Severity, finding
from edgeface.bench.partitions import RuntimeView
from support.tensors import FLOAT_TENSOR

FLOAT = replace(FLOAT_TENSOR, shape=(1, 4, 4, 8))
INT8 = replace(FLOAT, dtype="int8", scale=0.5, zero_point=0, scales=1)
INT16 = replace(INT8, dtype="int16")
FLOAT_WEIGHTS = replace(FLOAT, shape=(1, 3, 3, 8), constant_bytes=9)
INT8_WEIGHTS = replace(INT8, shape=(1, 3, 3, 8), constant_bytes=9, scales=8)
WHOLE = RuntimeView(state="opened", runtime="r", runtime_version="1", partitions=(), outside=())


def subject(
    tensors: Sequence[ModelTensor], *operators: tuple[str, list[int], int], **changes: Any
) -> Subject:
    graph = ModelGraph(
        tensors=tuple(tensors),
        operators=tuple(
            ModelOperator(
                kind=kind,
                inputs=tuple(inputs),
                outputs=(output,),
                activation="NONE",
                padding="SAME",
                stride=(1, 1),
            )
            for kind, inputs, output in operators
        ),
        inputs=(0,),
        outputs=(operators[-1][2],),
        signature_names=(),
        subgraphs=1,
        weights_bytes=0,
    )
    made = Subject(
        stem="m", graph=graph, runtime=WHOLE, sidecar=None, sidecar_fault="", machine="aarch64"
    )
    return replace(made, **changes)


def rules(made: Subject) -> dict[str, str]:
    """Severity by rule, without the missing sidecar, which all made subjects have."""
    found: dict[str, str] = {each.rule: each.severity for each in find_all(made)}
    assert found.pop("sidecar-missing", "warning") == "warning"
    return found


def kernel(
    data: ModelTensor, weights: ModelTensor, kind: str = "DEPTHWISE_CONV_2D", **changes: Any
) -> Subject:
    return subject([data, weights, data], (kind, [0, 1], 2), **changes)


@pytest.mark.parametrize("kind", ["DEPTHWISE_CONV_2D", "CONV_2D"])
def test_clean_layers(kind: str) -> None:
    assert rules(kernel(FLOAT, FLOAT_WEIGHTS, kind)) == {}
    assert rules(kernel(INT8, INT8_WEIGHTS, kind, stem="m-int8")) == {}


def test_dynamic_range_depthwise() -> None:
    assert rules(kernel(FLOAT, INT8_WEIGHTS)) == {"dynamic-range-depthwise": "error"}


def test_dynamic_range_convolution_is_delegated_but_not_int8() -> None:
    assert rules(kernel(FLOAT, INT8_WEIGHTS, "CONV_2D")) == {"float-inside-int8": "warning"}


def test_weights_that_are_unpacked_first_are_not_dynamic_range() -> None:
    made = subject(
        [FLOAT, INT8_WEIGHTS, FLOAT, FLOAT],
        ("DEQUANTIZE", [1], 2),
        ("DEPTHWISE_CONV_2D", [0, 2], 3),
    )
    assert rules(made) == {"float-inside-int8": "warning"}


def test_16x8() -> None:
    assert rules(kernel(INT16, INT8_WEIGHTS)) == {"16x8": "error"}


def test_int16_without_a_scale_is_no_quantization() -> None:
    plain = replace(FLOAT, dtype="int16")
    assert rules(subject([plain, plain], ("GATHER", [0], 1))) == {}


@pytest.mark.parametrize(
    ("stem", "severity"),
    [("m", None), ("m-int8", "error"), ("m_INT8_v2", "error"), ("mint8", None), ("m-int80", None)],
)
def test_float_that_says_int8(stem: str, severity: str | None) -> None:
    expected = {} if severity is None else {"float-inside-int8": severity}
    assert rules(kernel(FLOAT, FLOAT_WEIGHTS, stem=stem)) == expected


def test_one_float_layer_among_int8_ones() -> None:
    made = subject(
        [INT8, INT8_WEIGHTS, INT8, FLOAT, FLOAT_WEIGHTS, FLOAT],
        ("CONV_2D", [0, 1], 2),
        ("DEQUANTIZE", [2], 3),
        ("CONV_2D", [3, 4], 5),
    )
    found = [each for each in find_all(made) if each.rule == "float-inside-int8"]
    assert [(each.severity, each.operators) for each in found] == [("warning", (2,))]
    assert "1 of 3 operators compute in float (1 CONV_2D); in 0 of 2 layers" in found[0].text


def test_per_tensor_depthwise() -> None:
    per_tensor = replace(INT8_WEIGHTS, scales=1)
    assert rules(kernel(INT8, per_tensor)) == {"per-tensor-depthwise": "warning"}
    assert rules(kernel(INT8, per_tensor, "CONV_2D")) == {}
    assert rules(kernel(INT8, replace(per_tensor, shape=(1, 3, 3, 1)))) == {}


def test_float_input() -> None:
    made = subject([FLOAT, INT8, INT8_WEIGHTS, INT8], ("QUANTIZE", [0], 1), ("CONV_2D", [1, 2], 3))
    assert rules(made) == {"float-input": "warning"}


def test_a_quantize_beside_float_layers_is_no_int8_input() -> None:
    made = subject([FLOAT, INT8, INT8_WEIGHTS, FLOAT], ("QUANTIZE", [0], 1), ("CONV_2D", [0, 2], 3))
    assert rules(made) == {"float-inside-int8": "warning"}


def test_whole_numbers_without_a_scale_are_no_int8_weights() -> None:
    assert rules(kernel(FLOAT, replace(INT8_WEIGHTS, scales=0), "CONV_2D")) == {}


def test_a_float_first_layer_takes_float_on_purpose() -> None:
    made = subject(
        [FLOAT, FLOAT_WEIGHTS, FLOAT, INT8, INT8_WEIGHTS, INT8],
        ("CONV_2D", [0, 1], 2),
        ("QUANTIZE", [2], 3),
        ("CONV_2D", [3, 4], 5),
    )
    assert rules(made) == {"float-inside-int8": "warning"}


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (RuntimeView(state="refused", reason="no"), {"runtime-refuses": "error"}),
        (RuntimeView(state="crashed", reason="SIGABRT"), {"runtime-crashes": "error"}),
        (RuntimeView(state="not asked", reason="none"), {"partitions-not-known": "note"}),
        (RuntimeView(state="opened", reason="?"), {"partitions-not-known": "note"}),
        (replace(WHOLE, partitions=((0,),)), {}),
        (replace(WHOLE, outside=(0,)), {"outside-delegate": "warning"}),
    ],
)
def test_what_the_runtime_made_of_it(view: RuntimeView, expected: dict[str, str]) -> None:
    assert rules(kernel(FLOAT, FLOAT_WEIGHTS, runtime=view)) == expected


def test_a_light_operator_outside_is_a_note() -> None:
    made = subject([FLOAT, FLOAT], ("SHAPE", [0], 1), runtime=replace(WHOLE, outside=(0,)))
    assert rules(made) == {"outside-delegate": "note"}


def test_sparse_weights_by_how_they_are_stored() -> None:
    zeros = replace(FLOAT_WEIGHTS, shape=(1, 3, 3, 64), zero_ratio=0.9)
    assert rules(kernel(FLOAT, zeros)) == {"sparse-stored-dense": "warning"}
    assert rules(kernel(FLOAT, replace(zeros, is_sparse=True))) == {"sparse-not-faster": "warning"}


def test_several_graphs() -> None:
    made = kernel(FLOAT, FLOAT_WEIGHTS)
    assert rules(replace(made, graph=replace(made.graph, subgraphs=2))) == {
        "several-graphs": "note"
    }


def test_sidecar() -> None:
    missing = find_all(kernel(FLOAT, FLOAT_WEIGHTS, stem="x\ny"))
    assert [(each.rule, each.severity) for each in missing] == [("sidecar-missing", "warning")]
    assert "\n" not in missing[0].text
    fault = find_all(kernel(FLOAT, FLOAT_WEIGHTS, sidecar_fault="not JSON"))
    assert [(each.rule, each.severity) for each in fault] == [("sidecar-mismatch", "error")]


def test_operands_that_are_missing_crash_no_rule() -> None:
    made = subject([FLOAT], ("CONV_2D", [], 0), ("DEPTHWISE_CONV_2D", [-1, -1], 0), ("PAD", [0], 0))
    assert rules(made) == {}


def test_hostile_kinds_stay_short_and_on_one_line() -> None:
    made = subject(
        [INT16, INT16], *((f"CUSTOM \x1b[2J{i}\n" + "x" * 999, [0], 1) for i in range(50))
    )
    (found,) = (each for each in find_all(made) if each.rule == "16x8")
    assert found.text.isprintable()
    assert "and 42 more kinds" in found.text
    assert len(found.text) < 2000


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ((), 0),
        (("note", "warning"), 0),
        (("error",), 1),
        (("note", "error", "warning"), 1),
    ],
)
def test_exit_status(severities: tuple[Severity, ...], status: int) -> None:
    assert exit_status([finding("16x8", each, "") for each in severities]) == status


def test_every_finding_carries_its_rule() -> None:
    found: ModelFinding = finding("16x8", "error", "text", (1,))
    assert (found.because, found.source) == RULES["16x8"]
    assert all(because and source for because, source in RULES.values())
    assert len(FINDERS) == len(set(FINDERS))
