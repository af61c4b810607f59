"""The faces themselves: what is right, what is off, and what compression changed.

In: faces, and what one or two models say of them. Out: sections. Faces of a kind are drawn at
random, so that they stand for their kind; flipped faces are the ones that changed most.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.bench.verdict import Predictions
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError
from edgeface.model.metrics import CUMULATIVE_YEARS, FEMALE_THRESHOLD
from edgeface.report.page.blocks import Block, Notes, Picture, Pictures, Plot, Plots, Section, Tone
from edgeface.report.page.plots import SOFT, drawing, slot_colour
from edgeface.report.page.shown import ShownFaces
from edgeface.report.tables import NOT_MEASURED
from edgeface.types import GENDER_CLASSES

FAR_YEARS = 10.0
"""Chosen: a decade; the step from a child to a youth, or from 30 to 40."""

SHOWN = 12
"""Faces of a kind, at most. Chosen: two rows of a wide window, four of a phone."""

PICTURE_PX = 112
_JPEG_QUALITY = 80  # chosen: no difference to be seen at this size; 3 kB a face
_SEED = 0
_CELL_YEARS = 4  # chosen: 25 x 25 cells, of which most are empty, still tell the shape
_LARGEST_AREA = 90.0  # of a bubble, square points: it just fills its cell

_Mask = NDArray[np.bool_]


def gallery_sections(shown: ShownFaces | None) -> tuple[Section, ...]:
    """Show predicted against true age, faces of each kind, and the flipped ones.

    Args:
        shown: faces; None gives sections that say that none were given.
    """
    if shown is None:
        text = (
            f"Predicted against true, the gallery and the flipped cases: {NOT_MEASURED}. They need "
            "faces: edgeface report --html FILE --data MANIFEST --before MODEL --after MODEL"
        )
        blocks: tuple[Block, ...] = (Notes(lines=(text,), tone="soft"),)
        return (Section(id="faces", title="Faces", blocks=blocks),)
    judged = _Judged.of(shown.faces, shown.after)
    sections = [
        Section(
            id="faces",
            title="Faces",
            lead=f"{len(shown.faces):,} faces of {shown.what}, as {shown.after.name} sees them. "
            "Faces of a kind are drawn at random.",
            blocks=(Plots(plots=_scatter(shown)), *_kinds(shown, judged)),
        )
    ]
    if shown.before is not None:
        sections.append(_flipped(shown, shown.before, judged))
    return tuple(sections)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """One model on all faces, [N] each: NaN and False where a label is missing."""

    error_years: NDArray[np.float64]
    has_gender: _Mask
    is_right_gender: _Mask

    @classmethod
    def of(cls, faces: Faces, model: Predictions) -> _Judged:
        gender = faces.class_of("gender")
        has = gender != UNKNOWN
        said = (model.p_female >= FEMALE_THRESHOLD).astype(np.int64)
        return cls(
            error_years=np.abs(model.age_years - faces.exact_age_years),
            has_gender=has,
            is_right_gender=has & (said == gender),
        )


def _kinds(shown: ShownFaces, judged: _Judged) -> list[Pictures]:
    error = judged.error_years
    wrong = judged.has_gender & ~judged.is_right_gender
    near = error <= CUMULATIVE_YEARS  # False where the age is not known
    kinds: tuple[tuple[str, Tone, _Mask], ...] = (
        ("Right", "good", judged.is_right_gender & near),
        ("Age off", "doubtful", ~wrong & (error > CUMULATIVE_YEARS) & (error <= FAR_YEARS)),
        ("Age far off", "bad", ~wrong & (error > FAR_YEARS)),
        ("Gender wrong", "bad", wrong),
    )
    meaning = {
        "Right": f"gender right, age within {CUMULATIVE_YEARS:g} years",
        "Age off": f"gender not wrong, age {CUMULATIVE_YEARS:g} to {FAR_YEARS:g} years off",
        "Age far off": f"gender not wrong, age more than {FAR_YEARS:g} years off",
        "Gender wrong": "whatever the age",
    }
    made = []
    for name, tone, inside in kinds:
        share = 100 * inside.sum() / len(inside)
        made.append(
            Pictures(
                title=f"{name}: {inside.sum():,} of {len(inside):,} ({share:.1f} %)",
                note=f"{meaning[name][:1].upper()}{meaning[name][1:]}.",
                pictures=tuple(_picture(shown, index, tone) for index in _drawn(inside)),
            )
        )
    return made


def _drawn(inside: _Mask) -> list[int]:
    found = np.flatnonzero(inside)
    chosen = np.random.default_rng(_SEED).permutation(found)[:SHOWN]
    return [int(index) for index in np.sort(chosen)]


def _flipped(shown: ShownFaces, before: Predictions, judged: _Judged) -> Section:
    earlier = _Judged.of(shown.faces, before)
    gender_lost = earlier.is_right_gender & judged.has_gender & ~judged.is_right_gender
    gender_won = judged.is_right_gender & earlier.has_gender & ~earlier.is_right_gender
    age_lost = (earlier.error_years <= CUMULATIVE_YEARS) & (judged.error_years > CUMULATIVE_YEARS)
    age_won = (judged.error_years <= CUMULATIVE_YEARS) & (earlier.error_years > CUMULATIVE_YEARS)
    by_gender = np.abs(shown.after.p_female - before.p_female)
    by_age = np.abs(shown.after.age_years - before.age_years)
    blocks = tuple(
        Pictures(
            title=f"{what}: {lost.sum():,} right before, wrong after",
            note=f"{won.sum():,} the other way: wrong before, right after.",
            pictures=tuple(_picture(shown, index, "bad", before) for index in _most(lost, change)),
        )
        for what, lost, won, change in (
            ("Gender", gender_lost, gender_won, by_gender),
            (f"Age within {CUMULATIVE_YEARS:g} years", age_lost, age_won, by_age),
        )
    )
    return Section(
        id="flipped",
        title="Flipped by compression",
        lead=f"{before.name} before, {shown.after.name} after. Those that changed most come first.",
        blocks=blocks,
    )


def _most(inside: _Mask, change: NDArray[np.float64]) -> list[int]:
    found = np.flatnonzero(inside)
    order = np.argsort(-change[found], kind="stable")[:SHOWN]
    return [int(index) for index in found[order]]


def _picture(
    shown: ShownFaces, index: int, tone: Tone, before: Predictions | None = None
) -> Picture:
    faces = shown.faces
    label = _labels(faces, index)
    said = [f"before: {_said(before, index)}"] if before is not None else []
    said.append(f"{'after' if before is not None else 'said'}: {_said(shown.after, index)}")
    return Picture(
        source=data_uri(faces.images[index]),
        alt=f"Face labelled {label}; {'; '.join(said)}",
        lines=(f"is: {label}", *said),
        tone=tone,
        id=faces.ids[index],
    )


def _labels(faces: Faces, index: int) -> str:
    gender = int(faces.class_of("gender")[index])
    low, high = int(faces.age_low_years[index]), int(faces.age_high_years[index])
    age = "age unknown" if low == UNKNOWN else f"{low}" if low == high else f"{low}–{high}"
    name = GENDER_CLASSES[gender] if gender != UNKNOWN else "gender unknown"
    return f"{name} {age}"


def _said(model: Predictions, index: int) -> str:
    p_female = float(model.p_female[index])
    is_female = p_female >= FEMALE_THRESHOLD
    sure = p_female if is_female else 1 - p_female
    name = GENDER_CLASSES[int(is_female)]
    return f"{name} {model.age_years[index]:.0f} ({100 * sure:.0f}\u00a0%)"  # not broken there


def data_uri(image: NDArray[np.uint8]) -> str:
    """Make a small JPEG of a face as a `data:` URI.

    Args:
        image: uint8 [H, W, 3], RGB; enlarged never, shrunk to `PICTURE_PX` on its longer side.
    """
    height, width = image.shape[:2]
    scale = min(1.0, PICTURE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise BenchmarkError(f"faces of the report: OpenCV cannot save {image.shape} as JPEG")
    content = np.asarray(jpeg, np.uint8).tobytes()
    return f"data:image/jpeg;base64,{b64encode(content).decode('ascii')}"


def _scatter(shown: ShownFaces) -> tuple[Plot, ...]:
    models = [shown.after, *([shown.before] if shown.before is not None else [])]
    plots = [_predicted_against_true(shown.faces, model, slot) for slot, model in enumerate(models)]
    return tuple(plot for plot in plots if plot is not None)


def _predicted_against_true(faces: Faces, model: Predictions, slot: int) -> Plot | None:
    known = ~np.isnan(faces.exact_age_years)
    if not known.any():
        return None
    true, said = faces.exact_age_years[known], model.age_years[known]
    cells, counts = np.unique(
        np.column_stack([true // _CELL_YEARS, said // _CELL_YEARS]), axis=0, return_counts=True
    )
    middle = _CELL_YEARS * (cells + 0.5)
    limit = float(max(true.max(), said.max())) + _CELL_YEARS

    def draw(axes: Any) -> None:
        line: Sequence[float] = (0.0, limit)
        axes.fill_between(
            line,
            [end - CUMULATIVE_YEARS for end in line],
            [end + CUMULATIVE_YEARS for end in line],
            color=SOFT,
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(line, line, color=SOFT, linewidth=1)
        # an area is read as an amount
        areas = _LARGEST_AREA * counts / counts.max()
        axes.scatter(
            middle[:, 0], middle[:, 1], s=np.maximum(areas, 1.0), color=slot_colour(slot), lw=0
        )
        axes.set_xlim(0, limit)
        axes.set_ylim(min(0.0, float(said.min())), limit)
        axes.set_xlabel("true age, years")
        axes.set_ylabel("predicted age, years")

    mae = float(np.abs(said - true).mean())
    return Plot(
        title=f"Predicted against true age: {model.name}",
        svg=drawing(
            draw,
            name=f"predicted-{slot}",
            alt=f"Predicted against true age of {len(true):,} faces, MAE {mae:.2f} years",
            height_ratio=1.25,
        ),
        note=f"{len(true):,} faces; the area of a spot is their number. Band: within "
        f"{CUMULATIVE_YEARS:g} years.",
    )
