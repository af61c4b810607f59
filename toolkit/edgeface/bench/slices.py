"""Quality of one model by kinds of faces. In: predictions and labels. Out: `SliceQuality` values.

A mean hides the group that is served worst. Every kind that a face of the set belongs to is listed;
one of fewer than `SMALLEST_GROUPS` faces has its figures without an interval, which says that they
are too few to tell, and is not hidden. Intervals are of one slice each: among many slices the worst
looks bad by chance too, and `verdict` is the place that corrects for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.paired_bootstrap import Resampling, percentile_interval
from edgeface.bench.verdict_rule import MISS_RATIO, SMALLEST_GROUPS, Task
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.model.metrics import has_truth
from edgeface.runtime.decode import class_numbers
from edgeface.types import GENDER_CLASSES, HeadSpec

SliceKind = Literal["age", "gender", "race", "age and gender", "age, gender and race"]

# Source: Efron and Tibshirani 1993, section 14, as in `model.metrics`
SLICE_RESAMPLES = Resampling(seed=0, resamples=1000)

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SliceFigure:
    """One figure of one slice.

    Attributes:
        task: name of the head.
        name: "accuracy" of classes or "mae" of age, as in `Metric`.
        value: in `unit`.
        low: lower end of the 95 % interval; None where the images are too few for one.
        high: upper end; None where `low` is.
        unit: "ratio" or "years".
        n: images of the slice that have the task's label.
    """

    task: Task
    name: Literal["accuracy", "mae"]
    value: float
    low: float | None
    high: float | None
    unit: Literal["ratio", "years"]
    n: int

    @property
    def is_too_few(self) -> bool:
        """Whether the images are too few to tell."""
        return self.low is None


@dataclass(frozen=True, kw_only=True)
class SliceQuality:
    """How well a model does on one kind of faces.

    Attributes:
        by: what divides the faces; each face is in at most one slice of a kind.
        name: e.g. "20-29 female", or "20-29 female, Indian".
        n: images.
        figures: of the heads of which an image has the label, those of classes first.
    """

    by: SliceKind
    name: str
    n: int
    figures: tuple[SliceFigure, ...]


def sliced_quality(
    predicted: Mapping[str, NDArray[np.float64]],
    faces: Faces,
    heads: Sequence[HeadSpec],
    *,
    race_names: Sequence[str] = (),
    resampling: Resampling = SLICE_RESAMPLES,
) -> tuple[SliceQuality, ...]:
    """Compute the main figure of each head for each kind of faces: accuracy or age MAE.

    An age interval counts where it lies in one decade, but has no error in years. A face without a
    label that divides is in no slice of that kind.

    Args:
        predicted: by head, as `quality.predict_held_out` gives it.
        faces: the N faces; images are not looked at. What divides them are their labels, also
            those that the model has no head for.
        heads: of the model.
        race_names: by class number; a number beyond it reads e.g. "race 4".
        resampling: how the bootstrap draws.

    Returns:
        By age decade, gender, race, age and gender, and all three; of each kind those slices that
        there are, young before old, male before female.
    """
    ordered = sorted(heads, key=lambda head: not head.has_classes)
    scored = [(head, _scores(predicted[head.name], faces, head)) for head in ordered]
    made = []
    for by, name, inside in _slices(faces, race_names):
        figures = (
            _figure(head, scores[inside & has_truth(faces, head)], resampling)
            for head, scores in scored
        )
        known = tuple(each for each in figures if each is not None)
        made.append(SliceQuality(by=by, name=name, n=int(inside.sum()), figures=known))
    return tuple(made)


def _scores(values: NDArray[np.float64], faces: Faces, head: HeadSpec) -> NDArray[np.float64]:
    """What the mean of is the head's main figure: 1 for a right class, or the error of an age."""
    if head.has_classes:
        return np.asarray(class_numbers(values, head) == faces.class_of(head.name), np.float64)
    return np.asarray(np.abs(values - faces.exact_age_years))


def _figure(
    head: HeadSpec, values: NDArray[np.float64], resampling: Resampling
) -> SliceFigure | None:
    if not len(values):
        return None
    low, high = _interval(values, resampling)
    return SliceFigure(
        task=head.name,
        name="accuracy" if head.has_classes else "mae",
        value=float(values.mean()),
        low=low,
        high=high,
        unit="ratio" if head.has_classes else "years",
        n=len(values),
    )


def _interval(
    values: NDArray[np.float64], resampling: Resampling
) -> tuple[float | None, float | None]:
    if len(values) < SMALLEST_GROUPS:
        return None, None
    return percentile_interval(values, np.ones(len(values)), MISS_RATIO / 2, resampling)


def _slices(faces: Faces, race_names: Sequence[str]) -> Iterator[tuple[SliceKind, str, _Mask]]:
    ages, genders, races = _ages(faces), _genders(faces), _races(faces, race_names)
    pairs = _crossed(ages, genders, " ")
    kinds: dict[SliceKind, dict[str, _Mask]] = {
        "age": ages,
        "gender": genders,
        "race": races,
        "age and gender": pairs,
        "age, gender and race": _crossed(pairs, races, ", "),
    }
    for by, parts in kinds.items():
        for name, inside in parts.items():
            if inside.any():
                yield by, name, inside


def _crossed(first: dict[str, _Mask], second: dict[str, _Mask], joint: str) -> dict[str, _Mask]:
    """Faces that are in a part of each, by both names."""
    return {
        f"{name}{joint}{other}": inside & mask
        for name, inside in first.items()
        for other, mask in second.items()
    }


def _ages(faces: Faces) -> dict[str, _Mask]:
    low, high = faces.age_low_years // 10, faces.age_high_years // 10
    decade = np.where(faces.has_age & (low == high), low, UNKNOWN)
    return {
        f"{10 * number}-{10 * number + 9}": decade == number
        for number in np.unique(decade[decade != UNKNOWN])
    }


def _genders(faces: Faces) -> dict[str, _Mask]:
    gender = faces.class_of("gender")
    return {name: gender == number for number, name in enumerate(GENDER_CLASSES)}


def _races(faces: Faces, race_names: Sequence[str]) -> dict[str, _Mask]:
    race = faces.class_of("race")
    return {
        race_names[number] if number < len(race_names) else f"race {number}": race == number
        for number in np.unique(race[race != UNKNOWN])
    }
