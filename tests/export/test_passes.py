"""Many runs on several threads: each image's result, in order, the same as alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.export.flatbuffer import activations, read_graph
from edgeface.export.graph_edit import bottlenecks, expose
from edgeface.export.passes import CHUNK_IMAGES, Outputs, run_each, set_raw
from edgeface.runtime.interpreter import open_model, run


def values_of(outputs: Outputs) -> dict[str, NDArray[Any]]:
    return {name: value for name, (value, _) in outputs.items()}


def test_results_are_those_of_single_runs_in_order(
    small: bytes, colours: NDArray[np.uint8]
) -> None:
    assert len(colours) > 2 * CHUNK_IMAGES, "several chunks"
    counted = []
    found = list(
        run_each(
            small, colours, values_of, where="test", advance=lambda n, note="": counted.append(n)
        )
    )
    model = open_model(small, where="test")
    for image, values in zip(colours, found, strict=True):
        for spec, expected in zip(model.outputs, run(model, image), strict=True):
            np.testing.assert_array_equal(values[spec.name], expected)
    assert sum(counted) == len(colours)


def test_an_error_of_a_thread_is_raised(small: bytes, colours: NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match="expected uint8"):
        list(run_each(small, colours[:, :8], values_of, where="test"))


@pytest.mark.parametrize("which", ["small", "int8_content"])
def test_a_file_cut_at_a_bottleneck_computes_the_same(
    which: str, request: pytest.FixtureRequest
) -> None:
    """Both halves, one after the other, give the whole's outputs to the bit, at every cut."""
    content: bytes = request.getfixturevalue(which)
    images: NDArray[np.uint8] = request.getfixturevalue("colours" if which == "small" else "faces")[
        :2
    ]
    graph = read_graph(content)
    outputs = [int(i) for i in graph.outputs]
    made_at = {int(i): at for at, op in enumerate(graph.operators) for i in op.outputs}
    names = {i: graph.tensors[i].name.decode() for i in outputs}
    whole = list(run_each(expose(content, outputs), images, values_of, where="whole"))
    cuts = bottlenecks(content)
    # within a block with a residual two tensors pass
    assert 4 < len(cuts) < len(activations(content))
    for first, passing in list(cuts.items())[:: 1 if which == "small" else 8]:
        before = expose(content, [passing])
        middle = np.stack(
            [next(iter(v.values())) for v in run_each(before, images, values_of, where="before")]
        )
        still = [i for i in outputs if made_at[i] >= first]
        after = expose(content, still, source=passing, first=first)
        ends = run_each(after, middle, values_of, where="after", feed=set_raw)
        for found, expected in zip(ends, whole, strict=True):
            for i in still:
                np.testing.assert_array_equal(found[names[i]], expected[names[i]])
