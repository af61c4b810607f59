"""Follows faces from frame to frame, so that the detector need not see each frame.

In: frames, and now and then what a detector found. Out: where the faces are now. Knows nothing of
age or gender, and not who is who: a face that was lost gets a new number.

Between detections a face is followed by what the picture does: Median Flow (Kalal, Mikolajczyk and
Matas 2010, "Forward-Backward Error: Automatic Detection of Tracking Failures", ICPR). A grid of
points in the box is followed by pyramidal Lucas-Kanade, forwards and back again; the half that
comes back best gives the box's shift and growth by medians. A detection belongs to the face that it
overlaps most. Chosen over a constant velocity, which cannot see a face turn back between two
detections, and over matching a template, which knows neither growth nor when it has lost the face.

Measured on a UTKFace chip of 180 ± 30 px that swings through 640 x 480 px in curves (200 frames, up
to 11 px a frame, `detect.open_haar`): the crop's centre lies, in its sides, 0.014 (95 %: 0.026) off
if it is detected in each frame. Detected in every 10th frame: 0.012 (0.027) by flow,
0.077 (0.248) by constant velocity, 0.158 (0.429) standing still; in every 30th: 0.016 (0.030), 0.64
(1.71), 0.49 (1.28). CPU time of a frame 3.4 ms, of a detection 48 ms. A chip is flat and stiff; a
head that turns is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.crop import Box
from edgeface.runtime.detect import Detection, shrunk

RealBox = Tuple[float, float, float, float]
"""x and y of the upper left corner, width and height, in px with fractions."""

SAME_FACE_RATIO = 0.3
"""A detection and a face that share this part of their union are the same. Source: the usual least
overlap of trackers by detection (Bewley et al. 2016, SORT, section 3.3: 0.3)."""

MISSES = 2
"""Detections in a row that may miss a face that is still followed. Chosen: a cascade blinks, above
all at turned heads; a face that went away is kept for three detections at most."""

_FACE_PX = 40
"""Side of the smallest face in the picture that is followed; larger pictures are made smaller.
Chosen: as in `detect`; the points lie 3 px apart in it."""

_GRID = 10  # points a side. Source: the default of OpenCV's TrackerMedianFlow
_INSIDE_RATIO = (
    0.8  # of the box's sides has points. Chosen: what is beside a face does not follow it
)
_WINDOW = (15, 15)  # px around a point. Chosen: a third of the smallest face
_LEVELS = 3  # halvings. Chosen: a window then sees shifts of some 60 px
_LEAST_POINTS = 10  # of 100. Chosen: fewer are followed by chance

_BACK_PX = 2.0
"""Median distance, in px of the smaller picture, between where a point was and where it comes back
to, above which a face is lost. Chosen: a twentieth of the smallest face; a face that is followed
comes back within a tenth of a pixel."""

_GROWTH = (0.5, 2.0)
"""Of a face from one frame to the next. Chosen: beyond, the points followed something else."""

_SIDES = (10.0, 2.0)
"""Least side of a followed box in px of the smaller picture, most in longer sides of the frame.
Chosen: a quarter of the smallest face; the detectors' boxes reach a quarter beyond the frame."""


@dataclass(frozen=True)
class Track:
    """A face that is followed.

    Attributes:
        number: the same as long as it is the same face.
        box: where a person would draw it, in px of the frame; may reach beyond it.
        crop: the square that training pictures show; may reach beyond it.
        misses: detections in a row that did not find it.
    """

    number: int
    box: RealBox
    crop: RealBox
    misses: int = 0


@dataclass(frozen=True, eq=False)
class View:
    """A frame as it is followed in.

    Attributes:
        grey: uint8 [h, w], the frame made smaller.
        ratio_x: width of the frame in widths of the smaller one.
        ratio_y: height of the frame in heights of the smaller one.
        size_px: width and height of the frame.
    """

    grey: NDArray[np.uint8]
    ratio_x: float
    ratio_y: float
    size_px: Tuple[int, int]


