"""A `Transport` into a folder of this machine that holds a system of another processor.

In: a `DeviceSpec` of kind "chroot". Out: `ChrootTransport`. The kernel runs its programs by qemu
(`benchmarks/emulated/setup.sh` sets it up); needs root. Its times are never a device's.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.shell import (
    GET_TIMEOUT_S,
    check_get,
    check_put,
    get_command,
    put_command,
    put_timeout_s,
    said,
)
from edgeface.bench.remote.transport import Finished, Sent, uncounted
from edgeface.errors import DeviceError

_HOME = "/root"
# Source: Debian's /etc/login.defs, ENV_SUPATH
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FIRST_S = 60.0  # chosen: the emulator starts a program in well under a second


def enter(name: str, spec: DeviceSpec) -> ChrootTransport:
    """Reach the system in a folder.

    Args:
        name: of the device, for messages.
        spec: names the folder.

    Raises:
        DeviceError: not root, or the folder does not run; has the command that sets it up.
    """
    root = Path(spec.root).expanduser()
    where = f"{name} ({root})"
    if os.geteuid() != 0:
        raise DeviceError(f"{where}: needs root, because of chroot: run edgeface with sudo")
    setup = shlex.join(["sudo", "benchmarks/emulated/setup.sh", spec.arch, str(root)])
    if not (root / "usr" / "bin" / "env").exists():
        raise DeviceError(f"{where}: there is no system in this folder; make it: {setup}")
    transport = ChrootTransport(where, root)
    try:
        done = transport.run(["true"], timeout_s=_FIRST_S)
    except OSError as err:
        raise DeviceError(f"{where}: chroot cannot be started here: {err}") from err
    if done.status:
        # e.g. "Exec format error": a restart of the machine undoes what setup.sh registered
        raise DeviceError(f"{where}: does not run: {said(done.stderr)}; set it up again: {setup}")
    return transport


class ChrootTransport:
    """A system in a folder; see `Transport`. Made by `enter`."""

    def __init__(self, where: str, root: Path) -> None:
        """Take a folder that is known to run."""
        self._where = where
        self._root = root

    @property
    def where(self) -> str:
        """The device for messages."""
        return self._where

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command; see `Transport`."""
        return self._run(command, stdin, timeout_s)

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        """Write a file; see `Transport`."""
        if isinstance(content, bytes):
            size_bytes = len(content)
            done = self._put(content, size_bytes, path)
        else:
            try:
                with content.open("rb") as file:
                    size_bytes = os.fstat(file.fileno()).st_size
                    done = self._put(file, size_bytes, path)
            except OSError as err:
                raise DeviceError(f"{content}: cannot be read: {err}") from err
        check_put(self.where, path, size_bytes, done)
        sent(size_bytes)

    def get(self, path: str) -> bytes:
        """Read a file; see `Transport`."""
        done = self.run(get_command(path), timeout_s=GET_TIMEOUT_S)
        return check_get(self.where, path, done)

    def close(self) -> None:
        """Do nothing: a folder need not be let go of."""

    def _put(self, content: bytes | IO[bytes], size_bytes: int, path: str) -> Finished:
        return self._run(put_command(path, size_bytes), content, put_timeout_s(size_bytes))

    def _run(self, command: Sequence[str], stdin: bytes | IO[bytes], timeout_s: float) -> Finished:
        # nothing of this machine's environment is the device's, but for what setup.sh has written
        # there: QEMU_CPU, because qemu's default processor computes wrong int8 results
        home = ["/usr/bin/env", "-i", "-C", _HOME, f"HOME={_HOME}", f"PATH={_PATH}"]
        clean = [*home, *_environment(self._root)]
        process = subprocess.Popen(
            ["chroot", str(self._root), *clean, *command],
            stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(
                stdin if isinstance(stdin, bytes) else None, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as err:
            raise DeviceError(
                f"{self.where}: {shlex.join(command[:2])} … did not end within {timeout_s:g} s and "
                "was killed"
            ) from err
        finally:
            if process.returncode is None:  # too late, or an interrupt
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return Finished(status=process.returncode, stdout=stdout, stderr=stderr)


def _environment(root: Path) -> list[str]:
    path = root / "etc" / "environment"
    return path.read_text("utf-8").split() if path.is_file() else []
