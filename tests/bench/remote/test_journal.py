"""Replies that are kept: a broken run goes on, and repeats are not copies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgeface.bench.remote.journal import Journal
from edgeface.errors import BenchmarkError, DeviceError


class Counting:
    """A worker that answers with a number, and breaks at the one given."""

    def __init__(self, break_at: int = -1) -> None:
        self.asked = 0
        self.break_at = break_at

    def __call__(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        self.asked += 1
        if self.asked == self.break_at:
            raise DeviceError("gone")
        return {"answer": self.asked, "of": arguments[0]}


def test_a_broken_run_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "unfinished" / "a.jsonl"
    breaking = Journal(path, "key").worker(Counting(break_at=3))
    questions: list[tuple[str, ...]] = [("a",), ("b",), ("a",), ("b",)]
    assert breaking(questions[0], 1) == {"answer": 1, "of": "a"}
    breaking(questions[1], 1)
    with pytest.raises(DeviceError, match="gone"):
        breaking(questions[2], 1)

    inner = Counting()
    journal = Journal(path, "key")
    assert journal.kept_replies == 2
    resumed = journal.worker(inner)
    assert [resumed(each, 1)["answer"] for each in questions] == [1, 2, 1, 2]
    assert inner.asked == 2  # only the two that were missing
    assert journal.used_replies == 2
    journal.remove()
    assert not path.exists()


def test_repeats_of_one_question_each_get_their_own_reply(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = Journal(path, "key").worker(Counting())
    assert [first(("a",), 1)["answer"] for _ in range(3)] == [1, 2, 3]
    again = Journal(path, "key").worker(Counting())
    assert [again(("a",), 1)["answer"] for _ in range(3)] == [1, 2, 3]


def test_an_answer_for_another_model_of_the_same_name_does_not_serve(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(b"one")
    path = tmp_path / "a.jsonl"
    Journal(path, "key").worker(Counting())(("latency", str(model)), 1)
    model.write_bytes(b"two")
    inner = Counting()
    Journal(path, "key").worker(inner)(("latency", str(model)), 1)
    assert inner.asked == 1


def test_a_line_cut_short_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    ask = Journal(path, "key").worker(Counting())
    ask(("a",), 1)
    ask(("b",), 1)
    whole = path.read_text()
    path.write_text(whole[:-20])
    journal = Journal(path, "key")
    assert journal.kept_replies == 1
    inner = Counting()
    again = journal.worker(inner)
    again(("a",), 1)
    again(("b",), 1)
    assert inner.asked == 1
    assert Journal(path, "key").kept_replies == 2  # the file is whole again


@pytest.mark.parametrize("text", ["nonsense\n", '{"key": "key"}\n', "[1]\n", '"x"\n'])
def test_a_line_that_is_no_reply_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=r"line 1: no reply of a device; remove it"):
        Journal(path, "key")


def test_another_runs_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    Journal(path, "key").worker(Counting())(("a",), 1)
    with pytest.raises(BenchmarkError, match="is of another run"):
        Journal(path, "other")
