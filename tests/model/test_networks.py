"""The networks: shapes, heads, starting weights, and that normalisation is inside."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.backbones.picture import GREY
from edgeface.model.backbones.vgg import VGG16_CONVOLUTION_PARAMETERS
from edgeface.model.heads import head_specs
from edgeface.model.networks import (
    build_model,
    freeze_backbone,
    set_batch_norm_momentum,
    unfreeze,
)
from edgeface.outputs import BASELINE
from edgeface.types import SilentReporter

SMALL = ModelSpec(width_ratio=0.35, side_px=32, weights="none")
SMALL_VGG16 = ModelSpec(backbone="vgg16", side_px=32, weights="none", age_head="regression")


class Listener(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def build(spec: ModelSpec, seed: int = 1) -> Any:
    return build_model(spec, seed=seed, reporter=SilentReporter())


def with_weights(spec: ModelSpec, weights: object) -> ModelSpec:
    return ModelSpec(**{**vars(spec), "weights": str(weights)})


def until(model: Any, layer: str) -> Any:
    return keras.Model(model.input, model.get_layer(layer).output)


def faces(count: int = 3) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3))
    return pixels.astype(np.float32)


@pytest.fixture(scope="module")
def small() -> Any:
    return build(SMALL)


@pytest.fixture(scope="module")
def vgg16_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the published file looks like: Keras's own VGG16 without top."""
    keras.utils.set_random_seed(7)
    path: Path = tmp_path_factory.mktemp("weights") / "vgg16_no_top.h5"
    network = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    network.save_weights(path)
    return path


def test_baseline_has_the_parameters_of_the_published_one() -> None:
    model = build(BASELINE)
    assert model.count_params() == 18_910_018
    heads = 2 * (4 * 4 * 512 * 256 + 256) + 2 * (256 + 1)
    assert model.count_params() == VGG16_CONVOLUTION_PARAMETERS + heads
    assert model.input_shape == (None, 128, 128, 3)
    assert model.output_shape == {"gender": (None, 1), "age": (None, 1)}


def test_mobilenetv2_has_an_output_a_head(small: Any) -> None:
    assert small.name == "mobilenetv2"
    assert small.input_names == ["image"]
    assert small.input_shape == (None, 32, 32, 3)
    assert small.output_shape == {"gender": (None, 1), "age": (None, 101)}
    outputs = small(faces(2), training=False)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "gender": (2, 1),
        "age": (2, 101),
    }


def test_constant_images_are_normalised_inside(small: Any) -> None:
    pixels = np.array([0, 51, 127.5, 255], np.float32)
    images = np.ones((4, 32, 32, 3), np.float32) * pixels[:, None, None, None]
    scaled = until(small, "rescale")(images)
    np.testing.assert_allclose(scaled, images / 127.5 - 1, atol=1e-6)
    # VGG16: the mean colour of ImageNet, red first, becomes zero
    centred = np.asarray(until(build(SMALL_VGG16), "rescale")(images))[:, 0, 0]
    expected = pixels[:, None] - np.array([123.68, 116.779, 103.939])
    np.testing.assert_allclose(centred, expected, atol=1e-4)


def test_mobilenetv2_gives_what_keras_gives_for_preprocessed_images() -> None:
    model = build(SMALL)
    theirs = keras.applications.MobileNetV2(
        include_top=False, weights=None, alpha=0.35, input_shape=(32, 32, 3), pooling="avg"
    )
    rng = np.random.default_rng(3)
    for layer in theirs.layers:
        weights = [rng.uniform(0.5, 1.5, w.shape) * (w + 0.01) for w in layer.get_weights()]
        layer.set_weights(weights)
        if weights:
            model.get_layer(layer.name).set_weights(weights)
    preprocessed = keras.applications.mobilenet_v2.preprocess_input(faces())
    # float32 through 52 convolutions; the two graphs differ in how they write (x - 127.5) / 127.5
    np.testing.assert_allclose(
        until(model, "pool")(faces()), theirs(preprocessed), rtol=1e-3, atol=1e-5
    )


def test_vgg16_takes_rgb_and_gives_what_keras_gives_for_bgr(vgg16_file: Path) -> None:
    theirs = keras.applications.VGG16(
        include_top=False, weights=str(vgg16_file), input_shape=(32, 32, 3)
    )
    ours = build(with_weights(SMALL_VGG16, vgg16_file))
    kernel, bias = ours.get_layer("block1_conv1").get_weights()
    their_kernel, their_bias = theirs.get_layer("block1_conv1").get_weights()
    np.testing.assert_array_equal(kernel, their_kernel[:, :, ::-1, :])
    np.testing.assert_array_equal(bias, their_bias)
    assert np.any(kernel != their_kernel)
    np.testing.assert_array_equal(
        ours.get_layer("block1_conv2").get_weights()[0],
        theirs.get_layer("block1_conv2").get_weights()[0],
    )
    # preprocess_input turns RGB into BGR and subtracts the means; float32 through 13 convolutions
    preprocessed = keras.applications.vgg16.preprocess_input(faces())
    expected = np.asarray(theirs(preprocessed)).reshape(3, -1)
    assert expected.std() > 0
    found = until(ours, "flatten")(faces())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_one_seed_gives_one_set_of_weights_and_another_seed_another(small: Any) -> None:
    again = build(SMALL)
    for weight, same in zip(small.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)
    other = build(ModelSpec(**{**vars(SMALL), "dropout_ratio": 0.0}), seed=2)
    kernel, unlike = (m.get_layer("block_3_expand").get_weights()[0] for m in (small, other))
    assert np.any(kernel != unlike)
    # the second has no dropout, and nothing else is missing
    names, fewer = ({layer.name for layer in m.layers} for m in (small, other))
    assert names - fewer == {"gender_dropout", "age_dropout"}
    assert fewer <= names


