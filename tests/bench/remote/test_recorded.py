"""A session that was written down is played again, and only that session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.bench.remote.recorded import Content, RecordedTransport, RecordingTransport, _content
from edgeface.bench.remote.transport import (
    ConnectionLostError,
    Finished,
    Sent,
    Transport,
    uncounted,
)
from edgeface.errors import DeviceError


class Device:
    """Answers what it is told to."""

    def __init__(self, *answers: Finished | bytes | DeviceError | None) -> None:
        self.answers = list(answers)
        self.closed = False

    @property
    def where(self) -> str:
        return "pi (pi@192.0.2.7)"

    def _next(self) -> Finished | bytes | None:
        answer = self.answers.pop(0)
        if isinstance(answer, DeviceError):
            raise answer
        return answer

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        answer = self._next()
        assert isinstance(answer, Finished)
        return answer

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        self._next()

    def get(self, path: str) -> bytes:
        answer = self._next()
        assert isinstance(answer, bytes)
        return answer

    def close(self) -> None:
        self.closed = True


ECHO = Finished(status=0, stdout="é ☃\n".encode(), stderr=b"")
KILLED = Finished(status=-9, stdout=b"\xff\x00", stderr=b"Killed\n")


def session(transport: Transport) -> list[object]:
    """All that a device can be asked, and what comes of it."""
    seen: list[object] = [transport.where]
    seen.append(transport.run(["echo", "é"], timeout_s=1))
    transport.put(b"model", "x/model")
    seen.append(transport.run(["python3", "-"], stdin=b"code", timeout_s=1))
    seen.append(transport.get("x/samples"))
    for error in (DeviceError, ConnectionLostError):
        with pytest.raises(DeviceError) as caught:
            transport.get("x/more")
        assert type(caught.value) is error
        seen.append(str(caught.value))
    transport.close()
    return seen


def recording(file: Path) -> list[object]:
    full, lost = DeviceError("pi: the disk is full"), ConnectionLostError("pi: gone")
    device = Device(ECHO, None, KILLED, b"\x80samples", full, lost)
    seen = session(RecordingTransport(device, file))
    assert device.closed
    assert not device.answers
    return seen


def test_a_recorded_session_is_the_same_session(tmp_path: Path) -> None:
    live = recording(tmp_path / "session.json")
    assert live[1:4] == [ECHO, KILLED, b"\x80samples"]
    played = RecordedTransport(tmp_path / "session.json")
    assert played.left == 6
    assert session(played) == live
    assert played.left == 0


def test_text_can_be_read_in_the_file(tmp_path: Path) -> None:
    recording(tmp_path / "session.json")
    assert "é ☃" in (tmp_path / "session.json").read_text("utf-8")


def test_errors_of_put_and_run_are_recorded(tmp_path: Path) -> None:
    full = DeviceError("pi: the disk is full")
    live = RecordingTransport(Device(full, full), tmp_path / "session.json")
    for transport in (live, None):
        device: Transport = transport or RecordedTransport(tmp_path / "session.json")
        with pytest.raises(DeviceError, match="the disk is full"):
            device.put(b"", "x")
        with pytest.raises(DeviceError, match="the disk is full"):
            device.run(["true"], timeout_s=1)
        device.close()


@pytest.fixture
def played(tmp_path: Path) -> RecordedTransport:
    recording(tmp_path / "session.json")
    return RecordedTransport(tmp_path / "session.json")


def test_what_differs_is_named(played: RecordedTransport) -> None:
    with pytest.raises(DeviceError) as caught:
        played.run(["echo", "e"], timeout_s=1)
    expected = "call 1: found run ['echo', 'e'], expected run ['echo', 'é']"
    assert str(caught.value).endswith(expected)
    with pytest.raises(DeviceError, match=r"call 1: found get 'x', expected run \['echo', 'é'\]"):
        played.get("x")
    with pytest.raises(DeviceError, match=r"call 1: .* gets other input than was recorded"):
        played.run(["echo", "é"], stdin=b"x", timeout_s=1)
    assert played.run(["echo", "é"], timeout_s=1) == ECHO
    with pytest.raises(DeviceError, match="call 2: found put 'y', expected put 'x/model'"):
        played.put(b"model", "y")


def test_other_content_may_be_put(played: RecordedTransport, tmp_path: Path) -> None:
    """Pushed code changes with every commit; the recording would be refused at once."""
    played.run(["echo", "é"], timeout_s=1)
    sent: list[int] = []
    played.put(tmp_path / "not even there", "x/model", sent=sent.append)
    assert sent == [len(b"model")]  # of the recording
    assert played.left == 4


def test_more_than_was_recorded_is_refused(played: RecordedTransport) -> None:
    session(played)
    with pytest.raises(DeviceError, match="call 7: found get 'x', expected no more calls"):
        played.get("x")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format_version": 2}, "format_version is 2, expected 1"),
        ({"where": 3}, "where: found 3"),
        ({"exchanges": [{"call": "fetch"}]}, "call: found 'fetch'"),
        ({"exchanges": [{"call": "get", "stdout": {"base64": "?"}}]}, "base64 is damaged"),
    ],
)
def test_a_damaged_recording_is_refused(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    file = tmp_path / "session.json"
    recording(file)
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(DeviceError, match=problem):
        RecordedTransport(file)


def test_no_recording_at_all(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="not a recording of a device"):
        RecordedTransport(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{", "utf-8")
    with pytest.raises(DeviceError, match="not a recording of a device"):
        RecordedTransport(tmp_path / "text.json")


@given(st.binary(max_size=50))
def test_all_bytes_come_back(content: bytes) -> None:
    assert _content(content).to_bytes() == content


def test_nothing_is_nothing() -> None:
    assert Content().to_bytes() == b""
