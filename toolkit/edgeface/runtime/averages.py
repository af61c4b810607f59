"""Averages what a model says of a face over the last frames, so that its words do not flicker.

In: the values of each frame's faces, with the faces' numbers (`track`). Out: values of the same
shapes. Probabilities are averaged, class by class, and the class is named afterwards.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeface.types import HeadSpec


class Averages:
    """Knows the last values of the faces that are in sight."""

    def __init__(self, heads: Sequence[HeadSpec], frames: int) -> None:
        """Begin without faces.

        Args:
            heads: of the model.
            frames: of a face that are averaged, 1 or more; 1 gives back what it is given.
        """
        self._heads, self._frames = heads, frames
        self._faces: Dict[int, Dict[str, Deque[NDArray[np.float64]]]] = {}

    def add(
        self, numbers: Sequence[int], values: Mapping[str, NDArray[np.float64]]
    ) -> Dict[str, NDArray[np.float64]]:
        """Take the next frame; faces that are not in it are forgotten.

        Args:
            numbers: of its N faces, one or more, each once.
            values: of them, in the same order, as `decode` gives them.

        Returns:
            Of each face and head over its last frames: the mean, [N] or [N, K]; of a head of
            decades the lower median, which is one of its bins.
        """
        known = self._faces
        self._faces = {number: known.get(number) or self._unseen() for number in numbers}
        averaged: Dict[str, List[NDArray[np.float64]]] = {head.name: [] for head in self._heads}
        for i, number in enumerate(numbers):
            for head in self._heads:
                kept = self._faces[number][head.name]
                kept.append(np.asarray(values[head.name][i]))
                averaged[head.name].append(_middle(np.stack(list(kept)), head))
        return {name: np.stack(of_faces) for name, of_faces in averaged.items()}

    def _unseen(self) -> Dict[str, Deque[NDArray[np.float64]]]:
        return {head.name: deque(maxlen=self._frames) for head in self._heads}


def _middle(values: NDArray[np.float64], head: HeadSpec) -> NDArray[np.float64]:
    """Average over the first axis."""
    if head.kind == "decades":  # the mean of two bins is none
        return np.asarray(np.sort(values)[(len(values) - 1) // 2])
    return np.asarray(values.mean(axis=0))
