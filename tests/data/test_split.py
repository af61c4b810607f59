"""`split`: shares are kept whatever the sizes, and only seed and groups decide."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.split import assign_splits, seeded_hash

RATIOS = {"train": 0.7, "validation": 0.1, "test": 0.2}

# (stratum, images) of each group; the group's name is its index
Groups = list[tuple[str, int, int]]
groups = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=60).map(
    lambda found: [(str(i), stratum, size) for i, (stratum, size) in enumerate(found)]
)
ratios = st.tuples(st.floats(0.02, 0.48), st.floats(0.02, 0.48)).map(
    lambda found: {"train": 1 - found[0] - found[1], "validation": found[0], "test": found[1]}
)
seeds = st.integers(0, 2**32)


def singles(count: int, stratum: int = 0) -> Groups:
    return [(f"{stratum}-{i}", stratum, 1) for i in range(count)]


@given(groups=groups, ratios=ratios, seed=seeds)
def test_shares_are_kept_to_within_the_largest_group(
    groups: Groups, ratios: dict[str, float], seed: int
) -> None:
    found = assign_splits(groups, ratios=ratios, seed=seed)
    assert set(found) == {group for group, _, _ in groups}
    total = sum(size for _, _, size in groups)
    largest = max(size for _, _, size in groups)
    for split, ratio in ratios.items():
        taken = sum(size for group, _, size in groups if found[group] == split)
        assert abs(taken - ratio * total) <= largest


@given(groups=groups, seed=seeds, order=st.randoms(use_true_random=False))
def test_the_order_of_the_groups_does_not_matter(groups: Groups, seed: int, order: Random) -> None:
    shuffled = list(groups)
    order.shuffle(shuffled)
    assert assign_splits(shuffled, ratios=RATIOS, seed=seed) == assign_splits(
        groups, ratios=RATIOS, seed=seed
    )


@given(counts=st.lists(st.integers(1, 80), min_size=1, max_size=8), seed=seeds)
def test_every_stratum_is_divided_in_proportion(counts: Sequence[int], seed: int) -> None:
    everything = [one for stratum, count in enumerate(counts) for one in singles(count, stratum)]
    found = assign_splits(everything, ratios=RATIOS, seed=seed)
    for stratum, count in enumerate(counts):
        taken = Counter(found[group] for group, at, _ in everything if at == stratum)
        for split, ratio in RATIOS.items():
            # The running error is below 1 where the stratum begins and where it ends.
            assert abs(taken[split] - ratio * count) < 2, (stratum, split)


@given(seed=seeds)
def test_another_seed_gives_another_division(seed: int) -> None:
    # 100 single images: the chance that two orders agree is far below 1 in 10^20.
    one, other = (
        assign_splits(singles(100), ratios=RATIOS, seed=each) for each in (seed, seed + 1)
    )
    assert one != other
    assert (
        Counter(one.values())
        == Counter(other.values())
        == {
            "train": 70,
            "validation": 10,
            "test": 20,
        }
    )


def test_a_group_keeps_to_its_place_in_the_hash_order() -> None:
    """By hand: shares 0.5, 0.25, 0.25 of four images go furthest-behind first: A B C A."""
    order = sorted("wxyz", key=lambda group: hashlib.sha256(f"5|{group}".encode()).hexdigest())
    found = assign_splits(
        [(group, 0, 1) for group in "wxyz"], ratios={"A": 0.5, "B": 0.25, "C": 0.25}, seed=5
    )
    assert [found[group] for group in order] == ["A", "B", "C", "A"]


def test_the_hash_is_the_same_everywhere_and_looks_random() -> None:
    assert seeded_hash(1, "face.jpg") == hashlib.sha256(b"1|face.jpg").hexdigest()
    assert seeded_hash(1, "1|a") != seeded_hash(11, "|a")
    # bytes of a file name that are not UTF-8
    assert seeded_hash(1, "caf\udce9") != seeded_hash(1, "caf\udce8")
    first_digits = [int(seeded_hash(3, str(i))[:8], 16) / 2**32 for i in range(2000)]
    # Four standard errors of a uniform mean over 2,000: 4 / sqrt(12 * 2000) = 0.026.
    assert np.mean(first_digits) == pytest.approx(0.5, abs=0.026)
