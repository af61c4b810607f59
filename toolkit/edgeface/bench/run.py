"""One benchmark from start to end.

In: artifacts, and held-out faces where there are any. Out: `BenchResult`. Writes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

import edgeface
from edgeface.bench.compression import compression_of
from edgeface.bench.corruption import CorruptedQuality, measure_corruptions
from edgeface.bench.device import DeviceInfo, describe_local, device_warnings
from edgeface.bench.latency import (
    LatencySamples,
    MemoryUse,
    Worker,
    measure_latency,
    measure_memory,
    run_worker,
)
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.quality import HeldOut, check_measurable, predict_held_out, quality_of
from edgeface.bench.result import (
    RESULT_SCHEMA_VERSION,
    BenchEntry,
    BenchResult,
    describe_sources,
    quality_sources,
)
from edgeface.bench.slices import SliceQuality, sliced_quality
from edgeface.commit import source_commit
from edgeface.data.faces import Faces
from edgeface.errors import BenchmarkError
from edgeface.export.download_size import gzip_bytes
from edgeface.runtime.artifact import Artifact
from edgeface.types import Quality, Reporter


@dataclass(frozen=True, kw_only=True)
class Probes:
    """What a benchmark asks of the world; tests pass stand-ins.

    Attributes:
        describe: the machine now.
        worker: runs one measurement in a fresh process.
        predict: as `predict_held_out`.
        corruptions: as `measure_corruptions`.
        commit: of the code.
    """

    describe: Callable[[], DeviceInfo] = describe_local
    worker: Worker = run_worker
    predict: Callable[..., dict[str, NDArray[np.float64]]] = predict_held_out
    corruptions: Callable[..., tuple[CorruptedQuality, ...]] = measure_corruptions
    commit: Callable[[], str] = source_commit


REAL_PROBES = Probes()


def bench(
    artifacts: Sequence[Artifact],
    *,
    protocol: BenchProtocol,
    held_out: HeldOut | None,
    baseline: str | None,
    reporter: Reporter,
    known_quality: Mapping[str, Quality] | None = None,
    probes: Probes = REAL_PROBES,
) -> BenchResult:
    """Measure artifacts on this machine.

    In this order: the machine, latency with the models in turns, memory, quality, the machine
    again. A model with random weights gets no quality: its accuracy would only be mistaken for one.

    Args:
        artifacts: in the order to show them.
        protocol: the rules.
        held_out: faces for quality; None leaves what `known_quality` does not have unmeasured.
        baseline: name of the artifact that the others are compared with.
        reporter: shows progress.
        known_quality: figures of artifacts by name, just measured by the caller on the same faces;
            these get neither slices nor corruptions.
        probes: what is asked of the world.

    Raises:
        BenchmarkError: names that do not fit, a process that failed, or qualities that come from
            unlike images; nothing is returned of a benchmark that failed in part.
        ArtifactError: a file that cannot be run.
        DataError: faces that cannot be loaded.
        ModelError: a model that gives NaN.
    """
    known = dict(known_quality or {})
    _check_request(artifacts, held_out, known, baseline)
    started_utc = datetime.now(UTC).isoformat(timespec="microseconds")
    paths = {artifact.sidecar.name: artifact.path for artifact in artifacts}
    before = probes.describe()
    runtime, latency = measure_latency(paths, protocol, worker=probes.worker, reporter=reporter)
    memory = measure_memory(paths, protocol, worker=probes.worker, reporter=reporter)
    quality = {name: _Measured(quality=each) for name, each in known.items()}
    if held_out is not None:
        quality |= _qualities(artifacts, held_out, known, protocol, reporter, probes)
    after = probes.describe()
    return BenchResult(
        schema_version=RESULT_SCHEMA_VERSION,
        started_utc=started_utc,
        device_before=before,
        device_after=after,
        protocol=protocol,
        runtime=runtime.name,
        runtime_version=runtime.version,
        edgeface_version=edgeface.__version__,
        commit=probes.commit(),
        entries=tuple(
            _entry(artifact, latency[name], memory[name], quality.get(name, _Measured()))
            for name, artifact in zip(paths, artifacts, strict=True)
        ),
        baseline=baseline,
        data=next((each.quality.data for each in quality.values() if each.quality), None),
        warnings=(
            *device_warnings(before, after, threads=protocol.threads),
            *(
                f"{name}: {'; '.join(samples.warnings())}"
                for name, samples in latency.items()
                if samples.warnings()
            ),
        ),
    )


def _check_request(
    artifacts: Sequence[Artifact],
    held_out: HeldOut | None,
    known: Mapping[str, Quality],
    baseline: str | None,
) -> None:
    """Refuse now what would only fail after minutes of measuring."""
    names = [artifact.sidecar.name for artifact in artifacts]
    listed = ", ".join(names)
    if len(set(names)) < len(names):
        raise BenchmarkError(f"two artifacts have one name: {listed}; give each once")
    if baseline is not None and baseline not in names:
        raise BenchmarkError(f"baseline {baseline!r} is not measured, expected one of {listed}")
    untrained = {each.sidecar.name for each in artifacts if not each.sidecar.provenance.trained}
    for name in known:
        if name not in names or name in untrained:
            why = "its weights are random" if name in untrained else f"expected one of {listed}"
            raise BenchmarkError(f"known quality of {name!r} cannot be used: {why}")
    sources = quality_sources(known.values())
    if held_out is not None:
        sources.add((held_out.data, held_out.split, held_out.manifest_sha256))
        for artifact in artifacts:
            if artifact.sidecar.name not in untrained | set(known):
                check_measurable(artifact, held_out.split)
    if len(sources) > 1:
        raise BenchmarkError(
            f"qualities would come from unlike images: {describe_sources(sources)}; measure all "
            "on the same"
        )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What is known of one artifact's quality."""

    quality: Quality | None = None
    slices: tuple[SliceQuality, ...] = ()
    corruptions: tuple[CorruptedQuality, ...] = ()


