"""What a recipe can say of data, network and training; defaults live here and nowhere else."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeface.records import RangeError
from edgeface.types import WHOLE_FACE

# a head's name becomes the name of a Keras layer, of a tensor and of a key of the printed JSON
_HEAD_NAME = re.compile("[a-z][a-z0-9_]*")


def require(*checks: tuple[bool, str]) -> None:
    """Collect the problems of one spec.

    Args:
        checks: whether each holds, and what to say where it does not.

    Raises:
        RangeError: with all that do not hold.
    """
    problems = [problem for holds, problem in checks if not holds]
    if problems:
        raise RangeError(problems)


def in_unit_interval(spec: Any, names: tuple[str, ...]) -> list[tuple[bool, str]]:
    """Checks that fields are 0 or more and below 1, as `require` takes them."""
    values = {name: getattr(spec, name) for name in names}
    return [
        (0 <= value < 1, f"{name} is {value}, expected 0 up to 1") for name, value in values.items()
    ]


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """How images are divided, and how many faces are drawn where no folder is given.

    Attributes:
        validation_ratio: share of images that choose the best epoch.
        test_ratio: share of images that only the final figures see.
        drawn_count: faces drawn when there is no folder.
        drawn_side_px: side of a drawn face.
        cache_memory_bytes: largest split that is kept decoded in memory; a larger one is on disk.
        cache_disk_bytes: largest split that is kept decoded on disk; a larger one is refused.

    Source:
        70/10/20: issue "First light"; the published systems have no validation split.
        Caches: chosen, so that UTKFace at 160 px stays in memory of a machine with 8 GB and
        CelebA at 128 px goes to disk.
    """

    validation_ratio: float = 0.1
    test_ratio: float = 0.2
    drawn_count: int = 4000
    drawn_side_px: int = 128
    cache_memory_bytes: int = 2_000_000_000
    cache_disk_bytes: int = 20_000_000_000

    def __post_init__(self) -> None:
        """Check the ranges."""
        held_out = "expected above 0: figures come from held-out images"
        require(
            (self.validation_ratio > 0, f"validation_ratio is {self.validation_ratio}, {held_out}"),
            (self.test_ratio > 0, f"test_ratio is {self.test_ratio}, {held_out}"),
            (
                self.validation_ratio + self.test_ratio < 1,
                f"validation_ratio + test_ratio is {self.validation_ratio + self.test_ratio:g}, "
                "expected below 1: nothing is left to train on",
            ),
            (self.drawn_count >= 50, f"drawn_count is {self.drawn_count}, expected 50 or more"),
            (
                32 <= self.drawn_side_px <= 256,
                f"drawn_side_px is {self.drawn_side_px}, expected 32 to 256",
            ),
            *(
                (value >= 0, f"{name} is {value}, expected 0 or more")
                for name, value in (
                    ("cache_memory_bytes", self.cache_memory_bytes),
                    ("cache_disk_bytes", self.cache_disk_bytes),
                )
            ),
        )


Backbone = Literal[
    "cnn3",
    "cnn4",
    "cnn5",
    "convnexttiny",
    "efficientnetb0",
    "googlenet",
    "inceptionv3",
    "mobilenetv1",
    "mobilenetv2",
    "mobilenetv3large",
    "mobilenetv3small",
    "resnet18",
    "resnet50",
    "vgg16",
    "vgg19",
]
"""The networks that `model.backbones` builds."""

AGE = "age"
GENDER = "gender"


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One network: a backbone and its heads.

    Attributes:
        backbone: see `model.backbones`; "vgg16" is that of the published baseline, "mobilenetv1"
            has the shape in which a face-pretrained teacher is had.
        width_ratio: width multiplier α of MobileNetV2; 1 for the others.
        side_px: height and width of the input.
        colour: what the backbone sees of the picture: "rgb", or its brightness alone, "grey". The
            model's input is the colour picture either way; the conversion is inside.
        crop: what the pictures show, in words. Other crops than the default cannot be cut out of a
            picture by the detectors here.
        heads: the attributes it predicts, in order; a face that lacks one's label is masked there.
        classes: names of the classes of each head that is neither "age" nor "gender", as the data
            names them: two make a binary head, more a head of classes.
        age_head: of the head "age": over bins 0..100 years the "median" or the mean
            ("expectation") of what the softmax gives each; linear "regression"; or "decades", the
            likeliest of eleven. Median and mean are two readings of one network, so `compress
            --model` takes the recipe's.
        age_activation: of a regression: "linear", or "relu", which says no age below 0.
        branch_units: of a dense layer (ReLU) of each head's own before it; 0 for none.
        dropout_ratio: before the heads.
        weights: "imagenet" (downloaded by Keras), "none" (random), or the path of a file: of the
            backbone alone, or a trained model (`.keras`) of any side that is as wide or wider.

    Source:
        α and sides with published ImageNet weights: tf_keras.applications.MobileNetV2. Grey
        pictures, branches and ReLU ages: the published systems S0, S2 and S4 (docs/seeds.md).
    """

    backbone: Backbone = "mobilenetv2"
    width_ratio: float = 1.0
    side_px: int = 128
    colour: Literal["rgb", "grey"] = "rgb"
    crop: str = WHOLE_FACE
    heads: tuple[str, ...] = (GENDER, AGE)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    age_head: Literal["median", "expectation", "regression", "decades"] = "median"
    age_activation: Literal["linear", "relu"] = "linear"
    branch_units: int = 0
    dropout_ratio: float = 0.2
    weights: str = "imagenet"

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            (
                0.1 <= self.width_ratio <= 2,
                f"width_ratio is {self.width_ratio}, expected 0.1 to 2",
            ),
            (
                self.backbone == "mobilenetv2" or self.width_ratio == 1,
                f"width_ratio is {self.width_ratio}, expected 1: only mobilenetv2 has others",
            ),
            (
                32 <= self.side_px <= 512 and self.side_px % 32 == 0,
                f"side_px is {self.side_px}, expected a multiple of 32 from 32 to 512",
            ),
            (
                self.age_activation == "linear" or self.age_head == "regression",
                f"age_activation is {self.age_activation!r}, expected 'linear' with age_head "
                f"{self.age_head!r}",
            ),
            (self.branch_units >= 0, f"branch_units is {self.branch_units}, expected 0 or more"),
            *in_unit_interval(self, ("dropout_ratio",)),
            *self._head_checks(),
        )

    def _head_checks(self) -> list[tuple[bool, str]]:
        named = [name for name in self.heads if name not in (AGE, GENDER)]
        unnamed = [name for name in named if name not in self.classes]
        unused = [name for name in self.classes if name not in named]
        return [
            (bool(self.heads), "heads is empty, expected at least one attribute"),
            (
                len(set(self.heads)) == len(self.heads),
                f"heads is {', '.join(self.heads)}, expected every attribute once",
            ),
            (
                all(_HEAD_NAME.fullmatch(name) for name in self.heads),
                f"heads is {', '.join(self.heads)}, expected names of a-z, 0-9 and _ that start "
                "with a letter",
            ),
            (
                not unnamed,
                f"classes lacks {', '.join(unnamed)}, expected the class names of each head but "
                "age and gender",
            ),
            (
                not unused,
                f"classes has {', '.join(unused)}, expected only names of heads other than age "
                "and gender",
            ),
            *(
                (
                    len(names) >= 2 and len(set(names)) == len(names),
                    f"classes.{name} is {', '.join(names)}, expected two or more, each once",
                )
                for name, names in self.classes.items()
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class AugmentSpec:
    """What training does to a face so that the network does not learn it by heart.

    Attributes:
        flip: mirror half of the faces.
        scale_ratio: zoom by a factor from 1 - this to 1 + this.
        shift_ratio: move by up to this share of the side.
        rotate_degrees: turn by up to this much either way.
        light_ratio: offset brightness by up to this share, and scale contrast by 1 / (1 + this) to
            1 + this.
        colour_ratio: scale saturation and each of the three channels by 1 / (1 + this) to 1 + this.
        shade_ratio: light from one side: darken one edge and lighten the other by up to this share.
        tilt_ratio: turn the head in depth: shorten one edge of the picture against the opposite one
            by up to this share.
        erase_ratio: share of faces of which a rectangle is covered.
        blur_ratio: share of faces that are blurred.
        noise_levels: standard deviation of noise, drawn from 0 to this many of 255 grey levels.

    Source:
        chosen: the variations that hand-held cameras show; sizes tried in benchmarks/LOG.md.
    """

    flip: bool = True
    scale_ratio: float = 0.12
    shift_ratio: float = 0.06
    rotate_degrees: float = 15.0
    light_ratio: float = 0.25
    colour_ratio: float = 0.0
    shade_ratio: float = 0.0
    tilt_ratio: float = 0.0
    erase_ratio: float = 0.0
    blur_ratio: float = 0.0
    noise_levels: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        amounts = ("scale_ratio", "shift_ratio", "light_ratio", "colour_ratio", "shade_ratio")
        shares = {name: getattr(self, name) for name in ("erase_ratio", "blur_ratio")}
        require(
            *in_unit_interval(self, (*amounts, "tilt_ratio")),
            *(
                (0 <= value <= 1, f"{name} is {value}, expected 0 to 1")
                for name, value in shares.items()
            ),
            (
                0 <= self.noise_levels <= 255,
                f"noise_levels is {self.noise_levels}, expected 0 to 255",
            ),
            (
                0 <= self.rotate_degrees <= 180,
                f"rotate_degrees is {self.rotate_degrees}, expected 0 to 180",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """One run of training.

    Attributes:
        epochs: passes over the training split.
        batch_size: images a step.
        optimizer: "adamw" (decoupled weight decay) or "adam".
        learning_rate: its peak.
        schedule: "cosine" to zero after a linear warm-up, or "constant".
        warmup_ratio: share of all steps that warm up (cosine only).
        weight_decay: of AdamW; normalisation parameters and biases are left out.
        label_smoothing_ratio: of the labels of classes, gender among them.
        age_sigma_years: width of the soft age label over the bins (median and expectation only).
        age_weight: weight of the age loss beside those of the other heads, which have 1.
        head_weights: other weights, by head other than age.
        freeze_backbone: only the heads and their branches learn; what feeds them stays, the
            statistics of its batch normalization too.
        batch_norm_momentum: of the moving statistics.
        balance: labels by which rare faces are shown more often: "age" (by decade), "gender" or
            any other attribute; none shows every face once an epoch.
        balance_power: how much: a face is drawn in proportion to its group's size to the power of
            minus this; 1 makes all groups equally frequent.
        distill_ratio: share of the teachers' answers in what a face is trained towards, 0 to 1;
            the labels have the rest. 0 learns from labels alone.
        precision: what training computes in. "bfloat16": products and activations in bfloat16, the
            weights, their updates, the rescaling of the picture and the heads in float32. Faster
            for VGG16 and the plain CNNs on processors with AVX512-BF16 or AMX, slower for
            MobileNetV2 and elsewhere.
            The trained model is float32 all the same. It costs exactness: a bfloat16 value has 8
            significant bits, so activations and gradients are rounded by up to 0.4 %, and the
            validation figures that pick the best epoch are computed so too.
        patience: stop when the validation score has not fallen for so many epochs; 0 never stops.
            The cosine goes on as if all epochs were trained.
        average_decay: the model is an exponential moving average of the weights of all steps,
            which keeps this share of itself at each step (less in the first steps, see
            `model.averaging`); it is validated, and its best epoch kept. 0 averages nothing.
        mixup_alpha: mix each picture and its targets with another's, in shares from Beta(this,
            this), see `data.mixing`; 0 mixes nothing. Not for a regression head.
        augment: see `AugmentSpec`.

    Source:
        Learning rate, decay, σ: the plain fine-tune described in issue 5, repeated in
        benchmarks/LOG.md. Momentum 0.95: Keras's 0.999 keeps ImageNet's statistics for
        thousands of steps. Balance power 0.5: Mahajan et al. 2018, Exploring the Limits of Weakly
        Supervised Pretraining (arXiv 1805.00932), square-root sampling. Precision: Kalamkar et
        al. 2019, A Study of BFLOAT16 for Deep Learning Training (arXiv 1905.12322); which network
        gains: docs/data.md. Average: Polyak and Juditsky 1992, Acceleration of Stochastic
        Approximation by Averaging, SIAM J. Control 30(4). Mixup: Zhang et al. 2018 (arXiv
        1710.09412). The last four are off: chosen, each is to be measured before it is a default.
    """

    epochs: int = 16
    batch_size: int = 64
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 1.2e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_ratio: float = 0.05
    weight_decay: float = 0.02
    label_smoothing_ratio: float = 0.05
    age_sigma_years: float = 2.0
    age_weight: float = 0.5
    head_weights: dict[str, float] = field(default_factory=dict)
    freeze_backbone: bool = False
    batch_norm_momentum: float = 0.95
    balance: tuple[str, ...] = ()
    balance_power: float = 0.5
    distill_ratio: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: int = 0
    average_decay: float = 0.0
    mixup_alpha: float = 0.0
    augment: AugmentSpec = AugmentSpec()

    def __post_init__(self) -> None:
        """Check the ranges."""
        positive = {
            name: getattr(self, name) for name in ("learning_rate", "age_sigma_years", "age_weight")
        } | {f"head_weights.{name}": weight for name, weight in self.head_weights.items()}
        ratios = ("warmup_ratio", "label_smoothing_ratio", "batch_norm_momentum", "average_decay")
        require(
            (self.epochs >= 1, f"epochs is {self.epochs}, expected 1 or more"),
            (self.batch_size >= 2, f"batch_size is {self.batch_size}, expected 2 or more"),
            *(
                (0 < value < math.inf, f"{name} is {value}, expected above 0 and finite")
                for name, value in positive.items()
            ),
            *in_unit_interval(self, ratios),
            (
                0 <= self.weight_decay < math.inf,
                f"weight_decay is {self.weight_decay}, expected 0 or more and finite",
            ),
            (
                len(set(self.balance)) == len(self.balance),
                f"balance is {', '.join(self.balance)}, expected every label once",
            ),
            (
                0 <= self.balance_power <= 1,
                f"balance_power is {self.balance_power}, expected 0 to 1",
            ),
            (
                0 <= self.distill_ratio <= 1,
                f"distill_ratio is {self.distill_ratio}, expected 0 to 1",
            ),
            (self.patience >= 0, f"patience is {self.patience}, expected 0 or more"),
            (
                self.mixup_alpha == 0 or 0.01 <= self.mixup_alpha <= 100,
                f"mixup_alpha is {self.mixup_alpha}, expected 0.01 to 100, or 0 for none",
            ),
        )
