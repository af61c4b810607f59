"""Finished files hold their weights inside the flatbuffer, aligned, as TFLite's C library asks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.export.constants import read_constant
from edgeface.export.flatbuffer import kernel_layers, read_graph
from edgeface.export.graph_edit import repacked
from edgeface.export.litert import static_int8
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import predict
from edgeface.export.quantize import quantize
from edgeface.export.statistics import value_ranges
from edgeface.model.heads import head_specs
from edgeface.types import SilentReporter

_DATA_SLOT = 4  # Source: schema.fbs, the first field of Buffer


def buffers(content: bytes) -> Iterator[schema.Buffer]:
    model = schema.Model.GetRootAs(content, 0)
    for number in range(model.BuffersLength()):
        yield model.Buffers(number)


def data_starts(content: bytes) -> list[int]:
    """Where in the file each buffer's bytes begin."""
    return [
        each._tab.Vector(each._tab.Offset(_DATA_SLOT))
        for each in buffers(content)
        if not each.DataIsNone() and each.DataLength()
    ]


def behind(content: bytes) -> int:
    """Count the buffers that lie behind the flatbuffer."""
    return sum(each.Offset() > 1 for each in buffers(content))


@pytest.mark.parametrize("scheme", ["int8", "float16", "dynamic"])
def test_no_buffer_of_a_finished_file_has_an_offset(
    scheme: str, float_content: bytes, faces: NDArray[np.uint8]
) -> None:
    plan = QuantizePlan(scheme=scheme, allow_slow=True)  # type: ignore[arg-type]  # one of three
    content = quantize(float_content, faces[:4], plan, SilentReporter())
    assert [(each.Offset(), each.Size()) for each in buffers(content)] == [
        (0, 0) for _ in buffers(content)
    ]
    starts = data_starts(content)
    assert len(starts) > 50, "52 convolutions have weights"
    assert {start % 16 for start in starts} == {0}


def test_the_quantizer_s_own_file_has_offsets_and_repacked_says_the_same(
    float_content: bytes, faces: NDArray[np.uint8], spec: ModelSpec
) -> None:
    """If the first assertion fails, litert-quantizer has changed and `repacked` may go."""
    content = static_int8(float_content, value_ranges(float_content, faces[:4]))
    assert behind(content) > 9  # of the larger constants
    inside = repacked(content)
    assert behind(inside) == 0
    for before, after in zip(kernel_layers(content), kernel_layers(inside), strict=True):
        assert before == after
        np.testing.assert_array_equal(
            read_constant(inside, after.kernel), read_constant(content, before.kernel)
        )
    heads, images = head_specs(spec), faces[4:10]
    said = [predict(each, images, heads, where="test") for each in (content, inside)]
    for name in ("age", "gender"):
        np.testing.assert_array_equal(said[0][name], said[1][name])
    assert repacked(inside) == inside
    # 16 bytes at most are lost to each constant's place
    assert len(inside) < len(content) + 16 * len(read_graph(content).tensors) + 1024
