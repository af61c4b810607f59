"""Draws what is seen live: boxes with words (`draw`), and a graph of the frame rate over time.

In: a frame, its faces, the frame rates until now. Out: another picture. Shows nothing.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.draw import annotate
from edgeface.runtime.stage_times import GRAPH_S, FpsSample
from edgeface.types import Contract

_WIDTH_PX, _HEIGHT_PX = 160, 60  # of the graph. Chosen: a quarter and an eighth of 640 x 480
_STEP_FPS = 10  # the top of the graph is a multiple. Chosen: it does not jump with each frame
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45  # chosen: capitals are 10 px high
_SMALL_SCALE = 0.35  # of the axis. Chosen: still read in a recording
_LINE, _TEXT = (0, 220, 120), (255, 255, 255)  # RGB. Chosen: bright on what is made dark
_DARK_RATIO = 0.35  # of the light is left behind the graph. Chosen: white text reads on white


def draw_live(
    rgb: NDArray[np.uint8],
    faces: Sequence[Mapping[str, Any]],
    contract: Contract,
    fps: Sequence[FpsSample],
) -> NDArray[np.uint8]:
    """Draw faces and frame rate.

    Args:
        rgb: uint8 [H, W, 3], RGB.
        faces: from `predict.describe_face`.
        contract: of the model that said so.
        fps: from `FpsMeter.recent`; none: no graph.

    Returns:
        A new picture of the same size. The graph lies in its lower left corner, and is left out of
        a picture that is less than twice as wide and high. It says the newest rate, the rate at its
        upper edge, and how many seconds it is wide.
    """
    drawn = annotate(rgb, faces, contract)
    height, width = drawn.shape[:2]
    if fps and width >= 2 * _WIDTH_PX and height >= 2 * _HEIGHT_PX:
        _draw_graph(drawn[height - _HEIGHT_PX :, :_WIDTH_PX], fps)
    return drawn


def graph_points(fps: Sequence[FpsSample], width_px: int, height_px: int) -> NDArray[np.int32]:
    """Place the line of a graph; the newest value at its right, 0 at its bottom.

    Args:
        fps: one or more, the newest last; what is more than `GRAPH_S` older than it is left out.
        width_px: of the graph, for `GRAPH_S` seconds.
        height_px: of the graph; its top is `top_fps`.

    Returns:
        Int32 [N, 2], x and y in px, inside the graph.
    """
    values = np.array([[each.at_s, each.fps] for each in fps], dtype=np.float64)
    ages_s = values[-1, 0] - values[:, 0]
    shown = ages_s <= GRAPH_S
    x = (width_px - 1) * (1 - ages_s[shown] / GRAPH_S)
    y = (height_px - 1) * (1 - values[shown, 1] / top_fps(fps))
    return np.stack([x, y], axis=1).round().astype(np.int32)


def top_fps(fps: Sequence[FpsSample]) -> int:
    """Give the rate at the upper edge: the next multiple of 10 from the largest on, 10 or more."""
    return max(1, math.ceil(max(each.fps for each in fps) / _STEP_FPS)) * _STEP_FPS


def _draw_graph(corner: NDArray[np.uint8], fps: Sequence[FpsSample]) -> None:
    """Draw into the pixels of the corner themselves."""
    panel = np.array(corner * _DARK_RATIO, dtype=np.uint8, order="C")
    points = graph_points(fps, _WIDTH_PX, _HEIGHT_PX)
    cv2.polylines(panel, [points], isClosed=False, color=_LINE, thickness=1, lineType=cv2.LINE_AA)
    for text, at, scale in (
        (f"{fps[-1].fps:.0f} FPS", (5, 15), _FONT_SCALE),
        (f"{top_fps(fps)}", (_WIDTH_PX - 30, 11), _SMALL_SCALE),
        (f"{GRAPH_S:g} s", (5, _HEIGHT_PX - 5), _SMALL_SCALE),
    ):
        cv2.putText(panel, text, at, _FONT, scale, _TEXT, 1, cv2.LINE_AA)
    corner[:] = panel
