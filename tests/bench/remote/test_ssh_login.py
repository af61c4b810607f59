"""Whom to connect to, and as whom: host keys, keys, the ssh configuration."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeface.bench.remote import ssh_login
from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.known_hosts import known_keys
from edgeface.bench.remote.ssh import SshTransport, connect
from edgeface.bench.remote.ssh_settings import read_settings
from edgeface.errors import DeviceError
from support.sshd import USER, Sshd, new_key, public

Reach = Callable[..., SshTransport]

needs_openssh = pytest.mark.skipif(
    shutil.which("ssh") is None, reason="needs OpenSSH's client (apt-get install openssh-client)"
)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent without keys."""
    path = tmp_path / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()  # it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(autouse=True)
def no_agent_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def refusal(server: Sshd, **changes: object) -> str:
    with pytest.raises(DeviceError) as caught:
        connect("pi", server.spec(**changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_host_is_not_logged_in_to(sshd: Sshd) -> None:
    sshd.known_hosts.write_text("")
    text = refusal(sshd)
    assert f"pi ({USER}@127.0.0.1:{sshd.port}): its host key is not known" in text
    assert f"ssh -F none -p {sshd.port} -o UserKnownHostsFile={sshd.known_hosts} {USER}@" in text
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(sshd.host_key)], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert fingerprint in text
    assert "Accepted" not in sshd.log()


def test_a_changed_host_key_is_not_logged_in_to(sshd: Sshd, tmp_path: Path) -> None:
    sshd.know(new_key(tmp_path / "other"))
    text = refusal(sshd)
    assert "its host key has changed, so it may be another machine" in text
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}' -f {sshd.known_hosts}" in text
    assert "Accepted" not in sshd.log()


def test_a_known_key_of_another_kind_counts_as_changed(sshd: Sshd, tmp_path: Path) -> None:
    sshd.know(new_key(tmp_path / "other", kind="ecdsa"))
    assert "has changed" in refusal(sshd)


def test_a_revoked_host_key_is_not_logged_in_to(sshd: Sshd) -> None:
    sshd.know(sshd.host_key, marker="@revoked ")
    assert "marked as revoked" in refusal(sshd)
    both = f"@revoked * {public(sshd.host_key)}{sshd.name} {public(sshd.host_key)}"
    sshd.known_hosts.write_text(both)
    assert "marked as revoked" in refusal(sshd)
    assert "Accepted" not in sshd.log()


def test_the_known_one_of_several_host_keys_is_asked_for(
    start_sshd: Callable[..., Sshd], reach: Reach, tmp_path: Path
) -> None:
    rsa, ecdsa = (new_key(tmp_path / kind, kind=kind) for kind in ("rsa", "ecdsa"))
    server = start_sshd(f"HostKey {rsa}", f"HostKey {ecdsa}")
    for key in (rsa, ecdsa, server.host_key):
        server.know(key)
        assert reach(server).run(["true"], timeout_s=60).status == 0


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys_log_in(sshd: Sshd, reach: Reach, tmp_path: Path, kind: str) -> None:
    key = new_key(tmp_path / "key", kind=kind)
    sshd.authorized_keys.write_text(public(key))
    assert reach(sshd, key=str(key)).run(["true"], timeout_s=60).status == 0


def test_a_refused_key_says_how_to_put_it_there(sshd: Sshd, reach: Reach) -> None:
    sshd.authorized_keys.write_text("")
    text = refusal(sshd)
    assert f"no key was taken ({sshd.key}: refused)" in text
    assert f"ssh-copy-id -F none -p {sshd.port} -o UserKnownHostsFile={sshd.known_hosts} " in text
    sshd.authorized_keys.write_text(public(sshd.key))
    assert reach(sshd).run(["true"], timeout_s=60).status == 0


def test_a_server_that_wants_a_password_gets_none(start_sshd: Callable[..., Sshd]) -> None:
    server = start_sshd("PubkeyAuthentication no", "PasswordAuthentication yes")
    assert "takes no keys, only password" in refusal(server)


def test_a_key_is_not_enough_where_two_proofs_are_asked(start_sshd: Callable[..., Sshd]) -> None:
    server = start_sshd("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    assert f"{server.key}: not enough, password is asked for too" in refusal(server)


@pytest.mark.usefixtures("agent")
def test_a_key_with_a_passphrase_comes_from_the_agent(
    sshd: Sshd, reach: Reach, tmp_path: Path
) -> None:
    key = new_key(tmp_path / "locked", passphrase="open sesame")
    sshd.authorized_keys.write_text(public(key))
    assert f"has a passphrase, so give it to the agent: ssh-add {key}" in refusal(
        sshd, key=str(key)
    )
    asks = tmp_path / "askpass"
    asks.write_text("#!/bin/sh\necho open sesame\n")
    asks.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(asks), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, capture_output=True)
    assert reach(sshd, key=str(key)).run(["true"], timeout_s=60).status == 0


def test_a_key_that_is_none_is_named(sshd: Sshd, tmp_path: Path) -> None:
    assert "there is no key" in refusal(sshd, key=str(tmp_path / "missing"))
    (tmp_path / "text").write_text("not a key")
    assert "is no private key that can be read" in refusal(sshd, key=str(tmp_path / "text"))


