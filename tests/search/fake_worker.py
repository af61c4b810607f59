"""One worker of a search with a fake evaluator, as a process of its own.

Usage: fake_worker.py FOLDER WORKER [--hang N] [--gate]. It writes a line a candidate to
FOLDER/log: "begin WORKER NAME" and "end WORKER NAME". With `--hang N` it stays in its N-th
evaluation until it is killed. With `--gate` each evaluation but that of the
reference waits for the file FOLDER/go.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from edgeface.search.measured import Cost, Measured
from edgeface.search.run import ReportEpoch, search
from edgeface.search.space import Candidate
from edgeface.types import SilentReporter

sys.path.insert(0, str(Path(__file__).parent.parent))  # as pytest sets it

from search.fakes import REFERENCE, REQUEST, fake_cost, fake_measured

POLL_S = 0.01


class LoggingEvaluator:
    def __init__(self, folder: Path, worker: str, hang: int, gate: bool) -> None:
        self._folder, self._worker, self._hang, self._gate = folder, worker, hang, gate
        self._evaluations = 0

    def cost(self, candidate: Candidate) -> Cost:
        return fake_cost(candidate)

    def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
        self._evaluations += 1
        self._log("begin", candidate)
        gated = self._gate and candidate != REFERENCE
        while gated and not (self._folder / "go").exists():
            time.sleep(POLL_S)
        while self._evaluations == self._hang:
            time.sleep(POLL_S)
        measured = fake_measured(candidate)
        for epoch, mae_years in enumerate(measured.mae_curve_years, start=1):
            if not report_epoch(epoch, mae_years):
                self._log("stop", candidate)
                return None
        self._log("end", candidate)
        return measured

    def _log(self, what: str, candidate: Candidate) -> None:
        with (self._folder / "log").open("a") as log:
            log.write(f"{what} {self._worker} {candidate.name}\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("worker")
    parser.add_argument("--hang", type=int, default=0)
    parser.add_argument("--gate", action="store_true")
    given = parser.parse_args()
    request = replace(REQUEST, folder=given.folder / "search")
    evaluator = LoggingEvaluator(given.folder, given.worker, given.hang, given.gate)
    outcome = search(request, evaluator, SilentReporter(), wait=lambda _: time.sleep(POLL_S))
    sys.stdout.write(outcome.chosen.name if outcome.chosen else "nothing")


if __name__ == "__main__":
    main()
