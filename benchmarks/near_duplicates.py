"""Times the search for near copies at growing numbers of pictures.

In: nothing, or `--counts`. Out: a table on stdout. The hashes are made, not measured: "even" has
independent fair bits; "face-like" has bits as uneven and as dependent on each other as those of
UTKFace are, which is what makes buckets full. A tenth of each are near copies of others.

    python benchmarks/near_duplicates.py
"""
# ruff: noqa: T201  # a script; its stdout is its result

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from math import log

import numpy as np
from numpy.typing import NDArray

from edgeface.data.duplicates import near_copies

COUNTS = (20_000, 200_000, 1_000_000)
BITS = 256
COPY_SHARE = 0.1
COPY_FLIPS = 6  # bits of 256 in which a copy differs: about the median of UTKFace's near copies / 2

FACTORS = 24
"""Dimensions behind the face-like bits. Chosen: the distances between their first 64 bits are then
28.0 +- 5.3 and 0.11 % of them are at most 12; UTKFace has 26.9 +- 4.7 and 0.13 %."""
BIAS = 0.75  # standard deviation of the thresholds of every second bit; the others are even

NEAR_LINEAR = 1.2
"""Largest exponent b of seconds ~ pictures^b that is called near-linear. Chosen: sorting alone,
n log n, has 1.07 from 20,000 to 1,000,000; comparing all with all has 2."""


def main() -> None:
    """Print one row a kind and count, then the exponent of growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    counts = sorted(parser.parse_args().counts)
    print(f"{os.cpu_count()} cores, {platform.machine()}, numpy {np.__version__}; one thread\n")
    print("| hashes | pictures | seconds | s per 1,000 | growth | groups | crowded | peak MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    exponents = {}
    for kind in ("even", "face-like"):
        before: tuple[int, float] | None = None
        first: tuple[int, float] | None = None
        for count in counts:
            digits = [row.tobytes().hex() for row in _hashes(kind, count, seed=count)]
            start = time.perf_counter()
            copies = near_copies(digits)
            seconds = time.perf_counter() - start
            growth = "" if before is None else f"n^{_exponent(before, (count, seconds)):.2f}"
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
            print(
                f"| {kind} | {count:,} | {seconds:.2f} | {seconds / count * 1000:.4f} | {growth} "
                f"| {len(copies.groups):,} | {len(copies.crowded):,} | {peak_mb:,.0f} |",
                flush=True,
            )
            before = (count, seconds)
            first = first or before
        if first and before and first != before:
            exponents[kind] = _exponent(first, before)
    for kind, exponent in exponents.items():
        verdict = "near-linear" if exponent <= NEAR_LINEAR else "NOT near-linear"
        print(f"\n{kind}: seconds ~ pictures^{exponent:.2f}: {verdict} (at most {NEAR_LINEAR})")


def _exponent(one: tuple[int, float], other: tuple[int, float]) -> float:
    return log(other[1] / one[1]) / log(other[0] / one[0])


def _hashes(kind: str, count: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    originals = round(count * (1 - COPY_SHARE))
    if kind == "even":
        packed = rng.integers(0, 256, (originals, BITS // 8), np.uint8)
    else:
        weights = rng.standard_normal((FACTORS, BITS)) / np.sqrt(FACTORS)
        bias = np.where(np.arange(BITS) % 2, 0, rng.normal(0, BIAS, BITS))
        parts = []
        for start in range(0, originals, 50_000):
            size = min(50_000, originals - start)
            signs = rng.standard_normal((size, FACTORS)) @ weights + bias > 0
            parts.append(np.packbits(signs, axis=1))
        packed = np.concatenate(parts)
    copies = packed[rng.integers(0, originals, count - originals)]
    for _ in range(COPY_FLIPS):
        at = rng.integers(0, BITS, len(copies))
        copies[np.arange(len(copies)), at // 8] ^= (128 >> at % 8).astype(np.uint8)
    return np.concatenate([packed, copies])


if __name__ == "__main__":
    main()
