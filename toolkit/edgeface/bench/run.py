"""One benchmark from start to end.

In: artifacts, and held-out faces where there are any. Out: `BenchResult`. Writes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

import edgeface
from edgeface.bench.compression import compression_of
from edgeface.bench.corruption import CorruptedQuality, measure_corruptions
from edgeface.bench.delegation import Delegation, delegation_of
from edgeface.bench.device_parity import RunThere, measure_parity
from edgeface.bench.latency import RuntimeVersion, Worker, run_worker
from edgeface.bench.model_parse import parse_model
from edgeface.bench.parity import Parity
from edgeface.bench.partitions import read_view, run_probe
from edgeface.bench.plan import BenchPlan
from edgeface.bench.quality import (
    HeldOut,
    check_measurable,
    predict_held_out,
    quality_of,
    say_unmeasured,
)
from edgeface.bench.result import (
    RESULT_SCHEMA_VERSION,
    BenchEntry,
    BenchResult,
    describe_sources,
    quality_sources,
)
from edgeface.bench.slices import SliceQuality, sliced_quality
from edgeface.bench.times import Times, measure_times
from edgeface.bench.validity import judge_run
from edgeface.bench.verdict import Comparison, Predictions, compare_each
from edgeface.bench.verdict_rule import INT8_MARGINS
from edgeface.commit import source_commit
from edgeface.data.faces import Faces
from edgeface.errors import BenchmarkError
from edgeface.export.download_size import gzip_bytes
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.device_facts import DeviceInfo, describe_local
from edgeface.types import Quality, Reporter


def local_delegation(artifact: Artifact) -> Delegation | None:
    """Ask this host's runtime what its delegate takes; None where it does not tell."""
    graph = parse_model(artifact.content, str(artifact.path))
    return delegation_of(read_view(run_probe(artifact.content), graph))


@dataclass(frozen=True, kw_only=True)
class Probes:
    """What a benchmark asks of the world; tests pass stand-ins.

    Attributes:
        describe: the machine now.
        worker: runs one measurement in a fresh process.
        predict: as `predict_held_out`.
        corruptions: as `measure_corruptions`.
        delegation: what the delegate takes of an artifact.
        run_there: runs an artifact on a device; None: the device is this host, and there is
            nothing to compare with.
        commit: of the code.
    """

    describe: Callable[[], DeviceInfo] = describe_local
    worker: Worker = run_worker
    predict: Callable[..., dict[str, NDArray[np.float64]]] = predict_held_out
    corruptions: Callable[..., tuple[CorruptedQuality, ...]] = measure_corruptions
    delegation: Callable[[Artifact], Delegation | None] = local_delegation
    run_there: RunThere | None = None
    commit: Callable[[], str] = source_commit


REAL_PROBES = Probes()


def bench(
    artifacts: Sequence[Artifact],
    *,
    plan: BenchPlan,
    held_out: HeldOut | None,
    reporter: Reporter,
    known_quality: Mapping[str, Quality] | None = None,
    probes: Probes = REAL_PROBES,
) -> BenchResult:
    """Measure artifacts on a device.

    In this order: the machine, all times, what the delegate takes, quality and parity, the machine
    again. A model with random weights gets no quality: its accuracy would only be mistaken for one.

    Args:
        artifacts: in the order to show them.
        plan: what to measure, and the rules.
        held_out: faces for quality; None leaves what `known_quality` does not have unmeasured.
        reporter: shows progress.
        known_quality: figures of artifacts by name, just measured by the caller on the same faces;
            these get neither slices nor corruptions.
        probes: what is asked of the world.

    Raises:
        BenchmarkError: names that do not fit, a process that failed, or qualities that come from
            unlike images; nothing is returned of a benchmark that failed in part.
        ArtifactError: a file that cannot be run.
        DataError: faces that cannot be loaded.
        DeviceError: a device that does not answer.
        ModelError: a model that gives NaN.
    """
    known = dict(known_quality or {})
    _check_request(artifacts, held_out, known, plan.references)
    started_utc = datetime.now(UTC).isoformat(timespec="microseconds")
    paths = {artifact.sidecar.name: artifact.path for artifact in artifacts}
    before = probes.describe()
    if plan.timed:
        times = measure_times(
            paths, plan, cores=before.cores, worker=probes.worker, reporter=reporter
        )
    else:
        times = Times(runtime=_runtime_of(before))
    measured = _measure_all(artifacts, held_out, known, plan, reporter, probes)
    after = probes.describe()
    judged = judge_run(before, after, times.looks, protocol=plan.protocol)
    return BenchResult(
        schema_version=RESULT_SCHEMA_VERSION,
        started_utc=started_utc,
        device_before=before,
        device_after=after,
        protocol=plan.protocol,
        runtime=times.runtime.name,
        runtime_version=times.runtime.version,
        edgeface_version=edgeface.__version__,
        commit=probes.commit(),
        entries=tuple(
            _entry(artifact, times, measured[name])
            for name, artifact in zip(paths, artifacts, strict=True)
        ),
        baseline=plan.baseline,
        data=next((each.quality.data for each in measured.values() if each.quality), None),
        warnings=(
            *judged.warnings,
            *(
                f"{name}: {'; '.join(samples.warnings())}"
                for name, samples in times.latency.items()
                if samples.warnings()
            ),
        ),
        samples=times.looks,
        invalid_reasons=judged.invalid_reasons,
        comparisons=_comparisons(measured, plan.references, held_out, reporter),
    )


