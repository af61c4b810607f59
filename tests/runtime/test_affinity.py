"""`affinity`: the cores asked for, or an error; never fewer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgeface.errors import DeviceError
from edgeface.runtime.affinity import pin_to_cores

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to cores"
)


def test_the_process_and_its_threads_run_there() -> None:
    core = max(os.sched_getaffinity(0))
    code = (
        "import os; from concurrent.futures import ThreadPoolExecutor\n"
        "from edgeface.runtime.affinity import pin_to_cores\n"
        f"print(pin_to_cores([{core}]))\n"
        "print(ThreadPoolExecutor(1).submit(os.sched_getaffinity, 0).result())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [f"({core},)", f"{{{core}}}"]


def test_without_cores_the_kernel_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    assert pin_to_cores(()) is None


def test_a_core_that_is_not_there_is_refused_though_another_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2})
    monkeypatch.delattr(os, "sched_setaffinity")
    with pytest.raises(DeviceError, match="this system cannot"):
        pin_to_cores([0])
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: None, raising=False)
    with pytest.raises(DeviceError, match=r"found 0, 7, expected some of .*: 0, 2$"):
        pin_to_cores([7, 0])
    assert pin_to_cores([2, 0]) == (0, 2)


def test_a_kernel_that_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: int, cores: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    core = min(os.sched_getaffinity(0))
    with pytest.raises(DeviceError, match=f"cannot bind to {core} .Invalid argument"):
        pin_to_cores([core])
