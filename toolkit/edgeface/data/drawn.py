"""Draws labelled faces: the data edgeface has when no folder of photographs is given.

In: a seed, an index and a side. Out: one RGB crop with its age and gender. Nothing is read, and a
face depends on its own arguments only, so faces can be drawn in any order. Figures measured on
them must be labelled "drawn faces": they show that a pipeline works, not how well a model does.

A face has many weak cues that disagree, under a random skin tone, background, pose, light and
camera. Age acts through a noisy apparent age and gender through a noisy masculinity, so neither
can be read off exactly. Face units: the head spans y = -1 (crown) to 1 (chin), x points right.

Source:
    Every proportion, probability and colour here is chosen by eye, because a sheet of faces sorted
    by age has to look right to a person; their noise is chosen so that a small CNN learns age and
    gender in a minute, but neither perfectly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeface.errors import DataError

GENERATOR_VERSION = "1"
"""Bumped whenever the same arguments would give another picture or label."""

MIN_SIDE_PX, MAX_SIDE_PX = 32, 256
"""Sides drawn. Chosen: below, the lines that tell age are gone; above is more than the canvas."""

AGE_BAND_STARTS = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 101)
AGE_BAND_SHARES = (0.11, 0.10, 0.29, 0.21, 0.11, 0.085, 0.055, 0.027, 0.010, 0.003)
"""Mixture of ages: a band's share, from its start to the year before the next, uniform within.

