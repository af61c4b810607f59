"""What the user sees while edgeface works.

Lines, bars and tables on stderr; with `--quiet` errors alone, with `--log-json` one JSON object a
line. Data go to stdout, whatever is asked of stderr.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stderr
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self, TextIO

import typer
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from edgeface.errors import ConfigError
from edgeface.stopping import StopRequest
from edgeface.types import Advance, Reporter, SilentReporter

COLUMNS = 100
"""Of a table where there is no terminal. Chosen: what most of ours need."""

PROGRESS_EVERY_S = 1.0
"""Least time between two progress events of one stage. Chosen: what a person wants to see moving,
and few enough for a log."""


class Talker(Reporter, Protocol):
    """A reporter for the command line: besides what stages say, tables and errors."""

    def show(self, table: RenderableType) -> None:
        """Show a table that is talk and no data."""

    def error(self, text: str, exit_status: int) -> None:
        """Show the one line of an error."""


class TerminalReporter:
    """Shows lines and progress bars with the time left on stderr."""

    def __init__(self) -> None:
        """Open stderr."""
        self._console = Console(stderr=True, highlight=False, emoji=False)

    def say(self, text: str) -> None:
        """Show one line; a long one is not broken where stderr is a file."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, table: RenderableType) -> None:
        """Show a table as wide as the terminal."""
        table_console(stderr=True).print(table)

    def error(self, text: str, exit_status: int) -> None:
        """Show one line that begins with the program's name."""
        print_error(text)

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
            # the note gives way, so that the time left can always be read
            TextColumn(
                "{task.fields[note]}", markup=False, table_column=Column(ratio=1, no_wrap=True)
            ),
            expand=True,
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


class QuietReporter(SilentReporter):
    """Shows errors and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        """Name what gets the errors."""
        self._stream = stream

    def show(self, table: RenderableType) -> None:
        """Drop the table."""

    def error(self, text: str, exit_status: int) -> None:
        """Show one line that begins with the program's name."""
        print_error(text, self._stream)


class JsonReporter:
    """Writes one JSON object a line for a program that watches edgeface.

    Each has `event` and `time_utc`. "say" has `text`. "start", "progress" and "end" of a stage have
    its `label`, steps `done` of `total`, the last `note`, and `seconds_left`, None while unknown.
    "error" has `text` and `exit_status`. "end" comes also where a stage is cut short, with `done`
    below `total`.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Write nothing yet.

        Args:
            stream: gets the lines.
            clock: seconds that never go back; progress is counted by it.
            now: the time of day, UTC.
        """
        self._stream, self._clock, self._now = stream, clock, now

    def say(self, text: str) -> None:
        """Write a "say" event."""
        self._write("say", text=text)

    def show(self, table: RenderableType) -> None:
        """Write a "say" event with the table as text."""
        text = io.StringIO()
        Console(file=text, width=COLUMNS, color_system=None).print(table)
        self._write("say", text=text.getvalue().rstrip())

    def error(self, text: str, exit_status: int) -> None:
        """Write an "error" event."""
        self._write("error", text=text, exit_status=exit_status)

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:
        """Write "start", at most a "progress" each `PROGRESS_EVERY_S`, and "end"."""
        count = _Count(label, total, self._clock)

        def advance(steps: int, note: str = "") -> None:
            count.add(steps, note)
            if count.is_due():
                self._write("progress", **count.facts())

        self._write("start", **count.facts())
        try:
            yield advance
        finally:
            self._write("end", **count.facts())

    def _write(self, event: str, **facts: Any) -> None:
        line = {"event": event, "time_utc": self._now().isoformat(), **facts}
        print(json.dumps(line), file=self._stream, flush=True)


