"""Distillation: targets are the blend that was asked for, of the pictures that the student sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.config import AugmentSpec, ModelSpec, TrainSpec
from edgeface.data.batches import training_batches
from edgeface.data.mixing import draw_mixing, mixed_targets
from edgeface.errors import ModelError
from edgeface.model.distill import (
    Lesson,
    Teacher,
    Teaching,
    check_teaching,
    taught_targets,
    weights_digest,
)
from edgeface.model.heads import head_specs, head_width
from edgeface.model.training import TrainingTask, fine_tune
from edgeface.types import HeadSpec, SilentReporter

HEADS = head_specs(ModelSpec())
MOODS: dict[str, tuple[str, ...]] = {"mood": ("happy", "sad", "angry")}
WITH_MOOD = head_specs(ModelSpec(heads=("gender", "mood", "age"), classes=MOODS))
AUGMENT = AugmentSpec(erase_ratio=0.5)
ORDER = np.array([[0, 2], [3, 1]])
IMAGES = np.random.default_rng(5).integers(0, 256, (4, 32, 32, 3), np.uint8)
LABELS = {
    "gender": np.array([[0.0], [1.0], [1.0], [0.0]], np.float32),
    "age": np.eye(101, dtype=np.float32)[[3, 50, 20, 7]],
}
MOOD_LABELS = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]


def teacher(seed: int, side_px: int = 32, heads: tuple[HeadSpec, ...] = HEADS) -> Teacher:
    """A network that answers each picture otherwise."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((side_px, side_px, 3), name="image")
    features = keras.layers.Conv2D(8, 5, strides=4, activation="relu")(image / 255)
    features = keras.layers.GlobalMaxPooling2D()(features)
    outputs = {
        head.name: keras.layers.Dense(head_width(head), name=head.name)(features) for head in heads
    }
    model = keras.Model(image, outputs)
    return Teacher(
        name=f"teacher-{seed}",
        model=model,
        heads=heads,
        side_px=side_px,
        digest=weights_digest(model),
    )


def lesson(epoch: int = 0) -> Lesson:
    return Lesson(
        images=IMAGES, images_digest="d", augment=AUGMENT, order=ORDER, seed=1, epoch=epoch
    )


def answers(of: Teacher, epoch: int = 0) -> dict[str, Any]:
    """What the teacher says of the very batches that training shows, by numpy's own formulas."""
    batches = training_batches(IMAGES, {}, {}, AUGMENT, order=ORDER, seed=1, epoch=epoch)
    raw = [of.model(images) for images, _, _ in batches]
    said = {}
    for head in of.heads:
        logits = np.stack([np.asarray(each[head.name], np.float64) for each in raw])
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        said[head.name] = 1 / (1 + np.exp(-logits)) if head.kind == "binary" else shares
    return said


def test_targets_blend_labels_and_the_mean_of_the_teachers(tmp_path: Path) -> None:
    one, two = teacher(1), teacher(2)
    teaching = Teaching(teachers=(one, two), ratio=0.75, cache=tmp_path)
    found = taught_targets(teaching, lesson(), LABELS, HEADS)
    said_one, said_two = answers(one), answers(two)
    for name in ("gender", "age"):
        taught = (said_one[name] + said_two[name]) / 2
        expected = 0.75 * taught + 0.25 * LABELS[name][ORDER]
        assert found[name].shape == (2, 2, LABELS[name].shape[1])
        # answers are kept in half precision: 11 bits, so half a step of 2**-11 of values below 1
        np.testing.assert_allclose(found[name], expected, atol=2**-12 + 1e-6)