def _entry(
    artifact: Artifact, latency: LatencySamples, memory: MemoryUse, measured: _Measured
) -> BenchEntry:
    sidecar = artifact.sidecar
    return BenchEntry(
        name=sidecar.name,
        artifact_sha256=sidecar.sha256,
        size_bytes=sidecar.size_bytes,
        scheme=sidecar.scheme,
        parameters=sidecar.provenance.parameters,
        macs=sidecar.provenance.macs,
        trained=sidecar.provenance.trained,
        latency=latency,
        memory=memory,
        quality=measured.quality,
        compression=compression_of(sidecar),
        gzip_bytes=gzip_bytes(artifact.content),
        slices=measured.slices,
        corruptions=measured.corruptions,
    )


def _qualities(
    artifacts: Sequence[Artifact],
    held_out: HeldOut,
    known: Mapping[str, Quality],
    protocol: BenchProtocol,
    reporter: Reporter,
    probes: Probes,
) -> dict[str, _Measured]:
    to_measure = [
        each
        for each in artifacts
        if each.sidecar.provenance.trained and each.sidecar.name not in known
    ]
    measured = {}
    # one side after the other: faces of two sides at once may not fit in memory
    for side_px in sorted({each.sidecar.contract.image.side_px for each in to_measure}):
        faces = held_out.load(side_px)
        for artifact in to_measure:
            if artifact.sidecar.contract.image.side_px == side_px:
                measured[artifact.sidecar.name] = _measured(
                    artifact, faces, held_out, protocol, reporter, probes
                )
    return measured


def _measured(
    artifact: Artifact,
    faces: Faces,
    held_out: HeldOut,
    protocol: BenchProtocol,
    reporter: Reporter,
    probes: Probes,
) -> _Measured:
    data, split = held_out.data, held_out.split
    predicted = probes.predict(
        artifact, faces, data=data, split=split, reporter=reporter, threads=protocol.threads
    )
    corruptions: tuple[CorruptedQuality, ...] = ()
    if held_out.corruption_images:
        corruptions = probes.corruptions(
            artifact,
            faces,
            data=data,
            split=split,
            images=held_out.corruption_images,
            reporter=reporter,
            threads=protocol.threads,
        )
    return _Measured(
        quality=quality_of(
            predicted, faces, data=data, split=split, manifest_sha256=held_out.manifest_sha256
        ),
        slices=sliced_quality(predicted, faces, race_names=held_out.race_names),
        corruptions=corruptions,
    )
