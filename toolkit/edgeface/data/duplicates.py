"""Copies of one photograph: pictures with equal pixels, and pictures that look nearly the same.

In: digests, or perceptual hashes of 256 bits as `scan` makes them. Out: groups of indices. Labels
are not looked at. A mirrored picture is a copy too: training flips pictures, so that a mirrored
copy in the test split has been trained on.

Comparing all hashes with all would take the square of their number. Here they are sorted many times
by some of their bytes, drawn anew each time, and each is compared with its next few neighbours in
every order: copies agree in most bytes, so they soon come to stand side by side. That takes
n log n whatever the hashes are; a pair is missed where no order brought it together.

Source:
    M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002, section 6:
    near neighbours in Hamming distance from sorted lists of permuted bits. Bytes are permuted
    instead of bits, because that is cheaper and, with the bytes of neighbouring frequencies that
    `scan` makes, finds more of the pairs of real faces (benchmarks/LOG.md).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from edgeface.data.scan import MIRRORED_BITS
from edgeface.errors import DataError

DISTANCE = 40
"""Bits of 256 in which near copies may differ.

Source: measured, see benchmarks/LOG.md: of the pairs of UTKFace and FER2013 that were looked at,
all up to here were one photograph each, and the first wrong one came at 42.
"""

ORDERS = 128
"""How many times the hashes are sorted.

Source: measured against comparing all with all, see benchmarks/LOG.md: finds all 601 near pairs of
UTKFace and all 1,195 of FER2013 with each of 8 seeds; 64 miss one of FER2013's with some of the
seeds. Of made copies that differ in 32 bits anywhere, 99.9 % are found among a million hashes.
"""

NEIGHBOURS = 8
"""How many that follow in an order each hash is compared with.