class _Count:
    """Steps of one stage, and how long the others will take."""

    def __init__(self, label: str, total: int, clock: Callable[[], float]) -> None:
        self._label, self._total, self._clock = label, total, clock
        self._done, self._note = 0, ""
        self._first: tuple[float, int] | None = None
        self._written_s = clock()

    def add(self, steps: int, note: str) -> None:
        self._done += steps
        self._note = note or self._note
        if self._first is None:
            # what an earlier run has done is counted at once, and a first step is a slow one:
            # the speed is that of the steps after it
            self._first = self._clock(), self._done

    def is_due(self) -> bool:
        now_s = self._clock()
        if now_s - self._written_s < PROGRESS_EVERY_S:
            return False
        self._written_s = now_s
        return True

    def facts(self) -> dict[str, Any]:
        return {
            "label": self._label,
            "done": self._done,
            "total": self._total,
            "note": self._note,
            "seconds_left": self._seconds_left(),
        }

    def _seconds_left(self) -> float | None:
        left = self._total - self._done
        if left <= 0:
            return 0.0
        if self._first is None or self._done == self._first[1]:
            return None
        since_s, before = self._first
        return round(left * (self._clock() - since_s) / (self._done - before), 1)


class StoppableReporter:
    """Passes all on to another reporter; each step of a stage ends it if that was asked."""

    def __init__(self, talker: Talker, request: StopRequest) -> None:
        """Name who talks, and what holds the request."""
        self._talker, self._request = talker, request
        self.say, self.show, self.error = talker.say, talker.show, talker.error

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:
        """Follow a stage as the other reporter does."""
        with self._talker.track(label, total) as follow:

            def advance(steps: int, note: str = "") -> None:
                follow(steps, note)
                self._request.check()

            yield advance


class Screen:
    """The context object of a command line: where its talk goes, until the context ends.

    Attributes:
        reporter: in use. It is changed once, when the options are known, so that every error after
            that is told as they ask.
        stop_request: whether the process was asked to end.
    """

    def __init__(self) -> None:
        """Talk to the terminal until something else is asked."""
        self.stop_request = StopRequest()
        self.reporter: Talker = StoppableReporter(TerminalReporter(), self.stop_request)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Change nothing yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Give stderr back."""
        self._stack.close()

    def choose(self, *, quiet: bool, log_json: bool) -> None:
        """Do what the options ask.

        Raises:
            ConfigError: both are given.
        """
        if quiet and log_json:
            raise ConfigError("--quiet", ["with --log-json, expected one of them"])
        if quiet or log_json:
            stream = self._stack.enter_context(stderr_alone())
            talker = QuietReporter(stream) if quiet else JsonReporter(stream)
            self.reporter = StoppableReporter(talker, self.stop_request)


def reporter_of(context: typer.Context) -> Talker:
    """Give the reporter that the command line asks for; a command run alone has the terminal."""
    screen: Screen = Screen() if context.obj is None else context.obj
    return screen.reporter


@contextmanager
def stderr_alone() -> Iterator[TextIO]:
    """Take stderr from everybody else: what libraries write there is dropped while this is open.

    TFLite's runtime has no switch for the line that it writes, and downloads draw their own bars.
    A traceback comes after this has ended, and is shown.

    Yields:
        What leads to stderr.
    """
    with ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
        stack.enter_context(terminal)
        # under a test that has put something else in its place, Python's stderr is not number 2
        ours = terminal if sys.stderr is sys.__stderr__ else sys.stderr
        stack.callback(os.dup2, terminal.fileno(), 2)
        os.dup2(nowhere.fileno(), 2)
        stack.enter_context(redirect_stderr(nowhere))
        yield ours


def print_line(line: str) -> None:
    """Give one line of data to stdout, whatever bytes a file name in it has."""
    # a byte of a file name that is not UTF-8 is printed as JSON would escape it
    print(line.encode("utf-8", "backslashreplace").decode("utf-8"), flush=True)


def print_error(text: str, stream: TextIO | None = None) -> None:
    """Give one line of an error to stderr, or to what leads there."""
    print(f"edgeface: {text}", file=sys.stderr if stream is None else stream, flush=True)


def table_console(*, stderr: bool = False) -> Console:
    """Give the console for tables: as wide as the terminal, 100 columns where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else COLUMNS)
