"""The five published systems beside what was measured here of models that repeat them.

In: sidecars and benchmark results. Out: `SystemRow` values: the published figure, the held-out
figure of the float model with its interval, that of the int8 model, size and latency. Nothing is
measured here, and what was not measured is None.

Which system a model repeats is what its recipe says (`Recipe.system`), as its sidecar keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgeface.bench.result import BenchResult
from edgeface.training_specs import AGE, GENDER
from edgeface.types import HeadSpec, Metric, Sidecar

SystemId = Literal["S0", "S1", "S2", "S3", "S4"]
FigureUnit = Literal["%", "years", "ratio", "fps"]
EXPRESSION = "expression"


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """One figure as its authors give it.

    Attributes:
        task: name of the head; empty for a figure of the whole system.
        name: as in `Metric`, e.g. "accuracy", "mae", "decade_accuracy"; or "fps".
        low: the figure, or the lowest of several.
        high: the highest; `low` where there is one.
        unit: of both.
        backbone: of the network that it is of; empty if of the whole system.
    """

    task: str
    name: str
    low: float
    high: float
    unit: FigureUnit
    backbone: str = ""

    @property
    def text(self) -> str:
        """As tables show it, e.g. "98 %" or "6.7–7.8 years"."""
        span = f"{self.low:g}" if self.low == self.high else f"{self.low:g}–{self.high:g}"
        unit = {"%": " %", "years": " years", "ratio": "", "fps": " FPS"}[self.unit]
        return f"{span}{unit}"


@dataclass(frozen=True, kw_only=True)
class PublishedSystem:
    """One published system, as published.

    Attributes:
        id: "S0" to "S4".
        what: in a few words.
        data: what its figures are of.
        model: network and training.
        figures: of it.
        check: what does not add up, or is missing, and so what the figures are worth; empty if
            nothing was found.

    Source:
        docs/seeds.md.
    """

    id: SystemId
    what: str
    data: str
    model: str
    figures: tuple[PublishedFigure, ...]
    check: str


def _figure(
    task: str, name: str, unit: FigureUnit, low: float, high: float | None = None, of: str = ""
) -> PublishedFigure:
    last = low if high is None else high
    return PublishedFigure(task=task, name=name, low=low, high=last, unit=unit, backbone=of)


PUBLISHED: tuple[PublishedSystem, ...] = (
    PublishedSystem(
        id="S0",
        what="VGG16, gender and age: the baseline",
        data="UTKFace subset, 3,517 images, 80/20",
        model="VGG16 (ImageNet), 128 px, a dense branch of 256 for gender and for age",
        figures=(
            _figure(GENDER, "accuracy", "%", 98),
            _figure(AGE, "mae", "years", 3.54),
            _figure(AGE, "rmse", "years", 5.66),
            _figure(AGE, "r2", "ratio", 0.94),
        ),
        check="its own curves say 90 % on validation; its confusion matrix has 81 errors, which is "
        "98 % only of all 3,517 images, training included",
    ),
    PublishedSystem(
        id="S1",
        what="gender, four networks compared",
        data="CelebA, 5,000 images, 80/20",
        model="ResNet50, ResNet18, GoogLeNet and VGG19 (frozen), 224 px, 10 or 20 epochs",
        figures=tuple(
            _figure(GENDER, "accuracy", "%", percent, of=backbone)
            for backbone, percent in (
                ("resnet50", 98),
                ("resnet18", 94),
                ("googlenet", 95),
                ("vgg19", 92),
            )
        ),
        check="17 duplicates were found among 5,017; no validation split",
    ),
    PublishedSystem(
        id="S2",
        what="gender from the eye region",
        data="2,681 eye crops (1,251 male, 1,430 female), 80/20",
        model="InceptionV3 against MobileNetV2, grey, about 30 epochs",
        figures=(
            _figure(GENDER, "accuracy", "%", 91.82, of="inceptionv3"),
            _figure(GENDER, "accuracy", "%", 89.3, of="mobilenetv2"),
        ),
        check="its text also says 91.20, 89.82 and 89.1 %",
    ),
    PublishedSystem(
        id="S3",
        what="expression, age and gender in real time",
        data="UTKFace (age in 11 decades, gender) and FER2013 (7 expressions)",
        model="a CNN for each of the three, OpenCV face detection on a camera",
        figures=(
            _figure(EXPRESSION, "accuracy", "%", 50),
            _figure(AGE, "decade_accuracy", "%", 58),
            _figure(GENDER, "accuracy", "%", 89),
            _figure("", "fps", "fps", 12.86),
        ),
        check="one expression (class 1) is never predicted; its table of age repeats gender's "
        "averages; the machine of the FPS is not named",
    ),
    PublishedSystem(
        id="S4",
        what="gender and age, own CNN",
        data="UTKFace, 23,000 images, 60/20/20",
        model="3, 3, 4 and 5 blocks of convolution and pooling, grey, 128 px, 12 epochs",
        figures=(
            _figure(GENDER, "accuracy", "%", 87, 89),
            _figure(AGE, "mae", "years", 6.7, 7.8),
        ),
        check="its title says MAE 5.31",
    ),
)
"""Source: docs/seeds.md; "check" is what does not add up there."""


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """One figure of one model that repeats a published system. None reads "not measured".

    Attributes:
        system: "S0" to "S4".
        model: name of the int8 artifact, or of the float one where there is no int8; None where no
            model of the figure was found.
        recipe: what the recipe says of itself; empty if nothing.
        task: name of the head; empty for a figure of the whole system.
        figure: name of the figure, as in `Metric`, or "fps".
        published: None where the authors give no such figure.
        data: what the held-out figures are of, as `Quality.data`.
        split: "validation" or "test".
        n: images with the head's label.
        float32: of the unpruned float model.
        int8: of the int8 model.
        steps: what was done to the int8 model, in words, e.g. "40 % of channels pruned".
        size_bytes: of `model`.
        device: that latency and FPS are of, with its processor or board, because one name may
            stand for several machines over time.
        p50_ms: median latency of `model`, without detection, crop and decoding.
        fps: frames a second from picture to attributes, over all frames.
    """

    system: SystemId
    model: str | None
    recipe: str
    task: str
    figure: str
    published: PublishedFigure | None
    data: str | None = None
    split: str | None = None
    n: int | None = None
    float32: Metric | None = None
    int8: Metric | None = None
    steps: tuple[str, ...] = ()
    size_bytes: int | None = None
    device: str | None = None
    p50_ms: float | None = None
    fps: float | None = None


def system_rows(
    sidecars: Sequence[Sidecar], results: Sequence[BenchResult] = ()
) -> tuple[SystemRow, ...]:
    """Set what was measured beside what was published.

    A model's int8 and float figures belong together where both come from one training; each int8
    model of a family gets rows of its own beside the family's unpruned float model.

    Args:
        sidecars: of any artifacts; those of no system are left out.
        results: for latency and FPS, by SHA-256; of several that time a model the latest counts,
            invalid ones do not. FPS is of the machine that the latency is of. Give those of one
            machine to have one in all rows.

    Returns:
        By system; in it the models in the order of `sidecars`, then the published figures that no
        model here has, so that each is there at least once.
    """
    rows: list[SystemRow] = []
    timed = _timed(results)
    for system in PUBLISHED:
        families = _families([each for each in sidecars if system_of(each) == system.id])
        found = [row for family in families for row in _family_rows(system, family, timed)]
        shown = [row.published for row in found]
        rows += found
        rows += [
            SystemRow(
                system=system.id,
                model=None,
                recipe="",
                task=figure.task,
                figure=figure.name,
                published=figure,
            )
            for figure in system.figures
            if figure not in shown
        ]
    return tuple(rows)


def system_of(sidecar: Sidecar) -> SystemId | None:
    """Which published system a model repeats, by its recipe; None for none."""
    said = sidecar.provenance.recipe.get("system")
    return next((each.id for each in PUBLISHED if each.id == said), None)


def _families(sidecars: Sequence[Sidecar]) -> list[list[Sidecar]]:
    """Artifacts that come from one training, in the order in which they come."""
    families: dict[str, list[Sidecar]] = {}
    for each in sidecars:
        key = each.provenance.start_sha256 or each.provenance.run_id
        families.setdefault(key, []).append(each)
    return list(families.values())


def _family_rows(
    system: PublishedSystem, family: Sequence[Sidecar], timed: Mapping[str, _Timing]
) -> Iterator[SystemRow]:
    plain = next((e for e in family if e.scheme == "float32" and not e.provenance.steps), None)
    int8 = [each for each in family if each.scheme == "int8"]
    shown: list[Sidecar | None] = [*int8] or [plain]
    for each in shown:
        if each is not None:
            for head, published in _figures(system, each):
                yield _row(system, each, plain, head, published, timed)


def _figures(
    system: PublishedSystem, sidecar: Sidecar
) -> Iterator[tuple[HeadSpec | None, PublishedFigure | None]]:
    """A model's heads with the published figures of each; None for a head without one.

    A figure of the whole system is of a model that does all that the system does.
    """
    of_model = [each for each in system.figures if each.backbone in ("", sidecar.backbone)]
    for head in sidecar.contract.heads:
        published = [each for each in of_model if each.task == head.name]
        yield from ((head, figure) for figure in published)
        if not published:
            yield head, None
    tasks = {figure.task for figure in of_model if figure.task}
    if tasks <= {head.name for head in sidecar.contract.heads}:
        yield from ((None, figure) for figure in of_model if not figure.task)


def _row(
    system: PublishedSystem,
    sidecar: Sidecar,
    plain: Sidecar | None,
    head: HeadSpec | None,
    published: PublishedFigure | None,
    timed: Mapping[str, _Timing],
) -> SystemRow:
    name = published.name if published else _main_figure(head)
    task = head.name if head else ""
    is_int8 = sidecar.scheme == "int8"
    quality = sidecar.quality or (plain.quality if plain else None)
    float32 = _metric(plain, task, name)
    int8 = _metric(sidecar, task, name) if is_int8 else None
    timing = timed.get(sidecar.sha256, _Timing())
    metric = int8 or float32
    return SystemRow(
        system=system.id,
        model=sidecar.name,
        recipe=str(sidecar.provenance.recipe.get("description", "")),
        task=task,
        figure=name,
        published=published,
        data=quality.data if quality else None,
        split=quality.split if quality else None,
        n=metric.n if metric else None,
        float32=float32,
        int8=int8,
        steps=sidecar.provenance.steps,
        size_bytes=sidecar.size_bytes,
        device=timing.device,
        p50_ms=timing.p50_ms,
        fps=timing.fps,
    )


def _main_figure(head: HeadSpec | None) -> str:
    return "accuracy" if head is None or head.has_classes else "mae"


def _metric(sidecar: Sidecar | None, task: str, name: str) -> Metric | None:
    metrics = sidecar.quality.metrics if sidecar and sidecar.quality else ()
    return next((each for each in metrics if (each.task, each.name) == (task, name)), None)


@dataclass(frozen=True, kw_only=True)
class _Timing:
    """What one machine took for one file; None where it was not measured."""

    device: str | None = None
    p50_ms: float | None = None
    fps: float | None = None


def _timed(results: Sequence[BenchResult]) -> dict[str, _Timing]:
    """The latest valid timing of each file, by SHA-256.

    A run without frames leaves the FPS of an earlier one on the same machine, and none of another.
    """
    found: dict[str, _Timing] = {}
    for result in sorted(results, key=lambda each: each.started_utc):
        if result.invalid_reasons:
            continue
        device = f"{result.device_before.name}, {result.device_before.model}"
        for entry in result.entries:
            if entry.latency is None and entry.frames is None:
                continue
            before = found.get(entry.artifact_sha256, _Timing())
            if before.device != device:
                before = _Timing(device=device)
            found[entry.artifact_sha256] = replace(
                before,
                p50_ms=entry.latency.p50_ms if entry.latency else before.p50_ms,
                # the first group is of all frames
                fps=entry.frames.groups()[0].fps if entry.frames else before.fps,
            )
    return found