Source: chosen: half are 20 to 39, about 1 % over 80, because sets gathered on the web are uneven.
"""

_Array = NDArray[np.float64]
_Image = NDArray[np.uint8]
_Rng = np.random.Generator

_CANVAS_PX = 256
_SHIFT = 4  # fractional bits of OpenCV's coordinates: 1/16 px
_DARK, _ROUGE = np.array([45.0, 25.0, 20.0]), np.array([186.0, 52.0, 66.0])
_GREY, _WHITE = np.array([206.0, 204.0, 200.0]), np.array([240.0, 236.0, 228.0])
_PALEST, _DEEPEST = np.array([252.0, 222.0, 200.0]), np.array([88.0, 54.0, 38.0])
_HAIRS = np.array([[24, 20, 20], [50, 34, 26], [94, 62, 38], [146, 92, 56], [208, 172, 112]])
_IRISES = np.array([[40, 24, 14], [72, 44, 26], [96, 104, 70], [90, 124, 150]])
_ACROSS = np.linspace(-1, 1, 11)
# Clockwise from the crown in steps of 5°, closed.
_CIRCLE = np.array([(np.sin(a), -np.cos(a)) for a in np.linspace(0, 2 * np.pi, 73)])


@dataclass(frozen=True, kw_only=True)
class DrawnFace:
    """One drawn face crop.

    Attributes:
        image: uint8 [side_px, side_px, 3], RGB, 0 to 255.
        age_years: 1 to 100.
        gender: 0 male, 1 female.
    """

    image: NDArray[np.uint8]
    age_years: int
    gender: int


@dataclass(frozen=True, kw_only=True)
class _Traits:
    """What is drawn, in face units; colours are RGB [3], 0 to 255."""

    child: float  # 1 newborn to 0 grown
    worn: float  # 0 at 20 years to 1 at 85
    masculine: float  # about 1 for men, -1 for women, nearer 0 for children
    beard: float  # density, 0 to 1
    skin: _Array
    hair: _Array
    hair_length: float  # 0 cropped to 1 past the shoulders
    bare: float  # 0 full hair to 1 bald
    width: float  # half width of the head
    eye_x: float
    eye_y: float
    mouth_y: float
    yaw: float  # sideways shift of the features
    to_px: _Array  # [2, 3], face units to canvas pixels


def drawn_labels(*, seed: int, index: int) -> tuple[int, int]:
    """Gives the labels of a face without drawing it.

    Args:
        seed: names the set of faces, 0 or more.
        index: place of the face in that set, 0 or more.

    Returns:
        Age in years (1 to 100) and gender (0 male, 1 female).

    Raises:
        DataError: the seed or the index is negative.
    """
    if min(seed, index) < 0:
        raise DataError(f"drawn faces: seed {seed}, index {index}: expected 0 or more, pass others")
    rng = np.random.default_rng([seed, index])
    band = int(np.searchsorted(np.cumsum(AGE_BAND_SHARES[:-1]), rng.random(), side="right"))
    age_years = int(rng.integers(AGE_BAND_STARTS[band], AGE_BAND_STARTS[band + 1]))
    return age_years, int(rng.integers(0, 2))


def draw_face(*, seed: int, index: int, side_px: int = 128) -> DrawnFace:
    """Draws one face; the same arguments give the same bytes, in any order of calls.

    Args:
        seed: names the set of faces, 0 or more.
        index: place of the face in that set, 0 or more.
        side_px: side of the square crop, 32 to 256. The same person is drawn at every side.

    Returns:
        The crop, with the labels that `drawn_labels` gives.

    Raises:
        DataError: the seed or the index is negative, or the side is out of range.
    """
    if not MIN_SIDE_PX <= side_px <= MAX_SIDE_PX:
        expected = f"expected {MIN_SIDE_PX} to {MAX_SIDE_PX}"
        raise DataError(f"drawn faces: side_px is {side_px}, {expected}: draw one, then resize it")
    age_years, gender = drawn_labels(seed=seed, index=index)
    rng = np.random.default_rng(
        [seed, index, 1]
    )  # a stream of its own: the labels had [seed, index]
    face = _draw_traits(rng, age_years, gender)
    canvas = _background(rng)
    for draw in (_bust, _lines, _lower_face, _eyes, _front_hair, _glasses):
        draw(canvas, face, rng)
    image = _photograph(canvas, _light(face, rng), side_px, rng)
    return DrawnFace(image=image, age_years=age_years, gender=gender)


def _draw_traits(rng: _Rng, age_years: int, gender: int) -> _Traits:
    """Turns labels into a person: every cue gets noise of its own beside the shared noise."""
    years = max(0.5, age_years + rng.normal(0, 0.8 + 0.045 * age_years))
    child = float(np.clip((18 - years) / 17, 0, 1) ** 0.8)
    worn = float(np.clip((years - 20) / 65, 0, 1.15))
    masculine = (1 - 2 * gender) * (1 - 0.55 * child) + rng.normal(0, 0.28)
    melanin = rng.random() ** 1.3  # neither skin nor hair colour knows age (but grey) or gender
    hair = _HAIRS[int(rng.random() * (5 - 3 * melanin))] * rng.normal(1, 0.08, 3)
    grey = float(np.clip((years - rng.normal(42, 6)) / 30, 0, 1))
    grey *= rng.random() > (0.06, 0.2)[gender]  # the others dye it
    long_hair = (gender == 1) == (rng.random() < 0.9) and years > 2.5  # one in ten the other way
    bare = float(np.clip((years - rng.uniform(22, 50)) / 40, 0, 1))
    width = 0.72 + 0.16 * child + 0.03 * worn + 0.02 * masculine + rng.normal(0, 0.02)
    angle, lean = np.deg2rad(np.clip(rng.normal(0, 6), -15, 15)), rng.normal(0, 0.05)
    turn = np.array([[np.cos(angle), lean - np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn *= _CANVAS_PX * 0.36 * rng.normal(1, 0.05)
    return _Traits(
        child=child,
        worn=worn,
        masculine=masculine,
        beard=rng.uniform(0.15, 0.85) if gender == 0 and years > 17 and rng.random() < 0.5 else 0.0,
        skin=np.clip(_PALEST * (_DEEPEST / _PALEST) ** melanin * rng.normal(1, 0.03, 3), 0, 255),
        hair=_mix(np.clip(hair, 8, 255), _GREY * rng.normal(1, 0.05), grey),
        hair_length=rng.uniform(0.45, 1) if long_hair else rng.uniform(0, 0.22),
        bare=bare if gender == 0 and rng.random() < 0.65 else 0.0,
        width=width,
        eye_x=width * rng.normal(0.46, 0.012),
        eye_y=-0.06 + 0.22 * child + rng.normal(0, 0.02),
        mouth_y=0.56 + 0.05 * child + 0.02 * worn + rng.normal(0, 0.015),
        yaw=float(np.clip(rng.normal(0, 0.07), -0.16, 0.16)),
        to_px=np.column_stack([turn, _CANVAS_PX * rng.normal([0.5, 0.52], 0.02)]),
    )


def _mix(first: _Array, second: _Array, share: float) -> _Array:
    return first + (second - first) * share


def _at(x: _Array | Sequence[float], y: ArrayLike) -> _Array:
    """Points [N, 2] from N abscissas and one or N ordinates."""
    points = np.empty((len(x), 2))
    points[:, 0], points[:, 1] = x, y
    return points


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> _Array:
    return _at(x + radius_x * _CIRCLE[::4, 0], y + radius_y * _CIRCLE[::4, 1])


def _arc(x: float, y: float, half_width: float, height: float) -> _Array:
    """A parabola from (x - half_width, y) to (x + half_width, y); positive heights hang down."""
    return _at(x + half_width * _ACROSS, y + height * (1 - _ACROSS**2))


def _both(points: _Array) -> tuple[_Array, _Array]:
    """A shape on the right of the face and its mirror image."""
    return points, points * [-1, 1]


def _points_px(face: _Traits, shapes: Sequence[_Array]) -> list[NDArray[np.int32]]:
    """Maps [N, 2] face units to OpenCV's fixed-point pixels; features turn with the head."""
    pixels = []
    for points in shapes:
        inside = np.maximum(1 - (points[:, 0] / face.width) ** 2, 0)
        turned = _at(points[:, 0] + face.yaw * inside, points[:, 1])
        exact = turned @ face.to_px[:, :2].T + face.to_px[:, 2]
        pixels.append(np.rint(exact * 2**_SHIFT).astype(np.int32))
    return pixels


