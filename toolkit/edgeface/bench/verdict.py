"""Whether a compressed model is worse than the model it came from, as a whole and by slices.

In: what both models predict of the same held-out faces, and the faces' labels. Out: `Comparison`.
Nothing is predicted, read or written here. Compared are the heads that both have with one meaning:
the same classes, or both a value in one unit, by whatever kind of head.

Both models see the same images, so the differences of single images are resampled, one draw for
both (`paired_bootstrap`); `verdict_rule` says how an interval becomes a verdict.

**Many slices.** The worst of many slices looks bad by chance. Intervals and verdicts of slices are
therefore at the level 1 - 0.05 / k, k being the slices judged in a task, so that all of them hold
together with 95 % (Bonferroni), also that of the slice that is named because it is the worst.
Two tasks need no such correction: a model is accepted only if it is not worse in each of them.
Source: Berger 1982, intersection-union tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.paired_bootstrap import (
    Resampling,
    group_numbers,
    percentile_interval,
    resamples_needed,
)
from edgeface.bench.paired_scores import (
    Paired,
    Predictions,
    check_comparable,
    paired,
    shared_heads,
)
from edgeface.bench.verdict_rule import MISS_RATIO, SMALLEST_GROUPS, Margins, Task, Verdict, judge
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError
from edgeface.types import GENDER_CLASSES, Reporter

__all__ = [
    "Comparison",
    "Estimate",
    "Predictions",
    "Slice",
    "TaskComparison",
    "compare",
    "compare_each",
]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A paired difference on some images.

    Attributes:
        n: images.
        groups: photographs that they are copies of; n if no groups were given.
        changed: photographs on which the two models' scores differ.
        candidate: figure of the compressed model.
        reference: figure of the uncompressed model.
        difference: candidate - reference.
        low: lower end of the interval of the difference; None for a slice that is too small.
        high: upper end; None where `low` is.
        verdict: None for a slice that is too small.
    """

    n: int
    groups: int
    changed: int
    candidate: float
    reference: float
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict | None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A kind of faces.

    Attributes:
        by: what divides the faces; each face is in at most one slice of a kind.
        name: e.g. "20-29 female", or a race.
        estimate: of its faces alone.
    """

    by: Literal["age and gender", "race"]
    name: str
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """Both models in one task.

    Attributes:
        task: name of the head: one of classes is compared by its accuracy, an age by its MAE.
        unit: of all figures: "years", or "pp" (percent, and points for differences).
        margin: the largest loss that is accepted, in `unit`.
        overall: of all images that have the task's label, with its 95 % interval.
        slice_level: confidence of each slice's interval, a ratio; all hold together with 0.95.
        slices: of those images by age decade and gender, then by race; none for unknown labels.
        worst_slice: name of the judged slice that loses most, by its difference; the first of
            equals; None if none is judged.
    """

    task: Task
    unit: Literal["years", "pp"]
    margin: float
    overall: Estimate
    slice_level: float
    slices: tuple[Slice, ...]
    worst_slice: str | None

    @property
    def worst(self) -> Slice | None:
        """The slice that `worst_slice` names."""
        return next((each for each in self.slices if each.name == self.worst_slice), None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One model against another: the model it came from, or a baseline.

    Attributes:
        candidate: name of the one that is judged, e.g. of a compressed model.
        reference: name of the one it is held against.
        n: images both were run on.
        by_group: whether copies of one photograph were drawn together.
        resampling: how the bootstrap drew.
        tasks: the heads that both have and of which an image has the label; ages first, then in
            the order of the candidate's.
    """

    candidate: str
    reference: str
    n: int
    by_group: bool
    resampling: Resampling
    tasks: tuple[TaskComparison, ...]

    @property
    def is_not_worse(self) -> bool:
        """Whether the candidate is better or not worse in every task. Slices have no say."""
        return all(each.overall.verdict in ("better", "not worse") for each in self.tasks)


def compare(
    candidate: Predictions,
    reference: Predictions,
    labels: Faces,
    *,
    margins: Margins,
    resampling: Resampling | None = None,
    groups: Sequence[str] | None = None,
    race_names: Sequence[str] = (),
) -> Comparison:
    """Compare two models on the same held-out faces, with a verdict for each task and slice.

    Args:
        candidate: of the compressed model.
        reference: of the uncompressed model.
        labels: of the N faces; images are not looked at, `Faces.without_images` will do. A face
            counts in the tasks whose label it has: a class; an exact age.
        margins: the largest losses that are accepted.
        resampling: how the bootstrap draws; None: `Resampling()`.
        groups: N names; faces with one name are copies of one photograph. None: no copies.
        race_names: by class number; a number beyond it reads e.g. "race 4".

    Raises:
        BenchmarkError: no head in common; not one prediction, or group, for each face; no face
            has a label; more slices than `resampling` has resamples for.
        DataError: a class that cannot be.
        ModelError: a prediction that is not a number in its range.
    """
    drawing = Resampling() if resampling is None else resampling
    where = f"verdict on {candidate.name} against {reference.name}"
    heads = shared_heads(candidate, reference, where)
    check_comparable((candidate, reference), heads, labels, where)
    _check_groups(groups, len(labels), where)
    units = np.arange(len(labels)) if groups is None else group_numbers(groups)
    tasks = [paired(head, candidate, reference, labels, margins, units) for head in heads]
    known = [task for task in tasks if task.has_label.any()]
    if not known:
        raise BenchmarkError(
            f"{where}: none of {len(labels)} faces has a label of "
            f"{', '.join(head.name for head in heads)}, expected at least one; compare on a data "
            "set that has it"
        )
    slices = tuple(_slices(labels, race_names))
    return Comparison(
        candidate=candidate.name,
        reference=reference.name,
        n=len(labels),
        by_group=groups is not None,
        resampling=drawing,
        tasks=tuple(_compare_task(task, slices, drawing, where) for task in known),
    )


