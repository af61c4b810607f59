"""A clock, a source and pictures for tests of what runs on streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.capture import StreamInfo


class FakeClock:
    """Stands still unless somebody waits or a test moves it."""

    def __init__(self) -> None:
        self.s = 0.0
        self.waits_s: list[float] = []

    def now_s(self) -> float:
        return self.s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waits_s.append(seconds)
        self.s += seconds
        return stop.is_set()


FILE = StreamInfo(name="drawn.avi", kind="file", rate_hz=25.0, announced_frames=None)
CAMERA = StreamInfo(name="camera 0", kind="camera", rate_hz=30.0, announced_frames=None)


class FakeSource:
    """Gives prepared frames; `before` runs before each read."""

    def __init__(
        self,
        frames: Sequence[NDArray[np.uint8]],
        info: StreamInfo = FILE,
        before: Callable[[int], object] = lambda index: None,
    ) -> None:
        self.frames, self.info, self._before = frames, info, before
        self.reads = 0
        self.closed = 0

    def read(self) -> NDArray[np.uint8] | None:
        self._before(self.reads)
        self.reads += 1
        return self.frames[self.reads - 1] if self.reads <= len(self.frames) else None

    def close(self) -> None:
        self.closed += 1


def numbered(count: int) -> list[NDArray[np.uint8]]:
    """Frames of 4 x 6 px that hold their own number."""
    return [np.full((4, 6, 3), i, np.uint8) for i in range(count)]


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with detail of some 8 px everywhere, which can be followed."""
    import cv2

    coarse = np.random.default_rng(seed).integers(
        0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8
    )
    large = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, dtype=np.uint8)


def patch_at(x: int, y: int, size: int = 100, *, seed: int = 1) -> NDArray[np.uint8]:
    """A textured square on a grey ground of 320 x 240 px."""
    frame = np.full((240, 320, 3), 120, np.uint8)
    frame[y : y + size, x : x + size] = texture(size, size, seed)
    return frame
