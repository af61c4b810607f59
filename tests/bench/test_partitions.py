"""The runtime's nodes become partitions only where they tell for sure; a crash is an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeface.bench import partitions
from edgeface.bench.model_graph import ModelGraph, ModelOperator
from edgeface.bench.model_parse import parse_model
from edgeface.bench.partitions import ProbeReply, RuntimeView, read_view, run_probe
from edgeface.runtime.artifact import Artifact

MakeArtifact = Callable[..., Artifact]


def chain(*kinds: str) -> ModelGraph:
    """Operators in a row: tensor 0 goes in, tensor i + 1 is what operator i gives."""
    operators = tuple(
        ModelOperator(
            kind=kind,
            inputs=(i,),
            outputs=(i + 1,),
            activation="NONE",
            padding="",
            stride=(1, 1),
        )
        for i, kind in enumerate(kinds)
    )
    return ModelGraph(
        tensors=(),
        operators=operators,
        inputs=(0,),
        outputs=(len(kinds),),
        signature_names=(),
        subgraphs=1,
        weights_bytes=0,
    )


def node(kind: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"kind": kind, "inputs": inputs, "outputs": outputs}


def opened(graph: ModelGraph, *delegates: dict[str, Any], stderr: str = "") -> RuntimeView:
    own = [node(each.kind, list(each.inputs), list(each.outputs)) for each in graph.operators]
    return answered(graph, [*own, *delegates], stderr)


def answered(graph: ModelGraph, nodes: Any, stderr: str = "") -> RuntimeView:
    answer = {"runtime": "r", "runtime_version": "1", "nodes": nodes}
    return read_view(ProbeReply(status=0, stdout=json.dumps(answer), stderr=stderr), graph)


GRAPH = chain("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MEAN", "CUSTOM Mine")


def test_two_partitions_around_what_the_delegate_left() -> None:
    view = opened(
        GRAPH,
        node("DELEGATE", [0], [1]),
        node("DELEGATE", [2], [4]),
        stderr="INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n",
    )
    assert view == RuntimeView(
        state="opened",
        runtime="r",
        runtime_version="1",
        delegate="XNNPACK",
        partitions=((0,), (2, 3)),
        outside=(1, 4),
    )


def test_no_delegate_means_all_outside() -> None:
    view = opened(GRAPH)
    assert (view.partitions, view.outside, view.delegate) == ((), (0, 1, 2, 3, 4), "")


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        (None, "does not tell what its delegate takes"),
        ([node("ADD", [0], [1])], "not the file's operators"),
        ([node(each.kind, [], []) for each in chain(*"ABCDE").operators], "not the file's"),
    ],
)
def test_other_nodes_are_not_known(nodes: Any, why: str) -> None:
    view = answered(GRAPH, nodes)
    assert (view.state, view.partitions, view.outside) == ("opened", None, None)
    assert why in view.reason


@pytest.mark.parametrize(
    "extra",
    [
        (node("WHILE", [0], [1]),),  # appended, but no partition
        (node("DELEGATE", [0], [2]), node("DELEGATE", [1], [3])),  # operator 1 would be in both
    ],
)
def test_doubtful_partitions_are_not_known(extra: tuple[dict[str, Any], ...]) -> None:
    assert opened(GRAPH, *extra).partitions is None


def test_an_operator_that_leads_nowhere_is_not_known() -> None:
    """The walk from a partition's outputs cannot meet it, so its place cannot be told."""
    graph = replace(GRAPH, outputs=(3,))
    assert opened(graph, node("DELEGATE", [0], [3])).partitions is None


@pytest.mark.parametrize(
    ("reply", "state", "reason"),
    [
        (ProbeReply(status=-6, stdout="", stderr=""), "crashed", "SIGABRT"),
        (ProbeReply(status=-199, stdout="", stderr=""), "crashed", "signal 199"),
        (ProbeReply(status=None, stdout="", stderr=""), "crashed", "no answer within 60 s"),
        (ProbeReply(status=1, stdout="", stderr="a\nDeviceError: none\n"), "not asked", "none"),
        (ProbeReply(status=1, stdout="[]", stderr=""), "not asked", "exit status 1"),
    ],
)
def test_what_is_no_answer(reply: ProbeReply, state: str, reason: str) -> None:
    view = read_view(reply, GRAPH)
    assert view.state == state
    assert reason in view.reason
    assert view.partitions is None


def test_the_real_runtime_takes_the_tiny_model_whole(make_artifact: MakeArtifact) -> None:
    content = make_artifact("tiny").content
    view = read_view(run_probe(content), parse_model(content, "tiny"))
    assert (view.state, view.delegate) == ("opened", "XNNPACK")
    assert view.partitions == ((0, 1, 2),)
    assert view.outside == ()


def test_the_real_runtime_refuses_a_header_alone() -> None:
    view = read_view(run_probe(b"\x1c\0\0\0TFL3"), GRAPH)
    assert view.state == "refused"
    assert view.reason


def test_a_process_that_dies_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -ABRT $$\n", "ascii")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    assert run_probe(b"").status == -6


def test_no_interpreter_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    view = read_view(run_probe(b""), GRAPH)
    assert view.state == "not asked"
    assert "cannot start" in view.reason


def test_a_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n", "ascii")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(partitions, "TIMEOUT_S", 0.2)
    assert run_probe(b"").status is None


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch, make_artifact: MakeArtifact) -> None:
    content = make_artifact("tiny", side_px=4096).content  # its input takes 201 MB
    graph = parse_model(content, "tiny")
    assert read_view(run_probe(content), graph).state == "opened"
    monkeypatch.setattr(partitions, "MEMORY_BASE_BYTES", 1)
    monkeypatch.setattr(partitions, "MEMORY_TO_FILE_RATIO", 0)
    assert read_view(run_probe(content), graph).state in ("refused", "crashed")
