"""Parts of the page: drawings, letters, histories, verdicts on speed, kinds of faces."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.bench.latency_bootstrap import Interval
from edgeface.bench.verdict import Predictions
from edgeface.errors import BenchmarkError, ModelError
from edgeface.report.page.blocks import Notes, Pictures, Plots, Section, Table
from edgeface.report.page.classes import class_sections
from edgeface.report.page.curves import curves_section
from edgeface.report.page.gallery import PICTURE_PX, SHOWN, data_uri, gallery_sections
from edgeface.report.page.headline import speed_verdict
from edgeface.report.page.history import Training, read_trainings, trainings_of
from edgeface.report.page.models import cast_of, letter_of
from edgeface.report.page.plots import drawing, plain_log_axis, slot_colour
from edgeface.report.page.shown import ShownFaces, show_faces
from edgeface.report.page.spoiled import spoiled_section
from edgeface.runtime.artifact import load_artifact
from edgeface.types import EpochRecord, HeadSpec, SilentReporter
from support.dense_artifact import write_dense_artifact
from support.report_results import (
    EPOCHS,
    EXPRESSIONS,
    FLOAT,
    HEADS,
    INT8,
    VGG,
    drawn_faces,
    entry,
    expressions,
    quality,
    result,
    spoiled,
)


def test_letters_go_on_after_z() -> None:
    assert [letter_of(number) for number in (0, 25, 26, 27, 26 + 26 * 26 - 1, 26 + 26 * 26)] == [
        "A",
        "Z",
        "AA",
        "AB",
        "ZZ",
        "AAA",
    ]


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_no_two_models_have_one_letter(first: int, second: int) -> None:
    assert (letter_of(first) == letter_of(second)) == (first == second)


def test_the_fastest_is_the_candidate_and_the_largest_trained_the_reference() -> None:
    cast = cast_of(result(), None)
    assert [each.name for each in cast.entries] == [INT8, FLOAT, VGG]
    assert cast.candidate is not None
    assert cast.candidate.name == INT8
    assert cast.reference is not None
    assert cast.reference.name == FLOAT
    trained = result(
        entry(VGG, 80.0, 75_000_000, quality=quality(0.95, 4.6)),
        entry(INT8, 2.0, 3_000_000, quality=quality(0.94, 4.7)),
    )
    only = cast_of(trained, None)
    assert only.reference is only.baseline, "there is no other trained model"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.01, 3.0, ("faster", "good")),
        (0.5, 0.99, ("slower", "bad")),
        (0.9, 1.1, ("undecided", "doubtful")),
        (1.0, 1.1, ("undecided", "doubtful")),
    ],
)
def test_speed_is_judged_by_its_whole_interval(
    low: float, high: float, verdict: tuple[str, str]
) -> None:
    assert speed_verdict(Interval(low=low, high=high)) == verdict
    assert speed_verdict(None)[0] == "not judged"


def test_a_drawing_is_well_formed_and_has_names_of_its_own() -> None:
    hostile = "<b>&\"' $x_ ]]>"

    def draw(axes: Any) -> None:
        axes.plot([1, 2], [1, 2], color=slot_colour(1), marker="o")
        axes.set_title(hostile)

    svg = drawing(draw, name="one", alt=f"alt {hostile}")
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.attrib["aria-label"] == f"alt {hostile}"
    assert hostile in [text.text for text in root.iter("text")]
    assert "var(--m1)" in svg
    assert not {"width", "height"} & set(root.attrib), "the page sets its size"
    assert "<style" not in svg
    ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert ids
    assert all(id.startswith("one-") for id in ids)


@given(st.floats(1e-3, 1e5), st.floats(1.05, 1e4))
@settings(max_examples=8, deadline=None)
def test_a_log_axis_has_a_few_plain_numbers(low: float, ratio: float) -> None:
    found: list[float] = []

    def draw(axes: Any) -> None:
        axes.set_xscale("log")
        axes.set_xlim(low, low * ratio)
        plain_log_axis(axes.xaxis, low, low * ratio)
        found.extend(axes.get_xticks())

    svg = drawing(draw, name="axis", alt="an axis")
    assert 2 <= len(found) <= 8
    assert all(low <= tick <= low * ratio for tick in found)
    assert found[0] <= 10 * low, "both ends of a wide axis can be read"
    assert found[-1] >= low * ratio / 10
    assert "e+" not in svg


def epochs(*maes: float) -> list[dict[str, Any]]:
    return [
        {
            "epoch": number,
            "train_loss": 1.0 / number,
            "validation_loss": None,
            "train": {},
            "validation": {"age": mae},
            "score": mae,
            "something_newer": 1.0,
        }
        for number, mae in enumerate(maes, 1)
    ]


def test_histories_are_found_beside_models_and_under_work(tmp_path: Path) -> None:
    def write(path: Path, run_id: str, *maes: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"run_id": run_id, "history": epochs(*maes), "other": 1}))

    write(tmp_path / "net.keras.json", "aaa", 7.0, 5.0, 6.0)
    write(tmp_path / ".work" / "aaa" / "train" / "state.json", "aaa", 7.0, 5.0, 6.0)
    write(tmp_path / ".work" / "bbb" / "pruned" / "state.json", "bbb", 5.5)
    write(tmp_path / "cut.keras.json", "bbb")  # no epoch of its own
    found = read_trainings(tmp_path)
    assert [(each.name, each.run_id, len(each.epochs)) for each in found] == [
        ("net", "aaa", 3),
        ("pruned, run bbb", "bbb", 1),
    ]
    assert found[0].best.epoch == 2  # 5.0 is the lowest score
    sidecar = load_artifact(write_dense_artifact(tmp_path)).sidecar
    ours = replace(sidecar, provenance=replace(sidecar.provenance, run_id="bbb"))
    kept = trainings_of(found, {"net-cut-int8": ours, "net-cut-float32": ours})
    assert [each.name for each in kept] == ["net-cut: pruned"]


@pytest.mark.parametrize("content", ["{", "{}", '{"run_id": "a", "history": [{"epoch": "x"}]}'])
def test_a_damaged_history_is_an_error_and_not_left_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "net.keras.json").write_text(content)
    with pytest.raises(ModelError, match=re.escape("net.keras.json: its history cannot be read")):
        read_trainings(tmp_path)


def curves_of(*histories: tuple[EpochRecord, ...]) -> Section:
    return curves_section(
        [Training(name=f"net {at}", run_id="1", epochs=each) for at, each in enumerate(histories)]
    )


def test_there_is_a_curve_of_the_loss_and_of_each_head_with_both_splits() -> None:
    (plots,) = curves_of(EPOCHS).blocks
    assert isinstance(plots, Plots)
    assert [plot.title for plot in plots.plots] == ["Loss", "Gender accuracy, %", "Age MAE, years"]
    loss, gender, age = (plot.svg for plot in plots.plots)
    # epoch 3 is kept: loss 2.5 / 3, accuracy 0.93, error 5
    assert "The epochs kept: net 0: 0.83 at epoch 3" in loss
    assert "net 0: 93.00 at epoch 3" in gender
    assert "net 0: 5.00 at epoch 3" in age
    for svg in (loss, gender, age):
        assert "stroke-dasharray" in svg, "the training split"


def test_a_history_is_shown_with_the_curves_it_has() -> None:
    old = tuple(replace(each, validation_loss=None, train={}) for each in EPOCHS)
    plots, notes = curves_of(old).blocks
    assert isinstance(plots, Plots)
    assert len(plots.plots) == 3
    assert "The epochs kept: net 0: 1.00 at epoch 3" in plots.plots[0].svg  # 3 / 3, of training
    assert "stroke-dasharray" not in plots.plots[1].svg
    assert isinstance(notes, Notes)
    assert notes.lines == (
        "Not measured: loss of validation; gender accuracy, % of training; "
        "age MAE, years of training.",
    )
    other = tuple(replace(each, train={}, validation={"expression": 0.5}) for each in EPOCHS)
    both = curves_of(old, other).blocks[0]
    assert isinstance(both, Plots)
    assert both.plots[3].title == "Expression accuracy, %"
    assert "net 0" not in both.plots[3].svg
    assert "net 1: 50.00 at epoch 3" in both.plots[3].svg


def kinds_of(shown: ShownFaces) -> dict[str, Pictures]:
    blocks = [block for section in gallery_sections(shown) for block in section.blocks]
    return {each.title: each for each in blocks if isinstance(each, Pictures)}


def test_faces_are_sorted_by_what_is_wrong() -> None:
    # every tenth of 60 is flipped; ages are 0, 4, 8 or 12 years off, in turns
    at = np.arange(60)
    flipped = at % 10 == 0
    counts = {
        "Right": int((~flipped & np.isin(at % 4, (0, 1))).sum()),  # 0 and 4 are within 5
        "Age off": int((~flipped & (at % 4 == 2)).sum()),  # 8 is beyond 5, within 10
        "Age far off": int((~flipped & (at % 4 == 3)).sum()),  # 12
        "Gender wrong": int(flipped.sum()),
    }
    assert counts == {"Right": 27, "Age off": 12, "Age far off": 15, "Gender wrong": 6}
    found = kinds_of(drawn_faces())
    titles = list(found)
    assert titles == [
        "Right: 27 of 60 (45.0 %)",
        "Age off: 12 of 60 (20.0 %)",
        "Age far off: 15 of 60 (25.0 %)",
        "Gender wrong: 6 of 60 (10.0 %)",
        "Gender: 6 right before, wrong after",
        # before all are 1 year off; after it 8 and 12 are beyond 5
        "Age within 5 years: 30 right before, wrong after",
    ]
    assert [len(found[title].pictures) for title in titles] == [12, 12, 12, 6, 6, SHOWN]
    assert {picture.id for picture in found[titles[3]].pictures} == {
        f"drawn-{index}" for index in range(0, 60, 10)
    }
    first = found[titles[4]].pictures[0]
    assert len(first.lines) == 3
    assert first.alt.startswith("Face labelled ")


def test_a_face_without_a_label_is_in_no_kind_that_needs_it() -> None:
    shown = drawn_faces(20)
    unknown = np.full(20, -1, np.int64)
    bare = replace(
        shown.faces, age_low_years=unknown, age_high_years=unknown, classes={"gender": unknown}
    )
    found = kinds_of(replace(shown, faces=bare))
    assert all(not each.pictures for each in found.values())
    assert "Right: 0 of 0 (0.0 %)" in found


def test_the_share_of_a_kind_is_of_the_faces_with_its_label() -> None:
    # as UTKFace and FER2013 together: the first 20 of 60 have gender and age, 20 more gender alone
    shown = drawn_faces()
    at = np.arange(60)
    ages = np.where(at < 20, shown.faces.age_low_years, -1)
    genders = np.where(at < 40, shown.faces.class_of("gender"), -1)
    partly = replace(
        shown.faces, age_low_years=ages, age_high_years=ages, classes={"gender": genders}
    )
    # every tenth is flipped, so 36 of the 40 have the gender right; of the 18 of them with an age
    # 9 are 0 or 4 years off, 4 are 8 years off (2, 6, 14, 18) and 5 are 12 (3, 7, 11, 15, 19)
    assert list(kinds_of(replace(shown, faces=partly)))[:4] == [
        "Right: 27 of 40 (67.5 %)",  # 9 + 18 without an age
        "Age off: 4 of 20 (20.0 %)",
        "Age far off: 5 of 20 (25.0 %)",
        "Gender wrong: 4 of 40 (10.0 %)",
    ]


def test_faces_of_other_attributes_are_sorted_and_flipped_too() -> None:
    shown = drawn_faces(8)
    head = HeadSpec(name="expression", kind="classes", tensor="e", classes=("sad", "happy", "none"))
    labels = np.array([0, 1, 2, 0, 1, 2, 0, -1])
    right = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 0]]
    wrong = right.copy()
    wrong[[1, 4]] = [0.1, 0.4, 0.5]  # these two are happy, and called "none"
    before, after = (
        Predictions(name=name, heads=(head,), values={"expression": values})
        for name, values in (("f", right), ("q", wrong))
    )
    faces = replace(shown.faces, classes={"expression": labels})
    found = kinds_of(replace(shown, faces=faces, before=before, after=after))
    assert list(found) == [
        "Right: 5 of 7 (71.4 %)",  # the last has no label
        "Expression wrong: 2 of 7 (28.6 %)",
        "Expression: 2 right before, wrong after",
    ]
    assert found["Expression wrong: 2 of 7 (28.6 %)"].pictures[0].lines == (
        "is: happy",
        "said: none (50\u00a0%)",
    )


def test_models_without_a_head_in_common_have_no_flipped_faces() -> None:
    shown = drawn_faces(4)
    other = replace(shown.after, heads=HEADS[1:], values={"age": shown.after.values["age"]})
    gender = replace(shown.after, heads=HEADS[:1], values={"gender": shown.after.values["gender"]})
    sections = gallery_sections(replace(shown, before=other, after=gender))
    (notes,) = sections[1].blocks
    assert isinstance(notes, Notes)
    assert notes.lines == ("The two models have no head in common.",)
    (alone,) = gallery_sections(replace(shown, before=None, after=gender))
    assert not any(isinstance(block, Plots) for block in alone.blocks), "no age to plot"


def matrix_of(never: str) -> tuple[Section, ...]:
    known = replace(quality(0.9, 5.0), metrics=expressions(never))
    made = result(entry(INT8, 2.0, 3_000_000, quality=known), baseline=None)
    return class_sections(made, cast_of(made, None))


def test_seven_classes_have_a_report_a_drawing_and_words() -> None:
    (section,) = matrix_of("disgust")
    assert (section.title, section.id) == ("Expression", "attribute-0")
    table, plots, notes = section.blocks
    assert isinstance(table, Table)
    cells = {row[1].text: [cell.text for cell in row[2:]] for row in table.rows}
    assert list(cells) == list(EXPRESSIONS)
    assert cells["disgust"] == ["never predicted", "0.0", "0.0", "10"]
    assert cells["happy"] == ["100.0", "50.0", "66.7", "10"]  # 2 * 5 / (5 + 10)
    assert table.rows[0][0].detail == (
        "candidate · accuracy 50.0 %, balanced accuracy 50.0 %, macro F1 62.5 %"
    )
    assert isinstance(plots, Plots)
    svg = plots.plots[0].svg
    assert "happy 50 % of 10 right" in svg
    assert "neutral 100 % of 10 right" in svg
    assert "never predicted: disgust." in svg
    assert isinstance(notes, Notes)
    assert notes.lines == ("A: never predicted: disgust.",)
    assert matrix_of("")[0].blocks[-1] == replace(notes, lines=("A: every class is predicted.",))


def test_gender_comes_first_and_stands_alone_where_nothing_was_measured() -> None:
    both = replace(quality(0.9, 5.0), metrics=(*expressions(), *quality(0.9, 5.0).metrics))
    made = result(entry(INT8, 2.0, 3_000_000, quality=both), baseline=None)
    sections = class_sections(made, cast_of(made, None))
    assert [section.id for section in sections] == ["gender", "attribute-1"]
    bare = result(entry(INT8, 2.0, 3_000_000), baseline=None)
    (only,) = class_sections(bare, cast_of(bare, None))
    assert only.id == "gender"
    assert only.blocks == (Notes(lines=("Gender: not measured.",), tone="soft"),)


def test_the_same_faces_are_drawn_each_time() -> None:
    first, second = (kinds_of(drawn_faces(200)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("shape", [(300, 200, 3), (40, 40, 3), (1, 999, 3)])
def test_pictures_are_small_jpegs(shape: tuple[int, int, int]) -> None:
    import base64

    import cv2

    uri = data_uri(np.full(shape, (250, 10, 20), np.uint8))
    prefix = "data:image/jpeg;base64,"
    assert uri.startswith(prefix)
    content = np.frombuffer(base64.b64decode(uri.removeprefix(prefix)), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape[:2]) == min(PICTURE_PX, max(shape[:2]))
    blue, green, red = picture.reshape(-1, 3).mean(axis=0)
    assert red > 200 > 60 > max(blue, green), "RGB went in"


def test_spoiled_faces_have_the_images_of_each_figure() -> None:
    whole = spoiled(0.9, 5.0)
    fewer = tuple(
        replace(
            each,
            n=130,
            metrics=tuple(replace(m, n=130) if m.task == "age" else m for m in each.metrics),
        )
        for each in whole
    )
    made = result(entry(INT8, corruptions=fewer), baseline=None)
    table = spoiled_section(cast_of(made, None)).blocks[-1]
    assert isinstance(table, Table)
    assert table.headings[-1] == "images"
    images = {(row[0].text, row[1].text): row[-1].text for row in table.rows}
    assert images["blur", "gender accuracy, %"] == "100"
    assert images["blur", "age MAE, years"] == "130"
    assert table.note == "The images are the same for every model of the same heads."


def test_predictions_must_fit_the_faces() -> None:
    shown = drawn_faces(4)
    wrong = "predictions of gender of shape (4,), expected (3,), one for each face"
    with pytest.raises(BenchmarkError, match=re.escape(wrong)):
        replace(shown, faces=shown.faces.take([0, 1, 2]))
    head = HeadSpec(name="mood", kind="classes", tensor="m", classes=("a", "b", "c"))
    flat = Predictions(name="x", heads=(head,), values={"mood": np.zeros(4)})
    with pytest.raises(BenchmarkError, match=re.escape("of mood of shape (4,), expected (4, 3)")):
        replace(shown, after=flat)


def test_untrained_models_and_a_wrong_number_are_refused(tmp_path: Path) -> None:
    artifact = load_artifact(write_dense_artifact(tmp_path))
    with pytest.raises(BenchmarkError, match="dense: no held-out faces"):
        show_faces([artifact], (), SilentReporter())
    with pytest.raises(BenchmarkError, match="found 3 models, expected"):
        show_faces([artifact] * 3, (), SilentReporter())
