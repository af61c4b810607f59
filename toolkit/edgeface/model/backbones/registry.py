"""All backbones that a recipe can name."""

from __future__ import annotations

from collections.abc import Mapping

from edgeface.model.backbones import (
    convnexttiny,
    efficientnetb0,
    googlenet,
    inceptionv3,
    mobilenetv1,
    mobilenetv2,
    mobilenetv3,
    plain,
    resnet,
    vgg,
)
from edgeface.model.backbones.picture import CENTRED, SIGNED, STANDARD, UNIT
from edgeface.model.backbones.record import Backbone

_PLAIN = Backbone(build=plain.build, scaling=UNIT, has_imagenet=False, grey_channels=1)
_VGG = Backbone(build=vgg.build, scaling=CENTRED, has_imagenet=True)

# Scalings: what the published weights were trained on. Of resnet18, which S1 takes from
# torchvision, ImageNet's mean and deviation (docs/seeds.md); torchvision's googlenet turns those
# into -1 to 1 first (`transform_input`). Of mobilenetv1: docs/data.md.
BACKBONES: Mapping[str, Backbone] = {
    "cnn3": _PLAIN,
    "cnn4": _PLAIN,
    "cnn5": _PLAIN,
    "convnexttiny": Backbone(build=convnexttiny.build, scaling=STANDARD, has_imagenet=True),
    "efficientnetb0": Backbone(build=efficientnetb0.build, scaling=STANDARD, has_imagenet=True),
    "googlenet": Backbone(build=googlenet.build, scaling=SIGNED, has_imagenet=False),
    "inceptionv3": Backbone(
        build=inceptionv3.build,
        scaling=SIGNED,
        has_imagenet=True,
        smallest_side_px=inceptionv3.SMALLEST_SIDE_PX,
    ),
    "mobilenetv1": Backbone(build=mobilenetv1.build, scaling=CENTRED, has_imagenet=False),
    "mobilenetv2": Backbone(build=mobilenetv2.build, scaling=SIGNED, has_imagenet=True),
    "mobilenetv3large": Backbone(build=mobilenetv3.build_large, scaling=SIGNED, has_imagenet=True),
    "mobilenetv3small": Backbone(build=mobilenetv3.build_small, scaling=SIGNED, has_imagenet=True),
    "resnet18": Backbone(build=resnet.build18, scaling=STANDARD, has_imagenet=False),
    "resnet50": Backbone(build=resnet.build50, scaling=CENTRED, has_imagenet=True),
    "vgg16": _VGG,
    "vgg19": _VGG,
}
