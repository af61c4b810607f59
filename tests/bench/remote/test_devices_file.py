"""Which devices there are, and what is wrong with a file that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeface.bench.remote.devices_file import (
    OWN_FILE,
    DeviceSpec,
    device_files,
    find_device,
    read_devices,
)
from edgeface.errors import ConfigError

SHIPPED = Path(__file__).parents[3] / "benchmarks" / "devices.toml"


def written(folder: Path, text: str, name: str = "devices.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_the_shipped_file_names_these_devices() -> None:
    devices = read_devices([SHIPPED])
    assert {name: spec.kind for name, spec in devices.items()} == {
        "local": "local",
        "rpi": "ssh",
        "emulated-arm64": "chroot",
        "emulated-armhf": "chroot",
        "android": "adb",
    }
    assert devices["rpi"] == DeviceSpec(kind="ssh")
    assert {devices[f"emulated-{arch}"].arch for arch in ("arm64", "armhf")} == {"arm64", "armhf"}


def test_every_setting_that_the_shipped_file_shows_commented_is_one(tmp_path: Path) -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    start = lines.index(next(line for line in lines if line.startswith("[rpi]")))
    table = [line.removeprefix("# ") for line in lines[start : lines.index("", start)]]
    spec = read_devices([written(tmp_path, "\n".join(table))])["rpi"]
    assert (spec.port, spec.user, spec.ssh_config) == (22, "pi", "none")
    assert (spec.key, spec.known_hosts) == ("~/.ssh/id_ed25519", "~/.ssh/known_hosts")
    assert spec.python == "python3.11"


def test_without_a_file_there_is_this_machine() -> None:
    assert read_devices([]) == {"local": DeviceSpec(kind="local")}


def test_a_table_of_a_later_file_takes_the_whole_place(tmp_path: Path) -> None:
    project = written(tmp_path, '[pi]\nkind = "ssh"\nhost = "a"\nport = 2222\n', "project.toml")
    own = written(tmp_path, '[pi]\nkind = "ssh"\nhost = "b"\n', "own.toml")
    assert read_devices([project, own])["pi"] == DeviceSpec(kind="ssh", host="b")
    assert read_devices([own, project])["pi"].port == 2222


def test_files_come_in_this_order(tmp_path: Path) -> None:
    project, own = tmp_path / "project", tmp_path / "own"
    assert device_files(project=project, own=own) == ()
    own.touch()
    assert device_files(project=project, own=own) == (own,)
    project.touch()
    extra = tmp_path / "extra"
    assert device_files(extra, project=project, own=own) == (project, own, extra)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a]\nhost = 'x'", "a.kind: missing"),
        ("[a]\nkind = 'telnet'", "a.kind: found 'telnet', expected one of 'local', 'ssh'"),
        ("[a]\nkind = 'ssh'\npassword = 'x'", "a.password: unknown key"),
        ("[a]\nkind = 'ssh'\nname = 'x'", "a.name: unknown key"),
        ("[a]\nkind = 'ssh'\nport = '22'", "a.port: found '22' (str), expected int"),
        ("[a]\nkind = 'ssh'\nport = 0", "a.port is 0, expected 1 to 65535"),
        ("[a]\nkind = 'ssh'\nport = 65536", "a.port is 65536"),
        ("[a]\nkind = 'ssh'\nhost = '-oProxyCommand=id'", "a.host is '-oProxyCommand=id'"),
        ("[a]\nkind = 'ssh'\nhost = 'pi@x'", "a.host is 'pi@x', expected a word"),
        ("[a]\nkind = 'ssh'\nuser = 'a b'", "a.user is 'a b'"),
        ("[a]\nkind = 'ssh'\nkey = 'id'", "a.key is 'id', expected a path from / or ~/"),
        ("[a]\nkind = 'ssh'\nkey = 'none'", "a.key is 'none'"),
        ("[a]\nkind = 'ssh'\nroot = '/x'", "a.root does not belong to kind 'ssh'"),
        ("[a]\nkind = 'local'\nhost = 'x'", "a.host does not belong to kind 'local'"),
        ("[a]\nkind = 'chroot'\nroot = '/x'", "a.kind 'chroot' needs root and arch"),
        ("[a]\nkind = 'chroot'\nroot = '/x'\narch = 'x86'", "a.arch: found 'x86'"),
        ("[a]\nkind = 'adb'\nserial = '-s'", "a.serial is '-s'"),
        ("a = 3", "a: found 3 (int), expected a table"),
        ("['A b']\nkind = 'local'", "A b: expected a name of small letters"),
        ("[a", "not TOML: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_devices([path])
    assert f"devices: {path}: {problem}" in str(caught.value)


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    first = written(tmp_path, "[a]\nkind = 'ssh'\nport = 0\nuser = '-'\n[b]\n", "first.toml")
    second = tmp_path / "missing.toml"
    third = written(tmp_path, "['C']\nkind = 'x'", "third.toml")
    with pytest.raises(ConfigError) as caught:
        read_devices([first, second, third])
    starts = [(first, "a.port"), (first, "a.user"), (first, "b.kind"), (second, "cannot be read")]
    starts += [(third, "C: expected a name"), (third, "C.kind")]
    assert len(caught.value.problems) == len(starts)
    for problem, (path, start) in zip(caught.value.problems, starts, strict=True):
        assert problem.startswith(f"{path}: {start}")


def test_a_device_that_can_be_reached_is_found() -> None:
    pi = DeviceSpec(kind="ssh", host="192.0.2.7")
    assert find_device("pi", {"pi": pi}) is pi


@pytest.mark.parametrize(("name", "why"), [("rpi", "no host is set"), ("pi4", "not known")])
def test_one_line_says_which_lines_to_add(name: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_device(name, read_devices([SHIPPED]))
    text = str(caught.value)
    assert text.startswith(f"device '{name}': {why}")
    assert f"add these lines to {OWN_FILE}: [{name}] / kind = " in text
    assert "\n" not in text


def test_the_lines_to_add_are_right(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_device("rpi", read_devices([SHIPPED]))
    lines = str(caught.value).rpartition(": ")[2].replace(" / ", "\n")
    own = written(tmp_path, lines.replace("NAME OR ADDRESS", "192.0.2.7"))
    spec = find_device("rpi", read_devices([SHIPPED, own]))
    assert spec == DeviceSpec(kind="ssh", host="192.0.2.7", user="pi")


def test_a_name_that_no_device_can_have() -> None:
    with pytest.raises(ConfigError, match="'My Pi': not known, expected one of local; a name has"):
        find_device("My Pi", read_devices([]))
