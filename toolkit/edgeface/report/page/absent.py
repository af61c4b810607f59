"""What was not measured, in one list. In: all that the page shows. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence

from edgeface.bench.result import BenchResult
from edgeface.report.page.blocks import Notes, Section
from edgeface.report.page.history import Training
from edgeface.report.page.models import Cast
from edgeface.report.text import NOT_MEASURED


def absent_section(
    result: BenchResult,
    cast: Cast,
    *,
    trainings: Sequence[Training],
    has_faces: bool,
    has_layers: bool,
    has_sensitivity: bool,
) -> Section:
    """List what the page cannot say, because no file holds it.

    Args:
        result: one benchmark.
        cast: of it.
        trainings: whose curves are shown.
        has_faces: whether faces were given.
        has_layers: whether a pruned model is compared with the whole one layer by layer.
        has_sensitivity: whether each layer's cost in int8 is shown.
    """
    entries = cast.entries
    candidate = cast.candidate
    has_paired = has_faces and cast.reference is not None
    absent = {
        "a Raspberry Pi or a phone": not result.device_before.is_target,
        "quality of the baseline": cast.baseline is not None and cast.baseline.quality is None,
        "quality of the candidate": candidate is not None and candidate.quality is None,
        "groups of faces": not any(entry.slices for entry in entries),
        "spoiled faces (light, blur, noise, JPEG, rotation)": not any(
            entry.corruptions for entry in entries
        ),
        "memory": not any(entry.memory for entry in entries),
        "end-to-end frames: detection, crop, inference, decoding": not any(
            entry.frames for entry in entries
        ),
        "latency over minutes (soak)": not any(entry.soak for entry in entries),
        "other numbers of threads": not any(entry.sweep for entry in entries),
        "outputs on the device against this host": not any(entry.parity for entry in entries),
        "temperature, clock and power while it ran": not result.samples,
        "training curves": not trainings,
        "the faces themselves: predicted against true, gallery": not has_faces,
        "paired verdicts, and cases flipped by compression": not has_paired,
        "pruning layer by layer": not has_layers,
        "each layer's sensitivity to int8": not has_sensitivity,
    }
    lines = tuple(f"{what}: {NOT_MEASURED}" for what, is_absent in absent.items() if is_absent)
    return Section(
        id="absent",
        title="What was not measured",
        lead="Nothing here is guessed or carried over from another machine.",
        blocks=(Notes(lines=lines, tone="soft"),),
    )
