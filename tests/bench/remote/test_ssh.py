"""Commands and files over a real sshd, and what goes wrong in the middle."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgeface.bench.remote import shell, ssh
from edgeface.bench.remote.ssh import SshTransport, connect
from edgeface.bench.remote.transport import ConnectionLostError, Transport
from edgeface.errors import DeviceError
from support.sshd import HOME, USER, Sshd, lives, meanwhile, wait_until

Reach = Callable[..., SshTransport]
MANY = bytes(range(256)) * 20_000  # 5 MB

# writes its number into a file, and stays
STAY = ["sh", "-c", 'echo $$ >"$1.part"; mv "$1.part" "$1"; exec sleep 1000', "stay"]


def sh(script: str, *arguments: str) -> list[str]:
    return ["sh", "-c", script, "test", *arguments]


def pid_in(path: Path) -> int:
    return int(path.read_text("utf-8"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_it_is_a_transport(pi: SshTransport, sshd: Sshd) -> None:
    transport: Transport = pi
    assert transport.where == f"pi ({USER}@127.0.0.1:{sshd.port})"


def test_words_arrive_as_they_are(pi: SshTransport) -> None:
    words = [
        *("two words", "it's", 'say "no"', "line\nbreak", "", " ", "\t", "$HOME", "`id`", "$(id)"),
        *("*", "~", "!!", "a;b", "a&b", "a|b", ">x", "\\", "\\n", "-n", "--", "é ☃", "{a,b}", "#"),
    ]
    done = pi.run(["printf", "%s\\0", *words], timeout_s=60)
    assert done.stdout.decode().split("\0") == [*words, ""]
    assert (done.status, done.stderr) == (0, b"")


def test_status_and_both_outputs_come_back(pi: SshTransport) -> None:
    done = pi.run(sh("printf out; printf err >&2; exit 3"), timeout_s=60)
    assert (done.status, done.stdout, done.stderr) == (3, b"out", b"err")


def test_it_runs_in_the_users_home(pi: SshTransport) -> None:
    assert pi.run(["pwd", "-P"], timeout_s=60).stdout.decode().strip() == str(HOME.resolve())


def test_a_program_that_is_not_there_is_status_127(pi: SshTransport) -> None:
    assert pi.run(["no-such-program"], timeout_s=60).status == 127


@pytest.mark.parametrize(("name", "number"), [("KILL", 9), ("SEGV", 11), ("TERM", 15)])
def test_a_signal_is_a_status_below_zero(pi: SshTransport, name: str, number: int) -> None:
    assert pi.run(sh(f"kill -s {name} $$"), timeout_s=60).status == -number


def test_much_input_and_much_of_both_outputs(pi: SshTransport) -> None:
    done = pi.run(["tee", "/dev/stderr"], stdin=MANY, timeout_s=120)
    assert done.stdout == MANY
    assert done.stderr == MANY


def test_input_that_nobody_reads_does_not_matter(pi: SshTransport) -> None:
    done = pi.run(sh("echo done"), stdin=MANY, timeout_s=60)
    assert (done.status, done.stdout) == (0, b"done\n")


def test_a_command_without_input_reads_its_end(pi: SshTransport) -> None:
    assert pi.run(["cat"], timeout_s=60).stdout == b""


def test_what_a_command_leaves_running_is_killed(pi: SshTransport) -> None:
    done = pi.run(sh("sleep 1000 & echo $!"), timeout_s=60)
    assert done.status == 0
    left = int(done.stdout)
    wait_until(lambda: not lives(left))


def late_when(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the time be over as soon as the file is there, however slow this machine is."""

    def monotonic() -> float:
        return time.monotonic() + (1000 if path.exists() else 0)

    monkeypatch.setattr(ssh, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))


