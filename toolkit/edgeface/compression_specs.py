"""What a recipe can say of pruning, sparsity, clustering and int8; defaults live here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeface.training_specs import TrainSpec, in_unit_interval, require

_COUNTS = ("round_to", "rounds", "between_epochs", "cycles")


@dataclass(frozen=True, kw_only=True)
class PruneSpec:
    """Which channels go, how many, and how the network recovers.

    Attributes:
        pruning_ratio: share of each group of channels to remove; 0 prunes nothing.
        budget: what is to be cut instead of the same share everywhere: "macs", "parameters",
            "bytes" of the int8 file, or "latency", from the time of each layer.
            Channels then go where they matter least for what they cost.
        budget_ratio: with a budget: its share that may be left, above 0, below 1.
        layer_times: with the budget "latency": file of each layer's milliseconds, measured before,
            perhaps on another device; empty measures on this machine.
        criterion: what channels are ranked by: "magnitude" of their weights, "batch_norm" γ, or
            "taylor", the change of the tasks' losses to first order.
        scope: "expansion", the channels inside inverted residual blocks; "all", residual streams
            and plain layers too; "auto", expansion channels if the network has any, else all.
        round_to: channels left are a multiple of this.
        rounds: how often is cut and trained on, each time the same share of what is left.
        between_epochs: epochs after each cut but the last.
        cycles: how often the last training is done; each time it starts from the best weights of
            the one before, with half its learning rate.
        fine_tune: the training after the last cut; its `distill_ratio` is of the unpruned model
            and the recipe's teachers.

    Source:
        Multiples of 8: kernels work on tiles of 8 or more channels (docs/field.md, Torch-Pruning).
        Distilling by half: chosen, see benchmarks/LOG.md. Cycles: warm restarts, Loshchilov and
        Hutter 2017, SGDR (arXiv 1608.03983); the halving, chosen: a restart at the full rate first
        loses what was won, and there are few epochs to win it back.
    """

    pruning_ratio: float = 0.3
    budget: Literal["none", "macs", "parameters", "bytes", "latency"] = "none"
    budget_ratio: float = 0.5
    layer_times: str = ""
    criterion: Literal["magnitude", "batch_norm", "taylor"] = "magnitude"
    scope: Literal["auto", "all", "expansion"] = "auto"
    round_to: int = 8
    rounds: int = 1
    between_epochs: int = 1
    cycles: int = 1
    fine_tune: TrainSpec = TrainSpec(epochs=8, learning_rate=4e-4, distill_ratio=0.5)

    def __post_init__(self) -> None:
        """Check the ranges."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        require(
            *in_unit_interval(self, ("pruning_ratio",)),
            (
                0 < self.budget_ratio < 1,
                f"budget_ratio is {self.budget_ratio}, expected above 0 and below 1",
            ),
            (
                not self.layer_times or self.budget == "latency",
                f"layer_times is {self.layer_times!r}, expected none with budget {self.budget!r}",
            ),
            *(
                (value >= 1, f"{name} is {value}, expected 1 or more")
                for name, value in counts.items()
            ),
        )

    @property
    def cuts(self) -> bool:
        """Whether any channel goes."""
        return self.budget != "none" or self.pruning_ratio > 0


@dataclass(frozen=True, kw_only=True)
class SparsifySpec:
    """Single weights set to zero: buys a smaller download, neither latency nor memory.

    Attributes:
        sparsity: share of the weights of convolutions (1×1) and dense layers that become 0; 0 is
            off. With the pattern "2:4" it is 0.5.
        pattern: "unstructured", or "2:4", two of each four weights in a row.
        fine_tune: the training during which they go.

    Source:
        80 %: docs/field.md, section 2, what pays in gzip bytes.
    """

    sparsity: float = 0.0
    pattern: Literal["unstructured", "2:4"] = "unstructured"
    fine_tune: TrainSpec = TrainSpec(epochs=4, learning_rate=4e-4, distill_ratio=0.5)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            *in_unit_interval(self, ("sparsity",)),
            (
                self.pattern != "2:4" or self.sparsity in (0.0, 0.5),
                f"sparsity is {self.sparsity}, expected 0.5 with the pattern 2:4",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """Weights of a layer drawn to few values: buys a smaller download only.

    Attributes:
        clusters: values a layer has left; 0 is off.
        fine_tune: the training during which the values move.
    """

    clusters: int = 0
    fine_tune: TrainSpec = TrainSpec(epochs=1, learning_rate=1e-4, distill_ratio=0.5)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            (
                self.clusters == 0 or 2 <= self.clusters <= 256,
                f"clusters is {self.clusters}, expected 2 to 256, or 0 for none",
            )
        )


@dataclass(frozen=True, kw_only=True)
class QuantizeSpec:
    """How a float file becomes a smaller one; `export.plan.QuantizePlan` says what each does.

    Attributes:
        method: "post_training", or "qat": trained on with the rounding in place, through the
            TensorFlow converter; the fall-back where post-training int8 loses too much.
        scheme: "int8"; "float16", half the bytes and no faster; "dynamic", refused where it is
            slower than float32.
        calibration_images: from the training split.
        equalize: shift scale between neighbouring layers first (int8 after training only, as the
            next four).
        ranges: of the activations: "extremes", or those with the least "error".
        correct_biases: take back the shift that rounding gives each channel.
        refit_heads: fit the heads anew on the quantized features.
        mixed_layers: most layers that may stay float so that the loss is within the margins;
            which, is found on validation images.
        allow_slow: take a scheme that is slower than float32.
        fine_tune: the training of "qat".

    Source:
        300 images: 100 to 500 is what the quantizer's own guide asks for (docs/field.md, AEQ). The
        other defaults: what lost nothing for the least work (benchmarks/LOG.md).
    """

    method: Literal["post_training", "qat"] = "post_training"
    scheme: Literal["int8", "float16", "dynamic"] = "int8"
    calibration_images: int = 300
    equalize: bool = True
    ranges: Literal["extremes", "error"] = "error"
    correct_biases: bool = True
    refit_heads: bool = False
    mixed_layers: int = 0
    allow_slow: bool = False
    fine_tune: TrainSpec = TrainSpec(epochs=2, learning_rate=1e-4, distill_ratio=0.5)

    def __post_init__(self) -> None:
        """Check the ranges, and that nothing asked would be ignored."""
        extras = {"refit_heads": self.refit_heads, "mixed_layers": self.mixed_layers > 0}
        unused = [name for name, asked in extras.items() if asked]
        plain = self.method == "post_training" and self.scheme == "int8"
        require(
            (
                self.calibration_images >= 8,
                f"calibration_images is {self.calibration_images}, expected 8 or more",
            ),
            (self.mixed_layers >= 0, f"mixed_layers is {self.mixed_layers}, expected 0 or more"),
            (
                plain or not unused,
                f"method is {self.method!r} and scheme {self.scheme!r}, which have no place for "
                f"{', '.join(unused)}, expected post_training and int8",
            ),
            (
                self.method == "post_training" or self.scheme == "int8",
                f"scheme is {self.scheme!r}, expected 'int8' with method 'qat'",
            ),
        )
