"""The record of one benchmark, and its file: written once, never edited.

In: what was measured. Out: `BenchResult`, as `<UTC time>_<device>_<name>.json`, and back. Tables
and plots are computed from these files; no summary is stored beside the raw samples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edgeface.bench.compression import Compression
from edgeface.bench.corruption import CorruptedQuality
from edgeface.bench.delegation import Delegation
from edgeface.bench.frames import FrameTimes
from edgeface.bench.latency import LatencySamples, MemoryUse
from edgeface.bench.parity import Parity
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples
from edgeface.bench.slices import SliceQuality
from edgeface.bench.soak import Soak
from edgeface.bench.thread_sweep import ThreadLatency
from edgeface.bench.verdict import Comparison
from edgeface.errors import BenchmarkError
from edgeface.records import RecordError, from_mapping, write_json
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.types import Quality, Scheme

RESULT_SCHEMA_VERSION = 4
"""Version 2 added to an entry how it was compressed, its gzip size, slices and corruptions; version
3 thread sweep, soak, parity, delegation and frames, and to the result what the device did meanwhile
and why it may be invalid; version 4 to the result the verdicts against the baseline. What an older
record lacks was not measured."""

READABLE_VERSIONS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class BenchEntry:
    """What was measured of one artifact.

    Attributes:
        name: of the artifact.
        artifact_sha256: of the `.tflite` that ran.
        size_bytes: of the `.tflite`.
        scheme: "float32" or "int8".
        parameters: of the network as it runs.
        macs: multiply-and-adds of one inference.
        trained: False where the weights are random; then there is no quality.
        latency: raw samples; None reads "not measured", as all that follow.
        memory: in a process of its own.
        quality: on held-out faces.
        compression: how it was made small.
        gzip_bytes: of the `.tflite`, compressed for a download.
        slices: quality by kinds of faces; empty if not measured.
        corruptions: quality on spoiled faces; empty if not measured.
        sweep: latency with each of several numbers of threads; empty if not measured.
        soak: latency over minutes without a pause.
        parity: the device's outputs against this host's.
        delegation: what the runtime's delegate takes of it.
        frames: from picture to attributes, by stage.
    """

    name: str
    artifact_sha256: str
    size_bytes: int
    scheme: Scheme
    parameters: int
    macs: int
    trained: bool
    latency: LatencySamples | None
    memory: MemoryUse | None
    quality: Quality | None
    compression: Compression | None = None
    gzip_bytes: int | None = None
    slices: tuple[SliceQuality, ...] = ()
    corruptions: tuple[CorruptedQuality, ...] = ()
    sweep: tuple[ThreadLatency, ...] = ()
    soak: Soak | None = None
    parity: Parity | None = None
    delegation: Delegation | None = None
    frames: FrameTimes | None = None

    def __post_init__(self) -> None:
        """Check that random weights carry no quality, and that a sweep has each count once."""
        figures = self.parity is not None and self.parity.metrics
        if not self.trained and (self.quality or self.slices or self.corruptions or figures):
            raise ValueError(f"{self.name} has a quality, but its weights are random")
        threads = [each.threads for each in self.sweep]
        if len(set(threads)) < len(threads):
            raise ValueError(f"{self.name}: sweep has a thread count twice: {threads}")

    @property
    def least_version(self) -> int:
        """The oldest schema version that can hold it."""
        third = (self.soak, self.parity, self.delegation, self.frames, *self.sweep)
        second = (self.compression, self.gzip_bytes, *self.slices, *self.corruptions)
        if any(each is not None for each in third):
            return 3
        return 2 if any(each is not None for each in second) else 1


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """One benchmark of one machine.

    Attributes:
        schema_version: one of `READABLE_VERSIONS`; the last in what is written now.
        started_utc: ISO 8601 with a zero offset.
        device_before: the machine before the first inference.
        device_after: the machine after the last.
        protocol: the rules.
        runtime: package that ran the models.
        runtime_version: of it.
        edgeface_version: of the code that measured.
        commit: of the code that measured; "unknown" outside its repository.
        entries: one for each artifact, in the order measured.
        baseline: name of the entry that the others are compared with.
        data: what quality was measured on; None if it was not.
        warnings: what makes the figures doubtful, in words.
        samples: of the device's state while each process ran; empty where nothing was looked at.
        invalid_reasons: why the figures do not count, in words; empty where they do.
        comparisons: paired verdict of each trained model against the baseline, and against further
            ones that were asked for, on the same faces; empty where these are untrained or no
            quality was measured.
    """

    schema_version: int
    started_utc: str
    device_before: DeviceInfo
    device_after: DeviceInfo
    protocol: BenchProtocol
    runtime: str
    runtime_version: str
    edgeface_version: str
    commit: str
    entries: tuple[BenchEntry, ...]
    baseline: str | None
    data: str | None
    warnings: tuple[str, ...]
    samples: tuple[RunSamples, ...] = ()
    invalid_reasons: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    def __post_init__(self) -> None:
        """Check version, names and that all qualities come from the same images."""
        if self.schema_version not in READABLE_VERSIONS:
            raise ValueError(f"schema_version is {self.schema_version}, expected {_readable()}")
        self._check_version()
        names = [entry.name for entry in self.entries]
        if len(set(names)) < len(names):
            raise ValueError(f"two entries have one name: {', '.join(sorted(names))}")
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"baseline {self.baseline!r} is none of {', '.join(names)}")
        sources = quality_sources(entry.quality for entry in self.entries)
        if len(sources) > 1:
            raise ValueError(f"qualities come from unlike images: {describe_sources(sources)}")
        data = next(iter(sources))[0] if sources else None
        if self.data != data:
            raise ValueError(f"data is {self.data!r}, expected {data!r} as the qualities say")

    def _check_version(self) -> None:
        needed = {entry.name: entry.least_version for entry in self.entries}
        if self.samples or self.invalid_reasons:
            needed["the result"] = 3
        if self.comparisons:
            needed["the result"] = 4
        for name, version in needed.items():
            if version > self.schema_version:
                raise ValueError(
                    f"{name} has fields of version {version}, but schema_version is "
                    f"{self.schema_version}"
                )


def quality_sources(qualities: Iterable[Quality | None]) -> set[tuple[str, str, str]]:
    """Collect which images figures come from: (data, split, manifest hash)."""
    return {(each.data, each.split, each.manifest_sha256) for each in qualities if each is not None}


def describe_sources(sources: Iterable[tuple[str, str, str]]) -> str:
    """Name sources of quality in one line."""
    return "; ".join(f"{data}, {split}, {digest[:12]}" for data, split, digest in sorted(sources))


def refuse_existing(path: Path) -> None:
    """Refuse a result file that is there, before a benchmark is run for it.

    Raises:
        BenchmarkError: the file is there already.
    """
    if path.exists():
        raise BenchmarkError(f"{path}: there already, and a result is never edited; name another")


def write_result(path: Path, result: BenchResult) -> None:
    """Write a result file; makes its folder.

    Raises:
        BenchmarkError: the file is there already, or cannot be written.
    """
    refuse_existing(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
    except OSError as err:
        raise BenchmarkError(f"{path}: cannot be written: {err}") from err


def read_result(path: Path) -> BenchResult:
    """Read a result file, strictly.

    Raises:
        BenchmarkError: not there, not JSON, of another schema version, or not a result; says why.
    """
    try:
        mapping = json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except OSError as err:
        raise BenchmarkError(f"{path}: cannot be read: {err}") from err
    except ValueError as err:  # also undecodable bytes, and NaN
        raise BenchmarkError(f"{path}: not JSON: {err}") from err
    found = mapping.get("schema_version") if isinstance(mapping, dict) else None
    if type(found) is not int or found not in READABLE_VERSIONS:
        raise BenchmarkError(
            f"{path}: schema_version is {found!r}, expected {_readable()}; it is no benchmark "
            "result, or another version of edgeface wrote it"
        )
    try:
        return from_mapping(BenchResult, _without_samples(mapping) if found < 3 else mapping)
    except RecordError as err:
        raise BenchmarkError(f"{path}: not a benchmark result: {err}") from err


def default_result_path(folder: Path, started_utc: str, device: str, name: str) -> Path:
    """Name a result file so that two runs never get one name.

    Args:
        folder: usually benchmarks/results.
        started_utc: ISO 8601 with a zero offset, to the microsecond.
        device: letters, digits, dots and hyphens.
        name: of the benchmark; the same characters.

    Returns:
        e.g. `folder/2025-11-22T031605.123456Z_local_vgg16.json`.

    Raises:
        BenchmarkError: no UTC time, or a name with other characters.
    """
    for what, text in (("device", device), ("name", name)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", text):
            raise BenchmarkError(
                f"result file: {what} is {text!r}, expected letters, digits, dots and hyphens"
            )
    try:
        started = datetime.fromisoformat(started_utc)
    except ValueError as err:
        raise BenchmarkError(f"result file: {started_utc!r} is no ISO 8601 time") from err
    if started.utcoffset() != timedelta(0):
        raise BenchmarkError(f"result file: {started_utc!r} is not in UTC, expected +00:00 or Z")
    return folder / f"{started:%Y-%m-%dT%H%M%S.%fZ}_{device}_{name}.json"


def _readable() -> str:
    return f"{', '.join(map(str, READABLE_VERSIONS[:-1]))} or {READABLE_VERSIONS[-1]}"


def _without_samples(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say of a run before version 3 that nobody looked at the device meanwhile."""
    protocol = mapping.get("protocol")
    if not isinstance(protocol, dict):
        return mapping
    return {**mapping, "protocol": {"sample_interval_s": 0.0, **protocol}}


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")
