"""Replies of a device, kept on this machine as they come, so that a broken run goes on.

In: a `Worker`. Out: one that answers from the file what was answered before. A line of the file is
one finished process: there are no half ones. What is asked names files by their hash, so that an
answer for another model never serves.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from edgeface.bench.latency import Worker
from edgeface.bench.remote.files import names_a_file
from edgeface.errors import BenchmarkError


class Journal:
    """Replies in the order they came, by what was asked."""

    def __init__(self, path: Path, key: str) -> None:
        """Read what an earlier run left.

        Args:
            path: of the file; made with the first reply.
            key: of the run: device, code, protocol. A file of another key is not this run's.

        Raises:
            BenchmarkError: the file cannot be read, or is another run's.
        """
        self.path = path
        self._key = key
        self._kept: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
        for record in _records(path, key):
            self._kept[json.dumps(record["asked"])].append(record["reply"])
        self.kept_replies = sum(map(len, self._kept.values()))
        self.used_replies = 0

    def worker(self, inner: Worker) -> Worker:
        """Give a worker that asks `inner` only for what was not answered before.

        Whatever is asked a second time is answered by the second reply: repeats are not copies.
        """

        def ask(arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
            asked = _by_content(arguments)
            kept = self._kept[json.dumps(asked)]
            if kept:
                self.used_replies += 1
                return kept.popleft()
            reply = inner(arguments, timeout_s)
            self._append(asked, reply)
            return reply

        return ask

    def remove(self) -> None:
        """Forget the run: its result is written."""
        self.path.unlink(missing_ok=True)

    def _append(self, asked: list[str], reply: Mapping[str, Any]) -> None:
        line = json.dumps({"key": self._key, "asked": asked, "reply": reply})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as err:
            raise BenchmarkError(f"{self.path}: cannot be written: {err}") from err


def _by_content(arguments: tuple[str, ...]) -> list[str]:
    return [_digest(Path(each)) if names_a_file(each) else each for each in arguments]


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as err:
        raise BenchmarkError(f"{path}: cannot be read: {err}") from err


def _records(path: Path, key: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        lines = path.read_text("utf-8").split("\n")
        if lines[-1]:  # a line that a killed process did not finish: its measurement is done again
            path.write_text("\n".join([*lines[:-1], ""]), "utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise BenchmarkError(f"{path}: cannot be read or mended: {err}") from err
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
            if record["key"] != key:
                raise BenchmarkError(
                    f"{path}: is of another run (device, models or options differ); remove it"
                )
            records.append({"asked": record["asked"], "reply": dict(record["reply"])})
        except (ValueError, TypeError, KeyError) as err:
            raise BenchmarkError(f"{path}, line {number}: no reply of a device; remove it") from err
    return records
