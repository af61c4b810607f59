"""Faces with the labels they have: what training, calibration and quality are computed on.

In: nothing. Out: `Faces`. A label that a face lacks is `UNKNOWN`, which masks it where the label is
needed; the face stays, because its other labels serve other heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""Stands for a label that a face does not have."""


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Images of one side with the labels they have.

    Attributes:
        ids: name of each image in its manifest, N of them.
        images: uint8 [N, side, side, 3], RGB, as `runtime.preprocess.to_input` gives them; may be
            a read-only `numpy.memmap`.
        age_low_years: int64 [N], 0 to 120, or `UNKNOWN`.
        age_high_years: int64 [N], `age_low_years` to 120, equal to it where the age is known
            exactly; `UNKNOWN` where that is.
        classes: by attribute name, int64 [N], class numbers or `UNKNOWN`.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    age_low_years: NDArray[np.int64]
    age_high_years: NDArray[np.int64]
    classes: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.ids)

    @property
    def has_age(self) -> NDArray[np.bool_]:
        """Where an age is known, exactly or as an interval, bool [N]."""
        return self.age_low_years >= 0

    @property
    def exact_age_years(self) -> NDArray[np.float64]:
        """Ages, float64 [N]; NaN where the age is unknown or an interval."""
        exact = self.has_age & (self.age_low_years == self.age_high_years)
        return np.where(exact, self.age_low_years, np.nan).astype(np.float64)

    def class_of(self, attribute: str) -> NDArray[np.int64]:
        """Class numbers of an attribute, int64 [N]; all `UNKNOWN` if no face has it."""
        none = np.full(len(self), UNKNOWN, np.int64)
        return self.classes.get(attribute, none)

    def without_images(self) -> Faces:
        """The labels alone: images uint8 [N, 0, 0, 3], so that `take` copies no pixels."""
        return replace(self, images=np.empty((len(self), 0, 0, 3), np.uint8))

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Faces:
        """Some of the faces, in the order given; copies their images."""
        at = np.asarray(indices, np.int64)
        return Faces(
            ids=tuple(self.ids[i] for i in at),
            images=self.images[at],
            age_low_years=self.age_low_years[at],
            age_high_years=self.age_high_years[at],
            classes={name: numbers[at] for name, numbers in self.classes.items()},
        )
