"""Faces in memory: what training, calibration and quality are computed on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Images of one side with their labels.

    Attributes:
        ids: name of each image in its manifest, N of them.
        images: uint8 [N, side, side, 3], RGB, as `runtime.preprocess.to_input` gives them.
        age_years: float32 [N], 0 to 116.
        gender: int64 [N], 0 male, 1 female.
    """

    ids: tuple[str, ...]
    images: NDArray[np.uint8]
    age_years: NDArray[np.float32]
    gender: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.ids)
