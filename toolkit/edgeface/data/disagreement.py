"""Whether the labels of pictures that should have the same ones do.

In: entries of one group of copies. Out: in what their labels disagree, or None. How the group was
found does not matter here, and nobody can say from labels alone which of them are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeface.data.adapters.paths import printable
from edgeface.data.labels import AgeInterval, Attribute

# Chosen: what fits a line of a table; more labels than these say no more than that there are many.
_SHOWN_LABELS = 4


class Labelled(Protocol):
    """What has an age or classes: an `Entry`, or a row of a manifest."""

    @property
    def age(self) -> AgeInterval | None:
        """None where it is not known."""

    @property
    def classes(self) -> Mapping[str, int]:
        """Class number by attribute name; an attribute that is missing is unknown."""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """In what the labels of one group disagree.

    Attributes:
        attributes: names of those with two or more known classes, in the order asked for; empty
            where only the ages disagree.
        age_gap_years: between the two ages furthest apart, for intervals between their nearest
            ends; 0 where the ages do not disagree.
        text: one printable line, e.g. "age 26 and 74; gender male and female".
    """

    attributes: tuple[str, ...]
    age_gap_years: int
    text: str


def disagreement(
    entries: Sequence[Labelled], attributes: Sequence[Attribute]
) -> Disagreement | None:
    """Compare the labels of one group.

    Two members disagree if both have a known class of an attribute and it is not the same, or if
    their age intervals do not overlap. What is unknown disagrees with nothing.

    Args:
        entries: of the group, in any order.
        attributes: that are compared; classes of others are not looked at.

    Returns:
        In what they disagree, the same for every order of the entries; None if in nothing.

    Source:
        Two intervals do not overlap if one begins after the other ends; a group has such a pair if
        its latest beginning is after its earliest end.
    """
    ages = {entry.age for entry in entries if entry.age is not None}
    gap_years = max((age.low_years for age in ages), default=0) - min(
        (age.high_years for age in ages), default=0
    )
    differing = []
    texts = []
    if gap_years > 0:
        ordered = sorted(ages, key=lambda age: (age.low_years, age.high_years))
        texts.append(f"age {_listed(map(_years, ordered))}")
    for attribute in attributes:
        numbers = {
            entry.classes[attribute.name] for entry in entries if attribute.name in entry.classes
        }
        if len(numbers) > 1:
            names = _listed(printable(attribute.classes[number]) for number in sorted(numbers))
            differing.append(attribute.name)
            texts.append(f"{printable(attribute.name)} {names}")
    if not texts:
        return None
    return Disagreement(
        attributes=tuple(differing), age_gap_years=max(gap_years, 0), text="; ".join(texts)
    )


def _years(age: AgeInterval) -> str:
    if age.low_years == age.high_years:
        return f"{age.low_years}"
    return f"{age.low_years}–{age.high_years}"


def _listed(labels: Iterable[str]) -> str:
    """Join with "and"; of many, the first ones and the last."""
    shown = list(labels)
    if len(shown) > _SHOWN_LABELS:
        shown[_SHOWN_LABELS - 1 : -1] = ["…"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
