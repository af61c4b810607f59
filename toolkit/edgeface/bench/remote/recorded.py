"""A session with a device, written down and played again.

In: a `Transport`, or a file. Out: `RecordingTransport`, which writes the file; `RecordedTransport`,
which answers from it. So the whole path to a device is tested where there is no device.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from edgeface.bench.remote.transport import (
    ConnectionLostError,
    Finished,
    Sent,
    Transport,
    size_bytes_of,
    uncounted,
)
from edgeface.errors import DeviceError
from edgeface.records import RecordError, from_mapping, write_json

FORMAT_VERSION = 1

_ERRORS = {"DeviceError": DeviceError, "ConnectionLostError": ConnectionLostError}


@dataclass(frozen=True, kw_only=True)
class Content:
    """Bytes, so that a person can read them where they are text.

    Attributes:
        text: of UTF-8 bytes.
        base64: of others; empty where text has them.
    """

    text: str = ""
    base64: str = ""

    def __post_init__(self) -> None:
        """Check that it can be turned into bytes."""
        try:
            base64.b64decode(self.base64, validate=True)
        except binascii.Error as err:
            raise ValueError(f"base64 is damaged: {err}") from err

    def to_bytes(self) -> bytes:
        """Give the bytes."""
        return base64.b64decode(self.base64) if self.base64 else self.text.encode()


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One call of a transport and its answer.

    Attributes:
        call: which method.
        command: of "run".
        stdin_sha256: of "run".
        path: of "put" and "get".
        size_bytes: of what "put" wrote.
        status: that "run" gave, as `Finished` has it.
        stdout: that "run" gave; of "get" the file.
        stderr: that "run" gave.
        error: that was raised instead.
        message: of the error.
    """

    call: Literal["run", "put", "get"]
    command: tuple[str, ...] = ()
    stdin_sha256: str = ""
    path: str = ""
    size_bytes: int = 0
    status: int = 0
    stdout: Content = Content()
    stderr: Content = Content()
    error: Literal["", "DeviceError", "ConnectionLostError"] = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A session.

    Attributes:
        format_version: of this record.
        where: the device for messages.
        exchanges: in order.
    """

    format_version: int
    where: str
    exchanges: tuple[Exchange, ...]

    def __post_init__(self) -> None:
        """Check the version."""
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format_version is {self.format_version}, expected {FORMAT_VERSION}")


class RecordingTransport:
    """Passes everything on to a transport, and writes it down; see `Transport`."""

    def __init__(self, inner: Transport, file: Path) -> None:
        """Record `inner`; `close` writes the file."""
        self._inner = inner
        self._file = file
        self._exchanges: list[Exchange] = []

    @property
    def where(self) -> str:
        """The device for messages."""
        return self._inner.where

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command; see `Transport`."""
        asked = Exchange(call="run", command=tuple(command), stdin_sha256=sha256(stdin).hexdigest())
        try:
            done = self._inner.run(command, stdin=stdin, timeout_s=timeout_s)
        except DeviceError as err:
            self._failed(asked, err)
            raise
        self._exchanges.append(
            dataclasses.replace(
                asked,
                status=done.status,
                stdout=_content(done.stdout),
                stderr=_content(done.stderr),
            )
        )
        return done

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        """Write a file; see `Transport`. Only its size is recorded."""
        asked = Exchange(call="put", path=path, size_bytes=size_bytes_of(content))
        try:
            self._inner.put(content, path, sent=sent)
        except DeviceError as err:
            self._failed(asked, err)
            raise
        self._exchanges.append(asked)

    def get(self, path: str) -> bytes:
        """Read a file; see `Transport`."""
        asked = Exchange(call="get", path=path)
        try:
            content = self._inner.get(path)
        except DeviceError as err:
            self._failed(asked, err)
            raise
        self._exchanges.append(dataclasses.replace(asked, stdout=_content(content)))
        return content

    def close(self) -> None:
        """Let go of the device, and write the file.

        Raises:
            OSError: the file cannot be written.
        """
        self._inner.close()
        recording = Recording(
            format_version=FORMAT_VERSION, where=self.where, exchanges=tuple(self._exchanges)
        )
        write_json(self._file, recording)

    def _failed(self, asked: Exchange, err: DeviceError) -> None:
        lost = isinstance(err, ConnectionLostError)
        kind: Literal["DeviceError", "ConnectionLostError"] = (
            "ConnectionLostError" if lost else "DeviceError"
        )
        self._exchanges.append(dataclasses.replace(asked, error=kind, message=str(err)))


class RecordedTransport:
    """Answers as a device once did, in the order it did; see `Transport`."""

    def __init__(self, file: Path) -> None:
        """Read a recording.

        Raises:
            DeviceError: the file is missing, or is no recording.
        """
        try:
            mapping = json.loads(file.read_text("utf-8"))
            self._recording = from_mapping(Recording, mapping)
        except (OSError, ValueError, RecordError) as err:
            raise DeviceError(f"{file}: not a recording of a device: {err}") from err
        self._file = file
        self._next = 0

    @property
    def where(self) -> str:
        """The device for messages."""
        return self._recording.where

    @property
    def left(self) -> int:
        """How many recorded calls have not been made yet."""
        return len(self._recording.exchanges) - self._next

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Give what this command gave; see `Transport`. Nothing takes time, so nothing is late.

        Raises:
            DeviceError: it was not run at this place, or with other input.
        """
        asked = Exchange(call="run", command=tuple(command), stdin_sha256=sha256(stdin).hexdigest())
        answer = self._answer(asked)
        return Finished(
            status=answer.status, stdout=answer.stdout.to_bytes(), stderr=answer.stderr.to_bytes()
        )

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        """Take a file, whatever is in it: pushed code changes with every commit.

        Raises:
            DeviceError: no file was put there at this place.
        """
        sent(self._answer(Exchange(call="put", path=path)).size_bytes)

    def get(self, path: str) -> bytes:
        """Give the file that was read here; see `Transport`.

        Raises:
            DeviceError: it was not read at this place.
        """
        return self._answer(Exchange(call="get", path=path)).stdout.to_bytes()

    def close(self) -> None:
        """Do nothing."""

    def _answer(self, asked: Exchange) -> Exchange:
        place = f"{self._file}, call {self._next + 1}"
        if not self.left:
            raise DeviceError(f"{place}: found {_told(asked)}, expected no more calls")
        answer = self._recording.exchanges[self._next]
        if _told(asked) != _told(answer):
            raise DeviceError(f"{place}: found {_told(asked)}, expected {_told(answer)}")
        if asked.stdin_sha256 != answer.stdin_sha256:
            raise DeviceError(f"{place}: {_told(asked)} gets other input than was recorded")
        self._next += 1
        if answer.error:
            raise _ERRORS[answer.error](answer.message)
        return answer


def _told(exchange: Exchange) -> str:
    return (
        f"{exchange.call} {list(exchange.command) if exchange.call == 'run' else exchange.path!r}"
    )


def _content(content: bytes) -> Content:
    try:
        return Content(text=content.decode("utf-8"))
    except UnicodeDecodeError:
        return Content(base64=base64.b64encode(content).decode("ascii"))
