"""What is known of a candidate once it was measured. In: nothing. Out: values that a study keeps.

Everything here is of one `.tflite` file: its bytes, its latency on each device, and its quality on
the validation split. The test split has no place in a search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeface.records import RangeError


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Latency of one file on one device, batch 1, milliseconds.

    Attributes:
        p50_ms: median.
        p90_ms: 90th percentile.
        warnings: what makes the samples doubtful, in words.
    """

    p50_ms: float
    p90_ms: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a candidate costs; all but `gzip_bytes` is known before it is trained.

    Attributes:
        size_bytes: of the `.tflite`.
        gzip_bytes: of it, compressed by gzip at level 9.
        parameters: as Keras counts them.
        macs: multiply-and-adds of one inference.
        timings: by device.
    """

    size_bytes: int
    gzip_bytes: int
    parameters: int
    macs: int
    timings: dict[str, Timing]

    def __post_init__(self) -> None:
        """Check that these are costs."""
        names = ("size_bytes", "gzip_bytes", "parameters", "macs")
        figures: dict[str, float] = {name: getattr(self, name) for name in names}
        for device, timing in self.timings.items():
            figures |= {f"{device} p50_ms": timing.p50_ms, f"{device} p90_ms": timing.p90_ms}
        problems = [
            f"{name} is {value}, expected above 0"
            for name, value in figures.items()
            if not 0 < value < math.inf
        ]
        if problems:
            raise RangeError(problems)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All figures of one finished candidate.

    Attributes:
        cost: of the file.
        mae_years: age MAE on the validation split, by running the file.
        gender_accuracy_ratio: likewise, 0 to 1.
        images: of the validation split.
        mae_curve_years: validation MAE of the float network after each epoch, from the first of
            the plain network's training on.
        weights: what training started from: "imagenet", "none", or a file's name.
        pruning_ratio: share of prunable channels removed, as achieved.
        name: of the artifact.
        path: of the `.tflite`, below the folder of the search.
        sha256: of it.
    """

    cost: Cost
    mae_years: float
    gender_accuracy_ratio: float
    images: int
    mae_curve_years: tuple[float, ...]
    weights: str
    pruning_ratio: float
    name: str
    path: str
    sha256: str

    def __post_init__(self) -> None:
        """Check that these are figures."""
        problems = []
        if not 0 <= self.mae_years < math.inf:
            problems.append(f"mae_years is {self.mae_years}, expected 0 or more")
        if not 0 <= self.gender_accuracy_ratio <= 1:
            problems.append(
                f"gender_accuracy_ratio is {self.gender_accuracy_ratio}, expected 0 to 1"
            )
        if problems:
            raise RangeError(problems)

    @property
    def gender_error_pct(self) -> float:
        """Share of wrong genders in per cent: lower is better, like every other figure here."""
        return 100 * (1 - self.gender_accuracy_ratio)
