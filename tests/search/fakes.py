"""A search's world without training: figures by formula, so that every test knows the answer."""

from __future__ import annotations

from pathlib import Path

from edgeface.search.budget import parse_budget
from edgeface.search.measured import Cost, Measured, Timing
from edgeface.search.run import SearchRequest
from edgeface.search.space import Candidate, Space

SPACE = Space(
    width_ratios=(0.5, 1.0),
    sides_px=(64, 128),
    pruning_ratios=(0.0, 0.3),
    schemes=("float32", "int8"),
)
REFERENCE = Candidate(width_ratio=1.0, side_px=128, pruning_ratio=0.0, scheme="float32")
EPOCHS = 4


def fake_cost(candidate: Candidate) -> Cost:
    """Bytes go with the square of the width; time with the MACs."""
    kept = (candidate.width_ratio * (1 - candidate.pruning_ratio)) ** 2
    parameters = round(2_000_000 * kept)
    macs = round(100_000_000 * kept * (candidate.side_px / 128) ** 2)
    each = 4 if candidate.scheme == "float32" else 1
    ms = macs / 1e8 * (8 if candidate.scheme == "float32" else 3)
    return Cost(
        size_bytes=each * parameters,
        gzip_bytes=each * parameters * 9 // 10,
        parameters=parameters,
        macs=macs,
        timings={"local": Timing(p50_ms=ms, p90_ms=1.1 * ms)},
    )


def fake_measured(candidate: Candidate) -> Measured:
    """Years are lost by width, side, pruning and rounding, each on its own."""
    mae = (
        4.5
        + 0.5 * (1 / candidate.width_ratio - 1)
        + 0.4 * (128 / candidate.side_px - 1)
        + 0.5 * candidate.pruning_ratio
        + (0.02 if candidate.scheme == "int8" else 0.0)
    )
    return fake_figures(candidate, mae, 0.95 - (mae - 4.5) / 50)


def fake_figures(candidate: Candidate, mae: float, gender: float) -> Measured:
    """Every training gains half a year an epoch."""
    return Measured(
        cost=fake_cost(candidate),
        mae_years=mae,
        gender_accuracy_ratio=gender,
        images=1000,
        mae_curve_years=tuple(mae + 0.5 * (EPOCHS - epoch) for epoch in range(1, EPOCHS + 1)),
        weights="none",
        pruning_ratio=candidate.pruning_ratio,
        name=candidate.name,
        path=f"candidates/{candidate.name}.tflite",
        sha256="0" * 64,
    )


REQUEST = SearchRequest(
    budget=parse_budget("size<=9MB, mae<=+1.5"),
    space=SPACE,
    reference=REFERENCE,
    folder=Path("search"),
    context="of the tests",
    seed=1,
    candidates=100,
)