def test_too_many_keys_for_the_server(start_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = start_sshd("MaxAuthTries 2")
    keys = [new_key(tmp_path / f"key{number}") for number in range(4)]
    config = tmp_path / "config"
    config.write_text("".join(f"IdentityFile {key}\n" for key in keys))
    text = refusal(server, key="", ssh_config=str(config))
    assert "name the right one as key in devices.toml" in text


def test_nothing_at_the_port(start_sshd: Callable[..., Sshd]) -> None:
    server = start_sshd()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "cannot be reached: [Errno 111] Connection refused" in refusal(server, port=port)


def test_a_name_that_is_none(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> socket.socket:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    assert "no such host 'pi.invalid'; set host in devices.toml" in refusal(sshd, host="pi.invalid")


def test_a_server_that_says_nothing(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_login, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "no SSH server answers: " in refusal(sshd, port=port)


def test_the_users_ssh_configuration_counts(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    included = tmp_path / "included"
    included.write_text(
        f"Host kitchen\n HostName 127.0.0.1\n Port {sshd.port}\n User {USER}\n"
        f" IdentityFile {sshd.key}\n IdentitiesOnly yes\n UserKnownHostsFile {sshd.known_hosts}\n"
    )
    config = tmp_path / "config"
    config.write_text(f"Include {included}\n")
    device = reach(
        sshd, host="kitchen", port=None, user="", key="", known_hosts="", ssh_config=str(config)
    )
    assert device.where == f"pi ({USER}@127.0.0.1:{sshd.port})"
    assert device.run(["true"], timeout_s=60).status == 0


def test_a_device_behind_another(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n Port {sshd.port}\n User {USER}\n IdentityFile {sshd.key}\n"
        f" UserKnownHostsFile {sshd.known_hosts}\n StrictHostKeyChecking yes\n"
        "Host *.inside\n HostName 127.0.0.1\n ProxyJump 127.0.0.1\n"
    )
    changes = {"port": None, "user": "", "key": "", "known_hosts": "", "ssh_config": str(config)}
    device = reach(sshd, host="pi.inside", **changes)
    assert device.run(["cat"], stdin=b"through", timeout_s=60).stdout == b"through"
    assert sshd.log().count("Accepted publickey") == 2
    sshd.authorized_keys.write_text("")
    assert "no SSH server answers: " in refusal(sshd, host="pi.inside", **changes)
    assert "Permission denied" in refusal(sshd, host="pi.inside", **changes)


@needs_openssh
def test_settings_of_the_device_go_before_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host pi\n HostName 192.0.2.7\n Port 2222\n User kim\n IdentityFile ~/%h_key\n"
        " ProxyCommand nc %h %p %%\n HostKeyAlias kitchen\n"
    )
    plain = read_settings(DeviceSpec(kind="ssh", host="pi", ssh_config=str(config)))
    assert plain.destination == "kim@192.0.2.7:2222"
    assert plain.identity_files == (Path.home() / "192.0.2.7_key",)
    assert plain.proxy_command == "nc 192.0.2.7 2222 %"
    assert plain.key_name == "kitchen"
    set_there = read_settings(
        DeviceSpec(kind="ssh", host="pi", port=22, user="lea", ssh_config=str(config))
    )
    assert set_there.destination == "lea@192.0.2.7"


@needs_openssh
@pytest.mark.parametrize(
    ("line", "text"),
    [("Nonsense yes", "ssh -G -F .* pi fails: "), ("IdentityFile /x/%Z", "does not know %Z")],
)
def test_a_configuration_that_is_wrong(tmp_path: Path, line: str, text: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"{line}\n")
    with pytest.raises(DeviceError, match=text):
        read_settings(DeviceSpec(kind="ssh", host="pi", ssh_config=str(config)))


def test_without_ssh_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="apt install openssh-client"):
        read_settings(DeviceSpec(kind="ssh", host="pi"))


@needs_openssh
def test_known_hosts_are_read_as_openssh_reads_them(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    text = public(key)
    hashed = tmp_path / "hashed"
    hashed.write_text(f"secret.example {text}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hashed)], check=True, capture_output=True)
    hosts = tmp_path / "known_hosts"
    hosts.write_text(
        f"# a comment\n\n*.local,!bad.local {text}[odd]:2222 {text}@cert-authority ca {text}"
        f"@revoked thief {text}short line\nwise ssh-dss AAAAB3NzaC1kc3M= old\nPi,192.0.2.7 {text}"
        + hashed.read_text("utf-8")
    )

    def lines(name: str) -> list[tuple[int, bool]]:
        return [(each.line, each.revoked) for each in known_keys((hosts,), name)]

    assert lines("a.local") == [(3, False)]
    assert lines("bad.local") == []
    assert lines("[odd]:2222") == [(4, False)]
    assert lines("odd") == lines("o") == lines("ca") == lines("short") == lines("wise") == []
    assert lines("thief") == [(6, True)]
    assert lines("pi") == lines("192.0.2.7") == [(9, False)]
    assert lines("secret.example") == [(10, False)]
    assert known_keys((tmp_path / "none",), "pi") == ()


def test_a_damaged_known_host_is_named(tmp_path: Path) -> None:
    hosts = tmp_path / "known_hosts"
    hosts.write_text("other ssh-ed25519 AAAA\npi ssh-ed25519 AAAA\n")
    with pytest.raises(DeviceError, match="known_hosts, line 2: no host key; remove the line"):
        known_keys((hosts,), "pi")
    hosts.write_bytes(b"\xff")
    with pytest.raises(DeviceError, match="known hosts cannot be read"):
        known_keys((hosts,), "pi")
