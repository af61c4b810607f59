"""`config`: what is shipped loads, and a wrong recipe names all that is wrong with it at once."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.config import (
    AugmentSpec,
    DataSpec,
    ModelSpec,
    PruneSpec,
    QuantizeSpec,
    Recipe,
    TrainSpec,
    load_recipe,
    shipped_recipes,
)
from edgeface.data.drawn import MAX_SIDE_PX, MIN_SIDE_PX
from edgeface.errors import ConfigError
from edgeface.records import from_mapping, to_mapping
from edgeface.training_specs import Backbone

ratios = st.floats(0, 1, exclude_max=True)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
augments = st.builds(
    AugmentSpec,
    flip=st.booleans(),
    scale_ratio=ratios,
    shift_ratio=ratios,
    rotate_degrees=st.floats(0, 180),
    light_ratio=ratios,
)
trainings = st.builds(
    TrainSpec,
    epochs=st.integers(1, 10**6),
    batch_size=st.integers(2, 10**6),
    optimizer=st.sampled_from(["adamw", "adam"]),
    learning_rate=positive,
    schedule=st.sampled_from(["cosine", "constant"]),
    warmup_ratio=ratios,
    weight_decay=st.floats(0, allow_infinity=False),
    label_smoothing_ratio=ratios,
    age_sigma_years=positive,
    age_weight=positive,
    batch_norm_momentum=ratios,
    precision=st.sampled_from(["float32", "bfloat16"]),
    patience=st.integers(0, 10**6),
    average_decay=ratios,
    mixup_alpha=st.just(0.0) | st.floats(0.01, 100),
    augment=augments,
)
recipes = st.builds(
    Recipe,
    description=st.text(max_size=10),
    seed=st.integers(0, 2**32 - 1),
    data=st.builds(
        DataSpec,
        validation_ratio=st.floats(0.01, 0.49),
        test_ratio=st.floats(0.01, 0.49),
        drawn_count=st.integers(50, 10**6),
        drawn_side_px=st.integers(32, 256),
    ),
    model=st.builds(
        ModelSpec,
        backbone=st.just("mobilenetv2"),
        width_ratio=st.floats(0.1, 2),
        side_px=st.integers(1, 16).map(lambda tiles: 32 * tiles),
        age_head=st.sampled_from(["median", "expectation", "regression"]),
        dropout_ratio=ratios,
        weights=st.text(max_size=10),
    ),
    train=trainings.map(lambda spec: replace(spec, mixup_alpha=0.0)),  # not with every head
    prune=st.builds(
        PruneSpec, pruning_ratio=ratios, round_to=st.integers(1, 512), fine_tune=trainings
    ),
    quantize=st.builds(QuantizeSpec, calibration_images=st.integers(8, 10**6)),
)


def write(folder: Path, text: str) -> str:
    path = folder / "recipe.toml"
    path.write_text(text, "utf-8")
    return str(path)


def problems_of(name_or_path: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as info:
        load_recipe(name_or_path, **options)
    assert "\n" not in str(info.value)
    assert name_or_path in str(info.value)
    return info.value.problems


def test_shipped_recipes_are_those_of_the_folder() -> None:
    assert shipped_recipes() == (
        "age-decades-cnn",
        "celeba-googlenet",
        "celeba-resnet18",
        "celeba-resnet50",
        "celeba-resnet50-3way",
        "celeba-vgg19",
        "cnn3",
        "cnn3-wide-dropout",
        "cnn4",
        "cnn5",
        "drawn",
        "expression-age-gender",
        "expression-cnn",
        "eyes-inceptionv3",
        "eyes-mobilenetv2",
        "face-teacher",
        "gender-cnn",
        "mobilenetv2",
        "vgg16",
        "vgg16-utkface",
    )


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_loads_and_says_what_its_file_says(name: str) -> None:
    recipe = load_recipe(name)
    text = (resources.files("edgeface") / "recipes" / f"{name}.toml").read_text("utf-8")

    def check(record: dict[str, Any], mapping: dict[str, Any]) -> None:
        for key, value in mapping.items():
            found = record[key]
            if isinstance(value, dict):
                check(found, value)
            else:
                assert (list(found) if isinstance(value, list) else found) == value, key

    check(to_mapping(recipe), tomllib.loads(text))
    assert recipe.description, "says what it is for"


def test_the_published_baseline_is_what_was_published() -> None:
    """docs/seeds.md, S0; it names no dropout ratio."""
    recipe = load_recipe("vgg16-utkface")
    assert recipe.model == ModelSpec(
        backbone="vgg16", side_px=128, age_head="regression", branch_units=256, dropout_ratio=0.5
    )
    train = recipe.train
    assert (train.optimizer, train.learning_rate, train.schedule) == ("adam", 1e-5, "constant")
    assert (train.batch_size, train.epochs) == (32, 30)
    assert (train.age_weight, train.label_smoothing_ratio) == (1, 0), "BCE + MAE"
    assert train.augment == AugmentSpec(
        flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0
    )
    assert not train.balance
    assert not train.distill_ratio
    assert not train.average_decay
    assert not train.mixup_alpha
    assert not recipe.prune.cuts


def test_both_baselines_are_one_network() -> None:
    published, ours = load_recipe("vgg16-utkface").model, load_recipe("vgg16").model
    assert replace(published, age_head="median") == ours


NO_AUGMENTATION = AugmentSpec(
    flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0
)


@pytest.mark.parametrize(
    ("name", "backbone", "branch_units", "dropout_ratio", "batch_size"),
    [
        ("cnn3", "cnn3", 256, 0.3, 32),
        ("cnn3-wide-dropout", "cnn3", 512, 0.5, 128),
        ("cnn4", "cnn4", 512, 0.3, 64),
        ("cnn5", "cnn5", 512, 0.3, 32),
    ],
)
def test_the_four_own_networks_are_as_published(
    name: str, backbone: Any, branch_units: int, dropout_ratio: float, batch_size: int
) -> None:
    """docs/seeds.md, S4; it names no learning rate and no precision."""
    recipe = load_recipe(name)
    assert (recipe.data.validation_ratio, recipe.data.test_ratio) == (0.2, 0.2)
    assert recipe.model == ModelSpec(
        backbone=backbone,
        side_px=128,
        colour="grey",
        age_head="regression",
        age_activation="relu",
        branch_units=branch_units,
        dropout_ratio=dropout_ratio,
        weights="none",
    )
    assert recipe.train == TrainSpec(
        epochs=12,
        batch_size=batch_size,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        precision=recipe.train.precision,
        label_smoothing_ratio=0,
        age_weight=1,
        augment=NO_AUGMENTATION,
    )


@pytest.mark.parametrize(
    ("name", "backbone", "learning_rate", "frozen"),
    [
        ("celeba-resnet50", "resnet50", 1e-3, False),
        ("celeba-resnet18", "resnet18", 1e-3, False),
        ("celeba-googlenet", "googlenet", 1e-3, False),
        ("celeba-vgg19", "vgg19", 2e-4, True),
    ],
)
def test_the_four_of_celeba_are_as_published(
    name: str, backbone: str, learning_rate: float, frozen: bool
) -> None:
    """docs/seeds.md, S1: 10 or 20 epochs, of which the best is kept here."""
    recipe = load_recipe(name)
    assert (recipe.model.backbone, recipe.model.side_px) == (backbone, 224)
    assert recipe.model.heads == ("gender",)
    assert recipe.data.test_ratio == 0.2
    assert recipe.train == TrainSpec(
        epochs=20,
        batch_size=32,
        optimizer="adam",
        learning_rate=learning_rate,
        schedule="constant",
        label_smoothing_ratio=0,
        freeze_backbone=frozen,
        augment=NO_AUGMENTATION,
    )


@pytest.mark.parametrize("name", ["eyes-inceptionv3", "eyes-mobilenetv2"])
def test_the_two_of_the_eyes_are_as_published(name: str) -> None:
    """docs/seeds.md, S2."""
    recipe = load_recipe(name)
    assert recipe.model.backbone == name.removeprefix("eyes-")
    assert (recipe.model.colour, recipe.model.heads) == ("grey", ("gender",))
    assert (recipe.data.test_ratio, recipe.train.epochs) == (0.2, 30)


def test_the_three_tasks_are_one_network_or_three() -> None:
    """docs/seeds.md, S3: seven expressions, eleven decades, gender."""
    one = load_recipe("expression-age-gender").model
    three = [load_recipe(n).model for n in ("gender-cnn", "age-decades-cnn", "expression-cnn")]
    assert one.heads == tuple(head for each in three for head in each.heads)
    assert [each.age_head for each in three][1] == "decades"
    assert one.classes == three[2].classes
    assert len(one.classes["expression"]) == 7
    for name in ("expression-age-gender", "expression-cnn"):
        assert load_recipe(name).train.balance == ("expression",), "no class is never predicted"


def test_each_published_system_has_its_recipes() -> None:
    """The issue names them; the others are edgeface's own."""
    of_system: dict[str, set[str]] = {}
    for name in shipped_recipes():
        of_system.setdefault(load_recipe(name).system, set()).add(name)
    assert of_system == {
        "": {"drawn", "face-teacher", "mobilenetv2", "vgg16"},
        "S0": {"vgg16-utkface"},
        "S1": {f"celeba-{of}" for of in ("googlenet", "resnet18", "resnet50", "vgg19")}
        | {"celeba-resnet50-3way"},
        "S2": {"eyes-inceptionv3", "eyes-mobilenetv2"},
        "S3": {"age-decades-cnn", "expression-age-gender", "expression-cnn", "gender-cnn"},
        "S4": {"cnn3", "cnn3-wide-dropout", "cnn4", "cnn5"},
    }


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_can_be_done_as_a_whole(name: str) -> None:
    """A regression head has no distribution to learn from; frozen random features teach nothing."""
    recipe = load_recipe(name)
    if "age" in recipe.model.heads and recipe.model.age_head == "regression":
        assert not recipe.prune.cuts or recipe.prune.fine_tune.distill_ratio == 0
    if recipe.train.freeze_backbone:
        assert recipe.model.weights != "none"
    if recipe.prune.cuts:
        assert recipe.prune.fine_tune.balance == recipe.train.balance


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[quantize]\nmethod = 'qat'\n[model]\ncolour = 'grey'", "quantize.method is 'qat' with"),
        ("[quantize.fine_tune]\nfreeze_backbone = true", "quantize.fine_tune.freeze_backbone is"),
        ("[prune.fine_tune]\nfreeze_backbone = true", "prune.fine_tune.freeze_backbone is true"),
        ("[train.head_weights]\nage = 2.0", "train.head_weights has age, expected only heads"),
        ("[train.head_weights]\nsmile = 2.0", "train.head_weights has smile, expected only heads"),
    ],
)
def test_what_training_could_not_keep_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_recipe(write(tmp_path, text))


