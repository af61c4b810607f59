"""How the models were made. In: sidecars. Out: a section."""

from __future__ import annotations

from collections.abc import Mapping

from edgeface.report.page.blocks import Block, Cell, Section, Table
from edgeface.report.page.models import Cast
from edgeface.types import Sidecar

_MILLION = 1e6


def making_section(cast: Cast, sidecars: Mapping[str, Sidecar]) -> Section:
    """Say of each model what was done to it, from which data, and what it may be used for.

    Args:
        cast: of a result.
        sidecars: by name; those of models that are not in the result, or are another file than the
            one that was measured, are left out.
    """
    known = [
        (entry, sidecars[entry.name])
        for entry in cast.entries
        if entry.name in sidecars and sidecars[entry.name].sha256 == entry.artifact_sha256
    ]
    rows = []
    for entry in cast.entries:
        sidecar = next((each for other, each in known if other is entry), None)
        steps = "; ".join(sidecar.provenance.steps) if sidecar else ""
        if not steps and entry.compression is not None:
            steps = "; ".join(entry.compression.steps)
        pruned = None if sidecar is None else sidecar.provenance.pruning_ratio
        images = None if sidecar is None else len(sidecar.provenance.calibration_ids)
        rows.append(
            (
                cast.cell(entry),
                Cell(text=steps or "as trained" if entry.trained else "random weights"),
                Cell(text=entry.scheme),
                Cell(text=f"{entry.parameters / _MILLION:.3f}"),
                Cell(text=f"{entry.macs / _MILLION:.1f}"),
                Cell(text="" if pruned is None else f"{100 * pruned:.0f}"),
                Cell(text=f"{images:,}" if images else ""),
            )
        )
    headings = ("model", "made small by", "scheme", "parameters M", "MACs M")
    blocks: list[Block] = [
        Table(
            title="What was done to each",
            headings=(*headings, "channels pruned %", "calibration images"),
            rows=tuple(rows),
            text_columns=(0, 1, 2),
        )
    ]
    if known:
        blocks.append(_origins(cast, [sidecar for _, sidecar in known]))
    return Section(id="making", title="How they were made", blocks=tuple(blocks))


def _origins(cast: Cast, sidecars: list[Sidecar]) -> Table:
    rows = []
    for sidecar in sidecars:
        about = sidecar.provenance
        rows.append(
            (
                Cell(text=sidecar.name, key=cast.number(sidecar.name)),
                Cell(text=about.data, detail=f"manifest {about.manifest_sha256[:12] or 'none'}"),
                Cell(text=about.weights),
                Cell(text=about.run_id[:12], detail=f"seed {about.seed}"),
                Cell(text=", ".join(f"{name} {v}" for name, v in about.versions.items())),
                Cell(text=sidecar.licence),
            )
        )
    return Table(
        title="Where they come from",
        headings=("model", "data", "started from", "run", "made with", "licence"),
        rows=tuple(rows),
        text_columns=(0, 1, 2, 3, 4, 5),
        is_folded=True,
    )
