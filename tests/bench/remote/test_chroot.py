"""A system in a folder; here the folder is this machine's own root, which needs no emulator."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from edgeface.bench.remote.chroot import ChrootTransport, enter
from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.transport import Transport
from edgeface.errors import DeviceError
from support.sshd import lives, wait_until

MANY = bytes(range(256)) * 20_000  # 5 MB
HERE = DeviceSpec(kind="chroot", root="/", arch="arm64")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")


@pytest.fixture
def system() -> ChrootTransport:
    return enter("emulated", HERE)


@as_root
def test_it_is_a_transport(system: ChrootTransport) -> None:
    transport: Transport = system
    assert transport.where == "emulated (/)"
    transport.close()


@as_root
def test_commands_run_in_roots_home_with_nothing_of_this_environment(
    system: ChrootTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/here")
    assert system.run(["pwd"], timeout_s=60).stdout == b"/root\n"
    lines = system.run(["env"], timeout_s=60).stdout.decode().splitlines()
    assert sorted(line.partition("=")[0] for line in lines) == ["HOME", "PATH"]


@as_root
def test_words_status_and_outputs(system: ChrootTransport) -> None:
    words = ["two words", "it's", "a\nb", "", "$HOME", "*"]
    done = system.run(["printf", "%s\\0", *words], timeout_s=60)
    assert done.stdout.decode().split("\0") == [*words, ""]
    done = system.run(["sh", "-c", "printf out; printf err >&2; exit 3"], timeout_s=60)
    assert (done.status, done.stdout, done.stderr) == (3, b"out", b"err")
    assert system.run(["sh", "-c", "kill -9 $$"], timeout_s=60).status == -9
    assert system.run(["no-such-program"], timeout_s=60).status == 127


@as_root
def test_much_input_and_output(system: ChrootTransport) -> None:
    done = system.run(["tee", "/dev/stderr"], stdin=MANY, timeout_s=120)
    assert done.stdout == done.stderr == MANY


@as_root
def test_a_command_that_takes_too_long_is_killed(system: ChrootTransport, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = 'sleep 1000 & echo $! >"$1"; wait'
    for seconds in (2, 20, 200):  # it must have started: a busy machine needs longer
        with pytest.raises(DeviceError, match=rf"emulated \(/\): sh -c … .* within {seconds} s"):
            system.run(["sh", "-c", script, "test", str(pid_file)], timeout_s=seconds)
        if pid_file.exists() and pid_file.read_text("utf-8"):
            break
    wait_until(lambda: not lives(int(pid_file.read_text("utf-8"))))


@as_root
def test_files_go_in_and_out(system: ChrootTransport, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "-it's"
    system.put(MANY, str(target))
    assert system.get(str(target)) == MANY
    source = tmp_path / "source"
    source.write_bytes(MANY[1:])
    system.put(source, str(target))
    assert target.read_bytes() == MANY[1:]
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    with pytest.raises(DeviceError, match=r"missing cannot be read: .*No such file"):
        system.get(str(tmp_path / "missing"))
    with pytest.raises(DeviceError, match="missing: cannot be read"):
        system.put(tmp_path / "missing", str(target))
    with pytest.raises(DeviceError, match=r"source/x cannot be written: .*File exists"):
        system.put(b"x", str(source / "x"))


@as_root
def test_a_folder_without_a_system_says_how_to_make_it(tmp_path: Path) -> None:
    spec = DeviceSpec(kind="chroot", root=str(tmp_path), arch="armhf")
    with pytest.raises(DeviceError) as caught:
        enter("emulated", spec)
    setup = f"make it: sudo benchmarks/emulated/setup.sh armhf {tmp_path}"
    assert f"emulated ({tmp_path}): there is no system in this folder; {setup}" in str(caught.value)


@as_root
def test_a_system_that_this_machine_cannot_run_says_what_to_do(tmp_path: Path) -> None:
    for name in ("usr/bin/env", "bin/sh"):  # what the kernel refuses, the C library gives to sh
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_bytes(b"\x7fELF of a processor that does not exist")
        program.chmod(0o755)
    spec = DeviceSpec(kind="chroot", root=str(tmp_path), arch="arm64")
    with pytest.raises(DeviceError, match=r"does not run: .*Exec format error; set it up again: "):
        enter("emulated", spec)


def test_only_root_can_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DeviceError, match="needs root, because of chroot: run edgeface with sudo"):
        enter("emulated", HERE)


def test_a_machine_without_chroot(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "chroot")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "Popen", missing)
    with pytest.raises(DeviceError, match="chroot cannot be started here: "):
        enter("emulated", HERE)
