"""Workers as processes of their own: killed with SIGKILL, and two on one study."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search.fakes import REFERENCE, SPACE

WORKER = Path(__file__).with_name("fake_worker.py")
NAMES = {candidate.name for candidate in (REFERENCE, *SPACE.candidates)}
PATIENCE_S = 120.0  # after which a test fails; no test waits so long when all is well


@contextmanager
def worker(folder: Path, name: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", str(WORKER), str(folder), name, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        time.sleep(0.02)


def log(folder: Path) -> list[list[str]]:
    file = folder / "log"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def of(what: str, lines: list[list[str]]) -> list[str]:
    return [name for event, _, name in lines if event == what]


def test_a_killed_search_goes_on_and_repeats_only_what_was_in_work(tmp_path: Path) -> None:
    with worker(tmp_path, "A", "--hang", "5") as first:
        until("five begun", lambda: len(of("begin", log(tmp_path))) == 5)
        first.kill()  # SIGKILL
        assert first.wait(PATIENCE_S) == -9
    before = log(tmp_path)
    interrupted = of("begin", before)[-1]
    settled = set(of("end", before) + of("stop", before))
    assert len(settled) == 4
    assert interrupted not in settled
    # as a worker leaves it that is killed while it writes
    with (tmp_path / "search" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"op_code":8,"worker_id":"gone","trial')

    with worker(tmp_path, "B") as second:
        chosen, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0
    assert chosen == "mobilenetv2-a50-128px-p30-int8"
    after = log(tmp_path)[len(before) :]
    assert not settled & set(of("begin", after))
    assert of("begin", after).count(interrupted) == 1
    both = of("end", before + after) + of("stop", before + after)
    assert sorted(both) == sorted(NAMES)

    with worker(tmp_path, "C") as third:
        assert third.communicate(timeout=PATIENCE_S)[0] == chosen
    assert not [line for line in log(tmp_path) if line[1] == "C"], "nothing is left to do"


def test_two_workers_on_one_study_share_the_candidates(tmp_path: Path) -> None:
    with worker(tmp_path, "A", "--gate") as one, worker(tmp_path, "B", "--gate") as other:
        # the gate holds each in its first candidate, so both surely work at the same time
        until("both at work", lambda: len(of("begin", log(tmp_path))) == 3)
        assert {who for _, who, name in log(tmp_path) if name != REFERENCE.name} == {"A", "B"}
        (tmp_path / "go").touch()
        chosen = [each.communicate(timeout=PATIENCE_S)[0] for each in (one, other)]
        assert [one.returncode, other.returncode] == [0, 0]
    assert chosen == ["mobilenetv2-a50-128px-p30-int8"] * 2
    begun = of("begin", log(tmp_path))
    assert sorted(begun) == sorted(NAMES), "each once, the reference too"


def test_a_worker_takes_over_from_one_that_is_killed_beside_it(tmp_path: Path) -> None:
    with worker(tmp_path, "A", "--gate") as killed, worker(tmp_path, "B", "--gate") as other:
        until("both at work", lambda: len(of("begin", log(tmp_path))) == 3)
        killed.kill()
        killed.wait(PATIENCE_S)
        begun = [(who, name) for event, who, name in log(tmp_path) if event == "begin"]
        (held,) = (name for who, name in begun if who == "A" and name != REFERENCE.name)
        (tmp_path / "go").touch()
        other.communicate(timeout=PATIENCE_S)
        assert other.returncode == 0
    lines = log(tmp_path)
    assert ["begin", "B", held] in lines
    assert sorted(of("end", lines) + of("stop", lines)) == sorted(NAMES)
