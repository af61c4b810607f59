"""`compress --budget`: the whole search on one page. Faces and a budget in, the answer out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeface.bench.protocol import BenchProtocol
from edgeface.config import Recipe
from edgeface.data.manifest import Manifest, Split
from edgeface.data.manifest_file import write_manifest
from edgeface.data.sources import check_pictures
from edgeface.errors import CompressionError, DataError
from edgeface.export.provenance import run_id
from edgeface.outputs import check_out
from edgeface.pipeline import labelled_in
from edgeface.records import to_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.device_facts import describe_local
from edgeface.search.answer import Answer, refuse_other_runs, write_answer
from edgeface.search.budget import Budget, check_devices
from edgeface.search.evaluator import ModelEvaluator
from edgeface.search.recipes import check_searchable
from edgeface.search.run import SearchRequest, search
from edgeface.search.space import Candidate, Space
from edgeface.search.timing import SHORT_PROTOCOL, local_timers
from edgeface.search.training import World
from edgeface.stages import open_manifest
from edgeface.training_specs import AGE, GENDER
from edgeface.types import Reporter

HELD_OUT_SPLITS: tuple[Split, ...] = ("validation", "test")
DEFAULT_CANDIDATES = 40
"""Chosen: 10 random ones, then 30 that TPE proposes, a third of the default space; with the
recipe's 15 epochs each, a night on a desktop."""

DEFAULT_SPACE = Space()


@dataclass(frozen=True, kw_only=True)
class BudgetRequest:
    """What one `compress --budget` is asked.

    Attributes:
        budget: as asked.
        recipe: resolved; width and side are those of the reference, ratio and scheme are searched.
        data: manifests, folders or tables of labelled faces; empty for drawn faces.
        out: folder that gets the answer, and checkpoints under `.work`.
        overwrite: replace artifacts of other runs.
        space: of the candidates.
        candidates: how many are trained, all workers together.
        weights: starting weights by width, beside those of the recipe.
        protocol: of the timing during the search.
    """

    budget: Budget
    recipe: Recipe
    data: tuple[Path, ...]
    out: Path
    overwrite: bool
    space: Space = DEFAULT_SPACE
    candidates: int = DEFAULT_CANDIDATES
    weights: Mapping[float, str] = field(default_factory=dict)
    protocol: BenchProtocol = SHORT_PROTOCOL


def compress_to_budget(request: BudgetRequest, reporter: Reporter) -> Answer:
    """Search, and write the answer down.

    Started again with the same request, it goes on where it was; started twice at the same time on
    one `out`, the two share the work.

    Args:
        request: what to do.
        reporter: shows progress.

    Returns:
        The answer; its `artifact` is None where nothing meets the budget. See `require_choice`.

    Raises:
        EdgefaceError: with one line that says what to do; nothing is half-written.
    """
    recipe, out = request.recipe, request.out
    check_searchable(recipe)
    timers = local_timers(out / ".work" / "search" / "timing.lock", reporter, request.protocol)
    check_devices(request.budget, timers)
    check_out(out)
    manifest = open_manifest(recipe, request.data, reporter)
    _check_labels(manifest, recipe)
    check_pictures(manifest, "test", reporter)  # they are loaded last, after hours of training
    world = World(
        recipe=recipe, manifest=manifest, out=out, weights=request.weights, reporter=reporter
    )
    reference = Candidate(
        width_ratio=recipe.model.width_ratio,
        side_px=recipe.model.side_px,
        pruning_ratio=0.0,
        scheme="float32",
    )
    if not request.overwrite:
        refuse_other_runs(world, (reference, *request.space.candidates))
    write_manifest(out / "manifest.json", manifest)
    name = identity(request, manifest)
    folder = world.folder / name[:12]
    outcome = search(
        SearchRequest(
            budget=request.budget,
            space=request.space,
            reference=reference,
            folder=folder,
            context=name,
            seed=recipe.seed,
            candidates=request.candidates,
        ),
        ModelEvaluator(world, folder, timers),
        reporter,
    )
    return write_answer(outcome, request.budget, world, folder, device=describe_local())


def _check_labels(manifest: Manifest, recipe: Recipe) -> None:
    """Candidates are judged by gender and age: refuse data without either before any training."""
    for split in HELD_OUT_SPLITS:
        counts = labelled_in(manifest, split, recipe.model)
        for head, label in ((GENDER, "a gender"), (AGE, "an exact age")):
            if not counts[head]:
                raise DataError(
                    f"{manifest.label}: none of {len(manifest.of_split(split))} {split} images has "
                    f"{label}, expected at least one, because candidates are judged by it; add a "
                    "set that has it with --data"
                )


def require_choice(answer: Answer) -> Artifact:
    """Give the chosen artifact.

    Raises:
        CompressionError: nothing meets the budget; it says which limit binds and by how much.
    """
    if answer.artifact is None:
        raise CompressionError(f"{answer.record.binding}; the front is kept all the same")
    return answer.artifact


def identity(request: BudgetRequest, manifest: Manifest) -> str:
    """Digest of all that determines the figures of a search and what it drops on the way.

    How many candidates are tried is no part of it: more of them is the same search gone on with.
    """
    facts = {
        "run": run_id(request.recipe, manifest),
        "budget": str(request.budget),
        "space": to_mapping(request.space),
        "weights": {
            f"{width:g}": [path, _digest(Path(path))] for width, path in request.weights.items()
        },
        "protocol": to_mapping(request.protocol),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
