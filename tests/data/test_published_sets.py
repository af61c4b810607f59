"""The sets of the published systems, in small and of drawn faces: prepared, and trained on once.

S1's real set is not here; so each of its recipes is shown to work on its format, to the end.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from edgeface.bench.systems import system_rows
from edgeface.config import Recipe, load_recipe, shipped_recipes
from edgeface.data.adapters.detect import list_dataset
from edgeface.data.faces import UNKNOWN
from edgeface.data.labels import check_classes
from edgeface.data.manifest import Manifest, Row
from edgeface.data.manifest_file import read_manifest, write_manifest
from edgeface.data.prepare import prepare
from edgeface.data.scan import scan
from edgeface.data.sources import open_data
from edgeface.errors import ModelError
from edgeface.model.heads import head_specs, head_width
from edgeface.pipeline import Request, compress
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.selftest import self_test
from edgeface.stages import open_manifest, open_run, train_stage
from edgeface.stages_start import check_start
from edgeface.types import SilentReporter
from support.celeba_like import celeba_like, copy_file, eyes_like, fer2013_like, utkface_like

QUIET = SilentReporter()


def prepared(root: Path, recipe: Recipe) -> Manifest:
    """Do what `edgeface data prepare` does with the recipe's shares."""
    listing = list_dataset(root)
    return prepare(
        listing,
        scan(listing, QUIET),
        seed=recipe.seed,
        validation_ratio=recipe.data.validation_ratio,
        test_ratio=recipe.data.test_ratio,
    )


def shrunk(name: str, *, side_px: int = 32, width_ratio: float = 1.0) -> Recipe:
    """A shipped recipe with everything that takes time made small; the rest as it is."""
    recipe = load_recipe(name)
    model = replace(recipe.model, side_px=side_px, width_ratio=width_ratio, weights="none")
    return replace(
        recipe,
        model=model,
        train=replace(recipe.train, epochs=1, batch_size=8),
        prune=replace(
            recipe.prune, fine_tune=replace(recipe.prune.fine_tune, epochs=1, batch_size=8)
        ),
        quantize=replace(recipe.quantize, calibration_images=8),
    )


def rows_of(manifest: Manifest) -> dict[str, Row]:
    return {Path(row.id).name: row for row in manifest.rows}


def test_copies_in_celeba_are_found_by_hash_and_stay_on_one_side(tmp_path: Path) -> None:
    """S1 found 17 among 5,017 and removed them; here they may stay, in one split."""
    root = celeba_like(tmp_path / "celeba", 40, copies={7: 3, 21: 12})
    manifest = prepared(root, load_recipe("celeba-resnet18"))
    rows = rows_of(manifest)
    for copy, of in (("000007.jpg", "000003.jpg"), ("000021.jpg", "000012.jpg")):
        assert rows[copy].sha256 != rows[of].sha256, "found by how it looks, not by its bytes"
        assert rows[copy].group == rows[of].group
        assert rows[copy].split == rows[of].split
    # 80/20 as published, with the validation images out of the 80
    counts = [len(manifest.of_split(split)) for split in ("train", "validation", "test")]
    np.testing.assert_allclose(counts, [28, 4, 8], atol=1)
    assert {attribute.name for attribute in manifest.sources[0].attributes} == {"gender"}


def test_a_copy_of_an_official_test_image_is_not_trained_on(tmp_path: Path) -> None:
    partition = [0] * 24 + [1] * 8 + [2] * 8
    root = celeba_like(tmp_path / "celeba", 40, copies={35: 5}, partition=partition)
    rows = rows_of(prepared(root, load_recipe("celeba-resnet50-3way")))
    assert rows["000035.jpg"].split == "test"
    assert rows["000005.jpg"].left_out.endswith("000035.jpg, which is in test")
    assert rows["000030.jpg"].split == "validation"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("celeba")])
