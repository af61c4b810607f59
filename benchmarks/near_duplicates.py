"""Times the search for near copies at growing numbers of hashes, and counts what it misses.

In: nothing; the hashes are made. Out: a table on stdout and, with `--json`, a record.

    python benchmarks/near_duplicates.py [--json FILE]

A tenth of the hashes are copies of others in which a known number of bits, drawn anywhere, is
flipped; every second copy is mirrored. Each row is a process of its own, so that its peak memory is
its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgeface import __version__
from edgeface.data.duplicates import NEIGHBOURS, ORDERS, hash_words, near_links
from edgeface.data.scan import MIRRORED_BITS
from edgeface.records import write_json
from edgeface.runtime.device_facts import DeviceInfo, describe_local

SCHEMA_VERSION = 1
COUNTS = (20_000, 200_000, 1_000_000)
KINDS = ("even", "crowded")
BITS = 256
PLANTED_BITS = (8, 16, 24, 32, 40)  # in which copies differ
PLANTED_RATIO = 0.1
MAX_RUNS, ENOUGH_SECONDS = 3, 15  # a row is measured again until either is reached

# Crowded hashes are signs of sums of a few factors that all bits share, of noise, and of a bias.
# Source: fitted by hand to the 21,313 distinct hashes of UTKFace. Distances of random pairs: mean
# 120, standard deviation 12.3, shares up to 70, 80 and 90 bits 2.4e-5, 5.7e-4 and 7.3e-3; UTKFace
# has 119, 10.2, 6.0e-5, 6.8e-4 and 6.3e-3 (even bits: 128, 8.0, 0, 0 and 8e-7). A pair agrees in
# two bytes that are drawn with probability 2^-13.4, UTKFace's with 2^-13.3 (even: 2^-16).
FACTORS = 4
SHARED_VARIANCE = 0.25
LOW_BITS, LOW_BIAS, HIGH_BIAS = (
    64,
    0.55,
    0.3,
)  # standard deviations of the first bits' and the rest's

_CHUNK = 20_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One search.

    Attributes:
        kind: of hashes, see `KINDS`.
        hashes: how many.
        seconds: wall time of `near_links`, mirrored copies included: the least of up to `MAX_RUNS`.
        cpu_seconds: of all threads: the least.
        links: pairs found, also such as were not planted.
        recall: share of the planted copies that were found, by `PLANTED_BITS`.
        peak_bytes: resident set of the process, with making the hashes.
    """

    kind: str
    hashes: int
    seconds: float
    cpu_seconds: float
    links: int
    recall: dict[str, float]
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """What `--json` writes.

    Attributes:
        schema_version: see `SCHEMA_VERSION`.
        created_utc: ISO 8601.
        machine: where it ran.
        versions: of edgeface and numpy.
        orders: see `duplicates.ORDERS`.
        neighbours: see `duplicates.NEIGHBOURS`.
        rows: the searches.
    """

    schema_version: int
    created_utc: str
    machine: DeviceInfo
    versions: dict[str, str]
    orders: int
    neighbours: int
    rows: tuple[Row, ...]