def test_a_teacher_sees_the_mixed_picture_and_its_answer_is_not_mixed_again(tmp_path: Path) -> None:
    of, alpha = teacher(1), 0.8
    teaching = Teaching(teachers=(of,), ratio=0.75, cache=tmp_path)
    weights = {name: np.ones(4, np.float32) for name in LABELS}
    labels, _ = mixed_targets(LABELS, weights, alpha, order=ORDER, seed=1, epoch=0)
    found = taught_targets(teaching, replace(lesson(), mixup_alpha=alpha), labels, HEADS)
    plain = training_batches(IMAGES, {}, {}, AUGMENT, order=ORDER, seed=1, epoch=0)
    for step, (images, _, _) in enumerate(plain.as_numpy_iterator()):
        partners, shares = draw_mixing(2, alpha, seed=1, epoch=0, step=step)
        of_images = shares[:, None, None, None]
        raw = of.model(of_images * images + (1 - of_images) * images[partners])
        said = 1 / (1 + np.exp(-np.asarray(raw["gender"], np.float64)))
        truth = LABELS["gender"][ORDER[step]]
        label = shares[:, None] * truth + (1 - shares[:, None]) * truth[partners]
        expected = 0.75 * said + 0.25 * label
        np.testing.assert_allclose(found["gender"][step], expected, atol=2**-12 + 1e-5)


def test_kept_answers_are_those_that_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teaching = Teaching(teachers=(teacher(1),), ratio=1.0, cache=tmp_path)
    first = taught_targets(teaching, lesson(), LABELS, HEADS)
    kept = list(tmp_path.glob("*.npz"))
    assert len(kept) == 1

    def ask_again(*_: object) -> None:
        raise AssertionError("asked though the answers are kept")

    monkeypatch.setattr("edgeface.model.distill._ask", ask_again)
    again = taught_targets(teaching, lesson(), LABELS, HEADS)
    for name in first:
        np.testing.assert_allclose(again[name], first[name], atol=2**-12)


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 half"])
def test_damaged_answers_are_asked_anew(tmp_path: Path, damage: bytes) -> None:
    teaching = Teaching(teachers=(teacher(1),), ratio=1.0, cache=tmp_path)
    first = taught_targets(teaching, lesson(), LABELS, HEADS)
    (kept,) = tmp_path.glob("*.npz")
    kept.write_bytes(damage)
    again = taught_targets(teaching, lesson(), LABELS, HEADS)
    np.testing.assert_allclose(again["age"], first["age"], atol=2**-12)


@pytest.mark.parametrize(
    "other",
    [
        {"epoch": 1},
        {"seed": 2},
        {"images_digest": "e"},
        {"augment": AugmentSpec()},
        {"order": ORDER[::-1]},
        {"mixup_alpha": 0.5},
    ],
)
def test_another_lesson_is_asked_for_itself(tmp_path: Path, other: dict[str, Any]) -> None:
    teaching = Teaching(teachers=(teacher(1),), ratio=1.0, cache=tmp_path)
    taught_targets(teaching, lesson(), LABELS, HEADS)
    taught_targets(teaching, replace(lesson(), **other), LABELS, HEADS)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_a_teacher_of_another_side_sees_the_picture_resized(tmp_path: Path) -> None:
    teaching = Teaching(teachers=(teacher(1, side_px=64),), ratio=1.0, cache=tmp_path)
    found = taught_targets(teaching, lesson(), LABELS, HEADS)
    assert found["age"].shape == (2, 2, 101)
    np.testing.assert_allclose(found["age"].sum(axis=-1), 1, atol=101 * 2**-12)


def test_each_head_is_taught_by_the_teachers_that_have_it(tmp_path: Path) -> None:
    """One has gender and age, the other mood and age, and a hat that the student has not."""
    hat = head_specs(ModelSpec(heads=("hat",), classes={"hat": ("no", "yes")}))
    one, two = teacher(1), teacher(2, heads=(*WITH_MOOD[1:], *hat))
    teaching = Teaching(teachers=(one, two), ratio=0.75, cache=tmp_path)
    check_teaching(teaching, WITH_MOOD)
    labels = {**LABELS, "mood": MOOD_LABELS}
    found = taught_targets(teaching, lesson(), labels, WITH_MOOD)
    said_one, said_two = answers(one), answers(two)
    taught = {
        "gender": said_one["gender"],
        "mood": said_two["mood"],
        "age": (said_one["age"] + said_two["age"]) / 2,
    }
    assert set(found) == set(taught)
    for name, said in taught.items():
        expected = 0.75 * said + 0.25 * labels[name][ORDER]
        np.testing.assert_allclose(found[name], expected, atol=2**-12 + 1e-6)