def _fill(canvas: _Image, face: _Traits, colour: _Array, *shapes: _Array) -> None:
    cv2.fillPoly(canvas, _points_px(face, shapes), colour.tolist(), cv2.LINE_AA, _SHIFT)


def _stroke(canvas: _Image, face: _Traits, colour: _Array, width: float, *lines: _Array) -> None:
    pixels, width_px = _points_px(face, lines), max(1, round(width * abs(face.to_px[1, 1])))
    cv2.polylines(canvas, pixels, False, colour.tolist(), width_px, cv2.LINE_AA, _SHIFT)


def _strands(canvas: _Image, face: _Traits, starts: _Array, ends: _Array, rng: _Rng) -> None:
    """Strokes from [N, 2] starts to ends, in four shades of the hair's colour."""
    pixels = np.stack(_points_px(face, [starts, ends]), axis=1)
    for first, shade in enumerate(rng.normal(1, 0.14, 4)):
        colour = np.clip(face.hair * shade + 20 * (shade - 1), 0, 255).tolist()
        cv2.polylines(canvas, [*pixels[first::4]], False, colour, 2, cv2.LINE_AA, _SHIFT)


def _outline(face: _Traits) -> _Array:
    """The head, [73, 2], clockwise from the crown: superellipses, narrower towards the chin."""
    jaw = 2.05 + 0.3 * face.masculine * (1 - face.child) + 0.6 * face.worn
    power = np.where(_CIRCLE[:, 1:] > 0, 2 / jaw, 2 / 2.3)
    x, y = (np.sign(_CIRCLE) * np.abs(_CIRCLE) ** power).T
    taper = 0.2 - 0.05 * face.masculine + 0.04 * face.child - 0.06 * face.worn
    return _at(face.width * x * (1 - taper * np.clip(y, 0, 1) ** 1.5), y)


def _background(rng: _Rng) -> _Image:
    cells = int(rng.integers(2, 9))
    patches = rng.normal(0, rng.uniform(4, 40), (cells, cells, 1)) + rng.uniform(10, 118)
    small = rng.normal(patches + rng.uniform(10, 118, 3), 8)
    small = np.clip(small, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (_CANVAS_PX, _CANVAS_PX)), np.uint8)


