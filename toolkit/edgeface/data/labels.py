"""What any labelled face set says of its images, whatever its format.

In: nothing. Out: the values that adapters give and every later stage of the room takes, and the
check that class numbers mean to a model what they mean in the data. A label that a set does not
have is missing, not an error: one model can learn from several sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.types import HeadSpec

MAX_AGE_YEARS = 120
SHOWN_CHARACTERS = 200  # chosen: up to 256 class names, and a message is one line


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """Something that is one of a few classes.

    Attributes:
        name: e.g. "gender".
        classes: names in the order of their numbers, e.g. ("male", "female").
    """

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AgeInterval:
    """An age in completed years, known exactly (`low == high`) or to lie in a bin.

    Attributes:
        low_years: 0 to `high_years`.
        high_years: included; up to 120.
    """

    low_years: int
    high_years: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.low_years <= self.high_years <= MAX_AGE_YEARS:
            raise ValueError(
                f"age {self.low_years} to {self.high_years} years, expected 0 to {MAX_AGE_YEARS}"
            )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image that a set lists, with the labels it has.

    Attributes:
        id: unique in the set: the path below the root with forward slashes, or `FILE.csv#ROW`.
        age: None where the set does not say.
        classes: class number by attribute name; an attribute that is missing is unknown.
        split: the set's own "train", "validation" or "test"; None where it has none.
    """

    id: str
    age: AgeInterval | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """How the pictures of a set are had, by the id of an entry. Both functions raise `DataError`.

    Attributes:
        content: the bytes that stand for a picture: its whole file, or the text of its CSV cell.
        decode: makes pixels of them, uint8 [H, W, 3] RGB.
    """

    content: Callable[[str], bytes]
    decode: Callable[[str, bytes], NDArray[np.uint8]]

    def read(self, id: str) -> NDArray[np.uint8]:
        """Give the pixels of a picture, uint8 [H, W, 3] RGB."""
        return self.decode(id, self.content(id))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a set holds by its names and tables, before a pixel is read.

    Attributes:
        adapter: the format, e.g. "utkface".
        root: folder (or file) it was read from.
        attributes: that entries may have classes of.
        entries: in order of id, ids unique.
        left_out: (id, reason) of what cannot be used, in order of id.
        pictures: of the entries.
    """

    adapter: str
    root: Path
    attributes: tuple[Attribute, ...]
    entries: tuple[Entry, ...]
    left_out: tuple[tuple[str, str], ...]
    pictures: Pictures

    def read(self, entry: Entry) -> NDArray[np.uint8]:
        """Give the pixels of an entry, uint8 [H, W, 3] RGB; raises DataError."""
        return self.pictures.read(entry.id)


def check_classes(attributes: Iterable[Attribute], heads: Iterable[HeadSpec], where: str) -> None:
    """Make sure that class numbers mean to each head what they mean in the data.

    Faces carry class numbers, and a head learns and is judged by them: names in another order
    would teach it the wrong class without a word. A head that the data has no attribute for is
    none of this check's business: the label is missing.

    Args:
        attributes: of all the sets, each with its own.
        heads: of the model; those with values and not classes are not looked at.
        where: the data, for the message.

    Raises:
        DataError: a head has other classes than the attribute of its name, or another order.
    """
    wanted = {head.name: head.classes for head in heads if head.has_classes}
    for attribute in attributes:
        classes = wanted.get(attribute.name, attribute.classes)
        if classes != attribute.classes:
            name = attribute.name
            raise DataError(
                f"{where}: {name} is {_listed(attribute.classes)} in the data and "
                f"{_listed(classes)} in the model, expected the same classes in the same order; "
                f"write the recipe's [model.classes] {name} as the data has it, or prepare the "
                "data anew"
            )


def _listed(names: tuple[str, ...]) -> str:
    text = ", ".join(names)
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return ascii(text) if not text.isprintable() else text
