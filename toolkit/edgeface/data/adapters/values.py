"""Cells of a label table to labels. In: stripped text. Out: ages, genders, splits, or None."""

from __future__ import annotations

import re

from edgeface.data.adapters.paths import shown
from edgeface.data.labels import MAX_AGE_YEARS, AgeInterval
from edgeface.errors import DataError

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
"""Spellings, in lower case, of "not known". Source: what pandas writes and reads as such."""

_NUMBER = re.compile(r"(\d{1,3})(?:[.,]\d+)?", re.ASCII)
_INTERVAL = re.compile(r"(\d{1,3})\s*[-–]\s*(\d{1,3})", re.ASCII)
_OPEN = re.compile(r"(?:more than\s+(\d{1,3})|(\d{1,3})\s*\+)", re.ASCII | re.IGNORECASE)
_GENDERS = {"0": 0, "m": 0, "male": 0, "1": 1, "f": 1, "female": 1}
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def parse_age(text: str) -> AgeInterval | None:
    """Read an age: "34", "34.5" (34 completed years), "30-39", "70+" or "more than 70" (70 to 120).

    Raises:
        DataError: another form, over 120, or an interval whose ends are the wrong way round.
    """
    if text.casefold() in MISSING:
        return None
    if number := _NUMBER.fullmatch(text):
        low = high = int(number[1])
    elif interval := _INTERVAL.fullmatch(text):
        low, high = int(interval[1]), int(interval[2])
    elif bound := _OPEN.fullmatch(text):
        low, high = int(bound[1] or bound[2]), MAX_AGE_YEARS
    else:
        raise DataError(f"age {shown(text)}, expected a number or an interval such as 30-39")
    if not low <= high <= MAX_AGE_YEARS:
        raise DataError(f"age {shown(text)}, expected 0 to {MAX_AGE_YEARS}, the lower end first")
    return AgeInterval(low_years=low, high_years=high)


def parse_gender(text: str) -> int | None:
    """Read a gender (0 male, 1 female): 0, 1, m, f, male or female in any case.

    Raises:
        DataError: another form.
    """
    if text.casefold() in MISSING:
        return None
    # pandas writes 0.0 and 1.0 where a column of 0 and 1 has gaps
    gender = _GENDERS.get(text.casefold().removesuffix(".0"))
    if gender is None:
        raise DataError(f"gender {shown(text)}, expected 0, 1, m, f, male or female")
    return gender


def parse_split(text: str) -> str | None:
    """Read a split: train, training, val, valid, validation, test or testing in any case.

    Raises:
        DataError: another form.
    """
    if text.casefold() in MISSING:
        return None
    split = split_named(text)
    if split is None:
        raise DataError(f"split {shown(text)}, expected train, validation or test")
    return split


def split_named(name: str) -> str | None:
    """Give the split that a folder's name stands for; None if for none."""
    return _SPLITS.get(name.casefold())
