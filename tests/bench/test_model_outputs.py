"""An age that cannot be above 6, or above the calibrated range, is found; other outputs are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgeface.bench.model_graph import ModelGraph, ModelOperator
from edgeface.bench.model_outputs import ClippedOutput, clipped_outputs
from edgeface.types import Contract, HeadSpec, ImageSpec, Sidecar, TensorSpec
from support.records import provenance
from support.tensors import FLOAT_TENSOR

BASE = replace(FLOAT_TENSOR, shape=(1, 1))


def graph(
    activation: str = "NONE",
    *,
    name: str = "age",
    signature: str = "",
    kinds: tuple[str, ...] = ("FULLY_CONNECTED",),
    **tensor: Any,
) -> ModelGraph:
    """A row of operators; `activation` is of the first, the tensor's changes are of the output."""
    operators = tuple(
        ModelOperator(
            kind=kind,
            inputs=(i,),
            outputs=(i + 1,),
            activation="NONE" if i else activation,
            padding="",
            stride=(1, 1),
        )
        for i, kind in enumerate(kinds)
    )
    last = len(kinds)
    return ModelGraph(
        tensors=(*(BASE for _ in kinds), replace(BASE, name=name, **tensor)),
        operators=operators,
        inputs=(0,),
        outputs=(last,),
        signature_names=((signature, last),) if signature else (),
        subgraphs=1,
        weights_bytes=0,
    )


def sidecar(kind: Any, unit: str = "years", tensor: str = "age") -> Sidecar:
    return Sidecar(
        schema_version=1,
        name="m",
        backbone="tiny",
        scheme="float32",
        sha256="",
        size_bytes=0,
        contract=Contract(
            image=ImageSpec(side_px=8),
            input=TensorSpec(name="image", shape=(1, 8, 8, 3), dtype="float32"),
            outputs=(TensorSpec(name=tensor, shape=(1, 1), dtype="float32"),),
            heads=(HeadSpec(name="how old", kind=kind, tensor=tensor, unit=unit),),
        ),
        golden=(),
        provenance=provenance(),
        quality=None,
        licence="none",
    )


def one(model: ModelGraph, beside: Sidecar | None = None) -> ClippedOutput:
    found = list(clipped_outputs(model, beside))
    assert len(found) == 1
    return found[0]


def test_relu6_on_an_age_is_an_error() -> None:
    assert one(graph("RELU6")) == ClippedOutput(
        severity="error",
        text="output 'age' cannot be above 6: a FULLY_CONNECTED with RELU6 makes it",
        operators=(0,),
    )


@pytest.mark.parametrize("name", ["age", "Age", "age_output", "head/age/BiasAdd", "model-age:0"])
def test_age_by_name(name: str) -> None:
    assert one(graph("RELU6", name=name)).severity == "error"


@pytest.mark.parametrize("name", ["image", "average", "StatefulPartitionedCall:0", "pages"])
def test_another_name_after_relu6_is_a_warning(name: str) -> None:
    assert one(graph("RELU6", name=name)).severity == "warning"


def test_age_by_the_signature_or_the_sidecar() -> None:
    assert one(graph("RELU6", name="out:0", signature="age")).severity == "error"
    found = one(graph("RELU6", name="out:0"), sidecar("regression", tensor="out:0"))
    assert found.severity == "error"
    assert "'how old'" in found.text


@pytest.mark.parametrize("beside", [sidecar("binary", unit=""), sidecar("regression", unit="cm")])
def test_the_sidecar_knows_better_than_the_name(beside: Sidecar) -> None:
    assert list(clipped_outputs(graph("RELU6"), beside)) == []


def test_a_relu6_is_found_behind_a_reshape_and_a_dequantize() -> None:
    kinds = ("FULLY_CONNECTED", "RESHAPE", "DEQUANTIZE")
    assert one(graph("RELU6", kinds=kinds)).operators == (2, 1, 0)
    assert list(clipped_outputs(graph("RELU6", kinds=("FULLY_CONNECTED", "MUL")), None)) == []


def test_relu6_as_an_operator_of_its_own() -> None:
    assert one(graph(kinds=("FULLY_CONNECTED", "RELU6"))).text.endswith("6: RELU6 makes it")


@pytest.mark.parametrize(
    ("activation", "beside", "severity"),
    [
        ("TANH", None, "warning"),  # the caller may scale it
        ("TANH", sidecar("regression"), "error"),  # years, says the sidecar
    ],
)
def test_other_activations(activation: str, beside: Sidecar | None, severity: str) -> None:
    assert one(graph(activation), beside).severity == severity


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_an_open_output_is_fine(activation: str) -> None:
    assert list(clipped_outputs(graph(activation), None)) == []


def test_a_gender_after_a_sigmoid_is_fine() -> None:
    assert list(clipped_outputs(graph(kinds=("LOGISTIC",), name="gender"), None)) == []


def test_the_range_of_a_quantized_output() -> None:
    # 0.5 · (127 − 0) = 63.5 years; 0.63 · 127 = 80.01; uint8: 0.3 · (255 − 5) = 75
    assert one(graph(dtype="int8", scale=0.5, zero_point=0)).severity == "warning"
    assert (
        "cannot be above 63.5: its int8 range"
        in one(graph(dtype="int8", scale=0.5, zero_point=0)).text
    )
    assert list(clipped_outputs(graph(dtype="int8", scale=0.63, zero_point=0), None)) == []
    assert "above 75" in one(graph(dtype="uint8", scale=0.3, zero_point=5)).text


def test_a_relu6_that_only_the_range_shows_is_an_error() -> None:
    """Converters drop an activation that the range implies: 6 / 255 · (127 + 128) = 6."""
    assert one(graph(dtype="int8", scale=6 / 255, zero_point=-128)).severity == "error"


def test_many_values_are_no_age_but_bins() -> None:
    assert list(clipped_outputs(graph("RELU6", shape=(1, 101)), None)) == []
