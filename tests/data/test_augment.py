"""`augment`: each step does what its amount says, to each face by its own draw, and no more."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.config import AugmentSpec
from edgeface.data.augment import augment_batch

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

NOTHING = AugmentSpec(
    flip=False, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.0
)
FLIP = replace(NOTHING, flip=True)
EVERYTHING = AugmentSpec(
    flip=True,
    scale_ratio=0.5,
    shift_ratio=0.5,
    rotate_degrees=180.0,
    light_ratio=0.9,
    colour_ratio=0.5,
    shade_ratio=0.9,
    tilt_ratio=0.5,
    erase_ratio=0.5,
    blur_ratio=0.5,
    noise_levels=30.0,
)
# Float32 arithmetic on values up to 255 that should give them back: some units in the last place
# of 255, 1.5e-5 each; a grey level, the smallest real difference, is 1.
SAME = 1e-3


def pictures(count: int, side_px: int = 9) -> Pixels:
    shape = (count, side_px, side_px, 3)
    return np.random.default_rng(4).integers(0, 256, shape, np.uint8)


def grey(count: int, level: int = 100, side_px: int = 32) -> Pixels:
    return np.full((count, side_px, side_px, 3), level, np.uint8)


def augment(images: Pixels, spec: AugmentSpec, seed: tuple[int, ...] = (1, 2)) -> Floats:
    before = images.copy()
    done = augment_batch(images, spec, seed)
    assert done.dtype == np.float32
    assert done.shape == images.shape
    np.testing.assert_array_equal(images, before, "the cache is not written to")
    return done


def coordinates(count: int) -> Pixels:
    """Say where each pixel comes from: red is 4 x, green is 4 y, of 57 px (224 levels)."""
    ramp = np.arange(57, dtype=np.uint8) * 4
    picture = np.zeros((57, 57, 3), np.uint8)
    picture[..., 0], picture[..., 1] = ramp[None, :], ramp[:, None]
    return np.repeat(picture[None], count, axis=0)


def came_from(done: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Source coordinates of each pixel from the centre, in px; good to 1/8 px by rounding."""
    return done[..., 0].astype(np.float64) / 4 - 28, done[..., 1].astype(np.float64) / 4 - 28


@pytest.mark.parametrize("side_px", [8, 9], ids=["even", "odd"])
def test_no_augmentation_changes_nothing(side_px: int) -> None:
    images = pictures(16, side_px)
    np.testing.assert_array_equal(augment(images, NOTHING), images)


@pytest.mark.parametrize("side_px", [8, 9], ids=["even", "odd"])
def test_a_flip_is_the_mirror_image_for_about_half(side_px: int) -> None:
    images = pictures(200, side_px)
    mirrored = 0
    for image, done in zip(images, augment(images, FLIP), strict=True):
        is_mirror = bool(np.abs(done - image[:, ::-1]).max() <= SAME)
        expected = image[:, ::-1] if is_mirror else image
        np.testing.assert_allclose(done, expected, atol=SAME)
        mirrored += is_mirror
    # Four standard errors of 200 coins: 4 * sqrt(200) / 2 = 28.
    assert abs(mirrored - 100) < 28


unit = st.floats(0, 0.99)


@settings(max_examples=40)
@given(
    spec=st.builds(
        AugmentSpec,
        flip=st.booleans(),
        scale_ratio=unit,
        shift_ratio=unit,
        rotate_degrees=st.floats(0, 180),
        light_ratio=unit,
        colour_ratio=unit,
        shade_ratio=unit,
        tilt_ratio=unit,
        erase_ratio=st.floats(0, 1),
        blur_ratio=st.floats(0, 1),
        noise_levels=st.floats(0, 255),
    ),
    side_px=st.integers(2, 20),
    seed=st.integers(0, 2**32),
)
def test_every_augmentation_stays_within_the_range(
    spec: AugmentSpec, side_px: int, seed: int
) -> None:
    done = augment(pictures(8, side_px), spec, (seed, 0))
    assert np.isfinite(done).all()
    assert done.min() >= 0
    assert done.max() <= 255


def test_equal_seeds_give_equal_faces_and_others_do_not() -> None:
    images = pictures(4)
    first = augment(images, EVERYTHING, (1, 2, 3))
    np.testing.assert_array_equal(first, augment(images, EVERYTHING, (1, 2, 3)))
    for seed in ((1, 2, 4), (1, 3, 3), (2, 2, 3)):
        assert np.abs(first - augment(images, EVERYTHING, seed)).max() > 1


