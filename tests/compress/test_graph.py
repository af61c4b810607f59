"""Channel groups of small networks, drawn by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edgeface.compress.cut import cut, masked
from edgeface.compress.graph import ChannelGraph, channel_graph, groups_in, per_group
from edgeface.errors import CompressionError

L = keras.layers
Tensor = Any


def network(body: Callable[[Tensor], Tensor], places: int = 2) -> Any:
    image = keras.Input((places, places, 3), name="image")
    out = body(image)
    if len(out.shape) == 4:
        out = L.GlobalAveragePooling2D(name="pool")(out)
    return keras.Model(image, L.Dense(1, name="head")(out), name="net")


def conv(name: str, filters: int, **options: Any) -> Any:
    return L.Conv2D(filters, 1, name=name, **options)


def groups_of(model: Any) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {g.name: (g.channels, g.layers) for g in channel_graph(model).groups}


def occurrences(graph: ChannelGraph, layer: str, axis: int) -> tuple[int, list[int]]:
    (slot,) = (s for s in graph.slots if (s.layer, s.weight, s.axis) == (layer, 0, axis))
    stay, many = per_group(graph, slot.ids)
    return stay, many.tolist()


def test_a_chain_has_a_group_for_each_convolution() -> None:
    def body(x: Tensor) -> Tensor:
        x = L.ReLU()(L.BatchNormalization(name="norm")(conv("a", 4)(x)))
        return conv("b", 6)(L.DepthwiseConv2D(2, padding="same", name="d")(x))

    model = network(body)
    assert groups_of(model) == {"a": (4, ("a", "norm", "d", "b")), "b": (6, ("b", "head"))}
    graph = channel_graph(model)
    assert occurrences(graph, "a", 2) == (3, [0, 0])  # the input's channels stay
    assert occurrences(graph, "b", 2) == (0, [1, 0])
    assert occurrences(graph, "head", 0) == (0, [0, 1])
    assert occurrences(graph, "head", 1) == (1, [0, 0])  # and the output's


def test_a_residual_sum_ties_all_that_it_adds() -> None:
    def body(x: Tensor) -> Tensor:
        stream = conv("a", 4)(x)
        for name in ("b", "c"):
            stream = L.Add()([stream, conv(name, 4)(stream)])
        return stream

    assert groups_of(network(body)) == {"a": (4, ("a", "b", "c", "head"))}


def test_a_sum_written_as_an_operator_ties_too() -> None:
    def body(x: Tensor) -> Tensor:
        one = conv("a", 4)(x)
        return (one + conv("b", 4)(one)) * 0.5

    assert groups_of(network(body)) == {"a": (4, ("a", "b", "head"))}


def test_concatenation_shifts_channels() -> None:
    def body(x: Tensor) -> Tensor:
        return L.Concatenate()([conv("b", 5)(x), conv("a", 4)(x)])

    model = network(body)
    graph = channel_graph(model)
    assert {g.name: g.channels for g in graph.groups} == {"a": 4, "b": 5}
    head = model.get_layer("head").get_weights()[0]
    smaller = cut(model, graph, {"a": np.array([1, 3])})
    expected = head[[0, 1, 2, 3, 4, 5 + 1, 5 + 3]]
    np.testing.assert_array_equal(smaller.get_layer("head").get_weights()[0], expected)


def test_concatenation_of_places_ties_channels() -> None:
    def body(x: Tensor) -> Tensor:
        return L.Concatenate(axis=1)([conv("a", 4)(x), conv("b", 4)(x)])

    (group,) = channel_graph(network(body)).groups
    assert group.channels == 4
    assert set(group.layers) == {"a", "b", "head"}


def test_a_sum_with_a_concatenation_splits_a_layer_into_groups() -> None:
    def body(x: Tensor) -> Tensor:
        wide = conv("c", 9)(x)
        return L.Add()([wide, L.Concatenate()([conv("a", 4)(wide), conv("b", 5)(wide)])])

    groups = channel_graph(network(body)).groups
    assert [(g.name, g.maker, g.channels) for g in groups] == [("c", "c", 4), ("c:2", "c", 5)]
    assert set(groups[0].layers) == {"c", "a", "b", "head"}  # both read c's channels
    np.testing.assert_array_equal(np.diff(groups[1].ids), 1)


def test_flattening_repeats_channels() -> None:
    model = network(lambda x: L.Flatten()(conv("a", 3)(x)))
    graph = channel_graph(model)
    assert occurrences(graph, "head", 0) == (0, [4])
    (slot,) = (s for s in graph.slots if s.layer == "head" and s.axis == 0 and s.weight == 0)
    np.testing.assert_array_equal(slot.ids - graph.groups[0].ids[0], np.arange(12) % 3)


def test_a_layer_called_twice_ties_what_goes_in_and_what_comes_out() -> None:
    def body(x: Tensor) -> Tensor:
        shared = conv("s", 5)
        return L.Concatenate()([shared(conv("a", 4)(x)), shared(conv("b", 4)(x))])

    model = network(body)
    graph = channel_graph(model)
    tied, made = graph.groups
    assert (tied.channels, set(tied.layers)) == (4, {"a", "b", "s"})
    assert (made.name, made.channels, made.layers) == ("s", 5, ("s", "head"))
    assert occurrences(graph, "head", 0) == (0, [0, 2])


def test_a_gate_is_cut_with_what_it_gates() -> None:
    def body(x: Tensor) -> Tensor:
        signal = conv("a", 6)(x)
        gate = L.Reshape((1, 1, 6))(L.GlobalAveragePooling2D()(signal))
        gate = conv("widen", 6, activation="sigmoid")(conv("squeeze", 2, activation="relu")(gate))
        return L.Multiply()([signal, gate])

    groups = groups_of(network(body))
    assert groups["squeeze"] == (2, ("squeeze", "widen"))
    assert groups["a"][0] == 6
    assert set(groups["a"][1]) == {"a", "squeeze", "widen", "head"}


def test_one_channel_spread_over_all_stays() -> None:
    def body(x: Tensor) -> Tensor:
        signal = conv("a", 6)(x)
        return L.Multiply()([signal, conv("where", 1, activation="sigmoid")(signal)])

    model = network(body)
    assert set(groups_of(model)) == {"a"}
    assert channel_graph(model).frozen == ()


def test_what_is_summed_with_an_output_stays() -> None:
    image = keras.Input((2, 2, 3))
    a, b = conv("a", 4)(image), conv("b", 4)(image)
    total = L.Dense(1)(L.GlobalAveragePooling2D()(L.Add()([a, conv("c", 4)(b), b])))
    for output in (a, b):
        assert groups_of(keras.Model(image, [output, total])) == {}
    assert [g.channels for g in channel_graph(keras.Model(image, total)).groups] == [4]


def test_a_softmax_mixes_channels_so_they_stay() -> None:
    def body(x: Tensor) -> Tensor:
        return conv("b", 5)(conv("a", 4, activation="softmax")(x))

    assert set(groups_of(network(body))) == {"b"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.LayerNormalization(name="odd"),
        lambda: L.Conv2D(4, 1, groups=2, name="odd"),
        lambda: L.Conv2DTranspose(4, 1, name="odd"),
        lambda: L.BatchNormalization(axis=1, name="odd"),
        lambda: L.Activation("softmax", name="odd"),
        lambda: L.Reshape((2, 8), name="odd"),
        lambda: L.Rescaling([1.0, 2.0, 3.0, 4.0], name="odd"),
        lambda: L.Dropout(0.1, noise_shape=(None, 1, 1, 4), name="odd"),
        lambda: L.Lambda(lambda x: x[..., ::-1], name="odd"),
    ],
)
def test_what_goes_into_a_layer_of_unknown_kind_stays_and_is_named(make: Any) -> None:
    """Also layers that look like a known kind, but do not work on channels alone."""

    def body(x: Tensor) -> Tensor:
        x = make()(conv("b", 4)(conv("a", 3)(x)))
        return L.Flatten()(x)

    model = network(body)
    graph = channel_graph(model)
    assert set(groups_of(model)) == {"a"}
    assert graph.frozen == (f"odd ({type(make()).__name__})",)


def test_nothing_to_prune_is_an_error_that_names_what_stays() -> None:
    model = network(lambda x: L.LayerNormalization(name="odd")(conv("a", 4)(x)))
    with pytest.raises(
        CompressionError, match=r"'net': found no channels.*at odd \(LayerNormalization\) stay;"
    ) as caught:
        groups_in(channel_graph(model), "auto")
    assert "\n" not in str(caught.value)


def test_a_model_without_a_graph_is_an_error() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def call(self, x: Tensor) -> Tensor:
            return x

    for model in (Own(name="own"), keras.Sequential([L.Dense(3)], name="own")):
        with pytest.raises(CompressionError, match=r"'own': is a .* without a graph of layers"):
            channel_graph(model)


def test_expansions_are_what_widens_before_a_depthwise_and_is_not_summed() -> None:
    def body(x: Tensor) -> Tensor:
        stream = L.DepthwiseConv2D(1, name="first")(L.Conv2D(4, 2, name="stem")(x))
        stream = conv("project", 4)(stream)
        inner = conv("narrow", 4)(L.DepthwiseConv2D(1, name="d")(conv("widen", 8)(stream)))
        stream = L.Add()([stream, inner])
        return L.DepthwiseConv2D(1, name="last")(stream)  # of the stream itself

    graph = channel_graph(network(body))
    assert [g.name for g in groups_in(graph, "all")] == ["stem", "project", "widen"]
    for scope in ("expansion", "auto"):
        assert [g.name for g in groups_in(graph, scope)] == ["widen"]
    plain = channel_graph(network(conv("a", 4)))
    assert [g.name for g in groups_in(plain, "auto")] == ["a"]
    with pytest.raises(CompressionError, match="no channels to prune in scope 'expansion'"):
        groups_in(plain, "expansion")


def everything(image: Tensor) -> Tensor:
    """All that the rules know, in one network."""
    stem = L.PReLU(name="slope")(L.Conv2D(8, 3, padding="same", name="stem")(image))
    shared = L.Conv2D(4, 3, padding="same", activation="swish", name="shared")
    one, other = shared(conv("left", 3)(stem)), shared(conv("right", 3)(stem))
    joined = L.Concatenate()([one, other])
    total = L.Add()([stem, joined, L.BatchNormalization(center=False)(conv("third", 8)(joined))])
    twice = L.DepthwiseConv2D(2, depth_multiplier=2, padding="same", activation="relu")(total)
    where = conv("where", 1, activation="sigmoid")(twice)
    gated = L.Multiply()([twice, where]) - twice * 0.3
    largest = L.Maximum()([gated, conv("rival", 16, activation="hard_sigmoid")(gated)])
    squeezed = L.GlobalMaxPooling2D()(largest)
    gate = L.Dense(16, activation="sigmoid")(L.Dense(3, activation="elu", name="few")(squeezed))
    gated = L.Multiply()([largest, L.Reshape((1, 1, -1))(L.Reshape((1, 16))(gate))])
    pooled = L.AveragePooling2D()(L.ZeroPadding2D(1)(L.LeakyReLU()(gated)))
    odd = L.LayerNormalization(name="odd")(conv("before", 6)(pooled))
    flat = L.Flatten()(L.Concatenate()([pooled, odd]))
    return L.Dense(7, activation="tanh", name="dense")(flat)


@pytest.fixture(scope="module")
def rich() -> Any:
    keras.mixed_precision.set_global_policy("float64")
    try:
        keras.utils.set_random_seed(4)
        made = network(everything, places=4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    rng = np.random.default_rng(5)
    made.set_weights([rng.uniform(0.2, 1, w.shape) * rng.choice([-1, 1], w.shape) if "variance"
        not in v.name else rng.uniform(0.5, 2, w.shape)
        for v, w in zip(made.weights, made.get_weights(), strict=True)])  # fmt: skip
    return made


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(data=st.data())
def test_every_rule_keeps_cut_and_silent_channels_equal(rich: Any, data: st.DataObject) -> None:
    graph = channel_graph(rich)
    keep = {}
    for group in graph.groups:
        chosen = data.draw(
            st.sets(st.integers(0, group.channels - 1), min_size=1), label=group.name
        )
        keep[group.name] = np.array(sorted(chosen))
    images = np.random.default_rng(1).normal(size=(3, 4, 4, 3))
    found, expected = (
        np.asarray(make(rich, graph, keep)(images, training=False)) for make in (cut, masked)
    )
    assert expected.dtype == np.float64
    assert expected.std() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_the_rich_network_is_followed_as_drawn(rich: Any) -> None:
    graph = channel_graph(rich)
    # stem: two halves, as the shared layer's output lies in both; so its channels go in pairs
    assert {g.name: g.channels for g in graph.groups} == {
        "stem": 4,
        "right": 3,  # and left, by the shared layer
        "few": 3,
        "dense": 7,
    }
    assert graph.frozen == ("odd (LayerNormalization)",)