def compare_each(
    candidates: Sequence[Predictions],
    reference: Predictions,
    labels: Faces,
    *,
    margins: Margins,
    reporter: Reporter,
    groups: Sequence[str] | None = None,
    race_names: Sequence[str] = (),
) -> tuple[Comparison, ...]:
    """Compare models with one reference, while a bar moves: 4,073 faces took 1 to 2 s a model.

    Args and errors are those of `compare`.

    Returns:
        One value a candidate, in their order.
    """
    made = []
    if candidates:
        with reporter.track(f"verdicts against {reference.name}", len(candidates)) as advance:
            for candidate in candidates:
                made.append(
                    compare(
                        candidate,
                        reference,
                        labels,
                        margins=margins,
                        groups=groups,
                        race_names=race_names,
                    )
                )
                advance(1)
    return tuple(made)


_Mask = NDArray[np.bool_]
_Kind = Literal["age and gender", "race"]


def _compare_task(
    task: Paired, slices: Sequence[tuple[_Kind, str, _Mask]], drawing: Resampling, where: str
) -> TaskComparison:
    inside = [(by, name, mask & task.has_label) for by, name, mask in slices]
    inside = [each for each in inside if each[2].any()]
    judged = sum(_count_groups(task, mask) >= SMALLEST_GROUPS for _, _, mask in inside)
    slice_miss = MISS_RATIO / max(judged, 1)
    needed = resamples_needed(slice_miss / 2)
    if drawing.resamples < needed:
        raise BenchmarkError(
            f"{where}: {drawing.resamples:,} resamples are too few for the intervals of {judged} "
            f"slices, expected {needed:,} or more; raise resamples"
        )
    made = tuple(
        Slice(by=by, name=name, estimate=_estimate(task, mask, slice_miss, drawing, is_slice=True))
        for by, name, mask in inside
    )
    sign = _loss_sign(task)
    worst = max(
        (each for each in made if each.estimate.verdict is not None),
        key=lambda each: sign * each.estimate.difference,
        default=None,
    )
    return TaskComparison(
        task=task.task,
        unit="pp" if task.in_points else "years",
        margin=task.margin,
        overall=_estimate(task, task.has_label, MISS_RATIO, drawing, is_slice=False),
        slice_level=1 - slice_miss,
        slices=made,
        worst_slice=None if worst is None else worst.name,
    )


def _estimate(
    task: Paired, mask: _Mask, miss_ratio: float, drawing: Resampling, *, is_slice: bool
) -> Estimate:
    """The figures of some images, and their verdict."""
    candidate, reference = task.candidate[mask], task.reference[mask]
    _, unit = np.unique(task.units[mask], return_inverse=True)
    sums = np.bincount(unit, candidate - reference).astype(np.float64)
    sizes = np.bincount(unit).astype(np.float64)
    changed = int(np.count_nonzero(sums))
    low = high = verdict = None
    if not is_slice or len(sums) >= SMALLEST_GROUPS:
        low, high = percentile_interval(sums, sizes, miss_ratio / 2, drawing)
        sign = _loss_sign(task)
        verdict = judge(
            in_points=task.in_points,
            loss_low=min(sign * low, sign * high),
            loss_high=max(sign * low, sign * high),
            margin=task.margin,
            groups=len(sums),
            changed=changed,
            tail=miss_ratio / 2,
        )
    return Estimate(
        n=len(candidate),
        groups=len(sums),
        changed=changed,
        candidate=float(candidate.mean()),
        reference=float(reference.mean()),
        difference=float(sums.sum() / len(candidate)),
        low=low,
        high=high,
        verdict=verdict,
    )


def _loss_sign(task: Paired) -> int:
    return -1 if task.in_points else 1


def _count_groups(task: Paired, mask: _Mask) -> int:
    return len(np.unique(task.units[mask]))


def _slices(labels: Faces, race_names: Sequence[str]) -> Iterator[tuple[_Kind, str, _Mask]]:
    """Kinds of faces with their names; an age interval counts where it lies in one decade."""
    low, high = labels.age_low_years // 10, labels.age_high_years // 10
    decade = np.where(labels.has_age & (low == high), low, UNKNOWN)
    gender, race = labels.class_of("gender"), labels.class_of("race")
    for number in np.unique(decade[decade >= 0]):
        for code, gender_name in enumerate(GENDER_CLASSES):
            name = f"{10 * number}-{10 * number + 9} {gender_name}"
            yield "age and gender", name, (decade == number) & (gender == code)
    for number in np.unique(race[race >= 0]):
        known = number < len(race_names)
        yield "race", race_names[number] if known else f"race {number}", race == number


def _check_groups(groups: Sequence[str] | None, count: int, where: str) -> None:
    if groups is not None and len(groups) != count:
        raise BenchmarkError(
            f"{where}: found {len(groups)} groups, expected {count}, one for each face"
        )
    if groups is not None and "" in groups:
        raise BenchmarkError(
            f"{where}: face {list(groups).index('')} has an empty group, expected a name; give a "
            "face without copies a group of its own"
        )
