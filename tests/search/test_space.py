from __future__ import annotations

from typing import Any

import pytest

from edgeface.records import RangeError
from edgeface.search.measured import Cost, Measured, Timing
from edgeface.search.space import Candidate, Space
from search.fakes import REFERENCE, SPACE, fake_cost, fake_measured


def test_the_space_is_every_setting_with_every_other_in_order() -> None:
    candidates = SPACE.candidates
    assert len(candidates) == 2 * 2 * 2 * 2
    assert len(set(candidates)) == 16
    assert candidates[0].name == "mobilenetv2-a50-64px-float32"
    assert candidates[3].name == "mobilenetv2-a50-64px-p30-int8"
    assert candidates[-1].name == "mobilenetv2-a100-128px-p30-int8"


def test_the_default_space_names_each_candidate_apart() -> None:
    candidates = Space().candidates
    assert len(candidates) == 4 * 3 * 5 * 2
    assert len({candidate.name for candidate in candidates}) == 120


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"width_ratios": ()}, "width_ratios: empty, expected one or more"),
        ({"width_ratios": (0.05,)}, "width_ratios: 0.05, expected 0.1 to 2"),
        ({"width_ratios": (1.0, 0.5)}, "width_ratios: 1.0, 0.5, expected each once, rising"),
        ({"width_ratios": (0.501, 0.502)}, "width_ratios: expected whole per cents apart"),
        ({"sides_px": (100,)}, "sides_px: 100, expected a multiple of 32"),
        ({"sides_px": (96, 96)}, "sides_px: 96, 96, expected each once, rising"),
        ({"pruning_ratios": (0.3,)}, "pruning_ratios: no 0, expected it"),
        ({"pruning_ratios": (0.0, 0.001)}, "pruning_ratios: expected whole per cents apart"),
        ({"pruning_ratios": (0.0, 1.0)}, "pruning_ratios: 1.0, expected 0 to 0.95"),
        ({"schemes": ()}, "schemes: empty, expected one or more, each once"),
        ({"schemes": ("int8", "int8")}, "schemes: int8, int8, expected one or more, each once"),
        ({"schemes": ("int4",)}, "schemes: 'int4', expected one of float32, int8"),
    ],
)
def test_a_space_that_cannot_be_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(RangeError) as info:
        Space(**settings)
    assert problem in str(info.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(RangeError) as info:
        Space(width_ratios=(3.0,), sides_px=(33,), pruning_ratios=(0.1,), schemes=())
    assert len(info.value.problems) == 4


def test_distance_is_steps_along_the_lists() -> None:
    space = Space()
    one = Candidate(width_ratio=0.35, side_px=96, pruning_ratio=0.0, scheme="int8")
    other = Candidate(width_ratio=0.75, side_px=128, pruning_ratio=0.6, scheme="float32")
    assert space.distance(one, other) == 2 + 1 + 4 + 1
    assert space.distance(other, one) == 8
    assert space.distance(one, one) == 0


def test_figures_that_cannot_be_are_refused() -> None:
    cost = fake_cost(REFERENCE)
    with pytest.raises(RangeError, match="size_bytes is 0, expected above 0; local p90_ms is inf"):
        Cost(
            size_bytes=0,
            gzip_bytes=1,
            parameters=1,
            macs=1,
            timings={"local": Timing(p50_ms=1, p90_ms=float("inf"))},
        )
    facts = vars(fake_measured(REFERENCE)) | {"cost": cost}
    with pytest.raises(RangeError, match="mae_years is nan, expected 0 or more; gender"):
        Measured(**(facts | {"mae_years": float("nan"), "gender_accuracy_ratio": 1.1}))
