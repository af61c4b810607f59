"""A `Transport` to a folder of this machine, which stands for a user's home on a device."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeface.bench.remote.transport import ConnectionLostError, Finished, Sent, uncounted
from edgeface.errors import DeviceError

Answer = Callable[[Sequence[str]], Finished | None]


class FolderTransport:
    """Runs commands here with the folder as home; `answer` may reply in the system's stead."""

    def __init__(self, home: Path, answer: Answer = lambda command: None) -> None:
        self.home = home
        self.commands: list[list[str]] = []
        self.closed = False
        self.lose_after: int | None = None
        self._answer = answer

    @property
    def where(self) -> str:
        return "folder"

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        if self.lose_after is not None and len(self.commands) >= self.lose_after:
            raise ConnectionLostError("folder: stopped answering")
        self.commands.append(list(command))
        answered = self._answer(command)
        if answered is not None:
            return answered
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        try:
            done = subprocess.run(
                list(command),
                input=stdin,
                cwd=self.home,
                env=environment,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError:
            return Finished(status=127, stdout=b"", stderr=b"not found")
        return Finished(status=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        sent(target.write_bytes(content if isinstance(content, bytes) else content.read_bytes()))

    def get(self, path: str) -> bytes:
        try:
            return (self.home / path).read_bytes()
        except OSError as err:
            raise DeviceError(f"folder: {path}: {err}") from err

    def close(self) -> None:
        self.closed = True

    def files(self) -> list[str]:
        """All files of the home, sorted."""
        return sorted(
            path.relative_to(self.home).as_posix()
            for path in self.home.rglob("*")
            if path.is_file()
        )