def test_a_command_that_takes_too_long_is_killed_there(
    pi: SshTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_when(monkeypatch, tmp_path / "pid")
    with pytest.raises(DeviceError, match=r"pi \(.*sh -c … did not end within 500 s and was kill"):
        pi.run([*STAY, str(tmp_path / "pid")], timeout_s=500)
    wait_until(lambda: not lives(pid_in(tmp_path / "pid")))
    (tmp_path / "pid").unlink()
    assert pi.run(["echo", "next"], timeout_s=60).stdout == b"next\n"


def test_it_is_killed_too_where_its_input_is_stuck(
    pi: SshTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of file stands behind input that the command never reads: it ends itself."""
    late_when(monkeypatch, tmp_path / "pid")
    monkeypatch.setattr(shell, "KILL_GRACE_S", -495.0)
    with pytest.raises(DeviceError, match="did not end within 500 s"):
        pi.run([*STAY, str(tmp_path / "pid")], stdin=MANY, timeout_s=500)
    wait_until(lambda: not lives(pid_in(tmp_path / "pid")))


def test_an_interrupt_here_kills_the_command_there(
    pi: SshTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"

    def monotonic() -> float:
        if pid_file.exists():
            raise KeyboardInterrupt
        return time.monotonic()

    monkeypatch.setattr(ssh, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))
    with pytest.raises(KeyboardInterrupt):
        pi.run([*STAY, str(pid_file)], timeout_s=500)
    wait_until(lambda: not lives(pid_in(pid_file)))


def test_a_lost_connection_kills_the_command_and_the_next_run_works(
    pi: SshTransport, sshd: Sshd, reach: Reach, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"

    def cut() -> None:
        wait_until(pid_file.exists)
        sshd.cut()

    with meanwhile(cut), pytest.raises(ConnectionLostError, match=r"pi \(.*connection was lost"):
        pi.run([*STAY, str(pid_file)], timeout_s=100)
    wait_until(lambda: not lives(pid_in(pid_file)))
    with pytest.raises(ConnectionLostError):
        pi.run(["true"], timeout_s=60)
    assert reach(sshd).run(["echo", "again"], timeout_s=60).stdout == b"again\n"


def test_a_file_arrives_whole(pi: SshTransport, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "it's -a file"
    pi.put(MANY, str(target))
    assert target.read_bytes() == MANY
    source = tmp_path / "source"
    source.write_bytes(MANY[1:])
    pi.put(source, str(target))
    assert pi.get(str(target)) == MANY[1:]
    pi.put(b"", str(target))
    assert pi.get(str(target)) == b""
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_bytes_are_counted_as_they_leave(pi: SshTransport, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(MANY)
    for content in (MANY, source):
        sent: list[int] = []
        pi.put(content, str(tmp_path / "target"), sent=sent.append)
        assert sum(sent) == len(MANY)
        assert max(sent) < len(MANY) / 100  # so that a bar moves
    nothing: list[int] = []
    pi.put(b"", str(tmp_path / "target"), sent=nothing.append)
    assert sum(nothing) == 0


def test_paths_are_under_the_home(pi: SshTransport, tmp_path: Path) -> None:
    from_home = os.path.relpath(tmp_path / "file", HOME.resolve())
    pi.put(b"here", from_home)
    assert (tmp_path / "file").read_bytes() == b"here"
    assert pi.get(from_home) == b"here"


def test_a_full_disk_leaves_the_old_file(pi: SshTransport, small_disk: Path) -> None:
    path = small_disk / "model"
    pi.put(b"old", str(path))
    with pytest.raises(DeviceError, match=r"the disk is full: .*model .5120000 bytes. was not"):
        pi.put(MANY, str(path))
    assert [each.name for each in small_disk.iterdir()] == ["model"]
    assert path.read_bytes() == b"old"
    pi.put(b"new", str(path))
    assert path.read_bytes() == b"new"


def test_a_folder_that_cannot_be_made_is_named(pi: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DeviceError, match=r"file/model cannot be written: .*File exists"):
        pi.put(b"x", str(tmp_path / "file" / "model"))


def test_a_file_that_is_not_there_is_named(pi: SshTransport, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"nothing cannot be read: .*No such file"):
        pi.get(str(tmp_path / "nothing"))
    with pytest.raises(DeviceError, match="nothing: cannot be read"):
        pi.put(tmp_path / "nothing", str(tmp_path / "copy"))


def test_a_connection_lost_while_a_file_is_written_leaves_none(
    pi: SshTransport, sshd: Sshd, reach: Reach, tmp_path: Path
) -> None:
    """The part is a pipe that nobody reads, so that writing stops in the middle."""
    part = tmp_path / "model.edgeface-part"
    os.mkfifo(part)
    reading = os.open(part, os.O_RDONLY | os.O_NONBLOCK)
    sent: list[int] = []
    try:

        def cut() -> None:
            wait_until(lambda: select.select([reading], [], [], 0)[0])
            sshd.cut()

        with meanwhile(cut), pytest.raises(ConnectionLostError):
            pi.put(MANY, str(tmp_path / "model"), sent=sent.append)
    finally:
        os.close(reading)
    assert not (tmp_path / "model").exists()
    assert sum(sent) < len(MANY)  # what has not left is not counted
    part.unlink(missing_ok=True)  # the shell there may have had the time to remove it
    reach(sshd).put(MANY, str(tmp_path / "model"))
    assert (tmp_path / "model").read_bytes() == MANY


def test_several_devices_at_once(start_sshd: Callable[..., Sshd], reach: Reach) -> None:
    pis = [reach(start_sshd(name=name)) for name in ("a", "b", "c")]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(each.run, ["cat"], stdin=MANY, timeout_s=120) for each in pis]
        assert [each.result().stdout == MANY for each in asked] == [True] * 3


def test_a_shell_that_runs_nothing_says_so(start_sshd: Callable[..., Sshd], reach: Reach) -> None:
    server = start_sshd("ForceCommand echo This account is not available.; exit 1")
    with pytest.raises(DeviceError, match="not run by the shell there: This account is not avail"):
        reach(server).run(["true"], timeout_s=60)


def test_output_held_open_by_a_daemon_is_an_error(
    pi: SshTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_CLOSING_S", 0.5)
    pid_file = tmp_path / "pid"
    script = 'setsid sh -c \'echo $$ >"$0"; exec sleep 1000\' "$1" & '
    wait = 'while [ ! -s "$1" ]; do sleep 0.1; done'
    with pytest.raises(DeviceError, match="left something running"):
        pi.run(sh(script + wait, str(pid_file)), timeout_s=60)
    os.kill(pid_in(pid_file), 9)


def test_no_process_of_the_server_outlives_the_test(tmp_path: Path, sshd: Sshd) -> None:
    """Of the fixture: what a test leaves running is killed."""
    transport = connect("pi", sshd.spec())
    pid_file = tmp_path / "pid"
    run = partial(transport.run, [*STAY, str(pid_file)], timeout_s=100)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run)
        wait_until(pid_file.exists)
        pid = pid_in(pid_file)
        sshd.cut()
        assert isinstance(running.exception(), ConnectionLostError)
    transport.close()
    wait_until(lambda: not lives(pid))
