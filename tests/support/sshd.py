"""A real OpenSSH server on this machine, one process a connection, with keys of its own.

The test listens and hands each connection to `sshd -i`: no port can be taken by another test
in between, and every process is known. What the user runs here is run as the user of the tests.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeface.bench.remote.devices_file import DeviceSpec

SSHD = Path("/usr/sbin/sshd")
USER = pwd.getpwuid(os.getuid()).pw_name
HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)


def missing() -> str:
    """Why there can be no server here; "" if there can."""
    return "" if SSHD.exists() else f"needs {SSHD} (apt-get install openssh-server)"


class Sshd:
    """A server; `spec` reaches it, and only changes to the spec or the files can make it fail."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.known_hosts = folder / "known_hosts"
        self.authorized_keys = folder / "authorized_keys"
        self.host_key = new_key(folder / "host_key")
        self.key = new_key(folder / "user_key")
        self._log = folder / "log"
        self._config = folder / "sshd_config"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.authorized_keys.write_text(public(self.key))
        self.know(self.host_key)
        lines = (
            *settings,  # of each setting sshd takes the first
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.authorized_keys}",
            "StrictModes no",  # pytest's folders are under /tmp, where anyone may write
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "LogLevel VERBOSE",
        )
        self._config.write_text("".join(f"{line}\n" for line in lines))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd will not start without it
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def name(self) -> str:
        """As `known_hosts` has it."""
        return f"[127.0.0.1]:{self.port}"

    def know(self, key: Path, *, marker: str = "") -> None:
        """Make this the only line of known_hosts."""
        self.known_hosts.write_text(f"{marker}{self.name} {public(key)}")

    def spec(self, **changes: object) -> DeviceSpec:
        fields: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "key": str(self.key),
            "known_hosts": str(self.known_hosts),
            "ssh_config": "none",
        }
        return DeviceSpec(kind="ssh", **(fields | changes))  # type: ignore[arg-type]  # of a test

    def log(self) -> str:
        return self._log.read_text("utf-8") if self._log.exists() else ""

    def cut(self) -> None:
        """Kill the server's processes, and not what they have started."""
        for pid in self._all():
            if _name(pid).startswith("sshd"):
                _kill(pid)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        self._thread.join()
        for pid in self._all():
            _kill(pid)
        for process in self._processes:
            process.wait()

    def _all(self) -> list[int]:
        living = [each.pid for each in self._processes if each.poll() is None]
        return [pid for each in living for pid in (*_children(each), each)]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with connection:
                self._processes.append(
                    subprocess.Popen(
                        [SSHD, "-i", "-f", self._config, "-E", self._log],
                        stdin=connection.fileno(),
                        stdout=connection.fileno(),
                        stderr=subprocess.DEVNULL,
                    )
                )


@contextlib.contextmanager
def running_sshd(folder: Path, *settings: str) -> Iterator[Sshd]:
    """A server with its files in `folder`, which must not exist; `settings` go before its own."""
    folder.mkdir()
    server = Sshd(folder, *settings)
    try:
        yield server
    finally:
        server.close()


def new_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A new private key, with its public part beside it."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def public(key: Path) -> str:
    """The public part of a key, a line."""
    return key.with_name(f"{key.name}.pub").read_text("utf-8")


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(done: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait for something that happens in another process.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"did not happen within {seconds} s")
        time.sleep(0.02)


@contextlib.contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread; what it raises is raised at the end."""
    failed: list[Exception] = []

    def act() -> None:
        try:
            action()
        except (AssertionError, OSError) as err:  # TimeoutError is an OSError
            failed.append(err)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _children(pid: int) -> Sequence[int]:
    try:
        lists = [path.read_text("utf-8") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return []
    direct = [int(child) for text in lists for child in text.split()]
    return [each for child in direct for each in (*_children(child), child)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
