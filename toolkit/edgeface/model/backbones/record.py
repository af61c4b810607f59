"""What the registry says of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeface.config import ModelSpec
from edgeface.model.backbones.picture import Scaling


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One network up to its features.

    Attributes:
        build: from the spec, the scaled pixels [B, side, side, channels] and the seed of what is
            random in training, to the features [B, F]. It gives the layers the weights that the
            spec names, and raises ModelError where those cannot be had, read, or do not fit.
        scaling: of the pixels that `build` expects.
        has_imagenet: whether Keras publishes ImageNet weights.
        grey_channels: of a grey picture: 1, or 3 equal ones where published weights expect three.
        smallest_side_px: height and width below which a map would vanish.
    """

    build: Callable[[ModelSpec, Any, int], Any]
    scaling: Scaling
    has_imagenet: bool
    grey_channels: int = 3
    smallest_side_px: int = 32
