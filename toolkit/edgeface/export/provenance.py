"""Where an artifact comes from: enough to make it again, and to tell two runs apart."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import edgeface
from edgeface.commit import source_commit
from edgeface.config import Recipe
from edgeface.data.manifest import Manifest
from edgeface.model.profile import ModelProfile
from edgeface.records import to_mapping
from edgeface.types import Provenance

_VERSIONED = ("tensorflow", "tf-keras", "litert-quantizer", "ai-edge-litert", "numpy")


def run_id(recipe: Recipe, manifest: Manifest, start: Path | None = None) -> str:
    """Digest of all that determines a run: recipe, images and their division, starting weights.

    Args:
        recipe: resolved.
        manifest: of the data.
        start: trained model that the run starts from instead of training one.
    """
    facts = {
        "recipe": to_mapping(recipe),
        "manifest": manifest.sha256,
        "weights": _digest(Path(recipe.model.weights)),
        "teachers": [_digest(Path(teacher)) for teacher in recipe.teachers],
        "start": _digest(start) if start else "",
        "edgeface": edgeface.__version__,
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def trained_on(
    recipe: Recipe,
    manifest: Manifest,
    profile: ModelProfile,
    *,
    run: str,
    steps: tuple[str, ...] = (),
    pruning_ratio: float = 0.0,
    calibration_ids: tuple[str, ...] = (),
) -> Provenance:
    """Provenance of a model that was trained on the manifest's training split.

    Args:
        recipe: resolved.
        manifest: of the data.
        profile: of the network as it was exported.
        run: `run_id` of the two.
        steps: what was done to the trained network, in words.
        pruning_ratio: share of prunable channels removed, as achieved.
        calibration_ids: training images that set the int8 ranges.
    """
    return Provenance(
        run_id=run,
        recipe=to_mapping(recipe),
        seed=recipe.seed,
        data=manifest.label,
        data_kind="drawn" if manifest.drawn else "folder",
        manifest_sha256=manifest.sha256,
        calibration_ids=calibration_ids,
        weights=recipe.model.weights,
        trained=True,
        pruning_ratio=pruning_ratio,
        parameters=profile.parameters,
        macs=profile.macs,
        versions=_versions(),
        commit=source_commit(),
        created_utc=_now(),
        steps=steps,
    )


def untrained(run: str, seed: int, profile: ModelProfile) -> Provenance:
    """Provenance of a network with random weights: only its size and latency mean anything.

    Args:
        run: id of the run that made it.
        seed: of the weights.
        profile: of the network.
    """
    return Provenance(
        run_id=run,
        recipe={},
        seed=seed,
        data="none",
        data_kind="none",
        manifest_sha256="",
        calibration_ids=(),
        weights="none",
        trained=False,
        pruning_ratio=0.0,
        parameters=profile.parameters,
        macs=profile.macs,
        versions=_versions(),
        commit=source_commit(),
        created_utc=_now(),
    )


def licence_of(manifest: Manifest) -> str:
    """Say what the weights of a model trained on the manifest may be used for."""
    if manifest.drawn:
        return "trained on drawn faces: free of rights of others, of no use on real faces"
    return (
        f"trained on {manifest.label!r}: the terms of that data set and of the starting "
        "weights hold for this model"
    )


def _versions() -> dict[str, str]:
    return {
        "edgeface": edgeface.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _VERSIONED},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
