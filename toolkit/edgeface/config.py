"""What a recipe can say: TOML in, frozen dataclasses out, every problem reported at once.

Stages never see `Recipe`; the pipeline hands each its own small spec (`training_specs`,
`compression_specs`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from edgeface.compression_specs import ClusterSpec, PruneSpec, QuantizeSpec, SparsifySpec
from edgeface.errors import ConfigError
from edgeface.records import RecordError, from_mapping
from edgeface.training_specs import AGE, AugmentSpec, DataSpec, ModelSpec, TrainSpec, require

__all__ = [
    "AugmentSpec",
    "ClusterSpec",
    "DataSpec",
    "ModelSpec",
    "PruneSpec",
    "QuantizeSpec",
    "Recipe",
    "SparsifySpec",
    "TrainSpec",
    "load_recipe",
    "shipped_recipes",
]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that `edgeface compress` needs to know, apart from where the faces are.

    Attributes:
        description: for people.
        system: which of the published systems it repeats ("S0" to "S4", see `bench.systems`); empty
            for none.
        variant: word in the names of the files that `train` and `compress` make, after the
            backbone, so that two networks of one form and one manifest can lie in one folder:
            lower-case letters and digits; empty for none. A search names its candidates without it.
        seed: of everything random, 0 to 2**32 - 1 (what numpy's seeding inside Keras takes).
        teachers: trained models (`.keras`) that every training with a `distill_ratio` learns from.
        data: see `DataSpec`.
        model: see `ModelSpec`.
        train: see `TrainSpec`.
        prune: see `PruneSpec`.
        sparsify: see `SparsifySpec`.
        cluster: see `ClusterSpec`.
        quantize: see `QuantizeSpec`.
    """

    description: str = ""
    system: Literal["", "S0", "S1", "S2", "S3", "S4"] = ""
    variant: str = ""
    seed: int = 1
    teachers: tuple[str, ...] = ()
    data: DataSpec = DataSpec()
    model: ModelSpec = ModelSpec()
    train: TrainSpec = TrainSpec()
    prune: PruneSpec = PruneSpec()
    sparsify: SparsifySpec = SparsifySpec()
    cluster: ClusterSpec = ClusterSpec()
    quantize: QuantizeSpec = QuantizeSpec()

    def __post_init__(self) -> None:
        """Check the ranges, and what fits together."""
        require(
            (
                re.fullmatch("[a-z0-9]*", self.variant) is not None,
                f"variant is {self.variant!r}, expected lower-case letters and digits",
            ),
            (0 <= self.seed < 2**32, f"seed is {self.seed}, expected 0 to {2**32 - 1}"),
            (
                not self.train.distill_ratio or bool(self.teachers),
                f"train.distill_ratio is {self.train.distill_ratio}, expected 0 without teachers",
            ),
            (
                not self.train.mixup_alpha
                or AGE not in self.model.heads
                or self.model.age_head != "regression",
                f"train.mixup_alpha is {self.train.mixup_alpha}, expected 0 with age_head "
                "'regression'",
            ),
            (
                set(self.train.head_weights) <= set(self.model.heads) - {AGE},
                f"train.head_weights has {', '.join(self.train.head_weights)}, expected only heads "
                "of the model other than age, which has train.age_weight",
            ),
            (
                not self.quantize.fine_tune.freeze_backbone,
                "quantize.fine_tune.freeze_backbone is true, expected false: training with "
                "rounding trains every kernel that it rounds",
            ),
            (
                self.quantize.method != "qat" or self.model.colour == "rgb",
                "quantize.method is 'qat' with model.colour 'grey', expected 'post_training': it "
                "would train what makes the picture grey",
            ),
            (
                not self.prune.fine_tune.freeze_backbone,
                "prune.fine_tune.freeze_backbone is true, expected false: a cut backbone recovers "
                "only if it learns",
            ),
            (
                not (self.sparsify.sparsity and self.cluster.clusters),
                "sparsify and cluster are both on, expected one of them",
            ),
            (
                self.quantize.method != "qat"
                or not (self.sparsify.sparsity or self.cluster.clusters),
                "quantize.method is 'qat' after sparsify or cluster, expected 'post_training': "
                "training on would undo the zeros or the shared values",
            ),
        )


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    folder = resources.files("edgeface") / "recipes"
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in folder.iterdir()
            if entry.name.endswith(".toml")
        )
    )


def load_recipe(
    name_or_path: str,
    *,
    teachers: Sequence[Path] = (),
    model: Mapping[str, str | int | float] | None = None,
) -> Recipe:
    """Read a recipe: a shipped name, or the path of a `.toml` file.

    Args:
        name_or_path: which.
        teachers: take the place of those that the recipe names.
        model: settings that take the place of those in its table `model`.

    Raises:
        ConfigError: no such recipe, not TOML, or not a recipe; lists every problem.
    """
    shipped = shipped_recipes()
    if name_or_path in shipped:
        text = (resources.files("edgeface") / "recipes" / f"{name_or_path}.toml").read_text("utf-8")
    else:
        path = Path(name_or_path)
        try:
            if path.suffix != ".toml" or not path.is_file():
                raise ConfigError(
                    f"recipe {name_or_path!r}",
                    [f"not found; give the path of a .toml file or one of {', '.join(shipped)}"],
                )
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError(f"recipe {name_or_path}", [f"cannot be read: {err}"]) from err
    try:
        mapping = tomllib.loads(text)
    except (ValueError, RecursionError) as err:  # also numbers and nesting beyond Python's limits
        raise ConfigError(f"recipe {name_or_path}", [f"not TOML: {err}"]) from err
    if teachers:
        mapping["teachers"] = [str(teacher) for teacher in teachers]
    if model and isinstance(mapping.setdefault("model", {}), dict):
        mapping["model"] |= model
    try:
        return from_mapping(Recipe, mapping)
    except RecordError as err:
        raise ConfigError(f"recipe {name_or_path}", err.problems) from err
