"""Says which mistake of preprocessing explains bad predictions.

In: an artifact, pictures of faces, and if there are any, labels and the predictions of somebody's
own pipeline. Out: a `Diagnosis`. First the golden vectors, because without them nothing here means
anything; then each of the usual mistakes is made on purpose, and what the model says then is held
against theirs and against the labels. Where two explain equally well it says "undecided".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeface.bench.doctor_pictures import Case, Theirs
from edgeface.bench.mistakes import RIGHT, Mistake, mistakes_for, outputs_under, whole_picture
from edgeface.errors import DataError
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.decode import class_numbers
from edgeface.runtime.detect import Detector
from edgeface.runtime.predict import Predictor, open_predictor
from edgeface.runtime.selftest import golden_problems
from edgeface.types import HeadSpec, Reporter

YEARS_TOLERANCE = 0.5
FULL_SCALE_TOLERANCE = 0.02
"""Difference that still counts as the same prediction: years of age; of other heads the share of
their full scale, 1 for a probability and for the total variation of several. Source: chosen:
several times the rounding that `predict --json` does (0.05 years, 0.00005), and about what one int8
step of a logit or another JPEG decoder's pixels make; a mistake that matters moves most faces by
more."""

DISTINCT_RATIO = 2.0
"""A mistake explains better than another if the other is so many times as far away. Chosen."""

ROUNDING_DISTANCE = 0.1
"""Distances below this are the same. Source: rounding to 0.1 years gives up to 0.05 / 0.5."""

SIGNIFICANCE = 0.05
"""Of the sign test, divided by the number of mistakes tried. Source: convention; Bonferroni."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one mistake does to the faces.

    Attributes:
        name: of the mistake.
        change: by head: mean absolute difference to the right way, in the head's unit; of classes
            the mean total variation, half of the sum of what their probabilities moved by.
        distance: to their predictions: median over the faces of the head that is furthest away, in
            tolerances; None if there are none.
        same_ratio: share of the faces with every head within its tolerance of theirs.
        figures: by head that a face has a label of: accuracy of classes, 0 to 1; MAE of age in
            years.
    """

    name: str
    change: dict[str, float]
    distance: float | None
    same_ratio: float | None
    figures: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `doctor` found.

    Attributes:
        model: name of the artifact.
        golden_vectors: how many were run.
        golden_problems: one line each; empty if all passed.
        pictures: read.
        faces: found in them, one a picture at most.
        compared: faces that their predictions name.
        labelled: faces with a label of one of the heads.
        trials: the right way first, then each mistake.
        explained_by: names of the trials that their predictions fit equally well; several means
            undecided; empty if none fits or there are no predictions.
        verdict: what follows, a sentence each.
        healthy: the golden vectors passed, and their predictions, if any, fit the right way.
    """

    model: str
    golden_vectors: int
    golden_problems: tuple[str, ...]
    pictures: int
    faces: int
    compared: int
    labelled: int
    trials: tuple[Trial, ...]
    explained_by: tuple[str, ...]
    verdict: tuple[str, ...]
    healthy: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class _Faces:
    """Cases with a face, and what the model says of each under each mistake.

    Attributes:
        cases: N of them.
        said: by head, float64 [T, N] or [T, N, K].
        heads: of the model.
    """

    cases: tuple[Case, ...]
    said: dict[str, NDArray[np.float64]]
    heads: tuple[HeadSpec, ...]

    def labels(self, head: HeadSpec) -> NDArray[np.float64]:
        """Class numbers of the model, or ages; float64 [N], NaN where not known."""
        if not head.has_classes:
            known = [case.age_years for case in self.cases]
            return np.array([np.nan if age is None else age for age in known], np.float64)
        names = [case.classes.get(head.name) for case in self.cases]
        numbers = {name: float(number) for number, name in enumerate(head.classes)}
        return np.array([numbers.get(name or "", np.nan) for name in names], np.float64)


