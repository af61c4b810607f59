"""The terminal's side of a stage: lines, JSON lines and silence."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.table import Table

from edgeface.console import (
    JsonReporter,
    QuietReporter,
    Screen,
    TerminalReporter,
    stderr_alone,
)
from edgeface.errors import ConfigError
from support.clock import Clock


def small_table() -> Table:
    table = Table(title="verdicts")
    table.add_column("model")
    table.add_row("int8")
    return table


def test_lines_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"left out: {'a' * 300}/:smile:[bold].jpg: the JPEG is truncated"
    TerminalReporter().say(text)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{text}\n")


def test_where_there_is_no_terminal_notes_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalReporter().track("fine-tune", 2) as advance:
        advance(1)
        advance(1, "epoch 1: [MAE] 5")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == "fine-tune: epoch 1: [MAE] 5"


def test_the_terminal_shows_tables_and_errors_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = TerminalReporter()
    reporter.show(small_table())
    reporter.error("x.toml: not TOML", 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "int8" in captured.err
    assert captured.err.endswith("edgeface: x.toml: not TOML\n")


def test_quiet_shows_errors_only() -> None:
    stream = io.StringIO()
    reporter = QuietReporter(stream)
    reporter.say("working")
    reporter.show(small_table())
    with reporter.track("fine-tune", 1) as advance:
        advance(1, "epoch 1")
    assert stream.getvalue() == ""
    reporter.error("no such model", 1)
    assert stream.getvalue() == "edgeface: no such model\n"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(clock: Clock, stream: io.StringIO) -> JsonReporter:
    at_noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    return JsonReporter(stream, clock=clock, now=lambda: at_noon)


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_of_json_is_one_event(reporter: JsonReporter, stream: io.StringIO) -> None:
    odd = f"é\nsecond line {os.fsdecode(bytes([0xFF]))}"
    reporter.say(odd)
    reporter.show(small_table())
    reporter.error("no such model", 1)
    said, table, error = events(stream)
    time_utc = "2026-01-02T12:00:00+00:00"
    assert said == {"event": "say", "time_utc": time_utc, "text": odd}
    assert table["event"] == "say"
    assert "int8" in table["text"]
    assert error == {
        "event": "error",
        "time_utc": time_utc,
        "text": "no such model",
        "exit_status": 1,
    }
    assert stream.getvalue().isascii(), "any terminal and any log takes it"


def test_progress_comes_once_a_second_with_the_time_left(
    reporter: JsonReporter, stream: io.StringIO, clock: Clock
) -> None:
    with reporter.track("fine-tune", 100) as advance:
        advance(40)  # an earlier run's: says nothing about the speed
        for tenth in range(1, 31):  # 3 s, 10 steps a second
            clock.now_s = 1000 + tenth / 10
            advance(1, "epoch 1" if tenth == 15 else "")
    found = [
        (each["event"], each["done"], each["total"], each["note"], each["seconds_left"])
        for each in events(stream)
    ]
    assert found == [
        ("start", 0, 100, "", None),
        ("progress", 50, 100, "", (100 - 50) / 10),
        ("progress", 60, 100, "epoch 1", (100 - 60) / 10),
        ("progress", 70, 100, "epoch 1", (100 - 70) / 10),
        ("end", 70, 100, "epoch 1", (100 - 70) / 10),
    ]
    assert {each["label"] for each in events(stream)} == {"fine-tune"}


def test_a_stage_that_is_cut_short_ends_where_it_was(
    reporter: JsonReporter, stream: io.StringIO
) -> None:
    def fail_after_one() -> None:
        with reporter.track("latency", 3) as advance:
            advance(1, "first")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_one()
    start, end = events(stream)
    assert (start["event"], end["event"]) == ("start", "end")
    assert (end["done"], end["note"], end["seconds_left"]) == (1, "first", None)


def test_a_finished_stage_has_no_time_left(reporter: JsonReporter, stream: io.StringIO) -> None:
    with reporter.track("memory", 1) as advance:
        advance(1)
    assert events(stream)[-1]["seconds_left"] == 0.0


def test_two_ways_of_talking_cannot_be_had_at_once() -> None:
    with Screen() as screen, pytest.raises(ConfigError, match="with --log-json, expected one"):
        screen.choose(quiet=True, log_json=True)


def test_what_libraries_write_is_dropped_while_stderr_is_ours(
    capfd: pytest.CaptureFixture[str],
) -> None:
    python_stderr = sys.stderr
    with stderr_alone() as ours:
        os.write(2, b"INFO: Created a delegate\n")
        sys.stderr.write("a bar of a library\n")
        ours.write("ours\n")
    assert sys.stderr is python_stderr
    os.write(2, b"after\n")
    captured = capfd.readouterr()
    assert sorted(captured.err.splitlines()) == ["after", "ours"]
