"""From settings to a connection that is logged in, or one line that says what to do.

In: `SshSettings`. Out: `Login`. The device's key is checked before anything of ours is sent.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import paramiko
from paramiko.pkey import UnknownKeyType

from edgeface.bench.remote.known_hosts import KnownKey, known_keys
from edgeface.bench.remote.shell import said
from edgeface.bench.remote.ssh_settings import SshSettings
from edgeface.errors import DeviceError

CONNECT_S = 15.0
"""Seconds for a connection. Chosen: what a far host needs, and no more than a person waits."""
ANSWER_S = 30.0
"""Seconds for each step of the greeting. Chosen: an old board under load takes ten."""

# a device without power does not close its connection; chosen: three keep-alives
_UNHEARD_MS = 30_000


@dataclass(frozen=True, kw_only=True)
class Login:
    """A connection, and the process that it goes through.

    Attributes:
        where: the device for messages.
        transport: logged in.
        line: what it goes through.
    """

    where: str
    transport: paramiko.Transport
    line: Line

    def close(self) -> None:
        """Disconnect."""
        self.transport.close()
        self.transport.join(ANSWER_S)
        self.line.close()


class Line:
    """A socket to the device: direct, or through a proxy's process."""

    def __init__(
        self,
        sock: socket.socket,
        proxy: subprocess.Popen[bytes] | None = None,
        log: IO[bytes] | None = None,
    ) -> None:
        """Take over the socket, the process and its stderr; `close` ends them."""
        self.sock = sock
        self._proxy = proxy
        self._log = log

    def complaint(self) -> str:
        """What the proxy said last, "" without a proxy or a word of it."""
        if self._log is None:
            return ""
        self._log.seek(0)
        text = self._log.read()
        return said(text) if text.strip() else ""

    def close(self) -> None:
        """End them."""
        self.sock.close()
        if self._proxy is not None:
            self._proxy.terminate()
            self._proxy.wait()
        if self._log is not None:
            self._log.close()


def log_in(where: str, settings: SshSettings) -> Login:
    """Connect, check whom to, and log in.

    Args:
        where: the device for messages.
        settings: how.

    Raises:
        DeviceError: says which of the three failed, and what to do.
    """
    # first what needs no connection, so that a broken file is not reported as a broken device
    known = known_keys(settings.known_hosts, settings.key_name)
    line = _dial(where, settings)
    transport = None
    try:
        transport = paramiko.Transport(line.sock)
        try:
            offered = _greet(transport, known)
        except (paramiko.SSHException, OSError, EOFError) as err:
            reason = line.complaint() or str(err) or type(err).__name__
            raise DeviceError(
                f"{where}: no SSH server answers: {reason}; see: {shlex.join(settings.ssh_words)}"
            ) from err
        if problem := _problem_of(offered, known, settings):
            raise DeviceError(f"{where}: its host key {problem}")
        _authenticate(where, settings, transport)
    except BaseException:  # also an interrupt: no connection may stay
        if transport is not None:
            transport.close()
        line.close()
        raise
    return Login(where=where, transport=transport, line=line)


def _dial(where: str, settings: SshSettings) -> Line:
    if settings.proxy_command is not None:
        ours, theirs = socket.socketpair()
        log = tempfile.TemporaryFile()  # noqa: SIM115  # Line closes it
        with closing(theirs):
            proxy = subprocess.Popen(
                ["sh", "-c", f"exec {settings.proxy_command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=log,
            )
        return Line(ours, proxy, log)
    try:
        sock = socket.create_connection((settings.hostname, settings.port), timeout=CONNECT_S)
    except socket.gaierror as err:
        raise DeviceError(
            f"{where}: no such host {settings.hostname!r}; set host in devices.toml to a name or "
            "an address that is right"
        ) from err
    except OSError as err:
        raise DeviceError(
            f"{where}: cannot be reached: {err}; see whether it is on and in this network, and "
            "has SSH enabled (on a Raspberry Pi: sudo raspi-config, Interface Options)"
        ) from err
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)
    return Line(sock)


def _greet(transport: paramiko.Transport, known: Sequence[KnownKey]) -> paramiko.PKey:
    transport.banner_timeout = transport.auth_timeout = ANSWER_S
    transport.channel_timeout = transport.handshake_timeout = ANSWER_S
    options = transport.get_security_options()
    # a server has several keys: it must show the one that is known
    first = {name for each in known for name in _algorithms(each.key)}
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in first)
    transport.start_client(timeout=ANSWER_S)
    return transport.get_remote_server_key()


