"""Each of XNNPACK's conditions for sparse inference is named where it alone fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from edgeface.bench.model_graph import ModelGraph, ModelOperator
from edgeface.bench.model_sparsity import SparseWeights, sparse_weights
from support.tensors import FLOAT_TENSOR

BASE = replace(FLOAT_TENSOR, shape=())
ONE_BY_ONE = replace(BASE, shape=(16, 1, 1, 16), constant_bytes=99, is_sparse=True, zero_ratio=0.9)
"""256 weights, the fewest that count."""


def net(
    tensors: Mapping[int, Mapping[str, Any]] | None = None,
    operators: Mapping[int, Mapping[str, Any]] | None = None,
) -> ModelGraph:
    """PAD, 3×3 stride-2, depthwise stride-2, DENSIFY, 1×1, MEAN: all that XNNPACK asks for."""
    constant = replace(BASE, constant_bytes=99, zero_ratio=0.0)
    values = [
        BASE,  # 0 image
        replace(BASE, dtype="int32", constant_bytes=32, integers=(0, 0, 1, 1, 1, 1, 0, 0)),
        BASE,  # 2 padded
        replace(constant, shape=(8, 3, 3, 3)),
        BASE,  # 4 after the first convolution
        replace(constant, shape=(1, 3, 3, 8)),
        BASE,  # 6 after the depthwise one
        ONE_BY_ONE,
        replace(BASE, shape=(16, 1, 1, 16)),  # 8 unpacked
        BASE,  # 9 after the 1×1 one
        BASE,  # 10 mean
    ]
    made = [
        operator("PAD", [0, 1], 2),
        operator("CONV_2D", [2, 3], 4, stride=(2, 2)),
        operator("DEPTHWISE_CONV_2D", [4, 5], 6, stride=(2, 2)),
        operator("DENSIFY", [7], 8),
        operator("CONV_2D", [6, 8], 9),
        operator("MEAN", [9], 10),
    ]
    for at, changes in (tensors or {}).items():
        values[at] = replace(values[at], **changes)
    for at, changes in (operators or {}).items():
        made[at] = replace(made[at], **changes)
    return ModelGraph(
        tensors=tuple(values),
        operators=tuple(made),
        inputs=(0,),
        outputs=(10,),
        signature_names=(),
        subgraphs=1,
        weights_bytes=0,
    )


def operator(
    kind: str, inputs: list[int], output: int, stride: tuple[int, int] = (1, 1)
) -> ModelOperator:
    return ModelOperator(
        kind=kind,
        inputs=tuple(inputs),
        outputs=(output,),
        activation="NONE",
        padding="VALID",
        stride=stride,
    )


def test_nothing_fails_on_arm() -> None:
    found = sparse_weights(net(), "aarch64")
    assert found is not None
    assert found.zero_ratio == pytest.approx(0.9)
    assert replace(found, zero_ratio=0.9) == SparseWeights(
        operators=(4,), zero_ratio=0.9, is_stored_sparse=True, reasons=()
    )


@pytest.mark.parametrize(
    ("graph", "machine", "reason"),
    [
        (net(), "x86_64", "this machine is x86_64"),
        (net(), "AMD64", "this machine is AMD64"),
        (net({7: {"dtype": "int8"}}), "aarch64", "weights are int8"),
        (net({7: {"zero_ratio": 2 / 3}}), "aarch64", "have 67 % zeros, more than 67 %"),
        (net({1: {"integers": (0, 0, 0, 1, 0, 1, 0, 0)}}), "aarch64", "after a PAD of 1"),
        (net({3: {"shape": (8, 3, 3, 1)}}), "aarch64", "3×3 stride-2 convolution of 3 channels"),
        (net({}, {1: {"padding": "SAME"}}), "aarch64", "3×3 stride-2"),
        (net({}, {1: {"stride": (1, 1)}}), "aarch64", "3×3 stride-2"),
        (net({}, {2: {"padding": "SAME"}}), "aarch64", "depthwise convolution pads by SAME"),
        (net({}, {5: {"kind": "MAX_POOL_2D"}}), "aarch64", "no global mean"),
        (net({7: {"shape": (8, 3, 3, 8)}}), "aarch64", "no 1×1 convolution"),
    ],
)
def test_the_one_condition_that_fails(graph: ModelGraph, machine: str, reason: str) -> None:
    found = sparse_weights(graph, machine)
    assert found is not None
    assert len(found.reasons) == 1
    assert reason in found.reasons[0]


def test_just_above_two_thirds_is_enough() -> None:
    found = sparse_weights(net({7: {"zero_ratio": 171 / 256}}), "aarch64")  # 2/3 of 256 is 170.7
    assert found is not None
    assert found.reasons == ()


def test_dense_zeros_count_from_0_4() -> None:
    dense = {"is_sparse": False, "zero_ratio": 0.4}
    found = sparse_weights(net({7: dense}), "aarch64")
    assert found is not None
    assert not found.is_stored_sparse
    assert sparse_weights(net({7: {**dense, "zero_ratio": 0.39}}), "aarch64") is None
    assert sparse_weights(net({7: {**dense, "shape": (15, 1, 1, 17)}}), "aarch64") is None


def test_share_is_of_all_weights_of_the_layers_found() -> None:
    graph = net({3: {"zero_ratio": 0.5, "shape": (16, 3, 3, 3)}})  # 16·3·3·3 = 432 weights
    found = sparse_weights(graph, "aarch64")
    assert found is not None
    assert found.operators == (1, 4)
    assert found.zero_ratio == pytest.approx((432 * 0.5 + 256 * 0.9) / (432 + 256))
