"""What the shell of a device is asked to do, and how its answer is read.

In: a command as a list of words. Out: one line for the device's shell, and from what comes back the
exit status. Nothing is sent here. The device needs a POSIX shell, `setsid`, `head`, `cat`, `sleep`,
`wc`, `mkdir`, `mv` and `rm`.
"""

from __future__ import annotations

import math
import re
import secrets
import shlex
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from edgeface.bench.remote.transport import Finished
from edgeface.errors import DeviceError

KILL_GRACE_S = 5.0
"""Seconds beyond its time after which a command ends itself. Chosen: networks pause so long."""

# The shell that the server starts leads a process group, and setsid of a group's leader forks and
# leaves it; a shell in between makes setsid wait.
_OUTER = 'inner=$1; shift; setsid sh -c "$inner" edgeface "$@"; exit 1'
# All of one command is one process group. The channel's end of file kills it: that is what a lost
# connection, a timeout and the normal end have in common. The sleep is for a command that does not
# read its input, so that the end of file stands in a queue.
_INNER = """
size=$1 seconds=$2 mark=$3
shift 3
{ sleep "$seconds"; kill -s KILL 0; } </dev/null >/dev/null 2>&1 &
{
	[ "$size" = 0 ] || head -c "$size"
	exec >/dev/null
	cat
	kill -s KILL 0
} 2>/dev/null | {
	(exec "$@")
	printf '%s %s\\n' "$mark" "$?" >&2
}
"""
_PUT = """
LC_ALL=C
export LC_ALL
folder=${1%/*}
[ "$folder" = "$1" ] || [ -z "$folder" ] || mkdir -p -- "$folder" || exit 1
cat >"$1.edgeface-part" && found=$(wc -c <"$1.edgeface-part") &&
	if [ "$found" -eq "$2" ]; then mv -f -- "$1.edgeface-part" "$1" && exit 0
	else echo "found $found bytes, expected $2" >&2; fi
rm -f -- "$1.edgeface-part"
exit 1
"""
_FULL = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True, kw_only=True)
class Wrapped:
    """A command as the device's shell takes it.

    Attributes:
        line: for the shell. Its input is the command's, `size` bytes; then the input stays open
            until the status was read, because its end kills the command.
        mark: stands before the exit status, at the end of what comes on stderr.
    """

    line: str
    mark: bytes


def wrap(command: Sequence[str], *, stdin_bytes: int, timeout_s: float) -> Wrapped:
    """Write a command so that it cannot outlive its connection.

    Args:
        command: program and arguments.
        stdin_bytes: that it will be sent.
        timeout_s: seconds that it has.
    """
    mark = f"edgeface-{secrets.token_hex(16)}"
    seconds = str(math.ceil(timeout_s + KILL_GRACE_S))
    words = ["sh", "-c", _OUTER, "edgeface", _INNER, str(stdin_bytes), seconds, mark, *command]
    return Wrapped(line=shlex.join(words), mark=mark.encode())


def read_status(stderr: bytes | bytearray, mark: bytes) -> tuple[int, bytes] | None:
    """Find the exit status in what came on stderr.

    Args:
        stderr: what came up to now.
        mark: of the wrapped command.

    Returns:
        The status as `Finished` has it, and the command's own stderr; None if it has not ended.

    Source:
        POSIX.1-2017, shell, 2.8.2: a command that a signal ended has a status above 128; every
        shell in use makes it 128 and the signal's number. A program that exits so itself, as some
        do on purpose, cannot be told apart.
    """
    found = re.search(re.escape(mark) + rb" ([0-9]{1,3})\n", stderr)
    if found is None:
        return None
    status = int(found[1])
    if status - 128 in set(signal.Signals):
        status = 128 - status
    return status, bytes(stderr[: found.start()])


def put_command(path: str, size_bytes: int) -> list[str]:
    """Give the command that writes its input to a file, whole or not at all.

    It writes to `<path>.edgeface-part`, counts the bytes, and renames.
    """
    return ["sh", "-c", _PUT, "edgeface", path, str(size_bytes)]


def check_put(where: str, path: str, size_bytes: int, done: Finished) -> None:
    """Explain a `put_command` that failed.

    Raises:
        DeviceError: it failed.
    """
    if not done.status:
        return
    text = done.stderr.decode("utf-8", "replace")
    if any(full in text for full in _FULL):
        raise DeviceError(
            f"{where}: the disk is full: {path} ({size_bytes} bytes) was not written; make room "
            "there and run again"
        )
    raise DeviceError(f"{where}: {path} cannot be written: {said(done.stderr)}")


def get_command(path: str) -> list[str]:
    """Give the command that prints a file."""
    return ["cat", "--", path]


def check_get(where: str, path: str, done: Finished) -> bytes:
    """Give what `get_command` printed.

    Raises:
        DeviceError: it failed.
    """
    if done.status:
        raise DeviceError(f"{where}: {path} cannot be read: {said(done.stderr)}")
    return done.stdout


def put_timeout_s(size_bytes: int) -> float:
    """Seconds that writing a file may take. Chosen: 100 kB/s, a bad wireless line, and a minute."""
    return 60.0 + size_bytes / 100_000


GET_TIMEOUT_S = 600.0
"""Seconds that reading a file may take. Chosen: what is read back is a few MB at most."""


def said(text: bytes) -> str:
    """Give the last line of a text, for a message."""
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split()) if lines else "it said nothing"
