"""A model's card, `NAME.md`. In: its sidecar, what it was made from, result files. Out: Markdown.

What it is, what it may and may not be used for, the data and their terms, the contract, figures
with images and intervals, the worst groups, latency with the machine, limits, and how it was made.
A card depends on those values alone: the same give the same bytes, which a test holds the shipped
cards to. What the values do not say reads "not measured" or "not known"; nothing is guessed.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from edgeface.bench.compression import compression_of
from edgeface.data.adapters.paths import printable
from edgeface.data.fetch.sources import SOURCES
from edgeface.errors import ArtifactError
from edgeface.records import RecordError, from_mapping, write_bytes
from edgeface.report.heads import in_words as head_in_words
from edgeface.report.model_card_figures import latency_section, plain, quality_section
from edgeface.report.model_card_words import (
    BACKBONES,
    DRAWN_USE,
    FIT_FOR,
    LIMITS,
    MADE_BY,
    NOT_FOR,
    UNTRAINED_USE,
)
from edgeface.report.recipe_toml import recipe_toml
from edgeface.report.results_page import ResultFile, in_words
from edgeface.report.text import markdown_table, significant
from edgeface.runtime.crop import HAAR_FRAMING
from edgeface.training_specs import AGE
from edgeface.types import EpochRecord, HeadSpec, Sidecar, TensorSpec

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_DIGEST = 12  # characters of a digest that are shown, as in `results_page`


@dataclass(frozen=True, kw_only=True)
class StartingModel:
    """`NAME.keras.json`, the record of a trained Keras model; `model.saved` writes it.

    It is read here by itself, because `model.saved` needs TensorFlow. The fields are those of
    `model.saved.SavedModel`, of which a card uses `run_id`, `recipe`, `manifest_sha256` and
    `history`.
    """

    schema_version: int
    sha256: str
    spec: dict[str, Any]
    run_id: str
    recipe: dict[str, Any]
    data: str
    manifest_sha256: str
    pruning_ratio: float
    history: tuple[EpochRecord, ...]
    commit: str


def starting_model(model: Path, sidecar: Sidecar) -> tuple[Path, StartingModel] | None:
    """Find the unpruned Keras model beside an artifact, if it was trained on the same division.

    Args:
        model: the `.tflite`.
        sidecar: of it.

    Returns:
        The `.keras` and its record; None where there is none, or only one of other data.

    Raises:
        ArtifactError: its record cannot be read, or is none.
    """
    # Source: `export.artifact.artifact_name`: what was done to the network follows the side
    whole = model.with_name(f"{sidecar.name.partition('px')[0]}px.keras")
    path = whole.with_name(f"{whole.name}.json")
    if not path.exists():
        return None
    try:
        found = from_mapping(StartingModel, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecordError) as err:
        raise ArtifactError(
            f"{path}: not the record of a Keras model: {err}; remove it, or train the model anew"
        ) from err
    same = found.manifest_sha256 == sidecar.provenance.manifest_sha256
    return (whole, found) if same else None


def model_card(
    sidecar: Sidecar,
    results: Sequence[ResultFile],
    page: Path,
    start: tuple[Path, StartingModel] | None = None,
) -> str:
    """Write the card of one model as Markdown, ending in a newline.

    Args:
        sidecar: of the model.
        results: benchmarks, in any order; those that measured this very file count.
        page: where the card will stand, for links.
        start: the Keras model beside it, see `starting_model`.
    """
    parts = [
        f"# {plain(sidecar.name)}",
        MADE_BY,
        _what(sidecar),
        *_use(sidecar),
        *_data(sidecar),
        *_contract(sidecar),
        *quality_section(sidecar, results),
        *latency_section(sidecar, results, page),
        "## Limits",
        _list(LIMITS[_kind(sidecar)]),
        *_making(sidecar, start),
    ]
    return "\n\n".join(parts) + "\n"


def check_card(path: Path, card: str) -> None:
    """Hold a card that was written to what it should be.

    Raises:
        ArtifactError: not there, not readable, or another text.
    """
    again = f"write it anew with: edgeface models {path.parent} --cards"
    try:
        found = path.read_bytes()
    except OSError as err:
        raise ArtifactError(f"{path}: cannot be read: {err.strerror}; {again}") from err
    if found != _encoded(card):
        raise ArtifactError(f"{path}: is not what the sidecar and the result files give; {again}")


def write_card(path: Path, card: str) -> None:
    """Write a card, whole or not at all, in the place of an older one only.

    Raises:
        ArtifactError: something else is there, or it cannot be written.
    """
    try:
        if path.exists() and MADE_BY not in path.read_text("utf-8", "replace"):
            raise ArtifactError(
                f"{path}: is there, and is no card of `edgeface models --cards`; move it away"
            )
        write_bytes(path, _encoded(card))
    except OSError as err:
        raise ArtifactError(f"{path}: cannot be written: {err.strerror}") from err


def _encoded(card: str) -> bytes:
    # a byte of a folder's name that is not UTF-8 is shown as JSON would escape it
    return card.encode("utf-8", "backslashreplace")


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _kind(sidecar: Sidecar) -> str:
    made = sidecar.provenance
    return "untrained" if not made.trained else "drawn" if made.data_kind == "drawn" else "faces"


def _what(sidecar: Sidecar) -> str:
    made = sidecar.provenance
    how = plain(in_words(compression_of(sidecar), sidecar.scheme))
    backbone = BACKBONES.get(sidecar.backbone, plain(sidecar.backbone))
    *most, last = (_estimate(head) for head in sidecar.contract.heads)
    heads = f"{', '.join(most)} and {last}" if most else last
    return (
        f"{backbone}, {how}. It looks at one face crop and estimates {heads}. "
        f"{significant(sidecar.size_bytes / _MB)} MB, {made.parameters:,} parameters, "
        f"{made.macs / 1e6:,.1f} million multiply-and-adds an inference; sha256 of the file "
        f"`{sidecar.sha256[:_DIGEST]}…`."
    )


def _estimate(head: HeadSpec) -> str:
    if head.classes:
        *first, last = head.classes
        named = f"{', '.join(first)} or {last}" if first else last
        return f"{plain(head_in_words(head.name))} ({plain(named)})"
    return f"{plain(head.name)} in {plain(head.unit)}" if head.unit else plain(head.name)


def _use(sidecar: Sidecar) -> list[str]:
    kind = _kind(sidecar)
    if kind == "untrained":
        return ["## What it is for", UNTRAINED_USE]
    name = shlex.quote(printable(f"{sidecar.name}.tflite"))
    shell = f"```sh\nedgeface predict {name} photo.jpg\n```"
    fit = [DRAWN_USE] if kind == "drawn" else [_list(FIT_FOR), shell]
    heads = {head.name for head in sidecar.contract.heads}
    lines = [line for needs, line in NOT_FOR if not needs or needs in heads]
    return ["## What it is for", *fit, "## What it must not be used for", _list(lines)]


def _data(sidecar: Sidecar) -> list[str]:
    made, kind = sidecar.provenance, _kind(sidecar)
    if kind == "untrained":
        return ["## Data and licence", f"No data: {plain(sidecar.licence)}."]
    lines = [
        f"Trained on: {plain(made.data)}, training split of the manifest with digest "
        f"`{made.manifest_sha256[:_DIGEST]}`. Which images that are, `edgeface data prepare` finds "
        "again from the same pictures and seed.",
        f"Licence: {plain(sidecar.licence)}.",
        *_terms(made.data),
    ]
    if kind == "drawn":
        return ["## Data and licence", _list(lines)]
    return [
        "## Data and licence",
        _list(lines),
        "The weights inherit those terms. To have a model without them, train on faces of your "
        "own, from starting weights and without a teacher whose terms bind you:",
        "```sh\nedgeface data prepare FACES --out faces.json\n"
        "edgeface compress --data faces.json --out mine\n```",
    ]


def _terms(data: str) -> list[str]:
    """Terms of the public sets whose names the data have; a folder's name proves nothing."""
    named = [SOURCES[part] for part in data.casefold().split(" + ") if part in SOURCES]
    return [
        f"The public set of the name {each.name}: {plain(each.licence)} (<{each.licence_url}>)."
        for each in named
    ]


