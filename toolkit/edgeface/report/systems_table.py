"""The five published systems beside what is measured here. In: `SystemRow`. Out: Rich, or Markdown.

Both forms, and the section of the page, are laid out from `system_lines`. A published figure that
no model here repeats stays in the table and reads "not measured".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.bench.result import BenchResult
from edgeface.bench.systems import PUBLISHED, SystemId, SystemRow, system_rows
from edgeface.data.adapters.paths import printable
from edgeface.errors import ArtifactError
from edgeface.records import RecordError, from_mapping
from edgeface.report.heads import in_words
from edgeface.report.model_card_words import BACKBONES
from edgeface.report.quality_tables import metric_figure
from edgeface.report.text import NOT_MEASURED, Figure, escaped, markdown_table, significant
from edgeface.types import Metric, Sidecar

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
FPS = "fps"
_FIGURES = {
    "accuracy": "accuracy %",
    "mae": "MAE years",
    "rmse": "RMSE years",
    "r2": "R²",
    "decade_accuracy": "decade right %",
    FPS: "frames a second",
}
_HERE: dict[SystemId, str] = {
    "S1": "ResNet18 and GoogLeNet start from random weights in recipes celeba-resnet18 and "
    "celeba-googlenet, because Keras has no ImageNet weights of them; the published ones, which "
    "take ImageNet's mean and deviation, most likely start from its weights"
}
"""What edgeface does otherwise than the authors, where that is known to weigh on the figures."""
TITLE = "Published systems"
HEADINGS = (
    "system",
    "figure",
    "model",
    "data, n",
    "published",
    "float32 (95 %)",
    "int8 (95 %)",
    "size MB",
    "p50 ms",
    "FPS",
)


@dataclass(frozen=True, kw_only=True)
class SystemLine:
    """One figure of one model of a system, as printed; "not measured" where it was not.

    Attributes:
        system: "S0" to "S4".
        figure: with its unit, e.g. "gender accuracy %".
        model: name of the artifact.
        recipe: in short, what its recipe says of itself, because models of several recipes can have
            one name; empty if nothing.
        data: what the held-out figures are of, with split and n.
        published: with its unit, and the network where one of several is meant.
        float32: of the unpruned float model; empty for a figure of the whole system.
        int8: likewise of the int8 model.
        size_mb: of the artifact.
        p50_ms: median latency, model only, with the device's name.
        fps: from picture to attributes.
    """

    system: str
    figure: str
    model: str
    recipe: str
    data: str
    published: str
    float32: Figure
    int8: Figure
    size_mb: str
    p50_ms: str
    fps: str


def read_system_rows(folder: Path, results: Sequence[BenchResult]) -> tuple[SystemRow, ...]:
    """Set the sidecars of a folder beside what was published.

    Args:
        folder: with sidecars `NAME.json`; their `.tflite` need not be there, since some are large.
            None is read where there is no such folder.
        results: for latency and FPS, by SHA-256.

    Returns:
        A row a figure; none where there is no such folder.

    Raises:
        ArtifactError: a `.json` of the folder is no sidecar.
    """
    if not folder.is_dir():
        return ()
    sidecars = [_sidecar(path) for path in sorted(folder.glob("*.json"))]
    return system_rows(sidecars, results)


def systems_folder(results: Path) -> Path:
    """Where the sidecars of published systems lie: "systems", beside the folder of results.

    Args:
        results: that folder, or a file in it.
    """
    folder = results.parent if results.is_file() else results
    return folder.parent / "systems"


def system_lines(rows: Sequence[SystemRow]) -> list[SystemLine]:
    """Format the rows, one to one."""
    return [_line(row) for row in rows]


def system_notes(rows: Sequence[SystemRow]) -> tuple[str, ...]:
    """Say what the systems are, what is to be known of the published figures, and of ours."""
    shown = {row.system for row in rows}
    if not shown:
        return ()
    return (
        "Published: as the authors give it, of images that they chose. float32 and int8: computed "
        "here from the outputs of the .tflite on held-out images, float32 before any cut. p50: "
        "model only; FPS: from picture to attributes. Times of two machines say nothing of two "
        "models.",
        *dict.fromkeys(_steps(row) for row in rows if row.steps),
        *(
            note
            for each in PUBLISHED
            if each.id in shown
            for note in (
                f"{each.id}: {each.what}; {each.data}; {each.model}."
                + (f" To be known: {each.check}." if each.check else ""),
                *([f"{each.id} here: {_HERE[each.id]}."] if each.id in _HERE else []),
            )
        ),
    )


def systems_table(rows: Sequence[SystemRow]) -> Table:
    """Lay the systems out for a terminal of 100 columns, notes as the caption."""
    table = Table(
        title=TITLE,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("system, figure", overflow="fold", ratio=3)
    table.add_column("model\ndata, n", overflow="fold", ratio=5)
    table.add_column("published", overflow="fold", ratio=2)
    for heading in ("float32\n95 %", "int8\n95 %", "MB\np50 ms\nFPS"):
        table.add_column(heading, justify="right", overflow="fold", ratio=2)
    for line in system_lines(rows):
        cells = (
            f"{line.system}: {line.figure}",
            "\n".join(filter(None, dict.fromkeys((line.model, line.recipe, line.data)))),
            line.published,
            line.float32.stacked(),
            line.int8.stacked(),
            "\n".join(dict.fromkeys((line.size_mb, line.p50_ms, line.fps))),
        )
        table.add_row(*(Text("\n".join(map(printable, cell.split("\n")))) for cell in cells))
    table.caption = Text("\n".join(system_notes(rows)), style="default")
    return table


def systems_markdown(rows: Sequence[SystemRow]) -> str:
    """Write the systems as Markdown, without a newline at its end; empty without rows."""
    if not rows:
        return ""
    cells = [
        [
            line.system,
            *(
                escaped(printable(text))
                for text in (line.figure, _named(line), line.data, line.published)
            ),
            line.float32.one_line(),
            line.int8.one_line(),
            line.size_mb,
            escaped(printable(line.p50_ms)),
            line.fps,
        ]
        for line in system_lines(rows)
    ]
    notes = "\n".join(f"- {escaped(note)}" for note in system_notes(rows))
    return f"{markdown_table(list(HEADINGS), cells, HEADINGS[:5])}\n\n{notes}"


def _steps(row: SystemRow) -> str:
    return printable(f"{row.model} ({_short(row.recipe)}): {', then '.join(row.steps)}.")


def _short(recipe: str) -> str:
    return " ".join(recipe.partition(":")[0].split())  # after it come the details


def _named(line: SystemLine) -> str:
    return f"{line.model} ({line.recipe})" if line.recipe else line.model


def _sidecar(path: Path) -> Sidecar:
    try:
        return from_mapping(Sidecar, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecordError) as err:
        raise ArtifactError(
            f"{path}: not a sidecar: {err}; this folder is for sidecars of published systems only"
        ) from err


def _line(row: SystemRow) -> SystemLine:
    is_of_all = row.figure == FPS  # of the whole system, so no head has it
    nothing = Figure(value="")
    words = _FIGURES.get(row.figure, row.figure)
    n = "" if row.n is None else f", n = {row.n:,}"
    p50 = NOT_MEASURED if row.p50_ms is None else significant(row.p50_ms)
    return SystemLine(
        system=row.system,
        figure=f"{in_words(row.task)} {words}".strip(),
        model=row.model or NOT_MEASURED,
        recipe=_short(row.recipe),
        data=NOT_MEASURED if row.data is None else f"{row.data}, {row.split}{n}",
        published=_published(row),
        float32=nothing if is_of_all else _figure(row.float32),
        int8=nothing if is_of_all else _figure(row.int8),
        size_mb=NOT_MEASURED if row.size_bytes is None else significant(row.size_bytes / _MB),
        p50_ms=p50 if row.p50_ms is None or row.device is None else f"{p50} ({row.device})",
        fps=NOT_MEASURED if row.fps is None else significant(row.fps),
    )


def _published(row: SystemRow) -> str:
    found = row.published
    if found is None:
        return "none"
    of = f" ({BACKBONES.get(found.backbone, found.backbone)})" if found.backbone else ""
    return f"{found.text}{of}"


def _figure(metric: Metric | None) -> Figure:
    return metric_figure(metric)
