"""The rule by which the interval of a loss becomes a verdict.

In: an interval, the margin and how many photographs stand behind it. Out: a `Verdict`.

**Rule.** With the interval of the loss (years of MAE gained, points of accuracy lost; below 0 the
candidate is better) and the margin, the largest loss that is accepted:

- better: the whole interval is below 0
- worse: the whole interval is beyond the margin
- not worse: the upper end is at most the margin, also where the whole interval is above 0, for then
  the loss is certain and small enough
- undecided: all else, also a loss that is certain but perhaps within the margin

Source: Piaggio et al. 2012, Extension of the CONSORT 2010 Statement (JAMA 308:2594), the figure of
possible scenarios; there "superior", "inferior", "noninferior" and "inconclusive". It asks for a
two-sided 95 % interval.

**Few images.** A bootstrap does not see what did not happen in the sample. Three guards:

- fewer than `SMALLEST_GROUPS` photographs: no verdict
- better and worse need as many photographs whose score changed as an exact sign test needs if all
  changed one way: log2(1 / tail), 6 at 95 %. Source: McNemar 1947, in its exact form.
- not worse in classes needs so many photographs that a share of losses as large as the margin
  would have shown: -ln(tail) / margin, 738 at 95 % and 0.5 points. Source: the "rule of three",
  Hanley and Lippman-Hand 1983, at this interval's own tail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edgeface.records import RangeError
from edgeface.training_specs import GENDER

Task = str
"""Name of the head that is judged."""

Verdict = Literal["better", "not worse", "worse", "undecided"]

MISS_RATIO = 0.05  # Source: 1 - 0.95, of the 95 % interval that CONSORT asks for, see above
SMALLEST_GROUPS = 30
"""Photographs below which a task is undecided and a slice is not judged.

Source: chosen: the percentile interval is too narrow by sqrt(1 - 1/n) (Efron and Tibshirani 1993,
section 14), 1.7 % at 30; there 18 of 300 simulated age intervals missed, 15 would be right.
"""


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The largest losses that are accepted.

    Attributes:
        age_mae_years: above 0.
        gender_accuracy_pp: in percentage points, above 0, at most 100.
        class_accuracy_pp: likewise of every other head of classes; None: as of gender. Chosen:
            what int8 or pruning may cost is no more for having other classes.
    """

    age_mae_years: float
    gender_accuracy_pp: float
    class_accuracy_pp: float | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        problems = [
            f"{name}: found {value:g}, expected above 0 and at most {highest:g}"
            for name, value, highest in (
                ("age_mae_years", self.age_mae_years, 120.0),
                ("gender_accuracy_pp", self.gender_accuracy_pp, 100.0),
                ("class_accuracy_pp", self.class_accuracy_pp, 100.0),
            )
            if value is not None and not 0 < value <= highest
        ]
        if problems:
            raise RangeError(problems)

    def accuracy_pp(self, head: str) -> float:
        """The largest loss of accuracy of a head of classes, in percentage points."""
        if head == GENDER or self.class_accuracy_pp is None:
            return self.gender_accuracy_pp
        return self.class_accuracy_pp


# Source of the three: issue 4, "It is done when", (a) and (b)
INT8_MARGINS = Margins(age_mae_years=0.05, gender_accuracy_pp=0.3)
PRUNED_INT8_MARGINS = Margins(age_mae_years=0.15, gender_accuracy_pp=0.5)
ONE_MEGABYTE_MARGINS = Margins(age_mae_years=0.35, gender_accuracy_pp=1.0)


def verdict_of(*, low: float, high: float, margin: float) -> Verdict:
    """Give the verdict that the module states, from the interval of the loss.

    Args:
        low: lower end of the interval of the loss; below 0 the candidate is better.
        high: upper end.
        margin: the largest loss that is accepted.
    """
    if high < 0:
        return "better"
    if low > margin:
        return "worse"
    return "not worse" if high <= margin else "undecided"


def judge(
    *,
    in_points: bool,
    loss_low: float,
    loss_high: float,
    margin: float,
    groups: int,
    changed: int,
    tail: float,
) -> Verdict:
    """Give the verdict on an interval, with the guards for few images.

    Args:
        in_points: whether the loss is one of accuracy, in percentage points.
        loss_low: lower end of the interval of the loss; below 0 the candidate is better.
        loss_high: upper end.
        margin: the largest loss that is accepted.
        groups: photographs.
        changed: photographs on which the two models' scores differ.
        tail: share beyond each end of the interval, 0.025 for 95 %.
    """
    if groups < SMALLEST_GROUPS:
        return "undecided"
    if changed < -math.log2(tail):  # which model is better cannot be told
        loss_low, loss_high = min(loss_low, 0.0), max(loss_high, 0.0)
    verdict = verdict_of(low=loss_low, high=loss_high, margin=margin)
    unseen_pp = -100 * math.log(tail) / groups
    if verdict == "not worse" and in_points and unseen_pp > margin:
        return "undecided"
    return verdict
