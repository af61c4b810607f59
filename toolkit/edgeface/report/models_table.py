"""What a folder of artifacts holds, as a table. In: a folder. Out: listings, Rich, or mappings.

The figures are those of the sidecars; nothing is run. Names and licences come from files that may
be anybody's, so they are shown as plain text on one line, with control characters escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.bench.compression import compression_of
from edgeface.data.adapters.paths import printable
from edgeface.errors import ArtifactError
from edgeface.records import to_mapping
from edgeface.report.heads import AGE_MAE, GENDER_ACCURACY, find_metric, main_figures
from edgeface.report.quality_tables import metric_figure
from edgeface.report.results_page import in_words
from edgeface.report.text import NOT_MEASURED
from edgeface.report.text import significant as significant
from edgeface.runtime.artifact import load_artifact
from edgeface.types import Metric, Sidecar

_NAME_WIDTH = 42  # chosen: what recipes make is shorter, and it leaves room for the figures
_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes


@dataclass(frozen=True, kw_only=True)
class ModelListing:
    """One `.tflite` of a folder.

    Attributes:
        path: of it.
        sidecar: that fits it; None where there is none that does.
        error: in one line, why not; empty where it does.
    """

    path: Path
    sidecar: Sidecar | None
    error: str


def list_models(folder: Path) -> tuple[ModelListing, ...]:
    """Read the artifacts of a folder, by name; one that is damaged is listed with its error.

    Args:
        folder: with `NAME.tflite` and `NAME.json` each.

    Raises:
        ArtifactError: no such folder.
    """
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: no such folder; give the one with the .tflite files")
    return tuple(_listing(path) for path in sorted(folder.glob("*.tflite")))


def models_table(listings: Sequence[ModelListing]) -> Table:
    """Lay the artifacts out for a terminal of 100 columns; licences as the caption.

    Args:
        listings: of which those without a sidecar are left out.
    """
    table = Table(
        title="Models",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    sidecars = [each.sidecar for each in listings if each.sidecar is not None]
    widest = max((len(printable(each.name)) for each in sidecars), default=0)
    table.add_column("model", overflow="fold", min_width=min(widest, _NAME_WIDTH))
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("figures of", overflow="fold")
    for heading in ("gender\naccuracy %", "age MAE\nyears"):
        table.add_column(heading, justify="right", no_wrap=True)
    licences = list(dict.fromkeys(printable(each.licence) for each in sidecars))
    for sidecar in sidecars:
        how = in_words(compression_of(sidecar), sidecar.scheme)
        mark = licences.index(printable(sidecar.licence)) + 1
        metrics = _metrics(sidecar)
        n = None if sidecar.quality is None else sidecar.quality.n
        figures = (
            metric_figure(find_metric(metrics, each.task, each.name), n)
            for each in (GENDER_ACCURACY, AGE_MAE)
        )
        lines = (printable(sidecar.name), printable(how), *_others(metrics, n), f"licence ({mark})")
        cells = (
            "\n".join(lines),
            significant(sidecar.size_bytes / _MB),
            _measured_on(sidecar),
            # two words fit a narrow column as two lines
            *(figure.stacked().replace(NOT_MEASURED, "not\nmeasured") for figure in figures),
        )
        table.add_row(*(Text(cell) for cell in cells))
    numbered = (f"({number}) {licence}" for number, licence in enumerate(licences, 1))
    table.caption = Text("\n".join(numbered), style="default")
    return table


def model_mapping(listing: ModelListing) -> dict[str, Any]:
    """Give one artifact as JSON can hold it: its figures, or `path` and `error`."""
    path, sidecar = str(listing.path), listing.sidecar
    if sidecar is None:
        return {"path": path, "error": listing.error}
    quality = sidecar.quality
    return {
        "path": path,
        "name": sidecar.name,
        "scheme": sidecar.scheme,
        "size_bytes": sidecar.size_bytes,
        "compression": to_mapping(compression_of(sidecar)),
        "trained": sidecar.provenance.trained,
        "quality": None if quality is None else to_mapping(quality),
        "licence": sidecar.licence,
    }


def _listing(path: Path) -> ModelListing:
    try:
        return ModelListing(path=path, sidecar=load_artifact(path).sidecar, error="")
    except ArtifactError as err:
        return ModelListing(path=path, sidecar=None, error=" ".join(str(err).splitlines()))


def _measured_on(sidecar: Sidecar) -> str:
    quality = sidecar.quality
    if quality is None:
        return NOT_MEASURED if sidecar.provenance.trained else "random\nweights"
    return f"{printable(quality.data)}, {quality.split}\nn = {quality.n:,}"


def _metrics(sidecar: Sidecar) -> tuple[Metric, ...]:
    return () if sidecar.quality is None else sidecar.quality.metrics


def _others(metrics: Sequence[Metric], n: int | None) -> list[str]:
    """A line for each attribute that has no column."""
    _, _, *others = main_figures(metrics)
    lines = []
    for each in others:
        metric = find_metric(metrics, each.task, each.name)
        if metric is not None:
            figure = metric_figure(metric, n)
            lines.append(f"{printable(each.words)} {figure.value} % ({figure.details})")
    return lines
