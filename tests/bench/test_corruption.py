"""Spoiled faces: alike for models of the same heads, and the stronger the farther from clean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.bench.corruption import (
    CORRUPTIONS,
    NOISE_LEVELS,
    ROTATION_DEGREES,
    SETTINGS,
    STRENGTHS,
    Corruption,
    corrupt,
    measure_corruptions,
)
from edgeface.bench.quality import measure_quality
from edgeface.data.drawn import draw_face
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError, DataError
from edgeface.runtime.artifact import Artifact
from edgeface.types import SilentReporter

MakeArtifact = Callable[..., Artifact]
FACES = np.stack([draw_face(seed=1, index=index, side_px=64).image for index in range(3)])


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_stronger_corruption_is_farther_from_the_clean_face(kind: Corruption) -> None:
    before = FACES.copy()
    distances = [
        np.abs(corrupt(FACES, kind, strength, seed=0).astype(float) - FACES).mean()
        for strength in STRENGTHS
    ]
    assert 0 < distances[0] < distances[1] < distances[2]
    np.testing.assert_array_equal(FACES, before)


@given(
    kind=st.sampled_from(CORRUPTIONS),
    strength=st.sampled_from(STRENGTHS),
    seed=st.integers(0, 2**32),
    count=st.integers(0, 3),
)
@settings(max_examples=20)
def test_a_face_is_spoiled_alike_whatever_follows_it(
    kind: Corruption, strength: int, seed: int, count: int
) -> None:
    whole = corrupt(FACES, kind, strength, seed)
    assert whole.shape == FACES.shape
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole[:count], corrupt(FACES[:count], kind, strength, seed))


@pytest.mark.parametrize(("kind", "changes"), [("noise", True), ("blur", False), ("jpeg", False)])
def test_only_what_is_random_depends_on_the_seed(kind: Corruption, changes: bool) -> None:
    one, other = (corrupt(FACES, kind, 2, seed) for seed in (0, 1))
    assert (one != other).any() == changes


@pytest.mark.parametrize(
    ("kind", "strength", "stops"),
    [("darker", 1, -1), ("darker", 3, -3), ("brighter", 1, 0.5), ("brighter", 2, 1)],
)
def test_light_is_a_number_of_stops(kind: Corruption, strength: int, stops: float) -> None:
    # what is stored to the power of 2.2 is the light, of which a stop is a factor of 2
    grey = np.full((1, 8, 8, 3), 100, np.uint8)
    (level,) = np.unique(corrupt(grey, kind, strength, 0))
    assert math.log2((level / 100) ** 2.2) == pytest.approx(stops, abs=0.05)  # of rounding


def test_bright_pixels_end_at_white() -> None:
    white = np.full((1, 8, 8, 3), 250, np.uint8)
    np.testing.assert_array_equal(corrupt(white, "brighter", 3, 0), np.full_like(white, 255))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_noise_has_the_width_that_is_said(strength: int) -> None:
    grey = np.full((2, 64, 64, 3), 128, np.uint8)
    noise = corrupt(grey, "noise", strength, 0).astype(float) - 128
    level = NOISE_LEVELS[strength - 1]
    drawn = np.clip(np.random.default_rng(9).normal(0, level, 100_000), -128, 127)
    # 24,576 draws: a standard deviation is off by 0.5 %
    assert noise.std() == pytest.approx(drawn.std(), rel=0.03)
    assert abs(noise.mean()) < 4 * level / math.sqrt(noise.size) + 1
    assert (noise[0] != noise[1]).any()


def test_blur_of_a_dot_is_a_gaussian_of_the_width_that_is_said() -> None:
    dot = np.zeros((1, 224, 224, 3), np.uint8)
    dot[0, 112, 112] = 255
    for strength, sigma_px in ((1, 1), (2, 3)):  # of ImageNet-C, at its side
        peak = int(corrupt(dot, "blur", strength, 0)[0, 112, 112, 0])
        assert peak == pytest.approx(255 / (2 * math.pi * sigma_px**2), abs=0.03 * 255 / sigma_px)


def test_rotation_is_about_the_centre_to_either_side() -> None:
    image = np.zeros((16, 101, 101, 3), np.uint8)
    image[:, 48:53, 85:90] = 255  # to the right of the centre, at y = 50
    for strength, degrees in zip(STRENGTHS, ROTATION_DEGREES, strict=True):
        turned = corrupt(image, "rotation", strength, 0)[..., 0].astype(float)
        angles = []
        for each in turned:
            weights = each / each.sum()
            x, y = (weights.sum(axis=axis) @ np.arange(101) - 50 for axis in (0, 1))
            angles.append(math.degrees(math.atan2(y, x)))
        np.testing.assert_allclose(np.abs(angles), degrees, atol=0.5)
        assert min(angles) < 0 < max(angles)


def test_jpeg_keeps_the_colours_in_their_places() -> None:
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    spoiled = corrupt(red, "jpeg", 1, 0)[0].astype(int)
    assert spoiled[..., 0].mean() > 180
    assert spoiled[..., 2].mean() < 20
    done, content = cv2.imencode(".jpg", FACES[0], [cv2.IMWRITE_JPEG_QUALITY, 25])
    assert done  # the same as OpenCV's own, channels turned round on both ways
    again = cv2.imdecode(content, cv2.IMREAD_COLOR)
    bgr = corrupt(FACES[:1, ..., ::-1], "jpeg", 1, 0)[0, ..., ::-1]
    np.testing.assert_array_equal(bgr, again)


@pytest.mark.parametrize(
    ("kind", "strength", "text"),
    [("fog", 1, "'fog' 1, expected one of darker"), ("blur", 0, "'blur' 0"), ("blur", 4, "1 to 3")],
)
def test_other_corruptions_are_refused(kind: Any, strength: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        corrupt(FACES, kind, strength, 0)


@pytest.mark.parametrize("images", [FACES.astype(np.float32), FACES[0], FACES[..., :1]])
def test_pictures_of_another_form_are_refused(images: Any) -> None:
    with pytest.raises(DataError, match=r"expected uint8 \[N, S, S, 3\]"):
        corrupt(images, "blur", 1, 0)


def test_every_corruption_says_its_three_strengths() -> None:
    assert SETTINGS["darker"] == "-1, -2, -3 stops"
    assert SETTINGS["blur"] == "sigma 0.45, 1.3, 2.7 % of the side"
    assert SETTINGS["jpeg"] == "quality 25, 15, 7"
    assert set(SETTINGS) == set(CORRUPTIONS)


def plain_faces(red: list[int], side_px: int = 32) -> Faces:
    """Faces of one colour; the tiny model says female from red 100, and 1 year; half are female."""
    images = np.zeros((len(red), side_px, side_px, 3), np.uint8)
    images[..., 0] = np.reshape(red, (-1, 1, 1))
    half = len(red) // 2
    return Faces(
        ids=tuple(map(str, range(len(red)))),
        images=images,
        age_low_years=np.full(len(red), 20),
        age_high_years=np.full(len(red), 20),
        classes={"gender": np.array([0] * half + [1] * half)},
    )


def measure(artifact: Artifact, faces: Faces, images: int = 1000) -> dict[tuple[str, int], Any]:
    found = measure_corruptions(
        artifact,
        faces,
        data="drawn faces",
        split="test",
        images=images,
        reporter=SilentReporter(),
    )
    return {(each.kind, each.strength): each for each in found}


def test_figures_are_those_of_the_spoiled_faces(make_artifact: MakeArtifact) -> None:
    artifact, faces = make_artifact("tiny"), plain_faces([60, 60, 130, 200])
    found = measure(artifact, faces)
    assert len(found) == 1 + 3 * len(CORRUPTIONS)
    accuracy = {at: each.metrics[0].value for at, each in found.items()}
    assert accuracy["none", 0] == 4 / 4
    # stops of light: 130 becomes 95 (male, wrong), 200 becomes 146 and then 106
    assert [accuracy["darker", strength] for strength in STRENGTHS] == [3 / 4, 3 / 4, 2 / 4]
    # 60 becomes 70, 82 and 96: still male
    assert [accuracy["brighter", strength] for strength in STRENGTHS] == [1, 1, 1]
    clean = measure_quality(
        artifact,
        faces,
        data="drawn faces",
        split="test",
        manifest_sha256="",
        reporter=SilentReporter(),
    )
    wanted = tuple(each for each in clean.metrics if each.name in ("accuracy", "mae"))
    assert found["none", 0].metrics == wanted


def test_so_many_faces_are_drawn_and_the_same_each_time(make_artifact: MakeArtifact) -> None:
    artifact, faces = make_artifact("tiny"), plain_faces(list(range(80, 120)))
    once, again = (measure(artifact, faces, images=10) for _ in range(2))
    assert once == again
    assert {each.n for each in once.values()} == {10}


def test_faces_are_drawn_from_those_with_a_label_of_any_of_the_heads(
    make_artifact: MakeArtifact,
) -> None:
    # the first 20 have both labels, the next 10 an age alone, the last 10 none
    at, faces = np.arange(40), plain_faces(list(range(80, 120)))
    ages = np.where(at < 30, 20, UNKNOWN)
    genders = np.where(at < 20, faces.class_of("gender"), UNKNOWN)
    partly = replace(faces, age_low_years=ages, age_high_years=ages, classes={"gender": genders})
    both, gender = (
        {
            (metric.task, each.n, metric.n)
            for each in measure(make_artifact(name, heads=heads), partly).values()
            for metric in each.metrics
        }
        for name, heads in (("both", ("gender", "age")), ("one", ("gender",)))
    )
    assert both == {("gender", 30, 20), ("age", 30, 30)}, "so a figure needs its own n"
    assert gender == {("gender", 20, 20)}, "so models of unlike heads have unlike faces"


@pytest.mark.parametrize(
    ("images", "trained", "text"),
    [(0, True, "found 0 images, expected 1 or more"), (5, False, "its weights are random")],
)
def test_what_must_not_be_measured_is_refused(
    make_artifact: MakeArtifact, images: int, trained: bool, text: str
) -> None:
    artifact = make_artifact("tiny", trained=trained)
    with pytest.raises(BenchmarkError, match=text):
        measure(artifact, plain_faces([60, 130]), images=images)
