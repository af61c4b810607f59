"""Which models a search may try. In: lists of settings. Out: the grid of `Candidate`s.

A candidate is a setting, not a model: two workers that name the same one mean the same training.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from edgeface.config import ModelSpec
from edgeface.export.artifact import artifact_name
from edgeface.records import RangeError
from edgeface.types import Scheme


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One point of the space.

    Attributes:
        width_ratio: width multiplier α of MobileNetV2.
        side_px: side of the input.
        pruning_ratio: share of prunable channels to remove, 0 up to 1; 0 is a plain model.
        scheme: of the `.tflite`.
    """

    width_ratio: float
    side_px: int
    pruning_ratio: float
    scheme: Scheme

    @property
    def is_plain(self) -> bool:
        """Whether it is a MobileNetV2 as published, with nothing pruned."""
        return self.pruning_ratio == 0

    @property
    def name(self) -> str:
        """Name of its artifact, with the pruning ratio that is asked."""
        spec = ModelSpec(width_ratio=self.width_ratio, side_px=self.side_px)
        tags = () if self.is_plain else (f"p{round(100 * self.pruning_ratio)}",)
        return artifact_name(spec, scheme=self.scheme, tags=tags)


@dataclass(frozen=True, kw_only=True)
class Space:
    """The settings that are tried, each with each.

    Attributes:
        width_ratios: of MobileNetV2.
        sides_px: of the input.
        pruning_ratios: 0 must be among them: a pruned model is compared with plain ones.
        schemes: of the `.tflite`.

    Source:
        Widths and sides: those that tf_keras.applications.MobileNetV2 has ImageNet weights of, up
        to α 1 and 160 px, above which no model here is small or fast. Ratios: chosen, 0.3 as in the
        recipes, and half and twice of it. Schemes: float32 shows what int8 costs; a search learns
        soon that it is four times the size.
    """

    width_ratios: tuple[float, ...] = (0.35, 0.5, 0.75, 1.0)
    sides_px: tuple[int, ...] = (96, 128, 160)
    pruning_ratios: tuple[float, ...] = (0.0, 0.15, 0.3, 0.45, 0.6)
    schemes: tuple[Scheme, ...] = ("float32", "int8")

    def __post_init__(self) -> None:
        """Check ranges, and that every candidate has a name of its own."""
        problems = [
            *_number_problems("width_ratios", self.width_ratios, 0.1, 2.0),
            *_number_problems("sides_px", self.sides_px, 32, 512),
            *(
                f"sides_px: {side}, expected a multiple of 32"
                for side in self.sides_px
                if side % 32
            ),
            *_number_problems("pruning_ratios", self.pruning_ratios, 0.0, 0.95),
            *_scheme_problems(self.schemes),
        ]
        if 0 not in self.pruning_ratios:
            problems.append("pruning_ratios: no 0, expected it, to compare with plain models")
        for name in ("width_ratios", "pruning_ratios"):
            percents = [round(100 * value) for value in getattr(self, name)]
            if len(set(percents)) < len(percents):
                problems.append(f"{name}: expected whole per cents apart, names are made of them")
        if problems:
            raise RangeError(problems)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All points, in the order of the lists."""
        points = itertools.product(
            self.width_ratios, self.sides_px, self.pruning_ratios, self.schemes
        )
        return tuple(
            Candidate(width_ratio=width, side_px=side, pruning_ratio=ratio, scheme=scheme)
            for width, side, ratio, scheme in points
        )

    def distance(self, one: Candidate, other: Candidate) -> int:
        """Steps along the lists from one candidate to another, both of the space."""
        lists: tuple[tuple[Sequence[float], str], ...] = (
            (self.width_ratios, "width_ratio"),
            (self.sides_px, "side_px"),
            (self.pruning_ratios, "pruning_ratio"),
        )
        steps = (
            abs(values.index(getattr(one, name)) - values.index(getattr(other, name)))
            for values, name in lists
        )
        return sum(steps) + int(one.scheme != other.scheme)


def _number_problems(name: str, values: Sequence[float], low: float, high: float) -> list[str]:
    problems = [] if values else [f"{name}: empty, expected one or more"]
    if list(values) != sorted(set(values)):
        problems.append(f"{name}: {', '.join(map(str, values))}, expected each once, rising")
    problems += [
        f"{name}: {value}, expected {low:g} to {high:g}"
        for value in values
        if not low <= value <= high
    ]
    return problems


def _scheme_problems(schemes: Sequence[Scheme]) -> list[str]:
    if not schemes or len(set(schemes)) < len(schemes):
        return [f"schemes: {', '.join(schemes) or 'empty'}, expected one or more, each once"]
    return [
        f"schemes: {scheme!r}, expected one of {', '.join(get_args(Scheme))}"
        for scheme in schemes
        if scheme not in get_args(Scheme)
    ]