def _contract(sidecar: Sidecar) -> list[str]:
    contract = sidecar.contract
    image, box = contract.image, HAAR_FRAMING
    tensors = {tensor.name: tensor for tensor in contract.outputs}
    rows = [
        [
            plain(head.name),
            _tensor(tensors[head.tensor]) if head.tensor in tensors else "not known",
            _reading(head),
        ]
        for head in contract.heads
    ]
    lines = [
        f"Input: {_tensor(contract.input)}; one picture of {image.side_px} × {image.side_px} "
        f"pixels, {image.colour_order}, {image.low:g} (black) to {image.high:g} (white). "
        "Normalisation is inside.",
        f"Picture: {plain(image.crop)}, made square and resized ({plain(image.resize)}: "
        "OpenCV's INTER_AREA when shrinking, INTER_LINEAR when enlarging).",
        "Crop margin, as `edgeface predict` cuts: around a box of OpenCV's Haar face detector a "
        f"square of {box.side_ratio:g} of its width, its centre {box.down_ratio:g} of the width "
        "lower. Another detector draws other boxes and needs another margin.",
        f"{len(sidecar.golden)} pictures with the outputs that the model must give are in the "
        "sidecar; `edgeface doctor` finds what your own pipeline does otherwise.",
    ]
    table = markdown_table(["head", "output", "how it is read"], rows, ("head", "output", *_READ))
    return ["## Contract", _list(lines), table]


_READ = ("how it is read",)


def _tensor(tensor: TensorSpec) -> str:
    shape = " × ".join(map(str, tensor.shape))
    if tensor.scale is None:
        return f"{tensor.dtype} [{shape}]"
    zero = tensor.zero_point or 0
    shifted = f"(q + {-zero})" if zero < 0 else f"(q − {zero})" if zero else "q"
    return f"{tensor.dtype} [{shape}], real = {tensor.scale:.6g} × {shifted}"


