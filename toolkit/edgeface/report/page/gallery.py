"""The faces themselves: what is right, what is off, and what compression changed.

In: faces, and what one or two models say of them. Out: sections. Faces of a kind are drawn at
random, so that they stand for their kind; flipped faces are the ones that changed most.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.bench.verdict import Predictions
from edgeface.data.faces import Faces
from edgeface.errors import BenchmarkError
from edgeface.model.age_metrics import CUMULATIVE_YEARS
from edgeface.report.heads import in_words
from edgeface.report.page.blocks import Block, Notes, Picture, Pictures, Plot, Plots, Section, Tone
from edgeface.report.page.judged import (
    Judged,
    Mask,
    change_of,
    class_heads_of,
    labelled,
    said,
)
from edgeface.report.page.plots import SOFT, drawing, slot_colour
from edgeface.report.page.shown import ShownFaces
from edgeface.report.text import NOT_MEASURED
from edgeface.training_specs import AGE

FAR_YEARS = 10.0
"""Chosen: a decade; the step from a child to a youth, or from 30 to 40."""

SHOWN = 12
"""Faces of a kind, at most. Chosen: two rows of a wide window, four of a phone."""

PICTURE_PX = 112
_JPEG_QUALITY = 80  # chosen: no difference to be seen at this size; 3 kB a face
_SEED = 0
_CELL_YEARS = 4  # chosen: 25 x 25 cells, of which most are empty, still tell the shape
_LARGEST_AREA = 90.0  # of a bubble, square points: it just fills its cell


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
    judged = Judged.of(shown.faces, shown.after)
    plots = _scatter(shown)
    sections = [
        Section(
            id="faces",
            title="Faces",
            lead=f"{len(shown.faces):,} faces of {shown.what}, as {shown.after.name} sees them. "
            "Faces of a kind are drawn at random; its share is of the faces with the label.",
            blocks=(*([Plots(plots=plots)] if plots else []), *_kinds(shown, judged)),
        )
    ]
    if shown.before is not None:
        sections.append(_flipped(shown, shown.before, judged))
    return tuple(sections)


def _kinds(shown: ShownFaces, judged: Judged) -> list[Pictures]:
    error, wrong = judged.error_years, judged.is_any_wrong
    names = " and ".join(in_words(name) for name in judged.right)
    is_met = [f"{names} right"] if names else []
    near = [f"age within {CUMULATIVE_YEARS:g} years"] if judged.has_age else []
    # the last is where a face has the label that the kind is about: shares are of these
    kinds: list[tuple[str, Tone, Mask, str, Mask]] = [
        (
            "Right",
            "good",
            judged.is_right,
            f"{', '.join([*is_met, *near])}, as far as labelled",
            judged.is_any_known,
        )
    ]
    if judged.has_age:
        by_class = f"{names} not wrong, " if names else ""
        off = ~wrong & (error > CUMULATIVE_YEARS)
        range_years = f"{CUMULATIVE_YEARS:g} to {FAR_YEARS:g}"
        kinds += [
            (
                "Age off",
                "doubtful",
                off & (error <= FAR_YEARS),
                f"{by_class}age {range_years} years off",
                judged.is_age_known,
            ),
            (
                "Age far off",
                "bad",
                off & (error > FAR_YEARS),
                f"{by_class}age more than {FAR_YEARS:g} years off",
                judged.is_age_known,
            ),
        ]
    for name, is_wrong in judged.wrong.items():
        rest = "whatever the age" if judged.has_age else "that label is not met"
        known = judged.right[name] | is_wrong
        kinds.append((f"{_capital(in_words(name))} wrong", "bad", is_wrong, rest, known))
    made = []
    for title, tone, inside, meaning, known in kinds:
        share = 100 * inside.sum() / max(1, known.sum())
        made.append(
            Pictures(
                title=f"{title}: {inside.sum():,} of {known.sum():,} ({share:.1f} %)",
                note=f"{_capital(meaning)}.",
                pictures=tuple(_picture(shown, index, tone) for index in _drawn(inside)),
            )
        )
    return made


def _drawn(inside: Mask) -> list[int]:
    found = np.flatnonzero(inside)
    chosen = np.random.default_rng(_SEED).permutation(found)[:SHOWN]
    return [int(index) for index in np.sort(chosen)]


def _flipped(shown: ShownFaces, before: Predictions, judged: Judged) -> Section:
    earlier = Judged.of(shown.faces, before)
    changed: list[tuple[str, Mask, Mask, NDArray[np.float64]]] = []
    known = {(head.name, head.classes) for head in class_heads_of(before)}
    for head in class_heads_of(shown.after):
        if (head.name, head.classes) in known:
            lost = earlier.right[head.name] & judged.wrong[head.name]
            won = earlier.wrong[head.name] & judged.right[head.name]
            by = change_of(head, before, shown.after)
            changed.append((_capital(in_words(head.name)), lost, won, by))
    if earlier.has_age and judged.has_age:
        near = (earlier.is_near, judged.is_near)
        far = [each.error_years > CUMULATIVE_YEARS for each in (earlier, judged)]
        by = np.abs(shown.after.values[AGE] - before.values[AGE])
        title = f"Age within {CUMULATIVE_YEARS:g} years"
        changed.append((title, near[0] & far[1], far[0] & near[1], by))
    blocks = tuple(
        Pictures(
            title=f"{what}: {lost.sum():,} right before, wrong after",
            note=f"{won.sum():,} the other way: wrong before, right after.",
            pictures=tuple(_picture(shown, index, "bad", before) for index in _most(lost, change)),
        )
        for what, lost, won, change in changed
    )
    none = Notes(lines=("The two models have no head in common.",), tone="soft")
    return Section(
        id="flipped",
        title="Flipped by compression",
        lead=f"{before.name} before, {shown.after.name} after. Those that changed most come first.",
        blocks=blocks or (none,),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _most(inside: Mask, change: NDArray[np.float64]) -> list[int]:
    found = np.flatnonzero(inside)
    order = np.argsort(-change[found], kind="stable")[:SHOWN]
    return [int(index) for index in found[order]]


def _picture(
    shown: ShownFaces, index: int, tone: Tone, before: Predictions | None = None
) -> Picture:
    faces = shown.faces
    label = labelled(faces, index, shown.after)
    lines = [f"before: {said(before, index)}"] if before is not None else []
    lines.append(f"{'after' if before is not None else 'said'}: {said(shown.after, index)}")
    return Picture(
        source=data_uri(faces.images[index]),
        alt=f"Face labelled {label}; {'; '.join(lines)}",
        lines=(f"is: {label}", *lines),
        tone=tone,
        id=faces.ids[index],
    )


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
    if AGE not in model.values or not known.any():
        return None
    true, found = faces.exact_age_years[known], model.values[AGE][known]
    cells, counts = np.unique(
        np.column_stack([true // _CELL_YEARS, found // _CELL_YEARS]), axis=0, return_counts=True
    )
    middle = _CELL_YEARS * (cells + 0.5)
    limit = float(max(true.max(), found.max())) + _CELL_YEARS

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
        axes.set_ylim(min(0.0, float(found.min())), limit)
        axes.set_xlabel("true age, years")
        axes.set_ylabel("predicted age, years")

    mae = float(np.abs(found - true).mean())
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
