"""How edgeface reaches a device: run a command, put a file, get a file, and nothing else.

In: a command as a list of words, or a path on the device. Out: what the command wrote, or the file.
`ssh`, `chroot` and `recorded` are the implementations. Paths without a leading slash are under the
home of the user on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeface.errors import DeviceError

Sent = Callable[[int], None]
"""Told again and again how many more bytes have left."""


def uncounted(size_bytes: int) -> None:
    """Take no notice of bytes that have left."""


class ConnectionLostError(DeviceError):
    """The device stopped answering in the middle; what was finished before is kept."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that ended on the device.

    Attributes:
        status: exit status, 0 to 255; minus the signal's number where a signal ended it.
        stdout: all it wrote there.
        stderr: all it wrote there.
    """

    status: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """A device that answers. Not for two threads at once."""

    @property
    def where(self) -> str:
        """The device for messages, e.g. "rpi (pi@192.0.2.7)"."""
        ...

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command in the user's home and wait for its end.

        Args:
            command: program and arguments, each one word; no shell reads them.
            stdin: what it reads.
            timeout_s: seconds after which it is killed on the device too.

        Returns:
            What it wrote, whatever its exit status.

        Raises:
            ConnectionLostError: the device stopped answering.
            DeviceError: the command did not end in time, or cannot be started.
        """
        ...

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        """Write a file on the device, whole or not at all; makes its folder.

        Args:
            content: the bytes, or a file here that has them.
            path: on the device.
            sent: told of the bytes as they leave, of all of them in the end; only SSH can tell
                before the end.

        Raises:
            ConnectionLostError: the device stopped answering.
            DeviceError: the disk is full, or the folder cannot be written; says which.
        """
        ...

    def get(self, path: str) -> bytes:
        """Read a file of the device.

        Raises:
            ConnectionLostError: the device stopped answering.
            DeviceError: it is not there.
        """
        ...

    def close(self) -> None:
        """Let go of the device; afterwards nothing else may be called."""
        ...


def size_bytes_of(content: bytes | Path) -> int:
    """Count what `put` would send.

    Raises:
        DeviceError: a file here that cannot be read.
    """
    if isinstance(content, bytes):
        return len(content)
    try:
        return content.stat().st_size
    except OSError as err:
        raise DeviceError(f"{content}: cannot be read: {err}") from err
