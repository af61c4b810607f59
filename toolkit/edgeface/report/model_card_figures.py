"""The figures of a model card. In: a sidecar and result files. Out: parts of Markdown.

Quality is that of the sidecar, slices and spoiled faces those of the newest result file that
measured this very file (by SHA-256) on the same images, latency the newest of each machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeface.bench.corruption import SETTINGS, STRENGTHS, CorruptedQuality
from edgeface.bench.result import BenchEntry
from edgeface.bench.slices import SliceFigure, SliceKind, SliceQuality
from edgeface.bench.verdict_rule import SMALLEST_GROUPS
from edgeface.data.adapters.paths import printable
from edgeface.report.heads import (
    ClassHead,
    MainFigure,
    class_heads,
    confusion,
    find_metric,
    in_words,
    main_figures,
    never_predicted,
)
from edgeface.report.quality_tables import DECADE_ACCURACY, TOO_FEW, metric_figure
from edgeface.report.results_page import ResultFile
from edgeface.report.text import NOT_MEASURED, escaped, markdown_table, significant
from edgeface.training_specs import AGE
from edgeface.types import Metric, Sidecar

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_OF_CLASSES = (
    ("accuracy", "accuracy %"),
    ("balanced_accuracy", "balanced accuracy %"),
    ("macro_f1", "macro F1 %"),
    ("roc_auc", "ROC AUC"),
    ("calibration_error", "calibration error %"),
)
_OF_A_CLASS = (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
_OF_AGE = (
    ("mae", "age MAE years"),
    ("rmse", "age RMSE years"),
    ("r2", "age R²"),
    ("within_5_years", "age within 5 years %"),
    (DECADE_ACCURACY, "age decade right %"),
)
_PER_CENT = ("precision_", "recall_", "f1_", "macro_f1", "balanced_accuracy")
_KINDS: tuple[SliceKind, ...] = ("age", "gender", "race", "age and gender", "age, gender and race")
_WHOLE_KINDS = _KINDS[:3]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What one result file says of the model."""

    file: ResultFile
    entry: BenchEntry


def quality_section(sidecar: Sidecar, results: Sequence[ResultFile]) -> list[str]:
    """Figures on held-out faces, by group with the worst named, and on spoiled faces.

    Args:
        sidecar: of the model.
        results: in any order.
    """
    quality = sidecar.quality
    if quality is None:
        return ["## Figures", f"Quality: {NOT_MEASURED}."]
    heads = class_heads(quality.metrics)
    rows = [
        [plain(words), *_cells(metric), f"{metric.n:,}"]
        for task, name, words in _rows(heads)
        if (metric := find_metric(quality.metrics, task, name)) is not None
    ]
    parts = [
        "## Figures",
        f"Computed from the outputs of the `.tflite` on the {plain(quality.split)} split of "
        f"{plain(quality.data)}, n = {quality.n:,}; 95 % bootstrap intervals over images.",
        markdown_table(["figure", "value", "95 %", "n"], rows, ("figure",)),
        *(part for head in heads for part in _confusion(quality.metrics, head)),
    ]
    measured = [
        each
        for each in _measured(sidecar, results)
        if each.entry.quality is not None
        and each.entry.quality.manifest_sha256 == quality.manifest_sha256
        and each.entry.quality.split == quality.split
    ]
    sliced = next((each.entry for each in measured if each.entry.slices), None)
    spoiled = next((each.entry.corruptions for each in measured if each.entry.corruptions), ())
    return [
        *parts,
        "### By group",
        *(_slices(sliced.slices) if sliced else [f"By group: {NOT_MEASURED}."]),
        *_spoiled(spoiled),
        f"Other sets of faces: {NOT_MEASURED}.",
    ]


