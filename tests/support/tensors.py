"""A tensor of a parsed model, for tests to replace fields of."""

from __future__ import annotations

from edgeface.bench.model_graph import ModelTensor

FLOAT_TENSOR = ModelTensor(
    name="t",
    shape=(),
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
