"""Dividing groups of images into splits: stratified, reproducible, blind to file order.

In: rows with their groups, some with a split. Out: the same rows, each with a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from edgeface.data.manifest import SPLITS, Row


def divide(rows: Sequence[Row], ratios: Mapping[str, float], seed: int) -> list[Row]:
    """Give a split to each row that has none, and cut the splits that are missing out of training.

    Args:
        rows: rows of a group have the same split, or none.
        ratios: shares of validation and test.
        seed: of the division.

    Returns:
        The rows in the same order, each with a split.
    """
    present = {row.split for row in rows if row.split}
    missing: dict[str, float] = {
        split: ratios[split] for split in SPLITS[1:] if split not in present
    }
    pool = [row for row in rows if row.split in (None, "train")]
    groups: dict[str, list[Row]] = {}
    for row in pool:
        groups.setdefault(row.group, []).append(row)
    of_group = assign_splits(
        [(group, stratum(members[0]), len(members)) for group, members in groups.items()],
        ratios={"train": 1 - sum(missing.values()), **missing},
        seed=seed,
    )
    return [
        replace(row, split=of_group[row.group])  # type: ignore[arg-type]  # keys of `ratios`
        if row.split in (None, "train")
        else row
        for row in rows
    ]


def stratum(row: Row) -> tuple[int, ...]:
    """What splits and calibration keep in proportion: gender, age decade and race.

    A set that has none of these is kept in proportion by its own first attribute. Unknown is -1.
    """
    decade = (row.age.low_years + row.age.high_years) // 20 if row.age else -1
    known = (row.classes.get("gender", -1), decade, row.classes.get("race", -1))
    if known == (-1, -1, -1) and row.classes:
        return (*known, row.classes[min(row.classes)])
    return (*known, -1)


def assign_splits(
    groups: Sequence[tuple[str, Hashable, int]],
    *,
    ratios: Mapping[str, float],
    seed: int,
) -> dict[str, str]:
    """Give every group to one split.

    Groups are put in order by stratum and, within a stratum, by a hash of seed and group. Going
    down that list each group goes to the split that is furthest behind its share, so every
    stratum is divided nearly in proportion and the whole almost exactly.

    Args:
        groups: (group, stratum, images in it); groups are unique, strata can be sorted.
        ratios: share of each split; they add up to 1.
        seed: of the hash.

    Returns:
        Split of each group. Depends on the set of groups, the ratios and the seed alone.

    Source:
        chosen: error diffusion (systematic sampling from a stratified list), because rounding
        per stratum starves the small splits of rare ages.
    """
    taken = dict.fromkeys(ratios, 0.0)
    seen = 0
    result = {}
    for group, _, size in sorted(groups, key=lambda g: (g[1], seeded_hash(seed, g[0]))):
        seen += size
        furthest = max(ratios, key=lambda split: ratios[split] * seen - taken[split])
        taken[furthest] += size
        result[group] = furthest
    return result


def seeded_hash(seed: int, text: str) -> str:
    """SHA-256 of seed and text, in hex: a random-looking order that is the same everywhere."""
    # a byte of a name that is not UTF-8 is a surrogate to Python
    return hashlib.sha256(f"{seed}|{text}".encode("utf-8", "surrogatepass")).hexdigest()