def diagnose(
    artifact: Artifact,
    cases: Sequence[Case],
    *,
    detector: Detector | None,
    theirs: Theirs | None,
    reporter: Reporter,
) -> Diagnosis:
    """Try the usual mistakes.

    Args:
        artifact: of the model.
        cases: pictures, read one at a time.
        detector: its largest face counts; None if each picture is a face crop.
        theirs: what another pipeline says of them, by file name.
        reporter: shows progress.

    Raises:
        DataError: a picture cannot be read, or there is no face to work on.
        ArtifactError: the model does not open or run.
        DeviceError: no runtime is installed.
    """
    predictor = open_predictor(artifact)
    golden = artifact.sidecar.golden
    problems = golden_problems(predictor.model, predictor.contract, golden)
    tried = mistakes_for(predictor.contract, detected=detector is not None)
    faces = _run_all(predictor, tried, cases, detector, reporter)
    distances = None if theirs is None else _distances(faces, theirs)
    losses = _label_losses(faces)
    trials = tuple(_trial(i, each, faces, distances, losses) for i, each in enumerate(tried))
    explained = () if distances is None else _explained(trials)
    verdict = [_golden_verdict(len(golden), problems)]
    if distances is not None:
        verdict += _their_verdict(trials, explained, tried, artifact)
    verdict += _label_verdict(tried, losses)
    return Diagnosis(
        model=artifact.sidecar.name,
        golden_vectors=len(golden),
        golden_problems=problems,
        pictures=len(cases),
        faces=len(faces.cases),
        compared=0 if distances is None else distances.shape[1],
        labelled=int(np.any([~np.isnan(faces.labels(head)) for head in faces.heads], axis=0).sum()),
        trials=trials,
        explained_by=explained,
        verdict=tuple(verdict),
        healthy=not problems and (theirs is None or RIGHT in explained),
    )


def _run_all(
    predictor: Predictor,
    tried: Sequence[Mistake],
    cases: Sequence[Case],
    detector: Detector | None,
    reporter: Reporter,
) -> _Faces:
    found: list[Case] = []
    rows: list[list[dict[str, NDArray[np.float64]]]] = []
    with reporter.track("trying mistakes", len(cases)) as advance:
        for case in cases:
            picture = case.read()
            faces = [whole_picture(picture)] if detector is None else detector.find(picture)
            if faces:
                found.append(case)
                rows.append([outputs_under(each, predictor, picture, faces[0]) for each in tried])
            advance(1)
    if not found:
        raise DataError(
            f"doctor: no face found in {len(cases)} pictures; give others, or --no-detect if they "
            "are face crops"
        )
    heads = predictor.contract.heads
    said = {
        name: np.array([[each[name] for each in row] for row in rows]).swapaxes(0, 1)
        for name in (head.name for head in heads)
    }
    return _Faces(cases=tuple(found), said=said, heads=heads)


def _distances(faces: _Faces, theirs: Theirs) -> NDArray[np.float64]:
    """Give the distance to their prediction in tolerances, [trials, faces compared]."""
    columns = []
    for i, case in enumerate(faces.cases):
        if case.name in theirs:
            values = theirs[case.name]
            away = [
                _moved(faces.said[head.name][:, i], values[head.name], head) / _tolerance(head)
                for head in faces.heads
                if head.name in values
            ]
            columns.append(np.max(away, axis=0))
    if not columns:
        raise DataError(
            "doctor: --theirs names none of the pictures in which a face was found; give its "
            "pictures, or --no-detect if they are face crops"
        )
    return np.array(columns).T


def _moved(said: NDArray[np.float64], other: ArrayLike, head: HeadSpec) -> NDArray[np.float64]:
    """How far answers are from others: |difference|, or total variation over the last axis."""
    away = np.abs(said - np.asarray(other))
    return np.asarray(away.sum(axis=-1) / 2 if head.kind == "classes" else away)


def _tolerance(head: HeadSpec) -> float:
    if head.unit == "years":
        return YEARS_TOLERANCE
    scale = max(head.bins) - min(head.bins) if head.bins else 1.0
    return FULL_SCALE_TOLERANCE * scale