def test_the_recipe_for_everybody_needs_neither_network_nor_pretrained_weights() -> None:
    assert load_recipe("drawn").model.weights == "none"


def test_drawn_sides_are_those_that_can_be_drawn() -> None:
    for side_px in (MIN_SIDE_PX, MAX_SIDE_PX):
        assert DataSpec(drawn_side_px=side_px).drawn_side_px == side_px
    for side_px in (MIN_SIDE_PX - 1, MAX_SIDE_PX + 1):
        with pytest.raises(ValueError, match=f"drawn_side_px is {side_px}"):
            DataSpec(drawn_side_px=side_px)


@given(recipe=recipes)
def test_every_recipe_survives_being_written_down(recipe: Recipe) -> None:
    assert from_mapping(Recipe, to_mapping(recipe)) == recipe


def test_a_recipe_file_is_read_over_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "seed = 7\n[prune]\nround_to = 16\n[train.augment]\nflip = false\n")
    default = Recipe()
    assert load_recipe(path) == replace(
        default,
        seed=7,
        prune=replace(default.prune, round_to=16),
        train=replace(default.train, augment=AugmentSpec(flip=False)),
    )
    assert load_recipe(write(tmp_path, "")) == default


def test_settings_of_the_model_take_the_place_of_the_recipes(tmp_path: Path) -> None:
    path = write(tmp_path, "[model]\nside_px = 96\nwidth_ratio = 0.5\n")
    found = load_recipe(path, model={"side_px": 160, "weights": "a.keras"}).model
    assert (found.side_px, found.width_ratio, found.weights) == (160, 0.5, "a.keras")
    assert load_recipe(write(tmp_path, ""), model={"side_px": 64}).model.side_px == 64
    (problem,) = problems_of(write(tmp_path, "model = 3"), model={"side_px": 64})
    assert problem == "model: found 3 (int), expected a table of keys"


