from __future__ import annotations

from dataclasses import replace

import pytest

from edgeface.config import (
    ClusterSpec,
    ModelSpec,
    PruneSpec,
    QuantizeSpec,
    Recipe,
    SparsifySpec,
    TrainSpec,
)
from edgeface.errors import ConfigError
from edgeface.search.recipes import (
    check_searchable,
    further_epochs,
    plain_recipe,
    recipe_of,
    starting_weights,
)
from edgeface.search.space import Candidate

CANDIDATE = Candidate(width_ratio=0.5, side_px=96, pruning_ratio=0.3, scheme="int8")


def with_weights(weights: str) -> Recipe:
    return Recipe(model=ModelSpec(width_ratio=1.0, weights=weights))


@pytest.mark.parametrize(
    ("asked", "width_ratio", "expected"),
    [
        ("none", 1.0, "none"),
        ("none", 0.5, "none"),
        ("imagenet", 1.0, "imagenet"),
        ("imagenet", 0.35, "imagenet"),
        ("imagenet", 0.6, "none"),  # Keras has none of this width
        ("a.h5", 1.0, "a.h5"),
        ("a.h5", 0.5, "none"),  # a file of another width does not fit
        ("a.keras", 0.5, "a.keras"),  # a trained model is narrowed
    ],
)
def test_what_a_width_starts_from(asked: str, width_ratio: float, expected: str) -> None:
    assert starting_weights(with_weights(asked), width_ratio, {}) == expected


def test_a_file_of_the_width_comes_first() -> None:
    recipe = with_weights("a.h5")
    assert starting_weights(recipe, 0.5, {0.5: "half.h5"}) == "half.h5"
    assert starting_weights(recipe, 1.0, {1.0: "whole.h5"}) == "whole.h5"


def test_a_candidate_sets_width_side_and_ratio_and_nothing_else() -> None:
    recipe = Recipe(seed=7, prune=PruneSpec(round_to=16))
    made = recipe_of(recipe, CANDIDATE, {})
    assert made.model == replace(recipe.model, width_ratio=0.5, side_px=96)
    assert made.prune == replace(recipe.prune, pruning_ratio=0.3)
    assert replace(made, model=recipe.model, prune=recipe.prune) == recipe


def test_one_plain_network_serves_all_ratios() -> None:
    recipe = Recipe(prune=PruneSpec(round_to=16))
    first, *others = (
        plain_recipe(recipe_of(recipe, replace(CANDIDATE, pruning_ratio=ratio), {}))
        for ratio in (0.0, 0.3, 0.6)
    )
    assert others == [first, first]
    assert not first.prune.cuts


def test_a_plain_network_is_trained_on_as_long_as_a_pruned_one() -> None:
    spec = PruneSpec(rounds=3, between_epochs=2, fine_tune=TrainSpec(epochs=5))
    assert further_epochs(Recipe(prune=spec)) == 2 + 2 + 5
    assert further_epochs(Recipe(prune=replace(spec, rounds=1))) == 5


def test_what_the_search_would_leave_out_is_refused_all_at_once() -> None:
    check_searchable(Recipe())
    recipe = Recipe(
        model=ModelSpec(backbone="vgg16", weights="none"),
        prune=PruneSpec(budget="macs"),
        quantize=QuantizeSpec(method="qat"),
    )
    with pytest.raises(ConfigError) as info:
        check_searchable(recipe)
    assert info.value.problems == (
        "model.backbone is vgg16, expected mobilenetv2",
        "prune.budget is macs, expected none: the search sets the ratio",
        "quantize.method is qat, expected post_training",
    )
    alone = ModelSpec(heads=("mood",), classes={"mood": ("calm", "glad")})
    with pytest.raises(ConfigError) as info:
        check_searchable(Recipe(model=alone))
    assert info.value.problems == tuple(
        f"model.heads is mood, expected {head} among them: candidates are told apart by age MAE "
        "and gender accuracy"
        for head in ("age", "gender")
    )
    both = ModelSpec(heads=("mood", "age", "gender"), classes={"mood": ("calm", "glad")})
    check_searchable(Recipe(model=both))
    with pytest.raises(ConfigError, match=r"sparsify\.sparsity is 0\.8, expected 0"):
        check_searchable(Recipe(sparsify=SparsifySpec(sparsity=0.8)))
    with pytest.raises(ConfigError, match=r"cluster\.clusters is 16, expected 0"):
        check_searchable(Recipe(cluster=ClusterSpec(clusters=16)))