def main() -> None:
    """Measure, print the table and write the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the record here")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of hashes")
    options = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        cases = [(kind, count) for kind in KINDS for count in sorted(options.counts)]
        rows = tuple(pool.map(measure, *zip(*cases, strict=True)))
    Console(width=None if sys.stdout.isatty() else 160).print(table(rows))
    if options.json:
        record = Record(
            schema_version=SCHEMA_VERSION,
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=describe_local(),
            versions={"edgeface": __version__, "numpy": np.__version__},
            orders=ORDERS,
            neighbours=NEIGHBOURS,
            rows=rows,
        )
        write_json(options.json, record)


def measure(kind: str, count: int) -> Row:
    """Make the hashes, search them and look for the planted pairs."""
    rng = np.random.default_rng(count)
    copies = round(count * PLANTED_RATIO)
    strangers = _even(rng, count - copies) if kind == "even" else _crowded(rng, count - copies)
    first = rng.permutation(len(strangers))[:copies]
    second = len(strangers) + np.arange(copies)
    planted = np.resize(PLANTED_BITS, copies)
    # by pairs of turns, so that every distance has mirrored copies and others
    flipped = (np.arange(copies) // len(PLANTED_BITS) % 2).astype(np.bool_)
    made = strangers[first] ^ _flips(rng, planted)
    made[flipped] ^= hash_words([MIRRORED_BITS])
    hashes = np.concatenate([strangers, made])
    runs: list[tuple[float, float]] = []
    while len(runs) < MAX_RUNS and sum(seconds for seconds, _ in runs) < ENOUGH_SECONDS:
        start, cpu_start = time.perf_counter(), time.process_time()
        links = near_links(hashes)
        runs.append((time.perf_counter() - start, time.process_time() - cpu_start))
    found = np.isin(first * count + second, links.first * count + links.second)
    return Row(
        kind=kind,
        hashes=count,
        seconds=min(seconds for seconds, _ in runs),
        cpu_seconds=min(cpu_seconds for _, cpu_seconds in runs),
        links=len(links.first),
        recall={str(bits): float(found[planted == bits].mean()) for bits in PLANTED_BITS},
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    )


def table(rows: tuple[Row, ...]) -> Table:
    """Lay the rows out; growth is the exponent b of seconds ~ hashes^b since the row before."""
    laid = Table(title=f"near_links, {ORDERS} orders, {NEIGHBOURS} neighbours; recall in % by bits")
    laid.add_column("hashes", no_wrap=True)
    for name in ("number", "s", "CPU s", "growth", "CPU growth", "links", "peak MB"):
        laid.add_column(name, justify="right", no_wrap=True)
    for bits in PLANTED_BITS:
        laid.add_column(f"{bits} bits", justify="right", no_wrap=True)
    for before, row in zip((None, *rows), rows, strict=False):
        grown = ["", ""]
        if before and before.kind == row.kind:
            more = log(row.hashes / before.hashes)
            grown = [
                f"n^{log(row.seconds / before.seconds) / more:.2f}",
                f"n^{log(row.cpu_seconds / before.cpu_seconds) / more:.2f}",
            ]
        laid.add_row(
            row.kind,
            f"{row.hashes:,}",
            f"{row.seconds:.2f}",
            f"{row.cpu_seconds:.2f}",
            *grown,
            f"{row.links:,}",
            f"{row.peak_bytes / 1e6:,.0f}",
            *(f"{100 * ratio:.2f}" for ratio in row.recall.values()),
        )
    return laid


def _even(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    return rng.integers(0, 2**64, (count, BITS // 64), np.uint64)


def _crowded(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    shared = rng.standard_normal((FACTORS, BITS))
    shared *= np.sqrt(SHARED_VARIANCE) / np.linalg.norm(shared, axis=0)
    bias = rng.normal(0, np.where(np.arange(BITS) < LOW_BITS, LOW_BIAS, HIGH_BIAS))
    parts = []
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        latent = rng.standard_normal((size, FACTORS)) @ shared + bias
        latent += np.sqrt(1 - SHARED_VARIANCE) * rng.standard_normal((size, BITS))
        parts.append(np.packbits(latent > 0, axis=1).view(np.uint64))
    return np.concatenate(parts)


def _flips(rng: np.random.Generator, planted: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Draw masks uint64 [N, 4] with as many bits as asked, each bit as likely."""
    parts = []
    for start in range(0, len(planted), _CHUNK):
        wanted = planted[start : start + _CHUNK, None]
        ranks = rng.permuted(np.tile(np.arange(BITS), (len(wanted), 1)), axis=1)
        parts.append(np.packbits(ranks < wanted, axis=1).view(np.uint64))
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
