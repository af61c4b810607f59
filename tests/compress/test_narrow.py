"""A narrower network takes the channels that carry most; what cannot be taken is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.compress.cut import masked
from edgeface.compress.graph import channel_graph
from edgeface.compress.importance import magnitude_scores
from edgeface.compress.narrow import give_most_important
from edgeface.errors import CompressionError

RNG = np.random.default_rng(5)
PICTURES = RNG.uniform(-1, 1, (3, 12, 12, 3)).astype(np.float32)


def network(first: int, second: int, *, side: int = 12, head: str = "age", units: int = 2) -> Any:
    layers = keras.layers
    image = keras.Input((side, side, 3))
    x = layers.Conv2D(first, 3, name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(second, 1, name="second")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(units, name=head)(x))


def give(wide: Any, narrow: Any, *, new_layers: frozenset[str] = frozenset()) -> None:
    scores = magnitude_scores(wide, channel_graph(wide))
    give_most_important(wide, narrow, scores, new_layers=new_layers)


def test_the_strong_channels_are_taken_whole() -> None:
    wide, narrow = network(5, 4), network(2, 3)
    for name, axis, weak in (("first", -1, [0, 2, 4]), ("second", -1, [1])):
        kernel, bias = wide.get_layer(name).get_weights()
        np.moveaxis(kernel, axis, 0)[weak] /= 1000
        wide.get_layer(name).set_weights([kernel, bias + 0.5])
    give(wide, narrow)
    graph = channel_graph(wide)
    keep = {"first": np.array([1, 3]), "second": np.array([0, 2, 3])}
    expected = masked(wide, graph, keep)(PICTURES)
    np.testing.assert_allclose(narrow(PICTURES), expected, atol=1e-6)


def test_the_side_is_the_narrower_ones_own() -> None:
    wide, narrow = network(5, 4), network(5, 4, side=20)
    give(wide, narrow)
    for one, other in zip(wide.get_weights(), narrow.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert narrow.input_shape == (None, 20, 20, 3)


def test_a_head_that_is_new_keeps_what_it_has() -> None:
    wide, narrow = network(5, 4), network(5, 4, head="mood", units=7)
    before = narrow.get_layer("mood").get_weights()
    give(wide, narrow, new_layers=frozenset({"mood"}))
    np.testing.assert_array_equal(narrow.get_layer("mood").get_weights()[0], before[0])
    np.testing.assert_array_equal(
        narrow.get_layer("first").get_weights()[0], wide.get_layer("first").get_weights()[0]
    )


@pytest.mark.parametrize(
    ("narrow", "message"),
    [
        (network(5, 6), "second: has 4 channels in the trained network, expected 6 or more"),
        (network(5, 4, head="mood"), "mood: has weights of nothing in the trained network"),
        (network(5, 4, units=3), r"age: has weights of \[\(4, 2\), \(2,\)\]"),
    ],
)
def test_what_does_not_fit_is_refused(narrow: Any, message: str) -> None:
    with pytest.raises(CompressionError, match=message):
        give(network(5, 4), narrow)