def _reading(head: HeadSpec) -> str:
    if head.kind == "binary":
        return f"the sigmoid is the probability of {plain(head.classes[1])}"
    if head.kind == "classes":
        return f"softmax, the probabilities of {plain(', '.join(head.classes))}"
    if head.kind == "decades":
        low, high = head.bins[0], head.bins[-1]
        return (
            f"the likeliest of the {len(head.bins)} decades with the middles {low:g} to {high:g} "
            f"{plain(head.unit)}"
        )
    if head.kind in ("median", "expectation"):
        low, high = head.bins[0], head.bins[-1]
        which = "median" if head.kind == "median" else "mean"
        return (
            f"softmax, then the {which} of the {len(head.bins)} bins {low:g} to {high:g} "
            f"{plain(head.unit)}"
        )
    return f"the value in {plain(head.unit)}" if head.unit else "the value"


def _making(sidecar: Sidecar, start: tuple[Path, StartingModel] | None) -> list[str]:
    made = sidecar.provenance
    versions = ", ".join(f"{plain(name)} {plain(v)}" for name, v in made.versions.items())
    digest, _, remark = made.commit.partition("-")  # "-dirty": with changes that are in no commit
    commit = "not known" if digest == "unknown" else f"{digest[:_DIGEST]}{remark and f'-{remark}'}"
    lines = [
        *([] if not made.trained else _training(sidecar, start)),
        *(f"Then: {plain(step)}." for step in made.steps),
        f"Seed {made.seed}, {made.created_utc[:10]}; {versions}; commit {plain(commit)}; run "
        f"`{made.run_id[:_DIGEST]}`.",
    ]
    parts = ["## How it was made", _list(lines)]
    if not made.trained:
        return parts
    separate = start is not None and start[1].run_id != made.run_id
    # a recipe's training is not what made a model that was trained in a run before
    own = ("description", *(("train",) if separate else ()))
    parts += _recipe("Recipe of this run, as far as it differs from the defaults", made.recipe, own)
    if separate and start is not None:
        title = f"Recipe of the run that made {_file(start[0].name)}, in the same way"
        parts += _recipe(title, start[1].recipe, ("description",))
    return [
        *parts,
        "Files are named without their folders. The whole recipe, also what is default, is in the "
        "sidecar. Two runs of one recipe differ a little: TensorFlow on several threads adds up in "
        "another order each time.",
    ]


def _training(sidecar: Sidecar, start: tuple[Path, StartingModel] | None) -> list[str]:
    made = sidecar.provenance
    teachers = [_file(name) for name in _teachers(made.recipe)]
    lines = [
        f"Starting weights: {_weights(made.weights)}.",
        f"Teachers in this run: {', '.join(teachers) or 'none named'}.",
    ]
    if start is None:
        return [*lines, "Whether the network was trained in this run or before is not known."]
    whole, about = start
    best = min(about.history, key=lambda each: each.score, default=None)
    reached = (
        "its history is not known"
        if best is None
        else f"{len(about.history)} epochs, the best on the validation split: epoch "
        f"{best.epoch}{''.join(f', {_reached(*each)}' for each in best.validation.items())}"
    )
    link = f"[{_file(whole.name)}]({quote(whole.name)})"
    if about.run_id == made.run_id:
        return [*lines, f"Trained in this run ({link}): {reached}."]
    return [
        *lines,
        f"{link} stands beside it, trained on the same division in a run of its own: {reached}. "
        "The sidecar does not name the model that a run started from.",
    ]


def _reached(head: str, figure: float) -> str:
    name = plain(head_in_words(head))
    return f"{name} MAE {figure:.2f} years" if head == AGE else f"{name} {100 * figure:.1f} %"


def _weights(weights: str) -> str:
    known = {"none": "random", "imagenet": "ImageNet, as Keras has them"}
    return known.get(weights, f"the file {_file(weights)}")


def _file(name: str) -> str:
    return f"`{printable(PurePath(name).name).replace('`', '')}`"


def _teachers(recipe: dict[str, Any]) -> list[str]:
    # a sidecar is anybody's, and its recipe is free in form
    given = recipe.get("teachers")
    return [str(name) for name in given] if isinstance(given, list) else []


def _recipe(title: str, recipe: dict[str, Any], leave_out: tuple[str, ...]) -> list[str]:
    text = recipe_toml(_without_folders(recipe), leave_out=leave_out)
    return [f"{title}:", f"```toml\n{text}\n```"] if text else [f"{title}: nothing."]


def _without_folders(recipe: dict[str, Any]) -> dict[str, Any]:
    """Leave out where files lay on the machine of whoever made the model."""
    bare = {**recipe}
    if "teachers" in bare:
        bare["teachers"] = [PurePath(name).name for name in _teachers(recipe)]
    for table, key in (("model", "weights"), ("prune", "layer_times")):
        values = bare.get(table)
        if isinstance(values, dict) and isinstance(values.get(key), str):
            bare[table] = values | {key: PurePath(values[key]).name}
    return bare
