"""A phone that the `adb` client reaches: a `Transport` over its shell.

In: a serial number. Out: as `transport.Transport`. The client runs as a program, as its own users
run it; its server, keys and permissions stay the user's. No phone was at hand when this was
written: it is tested against a stand-in for the client that gives recorded answers.
"""

from __future__ import annotations

import math
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from edgeface.bench.remote.transport import ConnectionLostError, Finished, Sent, uncounted
from edgeface.errors import DeviceError

HOME = "/data/local/tmp"
"""Where the shell's user may write and start programs.

Source: LiteRT, tools/benchmark/README.md, To build/install/run, On Android."""

_QUICK_S = 60.0  # chosen: asking a busy phone for a line
_SLOWEST_BYTES_PER_S = 1e6  # chosen: a tenth of USB 2's practical rate
_GRACE_S = 15.0  # chosen: what the client may need after the phone has ended the command
_TIMED_OUT = 124  # Source: timeout(1) of toybox and GNU
_SIGNALS = range(129, 160)  # Source: sh(1): 128 and the number of the signal
_ADVICE = {
    "unauthorized": "unlock it and allow USB debugging for this computer",
    "still authorizing": "unlock it and allow USB debugging for this computer",
    "offline": "plug it in again, or `adb reconnect`",
    "no devices": "plug it in with USB debugging on, or `adb connect HOST`",
    "not found": "plug it in with USB debugging on, or `adb connect HOST`",
    "more than one": "name one as serial in devices.toml; `adb devices` lists them",
    "no permissions": "the system does not let this user reach it: see `adb devices` for how",
}
"""What to do about an error of the client, by words in it.

Source: adb's own messages, packages/modules/adb, transport.cpp and client/commandline.cpp."""


class AdbTransport:
    """A phone with USB debugging on. Not for two threads at once."""

    def __init__(self, name: str, *, serial: str | None = None, adb: str = "adb") -> None:
        """Name the phone; nothing is asked of it yet.

        Args:
            name: of the device, for messages.
            serial: as `adb devices` shows it; None takes the only one.
            adb: the client.
        """
        self._where = f"{name} (adb{f' {serial}' if serial else ''})"
        self._client = [adb, *(["-s", serial] if serial else [])]
        self._answered = False

    @property
    def where(self) -> str:
        """The phone for messages."""
        return self._where

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command in `HOME`; see `Transport.run`.

        Raises:
            ConnectionLostError: the phone answered before and does not now.
            DeviceError: it never answered, or the command did not end in time.
        """
        limit_s = math.ceil(timeout_s)
        # the phone itself ends what takes too long: killing the client would leave it running
        words = ["timeout", "-k", "1", str(limit_s), *command]
        script = f"cd {HOME} && exec {shlex.join(words)}"
        done = self._ask(["shell", "-T", script], stdin, limit_s + _GRACE_S)
        if done.status == _TIMED_OUT:
            raise DeviceError(f"{self.where}: {command[0]} did not end within {limit_s} s, killed")
        self._answered = True
        if done.status in _SIGNALS:
            return Finished(status=128 - done.status, stdout=done.stdout, stderr=done.stderr)
        return done

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        """Write a file on the phone, whole or not at all; see `Transport.put`."""
        if isinstance(content, Path):
            content = content.read_bytes()
        there = path if path.startswith("/") else f"{HOME}/{path}"
        partial = f"{there}.partial"
        self._must(["mkdir", "-p", there.rpartition("/")[0]])
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder) / "content"
            here.write_bytes(content)
            limit_s = _QUICK_S + len(content) / _SLOWEST_BYTES_PER_S
            done = self._ask(["push", str(here), partial], b"", limit_s)
        said = _last_line(done)
        if done.status:
            self.run(["rm", "-f", partial], timeout_s=_QUICK_S)
            if "No space left" in said:
                raise DeviceError(f"{self.where}: no room for {there}, {len(content)} bytes")
            raise DeviceError(f"{self.where}: {there} cannot be written: {said}")
        found = self._must(["sha256sum", partial]).stdout.decode("ascii", "replace").split()[:1]
        if found != [sha256(content).hexdigest()]:
            raise DeviceError(f"{self.where}: {partial} arrived damaged; run again")
        self._must(["mv", partial, there])
        sent(len(content))

    def get(self, path: str) -> bytes:
        """Read a file of the phone; see `Transport.get`."""
        return self._must(["cat", path]).stdout

    def close(self) -> None:
        """Do nothing: the client keeps no connection of its own."""

    def _must(self, command: Sequence[str]) -> Finished:
        done = self.run(command, timeout_s=_QUICK_S)
        if done.status:
            raise DeviceError(f"{self.where}: {command[0]} {command[-1]}: {_last_line(done)}")
        return done

    def _ask(self, arguments: Sequence[str], stdin: bytes, limit_s: float) -> Finished:
        try:
            done = subprocess.run(
                [*self._client, *arguments],
                input=stdin,
                capture_output=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise ConnectionLostError(
                f"{self.where}: no answer within {limit_s:.0f} s; is it still there? "
                "`adb devices` lists what is"
            ) from err
        except OSError as err:
            raise DeviceError(
                f"{self.where}: {self._client[0]} cannot be started ({err.strerror}); install it: "
                "sudo apt install adb"
            ) from err
        finished = Finished(status=done.returncode, stdout=done.stdout, stderr=done.stderr)
        # a push that fails on the phone has an error of the client too: it is told by `put`
        if done.returncode and (arguments[0] != "push" or _is_about_the_device(finished)):
            self._raise_for_client(finished)
        return finished

    def _raise_for_client(self, done: Finished) -> None:
        said = _last_line(done)
        own = said.startswith(("error: ", "adb: "))
        # Source: adb(1): 255 where the connection ended before the command did
        if not own and (done.status != 255 or done.stderr.strip()):
            return  # the command's own failure
        what = said.removeprefix("adb: ").removeprefix("error: ") if own else "the connection ended"
        advice = next((_ADVICE[words] for words in _ADVICE if words in what), "`adb devices`")
        kind = ConnectionLostError if self._answered else DeviceError
        raise kind(f"{self.where}: {what}; {advice}")


def _is_about_the_device(done: Finished) -> bool:
    said = _last_line(done)
    return any(words in said for words in _ADVICE) and "failed to copy" not in said


def _last_line(done: Finished) -> str:
    # the client's own errors may have more lines after the first: advice of its own
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if line.startswith(("error: ", "adb: "))]
    line = (errors or lines[-1:] or ["it said nothing"])[0]
    return " ".join(line.split())
