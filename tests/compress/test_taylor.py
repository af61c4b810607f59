"""First-order importance, against what the losses really do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.graph import ChannelGraph, ChannelGroup, channel_graph
from edgeface.compress.taylor import Batch, taylor_scores
from edgeface.errors import CompressionError
from edgeface.model.heads import distance_to_interval

L = keras.layers
LOSSES = {
    "age": distance_to_interval,
    "gender": keras.losses.BinaryCrossentropy(from_logits=True),
}


@pytest.fixture(scope="module")
def model() -> Any:
    """Two heads: both hear `shared`, only age hears `own`, and a residual sum is in between."""
    keras.mixed_precision.set_global_policy("float64")
    try:
        keras.utils.set_random_seed(1)
        image = keras.Input((4, 4, 3))
        shared = L.Conv2D(5, 3, activation="tanh", name="shared")(image)
        shared = L.Add()([shared, L.Conv2D(5, 1, activation="tanh", name="again")(shared)])
        own = L.Conv2D(4, 1, activation="tanh", name="own")(shared)
        own = L.DepthwiseConv2D(2, activation="tanh", name="depthwise")(own)
        outputs = {
            "age": L.Dense(1, name="age")(L.Flatten()(own)),
            "gender": L.Dense(1, name="gender")(L.GlobalAveragePooling2D()(shared)),
        }
        return keras.Model(image, outputs)
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def graph(model: Any) -> ChannelGraph:
    return channel_graph(model)


def batch(seed: int, size: int = 6) -> Batch:
    rng = np.random.default_rng(seed)
    age = rng.uniform(1, 9, (size, 1))  # far from what is said, so that |x| has no kink near
    weights = {"age": np.array([0.0, 2, 1, 1, 1, 1]), "gender": np.array([1.0, 0, 1, 1, 1, 3])}
    targets = {
        "age": age + np.array([[0, 1]]),
        "gender": rng.integers(0, 2, (size, 1)).astype(np.float64),
    }
    return rng.normal(size=(size, 4, 4, 3)), targets, weights


def losses_by_hand(model: Any, data: Batch) -> dict[str, float]:
    images, targets, weights = data
    said = {name: np.asarray(value)[:, 0] for name, value in model(images).items()}
    low, high = targets["age"].T
    age = np.maximum(low - said["age"], 0) + np.maximum(said["age"] - high, 0)
    sign = 2 * targets["gender"][:, 0] - 1
    gender = np.log1p(np.exp(-sign * said["gender"]))
    return {
        "age": float((age * weights["age"]).mean()),
        "gender": float((gender * weights["gender"]).mean()),
    }


def changes(
    model: Any, graph: ChannelGraph, group: ChannelGroup, channel: int, data: Batch
) -> dict[str, float]:
    """Each loss's change for each bit that the channel is turned down, where it is read."""
    step = 1e-5
    found = []
    before = [weight.copy() for weight in model.get_weights()]
    for factor in (1 - step, 1 + step):
        for slot in graph.slots:
            if slot.role == "reads":
                layer = model.get_layer(slot.layer)
                weights = layer.get_weights()
                rows: NDArray[np.float64] = np.moveaxis(weights[slot.weight], slot.axis, 0)
                rows[slot.ids == group.ids[channel]] *= factor
                layer.set_weights(weights)
        found.append(losses_by_hand(model, data))
        model.set_weights(before)
    return {name: (found[0][name] - found[1][name]) / (2 * step) for name in found[0]}


def test_scores_are_the_squared_change_of_the_weighted_loss(
    model: Any, graph: ChannelGraph
) -> None:
    data = [batch(1), batch(2)]
    found = taylor_scores(model, graph, data, LOSSES, {"age": 0.5, "gender": 2.0})
    shares = np.zeros(2)
    for group in graph.groups:
        for channel in range(group.channels):
            each = [changes(model, graph, group, channel, one) for one in data]
            expected = np.mean([(0.5 * c["age"] + 2 * c["gender"]) ** 2 for c in each])
            assert found.of_group[group.name][channel] == pytest.approx(expected, rel=1e-4)
            for c in each:
                shares += [(0.5 * c["age"]) ** 2, (2 * c["gender"]) ** 2]
    assert {group.name for group in graph.groups} == {"shared", "own"}
    assert found.criterion == "taylor"
    assert found.comparable
    age, gender = shares / shares.sum()
    assert found.task_shares["age"] == pytest.approx(age, rel=1e-4)
    assert found.task_shares["gender"] == pytest.approx(gender, rel=1e-4)
    assert 0.01 < age < 0.99  # the test would see one task forgotten


def test_a_channel_that_no_weighted_task_hears_scores_nothing(
    model: Any, graph: ChannelGraph
) -> None:
    found = taylor_scores(model, graph, [batch(1)], LOSSES, {"age": 0.0, "gender": 1.0})
    np.testing.assert_array_equal(found.of_group["own"], 0)
    assert (found.of_group["shared"] > 0).all()
    assert found.task_shares == {"age": 0.0, "gender": 1.0}


def test_the_same_data_gives_the_same_scores_and_leaves_the_model(
    model: Any, graph: ChannelGraph
) -> None:
    before = [weight.copy() for weight in model.get_weights()]
    weights = {"age": 1.0, "gender": 1.0}
    one, other = (taylor_scores(model, graph, [batch(3)], LOSSES, weights) for _ in range(2))
    for group in graph.groups:
        np.testing.assert_array_equal(one.of_group[group.name], other.of_group[group.name])
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_no_batch_no_output_or_no_finite_loss_is_an_error(model: Any, graph: ChannelGraph) -> None:
    ones = {"age": 1.0, "gender": 1.0}
    with pytest.raises(CompressionError, match="no batch of labelled images"):
        taylor_scores(model, graph, [], LOSSES, ones)
    with pytest.raises(CompressionError, match="expected the same heads"):
        taylor_scores(model, graph, [batch(1)], LOSSES, {"age": 1.0})
    with pytest.raises(CompressionError, match="no output 'race'"):
        taylor_scores(model, graph, [batch(1)], {"race": LOSSES["age"]}, {"race": 1.0})
    images, targets, weights = batch(1)
    broken = (images, {**targets, "age": np.full((6, 2), np.nan)}, weights)
    with pytest.raises(CompressionError, match="the loss of age is nan, expected finite"):
        taylor_scores(model, graph, [broken], LOSSES, ones)
