"""A layer that was made bad is found by the report, and is the one that is left float."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import CompressionError
from edgeface.export.flatbuffer import KernelLayer, kernel_layers, read_graph
from edgeface.export.mixed_precision import MixedLimits, cost_of, mixed_precision, next_layer
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import predict
from edgeface.export.sensitivity import SensitivityReport, sensitivity
from edgeface.types import HeadSpec, SilentReporter

BAD = 6  # "last", see the fixture `dead_channel`
LIMITS = MixedLimits(years=1.0, ratio=0.1)


@pytest.fixture(scope="module")
def bad_faces(
    dead_channel: bytes, colours: NDArray[np.uint8], small_heads: tuple[HeadSpec, ...]
) -> Faces:
    said = predict(dead_channel, colours, small_heads, where="test")
    age = said["age"].round().astype(np.int64)
    return Faces(
        ids=tuple(map(str, range(len(colours)))),
        images=colours,
        age_low_years=age,
        age_high_years=age,
        classes={"gender": (said["gender"] >= 0.5).astype(np.int64)},
    )


@pytest.fixture(scope="module")
def report(
    dead_channel: bytes, bad_faces: Faces, small_heads: tuple[HeadSpec, ...]
) -> SensitivityReport:
    return sensitivity(dead_channel, bad_faces.images, bad_faces, small_heads, SilentReporter())


def test_each_layer_has_a_row(dead_channel: bytes, report: SensitivityReport) -> None:
    layers = kernel_layers(dead_channel)
    assert [row.layer for row in report.layers] == [layer.output_name for layer in layers]
    assert [row.position for row in report.layers] == list(range(9))
    assert report.layers[1].kind == "depthwise"
    assert report.layers[1].shape == (1, 3, 3, 8)
    assert (report.images, report.calibration_images) == (40, 40)
    for row in report.layers:
        assert [cost.head for cost in row.costs] == ["gender", "age"]


def test_the_bad_layer_stands_out(report: SensitivityReport) -> None:
    costs = [cost_of(row, LIMITS) for row in report.layers]
    bad = costs.pop(BAD)
    assert bad > 3 * max(costs)
    age = report.layers[BAD].costs[1]
    assert age.loss > 1, "it costs years by the labels, too"
    # what the layer costs alone is about what the whole costs
    assert age.difference > 0.5 * report.whole[1].difference


def test_a_head_costs_only_itself(report: SensitivityReport) -> None:
    for row in report.layers[-2:]:
        assert min(cost.difference for cost in row.costs) == 0.0


def test_exactly_the_bad_layer_stays_float(
    dead_channel: bytes, bad_faces: Faces, small_heads: tuple[HeadSpec, ...]
) -> None:
    content, floats = mixed_precision(
        dead_channel,
        bad_faces.images,
        bad_faces,
        small_heads,
        QuantizePlan(),
        LIMITS,
        SilentReporter(),
    )
    layers = kernel_layers(dead_channel)
    assert floats == (layers[BAD].output_name,)
    types = [read_graph(content).tensors[layer.kernel].type for layer in kernel_layers(content)]
    assert types.pop(BAD) == schema.TensorType.FLOAT32
    assert set(types) == {schema.TensorType.INT8}


def test_nothing_stays_float_where_int8_is_good_enough(
    small: bytes, small_faces: Faces, small_heads: tuple[HeadSpec, ...]
) -> None:
    plan = QuantizePlan(equalize=True)
    _, floats = mixed_precision(
        small, small_faces.images, small_faces, small_heads, plan, LIMITS, SilentReporter()
    )
    assert floats == ()


class Hearing(SilentReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def test_a_head_without_labels_has_no_say_and_none_at_all_is_an_error(
    small: bytes, small_faces: Faces, small_heads: tuple[HeadSpec, ...]
) -> None:
    reporter = Hearing()
    ageless = replace(
        small_faces,
        age_low_years=np.full(len(small_faces), UNKNOWN),
        age_high_years=np.full(len(small_faces), UNKNOWN),
    )
    plan, images = QuantizePlan(), small_faces.images
    _, floats = mixed_precision(small, images, ageless, small_heads, plan, LIMITS, reporter)
    assert floats == ()
    (line,) = (each for each in reporter.heard if "layers float" in each)
    assert "gender" in line
    assert "age" not in line
    blank = replace(ageless, classes={})
    with pytest.raises(CompressionError, match="none of 40 validation faces has a label of gender"):
        mixed_precision(small, images, blank, small_heads, plan, LIMITS, reporter)


def test_a_loss_that_stays_is_an_error(
    dead_channel: bytes, bad_faces: Faces, small_heads: tuple[HeadSpec, ...]
) -> None:
    limits = MixedLimits(years=1.0, ratio=0.1, layers=0)
    with pytest.raises(CompressionError, match=r"with 0 layers in float32 found gender .*points"):
        mixed_precision(
            dead_channel,
            bad_faces.images,
            bad_faces,
            small_heads,
            QuantizePlan(),
            limits,
            SilentReporter(),
        )


def chain(count: int) -> list[KernelLayer]:
    """Layers 0 → 1 → 2 ..., layer i reads tensor i and makes tensor i + 1."""
    return [
        KernelLayer(
            output_name=str(i),
            position=i,
            kind="conv",
            input=i,
            kernel=100 + i,
            bias=-1,
            output=i + 1,
            activation="none",
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("costs", "chosen", "expected"),
    [
        ([1, 9, 2, 3, 4], [], "1"),  # the costliest
        ([1, 3, 2, 2, 9], [], "1"),  # the last is a head, which stays int8
        ([1, 9, 4, 5, 0], ["1"], "2"),  # next to a float layer: no island of its own
        ([1, 9, 3, 5, 0], ["1"], "3"),
    ],
)
def test_the_next_layer(costs: list[float], chosen: list[str], expected: str) -> None:
    by_name = {str(i): float(cost) for i, cost in enumerate(costs)}
    assert next_layer(chain(5), by_name, chosen, outputs={5}) == expected
