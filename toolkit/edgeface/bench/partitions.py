"""What the delegate of this machine's runtime takes of a model, as the runtime itself has it.

In: the bytes of a `.tflite` and its parsed graph. Out: `RuntimeView`: whether the runtime opens the
file, and which operators run in which partition. The runtime is asked in a process of its own, so
that a file that makes it abort ends that process and not this one.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeface.bench.model_graph import ModelGraph
from edgeface.records import RecordError, from_mapping

TIMEOUT_S = 60.0  # chosen: VGG16, half a gigabyte, opens in 2 s here; a slow board may take 20
# Chosen: the runtime's libraries map 2 GB themselves; weights are held as read, and packed again
# by the delegate, float ones of an int8 or fp16 file at up to four times their stored size.
MEMORY_BASE_BYTES = 6 << 30
MEMORY_TO_FILE_RATIO = 8

_DELEGATE_NAME = re.compile(r"Created (?:TensorFlow Lite )?(.{1,40}?) delegate for CPU")


@dataclass(frozen=True, kw_only=True)
class RuntimeView:
    """What one runtime made of a model.

    Attributes:
        state: "opened"; "refused": it gave an error; "crashed": its process ended or hung;
            "not asked": no runtime is there, or it cannot be started.
        reason: in words, where it is not "opened" or the partitions are not known.
        runtime: package; empty where none answered.
        runtime_version: of it.
        delegate: as the runtime called it when it opened the file; empty where it said none.
        partitions: for each delegated part, the operators in it, by index; None where not known.
        outside: operators that the runtime's own kernels run; None where not known.
    """

    state: Literal["opened", "refused", "crashed", "not asked"]
    reason: str = ""
    runtime: str = ""
    runtime_version: str = ""
    delegate: str = ""
    partitions: tuple[tuple[int, ...], ...] | None = None
    outside: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ProbeReply:
    """How the probe's process ended.

    Attributes:
        status: exit status; negative is the signal that killed it; None: no end within the time.
        stdout: one JSON object where all went well.
        stderr: what the runtime said.
    """

    status: int | None
    stdout: str
    stderr: str


Probe = Callable[[bytes], ProbeReply]
"""Opens a model in a process of its own: `run_probe`, or a stand-in."""


@dataclass(frozen=True, kw_only=True)
class _Node:
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    runtime: str
    runtime_version: str
    refused: str = ""
    nodes: tuple[_Node, ...] | None = None


def run_probe(content: bytes) -> ProbeReply:
    """Open a model in a fresh process.

    Args:
        content: of the `.tflite`.

    Returns:
        How it ended; never an error, because a crash is an answer too.
    """
    limit_bytes = MEMORY_BASE_BYTES + MEMORY_TO_FILE_RATIO * len(content)
    command = [sys.executable, "-m", "edgeface.runtime.partition_probe", str(limit_bytes)]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return ProbeReply(status=None, stdout="", stderr="")
    except OSError as err:
        return ProbeReply(status=1, stdout="", stderr=f"cannot start {sys.executable}: {err}")
    return ProbeReply(
        status=done.returncode,
        stdout=done.stdout.decode("utf-8", "replace"),
        stderr=done.stderr.decode("utf-8", "replace"),
    )


def read_view(reply: ProbeReply, graph: ModelGraph) -> RuntimeView:
    """Turn the probe's answer into what it means for the graph.

    Args:
        reply: of `run_probe`.
        graph: of the same bytes.

    Returns:
        The view; what the answer does not tell for sure is None, with the reason.
    """
    if reply.status is None:
        return RuntimeView(state="crashed", reason=f"no answer within {TIMEOUT_S:.0f} s")
    if reply.status < 0:
        return RuntimeView(state="crashed", reason=f"killed by {_signal_name(-reply.status)}")
    try:
        answer = from_mapping(_Answer, json.loads(reply.stdout))
    except (ValueError, RecordError):
        last = reply.stderr.strip().splitlines()[-1:] or [f"exit status {reply.status}"]
        return RuntimeView(state="not asked", reason=last[0].strip())
    if answer.refused:
        return RuntimeView(
            state="refused",
            reason=answer.refused,
            runtime=answer.runtime,
            runtime_version=answer.runtime_version,
        )
    named = _DELEGATE_NAME.search(reply.stderr)
    partitions, outside, reason = _partitions(answer.nodes, graph)
    return RuntimeView(
        state="opened",
        reason=reason,
        runtime=answer.runtime,
        runtime_version=answer.runtime_version,
        delegate=named.group(1) if named else "",
        partitions=partitions,
        outside=outside,
    )


_Parts = tuple[tuple[tuple[int, ...], ...] | None, tuple[int, ...] | None, str]


def _partitions(nodes: tuple[_Node, ...] | None, graph: ModelGraph) -> _Parts:
    """Find the operators that each DELEGATE node stands for.

    The runtime keeps the operators as its first nodes, in the file's order, and appends one node a
    partition with the partition's outer inputs and outputs. Walking from these outputs against the
    flow until these inputs meets exactly the operators inside.
    """
    count = len(graph.operators)
    if nodes is None:
        return None, None, "this runtime does not tell what its delegate takes"
    kinds = [operator.kind for operator in graph.operators]
    found = [node.kind for node in nodes[:count]]
    same = len(found) == count and all(
        kind == name or kind.startswith(("CUSTOM", "operator"))
        for kind, name in zip(kinds, found, strict=True)
    )
    delegated = nodes[count:]
    if not same or any(node.kind != "DELEGATE" for node in delegated):
        return None, None, "the runtime's nodes are not the file's operators and partitions"
    writers = {t: i for i, node in enumerate(nodes[:count]) for t in node.outputs}
    partitions = tuple(_inside(node, nodes, writers) for node in delegated)
    taken = [i for part in partitions for i in part]
    reached = _reached(graph, writers)
    if len(set(taken)) < len(taken) or not set(range(count)) <= reached:
        return None, None, "the runtime's nodes do not tell where each operator runs"
    return partitions, tuple(sorted(set(range(count)) - set(taken))), ""


def _inside(part: _Node, nodes: tuple[_Node, ...], writers: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(sorted(_walk(part.outputs, frozenset(part.inputs), nodes, writers)))


def _reached(graph: ModelGraph, writers: Mapping[int, int]) -> set[int]:
    return _walk(graph.outputs, frozenset(), graph.operators, writers)


def _walk(
    start: tuple[int, ...], stop: frozenset[int], nodes: Any, writers: Mapping[int, int]
) -> set[int]:
    inside: set[int] = set()
    open_tensors = list(start)
    while open_tensors:
        tensor = open_tensors.pop()
        if tensor in stop or tensor not in writers or writers[tensor] in inside:
            continue
        inside.add(writers[tensor])
        open_tensors += nodes[writers[tensor]].inputs
    return inside


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
