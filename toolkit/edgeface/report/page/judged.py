"""What a model says of single faces, and whether it is right. In: faces, predictions. Out: masks.

A label that a face lacks is neither right nor wrong; a head that the model lacks judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.verdict import Predictions
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.model.age_metrics import CUMULATIVE_YEARS
from edgeface.report.heads import in_words
from edgeface.runtime.decode import class_numbers
from edgeface.training_specs import AGE, GENDER
from edgeface.types import HeadSpec

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One model on N faces.

    Attributes:
        error_years: float64 [N], of the age; NaN without an exact age or a head for it.
        has_age: whether the model has such a head.
        right: by head of classes, bool [N]: the class is known and named.
        wrong: by head of classes, bool [N]: the class is known and another one named.
    """

    error_years: NDArray[np.float64]
    has_age: bool
    right: dict[str, Mask]
    wrong: dict[str, Mask]

    @classmethod
    def of(cls, faces: Faces, model: Predictions) -> Judged:
        """Hold what a model says to what the faces are labelled."""
        right, wrong = {}, {}
        for head in class_heads_of(model):
            truth = faces.class_of(head.name)
            is_met = class_numbers(model.values[head.name], head) == truth
            right[head.name] = is_met & (truth != UNKNOWN)
            wrong[head.name] = ~is_met & (truth != UNKNOWN)
        error = np.full(len(faces), np.nan)
        has_age = AGE in model.values
        if has_age:
            error = np.abs(model.values[AGE] - faces.exact_age_years)
        return cls(error_years=error, has_age=has_age, right=right, wrong=wrong)

    @property
    def is_age_known(self) -> Mask:
        """Where the age can be judged, bool [N]."""
        return ~np.isnan(self.error_years)

    @property
    def is_any_known(self) -> Mask:
        """Where any label can be judged, bool [N]."""
        return self._any(self.right) | self.is_any_wrong | self.is_age_known

    @property
    def is_any_wrong(self) -> Mask:
        """Where a class is wrong, bool [N]."""
        return self._any(self.wrong)

    @property
    def is_near(self) -> Mask:
        """Where the age is within `CUMULATIVE_YEARS`, bool [N]; False where it is not known."""
        return self.error_years <= CUMULATIVE_YEARS

    @property
    def is_right(self) -> Mask:
        """Where a label is known and all known ones are met, bool [N]."""
        met = self._any(self.right) | self.is_near
        return met & ~self.is_any_wrong & (self.is_near | ~self.is_age_known)

    def _any(self, masks: dict[str, Mask]) -> Mask:
        none = np.zeros(len(self.error_years), np.bool_)
        return np.asarray(np.any([none, *masks.values()], axis=0))


def class_heads_of(model: Predictions) -> tuple[HeadSpec, ...]:
    """List a model's heads of classes, gender first."""
    heads = [head for head in model.heads if head.has_classes]
    return tuple(sorted(heads, key=lambda head: head.name != GENDER))


def change_of(head: HeadSpec, before: Predictions, after: Predictions) -> NDArray[np.float64]:
    """How far two models' probabilities are apart on each face, float64 [N], 0 to 1.

    Source:
        Total variation distance: half the sum of the absolute differences. Of a binary head that
        is the difference of the one probability.
    """
    off = np.abs(after.values[head.name] - before.values[head.name])
    return off if off.ndim == 1 else np.asarray(off.sum(axis=1) / 2)


def labelled(faces: Faces, index: int, model: Predictions) -> str:
    """Say what a face is labelled, as far as the model tells it, e.g. "female 34, happy"."""
    names = {}
    for head in class_heads_of(model):
        number = int(faces.class_of(head.name)[index])
        unknown = f"{in_words(head.name)} unknown"
        names[head.name] = head.classes[number] if number != UNKNOWN else unknown
    age = None
    if AGE in model.values:
        low, high = int(faces.age_low_years[index]), int(faces.age_high_years[index])
        age = "age unknown" if low == UNKNOWN else f"{low}" if low == high else f"{low}–{high}"
    return _sentence(names, age)


def said(model: Predictions, index: int) -> str:
    """Say what a model says of a face, e.g. "female 34 (97 %)"; the share is how sure it is."""
    names, sure = {}, {}
    for head in class_heads_of(model):
        values = model.values[head.name][index : index + 1]
        number = int(class_numbers(values, head)[0])
        probability = float(values.ravel()[0]) if values.ndim == 1 else float(values[0, number])
        sure[head.name] = max(probability, 1 - probability) if values.ndim == 1 else probability
        names[head.name] = head.classes[number]
    age = f"{model.values[AGE][index]:.0f}" if AGE in model.values else None
    shares = {name: f"({100 * ratio:.0f}\u00a0%)" for name, ratio in sure.items()}  # not broken
    return _sentence(names, age, shares)


def _sentence(names: dict[str, str], age: str | None, shares: dict[str, str] | None = None) -> str:
    """Gender and age together, then the others."""
    sure = shares or {}
    rest = {name: text for name, text in names.items() if name != GENDER}
    first = " ".join(filter(None, (names.get(GENDER), age, sure.get(GENDER))))
    others = (" ".join(filter(None, (text, sure.get(name)))) for name, text in rest.items())
    return ", ".join(filter(None, (first, *others)))