@pytest.mark.parametrize(
    "spec",
    [
        replace(NOTHING, scale_ratio=0.3),
        replace(NOTHING, shift_ratio=0.3),
        replace(NOTHING, rotate_degrees=90.0),
        replace(NOTHING, tilt_ratio=0.5),
        replace(NOTHING, light_ratio=0.3),
        replace(NOTHING, colour_ratio=0.3),
        replace(NOTHING, shade_ratio=0.3),
        replace(NOTHING, blur_ratio=1.0),
        replace(NOTHING, noise_levels=9.0),
        replace(NOTHING, erase_ratio=1.0),
    ],
    ids="zoom shift turn tilt light colour shade blur noise erase".split(),  # noqa: SIM905
)
def test_every_draw_is_its_own(spec: AugmentSpec) -> None:
    """Two equal faces in one batch are not augmented alike."""
    sharp = pictures(1, 64)
    done = augment(np.repeat(sharp, 2, axis=0), spec)
    assert np.abs(done[0] - done[1]).max() > 1
    assert np.abs(done[0] - sharp[0]).max() > 1


def test_a_step_that_is_added_does_not_change_what_the_others_do() -> None:
    plain = augment(grey(50), replace(NOTHING, light_ratio=0.3))
    erased = augment(grey(50), replace(NOTHING, light_ratio=0.3, erase_ratio=1.0))
    same = (plain == erased).all(axis=3).mean(axis=(1, 2))
    assert same.min() >= 0.75, "all but a rectangle of at most a fifth"


def test_light_is_what_it_says() -> None:
    """Black and white by hand: (x - 127.5) * contrast + 127.5 + lift, both within their bounds."""
    levels = np.empty((300, 2, 2, 3), np.uint8)
    levels[:, 0], levels[:, 1] = 100, 155  # 27.5 below and above the middle
    done = augment(levels, replace(NOTHING, light_ratio=0.2)).astype(np.float64)
    low, high = done[:, 0, 0, 0], done[:, 1, 0, 0]
    contrast, lift = (high - low) / 55, (low + high) / 2 - 127.5
    # 1.2 either way, and a fifth of 127.5; 300 uniform draws come within 5 % of both ends
    assert 1 / 1.2 - SAME <= contrast.min() <= 1 / 1.19
    assert 1.19 <= contrast.max() <= 1.2 + SAME
    assert -25.5 - SAME <= lift.min() <= -24.2
    assert 24.2 <= lift.max() <= 25.5 + SAME
    assert abs(np.corrcoef(contrast, lift)[0, 1]) < 4 / np.sqrt(300), "drawn apart"


def test_a_shift_moves_the_face_and_mirrors_the_edge() -> None:
    spec = replace(NOTHING, shift_ratio=0.25)
    ramp = np.arange(0, 160, 10, dtype=np.uint8)
    across = np.ascontiguousarray(np.broadcast_to(ramp[None, None, :, None], (64, 16, 16, 3)))
    done = augment(across, spec)
    middle = done[:, 8, 8, 0]
    # a quarter of 16 px either way, 10 grey levels a px; half a level by rounding
    assert middle.min() >= 80 - 40 - 0.5
    assert middle.max() <= 80 + 40 + 0.5
    assert middle.min() < 80 - 30
    assert middle.max() > 80 + 30
    assert done.min() >= 0
    assert done.max() <= 150, "no black border, no colour that was not there"


def test_a_turn_keeps_lengths_and_its_bounds() -> None:
    x, y = came_from(augment(coordinates(200), replace(NOTHING, rotate_degrees=15.0)))
    across = x[:, 28, 43] - x[:, 28, 13], y[:, 28, 43] - y[:, 28, 13]  # 30 px apart
    down = x[:, 43, 28] - x[:, 13, 28], y[:, 43, 28] - y[:, 13, 28]
    np.testing.assert_allclose(np.hypot(*across), 30, atol=0.4)
    np.testing.assert_allclose(np.hypot(*down), 30, atol=0.4)
    np.testing.assert_allclose(across[0] * down[1] - across[1] * down[0], 900, rtol=0.02)
    degrees = np.degrees(np.arctan2(across[1], across[0]))
    assert -15.7 <= degrees.min() <= -14  # 0.25 px of 30 is 0.5 degrees
    assert 14 <= degrees.max() <= 15.7
    np.testing.assert_allclose((x[:, 28, 28], y[:, 28, 28]), 0, atol=0.2, err_msg="the centre")


def test_a_zoom_is_alike_in_both_directions_and_keeps_its_bounds() -> None:
    x, y = came_from(augment(coordinates(200), replace(NOTHING, scale_ratio=0.2)))
    wide = (x[:, 28, 48] - x[:, 28, 8]) / 40
    high = (y[:, 48, 28] - y[:, 8, 28]) / 40
    np.testing.assert_allclose(wide, high, atol=0.02)
    assert 0.79 <= wide.min() <= 0.82
    assert 1.18 <= wide.max() <= 1.21