def _bust(canvas: _Image, face: _Traits, rng: _Rng) -> None:
    """Long hair, neck, clothes and ears, then the bare head over them."""
    if face.hair_length > 0.3:
        half, low = face.width * rng.uniform(1.14, 1.4), 0.1 + 1.5 * face.hair_length
        top = _ellipse(0, 0, half, 1.1)[[14, 15, 16, 17, 0, 1, 2, 3, 4]]
        ends = _at(np.linspace(1, -1, 24) * half, low - 0.15 * rng.random(24))
        _fill(canvas, face, face.hair * 0.85, np.concatenate([top, ends]))
        _strands(canvas, face, ends * [0.85, 0] - [0, 0.5], ends - [0, 0.1], rng)
    neck = face.width * (0.62 + 0.08 * face.masculine - 0.1 * face.child)
    _fill(canvas, face, face.skin * 0.82, _at([-neck, neck, neck, -neck], [0.4, 0.4, 1.6, 1.6]))
    wide = 1.5 + 0.12 * face.masculine - 0.35 * face.child
    x = [-neck, 0, neck, wide, wide + 0.2, -wide - 0.2, -wide]
    y = np.array([-0.05, rng.uniform(0, 0.4), -0.05, 0.3, 1, 1, 0.3]) + rng.uniform(1.12, 1.3)
    _fill(canvas, face, rng.uniform(15, 240, 3), _at(x, y))
    ear = 0.14 + 0.05 * face.worn + rng.normal(0, 0.01)
    ears = _both(_ellipse(face.width, face.eye_y + 0.14, ear * 0.6, ear * 1.2))
    _fill(canvas, face, face.skin * 0.9, *ears)
    _fill(canvas, face, face.skin, _outline(face))


def _lines(canvas: _Image, face: _Traits, rng: _Rng) -> None:
    """Lines and spots of age: each kind begins at its own age, then grows in contrast or number."""
    grown = np.maximum(0, face.worn + rng.normal(0, 0.04, 5) - [0, 0.06, 0.1, 0.12, 0.35])
    inks = face.skin + np.multiply.outer(0.7 - 0.66 * np.exp(-1.6 * grown), _DARK - face.skin)
    x, y = face.width * 0.27, face.mouth_y
    fold = _at([x, x + 0.09, x + 0.13], [y - 0.2, y - 0.11, y + 0.04])
    _stroke(canvas, face, inks[0], 0.034, *_both(fold))
    bag = _arc(face.eye_x, face.eye_y + 0.13, 0.14, 0.05)
    _stroke(canvas, face, inks[1], 0.03, *_both(bag))
    for row in range(int(np.clip(round(5.5 * face.worn + rng.normal(0, 0.6)), 0, 5))):
        above, half = 0.34 + 0.085 * row + rng.normal(0, 0.01), face.width * rng.uniform(0.4, 0.62)
        _stroke(canvas, face, inks[2], 0.028, _arc(0, face.eye_y - above, half, -0.03))
    for ray in range(int(np.clip(round(5 * face.worn + rng.normal(-0.4, 0.6)), 0, 4))):
        slope = np.array([0.02, 0.07 * (ray - 1) + rng.normal(0, 0.01)])
        foot = _at([face.eye_x + 0.19, face.eye_x + 0.32], face.eye_y + slope)
        _stroke(canvas, face, inks[3], 0.024, *_both(foot))
    _stroke(canvas, face, inks[4], 0.03, *_both(_at([0.27, 0.3], [y + 0.05, y + 0.24])))
    for _ in range(rng.poisson(0.4 + 9 * max(0.0, face.worn - 0.45))):
        x, y, size, share = rng.uniform([-0.5, -0.75, 0.012, 0.12], [0.5, 0.6, 0.03, 0.3])
        _fill(canvas, face, _mix(face.skin, _DARK, share), _ellipse(x, y, size, size))


