"""What becomes of copies of one photograph: those that contradict or leak are left out.

In: rows with their groups, some with a split. Out: the same rows, some left out with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeface.data.adapters.listing import GENDER
from edgeface.data.disagreement import disagreement
from edgeface.data.labels import Attribute
from edgeface.data.manifest import Row, Split

# What is measured on is kept, what is trained on gives way.
_KEPT_FIRST: tuple[Split, ...] = ("test", "validation", "train")


def leave_out_bad_copies(rows: Sequence[Row], attributes: Sequence[Attribute]) -> list[Row]:
    """Leave out copies whose labels disagree, and copies of what is in a more held-out split.

    Copies that disagree about age or gender are left out: nobody knows whom they show. Copies that
    disagree about anything else lose that label, and are left out if they have no other.

    Args:
        rows: used ones; `split` may be None as yet.
        attributes: that copies are compared by; their numbers mean the same in all rows.

    Returns:
        The rows in the same order; rows left out have no split and the reason. In each group, the
        rows that are left have at most one split, which those without one have been given.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    settled = {
        (row.source, row.id): row
        for members in groups.values()
        for row in _settled(members, attributes)
    }
    return [settled[row.source, row.id] for row in rows]


def _settled(members: list[Row], attributes: Sequence[Attribute]) -> list[Row]:
    if len(members) == 1:
        return members
    who = [attribute for attribute in attributes if attribute.name == GENDER.name]
    differ = disagreement(members, who)
    if differ:
        reason = f"copies of one picture disagree: {differ.text}"
        return [replace(row, split=None, left_out=reason) for row in members]
    doubted = disagreement(members, attributes)
    doubtful = set(doubted.attributes) if doubted else set()
    members = [_without(row, doubtful) for row in members]
    first = {row.split: row for row in reversed(members)}
    split = next((split for split in _KEPT_FIRST if split in first), None)
    reason = f"copy of {first[split].id}, which is in {split}" if split else ""
    return [
        row
        if row.left_out
        else replace(row, split=split)
        if row.split in (None, split)
        else replace(row, split=None, left_out=reason)
        for row in members
    ]


def _without(row: Row, doubtful: set[str]) -> Row:
    if doubtful.isdisjoint(row.classes):
        return row
    classes = {name: number for name, number in row.classes.items() if name not in doubtful}
    if row.age or classes:
        return replace(row, classes=classes)
    names = " and ".join(sorted(doubtful))
    return replace(row, split=None, left_out=f"copies of one picture disagree: {names}")
