"""A candidate as a recipe. In: the recipe of the search. Out: that of one candidate's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgeface.config import PruneSpec, Recipe
from edgeface.errors import ConfigError
from edgeface.model.saved import SUFFIX
from edgeface.search.space import Candidate
from edgeface.training_specs import AGE, GENDER

# Source: tf_keras.applications.MobileNetV2, the widths that ImageNet weights can be had of
IMAGENET_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def check_searchable(recipe: Recipe) -> None:
    """Refuse what the search would have to leave out without a word.

    Raises:
        ConfigError: naming all of it.
    """
    problems = [
        problem
        for holds, problem in (
            (
                recipe.model.backbone == "mobilenetv2",
                f"model.backbone is {recipe.model.backbone}, expected mobilenetv2",
            ),
            *(
                (
                    head in recipe.model.heads,
                    f"model.heads is {', '.join(recipe.model.heads)}, expected {head} among them: "
                    "candidates are told apart by age MAE and gender accuracy",
                )
                for head in (AGE, GENDER)
            ),
            (
                recipe.prune.budget == "none",
                f"prune.budget is {recipe.prune.budget}, expected none: the search sets the ratio",
            ),
            (recipe.prune.cycles == 1, f"prune.cycles is {recipe.prune.cycles}, expected 1"),
            (
                not recipe.quantize.mixed_layers,
                f"quantize.mixed_layers is {recipe.quantize.mixed_layers}, expected 0",
            ),
            (
                not recipe.sparsify.sparsity,
                f"sparsify.sparsity is {recipe.sparsify.sparsity}, expected 0",
            ),
            (
                not recipe.cluster.clusters,
                f"cluster.clusters is {recipe.cluster.clusters}, expected 0",
            ),
            (
                recipe.quantize.method == "post_training",
                f"quantize.method is {recipe.quantize.method}, expected post_training",
            ),
        )
        if not holds
    ]
    if problems:
        raise ConfigError("recipe with --budget", problems)


def recipe_of(recipe: Recipe, candidate: Candidate, weights: Mapping[float, str]) -> Recipe:
    """The recipe that makes a candidate.

    Args:
        recipe: of the search.
        candidate: sets width, side and pruning ratio.
        weights: starting weights by width, beside those of the recipe.
    """
    model = replace(
        recipe.model,
        width_ratio=candidate.width_ratio,
        side_px=candidate.side_px,
        weights=starting_weights(recipe, candidate.width_ratio, weights),
    )
    prune = replace(recipe.prune, pruning_ratio=candidate.pruning_ratio)
    return replace(recipe, model=model, prune=prune)


def plain_recipe(recipe: Recipe) -> Recipe:
    """The recipe of the plain network that a candidate starts from: one for all pruning ratios."""
    return replace(recipe, prune=PruneSpec(pruning_ratio=0.0))


def starting_weights(recipe: Recipe, width_ratio: float, weights: Mapping[float, str]) -> str:
    """What the training of one width starts from.

    A trained model of edgeface (`.keras`) serves every width up to its own. Other weights of
    another width do not fit: where the recipe names a file, other widths start from random weights
    unless `weights` has a file for them too; the tables say what each started from.
    """
    if width_ratio in weights:
        return weights[width_ratio]
    asked = recipe.model.weights
    if width_ratio == recipe.model.width_ratio or asked == "none" or asked.endswith(SUFFIX):
        return asked
    return "imagenet" if asked == "imagenet" and width_ratio in IMAGENET_WIDTHS else "none"


def further_epochs(recipe: Recipe) -> int:
    """Epochs that a pruned network is trained after the plain one, and a plain one likewise."""
    return (recipe.prune.rounds - 1) * recipe.prune.between_epochs + recipe.prune.fine_tune.epochs
