"""What one benchmark measures. In: a user's choice. Out: `BenchPlan`."""

from __future__ import annotations

from dataclasses import dataclass

from edgeface.bench.frames import FrameRules
from edgeface.bench.protocol import BenchProtocol

PARITY_IMAGES = 200
"""Source: issue 6, "It is done when"."""


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """What is measured of each artifact, and by which rules.

    Attributes:
        protocol: the rules.
        references: names of the artifacts that the others are compared with; the first is the
            baseline, to further ones only qualities are paired.
        timed: False on an emulated device: its times are never shown as a device's, so none are
            taken, and no memory, which would be the emulator's.
        sweep_threads: thread counts that are also timed; empty for none.
        soak_minutes: how long each model runs without a pause; 0 for no soak.
        frames: pictures for times from picture to attributes; None for none.
        parity_images: images whose outputs there are compared with those here; 0 for none.
    """

    protocol: BenchProtocol
    references: tuple[str, ...] = ()
    timed: bool = True
    sweep_threads: tuple[int, ...] = ()
    soak_minutes: float = 0.0
    frames: FrameRules | None = None
    parity_images: int = 0

    @property
    def baseline(self) -> str | None:
        """The first reference, which speed-ups are against; None without one."""
        return self.references[0] if self.references else None
