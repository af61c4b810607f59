"""Stages: names, and that a run refuses models that may have seen its test images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.compress.costs import scaled_times
from edgeface.compress.prune import combined, prune
from edgeface.config import (
    ClusterSpec,
    DataSpec,
    ModelSpec,
    PruneSpec,
    QuantizeSpec,
    Recipe,
    SparsifySpec,
    TrainSpec,
)
from edgeface.errors import ModelError
from edgeface.model.networks import build_model
from edgeface.model.saved import SCHEMA_VERSION, SavedModel, write_model
from edgeface.outputs import BASELINE, artifact_paths, baseline_of, model_paths
from edgeface.stages import (
    open_manifest,
    open_run,
    pruned_in_words,
    tags_of,
)
from edgeface.stages_start import (
    build_start,
    check_start,
    magnitude,
    read_as,
    start_stage,
    started_recipe,
)
from edgeface.types import SilentReporter

SPEC = ModelSpec(width_ratio=0.35, side_px=32, weights="none")
RECIPE = Recipe(data=DataSpec(drawn_count=50, drawn_side_px=32), model=SPEC)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(prune=PruneSpec(pruning_ratio=0)), ((), (), ())),
        (Recipe(prune=PruneSpec(pruning_ratio=0.4)), (("p40",),) * 3),
        (Recipe(prune=PruneSpec(budget="macs", budget_ratio=0.5)), (("macs50",),) * 3),
        (
            Recipe(prune=PruneSpec(pruning_ratio=0), sparsify=SparsifySpec(sparsity=0.8)),
            ((), ("s80",), ("s80",)),
        ),
        (
            Recipe(prune=PruneSpec(pruning_ratio=0.4), cluster=ClusterSpec(clusters=32)),
            (("p40",), ("p40", "c32"), ("p40", "c32")),
        ),
        (
            Recipe(prune=PruneSpec(pruning_ratio=0), quantize=QuantizeSpec(method="qat")),
            ((), (), ("qat",)),
        ),
    ],
)
def test_names_say_what_was_done(recipe: Recipe, expected: Any) -> None:
    tags = tags_of(recipe)
    assert (tags["pruned"], tags["thinned"], tags["quantized"]) == expected


def test_a_vgg16_is_its_own_baseline(tmp_path: Path) -> None:
    vgg16 = Recipe(model=BASELINE, prune=PruneSpec(pruning_ratio=0))
    assert "baseline" not in artifact_paths(tmp_path, vgg16)
    assert "baseline" not in artifact_paths(tmp_path, replace(vgg16, variant="mine"))
    assert artifact_paths(tmp_path, RECIPE)["baseline"].stem == "vgg16-a100-128px-float32"


def test_variants_of_one_network_share_no_file_but_the_baseline(tmp_path: Path) -> None:
    first, second = (replace(RECIPE, variant=name) for name in ("", "expression"))
    for paths in (artifact_paths, model_paths):
        shared = set(paths(tmp_path, first).values()) & set(paths(tmp_path, second).values())
        assert {path.stem for path in shared} <= {"vgg16-a100-128px-float32"}
        assert all(
            "-expression-a" in path.stem for path in {*paths(tmp_path, second).values()} - shared
        )


def test_the_baseline_has_the_heads_of_the_model_beside_it() -> None:
    model = ModelSpec(heads=("mood", "age"), classes={"mood": ("calm", "glad", "sad")})
    found = baseline_of(model)
    assert (found.heads, found.classes, found.backbone) == (model.heads, model.classes, "vgg16")
    assert (found.branch_units, found.age_head, found.side_px) == (256, "regression", 128)
    assert baseline_of(ModelSpec()) == BASELINE


def test_only_the_reading_of_the_age_bins_is_the_recipes_to_choose() -> None:
    trained = ModelSpec(side_px=96, age_head="expectation")
    assert read_as(trained, ModelSpec(age_head="median")) == replace(trained, age_head="median")
    assert read_as(trained, ModelSpec(age_head="decades")) == trained
    regression = replace(trained, age_head="regression")
    assert read_as(regression, ModelSpec(age_head="median")) == regression


def saved(path: Path, manifest_sha256: str, pruning_ratio: float = 0.0) -> Path:
    about = SavedModel(
        schema_version=SCHEMA_VERSION,
        sha256="",
        spec=SPEC,
        run_id="a" * 64,
        recipe={},
        data="drawn faces",
        manifest_sha256=manifest_sha256,
        pruning_ratio=pruning_ratio,
        history=(),
        commit="unknown",
    )
    write_model(path, build_model(SPEC, seed=1, reporter=SilentReporter()), about)
    return path


@pytest.fixture(scope="module")
def manifest() -> Any:
    return open_manifest(RECIPE, (), SilentReporter())


def test_a_run_starts_from_a_model_of_the_same_division(tmp_path: Path, manifest: Any) -> None:
    model, about = start_stage(saved(tmp_path / "m.keras", manifest.sha256), manifest)
    assert about.spec == SPEC
    assert model.output_shape == {"gender": (None, 1), "age": (None, 101)}


def test_a_run_takes_over_what_its_recipe_does_not_name(tmp_path: Path, manifest: Any) -> None:
    path = saved(tmp_path / "m.keras", manifest.sha256)
    about = replace(
        start_stage(path, manifest)[1], recipe={"system": "S3", "variant": "expression"}
    )
    found = started_recipe(Recipe(), about)
    assert (found.model, found.system, found.variant) == (SPEC, "S3", "expression")
    own = started_recipe(Recipe(system="S4", variant="mine"), about)
    assert (own.system, own.variant) == ("S4", "mine")
    hostile = replace(about, recipe={"variant": "../../x"})
    with pytest.raises(ModelError, match=r"system and variant: variant is '\.\./\.\./x'"):
        started_recipe(Recipe(), hostile)


def test_a_model_of_another_division_is_refused(tmp_path: Path, manifest: Any) -> None:
    path = saved(tmp_path / "m.keras", "b" * 64)
    with pytest.raises(ModelError, match="may have seen these test images"):
        start_stage(path, manifest)


def test_a_pruned_model_is_refused_as_a_start(tmp_path: Path, manifest: Any) -> None:
    path = saved(tmp_path / "m.keras", manifest.sha256, pruning_ratio=0.3)
    with pytest.raises(ModelError, match="is pruned already"):
        start_stage(path, manifest)


def test_a_teacher_of_another_division_is_refused(tmp_path: Path, manifest: Any) -> None:
    path = saved(tmp_path / "t.keras", "b" * 64)
    recipe = replace(RECIPE, teachers=(str(path),), train=TrainSpec(distill_ratio=0.5))
    with pytest.raises(ModelError, match=r"teacher .* divided otherwise"):
        open_run(recipe, manifest, tmp_path, SilentReporter())


def test_teachers_and_start_are_part_of_what_a_run_is(tmp_path: Path, manifest: Any) -> None:
    one = saved(tmp_path / "one.keras", manifest.sha256)
    plain = open_run(RECIPE, manifest, tmp_path, SilentReporter())
    started = open_run(RECIPE, manifest, tmp_path, SilentReporter(), one)
    taught = replace(RECIPE, teachers=(str(one),), train=TrainSpec(distill_ratio=0.5))
    third = open_run(taught, manifest, tmp_path, SilentReporter())
    assert len({plain.id, started.id, third.id}) == 3


def test_times_of_a_cut_network_follow_its_kernels() -> None:
    layers = keras.layers

    def network(first: int, second: int) -> Any:
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(first, 3, name="first")(image)
        x = layers.DepthwiseConv2D(3, name="depthwise")(x)
        return keras.Model(image, layers.Conv2D(second, 1, name="second")(x))

    times = {"first": 1.0, "depthwise": 3.0, "second": 4.0}
    found = scaled_times(times, network(16, 32), network(8, 24))
    assert found == {
        "first": 1.0 * 8 / 16,
        "depthwise": 3.0 * 8 / 16,
        "second": 4.0 * (8 * 24) / (16 * 32),
    }


def test_reports_of_two_rounds_join_into_one() -> None:
    model = build_model(SPEC, seed=1, reporter=SilentReporter())
    once, first = prune(model, pruning_ratio=0.3, round_to=8)
    _, second = prune(once, pruning_ratio=0.3, round_to=8)
    joined = combined([first, second])
    assert joined.macs_before == first.macs_before > first.macs_after == second.macs_before
    assert joined.macs_after == second.macs_after
    kept = sum(group.channels_after for group in second.groups)
    whole = sum(group.channels_before for group in first.groups)
    assert joined.pruning_ratio == pytest.approx(1 - kept / whole)
    assert combined([first]) == first
    words = pruned_in_words(PruneSpec(rounds=2), joined)
    assert words.startswith(f"{100 * joined.pruning_ratio:.0f} % of channels pruned (magnitude, 2")


def test_a_run_may_start_from_a_trained_model_of_another_size(
    tmp_path: Path, manifest: Any
) -> None:
    path = saved(tmp_path / "m.keras", manifest.sha256)
    wider, _ = start_stage(path, manifest)
    spec = replace(
        SPEC,
        width_ratio=0.2,
        side_px=64,
        weights=str(path),
        heads=("age", "mood"),
        classes={"mood": ("calm", "glad", "sad")},
    )
    network = build_start(replace(RECIPE, model=spec), manifest, SilentReporter(), magnitude)
    plain = build_model(replace(spec, weights="none"), seed=1, reporter=SilentReporter())
    assert [w.shape for w in network.get_weights()] == [w.shape for w in plain.get_weights()]
    kernel = network.get_layer("block_13_expand").get_weights()[0]
    whole = wider.get_layer("block_13_expand").get_weights()[0]
    assert kernel.shape != whole.shape
    assert np.isin(kernel, whole).all()  # every weight is one of the trained ones
    np.testing.assert_array_equal(
        network.get_layer("mood").get_weights()[0], plain.get_layer("mood").get_weights()[0]
    )


@pytest.mark.parametrize(
    ("digest", "ratio", "change", "message"),
    [
        ("b" * 64, 0.0, {}, "may have seen these test images"),
        (None, 0.3, {}, "is pruned, expected an unpruned model to start from"),
        (None, 0.0, {"width_ratio": 0.75}, r"do not fit width 0.75 at 32 px: .* a wider one"),
        (
            None,
            0.0,
            {"backbone": "mobilenetv1", "width_ratio": 1.0},
            "is a mobilenetv2, expected a mobilenetv1",
        ),
    ],
)
def test_a_start_that_cannot_serve_is_refused(
    tmp_path: Path,
    manifest: Any,
    digest: str | None,
    ratio: float,
    change: dict[str, Any],
    message: str,
) -> None:
    path = saved(tmp_path / "m.keras", digest or manifest.sha256, pruning_ratio=ratio)
    recipe = replace(RECIPE, model=replace(SPEC, weights=str(path), **change))
    with pytest.raises(ModelError, match=message):
        check_start(recipe, manifest)
