"""The backbones: what a recipe can name, what their weights are, and what they see of a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
import tf_keras as keras

from edgeface import training_specs
from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.backbones.picture import CENTRED, GREY, SIGNED, STANDARD, Scaling
from edgeface.model.backbones.registry import BACKBONES
from edgeface.model.backbones.resnet import resnet18
from edgeface.model.networks import build_model
from edgeface.types import SilentReporter

APPS = keras.applications


def build(backbone: str, **options: Any) -> Any:
    spec = ModelSpec(
        **{
            "backbone": backbone,
            "side_px": BACKBONES[backbone].smallest_side_px,
            "weights": "none",
            "heads": ("gender",),
            "dropout_ratio": 0.0,
            **options,
        }
    )
    return build_model(spec, seed=1, reporter=SilentReporter())


def pictures(side_px: int, count: int = 2) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side_px, side_px, 3))
    return pixels.astype(np.float32)


def features(model: Any) -> Any:
    return keras.Model(model.input, model.get_layer("gender").input)


def test_the_registry_has_what_a_recipe_can_name() -> None:
    assert set(BACKBONES) == set(get_args(training_specs.Backbone))


def of_mode(mode: str) -> Callable[[Any], Any]:
    return lambda images: APPS.imagenet_utils.preprocess_input(images.copy(), mode=mode)


def as_it_is(images: Any) -> Any:
    return images


PUBLISHED: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    # Keras's own network, and what Keras says is done to a picture before it
    "vgg19": (APPS.VGG19, of_mode("caffe")),
    "resnet50": (APPS.ResNet50, of_mode("caffe")),
    "inceptionv3": (APPS.InceptionV3, of_mode("tf")),
    "mobilenetv3small": (APPS.MobileNetV3Small, as_it_is),
    "mobilenetv3large": (APPS.MobileNetV3Large, as_it_is),
    "efficientnetb0": (APPS.EfficientNetB0, as_it_is),
    "convnexttiny": (APPS.ConvNeXtTiny, as_it_is),
}


def as_if_trained(model: Any) -> None:
    """Weights that are none of a start's, so that one in a wrong place shows."""
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            as_if_trained(layer)
        elif isinstance(layer, keras.layers.Normalization):
            if layer.weights:  # the picture's, in EfficientNet: ImageNet's mean and variance
                mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
                layer.set_weights([mean, deviation**2, np.array(0)])
                layer.finalize_state()
        elif layer.weights:
            weights = layer.get_weights()
            layer.set_weights(
                [w if w.ndim > 1 else rng.uniform(0.2, 0.6, w.shape) for w in weights]
            )


@pytest.mark.parametrize("backbone", list(PUBLISHED))
def test_a_file_of_kerass_own_gives_the_features_that_keras_gives(
    backbone: str, tmp_path: Path
) -> None:
    make, preprocess = PUBLISHED[backbone]
    side_px = BACKBONES[backbone].smallest_side_px
    keras.utils.set_random_seed(7)
    pooling = {"vgg19": None}.get(backbone, "avg")
    shape = (side_px, side_px, 3)
    theirs = make(include_top=False, weights=None, input_shape=shape, pooling=pooling)
    as_if_trained(theirs)
    theirs.save_weights(tmp_path / "theirs.h5")
    ours = features(build(backbone, weights=str(tmp_path / "theirs.h5")))
    images = pictures(side_px)
    expected = np.asarray(theirs(preprocess(images), training=False)).reshape(2, -1)
    found = np.asarray(ours(images, training=False))
    assert expected.std() > 0
    # float32 through up to 94 convolutions, in other orders
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * np.abs(expected).max())
    # and the weights are those, not only such
    other = features(build(backbone))
    assert np.abs(other(images, training=False) - expected).max() > 0.01 * np.abs(expected).max()