@dataclass(frozen=True)
class Tracks:
    """The faces of a frame.

    Attributes:
        faces: the largest first.
        view: of the frame they were seen in; None before the first.
        next_number: for a face that is new.
    """

    faces: Tuple[Track, ...] = ()
    view: Optional[View] = None
    next_number: int = 0


def look(rgb: NDArray[np.uint8], min_face_px: int) -> View:
    """Prepare a frame for `follow`.

    Args:
        rgb: uint8 [H, W, 3], RGB.
        min_face_px: side of the smallest face of interest, 1 or more.
    """
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    small = shrunk(grey, min(1.0, _FACE_PX / min_face_px))
    return View(
        grey=small,
        ratio_x=grey.shape[1] / small.shape[1],
        ratio_y=grey.shape[0] / small.shape[0],
        size_px=(grey.shape[1], grey.shape[0]),
    )


def follow(tracks: Tracks, view: View) -> Tracks:
    """Move each face to where it is in a new frame.

    Args:
        tracks: of the frame before, of the same size.
        view: the new frame.

    Returns:
        Without the faces that were lost: whose points do not come back, whose middle has left the
        frame, or whose size cannot be.
    """
    if not tracks.faces:
        return replace(tracks, view=view)
    assert tracks.view is not None  # there are faces only in a frame
    points = np.concatenate([_grid(track.box, tracks.view) for track in tracks.faces])
    there, back_px = _flow(tracks.view, view, points)
    size = _GRID * _GRID
    faces = []
    for i, track in enumerate(tracks.faces):
        own = slice(i * size, (i + 1) * size)
        moved = _moved(track, points[own], there[own], back_px[own], view)
        if moved is not None:
            faces.append(moved)
    return replace(tracks, faces=_largest_first(faces), view=view)


def associate(tracks: Tracks, found: Sequence[Detection]) -> Tracks:
    """Correct the faces by what a detector found in the same frame.

    Pairs of face and detection are taken by overlap, the largest first, each once.

    Args:
        tracks: at this frame, from `follow`.
        found: by the detector.

    Returns:
        Each detection with the number of its face, or a new one; and the faces that were not found,
        unless for the `MISSES + 1`-th time in a row.
    """
    boxes = [_real(each.box) for each in found]
    pairs = sorted(
        (-overlap_ratio(track.box, box), i, j)
        for i, track in enumerate(tracks.faces)
        for j, box in enumerate(boxes)
    )
    numbers, matched = {}, set()
    for negative_ratio, i, j in pairs:
        if -negative_ratio >= SAME_FACE_RATIO and i not in matched and j not in numbers:
            numbers[j] = tracks.faces[i].number
            matched.add(i)
    faces, next_number = [], tracks.next_number
    for j, each in enumerate(found):
        if j not in numbers:
            numbers[j], next_number = next_number, next_number + 1
        faces.append(Track(numbers[j], boxes[j], _real(each.crop)))
    for i, track in enumerate(tracks.faces):
        if i not in matched and track.misses < MISSES:
            faces.append(replace(track, misses=track.misses + 1))
    return replace(tracks, faces=_largest_first(faces), next_number=next_number)


def detections(tracks: Tracks) -> Tuple[Detection, ...]:
    """Give the faces as a detector would: whole px, boxes cut at the frame's edge."""
    assert tracks.view is not None  # there are faces only in a frame
    width_px, height_px = tracks.view.size_px
    given = []
    for face in tracks.faces:
        x, y, width, height = face.box
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width_px, round(x + width)), min(height_px, round(y + height))
        box = (left, top, max(1, right - left), max(1, bottom - top))
        given.append(Detection(box=box, crop=_whole(face.crop)))
    return tuple(given)


