"""Scores from weights, against numpy by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.graph import channel_graph
from edgeface.compress.importance import batch_norm_scores, magnitude_scores, norm_scale
from edgeface.errors import CompressionError

L = keras.layers
Vector = NDArray[np.float64]


def norm(name: str) -> Any:
    return L.BatchNormalization(name=name)


def with_random_weights(model: Any) -> Any:
    rng = np.random.default_rng(7)
    drawn = [
        rng.uniform(0.3, 2, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()
    ]
    model.set_weights(
        [
            np.abs(w) if "variance" in v.name else w
            for v, w in zip(model.weights, drawn, strict=True)
        ]
    )
    return model


@pytest.fixture
def block() -> Any:
    """Expand, depthwise, project, each with its normalization."""
    image = keras.Input((4, 4, 3))
    x = L.ReLU()(norm("n1")(L.Conv2D(6, 1, use_bias=False, name="expand")(image)))
    x = L.ReLU()(norm("n2")(L.DepthwiseConv2D(3, use_bias=False, name="depthwise")(x)))
    x = norm("n3")(L.Conv2D(4, 1, use_bias=False, name="project")(x))
    x = L.Dense(1, name="head")(L.GlobalAveragePooling2D()(x))
    return with_random_weights(keras.Model(image, x, name="net"))


def weight(model: Any, name: str) -> Vector:
    return np.asarray(model.get_layer(name).get_weights()[0], np.float64)


def gain(model: Any, name: str) -> Vector:
    gamma, _, _, variance = (w.astype(np.float64) for w in model.get_layer(name).get_weights())
    return np.asarray(np.abs(gamma) / np.sqrt(variance + 1e-3))


def test_magnitude_is_the_share_of_the_folded_norms_product_along_the_path(block: Any) -> None:
    scores = magnitude_scores(block, channel_graph(block))
    expand, depthwise, project = (weight(block, n) for n in ("expand", "depthwise", "project"))
    heard = np.zeros(6)
    for channel in range(6):
        product = (
            np.linalg.norm(expand[0, 0, :, channel])
            * gain(block, "n1")[channel]
            * np.linalg.norm(depthwise[:, :, channel, 0])
            * gain(block, "n2")[channel]
            * np.linalg.norm(project[0, 0, channel] * gain(block, "n3"))
        )
        heard[channel] = product**2
    np.testing.assert_allclose(scores.of_group["expand"], heard / heard.sum(), rtol=1e-9)
    made = np.linalg.norm(project[0, 0], axis=0) * gain(block, "n3")
    read = np.abs(weight(block, "head")[:, 0])
    heard = (made * read) ** 2
    np.testing.assert_allclose(scores.of_group["project"], heard / heard.sum(), rtol=1e-9)
    assert scores.criterion == "magnitude"
    assert scores.comparable
    assert scores.task_shares == {}


def test_magnitude_does_not_change_with_a_scale_that_the_normalization_takes_back(
    block: Any,
) -> None:
    graph = channel_graph(block)
    before = magnitude_scores(block, graph).of_group
    factor = np.array([0.5, 1, 2, 3, 4, 5], np.float32)
    layer = block.get_layer("n1")
    gamma, beta, mean, variance = layer.get_weights()
    grown = factor**2 * (variance + layer.epsilon) - layer.epsilon
    block.get_layer("expand").set_weights([block.get_layer("expand").get_weights()[0] * factor])
    layer.set_weights([gamma, beta, mean * factor, grown])
    after = magnitude_scores(block, graph).of_group
    np.testing.assert_allclose(after["expand"], before["expand"], rtol=1e-5)


def test_magnitude_of_a_residual_stream_adds_squares_of_makers_and_shares_of_readers() -> None:
    image = keras.Input((4, 4, 3))
    a = L.Conv2D(5, 1, name="a")(image)
    total = L.Add()([a, L.Conv2D(5, 1, name="b")(a)])
    x = L.Dense(1, name="head")(L.GlobalAveragePooling2D()(total))
    model = with_random_weights(keras.Model(image, x))
    made_a, made_b = ((weight(model, name)[0, 0] ** 2).sum(axis=0) for name in ("a", "b"))
    read_b = (weight(model, "b")[0, 0] ** 2).sum(axis=1)
    read_head = weight(model, "head")[:, 0] ** 2
    by_b, by_head = made_a * read_b, (made_a + made_b) * read_head
    expected = by_b / by_b.sum() + by_head / by_head.sum()
    found = magnitude_scores(model, channel_graph(model)).of_group["a"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_magnitude_follows_a_gate_a_concatenation_and_a_flatten() -> None:
    image = keras.Input((2, 2, 3))
    a = L.Conv2D(4, 1, name="a")(image)
    gate = L.Dense(4, activation="sigmoid", name="gate")(L.GlobalAveragePooling2D()(a))
    gated = L.Multiply()([L.Reshape((1, 1, 4))(gate), a])  # the gate first: still the gate
    joined = L.Concatenate()([L.Conv2D(2, 1, name="b")(image), gated])
    x = L.Dense(1, name="head")(L.Flatten()(joined))
    model = with_random_weights(keras.Model(image, x))
    scores = magnitude_scores(model, channel_graph(model)).of_group
    head = weight(model, "head")[:, 0].reshape(4, 6)  # places, channels
    made_a, made_b = ((weight(model, name)[0, 0] ** 2).sum(axis=0) for name in ("a", "b"))
    by_gate = made_a * (weight(model, "gate") ** 2).sum(axis=1)
    by_head = np.concatenate([made_b, made_a]) * (head**2).sum(axis=0)
    by_head /= by_head.sum()
    np.testing.assert_allclose(scores["a"], by_gate / by_gate.sum() + by_head[2:], rtol=1e-9)
    np.testing.assert_allclose(scores["b"], by_head[:2], rtol=1e-9)


def test_a_channel_that_says_nothing_scores_nothing(block: Any) -> None:
    layer = block.get_layer("n2")
    gamma, *others = layer.get_weights()
    gamma[5] = 0
    layer.set_weights([gamma, *others])
    scores = magnitude_scores(block, channel_graph(block)).of_group["expand"]
    assert scores[5] == 0
    assert norm_scale(layer)[5] == 0
    assert (scores[:5] > 0).all()


def test_batch_norm_score_is_the_mean_of_gamma(block: Any) -> None:
    scores = batch_norm_scores(block, channel_graph(block))
    first, second, third = (np.abs(weight(block, name)) for name in ("n1", "n2", "n3"))
    np.testing.assert_allclose(scores.of_group["expand"], (first + second) / 2, rtol=1e-9)
    np.testing.assert_allclose(scores.of_group["project"], third, rtol=1e-9)
    assert scores.criterion == "batch_norm"


@pytest.mark.parametrize("layer", [L.ReLU(), L.BatchNormalization(scale=False)])
def test_batch_norm_score_without_gamma_is_an_error(layer: Any) -> None:
    image = keras.Input((2, 2, 3))
    x = layer(L.Conv2D(4, 1, name="a")(image))
    model = keras.Model(image, L.Dense(1)(L.GlobalAveragePooling2D()(x)))
    with pytest.raises(CompressionError, match="a: has no batch normalization with a γ") as caught:
        batch_norm_scores(model, channel_graph(model))
    assert "\n" not in str(caught.value)
