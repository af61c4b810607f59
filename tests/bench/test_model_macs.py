"""MACs by visible arithmetic, and "not known" where arithmetic would be a guess."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeface.bench.model_graph import ModelGraph, ModelOperator
from edgeface.bench.model_macs import operator_macs, total_macs
from support.tensors import FLOAT_TENSOR

BASE = replace(FLOAT_TENSOR, shape=())


def macs(kind: str, *shapes: tuple[int, ...], dynamic: int = -1) -> int | None:
    """Of an operator whose last shape is the output's."""
    tensors = tuple(
        replace(BASE, shape=shape, is_dynamic=i == dynamic) for i, shape in enumerate(shapes)
    )
    last = len(shapes) - 1
    operator = ModelOperator(
        kind=kind,
        inputs=tuple(range(last)),
        outputs=(last,),
        activation="NONE",
        padding="",
        stride=(1, 1),
    )
    graph = ModelGraph(
        tensors=tensors,
        operators=(operator,),
        inputs=(0,),
        outputs=(last,),
        signature_names=(),
        subgraphs=1,
        weights_bytes=0,
    )
    return operator_macs(graph, operator)


def test_convolution() -> None:
    assert macs("CONV_2D", (1, 8, 8, 3), (16, 3, 5, 3), (1, 4, 4, 16)) == 4 * 4 * 16 * 3 * 5 * 3


def test_grouped_convolution_sums_over_its_own_group() -> None:
    # 2 groups of 4 channels: the weights hold 4 inputs an output, and so does the sum
    assert macs("CONV_2D", (1, 8, 8, 8), (6, 3, 3, 4), (1, 8, 8, 6)) == 8 * 8 * 6 * 3 * 3 * 4


def test_depthwise() -> None:
    assert macs("DEPTHWISE_CONV_2D", (1, 8, 8, 6), (1, 5, 3, 6), (1, 4, 4, 6)) == 4 * 4 * 6 * 5 * 3


def test_fully_connected() -> None:
    assert macs("FULLY_CONNECTED", (2, 10), (7, 10), (2, 7)) == 2 * 7 * 10


def test_transposed_convolution_counts_from_its_input() -> None:
    # inputs: output shape, weights [out, rows, columns, in], data
    found = macs("TRANSPOSE_CONV", (4,), (5, 2, 3, 6), (1, 4, 4, 6), (1, 8, 8, 5))
    assert found == 4 * 4 * 6 * 5 * 2 * 3


@pytest.mark.parametrize("kind", ["ADD", "MEAN", "MAX_POOL_2D", "DENSIFY"])
def test_no_weights_no_macs(kind: str) -> None:
    assert macs(kind, (1, 8, 8, 3), (1, 8, 8, 3)) == 0


@pytest.mark.parametrize(
    "kind", ["CUSTOM Mine", "operator 999", "BATCH_MATMUL", "CONV_3D", "WHILE"]
)
def test_never_a_guess(kind: str) -> None:
    assert macs(kind, (1, 8), (8, 8), (1, 8)) is None


def test_open_or_senseless_shapes_are_not_known() -> None:
    for dynamic in (0, 2):
        assert macs("FULLY_CONNECTED", (2, 10), (7, 10), (2, 7), dynamic=dynamic) is None
    assert macs("CONV_2D", (1, 8, 8, 3), (16,), (1, 4, 4, 16)) is None
    assert macs("CONV_2D", (1, 8, 8, 3), (1, 4, 4, 16)) is None  # no weights operand


def test_one_unknown_makes_the_sum_unknown() -> None:
    assert total_macs((2, 0, 40)) == 42
    assert total_macs((2, None, 40)) is None
    assert total_macs(()) == 0
