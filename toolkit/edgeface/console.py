"""What the user sees while edgeface works: lines and progress bars on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edgeface.types import Advance


def print_line(line: str) -> None:
    """Give one line of data to stdout, whatever bytes a file name in it has."""
    # a byte of a file name that is not UTF-8 is printed as JSON would escape it
    print(line.encode("utf-8", "backslashreplace").decode("utf-8"), flush=True)


def table_console(*, stderr: bool = False) -> Console:
    """Give the console for tables: as wide as the terminal, 100 columns where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 100)


class TerminalReporter:
    """Shows lines and progress bars with the time left on stderr."""

    def __init__(self) -> None:
        """Open stderr."""
        self._console = Console(stderr=True, highlight=False, emoji=False)

    def say(self, text: str) -> None:
        """Show one line; a long one is not broken where stderr is a file."""
        self._console.print(text, markup=False, soft_wrap=True)

    def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show a bar; where stderr is no terminal, the notes are printed as lines instead."""
        return self._bar(label, total)

    @contextmanager
    def _bar(self, label: str, total: int) -> Iterator[Advance]:
        progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        with progress:
            bar = progress.add_task(label, total=total, note="")

            def advance(steps: int, note: str = "") -> None:
                if note:
                    progress.update(bar, advance=steps, note=note)
                    if progress.disable:
                        self.say(f"{label}: {note}")
                else:
                    progress.update(bar, advance=steps)

            yield advance
