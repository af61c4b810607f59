"""Cutting channels, against the full network with the same channels made silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.compress.cut import Keep, cut, masked, stays_of
from edgeface.compress.graph import ChannelGraph, channel_graph
from edgeface.errors import CompressionError
from edgeface.export.convert import to_float_tflite

Outputs = dict[str, NDArray[np.float64]]
APPS = keras.applications
LAYERS = keras.layers


def application(make: Any, side_px: int, **arguments: Any) -> Callable[[], Any]:
    return lambda: make(
        include_top=False, weights=None, input_shape=(side_px, side_px, 3), **arguments
    )


def own_cnn() -> Any:
    """Seed S4: four convolutions with pooling, and dense branches."""
    net = keras.Sequential(name="own")
    net.add(keras.Input((32, 32, 3)))
    for filters in (16, 24, 32, 48):
        net.add(LAYERS.Conv2D(filters, 3, padding="same", activation="relu"))
        net.add(LAYERS.MaxPooling2D())
    return net


NETS: dict[str, Callable[[], Any]] = {
    "own_cnn": own_cnn,
    "mobilenetv2": application(APPS.MobileNetV2, 32, alpha=0.35),
    "mobilenetv3small": application(APPS.MobileNetV3Small, 32),
    "vgg16": application(APPS.VGG16, 32),
    "resnet50": application(APPS.ResNet50, 32),
    "efficientnetb0": application(APPS.EfficientNetB0, 32),
    "inceptionv3": application(APPS.InceptionV3, 75),
}


def with_heads(backbone: Any) -> Any:
    """Add two heads that read it differently: one of all places, one through a dense branch."""
    features = backbone.output
    pooled = LAYERS.Dropout(0.2)(LAYERS.GlobalAveragePooling2D()(features))
    branch = LAYERS.Dense(24, activation="relu", name="age_branch")(LAYERS.Flatten()(features))
    outputs = {
        "gender": LAYERS.Dense(1, name="gender")(pooled),
        "age": LAYERS.Dense(3, name="age")(branch),
    }
    return keras.Model(backbone.input, outputs, name=backbone.name)


def as_if_trained(model: Any) -> None:
    """Give it statistics of real signals, and gains and offsets that are not those of the start."""
    rng = np.random.default_rng(2)
    layers = [x for x in model.layers if isinstance(x, LAYERS.BatchNormalization)]
    for layer in layers:
        layer.momentum = 0.0
    model(pictures(model, 8), training=True)
    for layer in layers:
        *others, variance = layer.get_weights()
        moved = [weight + rng.normal(0, 0.3, weight.shape) for weight in others]
        layer.set_weights([*moved, variance * rng.uniform(0.5, 2, variance.shape)])
    for layer in model.layers:
        if isinstance(layer, LAYERS.Normalization):
            layer.set_weights([np.full(3, 0.4), np.full(3, 0.2), np.array(0)])
        elif getattr(layer, "use_bias", False):
            weights = layer.get_weights()
            layer.set_weights([*weights[:-1], rng.normal(0, 0.1, weights[-1].shape)])


def pictures(model: Any, count: int) -> NDArray[np.float32]:
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


@pytest.fixture(scope="module", params=list(NETS))
def model(request: pytest.FixtureRequest) -> Any:
    """One network in float64: adding in another order must not hide a small mistake."""
    keras.mixed_precision.set_global_policy("float64")
    try:
        made = with_heads(NETS[request.param]())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    as_if_trained(made)
    return made


@pytest.fixture(scope="module")
def graph(model: Any) -> ChannelGraph:
    return channel_graph(model)


def run(model: Any) -> Outputs:
    outputs = model(pictures(model, 2), training=False)
    return {name: np.asarray(value, np.float64) for name, value in outputs.items()}


def drawn(graph: ChannelGraph, seed: int, share: float) -> Keep:
    rng = np.random.default_rng(seed)
    keep = {}
    for group in graph.groups:
        kept = np.flatnonzero(rng.random(group.channels) < share)
        keep[group.name] = kept if len(kept) else np.array([rng.integers(group.channels)])
    return keep


def run_with_zeros(model: Any, graph: ChannelGraph, keep: Keep, roles: set[str]) -> Outputs:
    """The full network, with the removed channels' weights in some roles set to 0, then restored.

    Zero in what reads them: exact by definition. Zero in what makes them and works on them: the
    channel is 0 from its beginning, and stays 0 since every activation of these networks maps 0 to
    0, but for the gates of squeeze-and-excite, which multiply it.
    """
    stays = stays_of(graph, keep)
    before = [weight.copy() for weight in model.get_weights()]
    for slot in graph.slots:
        if slot.role in roles:
            layer = model.get_layer(slot.layer)
            weights = layer.get_weights()
            np.moveaxis(weights[slot.weight], slot.axis, 0)[~stays[slot.ids]] = 0
            layer.set_weights(weights)
    outputs = run(model)
    model.set_weights(before)
    return outputs


def assert_same_outputs(found: Outputs, expected: Outputs, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.std() > 0, f"{name} says the same of every image"
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance * scale)


# no shrinking: each example builds a network
@settings(max_examples=2, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
@given(seed=st.integers(0, 2**32), share=st.floats(0.3, 0.95))
def test_cut_network_equals_full_network_with_silent_channels(
    model: Any, graph: ChannelGraph, seed: int, share: float
) -> None:
    keep = drawn(graph, seed, share)
    smaller = cut(model, graph, keep)
    found = run(smaller)
    assert_same_outputs(found, run_with_zeros(model, graph, keep, {"reads"}), 1e-11)
    assert_same_outputs(found, run_with_zeros(model, graph, keep, {"writes", "passes"}), 1e-11)
    # the oracle can fail: these channels mattered
    whole = run(model)
    for name, value in whole.items():
        assert np.abs(value - found[name]).max() > 1e-3 * np.abs(value).max()
    left = {group.name: group.channels for group in channel_graph(smaller).groups}
    assert left == {name: len(kept) for name, kept in keep.items()}
    assert type(smaller) is type(model)
    assert [(x.name, type(x)) for x in smaller.layers] == [(x.name, type(x)) for x in model.layers]


def test_every_layer_that_can_shrink_is_in_a_group(model: Any, graph: ChannelGraph) -> None:
    """All convolutions, and all dense layers that are no head, make channels of some group."""
    assert graph.frozen == ()
    grouped = {layer for group in graph.groups for layer in group.layers}
    makers = [x for x in model.layers if isinstance(x, (LAYERS.Conv2D, LAYERS.Dense))]
    assert {x.name for x in makers} - grouped == set()
    in_groups = {one for group in graph.groups for one in group.ids.tolist()}
    for slot in graph.slots:
        cuttable = slot.role == "writes" and slot.layer not in ("age", "gender")
        assert not cuttable or in_groups.issuperset(slot.ids.tolist())
    for output in ("age", "gender"):
        heads = [s for s in graph.slots if s.layer == output and s.role == "writes"]
        assert all(in_groups.isdisjoint(slot.ids.tolist()) for slot in heads)


@pytest.mark.parametrize("name", ["mobilenetv2", "mobilenetv3small"])
def test_cut_network_is_the_same_after_saving_loading_and_converting(
    name: str, tmp_path: Path
) -> None:
    model = with_heads(NETS[name]())
    as_if_trained(model)
    graph = channel_graph(model)
    keep = drawn(graph, 3, 0.6)
    smaller = cut(model, graph, keep)
    expected = run(masked(model, graph, keep))
    smaller.save(tmp_path / "cut.keras")
    loaded = keras.models.load_model(tmp_path / "cut.keras", compile=False)
    # float32: the cut convolutions add fewer terms, so in another order, through 50 layers
    assert_same_outputs(run(loaded), expected, 2e-4)
    content = to_float_tflite(loaded)
    assert len(content) == pytest.approx(4 * smaller.count_params(), rel=0.3)
    assert_same_outputs(run_tflite(content, pictures(model, 2)), expected, 2e-4)


def run_tflite(content: bytes, images: NDArray[np.float32]) -> Outputs:
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner()
    outputs = [runner(image=image[None]) for image in images]
    return {
        name: np.concatenate([np.asarray(one[name], np.float64) for one in outputs])
        for name in outputs[0]
    }


def plain() -> Any:
    image = keras.Input((4, 4, 2))
    features = LAYERS.Conv2D(3, 1, name="a")(image)
    return keras.Model(image, LAYERS.Dense(1, name="head")(LAYERS.Flatten()(features)), name="net")


def test_cutting_nothing_changes_nothing() -> None:
    model = plain()
    same = cut(model, channel_graph(model), {})
    for weight, was in zip(same.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, was)
    assert not {id(v) for v in same.variables} & {id(v) for v in model.variables}


def test_cutting_and_masking_leave_the_model_as_it_was() -> None:
    model = plain()
    before = [weight.copy() for weight in model.get_weights()]
    keep = {"a": np.array([1])}
    narrow, silent = (make(model, channel_graph(model), keep) for make in (cut, masked))
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    np.testing.assert_array_equal(narrow.get_layer("a").get_weights()[0], before[0][..., 1:2])
    # the head reads channel 1 of 3 at each of 16 places
    np.testing.assert_array_equal(narrow.get_layer("head").get_weights()[0], before[2][1::3])
    kept_rows = np.arange(48) % 3 == 1
    head = silent.get_layer("head").get_weights()[0]
    np.testing.assert_array_equal(head, before[2] * kept_rows[:, None])


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"a": np.array([], np.intp)}, "a: no channel would be left, expected one or more"),
        ({"b": np.array([0])}, "b: is no channel group of 'net', expected one of its 1, such as"),
        ({"a": np.array([0, 3])}, "a: channels to keep are 0, 3, expected rising numbers from 0"),
        ({"a": np.array([-1, 1])}, "a: channels to keep are -1, 1, expected rising"),
        ({"a": np.array([1, 1])}, "a: channels to keep are 1, 1, expected rising"),
    ],
)
def test_channels_that_cannot_stay_are_an_error(keep: Keep, message: str) -> None:
    model = plain()
    with pytest.raises(CompressionError, match=message) as caught:
        cut(model, channel_graph(model), keep)
    assert "\n" not in str(caught.value)