def test_a_head_that_no_teacher_has_keeps_its_labels(tmp_path: Path) -> None:
    of = teacher(1)
    teaching = Teaching(teachers=(of,), ratio=1.0, cache=tmp_path)
    check_teaching(teaching, WITH_MOOD)
    found = taught_targets(teaching, lesson(), {**LABELS, "mood": MOOD_LABELS}, WITH_MOOD)
    np.testing.assert_array_equal(found["mood"], MOOD_LABELS)
    np.testing.assert_allclose(found["gender"], answers(of)["gender"], atol=2**-12 + 1e-6)


def test_answers_kept_for_fewer_heads_are_asked_anew(tmp_path: Path) -> None:
    """A student of one head leaves answers that one of three cannot use."""
    teaching = Teaching(teachers=(teacher(1, heads=WITH_MOOD),), ratio=1.0, cache=tmp_path)
    labels = {**LABELS, "mood": MOOD_LABELS}
    taught_targets(teaching, lesson(), LABELS, HEADS[:1])
    found = taught_targets(teaching, lesson(), labels, WITH_MOOD)
    np.testing.assert_allclose(found["mood"].sum(axis=-1), 1, atol=3 * 2**-12)
    assert np.abs(found["mood"] - MOOD_LABELS[ORDER]).max() > 0.01
    assert len(list(tmp_path.glob("*.npz"))) == 1


REGRESSION = head_specs(ModelSpec(age_head="regression"))
OTHER_MOODS = head_specs(
    ModelSpec(heads=("gender", "mood"), classes={"mood": ("happy", "angry", "sad")})
)


