"""`Faces`: labels that some have and some have not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeface.data.faces import UNKNOWN, Faces


@pytest.fixture
def faces() -> Faces:
    """Exact, exact 0, a bin, unknown; the images are all one number, that of the face."""
    return Faces(
        ids=("a", "b", "c", "d"),
        images=np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((2, 2, 3), np.uint8),
        age_low_years=np.array([31, 0, 20, UNKNOWN]),
        age_high_years=np.array([31, 0, 29, UNKNOWN]),
        classes={"gender": np.array([1, UNKNOWN, 0, 1])},
    )


def test_an_age_is_exact_an_interval_or_unknown(faces: Faces) -> None:
    np.testing.assert_array_equal(faces.has_age, [True, True, True, False])
    exact = faces.exact_age_years
    np.testing.assert_array_equal(exact, [31.0, 0.0, np.nan, np.nan])
    assert exact.dtype == np.float64


def test_an_attribute_that_no_face_has_is_unknown(faces: Faces) -> None:
    np.testing.assert_array_equal(faces.class_of("gender"), [1, -1, 0, 1])
    np.testing.assert_array_equal(faces.class_of("smile"), [-1] * 4)
    assert faces.class_of("smile").dtype == np.int64


@pytest.mark.parametrize("rows", [[2, 0], [3], [], [1, 1]])
def test_take_keeps_each_face_together(faces: Faces, rows: list[int]) -> None:
    taken = faces.take(rows)
    assert len(taken) == len(rows)
    assert taken.ids == tuple("abcd"[row] for row in rows)
    np.testing.assert_array_equal(taken.images, faces.images[np.array(rows, int)])
    np.testing.assert_array_equal(taken.age_low_years, [[31, 0, 20, -1][row] for row in rows])
    np.testing.assert_array_equal(taken.age_high_years, [[31, 0, 29, -1][row] for row in rows])
    np.testing.assert_array_equal(taken.class_of("gender"), [[1, -1, 0, 1][row] for row in rows])


def test_labels_alone_hold_no_pixels(faces: Faces, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", faces.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    labels = Faces(**{**vars(faces), "images": mapped}).without_images()
    assert labels.images.nbytes == 0
    taken = labels.take([3, 1])
    assert (len(taken), taken.images.nbytes) == (2, 0)
    np.testing.assert_array_equal(taken.class_of("gender"), [1, -1])
