"""A reporter that keeps what its progress bars were told."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from edgeface.types import Advance


class Bars:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.totals: list[tuple[str, int]] = []
        self.steps: list[int] = []
        self.notes: list[str] = []
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
        self.totals.append((label, total))

        def advance(steps: int, note: str = "") -> None:
            self.steps.append(steps)
            if note:
                self.notes.append(note)

        return nullcontext(advance)
