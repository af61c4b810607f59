"""Running a `.tflite` on many images, on all cores, and keeping something of each run.

In: a file, images or values of its input tensor. Out: what `measure` makes of the outputs, in the
order of the images, the same on any number of cores. Does not know what the outputs mean.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.interpreter import LoadedModel, invoke, open_model, set_input
from edgeface.types import Advance, TensorSpec

CHUNK_IMAGES = 16
"""Images that a thread takes at a time. Chosen: a bar moves often, and two threads end together."""

MAX_THREADS = 8
"""Chosen: each thread holds a copy of the weights and of all activations."""

Outputs = Mapping[str, tuple[NDArray[Any], TensorSpec]]
"""By tensor name: the raw value with its batch of 1, and the tensor."""

T = TypeVar("T")


def run_each(
    content: bytes,
    values: NDArray[Any],
    measure: Callable[[Outputs], T],
    *,
    where: str,
    feed: Callable[[LoadedModel, NDArray[Any]], None] = set_input,
    advance: Advance | None = None,
) -> Iterator[T]:
    """Run a model on each image, and measure its outputs.

    Args:
        content: a `.tflite`.
        values: [N, ...], what `feed` puts in: uint8 images [N, side, side, 3] by default.
        measure: is given the outputs of one run, from several threads at once.
        where: names the model in messages.
        feed: puts one of `values` into the input.
        advance: moves a progress bar of N steps.

    Yields:
        N results, in order.

    Raises:
        ArtifactError: the runtime refuses the file or fails.
        DataError: an image is not what the input takes.

    Source:
        One interpreter a thread: the runtime lets go of Python's lock while it computes. Kernels
        and batch size are those of the device, so that the values are, too; two threads of one
        interpreter are slower than two interpreters on layers as small as these.
    """
    own = threading.local()  # an interpreter is not for two threads at once

    def work(chunk: NDArray[Any]) -> list[T]:
        if not hasattr(own, "model"):
            own.model = open_model(content, where=where)
        return [measure(_run(own.model, value, feed)) for value in chunk]

    chunks = [values[i : i + CHUNK_IMAGES] for i in range(0, len(values), CHUNK_IMAGES)]
    threads = max(1, min(len(chunks), os.cpu_count() or 1, MAX_THREADS))
    with ThreadPoolExecutor(threads) as pool:
        for part in pool.map(work, chunks):
            yield from part
            if advance:
                advance(len(part))


def set_raw(model: LoadedModel, value: NDArray[Any]) -> None:
    """Put a raw value, with its batch of 1, into the input tensor as it is."""
    model.interpreter.set_tensor(model.input_index, value)


def _run(
    model: LoadedModel, value: NDArray[Any], feed: Callable[[LoadedModel, NDArray[Any]], None]
) -> Outputs:
    feed(model, value)
    invoke(model)
    return {
        spec.name: (np.asarray(model.interpreter.get_tensor(model.output_indices[spec.name])), spec)
        for spec in model.outputs
    }