def test_weights_without_a_published_file_come_from_one_of_the_networks_layers(
    tmp_path: Path,
) -> None:
    keras.utils.set_random_seed(9)
    pixels = keras.Input((32, 32, 3))
    theirs = keras.Model(pixels, resnet18(pixels))
    as_if_trained(theirs)
    theirs.save_weights(tmp_path / "resnet18.h5")
    for colour in ("rgb", "grey"):
        ours = build("resnet18", weights=str(tmp_path / "resnet18.h5"), colour=colour)
        for layer in theirs.layers[1:]:
            for weight, expected in zip(
                ours.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(weight, expected)


def test_a_file_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    pixels = keras.Input((32, 32, 3))
    keras.Model(pixels, resnet18(pixels)).save_weights(tmp_path / "r.h5")
    for backbone in ("googlenet", "cnn3", "mobilenetv3small"):
        with pytest.raises(ModelError, match=rf"r\.h5: do not fit {backbone}") as caught:
            build(backbone, weights=str(tmp_path / "r.h5"))
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"nowhere\.h5: no such file"):
        build("googlenet", weights=str(tmp_path / "nowhere.h5"))


@pytest.mark.parametrize(
    "backbone", [name for name, backbone in BACKBONES.items() if not backbone.has_imagenet]
)
def test_imagenet_weights_are_not_promised_where_keras_has_none(backbone: str) -> None:
    with pytest.raises(ModelError, match=r"ImageNet weights of .*--weights none") as caught:
        build(backbone, weights="imagenet")
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(ModelError, match=r"side_px is 64, expected 96 or more for inceptionv3"):
        build("inceptionv3", side_px=64)


@pytest.mark.parametrize(
    ("backbone", "scaling"),
    [("mobilenetv2", SIGNED), ("vgg16", CENTRED), ("resnet18", STANDARD)],
)
def test_a_grey_model_sees_the_brightness_on_each_channel(backbone: str, scaling: Scaling) -> None:
    """As if the grey picture that OpenCV makes were given to the colour model."""
    model = build(backbone, colour="grey")
    images = pictures(32)
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])  # ITU-R BT.601
    repeated = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    scale, offset = (np.asarray(x, np.float32) for x in (scaling.scale, scaling.offset))
    expected = repeated * scale + offset
    seen = keras.Model(model.input, model.get_layer(GREY).output)
    # three weights with three digits, of 255 levels
    np.testing.assert_allclose(seen(images), expected, atol=1e-3 * np.abs(expected).max())
    colour = build(backbone)
    assert {layer.name for layer in model.layers} - {x.name for x in colour.layers} == {GREY}


def test_a_grey_plain_cnn_has_one_channel_from_0_to_1() -> None:
    model = build("cnn3", colour="grey", side_px=128)
    seen = keras.Model(model.input, model.get_layer(GREY).output)
    assert seen.output_shape == (None, 128, 128, 1)
    levels = np.array([0, 51, 255], np.float32)
    images = np.ones((3, 128, 128, 3), np.float32) * levels[:, None, None, None]
    np.testing.assert_allclose(np.asarray(seen(images))[:, 0, 0, 0], levels / 255, atol=1e-6)
    assert model.get_layer("block1_conv").get_weights()[0].shape == (3, 3, 1, 32)
    # docs/seeds.md S4: 3 halvings of 128 px, 128 filters
    assert model.get_layer("flatten").output_shape == (None, 16 * 16 * 128)


@pytest.mark.parametrize("backbone", ["cnn5", "resnet18"])
def test_nothing_trains_what_makes_a_picture_grey(backbone: str) -> None:
    model = build(backbone, colour="grey")
    assert not model.get_layer(GREY).trainable
    assert not any(weight.name.startswith(f"{GREY}/") for weight in model.trainable_weights)
    kept = keras.models.clone_model(model)
    assert not kept.get_layer(GREY).trainable


def test_blocks_left_out_in_training_are_not_all_the_same() -> None:
    """EfficientNet's dropped blocks: one seed for all would drop all or none of them."""
    model = build("efficientnetb0")
    drops = [layer for layer in model.layers if layer.name.endswith("_drop")]
    assert len(drops) == 9  # 16 blocks, of which 7 change the map
    assert len({layer.seed for layer in drops}) == 9
    rates = [layer.rate for layer in drops]
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1] < 0.2
    images = pictures(32)
    np.testing.assert_array_equal(model(images)["gender"], model(images)["gender"])
