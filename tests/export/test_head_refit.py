"""The closed forms against numpy's least squares, and a backbone that a re-fit can mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.export import head_refit
from edgeface.export.bias_correction import correct_biases
from edgeface.export.constants import read_biases, read_constant, read_scales, with_constants
from edgeface.export.flatbuffer import kernel_layers
from edgeface.export.head_refit import refit_heads, ridge_change
from edgeface.export.litert import static_int8
from edgeface.export.predictions import predict
from edgeface.export.statistics import value_ranges
from edgeface.types import HeadSpec, SilentReporter


def by_lstsq(
    features: NDArray[np.float64], residuals: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ridge with a free intercept: weights [D, K] and intercepts [K]."""
    count, width = features.shape
    rows = np.concatenate(
        [
            np.concatenate([features, np.ones((count, 1))], axis=1),
            np.concatenate([np.sqrt(penalty) * np.eye(width), np.zeros((width, 1))], axis=1),
        ]
    )
    wanted = np.concatenate([residuals, np.zeros((width, residuals.shape[1]))])
    solution = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return solution[:-1], solution[-1]


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(9, 4), (7, 12)]))
def test_the_change_is_the_best_of_the_ridge_solutions(seed: int, shape: tuple[int, int]) -> None:
    count, width = shape
    random = np.random.default_rng(seed)
    features = random.normal(3, 1, (count, width))
    residuals = features[:, :2] @ random.normal(0, 1, (2, 3)) + random.normal(0, 0.3, (count, 3))
    fit = ridge_change(features, residuals)
    centred = features - features.mean(axis=0)
    unit = np.trace(centred @ centred.T) / count
    left_out = {}
    for ratio in head_refit.RIDGE_RATIOS:
        misses = []
        for i in range(count):
            others = np.arange(count) != i
            weights, intercepts = by_lstsq(features[others], residuals[others], ratio * unit)
            misses.append(residuals[i] - features[i] @ weights - intercepts)
        left_out[ratio] = float(np.mean(np.square(misses)))
    best = min(left_out, key=left_out.__getitem__)
    spread = residuals - residuals.mean(axis=0)
    unchanged = float(((spread * count / (count - 1)) ** 2).mean())
    np.testing.assert_allclose(fit.error_unchanged, unchanged, rtol=1e-9)
    if unchanged <= left_out[best]:
        np.testing.assert_array_equal(fit.change, 0.0)
        return
    np.testing.assert_allclose(fit.left_out_error, left_out[best], rtol=1e-6)
    weights, _ = by_lstsq(features, residuals, best * unit)
    np.testing.assert_allclose(fit.change, weights.T, rtol=1e-5, atol=1e-8)


def test_noise_changes_nothing() -> None:
    random = np.random.default_rng(1)
    fit = ridge_change(random.normal(0, 1, (40, 60)), random.normal(0, 1, (40, 2)))
    np.testing.assert_array_equal(fit.change, 0.0)
    assert fit.left_out_error == fit.error_unchanged


@pytest.fixture(scope="module")
def mixed_up(small: bytes) -> bytes:
    """`small` with features that lost a part: channel i of the last layer has some of i + 1 in it.

    Linear in the features, so that other head weights could take it back, and biases could not.
    """
    last = kernel_layers(small)[6]
    kernel, bias = read_constant(small, last.kernel), read_constant(small, last.bias)
    return with_constants(
        small,
        {
            last.kernel: kernel + 0.3 * np.roll(kernel, 1, axis=0),
            last.bias: bias + 0.3 * np.roll(bias, 1),
        },
    )


@pytest.mark.parametrize("scheme", ["float heads", "int8 heads"])
def test_a_linear_error_of_the_features_is_taken_back(
    scheme: str,
    small: bytes,
    mixed_up: bytes,
    colours: NDArray[np.uint8],
    small_heads: tuple[HeadSpec, ...],
) -> None:
    names = [layer.output_name for layer in kernel_layers(mixed_up)]
    content = static_int8(
        mixed_up,
        value_ranges(mixed_up, colours),
        names[-2:] if scheme == "float heads" else (),
    )
    corrected = correct_biases(small, content, colours, SilentReporter())
    fitted = refit_heads(small, corrected, colours, SilentReporter())
    assert len(fitted) == len(corrected)
    said = predict(small, colours, small_heads, where="test")
    off = [
        np.abs(predict(file, colours, small_heads, where="test")["age"] - said["age"]).mean()
        for file in (corrected, fitted)
    ]
    assert off[0] > 1, "biases alone cannot mend it"
    assert off[1] < off[0] / 2


def test_where_nothing_is_to_gain_only_biases_change(
    small: bytes, colours: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no change of weights, they are rounded as the quantizer rounds them."""
    monkeypatch.setattr(head_refit, "RIDGE_RATIOS", np.array([1e12]))
    content = static_int8(small, value_ranges(small, colours))
    fitted = refit_heads(small, content, colours, SilentReporter())
    assert fitted != content
    heads = kernel_layers(content)[-2:]
    restored = with_constants(fitted, {layer.bias: read_biases(content, layer) for layer in heads})
    for layer in heads:
        np.testing.assert_array_equal(
            read_constant(restored, layer.kernel), read_constant(content, layer.kernel)
        )
        np.testing.assert_allclose(
            read_scales(restored, layer.kernel), read_scales(content, layer.kernel), rtol=1e-6
        )


def test_int8_weights_are_the_rounded_ones(
    small: bytes, mixed_up: bytes, colours: NDArray[np.uint8]
) -> None:
    content = static_int8(mixed_up, value_ranges(mixed_up, colours))
    fitted = refit_heads(small, content, colours, SilentReporter())
    for layer in kernel_layers(fitted)[-2:]:
        kernel = read_constant(fitted, layer.kernel)
        assert np.abs(kernel.astype(int)).max(axis=1).tolist() == [127]
        scale = read_scales(fitted, layer.kernel) * read_scales(fitted, layer.input)
        np.testing.assert_allclose(read_scales(fitted, layer.bias), scale, rtol=1e-6)
        assert read_biases(fitted, layer).dtype == np.int32


def test_heads_without_biases_are_left_alone(
    make_small: Callable[..., bytes], colours: NDArray[np.uint8]
) -> None:
    import tf_keras as keras

    from edgeface.export.convert import to_float_tflite

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    heads: dict[str, Any] = {"age": keras.layers.Dense(1, use_bias=False)(x)}
    content = to_float_tflite(keras.Model(image, heads))
    int8 = static_int8(content, value_ranges(content, colours))
    assert refit_heads(content, int8, colours, SilentReporter()) == int8
