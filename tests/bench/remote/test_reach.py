"""Which transport a kind of device gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.reach import reach
from edgeface.errors import DeviceError
from support.sshd import Sshd


def test_ssh(sshd: Sshd) -> None:
    transport = reach("pi", sshd.spec())
    assert transport.run(["echo", "here"], timeout_s=60).stdout == b"here\n"
    transport.close()


def test_chroot() -> None:
    spec = DeviceSpec(kind="chroot", root="/no/such/folder", arch="arm64")
    with pytest.raises(DeviceError, match=r"emulated \(/no/such/folder\): "):
        reach("emulated", spec)


@pytest.mark.parametrize("kind", ["local", "adb"])
def test_other_kinds_run_no_commands(kind: str) -> None:
    with pytest.raises(DeviceError, match=f"x: is of kind '{kind}', expected ssh or chroot"):
        reach("x", DeviceSpec(kind=kind))  # type: ignore[arg-type]  # of the list above


def test_without_paramiko_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("edgeface.bench.remote.ssh")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "edgeface.bench.remote.known_hosts", raising=False)
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(DeviceError, match=r"paramiko is not installed.*edgeface\[remote\]"):
        reach("pi", DeviceSpec(kind="ssh", host="pi"))


def test_only_ssh_imports_paramiko() -> None:
    code = (
        "import sys, edgeface.bench.remote.reach, edgeface.bench.remote.chroot, "
        "edgeface.bench.remote.recorded; sys.exit('paramiko' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
