"""Near copies against comparing all with all; groups against their definition."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.data import duplicates
from edgeface.data.duplicates import (
    DISTANCE,
    Links,
    copy_groups,
    exact_groups,
    hash_words,
    joined,
    near_links,
)
from edgeface.data.scan import MIRRORED_BITS
from edgeface.errors import DataError

Words = NDArray[np.uint64]
Found = dict[tuple[int, int], tuple[int, bool]]

MIRRORED = hash_words([MIRRORED_BITS])
ZERO = "0" * 64


def all_links(hashes: Words, distance: int = DISTANCE) -> Found:
    """The oracle: every pair within the distance, with the lesser of both distances."""
    plain = np.bitwise_count(hashes[:, None] ^ hashes).sum(axis=2, dtype=np.int64)
    mirrored = np.bitwise_count(hashes[:, None] ^ hashes ^ MIRRORED).sum(axis=2, dtype=np.int64)
    near = np.triu(np.minimum(plain, mirrored) <= distance, k=1)
    return {
        (int(one), int(other)): (
            int(min(plain[one, other], mirrored[one, other])),
            bool(mirrored[one, other] < plain[one, other]),
        )
        for one, other in np.argwhere(near)
    }


def as_found(links: Links) -> Found:
    pairs = zip(links.first.tolist(), links.second.tolist(), strict=True)
    values = zip(links.distance.tolist(), links.mirrored.tolist(), strict=True)
    return dict(zip(pairs, values, strict=True))


def strangers(count: int, seed: int) -> Words:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64)


def differing(hashes: Words, bits: Sequence[int], seed: int) -> Words:
    """Flip bits[i] bits of hashes[i], drawn anywhere."""
    rng = np.random.default_rng(seed)
    flips = np.zeros((len(hashes), 256), np.bool_)
    for row, number in enumerate(bits):
        flips[row, rng.permutation(256)[:number]] = True
    return np.asarray(hashes ^ np.packbits(flips, axis=1).view(np.uint64), np.uint64)


def planted(count: int = 2_000, seed: int = 1) -> Words:
    """Strangers; a copy of each fifth, that differs in 0 to 44 bits; a mirrored one of some."""
    some = strangers(count, seed)
    of = some[::5]
    copies = differing(of, np.resize(np.arange(1, 45), len(of)).tolist(), seed + 1)
    copies[::3] ^= MIRRORED
    return np.concatenate([some, copies])


def digits(hashes: Words) -> list[str]:
    return [row.tobytes().hex() for row in hashes]


def as_sets(groups: Iterable[Iterable[int]]) -> set[frozenset[int]]:
    return {frozenset(group) for group in groups}


def test_finds_what_comparing_all_with_all_finds() -> None:
    hashes = planted()
    expected = all_links(hashes)
    assert len(expected) == 364  # of 400 copies those of 1 to 40 bits: 9 rounds of 44, and 4 more
    found = as_found(near_links(hashes))
    assert found.items() <= expected.items()
    assert len(found) >= 0.995 * len(expected)
    assert any(mirrored for _, mirrored in found.values())


def test_the_limit_is_included_and_no_bit_more_is_near() -> None:
    one = strangers(1, seed=3)
    three = np.concatenate([one, differing(one, [40], seed=4), differing(one, [41], seed=5)])
    assert (0, 1) in as_found(near_links(three))
    assert (0, 2) not in as_found(near_links(three))
    assert as_found(near_links(three, distance=41))[0, 2] == (41, False)
    assert (0, 1) not in as_found(near_links(three, distance=39))


def test_opposite_hashes_are_not_near() -> None:
    """All 256 bits differ, which is 0 in eight bits; with one mirrored, 256 - 128."""
    one = strangers(1, seed=3)
    opposite = np.concatenate([one, ~one])
    assert as_found(near_links(opposite)) == {}
    assert as_found(near_links(opposite, distance=256, mirrored=False)) == {(0, 1): (256, False)}


def test_a_pair_that_is_near_in_both_ways_is_one_link_of_the_lesser_distance() -> None:
    """And no hash is linked with itself mirrored, though 128 bits apart."""
    one = strangers(1, seed=3)
    links = near_links(np.concatenate([one, ~one]), distance=256)
    assert links.first.tolist() == [0]
    assert as_found(links) == {(0, 1): (128, True)}


def test_mirrored_copies_are_found_if_wanted() -> None:
    one = strangers(1, seed=6)
    hashes = np.concatenate([one, one ^ MIRRORED, differing(one, [7], seed=7) ^ MIRRORED])
    assert as_found(near_links(hashes)) == {
        (0, 1): (0, True),
        (0, 2): (7, True),
        (1, 2): (7, False),
    }
    assert as_found(near_links(hashes, mirrored=False)) == {(1, 2): (7, False)}


def test_of_equal_hashes_only_the_first_has_pairs() -> None:
    one, other = strangers(1, seed=8), differing(strangers(1, seed=8), [9], seed=9)
    hashes = np.concatenate([other, one, one, other, one])
    assert as_found(near_links(hashes)) == {
        (0, 1): (9, False),
        (0, 3): (0, False),
        (1, 2): (0, False),
        (1, 4): (0, False),
    }


def test_many_equal_hashes_give_as_many_links() -> None:
    hashes = np.concatenate([np.repeat(strangers(1, seed=10), 50_000, axis=0), strangers(9, 11)])
    links = near_links(hashes)
    np.testing.assert_array_equal(links.first, np.zeros(49_999))
    np.testing.assert_array_equal(links.second, np.arange(1, 50_000))
    np.testing.assert_array_equal(links.distance, 0)


def test_a_crowd_that_is_all_near_is_one_group() -> None:
    """500 within 2 * 15 bits of each other: more than the neighbours that each is compared with."""
    hashes = differing(np.repeat(strangers(1, seed=12), 500, axis=0), [15] * 500, seed=13)
    links = near_links(hashes)
    assert as_found(links).items() <= all_links(hashes).items()
    assert len(links.first) <= 500 * duplicates.ORDERS * duplicates.NEIGHBOURS
    pairs = zip(links.first.tolist(), links.second.tolist(), strict=True)
    assert joined(500, pairs) == (tuple(range(500)),)


@pytest.mark.parametrize("count", range(12))
def test_few_hashes_are_all_compared(count: int) -> None:
    """With no more hashes than neighbours, an order compares all."""
    hashes = differing(np.repeat(strangers(1, seed=14), count, axis=0), [25] * count, seed=15)
    links = near_links(hashes)
    assert as_found(links) == all_links(hashes)
    assert links.first.dtype == links.second.dtype == links.distance.dtype == np.int64
    assert links.mirrored.dtype == np.bool_
    assert len(links.first) == len(links.second) == len(links.distance) == len(links.mirrored)


def test_links_are_in_order_and_do_not_depend_on_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = planted(500)
    by_cores = []
    for cores in (1, 2, 7):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        by_cores.append(near_links(hashes))
    assert list(as_found(by_cores[0])) == sorted(as_found(by_cores[0]))
    assert (by_cores[0].first < by_cores[0].second).all()
    assert as_found(by_cores[0]) == as_found(by_cores[1]) == as_found(by_cores[2])


def test_dropping_repeated_pairs_on_the_way_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes = planted(500)
    expected = as_found(near_links(hashes))
    monkeypatch.setattr(duplicates, "_PENDING", 0)
    assert as_found(near_links(hashes)) == expected


@pytest.mark.parametrize("block", [1, 2, 64])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one order, so that nothing that a block's end hides is found in another."""
    hashes = planted(100)
    monkeypatch.setattr(duplicates, "ORDERS", 1)
    expected = as_found(near_links(hashes))
    assert len(expected) > 3
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    assert as_found(near_links(hashes)) == expected


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.permutations(range(60)))
def test_the_order_of_pictures_changes_no_group(seed: int, shuffled: list[int]) -> None:
    some = strangers(20, seed)
    hashes = digits(np.concatenate([some, some, differing(some, range(20, 40), seed)]))
    pixels = [f"{index % 55}" for index in range(60)]
    groups = copy_groups(pixels, hashes)
    again = copy_groups([pixels[at] for at in shuffled], [hashes[at] for at in shuffled])
    assert as_sets([shuffled[at] for at in group] for group in again) == as_sets(groups)


