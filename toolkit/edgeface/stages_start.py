"""What a run starts from: random or published weights, or a trained model.

In: a recipe and the data it is to be trained or measured on. Out: a network. A trained model may
have seen only what this run's division does not hold out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeface.compress.graph import ChannelGraph, channel_graph
from edgeface.compress.importance import Scores, magnitude_scores
from edgeface.compress.narrow import give_most_important
from edgeface.config import ModelSpec, Recipe
from edgeface.data.manifest import Manifest
from edgeface.errors import CompressionError, ModelError
from edgeface.model.heads import AGE_BINS, head_specs, head_width
from edgeface.model.networks import build_model, build_unweighted, head_layers
from edgeface.model.saved import SUFFIX, SavedModel, read_model
from edgeface.records import RangeError
from edgeface.types import HeadSpec, Reporter, SilentReporter

Scoring = Callable[[Any, ChannelGraph, tuple[HeadSpec, ...]], Scores]
"""Scores the channels of a trained network by the faces of a run, for heads that both have."""


def check_start(recipe: Recipe, manifest: Manifest) -> None:
    """Find out whether `build_start` will do, before anything is loaded or written.

    Raises:
        ModelError: as `build_start`.
    """
    build_start(recipe, manifest, SilentReporter(), magnitude)


def build_start(recipe: Recipe, manifest: Manifest, reporter: Reporter, scoring: Scoring) -> Any:
    """Build a recipe's network with the weights that its training starts from.

    Args:
        recipe: its `model.weights` are as `build_model` takes them, or a trained model (`.keras`)
            of the same backbone: of any side, as wide or wider, with any heads. Of a wider one, the
            most important channels are taken; heads it does not have start random.
        manifest: of the data that the network will be trained on.
        reporter: is told what the weights are.
        scoring: says which channels of a wider one are important.

    Raises:
        ModelError: as `build_model`; or the trained model does not fit, is pruned, or may have
            seen this manifest's test images; or random weights would be frozen.
    """
    spec = recipe.model
    if recipe.train.freeze_backbone and spec.weights == "none":
        raise ModelError(
            f"{spec.backbone}: train.freeze_backbone is true with model.weights 'none': its heads "
            "would learn from what random weights make of a face; give --weights FILE, or do not "
            "freeze"
        )
    if not spec.weights.endswith(SUFFIX):
        return build_model(spec, seed=recipe.seed, reporter=reporter)
    path = Path(spec.weights)
    trained, about = read_model(path)
    if not manifest.covers(about.manifest_sha256):
        raise _may_have_seen(path, about, manifest)
    if about.pruning_ratio:
        raise ModelError(
            f"{path}: is pruned, expected an unpruned model to start from, because the channels "
            "that it lacks cannot be trained back"
        )
    if about.spec.backbone != spec.backbone:
        raise ModelError(
            f"{path}: is a {about.spec.backbone}, expected a {spec.backbone} as in the recipe"
        )
    network = build_unweighted(spec, seed=recipe.seed)
    heads = head_specs(spec)
    kept = tuple(head for head in heads if _has(trained, head))
    scores = _scores(trained, about.spec, recipe, kept, scoring)
    try:
        strangers = head_layers(set(heads) - set(kept))
        give_most_important(trained, network, scores, new_layers=strangers)
    except CompressionError as err:
        raise ModelError(f"weights {path}: do not fit {_in_words(spec)}: {err}") from err
    reporter.say(f"{spec.backbone}: starts from {path}, {_in_words(about.spec)}")
    return network


def magnitude(model: Any, graph: ChannelGraph, heads: tuple[HeadSpec, ...]) -> Scores:
    """Score channels without faces, see `magnitude_scores`; a `Scoring`."""
    del heads
    return magnitude_scores(model, graph)


def start_stage(path: Path, manifest: Manifest) -> tuple[Any, SavedModel]:
    """Read the trained model that a run compresses.

    Raises:
        ModelError: it was pruned before, or trained on other data or another division, so that its
            training may have seen this run's test images.
    """
    model, about = read_model(path)
    if about.manifest_sha256 != manifest.sha256:
        raise _may_have_seen(path, about, manifest)
    if about.pruning_ratio:
        raise ModelError(
            f"{path}: is pruned already, expected an unpruned model, because what is lost is "
            "measured against it"
        )
    return model, about


def started_recipe(recipe: Recipe, about: SavedModel) -> Recipe:
    """Say what a recipe is for a trained model: the network is the model's.

    Args:
        recipe: of the run. Where it names no system or no variant, the model's is taken.
        about: of the model.

    Raises:
        ModelError: they do not fit together, or the record's variant cannot be one.
    """
    try:
        return replace(
            recipe,
            model=read_as(about.spec, recipe.model),
            system=recipe.system or about.recipe.get("system", ""),
            variant=recipe.variant or str(about.recipe.get("variant", "")),
        )
    except RangeError as err:
        raise ModelError(
            f"the recipe, with the trained model's network, system and variant: {err}; change the "
            "recipe, or train the model anew"
        ) from err


def read_as(started: ModelSpec, asked: ModelSpec) -> ModelSpec:
    """Say what the network of a trained model is, and how its age is to be read.

    Args:
        started: of the trained model.
        asked: of the recipe: which reading of the same bins, the median or the mean, is the
            recipe's to choose. Nothing else of it counts.
    """
    if AGE_BINS.get(started.age_head) == AGE_BINS.get(asked.age_head):
        return replace(started, age_head=asked.age_head)
    return started


def _scores(
    trained: Any, started: ModelSpec, recipe: Recipe, kept: tuple[HeadSpec, ...], scoring: Scoring
) -> Scores:
    spec = recipe.model
    if spec.width_ratio >= started.width_ratio or not kept:  # all stay, or no head can tell
        return magnitude_scores(trained, channel_graph(trained))
    wide = build_unweighted(replace(started, side_px=spec.side_px), seed=recipe.seed)
    wide.set_weights(trained.get_weights())
    return scoring(wide, channel_graph(wide), kept)


def _has(trained: Any, head: HeadSpec) -> bool:
    shape = trained.output_shape.get(head.name)
    return shape is not None and shape[-1] == head_width(head)


def _may_have_seen(path: Path, about: SavedModel, manifest: Manifest) -> ModelError:
    return ModelError(
        f"{path}: was trained on {about.data!r} divided otherwise (manifest "
        f"{about.manifest_sha256[:12]}, found {manifest.sha256[:12]}), so it may have seen "
        "these test images; give the manifest that it was trained on"
    )


def _in_words(spec: ModelSpec) -> str:
    return f"width {spec.width_ratio:g} at {spec.side_px} px"
