"""Equalization computes the same, makes no step coarser, and helps where a channel stands out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.export.channel_groups import ChannelGroup, channel_groups
from edgeface.export.constants import read_constant
from edgeface.export.equalization import (
    CLIP,
    LARGEST_FACTOR,
    channel_factors,
    equalize,
)
from edgeface.export.flatbuffer import activations, kernel_layers, read_graph
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import predict
from edgeface.export.quantize import quantize
from edgeface.export.statistics import ChannelStatistics, channel_statistics
from edgeface.types import HeadSpec, SilentReporter


def names_of(content: bytes) -> dict[int, str]:
    return {i: name.split("/")[-2] for name, i in activations(content).items() if "/" in name}


def test_groups_of_the_small_net(small: bytes) -> None:
    """By hand: relu6 outputs up to their reader, and one residual stream through the addition."""
    positions = {layer.output_name: i for i, layer in enumerate(kernel_layers(small))}
    found = {
        tuple(positions[layer.output_name] for layer in group.producers): (
            tuple(positions[layer.output_name] for layer in group.consumers),
            len(group.tensors),
            len(group.clipped),
        )
        for group in channel_groups(small)
    }
    first, deep, project, expand, deep2, project2, last, *heads = range(9)
    assert found == {
        (first,): ((deep,), 1, 1),
        (deep,): ((project,), 1, 1),
        (project, project2): ((expand, last), 3, 0),  # both, and their sum
        (expand,): ((deep2,), 1, 1),
        (deep2,): ((project2,), 1, 1),
        (last,): (tuple(heads), 2, 1),  # and its mean
    }


def test_outputs_stay_the_same(
    small: bytes, colours: NDArray[np.uint8], small_heads: tuple[HeadSpec, ...]
) -> None:
    equal = equalize(small, colours, SilentReporter())
    before, after = (
        predict(content, colours, small_heads, where="test") for content in (small, equal)
    )
    # float32 rounding of scaled weights
    np.testing.assert_allclose(after["age"], before["age"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(after["gender"], before["gender"], rtol=0, atol=1e-4)
    moved = [
        not np.allclose(read_constant(small, layer.kernel), read_constant(equal, layer.kernel))
        for layer in kernel_layers(small)
    ]
    assert sum(moved) >= 8, "weights were scaled"


def test_mobilenetv2_stays_the_same(float_content: bytes, faces: NDArray[np.uint8]) -> None:
    heads = (
        HeadSpec(name="gender", kind="binary", tensor="gender", classes=("male", "female")),
        HeadSpec(name="age", kind="expectation", tensor="age", bins=tuple(map(float, range(101)))),
    )
    equal = equalize(float_content, faces, SilentReporter())
    # 17 residual streams and 35 ReLU6 outputs at most; streams of several blocks are one
    assert 40 <= len(channel_groups(float_content)) <= 52
    before, after = (
        predict(content, faces, heads, where="test") for content in (float_content, equal)
    )
    np.testing.assert_allclose(after["gender"], before["gender"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(after["age"], before["age"], rtol=0, atol=0.02)


def test_channels_that_reach_6_are_left_alone_and_no_other_does(
    small: bytes, colours: NDArray[np.uint8]
) -> None:
    equal = equalize(small, colours, SilentReporter())
    clipped = [i for group in channel_groups(small) for i in group.clipped]
    tensors = {read_graph(small).tensors[i].name.decode(): i for i in clipped}
    before, after = (channel_statistics(content, tensors, colours) for content in (small, equal))
    high = {name: (before[name].high, after[name].high) for name in tensors}
    full = {name: old >= CLIP for name, (old, _) in high.items()}
    assert any(flags.any() for flags in full.values()), "no channel of the net reaches 6"
    for name, (_, new) in high.items():
        np.testing.assert_array_equal(new[full[name]], CLIP)
        assert (new[~full[name]] < CLIP).all()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_factors_make_no_step_coarser_and_the_cost_does_not_rise(
    seed: int, clips: bool, depthwise: bool
) -> None:
    random = np.random.default_rng(seed)
    spread = np.exp(random.normal(0, 2, 12))
    mean_square = spread * random.uniform(0.1, 0.5, 12)
    largest = np.minimum(spread, CLIP) if clips else spread
    statistics = {7: ChannelStatistics(largest=largest, high=largest, root_mean_square=mean_square)}
    kernel = (random.normal(0, 1, (5, 3, 12)) / spread).astype(np.float32)
    group = ChannelGroup(tensors=(7,), clipped=(7,) if clips else (), producers=(), consumers=())
    factors = channel_factors(group, statistics, [None] if depthwise else [kernel])
    assert (factors >= 1 / LARGEST_FACTOR).all()
    assert (factors <= LARGEST_FACTOR).all()

    def cost(s: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], float]:
        rows = np.abs(kernel * s).max(axis=(1, 2)) / 127
        step = (largest / s).max() / 255
        read = (kernel.astype(np.float64) * s) ** 2
        of_weights = (mean_square / s) ** 2 * (0 if depthwise else (rows**2).sum())
        return float((read.sum(axis=(0, 1)) * step**2 + of_weights).sum()), rows, step

    (before, rows_before, step_before) = cost(np.ones(12))
    (after, rows_after, step_after) = cost(factors)
    assert step_after <= step_before * (1 + 1e-9)
    assert depthwise or (rows_after <= rows_before * (1 + 1e-6)).all()
    assert after <= before * (1 + 1e-6)
    if clips:
        np.testing.assert_array_equal(factors[largest >= CLIP], 1.0)
        assert (largest / factors <= CLIP).all()


def test_a_channel_of_a_hundred_times_the_scale_costs_nothing_any_more(
    make_small: Callable[..., bytes],
    colours: NDArray[np.uint8],
    small_heads: tuple[HeadSpec, ...],
) -> None:
    """The planted net computes what `small` does, but its int8 is ruined until it is equalized."""

    def spoil(layers: dict[str, Any]) -> None:
        for name in ("project", "project2"):
            kernel, bias = layers[name].get_weights()
            kernel[..., 0] *= 100
            bias[0] *= 100
            layers[name].set_weights([kernel, bias])
        for name in ("expand", "last"):
            kernel, bias = layers[name].get_weights()
            kernel[:, :, 0] /= 100
            layers[name].set_weights([kernel, bias])

    spoiled = make_small(spoil)
    said = predict(spoiled, colours, small_heads, where="test")["age"]
    off = {
        equalized: np.abs(
            predict(
                quantize(spoiled, colours, QuantizePlan(equalize=equalized), SilentReporter()),
                colours,
                small_heads,
                where="test",
            )["age"]
            - said
        ).mean()
        for equalized in (False, True)
    }
    assert off[False] > 2
    assert off[True] < off[False] / 5


def test_a_net_without_a_pair_is_given_back(colours: NDArray[np.uint8]) -> None:
    import tf_keras as keras

    from edgeface.export.convert import to_float_tflite

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="sigmoid")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    content = to_float_tflite(keras.Model(image, {"age": keras.layers.Dense(1)(x)}))
    assert channel_groups(content) == ()
    assert equalize(content, colours, SilentReporter()) is content
