"""Cutting channels, against the full model with the same channels made silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.compress.groups import ChannelGroup, expansion_groups
from edgeface.compress.importance import magnitude_importance, norm_scale
from edgeface.compress.prune import channels_to_keep, cut_channels, prune
from edgeface.config import ModelSpec
from edgeface.data.drawn import draw_face
from edgeface.errors import CompressionError
from edgeface.model.networks import build_model
from edgeface.model.profile import profile
from edgeface.types import SilentReporter

SPEC = ModelSpec(width_ratio=0.35, side_px=32, weights="none")
Outputs = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def model() -> Any:
    """MobileNetV2 as training could have left it: no statistic and no gain is that of the start."""
    made = build_model(SPEC, seed=1, reporter=SilentReporter())
    norms = [x for x in made.layers if isinstance(x, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    made(pictures(64), training=True)  # statistics of real activations, so that signals get through
    rng = np.random.default_rng(2)
    for norm in norms:
        _, _, mean, variance = norm.get_weights()
        norm.set_weights(
            [
                rng.uniform(0.5, 2, mean.shape) * rng.choice([-1, 1], mean.shape),  # gamma
                rng.normal(0.3, 0.5, mean.shape),  # beta
                mean + rng.normal(0, 0.2, mean.shape) * np.sqrt(variance),
                variance * rng.uniform(0.5, 2, mean.shape),
            ]
        )
    return made


@pytest.fixture(scope="module")
def groups(model: Any) -> tuple[ChannelGroup, ...]:
    return expansion_groups(model)


def pictures(count: int) -> NDArray[np.float32]:
    faces = [draw_face(seed=6, index=index, side_px=32).image for index in range(count)]
    return np.stack(faces).astype(np.float32)


def run(model: Any) -> Outputs:
    outputs = model(pictures(4), training=False)
    return {name: np.asarray(value) for name, value in outputs.items()}


def keep_all(groups: tuple[ChannelGroup, ...]) -> dict[str, NDArray[np.intp]]:
    return {group.name: np.arange(group.channels) for group in groups}


def run_with_silent_channels(
    model: Any, groups: tuple[ChannelGroup, ...], keep: dict[str, NDArray[np.intp]]
) -> Outputs:
    """The full model; what the removed channels say is multiplied by zero where it is read."""
    before = {}
    for group in groups:
        project = model.get_layer(group.project)
        before[group.project] = project.get_weights()
        kernel = before[group.project][0].copy()
        removed = np.setdiff1d(np.arange(group.channels), keep[group.name])
        kernel[:, :, removed, :] = 0
        project.set_weights([kernel])
    outputs = run(model)
    for name, weights in before.items():
        model.get_layer(name).set_weights(weights)
    return outputs


def assert_same_outputs(found: Outputs, expected: Outputs) -> None:
    # float32: the cut convolutions add fewer terms, so in another order, through 52 layers
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.std() > 0, f"{name} says the same of every image"
        scale = float(np.abs(value).max())
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-4 * scale)


# no shrinking: each example builds a network
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
@given(seed=st.integers(0, 2**32), share=st.floats(0.2, 0.95))
def test_cut_model_equals_full_model_with_silent_channels(
    model: Any, groups: tuple[ChannelGroup, ...], seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    keep = {}
    for group in groups:
        kept = np.flatnonzero(rng.random(group.channels) < share)
        keep[group.name] = kept if len(kept) else np.array([rng.integers(group.channels)])
    cut = cut_channels(model, groups, keep)
    assert [group.channels for group in expansion_groups(cut)] == [len(k) for k in keep.values()]
    expected = run_with_silent_channels(model, groups, keep)
    assert_same_outputs(run(cut), expected)
    # the oracle can fail: these channels mattered
    assert np.abs(expected["age"] - run(model)["age"]).max() > 1e-2 * np.abs(expected["age"]).max()


def test_the_least_important_channels_go_and_the_rest_stays_in_order(
    model: Any, groups: tuple[ChannelGroup, ...]
) -> None:
    untouched = [weight.copy() for weight in model.get_weights()]
    cut, report = prune(model, pruning_ratio=0.4, round_to=8)
    for group, small, counts in zip(groups, expansion_groups(cut), report.groups, strict=True):
        importance = magnitude_importance(model, group)
        count = channels_to_keep(group.channels, 0.4, 8)
        kept = np.sort(np.argsort(-importance)[:count])
        assert (counts.name, counts.channels_before, counts.channels_after) == (
            group.name,
            group.channels,
            count,
        )
        for name, axis in (("expand", 3), ("depthwise", 2), ("project", 2)):
            whole = model.get_layer(getattr(group, name)).get_weights()[0]
            rest = cut.get_layer(getattr(small, name)).get_weights()[0]
            np.testing.assert_array_equal(rest, np.take(whole, kept, axis))
    before, after = 0, 0
    for group in groups:
        before += group.channels
        after += channels_to_keep(group.channels, 0.4, 8)
    assert report.pruning_ratio == pytest.approx(1 - after / before)
    assert report.asked_ratio == 0.4
    assert report.pruning_ratio == pytest.approx(0.4, abs=0.05)
    for weight, was in zip(model.get_weights(), untouched, strict=True):
        np.testing.assert_array_equal(weight, was)

    # a plain functional model: the same layers of the same classes, and fewer of everything
    assert type(cut) is type(model)
    assert [(layer.name, type(layer)) for layer in cut.layers] == [
        (layer.name, type(layer)) for layer in model.layers
    ]
    assert cut.input_shape == model.input_shape
    assert cut.output_shape == model.output_shape
    assert not {id(v) for v in cut.variables} & {id(v) for v in model.variables}
    assert profile(cut).parameters < profile(model).parameters
    assert profile(cut).macs < profile(model).macs

    # and again: the same cut
    again, same_report = prune(model, pruning_ratio=0.4, round_to=8)
    assert same_report == report
    for weight, same in zip(cut.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_pruning_nothing_changes_nothing(model: Any, groups: tuple[ChannelGroup, ...]) -> None:
    same, report = prune(model, pruning_ratio=0.0, round_to=1)
    assert report.pruning_ratio == 0
    for weight, was in zip(same.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, was)


def test_cutting_a_whole_group_is_an_error(model: Any, groups: tuple[ChannelGroup, ...]) -> None:
    keep = keep_all(groups)
    keep["block_3"] = np.array([], np.intp)
    with pytest.raises(CompressionError, match="block_3: no channel would be left") as caught:
        cut_channels(model, groups, keep)
    assert "\n" not in str(caught.value)


def test_groups_are_the_sixteen_blocks_with_an_expansion(
    model: Any, groups: tuple[ChannelGroup, ...]
) -> None:
    assert [group.name for group in groups] == [f"block_{i}" for i in range(1, 17)]
    for group in groups:
        assert model.get_layer(group.expand).get_weights()[0].shape[3] == group.channels
        assert model.get_layer(group.depthwise).get_weights()[0].shape[2] == group.channels
        assert model.get_layer(group.project).get_weights()[0].shape[2] == group.channels
        for name in (group.expand_norm, group.depthwise_norm):
            assert model.get_layer(name).gamma.shape == (group.channels,)


def test_importance_is_the_product_of_the_folded_norms(
    model: Any, groups: tuple[ChannelGroup, ...]
) -> None:
    group = groups[4]
    found = magnitude_importance(model, group)
    expand, depthwise, project = (
        model.get_layer(name).get_weights()[0].astype(np.float64)
        for name in (group.expand, group.depthwise, group.project)
    )
    gains = {}
    for name in (group.expand_norm, group.depthwise_norm, group.project_norm):
        gamma, _, _, variance = model.get_layer(name).get_weights()
        gains[name] = np.abs(gamma / np.sqrt(variance.astype(np.float64) + 1e-3))
    for channel in (0, 7, group.channels - 1):
        expected = (
            np.linalg.norm(expand[0, 0, :, channel])
            * gains[group.expand_norm][channel]
            * np.linalg.norm(depthwise[:, :, channel, 0])
            * gains[group.depthwise_norm][channel]
            * np.linalg.norm(project[0, 0, channel] * gains[group.project_norm])
        )
        assert found[channel] == pytest.approx(expected, rel=1e-6)


def test_importance_does_not_change_with_a_scale_that_the_normalization_takes_back(
    model: Any, groups: tuple[ChannelGroup, ...]
) -> None:
    group = groups[2]
    expand, norm = model.get_layer(group.expand), model.get_layer(group.expand_norm)
    before = magnitude_importance(model, group), run(model)
    kernel, statistics = expand.get_weights(), norm.get_weights()
    factor = np.random.default_rng(0).uniform(0.5, 4, group.channels).astype(np.float32)
    gamma, beta, mean, variance = statistics
    # variance + ε grows by the square, so that the folded layer is the same to the last digit
    grown = factor**2 * (variance + norm.epsilon) - norm.epsilon
    expand.set_weights([kernel[0] * factor])
    norm.set_weights([gamma, beta, mean * factor, grown])
    after = magnitude_importance(model, group), run(model)
    expand.set_weights(kernel)
    norm.set_weights(statistics)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-5)
    assert_same_outputs(after[1], before[1])


def test_a_channel_that_says_nothing_goes_first(
    model: Any, groups: tuple[ChannelGroup, ...]
) -> None:
    group = groups[0]
    norm = model.get_layer(group.depthwise_norm)
    before = norm.get_weights()
    gamma = before[0].copy()
    gamma[5] = 0
    norm.set_weights([gamma, *before[1:]])
    importance = magnitude_importance(model, group)
    scale = norm_scale(norm)
    norm.set_weights(before)
    assert importance[5] == 0
    assert scale[5] == 0
    assert (np.delete(importance, 5) > 0).all()


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


def test_vgg16_has_nothing_that_can_be_cut() -> None:
    spec = ModelSpec(backbone="vgg16", side_px=32, weights="none", age_head="regression")
    vgg16 = build_model(spec, seed=0, reporter=SilentReporter())
    with pytest.raises(CompressionError, match=r"'vgg16'.*expected a mobilenetv2") as caught:
        prune(vgg16, pruning_ratio=0.3, round_to=8)
    assert "\n" not in str(caught.value)
