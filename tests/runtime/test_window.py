"""`window`: where there is none, one line says what to do; the rest is tried with a stand-in."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from edgeface.errors import DeviceError
from edgeface.runtime.window import check_window, window


def test_a_build_without_windows_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "\n  GUI:                NONE\n")
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(DeviceError, match=r"no windows .*--headless, with --record OUT.mp4"):
        check_window()


def test_a_machine_without_a_screen_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "\n  GUI:                QT5\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="there is no screen"):
        check_window()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    check_window()


def test_a_window_that_cannot_be_opened_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(title: str, flags: int) -> None:
        raise cv2.error("The function\nis not implemented")

    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(DeviceError) as caught, window("x"):
        pass
    assert "The function is not implemented" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "visible", "wanted"),
    [(255, 1, True), (ord("q"), 1, False), (27, 1, False), (255, 0, False)],
)
def test_keys_and_the_cross_end_it(
    key: int, visible: int, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, bgr: shown.append((title, bgr)))
    monkeypatch.setattr(cv2, "waitKey", lambda ms: key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, which: float(visible))
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: shown.append(("closed", None)))
    with window("edgeface") as opened:
        assert opened.show(np.full((2, 2, 3), (10, 20, 30), np.uint8), 0.0) == wanted
    (title, bgr), closed = shown
    assert (title, closed) == ("edgeface", ("closed", None))
    np.testing.assert_array_equal(bgr[0, 0], (30, 20, 10))