def _algorithms(key: paramiko.PKey) -> tuple[str, ...]:
    # Source: RFC 8332: an RSA key signs with SHA-2 under names of its own
    return ("rsa-sha2-512", "rsa-sha2-256") if key.get_name() == "ssh-rsa" else (key.get_name(),)


def _problem_of(
    offered: paramiko.PKey, known: Sequence[KnownKey], settings: SshSettings
) -> str | None:
    """Say why the device is not believed; None if it is."""
    same = [each for each in known if each.key == offered]
    for each in same:
        if each.revoked:
            return (
                f"{offered.fingerprint} is marked as revoked ({each.path}, line {each.line}); not "
                "logged in"
            )
    if same:
        return None
    kind = offered.get_name().removeprefix("ssh-")
    expected = [each for each in known if not each.revoked]
    if expected:
        path = expected[0].path
        forget = shlex.join(["ssh-keygen", "-R", settings.key_name, "-f", str(path)])
        return (
            f"has changed, so it may be another machine: found {kind} {offered.fingerprint}, "
            f"expected {' or '.join(each.key.fingerprint for each in expected)} ({path}, line "
            f"{expected[0].line}); not logged in; if it was set up anew: {forget}"
        )
    return (
        f"is not known ({', '.join(map(str, settings.known_hosts))}): {kind} "
        f"{offered.fingerprint}; not logged in; compare it on the device (ssh-keygen -lf "
        f"/etc/ssh/ssh_host_{kind.split('-')[0]}_key.pub), then say yes to: "
        f"{shlex.join(settings.ssh_words)}"
    )


def _authenticate(where: str, settings: SshSettings, transport: paramiko.Transport) -> None:
    tried = []
    with closing(paramiko.Agent()) as agent:
        for name, key in _keys(settings, agent):
            if isinstance(key, str):
                tried.append(f"{name}: {key}")
                continue
            try:
                asked_too = transport.auth_publickey(settings.user, key)
            except paramiko.BadAuthenticationType as err:
                raise DeviceError(
                    f"{where}: takes no keys, only {', '.join(err.allowed_types)}; allow keys "
                    "there (PubkeyAuthentication in /etc/ssh/sshd_config): edgeface keeps no "
                    "passwords"
                ) from err
            except paramiko.AuthenticationException:
                tried.append(f"{name}: refused")
            except (paramiko.SSHException, OSError, EOFError) as err:
                raise DeviceError(
                    f"{where}: closed the connection after {len(tried) + 1} keys; name the right "
                    "one as key in devices.toml"
                ) from err
            else:
                if transport.is_authenticated():
                    return
                tried.append(f"{name}: not enough, {' and '.join(asked_too)} is asked for too")
    if not tried:
        raise DeviceError(
            f"{where}: there is no key here to log in with; make one (ssh-keygen -t ed25519), "
            f"and put it there: {_copy_id(settings)}"
        )
    raise DeviceError(
        f"{where}: no key was taken ({'; '.join(tried)}); put yours there: {_copy_id(settings)}"
    )


def _copy_id(settings: SshSettings) -> str:
    _, *options = settings.ssh_words
    return shlex.join(["ssh-copy-id", *options])


def _keys(
    settings: SshSettings, agent: paramiko.Agent
) -> Iterator[tuple[str, paramiko.PKey | str]]:
    """Give the keys to try by name, or why one cannot be tried."""
    files = [path for path in settings.identity_files if path.is_file()]
    public = [each for each in map(_public_part, files) if each]
    in_agent = agent.get_keys()
    for key in in_agent:
        if not settings.identities_only or key.asbytes() in public:
            yield f"{key.comment or key.get_name()} of the agent", key
    held = {key.asbytes() for key in in_agent}
    for path in files:
        if _public_part(path) not in held:
            yield str(path), _load(path)


def _public_part(path: Path) -> bytes | None:
    beside = path.with_name(f"{path.name}.pub")
    if not beside.is_file():
        return None
    try:
        return paramiko.pkey.PublicBlob.from_file(beside).key_blob
    except ValueError:  # no public key: the private one says what it is
        return None


def _load(path: Path) -> paramiko.PKey | str:
    try:
        return paramiko.PKey.from_path(path)
    except TypeError:  # Source: cryptography, load_ssh_private_key: encrypted, and no password
        return f"has a passphrase, so give it to the agent: ssh-add {shlex.quote(str(path))}"
    except (OSError, ValueError, UnknownKeyType, paramiko.SSHException) as err:
        return f"is no private key that can be read ({said(str(err).encode())})"
