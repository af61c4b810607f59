"""Every image of a set is counted once, as usable or with the reason why it is not."""

from __future__ import annotations

from pathlib import Path

from edgeface.data.inspection_images import Example, ReasonCount, Sizes, count_images, count_reasons
from edgeface.data.labels import Entry, Listing, Pictures
from edgeface.data.scan import Finding, Picture, Scan


def no_pictures(id: str, content: bytes = b"") -> bytes:
    raise AssertionError(f"{id} was read: an inspection takes what was scanned")


def picture(
    id: str,
    width_px: int = 100,
    height_px: int = 100,
    brightness: float = 120.0,
    contrast: float = 50.0,
) -> Picture:
    return Picture(
        id=id,
        content_sha256=id,
        pixels_sha256=id,
        width_px=width_px,
        height_px=height_px,
        brightness=brightness,
        contrast=contrast,
        perceptual_hash=None,
    )


def test_listed_is_usable_and_the_rest() -> None:
    listing = Listing(
        adapter="table",
        root=Path("faces"),
        attributes=(),
        entries=tuple(Entry(id=id) for id in "abcd"),
        left_out=(("x", "bad name"), ("y", "'y' is in t.csv#7 already, with the same labels")),
        pictures=Pictures(content=no_pictures, decode=no_pictures),  # type: ignore[arg-type]
    )
    scan = Scan(
        pictures=tuple(picture(id) for id in "abc"),
        unreadable=(Finding(id="d", reason="the file is empty"),),
    )
    counts = count_images(listing, scan, [picture("a"), picture("b")])
    assert (counts.listed, counts.usable) == (6, 2)
    assert (counts.left_out, counts.unreadable, counts.unlabelled) == (2, 1, 1)
    assert [(one.reason, one.count) for one in counts.not_usable] == [
        ("bad name", 1),
        ("… is in t.csv#… already, with the same labels", 1),
        ("the file is empty", 1),
        ("no label", 1),
    ]


def test_reasons_that_differ_only_in_names_and_rows_are_one_kind() -> None:
    found = count_reasons(
        [("r", "rare")]
        + [(f"f{row}", f'"it\'s" is in t.csv#{row} already') for row in range(7)]
        + [("q", "expected 0 to 4")]
    )
    assert found[0].reason == "… is in t.csv#… already"
    assert found[0].count == 7
    assert found[0].examples == tuple(
        Example(id=f"f{row}", text=f'"it\'s" is in t.csv#{row} already') for row in range(5)
    )
    # equally frequent ones as they came; digits that are not a row stay
    assert [one.reason for one in found[1:]] == ["rare", "expected 0 to 4"]


def test_many_kinds_of_reasons_are_cut() -> None:
    found = count_reasons([(str(kind), f"kind {kind}") for kind in range(23)] + [("z", "kind 21")])
    assert len(found) == 21
    assert found[0] == ReasonCount(
        reason="kind 21",
        count=2,
        examples=(Example(id="21", text="kind 21"), Example(id="z", text="kind 21")),
    )
    assert (found[-1].reason, found[-1].count) == ("other reasons", 3)
    assert sum(one.count for one in found) == 24


def test_odd_pictures_are_below_the_limit_and_the_oddest_is_named_first() -> None:
    usable = [
        picture("edge", 32, 200, brightness=25.0, contrast=2.0),
        picture("narrow", 31, 200),
        picture("low", 300, 8),
        picture("dark", brightness=24.9),
        picture("flat", contrast=1.99),
    ]
    listing = Listing(
        adapter="table",
        root=Path("faces"),
        attributes=(),
        entries=tuple(Entry(id=one.id) for one in usable),
        left_out=(),
        pictures=Pictures(content=no_pictures, decode=no_pictures),  # type: ignore[arg-type]
    )
    counts = count_images(listing, Scan(pictures=tuple(usable), unreadable=()), usable)
    assert counts.tiny.examples == (
        Example(id="low", text="8 px"),
        Example(id="narrow", text="31 px"),
    )
    assert counts.dark.examples == (Example(id="dark", text="grey level 24.9"),)
    assert counts.flat.examples == (Example(id="flat", text="contrast 2.0"),)
    assert (counts.tiny.count, counts.dark.count, counts.flat.count) == (2, 1, 1)
    assert counts.sizes == Sizes(width_px=(31, 100, 300), height_px=(8, 100, 200))
    none = count_images(listing, Scan(pictures=(), unreadable=()), [])
    assert none.sizes is None