def _label_losses(faces: _Faces) -> dict[str, NDArray[np.float64]]:
    """Give the losses of the labelled faces by head, [trials, faces]: wrong classes, years."""
    losses = {}
    for head in faces.heads:
        labels, said = faces.labels(head), faces.said[head.name]
        at = np.flatnonzero(~np.isnan(labels))
        if not at.size:
            continue
        if head.has_classes:
            named = np.stack([class_numbers(values, head) for values in said[:, at]])
            losses[head.name] = (named != labels[at]).astype(np.float64)
        else:
            losses[head.name] = np.abs(said[:, at] - labels[at])
    return losses


def _trial(
    i: int,
    mistake: Mistake,
    faces: _Faces,
    distances: NDArray[np.float64] | None,
    losses: dict[str, NDArray[np.float64]],
) -> Trial:
    away = None if distances is None else distances[i]
    return Trial(
        name=mistake.name,
        change={
            head.name: float(_moved(said[i], said[0], head).mean())
            for head, said in ((head, faces.said[head.name]) for head in faces.heads)
        },
        distance=None if away is None else float(np.median(away)),
        same_ratio=None if away is None else float((away <= 1).mean()),
        figures={
            head.name: 1 - mean if head.has_classes else mean
            for head, mean in (
                (head, float(losses[head.name][i].mean()))
                for head in faces.heads
                if head.name in losses
            )
        },
    )


def _explained(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Name the trials that fit and that none fits better than."""
    distances = [math.inf if each.distance is None else each.distance for each in trials]
    best = min(distances)
    if best > 1:
        return ()
    reach = DISTINCT_RATIO * max(best, ROUNDING_DISTANCE)
    pairs = zip(trials, distances, strict=True)
    return tuple(each.name for each, distance in pairs if distance <= reach)


def _golden_verdict(count: int, problems: Sequence[str]) -> str:
    if not problems:
        return f"all {count} golden vectors pass: the model runs here as it did where it was made"
    return (
        f"golden vectors FAIL ({problems[0]}): this runtime, or the file, does not give what the "
        "model gave where it was made; see to that first, the rest means little"
    )


def _their_verdict(
    trials: Sequence[Trial],
    explained: Sequence[str],
    tried: Sequence[Mistake],
    artifact: Artifact,
) -> list[str]:
    advice = {each.name: each.advice for each in tried}
    if len(explained) > 1:
        ways = "; or ".join(dict.fromkeys(advice[name] for name in explained))
        names = ", ".join(map(repr, explained))
        return [f"your predictions: undecided between {names}: {ways}"]
    if explained:
        (name,) = explained
        return [f"your predictions fit {name!r}: {advice[name]}"]
    fitting = [(each.distance, each.name) for each in trials if each.distance is not None]
    distance, name = min(fitting)
    return [
        f"your predictions fit none of {len(trials)} ways tried (nearest: {name!r}, "
        f"{distance:.1f} tolerances away): another model file, another detector, or a mistake that "
        f"is not tried; your file's sha256 should be {artifact.sidecar.sha256}"
    ]


def _label_verdict(tried: Sequence[Mistake], losses: dict[str, NDArray[np.float64]]) -> list[str]:
    """Say whether a mistake fits the labels better than the right way, by a sign test."""
    sentences = []
    for head, loss in losses.items():
        best = int(loss.mean(axis=1).argmin())
        better, worse = (loss[best] < loss[0]).sum(), (loss[best] > loss[0]).sum()
        if best and _sign_test(int(better), int(worse)) < SIGNIFICANCE / len(tried):
            sentences.append(
                f"labels, {head}: {tried[best].name!r} fits them better than the contract does "
                f"({better} faces better, {worse} worse of {loss.shape[1]}): these pictures, or "
                "what the model was trained on, are made that way"
            )
        else:
            sentences.append(
                f"labels, {head}: nothing tried fits them significantly better than the contract "
                f"does ({loss.shape[1]} faces)"
            )
    return sentences


def _sign_test(better: int, worse: int) -> float:
    """Give the two-sided p of so unlike counts if both ways were equally good.

    Source: exact binomial test of McNemar's discordant pairs (McNemar 1947).
    """
    n, most = better + worse, max(better, worse)
    tail = sum(math.comb(n, k) for k in range(most, n + 1))
    return min(1.0, float(2 * tail / 2**n))
