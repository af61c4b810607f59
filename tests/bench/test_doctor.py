"""`doctor` names the mistake that somebody's own pipeline makes, and says so where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.bench.doctor import diagnose
from edgeface.bench.doctor_pictures import Case
from edgeface.bench.mistakes import RIGHT
from edgeface.errors import DataError
from edgeface.records import to_mapping
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.detect import Detection
from edgeface.types import SilentReporter
from support.dense_artifact import dense_model, write_dense_artifact

BINS = np.array([0.0, 20.0, 40.0, 60.0, 80.0])
Pipeline = Callable[[NDArray[np.uint8]], NDArray[Any]]


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return load_artifact(write_dense_artifact(tmp_path))


def picture(number: int) -> NDArray[np.uint8]:
    """Coarse patches, so that faces differ, under fine noise, so that kernels do; 37 px a side."""
    rng = np.random.default_rng(number)
    patches = cv2.resize(
        rng.integers(0, 176, (4, 4, 3), dtype=np.uint8), (37, 37), interpolation=cv2.INTER_NEAREST
    )
    return np.asarray(patches + rng.integers(0, 80, (37, 37, 3), dtype=np.uint8), np.uint8)


def cases(count: int, **labels: list[Any]) -> tuple[Case, ...]:
    return tuple(
        Case(
            name=f"{i}.png",
            read=partial(picture, i),
            **{name: values[i] for name, values in labels.items()},
        )
        for i in range(count)
    )


def area(rgb: NDArray[np.uint8]) -> NDArray[Any]:
    return np.asarray(cv2.resize(rgb, (8, 8), interpolation=cv2.INTER_AREA), np.float64)


def theirs(pipeline: Pipeline, count: int, seed: int = 3) -> dict[str, dict[str, float]]:
    """What a pipeline of plain numpy gives, rounded as `predict --json` rounds."""
    model = dense_model(seed=seed)
    said = {}
    for i in range(count):
        values = pipeline(picture(i)).ravel()
        age, gender = (model.kernels[n] @ values + model.biases[n] for n in ("age", "gender"))
        weights = np.exp(age - age.max())
        said[f"{i}.png"] = {
            "age": round(float(weights @ BINS / weights.sum()), 1),
            "gender": round(float(1 / (1 + np.exp(-gender[0]))), 4),
        }
    return said


PIPELINES: dict[str, Pipeline] = {
    RIGHT: area,
    "colours swapped (BGR)": lambda rgb: area(rgb)[..., ::-1],
    "scale doubled (0..510)": lambda rgb: area(rgb) * 2,
    "wrong side: resized over half of the model's": lambda rgb: np.asarray(
        cv2.resize(cv2.resize(rgb, (4, 4), interpolation=cv2.INTER_AREA), (8, 8))
    ),
    # each of the 8 pixels is the one at 37 / 8 times its place, rounded down
    "resized by nearest pixel": lambda rgb: rgb[np.ix_(*[np.arange(8) * 37 // 8] * 2)],
    "resized linearly (OpenCV's default)": lambda rgb: np.asarray(cv2.resize(rgb, (8, 8))),
    "resized by cubic interpolation": lambda rgb: np.asarray(
        cv2.resize(rgb, (8, 8), interpolation=cv2.INTER_CUBIC)
    ),
    "mirrored": lambda rgb: area(rgb)[:, ::-1],
    "crop too tight (0.8 of the side)": lambda rgb: area(rgb[3:33, 3:33]),  # 30 of 37 px
    "turned a quarter left": lambda rgb: np.rot90(area(rgb)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_mistake_of_a_pipeline_is_named(name: str, artifact: Artifact) -> None:
    found = diagnose(
        artifact,
        cases(12),
        detector=None,
        theirs=theirs(PIPELINES[name], 12),
        reporter=SilentReporter(),
    )
    assert found.explained_by == (name,)
    assert repr(name) in found.verdict[1]
    assert found.healthy is (name == RIGHT)
    assert (found.pictures, found.faces, found.compared, found.labelled) == (12, 12, 12, 0)
    assert next(each.same_ratio for each in found.trials if each.name == name) == 1
    assert to_mapping(found)["explained_by"] == [name]


def test_two_that_explain_equally_well_are_undecided(artifact: Artifact) -> None:
    """In a grey picture red is blue, so nobody can tell whether they were swapped."""

    def grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.repeat(rgb[..., :1], 3, axis=2)

    def read(i: int) -> NDArray[np.uint8]:
        return grey(picture(i))

    grey_cases = tuple(replace(case, read=partial(read, i)) for i, case in enumerate(cases(12)))
    found = diagnose(
        artifact,
        grey_cases,
        detector=None,
        theirs=theirs(lambda rgb: area(grey(rgb)), 12),
        reporter=SilentReporter(),
    )
    assert found.explained_by == (RIGHT, "colours swapped (BGR)")
    assert found.verdict[1] == (
        f"your predictions: undecided between {RIGHT!r}, 'colours swapped (BGR)': nothing to "
        "change; or convert to RGB after cv2.imread or a camera: cv2.cvtColor(picture, "
        "cv2.COLOR_BGR2RGB)"
    )
    assert found.healthy, "nothing is known to be wrong"


def test_another_model_fits_nothing_and_its_digest_is_asked_for(artifact: Artifact) -> None:
    found = diagnose(
        artifact,
        cases(12),
        detector=None,
        theirs=theirs(area, 12, seed=4),
        reporter=SilentReporter(),
    )
    assert found.explained_by == ()
    assert found.verdict[1].startswith("your predictions fit none of ")
    assert "another model file" in found.verdict[1]
    assert artifact.sidecar.sha256 in found.verdict[1]
    assert not found.healthy


def test_failing_golden_vectors_come_first(artifact: Artifact) -> None:
    (vector,) = artifact.sidecar.golden
    age, gender = vector.outputs
    wrong = replace(vector, outputs=((age[0] + 1, *age[1:]), gender))
    changed = replace(artifact, sidecar=replace(artifact.sidecar, golden=(wrong,)))
    found = diagnose(changed, cases(2), detector=None, theirs=None, reporter=SilentReporter())
    assert found.verdict[0].startswith("golden vectors FAIL (golden vector 1: tensor age differs")
    assert not found.healthy
    good = diagnose(artifact, cases(2), detector=None, theirs=None, reporter=SilentReporter())
    assert good.verdict == (
        "all 1 golden vectors pass: the model runs here as it did where it was made",
    )
    assert good.healthy
    assert good.trials[0].change == {"age": 0.0, "gender": 0.0}
    assert all(each.distance is None and each.same_ratio is None for each in good.trials)


def swapped_labels(count: int) -> list[dict[str, str]]:
    """Genders that are right if the colours are swapped."""
    said = theirs(lambda rgb: area(rgb)[..., ::-1], count)
    female = [said[f"{i}.png"]["gender"] >= 0.5 for i in range(count)]
    return [{"gender": "female" if each else "male"} for each in female]


def test_labels_that_a_mistake_fits_better_name_it(artifact: Artifact) -> None:
    labelled = cases(60, classes=swapped_labels(60))
    found = diagnose(artifact, labelled, detector=None, theirs=None, reporter=SilentReporter())
    assert found.labelled == 60
    by_name = {each.name: each.figures["gender"] for each in found.trials}
    assert by_name["colours swapped (BGR)"] == 1
    right = by_name[RIGHT]
    # the sign test: each face that the right way gets wrong is better swapped, none is worse
    wrong = round(60 * (1 - right))
    assert 2 * 0.5**wrong < 0.05 / len(found.trials)
    assert "'colours swapped (BGR)' fits them better" in found.verdict[1]
    assert f"({wrong} faces better, 0 worse of 60)" in found.verdict[1]
    assert found.healthy, "the model and its contract agree; the labels are another matter"


def test_few_labels_prove_nothing(artifact: Artifact) -> None:
    labelled = cases(4, classes=swapped_labels(4))
    found = diagnose(artifact, labelled, detector=None, theirs=None, reporter=SilentReporter())
    assert "nothing tried fits them significantly better" in found.verdict[1]


def test_ages_are_measured_too(artifact: Artifact) -> None:
    years = [round(theirs(area, 3)[f"{i}.png"]["age"]) for i in range(3)]
    found = diagnose(
        artifact,
        cases(3, age_years=[y + 2 for y in years]),
        detector=None,
        theirs=None,
        reporter=SilentReporter(),
    )
    assert found.trials[0].figures.keys() == {"age"}
    assert found.trials[0].figures["age"] == pytest.approx(2, abs=0.55)  # rounded to whole years
    assert found.verdict[1].startswith("labels, age: ")


MOODS = ("calm", "glad", "sad", "angry", "afraid")


@pytest.fixture
def moody(artifact: Artifact) -> Artifact:
    """The same file read otherwise: its five age logits are those of five moods."""
    contract = artifact.sidecar.contract
    age, gender = contract.heads
    mood = replace(age, name="mood", kind="classes", classes=MOODS, bins=(), unit="")
    sidecar = replace(artifact.sidecar, contract=replace(contract, heads=(mood, gender)))
    return replace(artifact, sidecar=sidecar)


def moods(pipeline: Pipeline, count: int) -> dict[str, dict[str, tuple[float, ...]]]:
    model = dense_model(seed=3)
    said = {}
    for i in range(count):
        weights = np.exp(model.kernels["age"] @ pipeline(picture(i)).ravel() + model.biases["age"])
        said[f"{i}.png"] = {"mood": tuple(map(float, (weights / weights.sum()).round(4)))}
    return said


def test_several_classes_are_held_against_theirs_by_total_variation(moody: Artifact) -> None:
    def swapped(rgb: NDArray[np.uint8]) -> NDArray[Any]:
        return area(rgb)[..., ::-1]

    found = diagnose(
        moody, cases(6), detector=None, theirs=moods(swapped, 6), reporter=SilentReporter()
    )
    assert found.explained_by == ("colours swapped (BGR)",)
    right, wrong = (moods(each, 6) for each in (area, swapped))
    away = [
        sum(abs(a - b) for a, b in zip(right[name]["mood"], wrong[name]["mood"], strict=True)) / 2
        for name in right
    ]
    by_name = {each.name: each for each in found.trials}
    assert by_name["colours swapped (BGR)"].change["mood"] == pytest.approx(np.mean(away), abs=5e-4)
    distance = by_name[RIGHT].distance
    assert distance == pytest.approx(np.median(away) / 0.02, abs=0.02)


def test_classes_are_known_by_name_and_not_by_number(moody: Artifact) -> None:
    said = moods(area, 4)
    likeliest = [MOODS[int(np.argmax(said[f"{i}.png"]["mood"]))] for i in range(4)]
    labels = [{"mood": likeliest[0]}, {"mood": likeliest[1]}, {"mood": "bored"}, {}]
    found = diagnose(
        moody, cases(4, classes=labels), detector=None, theirs=None, reporter=SilentReporter()
    )
    assert found.labelled == 2, "the model has no such mood as bored"
    assert found.trials[0].figures == {"mood": 1.0}
    assert found.verdict[1].startswith("labels, mood: ")


class FakeDetector:
    """Finds a face in pictures whose first pixel is bright."""

    def find(self, rgb: NDArray[np.uint8]) -> tuple[Detection, ...]:
        face = Detection(box=(4, 4, 20, 20), crop=(5, 6, 24, 24))
        return (face,) if rgb[0, 0, 0] > 100 else ()


def test_with_a_detector_the_crop_is_its_square(artifact: Artifact) -> None:
    bright = [i for i in range(12) if picture(i)[0, 0, 0] > 100]
    assert 2 < len(bright) < 12
    for name, pipeline in (
        (RIGHT, lambda rgb: area(rgb[6:30, 5:29])),
        ("the detector's box as the crop", lambda rgb: area(rgb[4:24, 4:24])),
    ):
        found = diagnose(
            artifact,
            cases(12),
            detector=FakeDetector(),
            theirs=theirs(pipeline, 12),
            reporter=SilentReporter(),
        )
        assert found.explained_by == (name,)
        assert (found.pictures, found.faces, found.compared) == (12, len(bright), len(bright))


class Blind:
    def find(self, rgb: NDArray[np.uint8]) -> tuple[Detection, ...]:
        return ()


def test_nothing_to_work_on_is_one_line(artifact: Artifact) -> None:
    with pytest.raises(DataError, match="no face found in 2 pictures; give others, or --no-detect"):
        diagnose(artifact, cases(2), detector=Blind(), theirs=None, reporter=SilentReporter())
    others = {"else.png": {"age": 3.0}}
    with pytest.raises(DataError, match="--theirs names none of the pictures"):
        diagnose(artifact, cases(2), detector=None, theirs=others, reporter=SilentReporter())
