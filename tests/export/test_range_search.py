"""The range search against all candidates tried one by one with the runtime's own rounding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.export.flatbuffer import activations, read_signature
from edgeface.export.graph_edit import expose
from edgeface.export.passes import run_each
from edgeface.export.range_search import (
    CLIP_RATIOS,
    HISTOGRAM_IMAGES,
    LEVELS,
    least_error_range,
    least_error_ranges,
    squared_error,
)
from edgeface.export.statistics import value_ranges
from edgeface.runtime.affine import dequantize, quantize
from edgeface.types import TensorSpec


def error_in_int8(values: NDArray[np.float64], low: float, high: float) -> float:
    """What an int8 tensor with this range makes of values, by the device side's functions."""
    scale = (high - low) / LEVELS
    zero_point = int(np.round(-128 - low / scale))
    spec = TensorSpec(name="t", shape=(1,), dtype="int8", scale=scale, zero_point=zero_point)
    return float(((dequantize(quantize(values, spec), spec) - values) ** 2).sum())


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["normal", "positive", "negative"]))
def test_no_other_candidate_is_better(seed: int, kind: str) -> None:
    values = np.random.default_rng(seed).standard_t(2, 200)
    values = {"normal": values, "positive": np.abs(values), "negative": -np.abs(values)}[kind]
    rising = np.sort(values)
    low, high = least_error_range(rising, np.ones(200, np.int64))
    ends = itertools.product(
        min(rising[0], 0.0) * CLIP_RATIOS[::4], max(rising[-1], 0.0) * CLIP_RATIOS[::4]
    )
    tried = [error_in_int8(rising, a, b) for a, b in ends if b > a]
    assert error_in_int8(rising, low, high) <= min(tried) * (1 + 1e-9)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_error_is_that_of_the_device_side(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 2, 300)
    counts = np.ones(300, np.int64)
    np.testing.assert_allclose(
        squared_error(values, counts, (-3.0, 2.5)), error_in_int8(values, -3.0, 2.5), rtol=1e-9
    )


def test_one_far_value_is_clipped_and_counts_weigh() -> None:
    # 10,000 values up to 1 and one of 8: with a step of 8/255 they cost 10,000 * (8/255)^2 / 12
    # = 0.82; clipped at 4 they cost a quarter of that, and the one 16
    values = np.append(np.linspace(0, 1, 10_000), 8.0)
    once = np.ones(10_001, np.int64)
    assert least_error_range(values, once) == (0.0, 8.0)
    assert least_error_range(values, once * 1000)[1] == 8.0
    # 400 times as many small values make 327 of that 0.82, and the one is clipped
    many = np.append(np.full(10_000, 400), 1)
    low, high = least_error_range(values, many)
    assert low == 0.0
    assert 1.0 <= high < 8.0


@pytest.fixture(scope="module")
def searched(small: bytes, colours: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    return least_error_ranges(small, value_ranges(small, colours), colours)


def test_ranges_of_a_net_are_within_the_extremes_and_outputs_keep_theirs(
    small: bytes, colours: NDArray[np.uint8], searched: dict[str, tuple[float, float]]
) -> None:
    extremes = value_ranges(small, colours)
    assert searched.keys() == extremes.keys()
    for spec in read_signature(small).outputs.values():
        assert searched[spec.name] == extremes[spec.name]
    for name, (low, high) in extremes.items():
        assert min(low, 0.0) <= searched[name][0] <= 0.0 or searched[name] == (low, high)
        assert searched[name][1] <= max(high, 0.0)
    assert any(searched[name] != extremes[name] for name in extremes), "nothing was clipped"


def test_histograms_are_as_good_as_all_values(
    small: bytes, colours: NDArray[np.uint8], searched: dict[str, tuple[float, float]]
) -> None:
    assert len(colours) <= HISTOGRAM_IMAGES, "the search saw all of them"
    outputs = {spec.name for spec in read_signature(small).outputs.values()}
    inner = {name: i for name, i in activations(small).items() if name not in outputs}
    runs = list(
        run_each(
            expose(small, list(inner.values())),
            colours,
            lambda found: {name: value.ravel() for name, (value, _) in found.items()},
            where="test",
        )
    )
    for name in inner:
        values = np.sort(np.concatenate([each[name] for each in runs])).astype(np.float64)
        best = least_error_range(values, np.ones(len(values), np.int64))
        chosen = error_in_int8(values, *searched[name])
        # a bin is a sixteenth of a step: candidates next to each other may change places
        assert chosen <= 1.05 * error_in_int8(values, *best), name