def overlap_ratio(one: RealBox, other: RealBox) -> float:
    """Divide what two boxes share by what they cover together, 0 to 1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _flow(
    before: View, after: View, points: NDArray[np.float32]
) -> Tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Follow points forwards and back again.

    Returns:
        Where they are, [N, 2]; how far from its start each comes back, [N], infinite where it is
        lost. Both in px of the smaller picture.
    """
    there, seen, _ = cv2.calcOpticalFlowPyrLK(
        before.grey, after.grey, points, points.copy(), winSize=_WINDOW, maxLevel=_LEVELS
    )
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(
        after.grey, before.grey, there, there.copy(), winSize=_WINDOW, maxLevel=_LEVELS
    )
    valid = (seen.ravel() == 1) & (seen_back.ravel() == 1)
    gap_px = np.hypot(*(points - back).T.astype(np.float64))
    return np.asarray(there, dtype=np.float32), np.where(valid, gap_px, np.inf)


def _moved(
    track: Track,
    old: NDArray[np.float32],
    new: NDArray[np.float32],
    back_px: NDArray[np.float64],
    view: View,
) -> Optional[Track]:
    """Move one face as its points moved; None if it is lost."""
    valid = np.isfinite(back_px)
    if valid.sum() < _LEAST_POINTS:
        return None
    typical_px = float(np.median(back_px[valid]))
    if typical_px > _BACK_PX:
        return None
    good = back_px <= typical_px
    shift_x, shift_y = np.median(new[good] - old[good], axis=0)
    growth = _growth(old[good], new[good])
    if not _GROWTH[0] <= growth <= _GROWTH[1]:
        return None
    x, y, width, height = track.box
    left = x + width / 2 * (1 - growth) + float(shift_x) * view.ratio_x
    top = y + height / 2 * (1 - growth) + float(shift_y) * view.ratio_y
    # the crop stays where it is in the box
    right, down = (track.crop[0] - x) * growth, (track.crop[1] - y) * growth
    moved = replace(
        track,
        box=(left, top, width * growth, height * growth),
        crop=(left + right, top + down, track.crop[2] * growth, track.crop[3] * growth),
    )
    return moved if _can_be(moved, view) else None


def _can_be(track: Track, view: View) -> bool:
    """Say whether a face can be there: its middle and some of its crop in the frame, of a size."""
    x, y, width, height = track.box
    crop_x, crop_y, crop_width, crop_height = track.crop
    frame_width, frame_height = view.size_px
    return (
        0 <= x + width / 2 < frame_width
        and 0 <= y + height / 2 < frame_height
        and -crop_width + 1 < crop_x < frame_width - 1
        and -crop_height + 1 < crop_y < frame_height - 1
        and min(width / view.ratio_x, height / view.ratio_y) >= _SIDES[0]
        and max(width, height) <= _SIDES[1] * max(view.size_px)
    )


def _grid(box: RealBox, view: View) -> NDArray[np.float32]:
    """Spread points over the inner part of a box, [N, 2] in px of the smaller picture."""
    x, y, width, height = box
    steps = 0.5 + _INSIDE_RATIO * (np.arange(_GRID) / (_GRID - 1) - 0.5)
    across, down = np.meshgrid(x + steps * width, y + steps * height)
    points = np.stack([across.ravel() / view.ratio_x, down.ravel() / view.ratio_y], axis=1)
    return points.astype(np.float32)


def _growth(old: NDArray[np.float32], new: NDArray[np.float32]) -> float:
    """Give the median, over all pairs of points, of how much their distance grew."""
    i, j = np.triu_indices(len(old), 1)
    before = np.hypot(*(old[i] - old[j]).T)
    after = np.hypot(*(new[i] - new[j]).T)
    return float(np.median(after / before))


def _largest_first(faces: Sequence[Track]) -> Tuple[Track, ...]:
    return tuple(sorted(faces, key=lambda face: (-face.box[2] * face.box[3], face.number)))


def _real(box: Box) -> RealBox:
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def _whole(box: RealBox) -> Box:
    side: List[int] = [max(1, round(edge)) for edge in box[2:]]
    return round(box[0]), round(box[1]), side[0], side[1]
