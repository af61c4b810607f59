"""The terminal's side of a stage: lines as they are, and notes where no bar can be drawn."""

from __future__ import annotations

import pytest

from edgeface.console import TerminalReporter


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
