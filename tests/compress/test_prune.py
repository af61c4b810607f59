"""Pruning in one call: the least important channels go, and the report is what was really cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.allocate import channels_to_keep
from edgeface.compress.costs import Budget
from edgeface.compress.graph import channel_graph, groups_in
from edgeface.compress.importance import Scores, batch_norm_scores, magnitude_scores
from edgeface.compress.prune import CRITERIA, prune, prune_to_budget
from edgeface.config import ModelSpec
from edgeface.errors import CompressionError
from edgeface.model.networks import build_model
from edgeface.model.profile import profile
from edgeface.outputs import BASELINE
from edgeface.types import SilentReporter

SPEC = ModelSpec(width_ratio=0.35, side_px=32, weights="none")


@pytest.fixture(scope="module")
def model() -> Any:
    """MobileNetV2 as training could have left it: no statistic and no gain is that of the start."""
    made = build_model(SPEC, seed=1, reporter=SilentReporter())
    rng = np.random.default_rng(2)
    for layer in made.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return made


def kernel(model: Any, name: str) -> NDArray[np.float32]:
    return np.asarray(model.get_layer(name).get_weights()[0])


def test_the_least_important_expansions_go_and_the_rest_stays_in_order(model: Any) -> None:
    untouched = [weight.copy() for weight in model.get_weights()]
    smaller, report = prune(model, pruning_ratio=0.4, round_to=8)
    blocks = [f"block_{number}" for number in range(1, 17)]
    assert [group.name for group in report.groups] == [f"{block}_expand" for block in blocks]
    scores = magnitude_scores(model, channel_graph(model))
    before = after = 0
    for block, counts in zip(blocks, report.groups, strict=True):
        importance = scores.of_group[counts.name]
        count = channels_to_keep(len(importance), 0.4, 8)
        kept = np.sort(np.argsort(-importance)[:count])
        assert (counts.channels_before, counts.channels_after) == (len(importance), count)
        before, after = before + len(importance), after + count
        for name, axis in (("expand", 3), ("depthwise", 2), ("project", 2)):
            whole, rest = (kernel(net, f"{block}_{name}") for net in (model, smaller))
            np.testing.assert_array_equal(rest, np.take(whole, kept, axis))
    assert report.pruning_ratio == pytest.approx(1 - after / before)
    assert report.asked_ratio == 0.4
    assert report.pruning_ratio == pytest.approx(0.4, abs=0.05)
    assert report.criterion == "magnitude"
    assert report.frozen == ()
    for weight, was in zip(model.get_weights(), untouched, strict=True):
        np.testing.assert_array_equal(weight, was)

    # a plain functional model: the same layers of the same classes, and fewer of everything
    assert type(smaller) is type(model)
    assert [(x.name, type(x)) for x in smaller.layers] == [(x.name, type(x)) for x in model.layers]
    assert smaller.input_shape == model.input_shape
    assert smaller.output_shape == model.output_shape
    was_card, card = profile(model), profile(smaller)
    assert (report.parameters_before, report.macs_before) == (was_card.parameters, was_card.macs)
    assert (report.parameters_after, report.macs_after) == (card.parameters, card.macs)
    assert card.parameters < was_card.parameters
    assert card.macs < was_card.macs

    # and again: the same cut
    again, same_report = prune(model, pruning_ratio=0.4, round_to=8)
    assert same_report == report
    for weight, same in zip(smaller.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_pruning_nothing_changes_nothing(model: Any) -> None:
    same, report = prune(model, pruning_ratio=0.0, round_to=1)
    assert report.pruning_ratio == 0
    for weight, was in zip(same.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, was)


def test_scope_all_cuts_the_residual_streams_too(model: Any) -> None:
    smaller, report = prune(model, pruning_ratio=0.5, round_to=8, scope="all")
    left = {group.name: group.channels_after for group in report.groups}
    assert left["Conv1"] == 8  # of 16, with the first block's depthwise
    # width 0.35: the last stream has 56 channels, and blocks 13 to 15 add to it
    assert left["block_13_project"] == channels_to_keep(56, 0.5, 8)
    for block in (13, 14, 15):
        assert kernel(smaller, f"block_{block}_project").shape[3] == left["block_13_project"]
    assert kernel(smaller, "gender").shape == (left["Conv_1"], 1) == (640, 1)
    expansions = {group.name for group in groups_in(channel_graph(model), "expansion")}
    assert expansions < set(left)


def test_given_scores_decide(model: Any) -> None:
    graph = channel_graph(model)
    rising = {group.name: np.arange(group.channels, dtype=np.float64) for group in graph.groups}
    scores = Scores(
        criterion="taylor",
        of_group=rising,
        comparable=True,
        task_shares={"age": 0.7, "gender": 0.3},
    )
    smaller, report = prune(model, pruning_ratio=0.5, round_to=8, scores=scores)
    whole, rest = (kernel(net, "block_5_expand") for net in (model, smaller))
    np.testing.assert_array_equal(rest, whole[..., -rest.shape[3] :])
    assert report.criterion == "taylor"
    assert report.task_shares == {"age": 0.7, "gender": 0.3}


def test_a_recipe_can_name_each_criterion_of_weights() -> None:
    assert {"magnitude": magnitude_scores, "batch_norm": batch_norm_scores} == CRITERIA


@pytest.mark.parametrize("scope", ["auto", "all"])
def test_a_budget_is_kept_as_really_counted(model: Any, scope: Any) -> None:
    limit = 0.6 * profile(model).macs
    budget = Budget(kind="macs", limit=limit)
    smaller, report = prune_to_budget(model, budget=budget, round_to=8, scope=scope)
    assert profile(smaller).macs == report.macs_after
    assert 0.95 * limit < report.macs_after <= limit  # not more than a step below
    assert report.asked_ratio is None
    for group in report.groups:
        assert group.channels_after % 8 == 0 or group.channels_after == group.channels_before
        assert group.channels_after >= 0.1 * group.channels_before
    ratios = {group.channels_after / group.channels_before for group in report.groups}
    assert len(ratios) > 3  # not the same share everywhere
    again, same_report = prune_to_budget(model, budget=budget, round_to=8, scope=scope)
    assert same_report == report
    for weight, same in zip(smaller.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_pruning_twice_is_pruning_the_pruned(model: Any) -> None:
    once, _ = prune(model, pruning_ratio=0.3, round_to=8)
    twice, report = prune(once, pruning_ratio=0.3, round_to=8)
    assert [g.name for g in report.groups] == [f"block_{number}_expand" for number in range(1, 17)]
    assert profile(twice).macs < profile(once).macs


def test_vgg16_prunes_with_its_branches() -> None:
    spec = replace(BASELINE, side_px=32)
    vgg16 = build_model(spec, seed=0, reporter=SilentReporter())
    smaller, report = prune(vgg16, pruning_ratio=0.5, round_to=8)
    assert len(report.groups) == 13 + 2
    assert kernel(smaller, "block5_conv3").shape == (3, 3, 256, 256)
    assert kernel(smaller, "age_branch").shape == (256, 128)  # one place, half of 512 and of 256
    assert kernel(smaller, "age").shape == (128, 1)
    assert report.macs_after < 0.3 * report.macs_before


def test_a_network_without_prunable_channels_is_an_error() -> None:
    image = keras.Input((4,))
    bare = keras.Model(image, keras.layers.Dense(1)(image), name="bare")
    with pytest.raises(CompressionError, match="'bare': found no channels to prune") as caught:
        prune(bare, pruning_ratio=0.3, round_to=8)
    assert "\n" not in str(caught.value)
