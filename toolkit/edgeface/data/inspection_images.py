"""How many images a set has, which cannot be used and why, and which pictures look odd.

In: a `Listing` and its `Scan`. Out: `ImageCounts`. No label is compared here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low

from edgeface.data.labels import Listing
from edgeface.data.scan import FLAT_CONTRAST, Picture, Scan

TINY_SIDE_PX = 32
"""Shorter side below which a picture is called tiny.

Source: chosen: half of 64 px, the smallest side that a recipe feeds to a model, so that most of
what the model sees would be interpolated; FER2013's 48 px faces are still used with success.
"""

DARK_BRIGHTNESS = 25.0
"""Mean grey level below which a picture is called dark.

Source: chosen: a tenth of white; none of 21,694 UTKFace and 7 of 32,136 FER2013 faces are darker.
"""

EXAMPLES = 5
"""Ids that are named of each kind. Source: chosen: enough to look at, the counts say the rest."""

_REASONS = 20  # chosen: a page of them; a set with more has them in its manifest
_OTHER_REASONS = "other reasons"
# What differs from image to image within one kind of reason: names in quotes, and rows.
_SPECIFIC = re.compile(r"'[^']*'|\"[^\"]*\"|(?<=#)\d+")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image and what is said of it.

    Attributes:
        id: of the image.
        text: one line.
    """

    id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ReasonCount:
    """One kind of reason for not using an image.

    Attributes:
        reason: with "…" for the names and rows that differ from image to image.
        count: images.
        examples: the first ones, with the reason in full.
    """

    reason: str
    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class OddPictures:
    """Readable pictures that are odd in one way.

    Attributes:
        limit: below which a picture is: a side in px, or a grey level.
        count: pictures.
        examples: the ones furthest below, with the value.
    """

    limit: float
    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sides of the usable pictures. A median of an even number is the lower of the middle two.

    Attributes:
        width_px: smallest, median and largest.
        height_px: smallest, median and largest.
    """

    width_px: tuple[int, int, int]
    height_px: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class ImageCounts:
    """What becomes of the images of a set: listed = usable + not usable.

    Attributes:
        listed: images that the set has.
        usable: readable, with a label; all other figures of an inspection are of these.
        not_usable: why the others are not, most frequent first: reasons of names and tables,
            pictures that cannot be read, images without any label.
        left_out: images that the listing has left out.
        unreadable: listed pictures that cannot be read.
        unlabelled: readable pictures without any label.
        sizes: None if nothing is usable.
        tiny: by the shorter side.
        dark: by mean grey level.
        flat: by the standard deviation of the grey levels; too even to look for copies of.
    """

    listed: int
    usable: int
    not_usable: tuple[ReasonCount, ...]
    left_out: int
    unreadable: int
    unlabelled: int
    sizes: Sizes | None
    tiny: OddPictures
    dark: OddPictures
    flat: OddPictures


def count_images(listing: Listing, scan: Scan, usable: Sequence[Picture]) -> ImageCounts:
    """Count the images of a set by what they are good for.

    Args:
        listing: of the set.
        scan: of its pictures.
        usable: pictures with a label.
    """
    known = {picture.id for picture in usable}
    unlabelled = [picture.id for picture in scan.pictures if picture.id not in known]
    faults = [
        *listing.left_out,
        *((finding.id, finding.reason) for finding in scan.unreadable),
        *((id, "no label") for id in unlabelled),
    ]
    return ImageCounts(
        listed=len(usable) + len(faults),
        usable=len(usable),
        not_usable=count_reasons(faults),
        left_out=len(listing.left_out),
        unreadable=len(scan.unreadable),
        unlabelled=len(unlabelled),
        sizes=_sizes(usable),
        tiny=_odd(usable, TINY_SIDE_PX, lambda one: min(one.width_px, one.height_px), "{:g} px"),
        dark=_odd(usable, DARK_BRIGHTNESS, lambda one: one.brightness, "grey level {:.1f}"),
        flat=_odd(usable, FLAT_CONTRAST, lambda one: one.contrast, "contrast {:.1f}"),
    )


def count_reasons(faults: Iterable[tuple[str, str]]) -> tuple[ReasonCount, ...]:
    """Count (id, reason) by kind of reason.

    Returns:
        Kinds in falling order of their counts, those that are equally frequent in the order in
        which they came; the rarest of many kinds are "other reasons" together.
    """
    kinds: dict[str, list[Example]] = {}
    for id, reason in faults:
        kinds.setdefault(_SPECIFIC.sub("…", reason), []).append(Example(id=id, text=reason))
    ordered = sorted(kinds.items(), key=lambda item: -len(item[1]))
    rest = [example for _, examples in ordered[_REASONS:] for example in examples]
    if rest:
        ordered[_REASONS:] = [(_OTHER_REASONS, rest)]
    return tuple(
        ReasonCount(reason=kind, count=len(examples), examples=tuple(examples[:EXAMPLES]))
        for kind, examples in ordered
    )


def _sizes(pictures: Sequence[Picture]) -> Sizes | None:
    if not pictures:
        return None
    widths = [picture.width_px for picture in pictures]
    heights = [picture.height_px for picture in pictures]
    return Sizes(
        width_px=(min(widths), median_low(widths), max(widths)),
        height_px=(min(heights), median_low(heights), max(heights)),
    )


def _odd(
    pictures: Sequence[Picture], limit: float, value: Callable[[Picture], float], form: str
) -> OddPictures:
    below = sorted((value(one), one.id) for one in pictures if value(one) < limit)
    return OddPictures(
        limit=limit,
        count=len(below),
        examples=tuple(Example(id=id, text=form.format(at)) for at, id in below[:EXAMPLES]),
    )