def test_heads_are_what_the_spec_names() -> None:
    spec = ModelSpec(
        **{
            **vars(SMALL),
            "heads": ("expression", "age", "beard"),
            "classes": {"expression": ("happy", "neutral", "sad"), "beard": ("no", "yes")},
            "age_head": "regression",
            "age_activation": "relu",
            "branch_units": 24,
        }
    )
    model = build(spec)
    assert model.output_shape == {"expression": (None, 3), "age": (None, 1), "beard": (None, 1)}
    for name, activation in (("expression", "linear"), ("age", "relu"), ("beard", "linear")):
        head, branch = model.get_layer(name), model.get_layer(f"{name}_branch")
        assert keras.activations.serialize(head.activation) == activation
        assert keras.activations.serialize(branch.activation) == "relu"
        assert branch.output_shape == (None, 24)
        assert head.kernel.shape[0] == 24
    # a linear head of the same weights says ages below 0, this one 0
    kernel, bias = model.get_layer("age").get_weights()
    model.get_layer("age").set_weights([-np.abs(kernel), bias - 1])
    assert not model(faces())["age"].numpy().any()


def test_only_heads_and_branches_of_a_frozen_model_train() -> None:
    spec = ModelSpec(**{**vars(SMALL), "branch_units": 8, "colour": "grey"})
    model = build(spec)
    whole = {weight.name for weight in model.trainable_weights}
    freeze_backbone(model, head_specs(spec))
    heads = {
        f"{name}{of}/{weight}:0"
        for name in ("gender", "age")
        for of in ("", "_branch")
        for weight in ("kernel", "bias")
    }
    assert {weight.name for weight in model.trainable_weights} == heads
    # batch normalization computes as in inference: a batch changes no statistic
    norm = model.get_layer("bn_Conv1")
    before = norm.get_weights()
    one, other = (until(model, "pool")(faces(), training=training) for training in (True, False))
    np.testing.assert_array_equal(one, other)
    for weight, was in zip(norm.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    # a copy is frozen too, and the model can be given back
    copy = keras.models.clone_model(model)
    assert {weight.name for weight in copy.trainable_weights} == heads
    unfreeze(model)
    assert {weight.name for weight in model.trainable_weights} == whole
    assert not model.get_layer(GREY).trainable
    until(model, "pool")(faces(), training=True)
    assert any(np.any(w != was) for w, was in zip(norm.get_weights(), before, strict=True))


def test_a_model_without_a_heads_layer_is_not_frozen_whole(small: Any) -> None:
    heads = head_specs(ModelSpec(heads=("gender", "race"), classes={"race": ("a", "b", "c")}))
    with pytest.raises(ModelError, match="has no layer 'race'"):
        freeze_backbone(small, heads)
    assert small.get_layer("Conv1").trainable


def test_batch_norm_momentum_is_set_everywhere() -> None:
    image = keras.Input((8, 8, 3))
    norm = keras.layers.BatchNormalization
    model = keras.Model(image, norm()(keras.layers.Conv2D(2, 3)(norm()(image))))
    set_batch_norm_momentum(model, 0.9)
    assert [getattr(layer, "momentum", None) for layer in model.layers] == [None, 0.9, None, 0.9]


def test_weights_of_a_file_are_loaded_and_named(tmp_path: Path) -> None:
    keras.utils.set_random_seed(11)
    theirs = keras.applications.MobileNetV2(
        include_top=False, weights=None, alpha=0.35, input_shape=(96, 96, 3)
    )
    theirs.save_weights(tmp_path / "any.h5")
    listener = Listener()
    spec = with_weights(SMALL, tmp_path / "any.h5")
    model = build_model(spec, seed=1, reporter=listener)
    np.testing.assert_array_equal(
        model.get_layer("block_7_project").get_weights()[0],
        theirs.get_layer("block_7_project").get_weights()[0],
    )
    assert listener.lines == [f"mobilenetv2: starts from {tmp_path / 'any.h5'}"]


def test_random_weights_are_called_random() -> None:
    listener = Listener()
    build_model(SMALL, seed=1, reporter=listener)
    assert listener.lines == ["mobilenetv2: starts from random weights (nothing pretrained)"]


def test_a_missing_weights_file_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.h5: no such file; give a path") as caught:
        build(with_weights(SMALL, tmp_path / "nowhere.h5"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["text.h5", "text.txt", "empty.h5"])
def test_a_file_that_is_no_weights_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("" if name.startswith("empty") else "these are no weights\n")
    with pytest.raises(ModelError, match=r"do not fit mobilenetv2 width 0\.35") as caught:
        build(with_weights(SMALL, tmp_path / name))
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_in_one_line(vgg16_file: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a tf_keras no-top \.h5") as caught:
        build(with_weights(SMALL, vgg16_file))
    assert "\n" not in str(caught.value)


def test_without_a_network_imagenet_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("tf_keras.src.utils.data_utils.urlretrieve", unreachable)
    with pytest.raises(ModelError, match=r"cannot be downloaded.*--weights none") as caught:
        build(with_weights(SMALL, "imagenet"))
    assert "\n" not in str(caught.value)
