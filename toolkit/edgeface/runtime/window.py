"""Shows frames in a window, where OpenCV and the machine have one."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from typing import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DeviceError

END_KEYS = (ord("q"), 27)  # q and Escape
INSTEAD = "use --headless, with --record OUT.mp4 to look at it later"


class Window:
    """A window of OpenCV; see `window`.

    Attributes:
        stage: name of what it does, for the times.
    """

    stage = "show"

    def __init__(self, title: str) -> None:
        """Take over a window that is open."""
        self._title = title

    def show(self, rgb: NDArray[np.uint8], media_s: float) -> bool:
        """Show a frame.

        Args:
            rgb: uint8 [H, W, 3], RGB.
            media_s: not used: a window shows what comes.

        Returns:
            False if the user pressed q or Escape, or closed the window.
        """
        cv2.imshow(self._title, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in END_KEYS and self._is_open()

    def _is_open(self) -> bool:
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1


def check_window() -> None:
    """Refuse before any work where no window can be shown.

    Raises:
        DeviceError: this OpenCV was built without windows, or there is no screen.
    """
    if re.search(r"^\s*GUI:\s+NONE\s*$", cv2.getBuildInformation(), re.MULTILINE):
        raise DeviceError(
            f"this OpenCV {cv2.__version__} has no windows (opencv-python-headless); {INSTEAD}, or "
            "pip uninstall opencv-python-headless and pip install 'opencv-python<5'"
        )
    # without a screen Qt ends the whole process, so that nothing could be said afterwards
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        raise DeviceError(f"there is no screen (neither DISPLAY nor WAYLAND_DISPLAY); {INSTEAD}")


@contextmanager
def window(title: str) -> Iterator[Window]:
    """Open a window while the context is open; `check_window` first.

    Raises:
        DeviceError: OpenCV cannot open it.
    """
    try:
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
    except cv2.error as err:
        said = " ".join(str(err).split())
        raise DeviceError(f"no window can be opened ({said}); {INSTEAD}") from err
    try:
        yield Window(title)
    finally:
        cv2.destroyAllWindows()
