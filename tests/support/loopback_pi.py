"""A "Raspberry Pi" without the silicon: a real sshd here whose users land in another system.

That is an arm64 or 32-bit ARM Debian made by benchmarks/emulated/setup.sh; what runs there runs
under qemu. sshd itself runs here: it changes the root folder before it starts the user's shell, so
that the shell, and every program after it, is the other processor's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SSHD = "/usr/sbin/sshd"  # sshd insists on being started by its full path
STARTED_WITHIN_S = 20.0
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class LoopbackPi:
    """A server that listens.

    Attributes:
        host: always "127.0.0.1".
        port: of sshd.
        user: who may log in: the one who runs the tests.
        key: file of the private key that is let in.
        known_hosts: file with the server's key.
        root: where its users land.
        home: the folder in it that is their home, as they see it.
        log: file of sshd's words.
        process: sshd, in the foreground, the leader of its own process group.
    """

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    root: Path
    home: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def home_here(self) -> Path:
        """The users' home, as this side sees it."""
        return self.root / self.home.lstrip("/")

    def devices_toml(self, name: str = "rpi") -> str:
        """The lines of devices.toml that reach it."""
        return (
            f'[{name}]\nkind = "ssh"\nhost = "{self.host}"\nport = {self.port}\n'
            f'user = "{self.user}"\nkey = "{self.key}"\nknown_hosts = "{self.known_hosts}"\n'
        )


def why_no_loopback_pi(root: Path) -> str:
    """Say why it cannot be started here; empty if it can."""
    if os.getuid():
        return "only root may change the root folder of a login"
    if not Path(SSHD).is_file():
        return f"no {SSHD}: apt-get install openssh-server"
    if not (root / "etc" / "edgeface-emulated").is_file():
        return f"no emulated system at {root}: benchmarks/emulated/setup.sh makes one"
    if not (root / "proc" / "self").exists():
        return f"{root}/proc is not mounted: run benchmarks/emulated/setup.sh again"
    for folder in (root, *root.resolve().parents):
        found = folder.stat()
        # Source: sshd_config(5), ChrootDirectory
        if found.st_uid or stat.S_IMODE(found.st_mode) & 0o022:
            return f"sshd wants {folder} to be root's and writable by nobody else"
    done = subprocess.run(["chroot", str(root), "/bin/true"], capture_output=True, check=False)
    if done.returncode:
        return f"{root} does not run here: {done.stderr.decode().strip()}"
    return ""


@contextmanager
def loopback_pi(
    root: Path, folder: Path, *, fresh_home: bool = False, settings: Sequence[str] = ()
) -> Iterator[LoopbackPi]:
    """Start sshd, and end it with all its children.

    Args:
        root: where its users land; see `why_no_loopback_pi`.
        folder: empty; for keys, configuration and log.
        fresh_home: give the users an empty home, removed in the end; else it is /root.
        settings: more variables of the users' environment, as "NAME=VALUE".
    """
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's, made by its service elsewhere
    host_key, key = folder / "host_key", folder / "user_key"
    for path in (host_key, key):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "loopback", "-f", str(path)],
            check=True,
        )
    allowed = folder / "authorized_keys"
    shutil.copy(key.with_suffix(".pub"), allowed)
    port = _free_port()
    known_hosts = folder / "known_hosts"
    public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    known_hosts.write_text(f"[127.0.0.1]:{port} {public}\n")
    # what PAM would read; PAM itself would look on this side of the root
    environment = " ".join([*(root / "etc" / "environment").read_text().split(), *settings])
    home = f"/root/home-{secrets.token_hex(4)}" if fresh_home else "/root"
    here = root / home.lstrip("/")
    config = folder / "sshd_config"
    config.write_text(
        f"""ListenAddress 127.0.0.1:{port}
HostKey {host_key}
AuthorizedKeysFile {allowed}
PidFile none
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
ChrootDirectory {root}
SetEnv {environment}
"""
    )
    if fresh_home:
        here.mkdir()
        move = f'ForceCommand HOME={home}; export HOME; cd && eval "exec $SSH_ORIGINAL_COMMAND"\n'
        config.write_text(config.read_text() + move)
    log = folder / "sshd.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        try:
            _wait_for(port, process, log)
            yield LoopbackPi(
                host="127.0.0.1",
                port=port,
                user="root",
                key=key,
                known_hosts=known_hosts,
                root=root,
                home=home,
                log=log,
                process=process,
            )
        finally:
            _end(process)
            if fresh_home:
                shutil.rmtree(here)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(POLL_S)
        else:
            return
    raise RuntimeError(f"sshd does not listen: {log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    # connections have processes, and sessions, of their own: take the children before the parent
    for child in _descendants(process.pid):
        _kill(child)
    process.kill()
    process.wait(timeout=10)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = entry.read_text("utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(int(after_name[1]), []).append(int(entry.parent.name))
    found = list(children.get(pid, []))
    for each in found:
        found += children.get(each, [])
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, 9)