def test_all_problems_of_a_recipe_are_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        sead = 1
        [data]
        drawn_count = 49
        test_ratio = "a fifth"
        [model]
        backbone = "mobilenetv3"
        side_px = 100
        width_ratio = 3
        [train]
        epochs = true
        batch_size = 1
        augmnt = {}
        [train.augment]
        flip = 1
        shift_ratio = 1.0
        [prune]
        pruning_ratio = 1
        [prune.fine_tune]
        learning_rate = 0
        [quantize]
        calibration_images = 8.5
        """,
    )
    assert problems_of(path) == (
        "sead: unknown key, expected one of " + ", ".join(field.name for field in fields(Recipe)),
        "data.test_ratio: found 'a fifth' (str), expected float",
        "data.drawn_count is 49, expected 50 or more",
        "model.backbone: found 'mobilenetv3', expected one of "
        + ", ".join(repr(name) for name in get_args(Backbone)),
        "model.width_ratio is 3.0, expected 0.1 to 2",
        "model.side_px is 100, expected a multiple of 32 from 32 to 512",
        "train.augmnt: unknown key, expected one of "
        + ", ".join(field.name for field in fields(TrainSpec)),
        "train.epochs: found True (bool), expected int",
        "train.augment.flip: found 1 (int), expected bool",
        "train.augment.shift_ratio is 1.0, expected 0 up to 1",
        "train.batch_size is 1, expected 2 or more",
        "prune.fine_tune.learning_rate is 0.0, expected above 0 and finite",
        "prune.pruning_ratio is 1.0, expected 0 up to 1",
        "quantize.calibration_images: found 8.5 (float), expected int",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("variant = '../x'", "variant is '../x', expected lower-case letters and digits"),
        ("variant = 'Two'", "variant is 'Two', expected lower-case letters and digits"),
        ("seed = -1", "seed is -1, expected 0 to 4294967295"),
        ("seed = 4294967296", "seed is 4294967296, expected 0 to 4294967295"),
        ("data.validation_ratio = 0", "data.validation_ratio is 0.0, expected above 0"),
        ("data.test_ratio = -0.1", "data.test_ratio is -0.1, expected above 0"),
        ("data.test_ratio = 0.9", "data.validation_ratio + test_ratio is 1, expected below 1"),
        ("data.drawn_side_px = 31", "data.drawn_side_px is 31, expected 32 to 256"),
        ("model.side_px = 0", "model.side_px is 0, expected a multiple of 32"),
        ("model.side_px = 544", "model.side_px is 544, expected a multiple of 32"),
        ("model.dropout_ratio = 1", "model.dropout_ratio is 1.0, expected 0 up to 1"),
        (
            "model = {backbone = 'vgg16', width_ratio = 0.5}",
            "model.width_ratio is 0.5, expected 1: only mobilenetv2 has others",
        ),
        ("train.epochs = 0", "train.epochs is 0, expected 1 or more"),
        ("train.learning_rate = inf", "train.learning_rate is inf, expected above 0 and finite"),
        ("train.learning_rate = nan", "train.learning_rate is nan, expected above 0 and finite"),
        ("train.age_weight = 0", "train.age_weight is 0.0, expected above 0 and finite"),
        ("train.weight_decay = -0.1", "train.weight_decay is -0.1, expected 0 or more and finite"),
        ("train.weight_decay = inf", "train.weight_decay is inf, expected 0 or more and finite"),
        ("train.warmup_ratio = 1", "train.warmup_ratio is 1.0, expected 0 up to 1"),
        ("train.augment.rotate_degrees = 181", "train.augment.rotate_degrees is 181.0, expected 0"),
        ("train.augment.light_ratio = -0.1", "train.augment.light_ratio is -0.1, expected 0 up"),
        (
            "train.precision = 'float16'",
            "train.precision: found 'float16', expected one of 'float3",
        ),
        ("train.patience = -1", "train.patience is -1, expected 0 or more"),
        ("train.average_decay = 1", "train.average_decay is 1.0, expected 0 up to 1"),
        ("train.mixup_alpha = -0.1", "train.mixup_alpha is -0.1, expected 0.01 to 100, or 0"),
        ("train.mixup_alpha = nan", "train.mixup_alpha is nan, expected 0.01 to 100, or 0"),
        ("prune.round_to = 0", "prune.round_to is 0, expected 1 or more"),
        ("prune.rounds = 0", "prune.rounds is 0, expected 1 or more"),
        ("prune.cycles = 0", "prune.cycles is 0, expected 1 or more"),
        ("prune.between_epochs = 0", "prune.between_epochs is 0, expected 1 or more"),
        ("prune.budget_ratio = 0", "prune.budget_ratio is 0.0, expected above 0 and below 1"),
        ("prune.layer_times = 'a.json'", "prune.layer_times is 'a.json', expected none with"),
        ("sparsify.sparsity = 1", "sparsify.sparsity is 1.0, expected 0 up to 1"),
        ("sparsify = {sparsity = 0.8, pattern = '2:4'}", "sparsify.sparsity is 0.8, expected 0.5"),
        ("cluster.clusters = 1", "cluster.clusters is 1, expected 2 to 256, or 0 for none"),
        (
            "train.mixup_alpha = 0.2\nmodel.age_head = 'regression'",
            "train.mixup_alpha is 0.2, expected 0 with age_head 'regression'",
        ),
        ("train.distill_ratio = 1.5", "train.distill_ratio is 1.5, expected 0 to 1"),
        ("train.distill_ratio = 0.5", "train.distill_ratio is 0.5, expected 0 without teachers"),
        ("sparsify.sparsity = 0.8\ncluster.clusters = 8", "sparsify and cluster are both on"),
        ("sparsify.sparsity = 0.8\nquantize.method = 'qat'", "quantize.method is 'qat' after"),
        ("quantize.calibration_images = 7", "quantize.calibration_images is 7, expected 8 or more"),
    ],
)
def test_what_is_out_of_range(text: str, problem: str, tmp_path: Path) -> None:
    (found,) = problems_of(write(tmp_path, text))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"seed: 1", "not TOML: "),
        (b"seed = 1\nseed = 2", "not TOML: "),
        (b"seed = 1" + b"0" * 5000, "not TOML: "),  # more digits than Python reads
        (b"description = " + b"[" * 5000, "not TOML: "),  # deeper than Python's stack
        (b"description = '\xff'", "cannot be read: "),
    ],
)
def test_what_is_not_toml(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    (found,) = problems_of(str(path))
    assert found.startswith(problem)


def test_a_recipe_that_is_not_there_names_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "recipe.json").write_text("{}")
    for name in ("mobilnet", "folder.toml", "recipe.json", "none.toml"):
        for given_name in (name, str(tmp_path / name)):
            (found,) = problems_of(given_name)
            assert found == (
                "not found; give the path of a .toml file or one of " + ", ".join(shipped_recipes())
            )
    (found,) = problems_of("r" * 300 + ".toml")  # longer than a file name can be
    assert found.startswith("cannot be read: ")
