"""The answer of a search on disk. In: `SearchOutcome`. Out: files in OUT.

`OUT/NAME.tflite` with its sidecar is the choice, with figures of the test split; `OUT/front/` holds
every member of the front, with figures of the validation split; `OUT/search.json` all candidates;
`OUT/search.md` the table, and `OUT/search-size.svg` and `.png`, `OUT/search-p50.…` the plots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import edgeface
from edgeface.commit import source_commit
from edgeface.errors import ArtifactError, ExportError
from edgeface.export.artifact import refuse_to_overwrite, with_quality, write_artifact
from edgeface.export.provenance import run_id
from edgeface.outputs import check_manifest_is_ours
from edgeface.records import write_bytes, write_json
from edgeface.report.front_plot import CostName, write_front_plot
from edgeface.report.front_tables import FrontView, front_markdown
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.search.budget import Budget
from edgeface.search.evaluator import searched_id
from edgeface.search.final import Final, final_figures
from edgeface.search.measured import Measured
from edgeface.search.record import SCHEMA_VERSION, CandidateRecord, LimitRecord, SearchRecord
from edgeface.search.run import SearchOutcome
from edgeface.search.space import Candidate
from edgeface.search.training import World
from edgeface.search.verdicts import binding_words, rival_shown, verdict_words, why_chosen
from edgeface.search.view import front_view

FRONT = "front"
PLOTS: tuple[CostName, ...] = ("size", "p50")
RULE = (
    "Chosen: of the candidates that meet every limit, the cheapest by the first cost that the "
    "budget names, of equals the one with the lower MAE; a pruned one gives way to a plain one, "
    "trained as long, that is no worse on any axis (latency within 5 %)."
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a search came to.

    Attributes:
        record: as written.
        view: for tables.
        artifact: the choice as written to OUT; None where nothing fits.
        final: figures of the test split; None where nothing fits.
        front: paths of the artifacts of the front.
    """

    record: SearchRecord
    view: FrontView
    artifact: Artifact | None
    final: Final | None
    front: tuple[Path, ...]


def refuse_other_runs(world: World, candidates: Sequence[Candidate]) -> None:
    """Stop before hours of work that would replace what other runs made.

    Args:
        world: of the search.
        candidates: of its space.

    Raises:
        ExportError: an artifact of one of their names is of another run, or an artifact beside
            `manifest.json` was trained on other data.
    """
    out, manifest = world.out, world.manifest
    for candidate in candidates:
        for path in (out / f"{candidate.name}.tflite", out / FRONT / f"{candidate.name}.tflite"):
            if path.exists():
                run = run_id(world.recipe_of(candidate), manifest)
                refuse_to_overwrite(path, searched_id(run))
    check_manifest_is_ours(out, manifest)


def write_answer(
    outcome: SearchOutcome, budget: Budget, world: World, folder: Path, *, device: DeviceInfo
) -> Answer:
    """Measure the choice on the test split and write everything down.

    Args:
        outcome: of the search.
        budget: as asked.
        world: of the search.
        folder: of the search, which holds the artifacts.
        device: the machine that latency was measured on.

    Raises:
        EdgefaceError: a file is missing or cannot be written.
    """
    kept = {each: _load(folder, measured) for each, measured in outcome.found.items()}
    out = world.out
    chosen, final, looks = None, None, 0
    if outcome.chosen is not None:
        shown = (outcome.reference, outcome.chosen, rival_shown(outcome))
        several = [kept[each] for each in dict.fromkeys(shown) if each is not None]
        final, looks = final_figures(several, outcome.reference.name, world, budget)
        name = outcome.chosen.name
        chosen = replace(
            with_quality(kept[outcome.chosen], final.qualities[name]), path=out / f"{name}.tflite"
        )
        write_artifact(chosen)
    front = _write_front(outcome, kept, out / FRONT)
    record = _record(outcome, budget, world, device, final, looks)
    view = front_view(outcome, budget, record)
    _write(out, record, view)
    return Answer(record=record, view=view, artifact=chosen, final=final, front=front)