def test_a_recipe_of_s1_goes_from_celeba_to_a_measured_int8(name: str, tmp_path: Path) -> None:
    root = celeba_like(tmp_path / "celeba", 40, copies={7: 3})
    recipe = shrunk(name)
    if recipe.train.freeze_backbone:  # frozen ones need weights to be worth anything
        network = keras.applications.VGG19(include_top=False, weights=None)
        network.save_weights(tmp_path / "vgg19.h5")
        recipe = replace(recipe, model=replace(recipe.model, weights=str(tmp_path / "vgg19.h5")))
    outcome = compress(
        Request(
            recipe=recipe,
            data=(root,),
            out=tmp_path / "out",
            calibration_out=tmp_path / "calibration",
            overwrite=False,
        ),
        QUIET,
    )
    assert outcome.prune_report is not None
    assert outcome.prune_report.macs_after < outcome.prune_report.macs_before
    test = outcome.manifest.of_split("test")
    int8 = next(each for each in outcome.artifacts if each.sidecar.scheme == "int8")
    assert self_test(load_artifact(int8.path)) == ()
    assert int8.sidecar.quality is not None
    assert int8.sidecar.quality.n == len(test)
    rows = [row for row in system_rows([each.sidecar for each in outcome.artifacts]) if row.model]
    (row,) = rows
    assert (row.system, row.model) == ("S1", int8.sidecar.name)
    assert row.published is not None
    assert row.published.backbone == recipe.model.backbone
    assert row.float32 is not None
    assert row.int8 is not None
    assert row.n == len(test)


def test_random_weights_are_not_frozen(tmp_path: Path) -> None:
    root = celeba_like(tmp_path / "celeba", 20)
    recipe = shrunk("celeba-vgg19")
    with pytest.raises(ModelError, match="freeze_backbone is true with"):
        check_start(recipe, prepared(root, recipe))


@pytest.mark.slow
def test_one_network_learns_from_two_sets_that_know_different_things(tmp_path: Path) -> None:
    """S3 as one: ages and genders of the one set, expressions of the other, masks for the rest."""
    utkface = utkface_like(tmp_path / "utkface", 40)
    fer2013 = fer2013_like(tmp_path / "fer2013", {"train": 5, "test": 2})
    copy_file(fer2013 / "test" / "sad" / "im45.png", fer2013 / "train" / "sad" / "copy.png")
    recipe = shrunk("expression-age-gender", width_ratio=0.35)
    alone = open_data([utkface], recipe.data, recipe.seed, QUIET)
    write_manifest(tmp_path / "utkface.json", alone)
    manifest = open_manifest(recipe, [tmp_path / "utkface.json", fer2013], QUIET)
    write_manifest(tmp_path / "both.json", manifest)
    assert read_manifest(tmp_path / "both.json") == manifest

    first = {row.id: row.split for row in manifest.rows if row.source == 0}
    assert first == {row.id: row.split for row in alone.rows}, "divided as the set alone"
    assert manifest.covers(alone.sha256)
    second = [row for row in manifest.rows if row.source == 1]
    official = {row.id for row in second if row.id.startswith("test/")}
    assert official == {row.id for row in second if row.split == "test"}
    (left_out,) = (row for row in second if row.left_out)
    assert left_out.id == "train/sad/copy.png"
    assert left_out.left_out == "copy of test/sad/im45.png, which is in test"

    run = open_run(recipe, manifest, tmp_path / "out", QUIET)
    of_second = np.array([id.startswith("1:") for id in run.train.ids])
    np.testing.assert_array_equal(run.train.class_of("expression") == UNKNOWN, ~of_second)
    np.testing.assert_array_equal(run.train.class_of("gender") == UNKNOWN, of_second)
    np.testing.assert_array_equal(run.train.has_age, ~of_second)
    model, about = train_stage(run)
    assert model.output_shape == {
        head: (None, width) for head, width in (("gender", 1), ("age", 101), ("expression", 7))
    }
    (epoch,) = about.history
    assert set(epoch.validation) == {"gender", "age", "expression"}


def test_eye_crops_have_the_order_of_genders_of_every_other_set(tmp_path: Path) -> None:
    """Folders in order of the alphabet would make female 0."""
    manifest = prepared(eyes_like(tmp_path / "eyes", 40), load_recipe("eyes-mobilenetv2"))
    assert [(a.name, a.classes) for a in manifest.sources[0].attributes] == [
        ("gender", ("male", "female"))
    ]
    for row in manifest.rows:
        assert row.classes == {"gender": 1 if row.id.startswith("female/") else 0}
        assert row.age is None
    used = [row for row in manifest.rows if row.split]
    assert sum(row.split == "test" for row in used) == pytest.approx(0.2 * len(used), abs=1)


@pytest.mark.parametrize("name", ["expression-age-gender", "expression-cnn"])
def test_a_recipes_expressions_are_those_of_the_set(name: str, tmp_path: Path) -> None:

    listing = list_dataset(fer2013_like(tmp_path / "fer2013", {"train": 1}))
    heads = head_specs(load_recipe(name).model)
    check_classes(listing.attributes, heads, "fer2013")
    assert {head.name: head_width(head) for head in heads}["expression"] == 7
