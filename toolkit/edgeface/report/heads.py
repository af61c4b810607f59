"""Which heads a model's figures are of. In: `Metric` values. Out: heads, their figures and classes.

A result file has figures and no heads, so a head is known by what was measured of it. A figure is
found by its head and its name, because "accuracy" is of every head of classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgeface.bench.result import BenchEntry
from edgeface.bench.slices import SliceFigure
from edgeface.training_specs import AGE, GENDER
from edgeface.types import GENDER_CLASSES, Metric

_RECALL = "recall_"  # there is one of each class


@dataclass(frozen=True, kw_only=True)
class MainFigure:
    """The one figure that a head is known by.

    Attributes:
        task: name of the head.
        name: "accuracy" of classes, a ratio; "mae" of ages, in years.
    """

    task: str
    name: Literal["accuracy", "mae"]

    @property
    def words(self) -> str:
        """E.g. "gender accuracy"."""
        return f"{in_words(self.task)} {'MAE' if self.name == 'mae' else self.name}"

    @property
    def unit(self) -> str:
        """Of the printed figure."""
        return "years" if self.name == "mae" else "%"

    @property
    def heading(self) -> str:
        """E.g. "gender accuracy %", for a column."""
        return f"{self.words} {self.unit}"

    @property
    def label(self) -> str:
        """E.g. "gender accuracy, %", for an axis."""
        return f"{self.words}, {self.unit}"

    @property
    def scale(self) -> float:
        """What the value is printed times."""
        return 1.0 if self.name == "mae" else 100.0

    @property
    def sign(self) -> int:
        """-1 where more is better."""
        return 1 if self.name == "mae" else -1


GENDER_ACCURACY = MainFigure(task=GENDER, name="accuracy")
AGE_MAE = MainFigure(task=AGE, name="mae")


@dataclass(frozen=True, kw_only=True)
class ClassHead:
    """A head of classes.

    Attributes:
        task: its name.
        classes: in the order of their numbers.
    """

    task: str
    classes: tuple[str, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """The classes as they are listed: of two, that whose probability the head gives first."""
        return self.classes[::-1] if len(self.classes) == 2 else self.classes


def in_words(task: str) -> str:
    """Name of a head as it is read, e.g. "hair colour" of "hair_colour"."""
    return task.replace("_", " ")


def metrics_of(entry: BenchEntry | None) -> tuple[Metric, ...]:
    """All figures of a model; none where quality was not measured."""
    return () if entry is None or entry.quality is None else entry.quality.metrics


def find_metric(metrics: Iterable[Metric], task: str, name: str) -> Metric | None:
    """Find a figure by its head and its name; None where it was not measured."""
    return next((each for each in metrics if (each.task, each.name) == (task, name)), None)


def class_heads(metrics: Iterable[Metric | SliceFigure]) -> tuple[ClassHead, ...]:
    """Find the heads of classes with what they tell apart, in the order they were measured.

    Args:
        metrics: of one model or several, or of their slices.
    """
    found: dict[str, dict[str, None]] = {}
    for metric in metrics:
        if metric.name == "accuracy":
            found.setdefault(metric.task, {})
        elif metric.name.startswith(_RECALL):
            found.setdefault(metric.task, {})[metric.name.removeprefix(_RECALL)] = None
    return tuple(
        ClassHead(task=task, classes=GENDER_CLASSES if task == GENDER else tuple(names))
        for task, names in found.items()
    )


def other_heads(metrics: Iterable[Metric | SliceFigure]) -> tuple[ClassHead, ...]:
    """Find the heads of classes other than gender, which has columns of its own everywhere."""
    return tuple(head for head in class_heads(metrics) if head.task != GENDER)


def main_figures(metrics: Iterable[Metric | SliceFigure]) -> tuple[MainFigure, ...]:
    """Gender accuracy and age MAE, then the accuracy of each other head that was measured."""
    others = (MainFigure(task=head.task, name="accuracy") for head in other_heads(metrics))
    return (GENDER_ACCURACY, AGE_MAE, *others)


def confusion(metrics: Iterable[Metric], head: ClassHead) -> list[list[int | None]]:
    """Give the confusion matrix of a head, a row a true class, in the order of its classes.

    Returns:
        Images by true class and named class; None where a count is not there.
    """
    counts = {each.name: each.value for each in metrics if each.task == head.task}

    def count(true: str, said: str) -> int | None:
        value = counts.get(f"true_{true}_said_{said}")
        return None if value is None else round(value)

    return [[count(true, said) for said in head.classes] for true in head.classes]


def never_predicted(metrics: Iterable[Metric], head: ClassHead) -> tuple[str, ...] | None:
    """Name the classes that a model never names; None where the counts are not there."""
    rows = confusion(metrics, head)
    columns = list(zip(*rows, strict=True))
    if not columns or any(count is None for column in columns for count in column):
        return None
    return tuple(
        name for name, column in zip(head.classes, columns, strict=True) if not any(column)
    )