def _load(folder: Path, measured: Measured) -> Artifact:
    artifact = load_artifact(folder / measured.path)
    if artifact.sidecar.sha256 != measured.sha256:
        raise ArtifactError(
            f"{artifact.path}: is not the file that was measured (SHA-256 "
            f"{artifact.sidecar.sha256[:12]}, expected {measured.sha256[:12]}); delete {folder} to "
            "search anew, trained models are kept"
        )
    return artifact


def _write_front(
    outcome: SearchOutcome, kept: dict[Candidate, Artifact], folder: Path
) -> tuple[Path, ...]:
    """Write the members, and take away what this search's candidates left of an earlier front."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for candidate, artifact in kept.items():
            path = folder / f"{candidate.name}.tflite"
            if candidate not in outcome.front and _is_of(path, artifact):
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
    except OSError as err:
        raise ExportError(f"{folder}: cannot be written: {err.strerror}") from err
    paths = tuple(folder / f"{candidate.name}.tflite" for candidate in outcome.front)
    for candidate, path in zip(outcome.front, paths, strict=True):
        write_artifact(replace(kept[candidate], path=path))
    return paths


def _is_of(path: Path, artifact: Artifact) -> bool:
    """Whether a file is an artifact of the same run; somebody else's is left alone."""
    if not path.exists():
        return False
    try:
        found = load_artifact(path).sidecar.provenance.run_id
    except ArtifactError:
        return False
    return found == artifact.sidecar.provenance.run_id


def _record(
    outcome: SearchOutcome,
    budget: Budget,
    world: World,
    device: DeviceInfo,
    final: Final | None,
    looks: int,
) -> SearchRecord:
    return SearchRecord(
        schema_version=SCHEMA_VERSION,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeface_version=edgeface.__version__,
        commit=source_commit(),
        budget=str(budget),
        limits=tuple(LimitRecord(term=str(each.term), most=each.most) for each in outcome.limits),
        data=world.manifest.label,
        manifest_sha256=world.manifest.sha256,
        device=device,
        rule=RULE,
        reference=outcome.reference.name,
        candidates=tuple(
            CandidateRecord(
                name=entry.candidate.name,
                width_ratio=entry.candidate.width_ratio,
                side_px=entry.candidate.side_px,
                pruning_ratio=entry.candidate.pruning_ratio,
                scheme=entry.candidate.scheme,
                state=entry.state,
                verdict=verdict_words(entry, outcome),
                on_front=entry.candidate in outcome.front,
                cost=entry.cost,
                measured=entry.measured,
            )
            for entry in outcome.entries
        ),
        front=tuple(candidate.name for candidate in outcome.front),
        chosen=outcome.chosen.name if outcome.chosen else None,
        why=why_chosen(outcome, budget),
        binding="" if outcome.chosen else binding_words(outcome, budget),
        final=final,
        notes=_notes(outcome, device, looks),
    )


def _notes(outcome: SearchOutcome, device: DeviceInfo, looks: int) -> tuple[str, ...]:
    notes = [device.note] if device.note else []
    unsteady = [
        f"{measured.name}: {'; '.join(timing.warnings)}"
        for measured in outcome.found.values()
        for timing in measured.cost.timings.values()
        if timing.warnings
    ]
    if unsteady:
        notes.append(
            f"latency of {len(unsteady)} of {len(outcome.found)} candidates is unsteady, e.g. "
            f"{unsteady[0]}"
        )
    if looks > 1:
        notes.append(
            f"figures of the test split were computed for {looks} choices in this folder; each one "
            "makes it a little less held out"
        )
    return tuple(notes)


def _write(out: Path, record: SearchRecord, view: FrontView) -> None:
    try:
        write_json(out / "search.json", record)
        write_bytes(out / "search.md", front_markdown(view).encode("utf-8", "backslashreplace"))
    except OSError as err:
        raise ExportError(f"{out}: cannot be written: {err.strerror}; free space") from err
    for cost in PLOTS:
        for suffix in (".svg", ".png"):
            write_front_plot(view, out / f"search-{cost}{suffix}", cost)
