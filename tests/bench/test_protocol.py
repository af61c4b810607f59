"""The rules of a benchmark are checked where they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgeface.bench.protocol import BenchProtocol


def test_defaults_are_those_of_the_design() -> None:
    protocol = BenchProtocol()
    assert (protocol.warmup_runs, protocol.min_runs, protocol.min_duration_s) == (10, 200, 10.0)
    assert (protocol.threads, protocol.repeats) == (1, 3)
    assert (protocol.cores, protocol.sample_interval_s) == (None, 1.0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"threads": 0}, "threads is 0, expected 1 to 64"),
        ({"warmup_runs": -1}, "warmup_runs is -1"),
        ({"min_runs": 0}, "min_runs is 0"),
        ({"min_duration_s": -0.1}, "min_duration_s is -0.1"),
        ({"min_duration_s": math.nan}, "min_duration_s is nan"),
        ({"repeats": 0}, "repeats is 0"),
        ({"sample_interval_s": -1}, "sample_interval_s is -1"),
        ({"sample_interval_s": math.nan}, "sample_interval_s is nan"),
        ({"cores": ()}, "cores is none, expected one or more"),
        ({"cores": (1, 0)}, "cores is 1, 0, expected one or more, each once and in order"),
        ({"cores": (1, 1)}, "cores is 1, 1, expected"),
        ({"cores": (-1,)}, "cores is -1, expected 0 to 1023"),
    ],
)
def test_out_of_range_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        BenchProtocol(**changes)