def _lower_face(canvas: _Image, face: _Traits, rng: _Rng) -> None:
    """Stubble or a beard, full or on the chin only, up to the moustache; nose and mouth."""
    if face.beard > 0:
        jaw = _outline(face)[26:47] if rng.random() < 0.3 else _outline(face)[20:53]
        x = np.linspace(jaw[-1, 0], jaw[0, 0], 15)
        y_top = np.where(np.abs(x) < 0.3, face.mouth_y - 0.11, face.mouth_y + 0.04)
        region = np.concatenate([jaw * [1, 1 + 0.1 * face.beard], _at(x, y_top)])
        _fill(canvas, face, _mix(face.skin, face.hair, face.beard), region)
    grown, y = 1 - face.child, face.mouth_y - 0.2 - 0.02 * face.worn
    half = (0.12 + (0.04 + 0.02 * face.masculine) * grown + 0.03 * face.worn) * rng.normal(1, 0.09)
    wings = _both(_at(half * np.array([0.9, 1.12, 0.9]), y + np.array([-0.09, -0.03, 0.01])))
    _stroke(canvas, face, _mix(face.skin, _DARK, 0.38), 0.02, _arc(0, y - 0.01, half, 0.05), *wings)
    nostrils = _both(_ellipse(half * 0.5, y + 0.005, half * 0.24, 0.02))
    _fill(canvas, face, _mix(face.skin, _DARK, 0.75), *nostrils)
    y, wide = face.mouth_y, face.width * (0.36 - 0.02 * face.child) * rng.normal(1, 0.07)
    full = (0.075 - 0.015 * face.masculine - 0.035 * face.worn) * rng.normal(1, 0.16)
    smile = rng.normal(0.05 - 0.07 * face.worn, 0.03)
    redness = float(np.clip(0.3 - 0.13 * face.masculine + rng.normal(0, 0.1), 0.08, 0.75))
    lips = _mix(face.skin * 0.86, _ROUGE, redness)
    upper, lower = _arc(0, y, wide, smile - full), _arc(0, y, wide, smile + 1.5 * full)
    _fill(canvas, face, lips, np.concatenate([upper, lower[::-1]]))
    _stroke(canvas, face, _mix(lips, _DARK, 0.65), 0.018, _arc(0, y, wide, smile))


def _eyes(canvas: _Image, face: _Traits, rng: _Rng) -> None:
    """Children's eyes are large and lids come down with age; men's brows are thick and low."""
    x, y = face.eye_x, face.eye_y
    thick = max(0.015, 0.043 + 0.02 * face.masculine + rng.normal(0, 0.007))
    lift = 0.2 - 0.03 * face.masculine - 0.04 * face.worn + rng.normal(0, 0.015)
    brow = _arc(x, y - lift, 0.2, 0.03 * face.masculine - 0.07)
    below = brow + _at(np.zeros(11), thick * np.linspace(2, 0.7, 11))
    colour = _mix(_mix(face.hair, _DARK, 0.45), face.skin, 0.12 + 0.35 * face.child)
    _fill(canvas, face, colour, *_both(np.concatenate([brow, below[::-1]])))
    wide = (0.155 + 0.03 * face.child - 0.02 * face.worn) * rng.normal(1, 0.05)
    half = 0.068 + 0.045 * face.child - 0.034 * face.worn - 0.006 * face.masculine
    half *= max(0.4, rng.normal(1, 0.13))
    upper, lower = _arc(x, y, wide, -1.15 * half), _arc(x, y, wide, 0.85 * half)
    white = _mix(_WHITE, face.skin, 0.12 + 0.15 * face.worn)
    _fill(canvas, face, white, *_both(np.concatenate([upper, lower[::-1]])))
    iris, look = _IRISES[rng.integers(0, 4)], rng.normal(0, 0.02)
    for radius, tint in ((0.072, iris), (0.034, iris * 0.1)):
        high = min(radius, 0.95 * half)  # cut by the lids
        _fill(canvas, face, tint, *(_ellipse(at, y, radius, high) for at in (look - x, look + x)))
    lash = max(0.012, 0.022 - 0.01 * face.masculine + rng.normal(0, 0.004))
    _stroke(canvas, face, _mix(_DARK, face.skin, 0.15), lash, *_both(upper))
    crease = upper[1:-1] - [0, 0.05 + 0.05 * face.worn]
    _stroke(canvas, face, _mix(face.skin, _DARK, 0.27), 0.013, *_both(lower), *_both(crease))


