"""Optuna's journal in a file that survives a worker that is killed while it writes.

In: log records of Optuna. Out: the same, in order, to every worker. Optuna's own file backend locks
with a second file, which a killed worker leaves behind and others wait 30 s for; and a record cut
off in the middle spoils its journal. Here the kernel lifts the lock, and the next writer cuts off
what was never finished.

Source: Optuna 5.0, `storages/journal/_base.py`, the interface; write-ahead logs, the cut-off tail.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from edgeface.errors import CompressionError


class JournalFile(BaseJournalBackend):
    """One JSON object a line; a line counts once its line break is written."""

    def __init__(self, path: Path) -> None:
        """Make the file where it is missing.

        Raises:
            CompressionError: it cannot be made.
        """
        self._path = path
        self._next = (0, 0)  # number of the record to read next, and the byte it begins at
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as err:
            raise CompressionError(
                f"{path}: cannot be written: {err.strerror}; give another --out"
            ) from err

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Give all whole records from a number on.

        Raises:
            CompressionError: the file cannot be read, or a whole line is no JSON object.
        """
        number, start = self._next if self._next[0] <= log_number_from else (0, 0)
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)  # ends with the file
                file.seek(start)
                content = file.read()
        except OSError as err:
            raise CompressionError(f"{self._path}: cannot be read: {err.strerror}") from err
        content = content[: _whole_bytes(content)]
        lines = content.split(b"\n")[:-1]
        records = [self._record(line, number + i) for i, line in enumerate(lines)]
        self._next = (number + len(lines), start + len(content))
        return records[log_number_from - number :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add records; on return they are on the disk.

        Raises:
            CompressionError: the file cannot be written.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        try:
            with self._path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(_whole_bytes(file.read()))
                file.truncate()
                file.write(lines.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as err:
            raise CompressionError(
                f"{self._path}: cannot be written: {err.strerror}; free space, then run the same "
                "again"
            ) from err

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as err:
            raise CompressionError(
                f"{self._path}: line {number + 1} is no JSON ({err}); delete the folder to search "
                "anew, trained models are kept"
            ) from err
        if not isinstance(record, dict):
            raise CompressionError(
                f"{self._path}: line {number + 1} is {type(record).__name__}, expected an object; "
                "delete the folder to search anew, trained models are kept"
            )
        return record


def _whole_bytes(content: bytes) -> int:
    """Length without a last line that its writer did not live to finish."""
    return content.rfind(b"\n") + 1
