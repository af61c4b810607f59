"""`affine` against its own inverse and hand-written numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import ArtifactError
from edgeface.runtime.affine import dequantize, quantize
from edgeface.types import TensorSpec


def spec_of(dtype: str = "int8", scale: Any = 0.5, zero_point: Any = 3) -> TensorSpec:
    return TensorSpec("t", (1, 1), dtype, scale, zero_point)


@given(
    q=st.integers(-128, 127),
    fraction=st.floats(-0.5, 0.5),
    scale=st.floats(1e-4, 100),
    zero_point=st.integers(-128, 127),
)
def test_within_the_range_the_error_is_at_most_half_a_step(
    q: int, fraction: float, scale: float, zero_point: int
) -> None:
    lowest, highest = scale * (-128 - zero_point), scale * (127 - zero_point)
    x = np.clip(scale * (q + fraction - zero_point), lowest, highest)
    spec = spec_of("int8", scale, zero_point)
    back = dequantize(quantize(np.array([x]), spec), spec)
    assert abs(float(back[0]) - float(x)) <= scale / 2 * (1 + 1e-9)


@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    q=st.integers(-128, 255),
    scale=st.floats(1e-6, 1e6),
    zero_point=st.integers(-128, 255),
)
def test_every_integer_survives_the_way_there_and_back(
    dtype: str, q: int, scale: float, zero_point: int
) -> None:
    limits = np.iinfo(dtype)
    q = int(np.clip(q, limits.min, limits.max))
    spec = spec_of(dtype, scale, zero_point)
    raw: NDArray[Any] = np.array([q], dtype)
    again = quantize(dequantize(raw, spec), spec)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, raw)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, 3),
        (0.24, 3),  # 0.48 steps
        (0.25, 4),  # half a step goes away from zero ...
        (-0.25, 2),  # ... on both sides
        (0.75, 5),  # 1.5 steps; half to even would give the same
        (1.25, 6),  # 2.5 steps; half to even would give 5
        (61.9, 127),  # 123.8 + 3 = 126.8
        (1000.0, 127),  # clipped
        (-1000.0, -128),
    ],
)
def test_rounding_and_clipping_by_hand(real: float, expected: int) -> None:
    np.testing.assert_array_equal(quantize(np.array([real]), spec_of()), np.array([expected]))


def test_dequantize_by_hand() -> None:
    raw: NDArray[np.int8] = np.array([[-128, 3, 127]], np.int8)  # int8 arithmetic would overflow
    np.testing.assert_array_equal(dequantize(raw, spec_of()), [[-65.5, 0.0, 62.0]])


def test_float_tensors_are_left_alone() -> None:
    raw: NDArray[np.float32] = np.array([1.5, -2.25], np.float32)
    real = dequantize(raw, spec_of("float32", None, None))
    assert real.dtype == np.float64
    np.testing.assert_array_equal(real, [1.5, -2.25])


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (spec_of("int8", None, None), "found int8 with scale None"),
        (spec_of("int8", 0.0, 0), "found int8 with scale 0.0"),
        (spec_of("float32", 1.0, 0), "found float32 with scale 1.0"),
    ],
)
def test_a_tensor_without_a_scale_cannot_be_quantized(spec: TensorSpec, text: str) -> None:
    with pytest.raises(ArtifactError, match=text):
        quantize(np.zeros(2), spec)


def test_values_of_another_dtype_are_refused() -> None:
    with pytest.raises(ArtifactError, match="tensor t: found float64 values, expected int8"):
        dequantize(np.zeros(2), spec_of())