@pytest.mark.parametrize(
    ("teachers", "heads", "says"),
    [
        ((), HEADS, "no teacher"),
        (
            (replace(teacher(1), heads=REGRESSION),),
            HEADS,
            r"teacher teacher-1: its head age is regression, expected median \(bins: 101\)",
        ),
        (
            (replace(teacher(1), heads=OTHER_MOODS),),
            WITH_MOOD,
            r"its head mood is classes \(classes: happy, angry, sad\), expected classes \(classes: "
            r"happy, sad, angry\) as in the student",
        ),
        (
            (teacher(1), replace(teacher(2), heads=WITH_MOOD[1:2])),
            HEADS,
            "teacher teacher-2: has heads mood, expected one of gender, age, which the student has",
        ),
        ((teacher(1),), REGRESSION, "cannot be distilled"),
    ],
)
def test_teachers_that_cannot_teach_are_refused(
    teachers: tuple[Teacher, ...], heads: Any, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        check_teaching(Teaching(teachers=teachers, ratio=0.5, cache=tmp_path), heads)
    assert "\n" not in str(caught.value)


def test_a_teacher_may_read_its_bins_otherwise(tmp_path: Path) -> None:
    means = head_specs(ModelSpec(age_head="expectation"))
    check_teaching(Teaching(teachers=(teacher(1, heads=means),), ratio=0.5, cache=tmp_path), HEADS)
    decades = (replace(teacher(1), heads=head_specs(ModelSpec(age_head="decades"))),)
    with pytest.raises(ModelError, match=r"is decades \(bins: 11\), expected median"):
        check_teaching(Teaching(teachers=decades, ratio=0.5, cache=tmp_path), HEADS)


def test_a_regression_that_nobody_teaches_may_stand_beside_a_taught_head(tmp_path: Path) -> None:
    of_gender = teacher(1, heads=HEADS[:1])
    teaching = Teaching(teachers=(of_gender,), ratio=0.5, cache=tmp_path)
    check_teaching(teaching, REGRESSION)
    labels = {"gender": LABELS["gender"], "age": np.array([[3, 9]] * 4, np.float32)}
    found = taught_targets(teaching, lesson(), labels, REGRESSION)
    np.testing.assert_array_equal(found["age"], labels["age"])


def test_a_student_comes_to_answer_as_its_teacher(
    tmp_path: Path,
    make_tiny_model: Callable[[], Any],
    make_task: Callable[[Path], TrainingTask],
) -> None:
    """The teacher calls every face a woman of 70, which no label says."""
    image = keras.Input((32, 32, 3), name="image")
    nothing = keras.layers.GlobalAveragePooling2D()(image * 0)
    logits = np.where(np.arange(101) == 70, 20.0, 0.0)
    outputs = {
        "gender": keras.layers.Dense(
            1, bias_initializer=keras.initializers.Constant(20.0), name="gender"
        )(nothing),
        "age": keras.layers.Dense(
            101, bias_initializer=keras.initializers.Constant(list(logits)), name="age"
        )(nothing),
    }
    stubborn = keras.Model(image, outputs)
    of = Teacher(name="stubborn", model=stubborn, heads=HEADS, side_px=32, digest="x")
    spec = TrainSpec(epochs=2, batch_size=16, learning_rate=0.1)
    ages = {}
    for ratio in (0.0, 1.0):
        model = make_tiny_model()
        teaching = Teaching(teachers=(of,), ratio=ratio, cache=tmp_path / "answers")
        task = replace(make_task(tmp_path / f"run-{ratio}"), teaching=teaching)
        fine_tune(model, task, spec, SilentReporter())
        raw = model.predict(task.validation.images.astype(np.float32), verbose=0)["age"]
        ages[ratio] = float((raw.argmax(axis=-1) == 70).mean())
    assert ages[1.0] == 1.0
    assert ages[0.0] < 0.5


def test_what_the_teacher_does_not_know_is_learned_from_labels(
    tmp_path: Path,
    make_tiny_model: Callable[..., Any],
    make_task: Callable[[Path], TrainingTask],
) -> None:
    """It calls every face a woman, and knows no shade; faces with a shade have one of three."""
    image = keras.Input((32, 32, 3), name="image")
    nothing = keras.layers.GlobalAveragePooling2D()(image * 0)
    always = keras.initializers.Constant(20.0)
    gender = keras.layers.Dense(1, bias_initializer=always, name="gender")(nothing)
    of = Teacher(
        name="stubborn",
        model=keras.Model(image, {"gender": gender}),
        heads=HEADS[:1],
        side_px=32,
        digest="x",
    )
    shades: dict[str, tuple[str, ...]] = {"shade": ("dark", "grey", "light")}
    heads = head_specs(ModelSpec(heads=("gender", "shade"), classes=shades))
    rng = np.random.default_rng(4)
    numbers = rng.integers(0, 3, 96)
    pixels = rng.normal(50 + 70 * numbers[:, None, None, None], 10, (96, 32, 32, 3))
    task = make_task(tmp_path / "run")
    faces = replace(
        task.train,
        images=np.clip(pixels, 0, 255).astype(np.uint8),
        classes={**task.train.classes, "shade": numbers},
    )
    teaching = Teaching(teachers=(of,), ratio=1.0, cache=tmp_path / "answers")
    task = replace(task, heads=heads, train=faces, validation=faces, teaching=teaching)
    spec = TrainSpec(epochs=5, batch_size=16, learning_rate=0.05, batch_norm_momentum=0.6)
    still = AugmentSpec(flip=False, scale_ratio=0, shift_ratio=0, rotate_degrees=0, light_ratio=0)
    model = make_tiny_model(heads)
    fine_tune(model, task, replace(spec, augment=still), SilentReporter(), keep="last")
    raw = model.predict(faces.images.astype(np.float32), verbose=0)
    assert np.all(raw["gender"] > 0), "the labels taught it men"
    assert (raw["shade"].argmax(axis=-1) == numbers).mean() > 0.9


def test_training_ends_where_the_caller_says_so(
    tmp_path: Path,
    make_tiny_model: Callable[[], Any],
    make_task: Callable[[Path], TrainingTask],
) -> None:
    seen = []

    def after(record: Any) -> bool:
        seen.append(record.epoch)
        return bool(record.epoch < 2)

    spec = TrainSpec(epochs=5, batch_size=16)
    history = fine_tune(
        make_tiny_model(), make_task(tmp_path / "run"), spec, SilentReporter(), after_epoch=after
    )
    assert seen == [1, 2]
    assert [record.epoch for record in history] == [1, 2]
