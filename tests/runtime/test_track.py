"""`track`: a patch that is moved by known amounts is where it was moved to; overlaps keep names."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.runtime.detect import Detection
from edgeface.runtime.track import (
    MISSES,
    SAME_FACE_RATIO,
    RealBox,
    Track,
    Tracks,
    associate,
    detections,
    follow,
    look,
    overlap_ratio,
)
from support.live_fakes import patch_at, texture


def found(x: int, y: int, side: int = 100) -> Detection:
    """A detection whose crop reaches 10 px further to each side."""
    return Detection(box=(x, y, side, side), crop=(x - 10, y - 10, side + 20, side + 20))


def seen_at(x: int, y: int, min_face_px: int = 40) -> Tracks:
    """A patch at this place, detected there."""
    return associate(follow(Tracks(), look(patch_at(x, y), min_face_px)), [found(x, y)])


@given(
    shifts=st.lists(st.tuples(st.integers(-12, 12), st.integers(-12, 12)), min_size=1, max_size=4),
    min_face_px=st.sampled_from([40, 80]),
)
@settings(max_examples=12)
def test_a_patch_is_followed_to_where_it_was_moved(
    shifts: list[tuple[int, int]], min_face_px: int
) -> None:
    x, y = 100, 70
    tracks = seen_at(x, y, min_face_px)
    for across, down in shifts:
        x, y = x + across, y + down
        tracks = follow(tracks, look(patch_at(x, y), min_face_px))
    (track,) = tracks.faces
    np.testing.assert_allclose(track.box, (x, y, 100, 100), atol=1.0)
    np.testing.assert_allclose(track.crop, (x - 10, y - 10, 120, 120), atol=1.2)
    assert track.number == 0


def test_growth_is_followed_about_the_middle() -> None:
    """Everything grows by 1.05 about (160, 120): the corner (100, 70) comes to (97, 67.5)."""
    picture = texture(240, 320)
    matrix = np.array([[1.05, 0, -8], [0, 1.05, -6]])
    larger = np.asarray(cv2.warpAffine(picture, matrix, (320, 240)), np.uint8)
    tracks = associate(follow(Tracks(), look(picture, 40)), [found(100, 70)])
    (track,) = follow(tracks, look(larger, 40)).faces
    np.testing.assert_allclose(track.box, (97, 67.5, 105, 105), atol=0.6)
    np.testing.assert_allclose(track.crop, (86.5, 57, 126, 126), atol=0.7)


def test_two_faces_are_followed_apart() -> None:
    first, second = patch_at(20, 20, 80, seed=1), patch_at(200, 120, 90, seed=2)
    both = np.where(first == 120, second, first)
    moved_first, moved_second = patch_at(28, 20, 80, seed=1), patch_at(200, 110, 90, seed=2)
    moved = np.where(moved_first == 120, moved_second, moved_first)
    tracks = associate(follow(Tracks(), look(both, 40)), [found(200, 120, 90), found(20, 20, 80)])
    large, small = follow(tracks, look(moved, 40)).faces
    np.testing.assert_allclose(large.box, (200, 110, 90, 90), atol=1)
    np.testing.assert_allclose(small.box, (28, 20, 80, 80), atol=1)
    assert (large.number, small.number) == (0, 1)


@pytest.mark.parametrize(
    "after",
    [
        texture(240, 320, seed=9),  # another scene
        np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8),
    ],
    ids=["cut", "noise"],
)
def test_a_face_that_is_gone_is_lost(
    after: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> None:
    tracks = associate(follow(Tracks(), look(texture(240, 320), 40)), [found(100, 70)])
    left = follow(tracks, look(after, 40))
    assert left.faces == ()
    assert left.next_number == 1  # its number is not given again
    assert associate(left, [found(100, 70)]).faces[0].number == 1


def test_a_face_whose_middle_leaves_the_frame_is_lost() -> None:
    picture = texture(240, 480)
    tracks = associate(follow(Tracks(), look(picture[:, 60:380], 40)), [found(-40, 70)])
    (inside,) = follow(tracks, look(picture[:, 65:385], 40)).faces
    assert inside.box[0] == pytest.approx(-45, abs=1)
    assert follow(tracks, look(picture[:, 75:395], 40)).faces == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 3), (20, 20, 3)])
def test_tiny_frames_do_no_harm(shape: tuple[int, int, int]) -> None:
    picture = np.full(shape, 90, np.uint8)
    tracks = associate(follow(Tracks(), look(picture, 64)), [found(0, 0, 1)])
    assert follow(tracks, look(picture, 64)).faces == ()


def test_overlap_with_visible_arithmetic() -> None:
    assert overlap_ratio((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap_ratio((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert overlap_ratio((0, 0, 10, 10), (10, 0, 10, 10)) == 0
    assert overlap_ratio((0, 0, 10, 10), (30, 30, 10, 10)) == 0


def tracks_of(*boxes: RealBox) -> Tracks:
    faces = tuple(Track(i, box, box) for i, box in enumerate(boxes))
    view = look(np.zeros((240, 320, 3), np.uint8), 64)
    return Tracks(faces=faces, view=view, next_number=len(faces))


def test_the_largest_overlap_is_taken_first() -> None:
    """Face 0 overlaps both detections, but face 1 overlaps the first more."""
    tracks = tracks_of((0, 0, 100, 100), (30, 0, 100, 100))
    near, far = found(25, 0), found(-20, 0)
    new = associate(tracks, [near, far])
    assert {face.number: face.box[0] for face in new.faces} == {1: 25.0, 0: -20.0}
    assert new.next_number == 2


def test_too_little_overlap_is_another_face() -> None:
    # 100 px wide and 54 apart: 46 / 154 is just below 0.3; 53 apart: 47 / 153 is just above
    assert SAME_FACE_RATIO == 0.3
    old = tracks_of((0, 0, 100, 100))
    apart = associate(old, [found(54, 0)])
    assert sorted(face.number for face in apart.faces) == [0, 1]
    same = associate(old, [found(53, 0)])
    assert [face.number for face in same.faces] == [0]


def test_a_face_outlives_some_misses_and_a_find_forgives_them() -> None:
    tracks = tracks_of((0, 0, 100, 100))
    for _ in range(MISSES):
        tracks = associate(tracks, [])
        assert len(tracks.faces) == 1
    assert associate(tracks, []).faces == ()
    again = associate(tracks, [found(5, 0)])
    assert [(face.number, face.misses) for face in again.faces] == [(0, 0)]


boxes = st.tuples(st.integers(0, 200), st.integers(0, 150), st.integers(20, 100))


@given(old=st.lists(boxes, max_size=4), new=st.lists(boxes, max_size=4))
@settings(max_examples=60)
def test_every_detection_has_one_face_and_every_face_one_number(
    old: list[tuple[int, int, int]], new: list[tuple[int, int, int]]
) -> None:
    tracks = tracks_of(*((float(x), float(y), float(s), float(s)) for x, y, s in old))
    after = associate(tracks, [found(x, y, side) for x, y, side in new])
    numbers = [face.number for face in after.faces]
    assert len(numbers) == len(set(numbers))
    fresh = sorted(face.box[:3] for face in after.faces if not face.misses)
    assert fresh == sorted((float(x), float(y), float(side)) for x, y, side in new)
    assert len(after.faces) <= len(old) + len(new)
    areas = [face.box[2] * face.box[3] for face in after.faces]
    assert areas == sorted(areas, reverse=True)


def test_boxes_for_people_end_at_the_frame_and_crops_do_not() -> None:
    (given_box,) = detections(tracks_of((-20.4, 180.0, 100.0, 100.0)))
    assert given_box.box == (0, 180, 80, 60)
    assert given_box.crop == (-20, 180, 100, 100)