def _comparisons(
    measured: Mapping[str, _Measured],
    references: Sequence[str],
    held_out: HeldOut | None,
    reporter: Reporter,
) -> tuple[Comparison, ...]:
    """Give each model's verdict against each reference, where both were run on the same faces.

    A reference is judged by those before it, and not the other way round too.
    """
    said = {name: each.said for name, each in measured.items() if each.said is not None}
    if held_out is None:
        return ()
    found: list[Comparison] = []
    for name in references:
        if name not in said:
            continue
        reference, labels = said.pop(name)
        # a face that the manifest does not group is a photograph of its own
        groups = [held_out.groups.get(id, id) for id in labels.ids] if held_out.groups else None
        found += compare_each(
            [predictions for predictions, _ in said.values()],
            reference,
            labels,
            margins=INT8_MARGINS,
            reporter=reporter,
            groups=groups,
            race_names=held_out.race_names,
        )
    return tuple(found)


def _runtime_of(device: DeviceInfo) -> RuntimeVersion:
    if device.runtime is None or device.runtime_version is None:
        raise BenchmarkError(f"{device.name}: does not say which TFLite runtime it has")
    return RuntimeVersion(name=device.runtime, version=device.runtime_version)


def _check_request(
    artifacts: Sequence[Artifact],
    held_out: HeldOut | None,
    known: Mapping[str, Quality],
    references: Sequence[str],
) -> None:
    """Refuse now what would only fail after minutes of measuring."""
    names = [artifact.sidecar.name for artifact in artifacts]
    listed = ", ".join(names)
    _check_names(names, references)
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
    """What is known of one artifact's outputs."""

    quality: Quality | None = None
    slices: tuple[SliceQuality, ...] = ()
    corruptions: tuple[CorruptedQuality, ...] = ()
    delegation: Delegation | None = None
    parity: Parity | None = None
    said: tuple[Predictions, Faces] | None = None


def _check_names(names: Sequence[str], references: Sequence[str]) -> None:
    listed = ", ".join(names)
    if len(set(names)) < len(names):
        raise BenchmarkError(f"two artifacts have one name: {listed}; give each once")
    for name in references:
        if name not in names:
            raise BenchmarkError(f"baseline {name!r} is not measured, expected one of {listed}")
    if len(set(references)) < len(references):
        raise BenchmarkError(f"a baseline is given twice: {', '.join(references)}; give each once")


def _entry(artifact: Artifact, times: Times, measured: _Measured) -> BenchEntry:
    sidecar = artifact.sidecar
    name = sidecar.name
    return BenchEntry(
        name=name,
        artifact_sha256=sidecar.sha256,
        size_bytes=sidecar.size_bytes,
        scheme=sidecar.scheme,
        parameters=sidecar.provenance.parameters,
        macs=sidecar.provenance.macs,
        trained=sidecar.provenance.trained,
        latency=times.latency.get(name),
        memory=times.memory.get(name),
        quality=measured.quality,
        compression=compression_of(sidecar),
        gzip_bytes=gzip_bytes(artifact.content),
        slices=measured.slices,
        corruptions=measured.corruptions,
        sweep=times.sweep.get(name, ()),
        soak=times.soak.get(name),
        parity=measured.parity,
        delegation=measured.delegation,
        frames=times.frames.get(name),
    )


def _measure_all(
    artifacts: Sequence[Artifact],
    held_out: HeldOut | None,
    known: Mapping[str, Quality],
    plan: BenchPlan,
    reporter: Reporter,
    probes: Probes,
) -> dict[str, _Measured]:
    measured = {}
    # one side after the other: faces of two sides at once may not fit in memory
    for side_px in sorted({each.sidecar.contract.image.side_px for each in artifacts}):
        those = [each for each in artifacts if each.sidecar.contract.image.side_px == side_px]
        with_quality = {
            each.sidecar.name
            for each in those
            if each.sidecar.provenance.trained and each.sidecar.name not in known
        }
        faces = held_out.load(side_px) if held_out is not None and with_quality else None
        for artifact in those:
            name = artifact.sidecar.name
            found = _Measured(quality=known.get(name))
            if faces is not None and held_out is not None and name in with_quality:
                found = _measured(artifact, faces, held_out, plan, reporter, probes)
            delegation = probes.delegation(artifact)
            found = replace(found, delegation=delegation)
            if probes.run_there is not None and plan.parity_images:
                reporter.say(f"{name}: outputs of {plan.parity_images} faces, there and here")
                parity = measure_parity(
                    artifact,
                    images=plan.parity_images,
                    faces=faces,
                    held_out=held_out,
                    threads=plan.protocol.threads,
                    run_there=probes.run_there,
                    delegated=delegation is None or delegation.partitions > 0,
                )
                found = replace(found, parity=parity)
            measured[name] = found
    return measured


def _measured(
    artifact: Artifact,
    faces: Faces,
    held_out: HeldOut,
    plan: BenchPlan,
    reporter: Reporter,
    probes: Probes,
) -> _Measured:
    data, split, threads = held_out.data, held_out.split, plan.protocol.threads
    predicted = probes.predict(
        artifact, faces, data=data, split=split, reporter=reporter, threads=threads
    )
    say_unmeasured(artifact, faces, reporter)
    heads = artifact.sidecar.contract.heads
    corruptions: tuple[CorruptedQuality, ...] = ()
    if held_out.corruption_images:
        corruptions = probes.corruptions(
            artifact,
            faces,
            data=data,
            split=split,
            images=held_out.corruption_images,
            reporter=reporter,
            threads=threads,
        )
    return _Measured(
        quality=quality_of(
            predicted,
            faces,
            heads,
            data=data,
            split=split,
            manifest_sha256=held_out.manifest_sha256,
        ),
        slices=sliced_quality(predicted, faces, heads, race_names=held_out.race_names),
        corruptions=corruptions,
        said=(
            Predictions(name=artifact.sidecar.name, heads=heads, values=predicted),
            faces.without_images(),
        ),
    )