def test_a_tilt_shortens_one_edge_against_the_opposite_one() -> None:
    """Half the height at the left edge against half the height at the right, and so across."""
    x, y = came_from(augment(coordinates(200), replace(NOTHING, tilt_ratio=0.3)))
    sideways = (y[:, 42, 0] - y[:, 14, 0]) / (y[:, 42, 56] - y[:, 14, 56])
    endways = (x[:, 0, 42] - x[:, 0, 14]) / (x[:, 56, 42] - x[:, 56, 14])
    turned = np.abs(sideways - 1) > np.abs(endways - 1)
    np.testing.assert_allclose(np.where(turned, endways, sideways), 1, atol=0.03)
    found = np.where(turned, sideways, endways)
    # 0.25 px of 28 either way; 200 draws come within 2 % of the end
    assert 0.68 <= found.min() <= 0.72
    assert 1 / 0.72 <= found.max() <= 1 / 0.68
    for chosen in (turned, found > 1):
        assert abs(chosen.sum() - 100) < 28  # four standard errors: each edge as often
    np.testing.assert_allclose((x[:, 28, 28], y[:, 28, 28]), 0, atol=0.2, err_msg="the centre")


def test_the_tilt_is_about_the_middle_of_the_shifted_face() -> None:
    """The middle shows what it shows without a tilt, so a shift is no larger than it says."""
    shift = replace(NOTHING, shift_ratio=0.2)
    moved = came_from(augment(coordinates(50), shift))
    tilted = came_from(augment(coordinates(50), replace(shift, tilt_ratio=0.5)))
    assert np.abs(np.subtract(moved, tilted)).max() > 5
    for plain, found in zip(moved, tilted, strict=True):
        np.testing.assert_allclose(found[:, 28, 28], plain[:, 28, 28], atol=0.3)


def test_channels_are_scaled_and_saturation_spares_grey() -> None:
    """Half grey (100), half coloured: the grey half gives the gains, the other the saturation."""
    images = grey(300, 100, 8)
    colour = np.array([120, 90, 60], np.uint8)
    images[:, 4:] = colour
    done = augment(images, replace(NOTHING, colour_ratio=0.2)).astype(np.float64)
    gains = done[:, 0, 0] / 100
    assert (gains >= 1 / 1.2 - SAME).all()
    assert (gains <= 1.2 + SAME).all()
    assert (gains.min(axis=0) < 1 / 1.18).all()
    assert (gains.max(axis=0) > 1.18).all()
    assert np.abs(np.corrcoef(gains.T) - np.eye(3)).max() < 4 / np.sqrt(300), "drawn apart"
    luma = 0.299 * 120 + 0.587 * 90 + 0.114 * 60  # 95.55
    red, _, blue = ((done[:, 7, 7] / gains - luma) / (colour - luma)).T
    # red is 24 levels from the luma, blue 36; the saturated colour is rounded by up to half of one,
    # and its factors to 1/1024 of 120 levels
    np.testing.assert_allclose(red, blue, atol=0.5 / 24 + 0.5 / 35 + 0.003)
    assert 1 / 1.2 - 0.02 <= blue.min() <= 1 / 1.15
    assert 1.15 <= blue.max() <= 1.2 + 0.02