def latency_section(sidecar: Sidecar, results: Sequence[ResultFile], page: Path) -> list[str]:
    """Latency and memory, a row a machine, each with its result file.

    Args:
        sidecar: of the model.
        results: in any order.
        page: where the card will stand, for the links.
    """
    newest: dict[tuple[str, str, int], _Measured] = {}
    invalid: dict[tuple[str, str, int], str] = {}
    for each in _measured(sidecar, results):
        result = each.file.result
        machine = (result.device_before.model, result.runtime, result.protocol.threads)
        if each.entry.latency is None or machine in newest:
            continue
        if result.invalid_reasons:  # an older run may be valid
            invalid.setdefault(machine, "; ".join(result.invalid_reasons))
        else:
            newest[machine] = each
    targets = [each for each in newest.values() if each.file.result.device_before.is_target]
    boards = "" if targets else f"Raspberry Pi and phones: {NOT_MEASURED}."
    doubts = [
        *(
            f"{each.file.result.device_before.model}: {text}"
            for each in newest.values()
            for text in each.file.result.warnings
            if text.startswith(f"{sidecar.name}:")
        ),
        *(
            f"{machine[0]}: the newest run is invalid and not shown: {reasons}"
            for machine, reasons in invalid.items()
        ),
    ]
    listed = ["\n".join(f"- Doubtful: {plain(text)}." for text in doubts)] if doubts else []
    if not newest:
        return ["## Latency", f"Latency and memory: {NOT_MEASURED}. {boards}", *listed]
    headings = ["machine", "p50 ms", "p90 ms", "p99 ms", "inferences/s", "frames/s, all stages"]
    headings += ["peak memory MB", "speed-up", "measured"]
    rows = [_latency_row(each, page) for each in newest.values()]
    return [
        "## Latency",
        "One inference of one face, without finding, cutting and decoding it; “all stages” is with "
        f"them. The newest run of each machine. {boards}".rstrip(),
        markdown_table(headings, rows, ("machine", "speed-up", "measured")),
        *listed,
    ]


def plain(text: str) -> str:
    """Show text that may be anybody's: on one line, nothing in it read as markup."""
    return escaped(printable(text))


def _measured(sidecar: Sidecar, results: Sequence[ResultFile]) -> list[_Measured]:
    """All that was measured of this very file, the newest first."""
    ordered = sorted(
        results, key=lambda each: (each.result.started_utc, each.path.name), reverse=True
    )
    return [
        _Measured(file=file, entry=entry)
        for file in ordered
        for entry in file.result.entries
        if entry.artifact_sha256 == sidecar.sha256
    ]


def _latency_row(each: _Measured, page: Path) -> list[str]:
    result, latency, memory = each.file.result, each.entry.latency, each.entry.memory
    assert latency is not None  # the caller chose it so
    device, frames = result.device_before, each.entry.frames
    base = next((entry for entry in result.entries if entry.name == result.baseline), None)
    speed_up = "it is the baseline" if base is each.entry else NOT_MEASURED
    if base is not None and base is not each.entry and base.latency is not None:
        ratio = significant(base.latency.p50_ms / latency.p50_ms)
        speed_up = f"{ratio}× against {plain(base.name)}"
    link = Path(os.path.relpath(each.file.path, page.parent)).as_posix()
    threads = f"{result.protocol.threads} thread{'' if result.protocol.threads == 1 else 's'}"
    note = "" if device.is_target else " **not a phone and not a Raspberry Pi**;"
    return [
        f"{plain(device.model)}, {plain(device.arch)}, {device.cores} cores;{note} "
        f"{plain(result.runtime)} {plain(result.runtime_version)}, {threads}",
        *(significant(value) for value in (latency.p50_ms, latency.p90_ms, latency.p99_ms)),
        significant(latency.fps),
        NOT_MEASURED if frames is None else significant(frames.groups()[0].fps),
        NOT_MEASURED if memory is None else significant(memory.peak_rss_bytes / _MB),
        speed_up,
        f"[{result.started_utc[:10]}]({link})",
    ]


def _cells(metric: Metric) -> tuple[str, str]:
    if metric.name.startswith(_PER_CENT):
        low, value, high = (f"{100 * x:.1f}" for x in (metric.low, metric.value, metric.high))
        return value, f"{low}–{high}"
    figure = metric_figure(metric)
    return figure.value, figure.interval


def _rows(heads: Sequence[ClassHead]) -> Iterator[tuple[str, str, str]]:
    """Head, name and words of each figure that a card may have, in its order."""
    for head in heads:
        known = in_words(head.task)
        yield from ((head.task, name, f"{known} {words}") for name, words in _OF_CLASSES)
        for which in head.shown:
            for name, words in _OF_A_CLASS:
                yield head.task, f"{name}_{which}", f"{words} of {which} %"
    yield from ((AGE, name, words) for name, words in _OF_AGE)


