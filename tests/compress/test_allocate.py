"""How many channels stay: arithmetic by hand, and costs against really counted ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.compress.allocate import (
    channels_to_keep,
    most_important,
    ratio_of_round,
    uniform,
    within_budget,
)
from edgeface.compress.costs import Budget, cost, cost_terms
from edgeface.compress.cut import cut
from edgeface.compress.graph import ChannelGraph, channel_graph
from edgeface.compress.importance import Scores
from edgeface.errors import CompressionError
from edgeface.model.profile import profile

L = keras.layers


@pytest.fixture(scope="module")
def model() -> Any:
    """At each of 16 places 3·a MACs for a channels of a, and a·b for b; b for the head."""
    image = keras.Input((4, 4, 3))
    x = L.Conv2D(16, 1, use_bias=False, name="a")(image)
    x = L.Conv2D(16, 1, use_bias=False, name="b")(x)
    x = L.Dense(1, use_bias=False, name="head")(L.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, x, name="net")


@pytest.fixture(scope="module")
def graph(model: Any) -> ChannelGraph:
    return channel_graph(model)


def scores(*, a: tuple[float, float], b: tuple[float, float], comparable: bool = True) -> Scores:
    """Eight channels of the lower value, then eight of the higher."""
    return Scores(
        criterion="given",
        of_group={"a": np.repeat(a, 8), "b": np.repeat(b, 8)},
        comparable=comparable,
    )


def allocate(
    model: Any, graph: ChannelGraph, given_scores: Scores, budget: Budget, **options: Any
) -> dict[str, int]:
    settings_ = {"round_to": 8, "keep_at_least_ratio": 0.0, **options}
    terms = cost_terms(model, graph, budget)
    return within_budget(graph, graph.groups, given_scores, terms, budget, **settings_)


CHEAP_A = scores(a=(0.1, 1.0), b=(0.2, 1.0))


def test_greedy_takes_what_matters_least_for_its_cost(model: Any, graph: ChannelGraph) -> None:
    # 16 (3·16 + 16·16) + 16 = 4880 MACs
    whole = Budget(kind="macs", limit=4880)
    assert allocate(model, graph, CHEAP_A, whole) == {"a": 16, "b": 16}
    # a to 8: 0.8 lost for 16 (3·8 + 8·16) = 2432; b to 8: 1.6 for 16·16·8 + 8 = 2056
    once = Budget(kind="macs", limit=4879)
    assert allocate(model, graph, CHEAP_A, once) == {"a": 8, "b": 16}
    # 16 (3·8 + 8·16) + 16 = 2448 are left
    assert allocate(model, graph, CHEAP_A, Budget(kind="macs", limit=2448)) == {"a": 8, "b": 16}
    assert allocate(model, graph, CHEAP_A, Budget(kind="macs", limit=2447)) == {"a": 8, "b": 8}
    # the other way round where a matters more: 0.4·8 / 2432 > 0.1·8 / 2056
    cheap_b = scores(a=(0.4, 1.0), b=(0.1, 1.0))
    assert allocate(model, graph, cheap_b, once) == {"a": 16, "b": 8}


def test_a_later_step_counts_only_what_it_takes_itself(model: Any, graph: ChannelGraph) -> None:
    # steps of 4: a loses 0.4 for 16 (3·4 + 4·16) = 1216 each time, the second time too;
    # b after a's first 0.4 for 16·12·4 + 4 = 772
    even = scores(a=(0.1, 1.0), b=(0.1, 1.0))
    after_one = Budget(kind="macs", limit=4880 - 1216)
    assert allocate(model, graph, even, after_one, round_to=4) == {"a": 12, "b": 16}
    after_two = Budget(kind="macs", limit=4880 - 2 * 1216)
    assert allocate(model, graph, even, after_two, round_to=4) == {"a": 8, "b": 16}


def test_a_step_changes_what_its_neighbours_save(model: Any, graph: ChannelGraph) -> None:
    # a's first 4 lose 0.4 for 1216, b's 0.4 for 1028; after it a's next 0.55 for 1216 and b's 0.4
    # for 772 only, so a goes on; by b's old 0.4 for 1028 it would be b's turn
    given_scores = Scores(
        criterion="given",
        of_group={
            "a": np.repeat([0.1, 0.1375, 1.0, 1.0], 4),
            "b": np.repeat([0.1, 1.0], 8),
        },
        comparable=True,
    )
    budget = Budget(kind="macs", limit=4880 - 1216 - 1)
    assert allocate(model, graph, given_scores, budget, round_to=4) == {"a": 8, "b": 16}


def test_steps_go_down_to_multiples(model: Any, graph: ChannelGraph) -> None:
    once = Budget(kind="macs", limit=4879)
    assert allocate(model, graph, CHEAP_A, once, round_to=6) == {"a": 12, "b": 16}  # of 16


def test_a_budget_out_of_reach_is_an_error_that_says_how_far(
    model: Any, graph: ChannelGraph
) -> None:
    # 16 (3·8 + 8·8) + 8 = 1416
    with pytest.raises(
        CompressionError, match="budget: macs is 1416 with every group at its least, expected 1415"
    ) as caught:
        allocate(model, graph, CHEAP_A, Budget(kind="macs", limit=1415))
    assert "\n" not in str(caught.value)
    with pytest.raises(CompressionError, match="budget: macs is 4880"):
        allocate(model, graph, CHEAP_A, Budget(kind="macs", limit=1), keep_at_least_ratio=0.6)


def test_scores_in_own_units_are_compared_relative_to_their_group(
    model: Any, graph: ChannelGraph
) -> None:
    # by themselves a's are 1000 times larger; relative to the group they are the smaller ones
    own_units = scores(a=(100.0, 1000.0), b=(0.2, 1.0), comparable=False)
    once = Budget(kind="macs", limit=4879)
    assert allocate(model, graph, own_units, once) == {"a": 8, "b": 16}
    same_unit = scores(a=(100.0, 1000.0), b=(0.2, 1.0))
    assert allocate(model, graph, same_unit, once) == {"a": 16, "b": 8}


def test_latency_follows_the_measured_times_and_not_the_macs(
    model: Any, graph: ChannelGraph
) -> None:
    # a's own convolution is slow on this device, b's is not: cutting b saves 0.5 ms of 11, a 5.5
    table = {"a": 10.0, "b": 1.0, "head": 0.0}
    even = scores(a=(0.3, 1.0), b=(0.1, 1.0))
    once = Budget(kind="latency_ms", limit=10.9, layer_ms=table)
    assert allocate(model, graph, even, once) == {"a": 8, "b": 16}
    terms = cost_terms(model, graph, once)
    assert cost(terms, np.array([16, 16])) == pytest.approx(11)
    assert cost(terms, np.array([8, 16])) == pytest.approx(10 / 2 + 1 / 2)
    assert cost(terms, np.array([8, 8])) == pytest.approx(10 / 2 + 1 / 4)
    # kernels work on tiles of 8: 9 channels cost what 16 do
    assert cost(terms, np.array([9, 16])) == pytest.approx(11)
    pool = Budget(kind="latency_ms", limit=0, layer_ms={**table, "pool": 4.0})
    assert cost(cost_terms(model, graph, pool), np.array([16, 8])) == pytest.approx(10.5 + 2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "a is missing, expected every layer of 'net' with a kernel.*3 missing, 0 foreign"),
        ({"a": 1.0, "b": 1.0}, "head is missing"),
        ({"a": 1.0, "b": 1.0, "head": 1.0, "c": 1.0}, "c is not in the model.*1 foreign"),
    ],
)
def test_a_table_of_another_model_is_an_error(
    model: Any, graph: ChannelGraph, table: dict[str, float] | None, message: str
) -> None:
    with pytest.raises(CompressionError, match=message) as caught:
        cost_terms(model, graph, Budget(kind="latency_ms", limit=1, layer_ms=table))
    assert "\n" not in str(caught.value)


def test_bytes_are_weights_and_what_each_output_channel_brings(
    model: Any, graph: ChannelGraph
) -> None:
    counts = np.array([8, 16])
    weights, outputs = 3 * 8 + 8 * 16 + 16, 8 + 16 + 1
    int8 = cost_terms(model, graph, Budget(kind="bytes", limit=0))
    assert cost(int8, counts) == weights + 28 * outputs
    floats = cost_terms(model, graph, Budget(kind="bytes", limit=0, weight_bits=32))
    assert cost(floats, counts) == 4 * weights + 4 * outputs


def test_at_least_a_share_of_each_group_stays(model: Any, graph: ChannelGraph) -> None:
    # a to 4 at least (a quarter of 16), in steps of 2; b to 10 (0.6 of 16 is 9.6)
    options = {"round_to": 2, "keep_at_least_ratio": 0.25}
    tight = Budget(kind="macs", limit=16 * (3 * 4 + 4 * 4) + 4)
    assert allocate(model, graph, CHEAP_A, tight, **options) == {"a": 4, "b": 4}
    # 16 (3·10 + 10·10) + 10: nothing can go further
    tight = Budget(kind="macs", limit=16 * (30 + 100) + 10)
    options["keep_at_least_ratio"] = 0.6
    assert allocate(model, graph, CHEAP_A, tight, **options) == {"a": 10, "b": 10}


@pytest.fixture(scope="module")
def residual() -> Any:
    """Streams, depthwise, a gate, a flatten, and normalization."""
    image = keras.Input((4, 4, 3))
    stream = L.BatchNormalization()(L.Conv2D(12, 3, padding="same", name="stem")(image))
    inner = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(
        L.Conv2D(20, 1, name="wide")(stream)
    )
    gate = L.Dense(40, activation="sigmoid")(
        L.Dense(6, name="few")(L.GlobalAveragePooling2D()(inner))
    )
    inner = L.Multiply()([inner, L.Reshape((1, 1, 40))(gate)])
    stream = L.Add()([stream, L.Conv2D(12, 1)(inner)])
    joined = L.Concatenate()([stream, L.Conv2DTranspose(5, 1, name="odd")(image)])
    x = L.Dense(2)(L.Flatten()(joined))
    return keras.Model(image, x, name="residual")


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_costs_are_those_of_the_model_that_is_really_cut(
    residual: Any, data: st.DataObject
) -> None:
    graph = channel_graph(residual)
    counts = [data.draw(st.integers(1, g.channels), label=g.name) for g in graph.groups]
    keep = {g.name: np.arange(n) for g, n in zip(graph.groups, counts, strict=True)}
    counted = profile(cut(residual, graph, keep))
    for kind, expected in (("macs", counted.macs), ("parameters", counted.parameters)):
        terms = cost_terms(residual, graph, Budget(kind=kind, limit=0))  # type: ignore[arg-type]
        assert cost(terms, np.array(counts)) == expected


def test_macs_without_a_fixed_size_are_an_error() -> None:
    image = keras.Input((None, None, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 1, name="a")(image))
    free = keras.Model(image, L.Dense(1)(x))
    with pytest.raises(CompressionError, match="a: its output has no fixed size"):
        cost_terms(free, channel_graph(free), Budget(kind="macs", limit=1))


def test_uniform_and_the_channels_it_keeps(graph: ChannelGraph) -> None:
    assert uniform(graph.groups, pruning_ratio=0.4, round_to=8) == {"a": 8, "b": 8}  # 9.6
    assert uniform(graph.groups, pruning_ratio=0.2, round_to=8) == {"a": 16, "b": 16}  # 12.8
    values = np.array([3, 1, 2, 2, 0, 2, 5, 2, 1, 1, 1, 1, 1, 1, 1, 1], np.float64)
    given_scores = Scores(criterion="given", of_group={"a": values}, comparable=True)
    kept = most_important(graph.groups[:1], given_scores, {"a": 4})
    np.testing.assert_array_equal(kept["a"], [0, 2, 3, 6])  # of the equal ones the first


@given(ratio=st.floats(0, 0.95), rounds=st.integers(1, 6))
def test_rounds_together_remove_what_was_asked(ratio: float, rounds: int) -> None:
    left = (1 - ratio_of_round(ratio, rounds)) ** rounds
    assert left == pytest.approx(1 - ratio)


@settings(max_examples=300, deadline=None)
@given(
    channels=st.integers(1, 1000),
    pruning_ratio=st.floats(0, 1, exclude_max=True),
    round_to=st.integers(1, 64),
)
def test_channels_to_keep(channels: int, pruning_ratio: float, round_to: int) -> None:
    count = channels_to_keep(channels, pruning_ratio, round_to)
    assert 1 <= count <= channels
    assert count % round_to == 0 or count == channels
    # as near to what was asked as multiples allow, at least one multiple
    wanted = (1 - pruning_ratio) * channels
    assert abs(count - wanted) <= round_to / 2 + 1e-9 or count in (channels, round_to)
    # asking for more leaves no more
    assert channels_to_keep(channels, (1 + pruning_ratio) / 2, round_to) <= count


def test_channels_to_keep_by_hand() -> None:
    assert channels_to_keep(96, 0.3, 8) == 64  # 67.2 is nearer to 64 than to 72
    assert channels_to_keep(144, 0.3, 8) == 104  # 100.8
    assert channels_to_keep(6, 0.3, 8) == 6  # fewer than one multiple: all stay
    assert channels_to_keep(96, 0.99, 8) == 8
    assert channels_to_keep(96, 0.0, 8) == 96
