"""Dividing groups of images into splits: stratified, reproducible, blind to file order."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence


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
