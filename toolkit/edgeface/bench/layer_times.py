"""How long each layer takes on this machine, each in a `.tflite` of its own.

In: a file a layer. Out: milliseconds by layer. MACs mislead: a depthwise layer has few and takes
long. What runs in one network may overlap or share caches, so the sum is not the network's latency;
it says where channels cost time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeface.errors import BenchmarkError
from edgeface.records import RecordError, from_mapping, write_json
from edgeface.runtime.interpreter import open_model, run
from edgeface.types import Reporter

# chosen: a layer takes 2 to 100 µs on a desktop and 20 times as much on a board; 30 ms and at
# least 50 runs put the median's own noise below a tenth here, and 60 layers within 4 seconds
WARM_UP_RUNS = 5
LEAST_RUNS = 50
LEAST_SECONDS = 0.03


@dataclass(frozen=True, kw_only=True)
class LayerTimes:
    """The file of times.

    Attributes:
        layer_ms: milliseconds by layer name.
    """

    layer_ms: dict[str, float]

    def __post_init__(self) -> None:
        """Check that each is a time."""
        bad = [name for name, ms in self.layer_ms.items() if not 0 < ms < math.inf]
        if bad or not self.layer_ms:
            raise ValueError(f"layer_ms: {bad[0] if bad else 'no layer'}, expected milliseconds")


def read_layer_times(path: Path) -> dict[str, float]:
    """Read times that were measured before.

    Raises:
        BenchmarkError: no such file, or not one of times.
    """
    try:
        return from_mapping(LayerTimes, json.loads(path.read_text("utf-8"))).layer_ms
    except (OSError, RecordError, ValueError, RecursionError) as err:
        raise BenchmarkError(
            f"layer times {path}: cannot be read ({err}); expected the file that `compress` keeps "
            "with the budget 'latency'"
        ) from err


def write_layer_times(path: Path, layer_ms: Mapping[str, float]) -> None:
    """Keep times for a resumed run, or to be given to another one.

    Raises:
        BenchmarkError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, LayerTimes(layer_ms=dict(layer_ms)))
    except OSError as err:
        raise BenchmarkError(f"layer times {path}: cannot be written: {err.strerror}") from err


def layer_times(files: Mapping[str, bytes], reporter: Reporter) -> dict[str, float]:
    """Time each layer, one thread; equal files are timed once.

    Args:
        files: by layer name, a `.tflite` of that layer alone.
        reporter: shows progress.

    Returns:
        Milliseconds by layer name, median over the runs.

    Raises:
        ArtifactError: a file cannot be run.
    """
    known: dict[bytes, float] = {}
    times: dict[str, float] = {}
    with reporter.track("timing layers", len(files)) as advance:
        for name, content in files.items():
            if content not in known:
                known[content] = _median_ms(name, content)
            times[name] = known[content]
            advance(1)
    return times


def _median_ms(name: str, content: bytes) -> float:
    model = open_model(content, where=name)
    value = np.zeros(model.input.shape[1:], np.uint8)
    for _ in range(WARM_UP_RUNS):
        run(model, value)
    taken: list[float] = []
    while len(taken) < LEAST_RUNS or sum(taken) < LEAST_SECONDS * 1000:
        start = time.perf_counter()
        run(model, value)
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken))
