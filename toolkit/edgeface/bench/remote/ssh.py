"""A `Transport` over SSH, by paramiko.

In: a `DeviceSpec` of kind "ssh". Out: `SshTransport`. A host that is not known, or whose key has
changed, is never logged in to; passwords are neither asked for nor sent.
"""

from __future__ import annotations

import logging
import select
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.shell import (
    GET_TIMEOUT_S,
    KILL_GRACE_S,
    check_get,
    check_put,
    get_command,
    put_command,
    put_timeout_s,
    read_status,
    said,
    wrap,
)
from edgeface.bench.remote.ssh_login import Login, log_in
from edgeface.bench.remote.ssh_settings import read_settings
from edgeface.bench.remote.transport import (
    ConnectionLostError,
    Finished,
    Sent,
    size_bytes_of,
    uncounted,
)
from edgeface.errors import DeviceError

# a lost connection is an error of ours, in one line; paramiko would print its traceback too
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# Chosen: a device without power is noticed in well under a minute, and no board is asleep so long.
_KEEP_ALIVE_S = 10
# Chosen: after its end or its kill, what a command has written must still come over a slow line.
_CLOSING_S = KILL_GRACE_S + 10
_OPEN_S = 30.0  # chosen: a board that swaps takes seconds to start a shell
_PIECE_BYTES = 32_768  # Source: RFC 4253, 6.1: the packet that every server must take
_LOST = (paramiko.SSHException, OSError, EOFError)


def connect(name: str, spec: DeviceSpec) -> SshTransport:
    """Log in to a device.

    Args:
        name: of the device, for messages.
        spec: how to reach it.

    Raises:
        DeviceError: it does not answer, its key is not the known one, or it refuses ours; says
            what to do.
    """
    settings = read_settings(spec)
    login = log_in(f"{name} ({settings.destination})", settings)
    login.transport.set_keepalive(_KEEP_ALIVE_S)
    return SshTransport(login)


@dataclass
class _Exchange:
    """What has come of one command."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    ended: tuple[int, bytes] | None = None
    late: bool = False
    held_open: bool = False


class SshTransport:
    """A device that is logged in to; see `Transport`. Made by `connect`."""

    def __init__(self, login: Login) -> None:
        """Take over a connection; `close` ends it."""
        self._login = login

    @property
    def where(self) -> str:
        """The device for messages."""
        return self._login.where

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command; see `Transport`. What it leaves running is killed when it ends."""
        return self._run(command, _pieces(stdin), len(stdin), timeout_s)

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        """Write a file; see `Transport`."""
        size_bytes = size_bytes_of(content)
        command = put_command(path, size_bytes)
        pieces = _counted(_pieces(content), sent)
        done = self._run(command, pieces, size_bytes, put_timeout_s(size_bytes))
        check_put(self.where, path, size_bytes, done)

    def get(self, path: str) -> bytes:
        """Read a file; see `Transport`."""
        done = self.run(get_command(path), timeout_s=GET_TIMEOUT_S)
        return check_get(self.where, path, done)

    def close(self) -> None:
        """Disconnect; see `Transport`."""
        self._login.close()

    def _run(
        self, command: Sequence[str], pieces: Iterator[bytes], stdin_bytes: int, timeout_s: float
    ) -> Finished:
        wrapped = wrap(command, stdin_bytes=stdin_bytes, timeout_s=timeout_s)
        what = shlex.join(command[:2])
        deadline_s = time.monotonic() + timeout_s
        channel = None
        try:
            channel = self._login.transport.open_session(timeout=_OPEN_S)
            channel.exec_command(wrapped.line)
            done = _exchange(channel, pieces, wrapped.mark, deadline_s)
            whole = channel.eof_received  # else it was cut off, whatever has come
        except paramiko.ChannelException as err:
            raise DeviceError(f"{self.where}: refuses to run a command: {err.text}") from err
        except _LOST as err:
            raise self._lost(what) from err
        finally:
            if channel is not None:
                _let_go(channel)
        if done.held_open and done.ended is not None:
            raise DeviceError(
                f"{self.where}: {what} … has ended, but left something running that still writes"
            )
        if not whole:
            raise self._lost(what)
        if done.late:
            raise DeviceError(
                f"{self.where}: {what} … did not end within {timeout_s:g} s and was killed there"
            )
        if done.ended is None:
            raise DeviceError(
                f"{self.where}: {what} … was not run by the shell there: "
                f"{said(bytes(done.stderr or done.stdout))}"
            )
        status, stderr = done.ended
        return Finished(status=status, stdout=bytes(done.stdout), stderr=stderr)

    def _lost(self, what: str) -> ConnectionLostError:
        return ConnectionLostError(
            f"{self.where}: the connection was lost during {what} …: see whether the device has "
            "power and network, and run again"
        )


def _exchange(
    channel: paramiko.Channel, pieces: Iterator[bytes], mark: bytes, deadline_s: float
) -> _Exchange:
    """Send and receive until the command's group is gone, or too late."""
    done = _Exchange()
    pending = next(pieces, b"")
    while not channel.closed or channel.recv_ready() or channel.recv_stderr_ready():
        moved = _receive(channel, done)
        if done.ended is None and moved:
            done.ended = read_status(done.stderr, mark)
            if done.ended is not None:
                pending = b""
                # its end of file lets the group go
                channel.shutdown_write()
                deadline_s = time.monotonic() + _CLOSING_S
        if pending and channel.send_ready() and not channel.closed:
            pending = _send(channel, pending) or next(pieces, b"")
            moved = True
        if time.monotonic() > deadline_s:
            if done.late or done.ended is not None:
                done.held_open = True
                break
            done.late, pending = True, b""
            channel.shutdown_write()
            deadline_s = time.monotonic() + _CLOSING_S
        if not moved:
            _wait(channel, deadline_s, sending=bool(pending))
    return done


def _send(channel: paramiko.Channel, pending: bytes) -> bytes:
    try:
        return pending[channel.send(pending) :]
    except OSError:  # closed since it was asked; the loop finds out why
        return pending


def _receive(channel: paramiko.Channel, done: _Exchange) -> bool:
    moved = False
    if channel.recv_ready():
        done.stdout += channel.recv(1 << 20)
        moved = True
    if channel.recv_stderr_ready():
        done.stderr += channel.recv_stderr(1 << 20)
        moved = True
    return moved


def _wait(channel: paramiko.Channel, deadline_s: float, *, sending: bool) -> None:
    if channel.closed:
        return
    if sending or channel.eof_received:
        # nothing tells that the window opens, or that the end is complete
        time.sleep(0.005)
    else:
        left_s = max(0.0, deadline_s - time.monotonic())
        select.select([channel], [], [], min(left_s, 1.0))


def _let_go(channel: paramiko.Channel) -> None:
    # what cannot be told any more is known there: the connection is gone
    with suppress(*_LOST):
        channel.close()


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), _PIECE_BYTES):
            yield content[start : start + _PIECE_BYTES]
        return
    try:
        with content.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
    except OSError as err:
        raise DeviceError(f"{content}: cannot be read: {err}") from err


def _counted(pieces: Iterator[bytes], sent: Sent) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        sent(len(piece))  # whoever asks for the next has sent this one
