from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage

from edgeface.errors import CompressionError
from edgeface.search.journal import JournalFile
from edgeface.search.locks import FileLock

RECORDS = [{"op_code": number, "text": "é\n\r"} for number in range(5)]


def test_what_is_appended_is_read_in_order_from_any_number_on(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "deep" / "journal.jsonl")
    journal.append_logs(RECORDS[:2])
    assert list(journal.read_logs(0)) == RECORDS[:2]
    journal.append_logs(RECORDS[2:])
    assert list(journal.read_logs(2)) == RECORDS[2:]
    assert list(journal.read_logs(5)) == []
    assert list(journal.read_logs(1)) == RECORDS[1:], "also what was read before"
    assert list(JournalFile(tmp_path / "deep" / "journal.jsonl").read_logs(3)) == RECORDS[3:]


@settings(max_examples=30)
@given(st.integers(1, 200))
def test_a_record_cut_off_anywhere_counts_as_never_written(kept_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        JournalFile(path).append_logs(RECORDS)
        content = path.read_bytes()[:kept_bytes]
        whole = content.count(b"\n")
        path.write_bytes(content)
        reader = JournalFile(path)
        assert list(reader.read_logs(0)) == RECORDS[:whole]
        writer = JournalFile(path)
        writer.append_logs([{"op_code": 9}])
        for journal in (reader, writer, JournalFile(path)):
            assert list(journal.read_logs(0)) == [*RECORDS[:whole], {"op_code": 9}]


@pytest.mark.parametrize(("line", "problem"), [("{half\n", "is no JSON"), ("[1]\n", "is list")])
def test_a_whole_line_that_is_no_record_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"op_code": 0}\n' + line)
    with pytest.raises(CompressionError, match=f"line 2 {problem}.*delete the folder"):
        list(JournalFile(path).read_logs(0))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CompressionError, match="journal: cannot be written: File exists"):
        JournalFile(tmp_path / "file" / "journal")
    with pytest.raises(CompressionError, match="lock: cannot be written: File exists"):
        FileLock(tmp_path / "file" / "lock").try_acquire()


def test_a_journal_that_was_deleted_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "journal")
    (tmp_path / "journal").unlink()
    with pytest.raises(CompressionError, match="cannot be read"):
        list(journal.read_logs(0))
    with pytest.raises(CompressionError, match="cannot be written"):
        journal.append_logs(RECORDS)


def test_optuna_works_with_it_as_with_its_own(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def best(storage: JournalStorage | None) -> list[float]:
        sampler = optuna.samplers.TPESampler(seed=1)
        study = optuna.create_study(storage=storage, sampler=sampler, study_name="s")
        study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=15)
        return [trial.value or 0.0 for trial in study.trials]

    path = tmp_path / "journal"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best(JournalStorage(JournalFile(path))) == best(None)
    assert all(json.loads(line) for line in path.read_text().splitlines())
    reopened = optuna.load_study(study_name="s", storage=JournalStorage(JournalFile(path)))
    assert len(reopened.trials) == 15


def test_a_lock_excludes_another_in_the_same_process_until_it_is_released(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "x" / "lock"), FileLock(tmp_path / "x" / "lock")
    assert one.try_acquire()
    assert not other.try_acquire()
    with pytest.raises(CompressionError, match="holds its lock already"):
        one.try_acquire()
    one.release()
    one.release()
    with other.held(before_waiting=lambda: pytest.fail("nobody else holds it")):
        assert not one.try_acquire()
    assert one.try_acquire()


def test_who_must_wait_for_a_lock_can_say_so_first(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.try_acquire()
    # released before the wait begins, so that this test cannot hang
    with other.held(before_waiting=one.release):
        assert not one.try_acquire()
