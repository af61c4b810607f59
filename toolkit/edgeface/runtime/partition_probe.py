"""Opens one `.tflite` in a process of its own and says what the runtime makes of it.

In: `python -m edgeface.runtime.partition_probe LIMIT_BYTES < MODEL.tflite`. Out: one JSON object on
stdout: the runtime and its version, and the nodes it holds, as {"kind", "inputs", "outputs"}, or
{"refused": TEXT}. The bytes are native code's input and may end the process: that is why there is
one. What the runtime says on stderr is the caller's to read. `runner partitions` gives the same of
a file on a device.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any, Dict, Mapping, Sequence

from edgeface.runtime.interpreter import (
    RUNTIMES,
    one_line,
    read_nodes,
    runtime_name_and_version,
)


def main(arguments: Sequence[str]) -> int:
    """Answer for the model on stdin.

    Args:
        arguments: how many bytes of address space the process may take.

    Returns:
        Exit status 0, also where the runtime refuses the file.

    Raises:
        DeviceError: no runtime is installed.
    """
    content = sys.stdin.buffer.read()
    runtime_name_and_version()  # loaded before the limit, which is for the model
    _limit_memory(int(arguments[0]))
    sys.stdout.write(json.dumps(ask_runtime(content)))
    return 0


def ask_runtime(content: bytes) -> Dict[str, Any]:
    """Open a model and tell which nodes the runtime made of it. May end the process.

    Args:
        content: of the `.tflite`.

    Returns:
        "runtime" and "runtime_version"; then "refused" with the runtime's error, or "nodes": the
        operators in the file's order and after them one "DELEGATE" a partition, each with "kind",
        "inputs" and "outputs" (tensor indices); None where this runtime does not tell them.

    Raises:
        DeviceError: no runtime is installed.
    """
    name, version = runtime_name_and_version()
    return {"runtime": name, "runtime_version": version, **_open(name, content)}


def _open(runtime: str, content: bytes) -> Dict[str, Any]:
    module = next(module for name, _, module in RUNTIMES if name == runtime)
    try:
        interpreter = importlib.import_module(module).Interpreter(
            model_content=content, num_threads=1
        )
        interpreter.allocate_tensors()  # here the default delegate takes its operators
    except (ValueError, RuntimeError, MemoryError) as err:
        return {"refused": one_line(err) or type(err).__name__}
    return {"nodes": read_nodes(interpreter, _node)}


def _node(details: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "kind": str(details["op_name"]),
        "inputs": [int(index) for index in details["inputs"]],
        "outputs": [int(index) for index in details["outputs"]],
    }


def _limit_memory(limit_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none: there the time limit alone protects
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