Source: chosen: comparing with them takes about as long as sorting; see `ORDERS` for what is found.
"""

_SEED = 1  # of the bytes that are drawn: the same pairs for the same hashes, always
_WORDS = 4  # of 64 bits in a hash
_BYTES = 32
_KEY_BYTES = 8  # that an order goes by: what one word holds
_BLOCK = 1 << 15  # hashes compared at a time: their words stay in the cache
_PENDING = 1 << 20  # pairs that may wait before those found more than once are dropped

_DISTANCE_BITS = 9  # distances go up to 256
_PAIR_SHIFT = _DISTANCE_BITS + 1  # and one bit for "mirrored"

Words = NDArray[np.uint64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Links:
    """Pairs of hashes that are near each other, each once, in order.

    Attributes:
        first: int64 [P], index of one hash.
        second: int64 [P], index of the other; greater than `first`.
        distance: int64 [P], bits in which they differ.
        mirrored: bool [P], whether one of the two was mirrored for that.
    """

    first: Indices
    second: Indices
    distance: Indices
    mirrored: NDArray[np.bool_]


def hash_words(perceptual_hashes: Sequence[str]) -> Words:
    """Pack hashes of 64 hexadecimal digits into uint64 [N, 4].

    Raises:
        DataError: one has not 64 hexadecimal digits.
    """
    try:
        packed = b"".join(map(bytes.fromhex, perceptual_hashes))
    except ValueError as err:
        raise DataError(f"a perceptual hash is not hexadecimal ({err}); scan again") from err
    lengths = set(map(len, perceptual_hashes)) - {2 * _BYTES}
    if lengths or len(packed) != _BYTES * len(perceptual_hashes):  # fromhex skips blanks
        raise DataError(f"a perceptual hash has not {2 * _BYTES} hexadecimal digits; scan again")
    return np.frombuffer(packed, np.uint64).reshape(-1, _WORDS)


def near_links(hashes: Words, *, distance: int = DISTANCE, mirrored: bool = True) -> Links:
    """Find pairs of hashes that differ in few bits, in near-linear time.

    Nearly all of them are found (`ORDERS`), and no pair that is not near. Of many hashes that are
    all near each other, each has some of its pairs only, up to `ORDERS` * `NEIGHBOURS`; they join
    such hashes into one group all the same.

    Args:
        hashes: uint64 [N, 4]; N below 90 million.
        distance: bits of 256, included.
        mirrored: also look for hashes of mirrored pictures.

    Returns:
        The pairs, the same whatever the number of cores. Of hashes that are equal, only the first
        has pairs with others, and it has one with each of its equals.
    """
    firsts, equal_first, equal_second = _equals(hashes)
    codes = [_codes(len(hashes), equal_first, equal_second, np.zeros(len(equal_first), np.int64))]
    distinct = hashes[firsts]
    if mirrored:
        mask = np.frombuffer(bytes.fromhex(MIRRORED_BITS), np.uint64)
        distinct = np.concatenate([distinct, distinct ^ mask])
    look = partial(_order_links, distinct, firsts, len(hashes), distance)
    rng = np.random.default_rng(_SEED)
    drawn = [rng.permutation(_BYTES)[:_KEY_BYTES] for _ in range(ORDERS)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy computes beside Python's lock
        for found in pool.map(look, drawn):
            codes.append(found)
            if sum(map(len, codes)) > 2 * len(codes[0]) + _PENDING:
                codes = [_unlike(np.concatenate(codes))]
    return _links(len(hashes), _unlike(np.concatenate(codes)))


def exact_groups(digests: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Group equal digests: two or more indices each, rising, groups in order of their first."""
    places = defaultdict(list)
    for index, digest in enumerate(digests):
        places[digest].append(index)
    return tuple(tuple(group) for group in places.values() if len(group) > 1)


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Join indices that pairs connect, also by way of others.

    Args:
        count: indices are 0 to count - 1.
        pairs: of indices.

    Returns:
        Groups of two or more indices, rising, in order of their first.

    Source:
        Union-find with path halving: R. Tarjan, J. van Leeuwen, "Worst-case analysis of set union
        algorithms", J. ACM 31 (1984).
    """
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    groups = defaultdict(list)
    for index in range(count):
        groups[root(index)].append(index)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def copy_groups(
    pixels_sha256: Sequence[str], perceptual_hashes: Sequence[str | None]
) -> tuple[tuple[int, ...], ...]:
    """Group pictures that are copies of one photograph: equal pixels or near hashes, joined.

    Args:
        pixels_sha256: of each picture.
        perceptual_hashes: of each picture, in the same order; None (it is flat) is near to none.

    Returns:
        Groups of two or more indices, rising, in order of their first.

    Raises:
        DataError: a hash that `hash_words` refuses, or not as many hashes as digests.
    """
    if len(pixels_sha256) != len(perceptual_hashes):
        raise DataError(
            f"found {len(perceptual_hashes)} perceptual hashes, expected {len(pixels_sha256)}, one "
            "a picture; scan again"
        )
    hashed = [index for index, digits in enumerate(perceptual_hashes) if digits is not None]
    links = near_links(hash_words([digits for digits in perceptual_hashes if digits is not None]))
    near = ((hashed[one], hashed[other]) for one, other in _pairs(links))
    equal = chain.from_iterable(map(pairwise, exact_groups(pixels_sha256)))
    return joined(len(pixels_sha256), chain(equal, near))


def _pairs(links: Links) -> Iterator[tuple[int, int]]:
    for start in range(0, len(links.first), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield from zip(links.first[block].tolist(), links.second[block].tolist(), strict=True)


def _equals(hashes: Words) -> tuple[Indices, Indices, Indices]:
    """Index of the first of each distinct hash; then each first and its equals, as pairs."""
    order = np.lexsort(hashes.T)  # stable: among equals the first stays first
    new = _changes(hashes[order])
    firsts = order[new]
    first_of_each = firsts[np.cumsum(new) - 1]
    return firsts, first_of_each[~new], order[~new]


def _order_links(
    hashes: Words, firsts: Indices, count: int, distance: int, drawn: NDArray[np.int64]
) -> Indices:
    """Codes of the near pairs of neighbours in one order.

    Args:
        hashes: uint64 [D] or, with the mirrored ones after the others, [2 D]; each [.., 4].
        firsts: int64 [D], index of each hash.
        count: indices are below.
        distance: bits.
        drawn: which bytes of a hash the order goes by.
    """
    order = _order(hashes, drawn)
    one, other = _near_neighbours(hashes, order, distance)
    bits = np.bitwise_count(hashes[one] ^ hashes[other]).sum(axis=1, dtype=np.int64)
    flips = one // len(firsts) ^ other // len(firsts)
    one, other = firsts[one % len(firsts)], firsts[other % len(firsts)]
    near = (bits <= distance) & (one != other)  # a picture is no copy of itself mirrored
    codes = _codes(count, one, other, bits << 1 | flips)
    near_codes: Indices = codes[near]
    return near_codes


def _order(hashes: Words, drawn: NDArray[np.int64]) -> Indices:
    keys = np.ascontiguousarray(hashes.view(np.uint8)[:, drawn]).view(np.uint64)[:, 0]
    # the last bits of a key give way to the place of its hash: sorting numbers is far faster than
    # sorting places by numbers, and keys that are equal keep one order on every machine
    place_bits = np.uint64(max(len(hashes) - 1, 1).bit_length())
    keys = keys >> place_bits << place_bits | np.arange(len(hashes), dtype=np.uint64)
    keys.sort()
    return (keys & ((np.uint64(1) << place_bits) - np.uint64(1))).astype(np.int64)


def _near_neighbours(hashes: Words, order: Indices, distance: int) -> tuple[Indices, Indices]:
    """Neighbours whose last two words are near: few are that are not near as a whole."""
    found = [(order[:0], order[:0])]
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK + NEIGHBOURS]
        words = np.ascontiguousarray(hashes.take(block, axis=0).T[2:])
        for step in range(1, min(NEIGHBOURS + 1, len(block))):
            bits = np.bitwise_count(words[:, step:] ^ words[:, :-step])
            places = np.flatnonzero(bits[0] + bits[1] <= distance)  # 128 at most: uint8 holds it
            found.append((block[places], block[places + step]))
    ones, others = zip(*found, strict=True)
    return np.concatenate(ones), np.concatenate(others)


def _codes(count: int, one: Indices, other: Indices, rest: Indices) -> Indices:
    """One number a pair, so that sorting brings its least distance first: 63 bits are enough."""
    pair = np.minimum(one, other) * count + np.maximum(one, other)
    return pair << _PAIR_SHIFT | rest


def _unlike(codes: Indices) -> Indices:
    """Do what `np.unique` does, whose table of hashes takes 30 times as long as sorting."""
    codes.sort()
    return codes[_changes(codes)]


def _changes(rows: NDArray[np.int64] | Words) -> NDArray[np.bool_]:
    """Whether each differs from the one before."""
    changes = np.ones(len(rows), np.bool_)
    unlike = rows[1:] != rows[:-1]
    changes[1:] = unlike if unlike.ndim == 1 else unlike.any(axis=1)
    return changes


def _links(count: int, codes: Indices) -> Links:
    codes = codes[_changes(codes >> _PAIR_SHIFT)]
    pairs = codes >> _PAIR_SHIFT
    return Links(
        first=pairs // max(count, 1),
        second=pairs % max(count, 1),
        distance=(codes >> 1) & ((1 << _DISTANCE_BITS) - 1),
        mirrored=(codes & 1).astype(np.bool_),
    )