def test_shade_is_a_straight_ramp_across_the_picture() -> None:
    done = augment(grey(300), replace(NOTHING, shade_ratio=0.4)).astype(np.float64) / 100
    np.testing.assert_array_equal(done[..., 0], done[..., 1])
    np.testing.assert_array_equal(done[..., 0], done[..., 2])
    ramp = done[..., 0]
    np.testing.assert_allclose(np.diff(ramp, 2, axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.diff(ramp, 2, axis=2), 0, atol=1e-5)
    np.testing.assert_allclose(ramp.mean(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(ramp[:, 0, 0] + ramp[:, -1, -1], 2, atol=1e-5)
    strongest = np.abs(ramp - 1).max(axis=(1, 2))
    assert 0.38 <= strongest.max() <= 0.4 + 1e-5
    np.testing.assert_allclose(strongest.mean(), 0.2, atol=4 * 0.4 / np.sqrt(12 * 300))
    lightest = ramp.reshape(300, -1).argmax(axis=1)
    corners = {0, 31, 32 * 31, 32 * 32 - 1}
    assert set(lightest.tolist()) == corners, "from every side"


def test_blur_spreads_an_edge_by_its_sigma_and_keeps_the_mean() -> None:
    """An edge from 0 to 200: its slope is the blur's own bell, so its variance is σ²."""
    images = np.zeros((150, 128, 128, 3), np.uint8)
    images[:, :, 64:] = 200
    done = augment(images, replace(NOTHING, blur_ratio=1.0)).astype(np.float64)
    np.testing.assert_allclose(done.mean(axis=(1, 2, 3)), 100, atol=0.5)
    np.testing.assert_array_equal(done, np.broadcast_to(done[:, :1, :, :1], done.shape))
    slope = np.diff(done[:, 0, :, 0], axis=1) / 200
    at = np.arange(127) - 63
    sigma_px = np.sqrt((slope * at**2).sum(axis=1))
    # 0.004 to 0.016 of 128 px are 0.51 to 2.05; rounding and the cut at 3 σ take a few per cent
    assert 0.45 <= sigma_px.min() <= 0.6
    assert 1.9 <= sigma_px.max() <= 2.1
    turned = augment(images.transpose(0, 2, 1, 3).copy(), replace(NOTHING, blur_ratio=1.0))
    np.testing.assert_array_equal(turned.transpose(0, 2, 1, 3), done, "alike in both directions")


@pytest.mark.parametrize("name", ["blur_ratio", "erase_ratio"])
def test_a_share_of_the_faces_is_hit_and_the_others_are_left_alone(name: str) -> None:
    images = pictures(400, 96)  # where the weakest blur is 0.4 px
    done = augment(images, replace(NOTHING, **{name: 0.3}))  # type: ignore[arg-type]
    hit = (done != images).any(axis=(1, 2, 3)).sum()
    assert abs(hit - 120) < 4 * np.sqrt(400 * 0.3 * 0.7)


def test_noise_is_normal_and_as_strong_as_drawn() -> None:
    done = augment(grey(100, 128, 80), replace(NOTHING, noise_levels=10.0)).astype(np.float64) - 128
    strength = done.std(axis=(1, 2, 3))
    # 19200 values a picture: the standard deviation is good to 0.5 %, four errors 2 %
    assert 9 <= strength.max() <= 10.2
    np.testing.assert_allclose(strength.mean(), 5, atol=4 * 10 / np.sqrt(12 * 100) + 0.1)
    assert (np.abs(done.mean(axis=(1, 2, 3))) < 5 * strength / np.sqrt(19200)).all()
    strong = (done / strength[:, None, None, None])[strength > 1]
    # all faces share 38400 values: 4 * sqrt(0.68 * 0.32 / 38400) is 0.01
    np.testing.assert_allclose((np.abs(strong) < 1).mean(), 0.6827, atol=0.01)
    np.testing.assert_allclose((np.abs(strong) < 2).mean(), 0.9545, atol=0.005)
    flat = strong.reshape(len(strong), -1)
    alike = np.abs(np.corrcoef(flat)) - np.eye(len(flat))
    assert alike.max() < 0.05, "no two faces have the same noise in the same place"


@pytest.mark.parametrize("level", [0, 255])
def test_noise_does_not_leave_the_range(level: int) -> None:
    done = augment(grey(4, level), replace(NOTHING, noise_levels=10.0))
    assert 0 <= done.min() < done.max() <= 255
    assert (done == level).mean() > 0.3, "half of the noise is cut off"


def test_erasing_covers_one_rectangle_with_noise_and_nothing_else() -> None:
    side_px = 128
    images = grey(150, 100, side_px)
    done = augment(images, replace(NOTHING, erase_ratio=1.0))
    changed = (done != images).any(axis=3)
    areas, aspects, centres = [], [], []
    for face, hit in zip(done, changed, strict=True):
        rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        inside = face[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        # outside nothing changed, by the bounds; inside a pixel stays by chance: 1 of 256^3
        assert hit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.999
        np.testing.assert_allclose(inside.mean(), 127.5, atol=4 * 73.9 / np.sqrt(inside.size))
        np.testing.assert_allclose(inside.std(), 73.9, rtol=0.1)  # uniform: 256 / sqrt(12)
        areas.append(height * width / side_px**2)
        aspects.append(height / width)
        centres.append(((rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2))
    # sides are rounded by half a pixel, of 10 px at least
    assert 0.019 <= min(areas) <= 0.025
    assert 0.19 <= max(areas) <= 0.206
    assert 0.28 <= min(aspects) <= 0.34
    assert 3.0 <= max(aspects) <= 3.55
    assert abs(np.median(np.log(aspects))) < 0.25, "tall as often as wide"
    np.testing.assert_allclose(np.mean(centres, axis=0), 63.5, atol=8)


def test_what_comes_in_from_outside_is_the_mirrored_inside() -> None:
    """An independent oracle: a shift is a crop of the padded picture."""
    spec = replace(NOTHING, shift_ratio=0.4)
    images = coordinates(30)
    padded = cv2.copyMakeBorder(images[0], 40, 40, 40, 40, cv2.BORDER_REFLECT)
    for done in augment(images, spec):
        x, y = came_from(done[None])
        middle = (40 + 28 + x[0, 28, 28], 40 + 28 + y[0, 28, 28])
        expected = cv2.getRectSubPix(padded, (57, 57), middle)
        np.testing.assert_allclose(done, expected, atol=2)
