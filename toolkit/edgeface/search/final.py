"""The test split, once. In: the chosen artifact and those it is held against. Out: final figures.

They are kept by what was chosen. A second worker, or the same search started again, reads them and
does not look at the test split again; how often it was looked at in a folder is counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeface.bench.quality import predict_held_out, quality_of
from edgeface.bench.verdict import Comparison, Predictions, compare_each
from edgeface.bench.verdict_rule import PRUNED_INT8_MARGINS, Margins
from edgeface.data.manifest import shared_attributes
from edgeface.errors import CompressionError
from edgeface.records import RecordError, from_mapping, write_json
from edgeface.runtime.artifact import Artifact
from edgeface.search.budget import Budget
from edgeface.search.locks import FileLock
from edgeface.search.training import World
from edgeface.stages import load_split
from edgeface.types import Quality


@dataclass(frozen=True, kw_only=True)
class Final:
    """Figures of the test split.

    Attributes:
        sha256: of each artifact, by name.
        qualities: by name.
        comparisons: of each artifact but the reference with the reference, paired.
    """

    sha256: dict[str, str]
    qualities: dict[str, Quality]
    comparisons: tuple[Comparison, ...]


def final_figures(
    artifacts: Sequence[Artifact], reference: str, world: World, budget: Budget
) -> tuple[Final, int]:
    """Measure artifacts on the test split, or read what was measured.

    Args:
        artifacts: the reference, the chosen one and its rival, each once.
        reference: name of the unpruned float model.
        world: of the search.
        budget: its relative terms are the margins of the verdicts.

    Returns:
        The figures, and for how many choices the test split was looked at in this folder.

    Raises:
        EdgefaceError: the artifacts cannot be run, or the folder cannot be used.
    """
    digests = {each.sidecar.name: each.sidecar.sha256 for each in artifacts}
    margins = margins_of(budget)
    folder = world.folder / "final"
    of_what = json.dumps([digests, reference, vars(margins)], sort_keys=True)
    path = folder / f"{hashlib.sha256(of_what.encode()).hexdigest()[:16]}.json"
    with FileLock(folder / "lock").held():
        final = _read(path)
        if final is None:
            final = Final(sha256=digests, **_measured(artifacts, reference, world, margins))
            try:
                write_json(path, final)
            except OSError as err:
                raise CompressionError(f"{path}: cannot be written: {err.strerror}") from err
        return final, len(list(folder.glob("[0-9a-f]*.json")))


def margins_of(budget: Budget) -> Margins:
    """The margins of the verdicts: what the budget allows to lose, as far as it says."""
    relative = {term.quantity: term.limit for term in budget.terms if term.relative}
    age, gender = relative.get("mae", 0.0), -relative.get("gender", 0.0)
    default = PRUNED_INT8_MARGINS
    return Margins(
        age_mae_years=age if age > 0 else default.age_mae_years,
        gender_accuracy_pp=gender if gender > 0 else default.gender_accuracy_pp,
    )


def _measured(
    artifacts: Sequence[Artifact], reference: str, world: World, margins: Margins
) -> dict[str, Any]:
    manifest = world.manifest
    qualities: dict[str, Quality] = {}
    predictions: dict[str, Predictions] = {}
    # one side after the other: faces of two sides at once may not fit in memory
    for side_px in sorted({each.sidecar.contract.image.side_px for each in artifacts}):
        faces = load_split(world.recipe_at(side_px), manifest, "test", world.out, world.reporter)
        labels = faces.without_images()
        for artifact in artifacts:
            name = artifact.sidecar.name
            if artifact.sidecar.contract.image.side_px != side_px:
                continue
            predicted = predict_held_out(
                artifact, faces, data=manifest.label, split="test", reporter=world.reporter
            )
            heads = artifact.sidecar.contract.heads
            predictions[name] = Predictions(name=name, heads=heads, values=predicted)
            qualities[name] = quality_of(
                predicted,
                faces,
                heads,
                data=manifest.label,
                split="test",
                manifest_sha256=manifest.sha256,
            )
    classes = {each.name: each.classes for each in shared_attributes(manifest.sources)}
    comparisons = compare_each(
        [predictions[each.sidecar.name] for each in artifacts if each.sidecar.name != reference],
        predictions[reference],
        labels,
        margins=margins,
        reporter=world.reporter,
        groups=[row.group for row in manifest.of_split("test")],
        race_names=classes.get("race", ()),
    )
    return {"qualities": qualities, "comparisons": comparisons}


def _read(path: Path) -> Final | None:
    try:
        return from_mapping(Final, json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecordError) as err:
        raise CompressionError(
            f"{path}: not the final figures of a search: {err}; delete it to measure anew"
        ) from err
