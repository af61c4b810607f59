"""Weight clustering: how many values are left, which, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.cluster import cluster_weights
from edgeface.errors import CompressionError
from support.small_network import Training, outputs_of, random_images, small_network

CLUSTERED = ("stem", "expand", "project", "age", "gender")
CLUSTERS = 8


def kernel(model: Any, name: str) -> NDArray[np.float32]:
    return np.asarray(model.get_layer(name).get_weights()[0])


@pytest.fixture(scope="module")
def model() -> Any:
    return small_network()


@pytest.fixture(scope="module")
def clustered(model: Any) -> tuple[Any, Any, Training]:
    train = Training(epochs=2, learning_rate=0.05)
    return *cluster_weights(model, clusters=CLUSTERS, train=train), train


def test_untrained_each_weight_becomes_the_nearest_of_evenly_spaced_values(model: Any) -> None:
    train = Training(epochs=1, learning_rate=0.0)
    unmoved, _ = cluster_weights(model, clusters=CLUSTERS, train=train)
    for name in CLUSTERED:
        before = kernel(model, name).astype(np.float64)
        step = (before.max() - before.min()) / (CLUSTERS - 1)
        expected = before.min() + step * np.round((before - before.min()) / step)
        # float32: six digits of the largest weight
        np.testing.assert_allclose(
            kernel(unmoved, name), expected, rtol=0, atol=1e-6 * np.abs(before).max()
        )


def test_a_trained_layer_has_no_more_values_than_asked(
    model: Any, clustered: tuple[Any, Any, Training]
) -> None:
    small, report, _ = clustered
    assert tuple(layer.name for layer in report.layers) == CLUSTERED
    for layer in report.layers:
        weights = kernel(small, layer.name)
        assert (layer.weights, layer.values) == (weights.size, len(np.unique(weights)))
        assert 2 <= layer.values <= CLUSTERS
        before = kernel(model, layer.name)
        evenly = np.linspace(before.min(), before.max(), CLUSTERS)
        nearest = np.abs(np.unique(weights)[:, None] - evenly).min(axis=1)
        assert nearest.max() > 1e-5, "the values are trained"
    assert report.asked_clusters == CLUSTERS
    # stem 3x3x3x16, expand 16x32, project 32x16, age 16x101, gender 16x1
    weights_in_all = 432 + 512 + 512 + 1616 + 16
    assert report.clustered_ratio == pytest.approx(weights_in_all / model.count_params())


def test_the_result_is_a_plain_model_that_computes_what_the_wrapped_one_did(
    model: Any, clustered: tuple[Any, Any, Training]
) -> None:
    small, _, train = clustered
    assert [(x.name, type(x)) for x in small.layers] == [(x.name, type(x)) for x in model.layers]
    images = random_images(4, seed=9)
    expected = outputs_of(train.model, images)
    found = outputs_of(small, images)
    assert found.keys() == expected.keys() == {"gender", "age"}
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert values.std(axis=0).max() > 0, "all pictures look alike to this model"
    assert all(len(layer.inbound_nodes) == 1 for layer in small.layers)


def test_depthwise_kernels_and_the_given_model_keep_their_weights(
    model: Any, clustered: tuple[Any, Any, Training]
) -> None:
    small, _, _ = clustered
    assert len(np.unique(kernel(small, "depthwise"))) == 9 * 32
    for weight, fresh in zip(model.get_weights(), small_network().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, fresh)


def test_one_cluster_is_refused(model: Any) -> None:
    with pytest.raises(CompressionError, match="found 1 clusters, expected 2 or more"):
        cluster_weights(model, clusters=1, train=Training(epochs=1, learning_rate=0.0))


def test_a_network_without_kernels_is_refused() -> None:
    image = keras.Input((4, 4, 3))
    bare = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image), name="bare")
    with pytest.raises(CompressionError, match="'bare': found no convolution or dense layer"):
        cluster_weights(bare, clusters=8, train=Training(epochs=1, learning_rate=0.0))