def test_hash_words_keep_every_bit() -> None:
    assert np.bitwise_count(hash_words([ZERO, "f" * 64, f"{ZERO[:-1]}1"])).sum(axis=1).tolist() == [
        0,
        256,
        1,
    ]
    assert hash_words([]).shape == (0, 4)
    hashes = strangers(5, seed=16)
    np.testing.assert_array_equal(hash_words(digits(hashes)), hashes)


@pytest.mark.parametrize(
    ("hashes", "message"),
    [
        (["g" * 64], "a perceptual hash is not hexadecimal .*; scan again"),
        (["0" * 62], "a perceptual hash has not 64 hexadecimal digits; scan again"),
        (["0" * 62, "0" * 66], "has not 64 hexadecimal digits"),
        (["0" * 62 + "  "], "has not 64 hexadecimal digits"),
    ],
)
def test_a_hash_of_another_kind_is_refused(hashes: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        hash_words(hashes)


def test_exact_groups_are_in_order_of_their_first() -> None:
    assert exact_groups(["b", "a", "c", "a", "b", "b"]) == ((0, 4, 5), (1, 3))
    assert exact_groups([]) == exact_groups(["a", "b"]) == ()


pairs_of_12 = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20)


@given(pairs_of_12)
def test_joined_is_what_can_be_reached(pairs: list[tuple[int, int]]) -> None:
    reach = np.eye(12, dtype=np.int64)
    for one, other in pairs:
        reach[one, other] = reach[other, one] = 1
    connected = np.linalg.matrix_power(reach, 12) > 0
    expected = {tuple(np.flatnonzero(row).tolist()) for row in connected}
    assert joined(12, pairs) == tuple(sorted(group for group in expected if len(group) > 1))


def test_a_long_chain_is_one_group() -> None:
    backwards = ((at + 1, at) for at in reversed(range(5_000)))
    assert joined(5_001, backwards) == (tuple(range(5_001)),)
    assert joined(3, []) == joined(0, []) == ()


def test_copies_have_equal_pixels_or_near_hashes() -> None:
    one, other, third = digits(strangers(3, seed=17))
    near_one = digits(differing(hash_words([one]), [30], seed=18))[0]
    mirrored_third = digits(hash_words([third]) ^ MIRRORED)[0]
    pixels = ["p", "q", "r", "p", "s", "t", "u", "v"]
    hashes = [one, third, None, other, near_one, mirrored_third, None, None]
    # 0 and 3 by pixels, 0 and 4 by hash; 1 and 5 mirrored; None is near to nothing, nor to None
    assert copy_groups(pixels, hashes) == ((0, 3, 4), (1, 5))
    assert copy_groups(["p", "q", "p"], [None, None, None]) == ((0, 2),)
    assert copy_groups([], []) == ()


def test_as_many_hashes_as_digests() -> None:
    with pytest.raises(DataError, match="found 1 perceptual hashes, expected 2"):
        copy_groups(["p", "q"], [ZERO])
