"""A trained Keras model on disk: `NAME.keras` and `NAME.keras.json`, read as data.

In: a trained model and what it is. Out: two files, and the same model from them. Layers of kinds
that could run code from the file (`Lambda`, custom classes) are refused before anything is built.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.distill import Teacher, weights_digest
from edgeface.model.heads import head_specs
from edgeface.records import RecordError, from_mapping, write_json
from edgeface.types import EpochRecord

SCHEMA_VERSION = 2  # 2: the history has figures by head
SUFFIX = ".keras"
# What the networks here and their pruned forms are made of, by the module that the file names. A
# file with anything else is refused, because building a layer means running that layer's code.
KNOWN = {
    "keras.layers": frozenset(
        {
            "Activation",
            "Add",
            "AveragePooling2D",
            "BatchNormalization",
            "Concatenate",
            "Conv2D",
            "Dense",
            "DepthwiseConv2D",
            "Dropout",
            "Flatten",
            "GlobalAveragePooling2D",
            "InputLayer",
            "LayerNormalization",
            "MaxPooling2D",
            "Multiply",
            "ReLU",
            "Rescaling",
            "ZeroPadding2D",
        }
    ),
    "keras.initializers": frozenset({"GlorotUniform", "Ones", "Zeros"}),
    "tf_keras.src.engine.functional": frozenset({"Functional"}),
}


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """What stands beside a trained Keras model.

    Attributes:
        schema_version: see `SCHEMA_VERSION`.
        sha256: of the `.keras` file.
        spec: the network before any pruning.
        run_id: digest of all that determined its training.
        recipe: resolved.
        data: what it was trained on.
        manifest_sha256: of that data.
        pruning_ratio: share of prunable channels removed, as achieved; 0 if not pruned.
        history: one record an epoch, on the validation split.
        commit: of the edgeface repository.
    """

    schema_version: int
    sha256: str
    spec: ModelSpec
    run_id: str
    recipe: dict[str, Any]
    data: str
    manifest_sha256: str
    pruning_ratio: float
    history: tuple[EpochRecord, ...]
    commit: str


def write_model(path: Path, model: Any, about: SavedModel) -> None:
    """Write both files, each whole or not at all; the description last.

    Args:
        path: `NAME.keras`.
        model: tf_keras.
        about: its `sha256` is set here.

    Raises:
        ModelError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.tmp{SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        bare = keras.models.clone_model(model)  # without the optimizer, two thirds of the bytes
        bare.set_weights(model.get_weights())
        bare.save(temporary, save_format="keras")
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        temporary.replace(path)
        write_json(_beside(path), SavedModel(**{**vars(about), "sha256": digest}))
    except OSError as err:
        raise ModelError(f"{path}: cannot be written: {err}") from err
    finally:
        temporary.unlink(missing_ok=True)


def refuse_to_replace(path: Path, run_id: str) -> None:
    """Stop before work is done that would replace another run's model.

    Raises:
        ModelError: `path` holds the model of another run, or something else.
    """
    if path.exists() and read_description(path).run_id != run_id:
        raise ModelError(
            f"{path}: is there already and was made by another run; give --overwrite to replace "
            "it, or another --out"
        )


def read_model(path: Path) -> tuple[Any, SavedModel]:
    """Read a model that `write_model` wrote.

    Returns:
        The tf_keras model, not compiled, and what it is.

    Raises:
        ModelError: a file is missing, damaged, not the one described, or holds a layer that is
            not known here.
    """
    about = read_description(path)
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror}") from err
    found = hashlib.sha256(content).hexdigest()
    if found != about.sha256:
        raise ModelError(
            f"{path}: SHA-256 is {found[:12]}, expected {about.sha256[:12]} as in "
            f"{_beside(path).name}; the two files do not belong together, copy both again"
        )
    _check_layers(path)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True), about
    except (ValueError, TypeError, OSError, KeyError) as err:
        reason = (str(err).strip().splitlines() or ["no reason given"])[0][:200]
        raise ModelError(f"{path}: cannot be built: {reason}") from err


def read_description(path: Path) -> SavedModel:
    """Read only what stands beside a model.

    Raises:
        ModelError: it is missing or is not such a description.
    """
    beside = _beside(path)
    try:
        content = json.loads(beside.read_text("utf-8"))
        _check_version(beside, content)  # first: another version has other keys
        about = from_mapping(SavedModel, content)
    except FileNotFoundError as err:
        raise ModelError(
            f"{path}: {beside.name} is not beside it; expected the two files that "
            "`edgeface train` writes"
        ) from err
    except (RecordError, ValueError, RecursionError, OSError) as err:
        raise ModelError(f"{beside}: not a model description: {err}") from err
    return about


def read_teacher(path: Path) -> tuple[Teacher, SavedModel]:
    """Read a trained model as a teacher, and what it is.

    Raises:
        ModelError: as `read_model`.
    """
    model, about = read_model(path)
    return as_teacher(model, about.spec, path.stem), about


def as_teacher(model: Any, spec: ModelSpec, name: str) -> Teacher:
    """Let a model in memory teach."""
    return Teacher(
        name=name,
        model=model,
        heads=head_specs(spec),
        side_px=spec.side_px,
        digest=weights_digest(model),
    )


def _check_version(beside: Path, content: Any) -> None:
    found = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(found, int) and found != SCHEMA_VERSION:
        written = "trained by an older" if found < SCHEMA_VERSION else "trained by a newer"
        todo = "train it again" if found < SCHEMA_VERSION else "update edgeface"
        raise ModelError(
            f"{beside}: schema_version is {found}, expected {SCHEMA_VERSION}: {written} edgeface, "
            f"whose description of a model is another; {todo}"
        )


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _check_layers(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, OSError) as err:
        raise ModelError(f"{path}: not a .keras file: {err}") from err
    unknown = sorted({f"{of}.{name}" for of, name in _classes(config)} - _known_names())
    if unknown:
        raise ModelError(
            f"{path}: holds {', '.join(unknown)}, expected only kinds of layers that edgeface "
            "itself writes, because a file must not bring code of its own"
        )


def _known_names() -> set[str]:
    return {f"{module}.{name}" for module, names in KNOWN.items() for name in names}


def _classes(config: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every class that building the model would make."""
    if isinstance(config, dict):
        if "class_name" in config:
            registered = config.get("registered_name") or config["class_name"]
            custom = registered != config["class_name"]
            yield str(config.get("module")), str(registered if custom else config["class_name"])
        for each in config.values():
            yield from _classes(each)
    elif isinstance(config, list):
        for each in config:
            yield from _classes(each)
