"""Parameters and MACs, by arithmetic that can be followed on paper."""

from __future__ import annotations

import pytest
import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.model.networks import build_model
from edgeface.model.profile import layer_macs, profile
from edgeface.types import SilentReporter


def test_three_layers() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)  # 8 x 8 becomes 4 x 4
    x = keras.layers.Dense(5)(keras.layers.Flatten()(x))
    counts = profile(keras.Model(image, x))
    convolution = (4 * 4 * 4) * (3 * 3 * 3)  # outputs, times multiply-adds of each
    dense = 5 * (4 * 4 * 4)
    assert counts.macs == convolution + dense == 1728 + 320
    assert counts.parameters == (3 * 3 * 3 * 4 + 4) + (64 * 5 + 5)


def test_a_depthwise_convolution_reads_one_channel_an_output() -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(image))
    assert profile(model).macs == (6 * 6 * 6) * (3 * 3)
    assert profile(model).parameters == 3 * 3 * 3 * 2 + 6


def test_a_grouped_convolution_reads_its_group_alone() -> None:
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, keras.layers.Conv2D(6, 1, groups=2, use_bias=False)(image))
    assert profile(model).macs == (8 * 8 * 6) * 2


def test_what_has_no_kernel_has_no_macs() -> None:
    image = keras.Input((8, 8, 4))
    x = keras.layers.BatchNormalization()(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(6.0)(x))
    model = keras.Model(image, x)
    assert [layer_macs(layer) for layer in model.layers] == [0] * len(model.layers)
    assert profile(model).parameters == 4 * 4  # gamma, beta, moving mean, moving variance


def test_mobilenetv2_has_the_published_count() -> None:
    # Source: Sandler et al. 2018, table 4: 300 million multiply-adds at 224 px, of which the
    # classifier that is not here has 1.28 million; the paper rounds to whole millions
    spec = ModelSpec(side_px=224, weights="none", age_head="regression")
    counts = profile(build_model(spec, seed=0, reporter=SilentReporter()))
    heads = 2 * 1280
    assert counts.macs - heads + 1_280_000 == pytest.approx(300e6, rel=0.005)
    # Source: keras.io/api/applications: 2,257,984 without top
    assert counts.parameters == 2_257_984 + 2 * (1280 + 1)
