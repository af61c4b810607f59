"""What all callers of `edgeface.runtime.runner` share: how long it may take, and how it answers.

In: the JSON object that a process printed. Out: the record that was agreed on, strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from edgeface.errors import BenchmarkError
from edgeface.records import RecordError, from_mapping

SLOWEST_INFERENCE_S = 20.0
"""What takes longer counts as hung. Chosen: VGG16 at 224 px is 15.5e9 MACs, 16 s at 1e9 MACs/s."""

START_S = 60.0
"""For a process to start and open its model. Chosen: half a gigabyte from an SD card."""

T = TypeVar("T")


def parse_reply(cls: type[T], where: str, reply: Mapping[str, Any]) -> T:
    """Turn an answer into its record.

    Args:
        cls: dataclass of the answer.
        where: model or measurement, for messages.
        reply: what the process printed.

    Raises:
        BenchmarkError: it is not of that form; lists every problem.
    """
    try:
        return from_mapping(cls, reply)
    except RecordError as err:
        raise BenchmarkError(f"{where}: the runner's answer is not as agreed: {err}") from err