def _front_hair(canvas: _Image, face: _Traits, rng: _Rng) -> None:
    """The hair in front of the forehead, or what is left of it."""
    long_hair = face.hair_length > 0.3
    low = 0.05 + (0.35 if long_hair else 0.12) * rng.random()
    if face.bare > 0.75:
        x, y = np.array([0.88, 1.02, 1.07, 1.03, 0.93, 0.9]), [-0.5, -0.42, -0.15, low, low, -0.2]
        _fill(canvas, face, face.hair, *_both(_at(x * face.width, y)))
        return
    volume = 1.03 + 0.09 * rng.random() * (1 - 0.5 * face.bare)
    fringe = rng.random() < (0.4 if long_hair else 0.15)
    edge = (-0.3 if fringe else rng.normal(-0.56, 0.05)) - 0.34 * face.bare
    temple, part = edge + 0.1 - 0.12 * face.bare, rng.uniform(-0.45, 0.45)
    x = np.array([1.03, 0.92, 0.9, 0.8, 0.4, part, -0.4, -0.8, -0.9, -0.92, -1.03]) * face.width
    y = [low, low, -0.15, temple, edge, edge - 0.04, edge, temple, -0.15, low, low]
    top = _outline(face)[np.r_[54:72, 0:19]] * [volume * 1.02, volume]
    _fill(canvas, face, face.hair, np.concatenate([top, _at(x, y)]))
    across = np.linspace(-0.78, 0.78, 20) * face.width
    tips = np.interp(across, x[::-1], y[::-1]) - rng.uniform(0.03, 0.1, 20)
    crown = _at(across * 0.7 + 0.3 * part, -volume + 0.1 + 0.25 * np.abs(across))
    _strands(canvas, face, crown, _at(across, np.maximum(tips, crown[:, 1])), rng)


def _glasses(canvas: _Image, face: _Traits, rng: _Rng) -> None:
    if face.child > 0.8 or rng.random() > 0.08 + 0.25 * face.worn:
        return
    half, high, power = rng.uniform([0.2, 0.14, 0.5], [0.25, 0.2, 1])
    rim = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** power * [half, high]
    rims = _both(np.add(rim, [face.eye_x, face.eye_y + 0.02]))
    colour, width = rng.uniform(10, 120, 3), rng.uniform(0.015, 0.04)
    _stroke(canvas, face, colour, width, *rims, _arc(0, face.eye_y, face.eye_x - half, -0.03))


def _light(face: _Traits, rng: _Rng) -> NDArray[np.float32]:
    """Factors [64, 64, 3] about 1: exposure, colour cast, light from one side, shaded hollows."""
    shade = np.full((_CANVAS_PX, _CANVAS_PX), 128, np.uint8)
    x, y = face.eye_x, face.eye_y
    _fill(shade, face, np.array([95.0]), _ellipse(0, 1.07, 0.55, 0.17))
    dents = _ellipse(0, face.mouth_y + 0.18, 0.16, 0.04), *_both(_ellipse(x, y, 0.24, 0.15))
    _fill(shade, face, np.array([111.0]), _ellipse(0, face.mouth_y - 0.12, 0.14, 0.05), *dents)
    bumps = _ellipse(0, y + 0.18, 0.04, 0.2), *_both(_ellipse(x * 1.2, y + 0.32, 0.17, 0.13))
    _fill(shade, face, np.array([140.0]), *bumps)
    _fill(shade, face, np.array([128 - 30 * face.worn]), *_both(_ellipse(x * 1.56, 0.4, 0.1, 0.16)))
    soft = cv2.GaussianBlur(cv2.resize(shade, (64, 64)), (0, 0), 1.8) / 128
    place, slope = np.linspace(-1, 1, 64), rng.uniform(-0.25, 0.25, 2)
    lit = soft * (1 + np.add.outer(slope[0] * place, slope[1] * place))
    gain = rng.uniform(0.72, 1.18) * rng.normal(1, 0.04, 3)
    return np.asarray(np.multiply.outer(lit, gain), np.float32)


def _photograph(canvas: _Image, light: NDArray[np.float32], side_px: int, rng: _Rng) -> _Image:
    """Makes the crop: light, blur, grain and, for half of the faces, a JPEG."""
    black, blur, grain = rng.uniform([-12, 0.002, 1], [12, 0.011, 7])
    quality = int(rng.integers(35, 95)) if rng.random() < 0.5 else None
    small = cv2.resize(canvas, (side_px, side_px), interpolation=cv2.INTER_AREA)
    lit = cv2.multiply(small, cv2.resize(light, (side_px, side_px)), dtype=cv2.CV_32F)
    # The grain comes last: it takes as many numbers as the side needs, all else is drawn before.
    noise = rng.standard_normal((side_px, side_px, 3), np.float32) * np.float32(grain)
    blurred = cv2.GaussianBlur(lit, (0, 0), side_px * blur)
    image = cv2.add(blurred, noise + np.float32(black), dtype=cv2.CV_8U)
    if quality is None:
        return np.asarray(image, np.uint8)
    # OpenCV takes the channels for BGR both ways, so they come back in the order they had.
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
