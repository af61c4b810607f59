"""How the labels of a set are spread: ages by gender, rounded ages, and classes of attributes.

In: entries with their labels. Out: `AgeCounts` and a `ClassCounts` for every attribute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from edgeface.data.labels import AgeInterval, Attribute, Entry

GENDER = "gender"
"""Attribute that ages are counted by. Source: the adapters' name for it."""

UNKNOWN = "unknown"

RARE_RATIO = 0.01
"""Share of the images below which a decade of one gender is rare.

Source: chosen: of the 2,000 to 4,000 images of a usual test split it leaves 20 to 40, too few to
tell how good a model is on them.
"""

WHIPPLE_AGES_YEARS = (23, 62)
"""Source: G. C. Whipple, Vital Statistics (1919): 23 to 62 holds each last digit four times, and
leaves out ages at which few people round."""


@dataclass(frozen=True, kw_only=True)
class AgeRow:
    """Images whose age lies in one interval.

    Attributes:
        low_years: 0 to 120.
        high_years: included.
        counts: images, in the order of `AgeCounts.genders`.
    """

    low_years: int
    high_years: int
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RareGroup:
    """A decade of one gender that has few images.

    Attributes:
        low_years: of the decade.
        high_years: of the decade, included.
        gender: name of the class.
        count: images, may be 0.
        ratio: of the images of which age and gender are known, below `RARE_RATIO`.
    """

    low_years: int
    high_years: int
    gender: str
    count: int
    ratio: float


@dataclass(frozen=True, kw_only=True)
class AgeCounts:
    """Ages of the usable images.

    Attributes:
        exact: images with an age in years.
        interval: images with a bin of ages.
        missing: images without an age.
        genders: classes of gender, "unknown" last where one is; only "unknown" in a set without.
        decades: 0 to 9, 10 to 19 and so on, none left out between the first and the last; bins that
            do not lie in one decade follow in the order of their ages, as they are.
        years: exact ages, a row a year from 0 to the oldest, none left out.
        whipple_index: 100 if ages ending in 0 and 5 are as frequent as others, 500 if there are no
            others; None if no exact age is within `WHIPPLE_AGES_YEARS`.
        whipple_count: images that it is of.
        rare: decades that have images, by gender, with fewer than `RARE_RATIO`.
    """

    exact: int
    interval: int
    missing: int
    genders: tuple[str, ...]
    decades: tuple[AgeRow, ...]
    years: tuple[AgeRow, ...]
    whipple_index: float | None
    whipple_count: int
    rare: tuple[RareGroup, ...]


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """One class.

    Attributes:
        name: of the class.
        count: images, may be 0.
    """

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """Classes of one attribute.

    Attributes:
        attribute: its name.
        classes: in the order of their numbers.
        missing: images of which the class is unknown.
        imbalance_ratio: largest class : smallest class, 1 or more; None where one has no image.
    """

    attribute: str
    classes: tuple[ClassCount, ...]
    missing: int
    imbalance_ratio: float | None


def count_ages(entries: Sequence[Entry], attributes: Sequence[Attribute]) -> AgeCounts:
    """Count ages by gender.

    Args:
        entries: usable ones.
        attributes: of the set.
    """
    classes = next((one.classes for one in attributes if one.name == GENDER), ())
    genders = list(classes)
    numbers = [entry.classes.get(GENDER, len(classes)) for entry in entries]
    if len(classes) in numbers:
        genders.append(UNKNOWN)
    ages: Counter[tuple[AgeInterval, int]] = Counter()
    for entry, gender in zip(entries, numbers, strict=True):
        if entry.age is not None:
            ages[entry.age, gender] += 1
    exact = {
        (age.low_years, gender): count
        for (age, gender), count in ages.items()
        if age.low_years == age.high_years
    }
    decades = _decades(ages, len(genders))
    index, index_count = whipple_index(exact)
    return AgeCounts(
        exact=sum(exact.values()),
        interval=ages.total() - sum(exact.values()),
        missing=len(entries) - ages.total(),
        genders=tuple(genders),
        decades=decades,
        years=_years(exact, len(genders)),
        whipple_index=index,
        whipple_count=index_count,
        rare=_rare(decades, classes),
    )


def whipple_index(exact: Mapping[tuple[int, int], int]) -> tuple[float | None, int]:
    """Measure how much ages are rounded to 0 and 5.

    Args:
        exact: images by (age in years, gender).

    Returns:
        Five times the share of ages ending in 0 or 5 among those of 23 to 62 years, in percent;
        None if there are none. And how many those are.

    Source:
        United Nations, Demographic Yearbook, technical notes on population by age: Whipple's index.
        It takes ages to be spread evenly over the last digits; where a set was not sampled so, some
        of it is not rounding.
    """
    low, high = WHIPPLE_AGES_YEARS
    within = dict.fromkeys(range(low, high + 1), 0)
    for (age, _), count in exact.items():
        if age in within:
            within[age] += count
    total = sum(within.values())
    round_ages = sum(count for age, count in within.items() if age % 5 == 0)
    return (500 * round_ages / total if total else None), total


def count_classes(entries: Sequence[Entry], attribute: Attribute) -> ClassCounts:
    """Count the classes of one attribute.

    Args:
        entries: usable ones.
        attribute: one of the set.
    """
    counts = Counter(entry.classes.get(attribute.name) for entry in entries)
    sizes = [counts[number] for number in range(len(attribute.classes))]
    return ClassCounts(
        attribute=attribute.name,
        classes=tuple(
            ClassCount(name=name, count=count)
            for name, count in zip(attribute.classes, sizes, strict=True)
        ),
        missing=counts[None],
        imbalance_ratio=max(sizes) / min(sizes) if all(sizes) and sizes else None,
    )


def _decades(ages: Mapping[tuple[AgeInterval, int], int], genders: int) -> tuple[AgeRow, ...]:
    rows: dict[tuple[int, int], list[int]] = {}
    within = [age.low_years // 10 for age, _ in ages if age.low_years // 10 == age.high_years // 10]
    for decade in range(min(within, default=0), max(within, default=-1) + 1):
        rows[10 * decade, 10 * decade + 9] = [0] * genders
    for (age, gender), count in sorted(ages.items(), key=lambda item: item[0][0].low_years):
        decade = 10 * (age.low_years // 10)
        ends = (age.low_years, age.high_years)
        if age.high_years < decade + 10:
            ends = (decade, decade + 9)
        rows.setdefault(ends, [0] * genders)[gender] += count
    return tuple(
        AgeRow(low_years=low, high_years=high, counts=tuple(counts))
        for (low, high), counts in sorted(rows.items())
    )


def _years(exact: Mapping[tuple[int, int], int], genders: int) -> tuple[AgeRow, ...]:
    oldest = max((age for age, _ in exact), default=-1)
    return tuple(
        AgeRow(
            low_years=age,
            high_years=age,
            counts=tuple(exact.get((age, gender), 0) for gender in range(genders)),
        )
        for age in range(oldest + 1)
    )


def _rare(decades: Sequence[AgeRow], classes: Sequence[str]) -> tuple[RareGroup, ...]:
    total = sum(sum(row.counts[: len(classes)]) for row in decades)
    return tuple(
        RareGroup(
            low_years=row.low_years,
            high_years=row.high_years,
            gender=name,
            count=row.counts[gender],
            ratio=row.counts[gender] / total,
        )
        for row, (gender, name) in product(decades, enumerate(classes))
        if sum(row.counts) and row.counts[gender] < RARE_RATIO * total
    )