def _confusion(metrics: Sequence[Metric], head: ClassHead) -> list[str]:
    counts = confusion(metrics, head)
    if all(count is None for row in counts for count in row):
        return []
    rows = [
        [
            plain(f"labelled {true}"),
            *(NOT_MEASURED if count is None else f"{count:,}" for count in row),
        ]
        for true, row in zip(head.classes, counts, strict=True)
    ]
    headings = ["images", *(plain(f"estimated {said}") for said in head.classes)]
    never = never_predicted(metrics, head)
    said = [f"Never predicted: {plain(', '.join(never))}."] if never else []
    return [markdown_table(headings, rows, ("images",)), *said]


def _slices(slices: Sequence[SliceQuality]) -> list[str]:
    figures = main_figures(each for part in slices for each in part.figures)
    whole = [
        [
            plain(f"{each.by} {each.name}" if each.by != "gender" else each.name),
            *(_figure(_find(each, main)) for main in figures),
        ]
        for kind in _WHOLE_KINDS
        for each in slices
        if each.by == kind
    ]
    worst = [
        [kind, *(_worst(slices, kind, main) for main in figures)]
        for kind in _KINDS
        if any(each.by == kind for each in slices)
    ]
    few = sum(1 for each in slices if each.by == _KINDS[-1] and each.n < SMALLEST_GROUPS)
    headings = ["group", *(plain(f"{main.heading} (95 %), n") for main in figures)]
    return [
        markdown_table(headings, whole, ("group",)),
        f"The worst groups of {SMALLEST_GROUPS} images or more. {few} groups by age, gender and "
        "race have fewer, which is too few to tell. Each interval stands alone: the worst of many "
        "looks bad by chance too.",
        markdown_table(["worst by", *headings[1:]], worst, ("worst by", *headings[1:])),
    ]


def _spoiled(corruptions: Sequence[CorruptedQuality]) -> list[str]:
    """Clean faces and those spoiled most; the strengths between are in the result file."""
    if not corruptions:
        return [f"Spoiled faces (light, blur, noise, JPEG, rotation): {NOT_MEASURED}."]
    figures = main_figures(metric for each in corruptions for metric in each.metrics)
    rows = [
        [
            f"{each.kind} (1, 2, 3: {SETTINGS[each.kind]})" if each.kind in SETTINGS else "clean",
            *(_value(each.metrics, main) for main in figures),
        ]
        for each in corruptions
        if each.kind not in SETTINGS or each.strength == max(STRENGTHS)
    ]
    headings = ["spoiled faces", *(plain(f"{main.heading} (95 %), n") for main in figures)]
    return [
        f"Some of the same faces, spoiled at three strengths; here the strongest, strength "
        f"{max(STRENGTHS)}.",
        markdown_table(headings, rows, ("spoiled faces",)),
    ]


def _value(metrics: Sequence[Metric], main: MainFigure) -> str:
    metric = find_metric(metrics, main.task, main.name)
    if metric is None:
        return NOT_MEASURED
    return f"{metric_figure(metric).one_line()}, {metric.n:,}"


def _find(each: SliceQuality, main: MainFigure) -> SliceFigure | None:
    wanted = (main.task, main.name)
    return next((figure for figure in each.figures if (figure.task, figure.name) == wanted), None)


def _figure(figure: SliceFigure | None) -> str:
    if figure is None:
        return NOT_MEASURED
    shown = metric_figure(figure)
    if figure.is_too_few:
        return f"{shown.value} ({TOO_FEW}), {figure.n:,}"
    return f"{shown.value} ({shown.interval}), {figure.n:,}"


def _worst(slices: Sequence[SliceQuality], kind: SliceKind, main: MainFigure) -> str:
    judged = list(_judged(slices, kind, main))
    if not judged:
        return NOT_MEASURED
    group, figure = max(judged, key=lambda each: main.sign * each[1].value)
    return f"{plain(group)}: {_figure(figure)}"


def _judged(
    slices: Sequence[SliceQuality], kind: SliceKind, main: MainFigure
) -> Iterator[tuple[str, SliceFigure]]:
    for each in slices:
        figure = _find(each, main) if each.by == kind else None
        if figure is not None and not figure.is_too_few:
            yield each.name, figure
