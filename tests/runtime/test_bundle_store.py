"""The bundles of a device: killed between any two steps, `current` works; no zip escapes."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from edgeface.errors import ArtifactError, DeviceError
from edgeface.runtime.bundle_files import bundle_id, verify_files
from edgeface.runtime.bundle_store import commit, main, read_state, tidy, unpack


class Killed(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches a kill."""


FILES = {name: name.encode() * 9 for name in ("m.tflite", "m.json", "edgeface.zip", "run.py")}
FILES["edgeface-run"] = b"#!/bin/sh\n"


def zipped(files: Dict[str, bytes]) -> Tuple[bytes, str]:
    """A bundle's zip and its identity."""
    listing = json.dumps(
        {
            "schema_version": 1,
            "model": "m",
            "edgeface_version": "0",
            "members": {
                name: {"sha256": sha256(content).hexdigest(), "size_bytes": len(content)}
                for name, content in files.items()
            },
        }
    ).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {**files, "bundle.json": listing}.items():
            archive.writestr(name, content)
    return buffer.getvalue(), bundle_id(listing)


def sent(deploy: Path, content: bytes, name: str) -> Path:
    path = deploy / "incoming" / f"{name}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put(deploy: Path, number: int) -> str:
    """Bring a bundle to `.partial`."""
    content, name = zipped({**FILES, "number": bytes([number])})
    unpack(deploy, sent(deploy, content, name), sha256(content).hexdigest(), name)
    (deploy / "bundles" / f"{name}.partial" / "interpreter").write_text("/bin/python3")
    return name


def works(deploy: Path) -> str:
    folder = (deploy / "current").resolve()
    verify_files(folder, folder.name)
    return folder.name


def counting(monkeypatch: pytest.MonkeyPatch, kill_at: Optional[int]) -> List[str]:
    """Watch every change of the file system, and be killed before one of them."""
    calls: List[str] = []

    def watched(name: str, real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if len(calls) == kill_at:
                raise Killed(name)
            calls.append(name)
            return real(*arguments, **options)

        return call

    for name in ("replace", "rename", "symlink", "unlink", "rmdir", "mkdir"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    monkeypatch.setattr(
        os, "sync", watched("sync", lambda: None)
    )  # slow where much else is written
    monkeypatch.setattr(Path, "write_text", watched("write", Path.write_text))
    return calls


@pytest.mark.parametrize("known", [False, True], ids=["a new bundle", "the one before"])
def test_killed_at_any_step_of_a_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    base = tmp_path / "base"
    other = put(base, 0)
    commit(base, other)
    former = put(base, 1)
    commit(base, former)
    new = other if known else put(base, 2)
    steps: List[str] = []
    for kill_at in range(100):
        deploy = tmp_path / f"{kill_at}"
        shutil.copytree(base, deploy, symlinks=True)
        with monkeypatch.context() as patched:
            steps = counting(patched, kill_at)
            try:
                commit(deploy, new)
                tidy(deploy)
                break
            except Killed:
                pass
        # what is renamed after the link was made is the link
        switched = "symlink" in steps and "replace" in steps[steps.index("symlink") :]
        assert works(deploy) == (new if switched else former), steps
        if not switched and not known:
            assert read_state(deploy).previous == other
        tidy(deploy)
        if not switched and not (deploy / "bundles" / new).exists():
            assert put(deploy, 2) == new
        state = commit(deploy, new)
        assert (works(deploy), state.previous) == (new, former)
        tidy(deploy)
        assert sorted(p.name for p in (deploy / "bundles").iterdir()) == sorted([new, former])
        assert list(deploy.glob("*.new")) == []
    else:
        pytest.fail("never came to the end")
    assert steps.count("symlink") == 1
    assert steps.count("sync") >= 2
    assert "replace" in steps


def test_killed_while_unpacking_leaves_what_the_next_call_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = put(tmp_path, 1)
    commit(tmp_path, former)
    with monkeypatch.context() as patched:
        real = shutil.copyfileobj

        def full(source: Any, sink: Any, size: int) -> None:
            real(io.BytesIO(source.read(3)), sink)
            raise Killed

        patched.setattr(shutil, "copyfileobj", full)
        with pytest.raises(Killed):
            put(tmp_path, 2)
    assert works(tmp_path) == former
    assert len(list((tmp_path / "bundles").iterdir())) == 2
    tidy(tmp_path)
    assert [p.name for p in (tmp_path / "bundles").iterdir()] == [former]
    commit(tmp_path, put(tmp_path, 2))
    assert works(tmp_path) != former


def test_what_another_deployment_has_changed_is_not_made_current(tmp_path: Path) -> None:
    former = put(tmp_path, 1)
    commit(tmp_path, former)
    tested = put(tmp_path, 2)
    partial = tmp_path / "bundles" / f"{tested}.partial"
    (partial / "interpreter").unlink()  # as it is when the same bundle was unpacked anew
    with pytest.raises(DeviceError, match="does another deployment run"):
        commit(tmp_path, tested)
    (partial / "interpreter").write_text("/bin/python3")
    (partial / "m.tflite").write_bytes(b"half")
    with pytest.raises(ArtifactError, match=r"the bundle is damaged: m\.tflite"):
        commit(tmp_path, tested)
    assert works(tmp_path) == former


def test_tidy_keeps_what_it_is_told(tmp_path: Path) -> None:
    assert tidy(tmp_path / "none").current is None
    name = put(tmp_path, 1)
    sent(tmp_path, b"", "code")
    state = tidy(tmp_path, keep=["code.zip"])
    assert (state.current, state.previous, state.interpreters) == (None, None, {})
    assert [p.name for p in (tmp_path / "incoming").iterdir()] == ["code.zip"]
    with pytest.raises(DeviceError, match="gone in the meantime"):
        commit(tmp_path, name)
    assert not (tmp_path / "current").exists()


def linked(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/tmp/edgeface-escaped",
        "a/../../escaped",
        "wheels/../../escaped",
        "wheels/a/b",
        "..",
        "wheels/",
        ".hidden",
        "C:\\escaped",
        "a\\..\\escaped",
        "new\nline",
    ],
)
def test_a_zip_does_not_leave_its_folder(tmp_path: Path, name: str) -> None:
    deploy = tmp_path / "deploy"
    content, id = zipped({**FILES, name: b"out"})
    path = sent(deploy, content, id)
    before = {*tmp_path.rglob("*"), deploy / "lock"}
    with pytest.raises(ArtifactError, match="nothing was unpacked"):
        unpack(deploy, path, sha256(content).hexdigest(), id)
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/tmp/edgeface-escaped").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a, x: a.writestr(x("m.tflite", mode=stat.S_IFLNK), b"/etc"), "expected files in"),
        (lambda a, x: a.writestr(x("z"), b"0" * 99, zipfile.ZIP_DEFLATED), "compressed or encr"),
        (lambda a, x: a.writestr(x("unlisted"), b"0"), "not the bundle"),
        (lambda a, x: None, "holds no bundle.json"),
    ],
    ids=["link", "compressed", "unlisted", "no listing"],
)
def test_a_zip_that_is_no_bundle(tmp_path: Path, change: Any, said: str) -> None:
    def info(name: str, mode: int = stat.S_IFREG) -> zipfile.ZipInfo:
        made = zipfile.ZipInfo(name)
        made.external_attr = (mode | 0o644) << 16
        return made

    whole, id = zipped(FILES)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, zipfile.ZipFile(io.BytesIO(whole)) as source:
        change(archive, info)
        for name in source.namelist() if "bundle.json" not in said else ():
            if name not in archive.namelist():
                archive.writestr(name, source.read(name))
    content = buffer.getvalue()
    path = sent(tmp_path, content, id)
    with pytest.raises(ArtifactError, match=said):
        unpack(tmp_path, path, sha256(content).hexdigest(), id)
    assert not (tmp_path / "bundles").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    whole, id = zipped(FILES)
    buffer = io.BytesIO(whole)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("m.tflite", b"another")
    content = buffer.getvalue()
    with pytest.raises(ArtifactError, match="holds a name twice"):
        unpack(tmp_path, sent(tmp_path, content, id), sha256(content).hexdigest(), id)


def test_the_command_line_answers_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*arguments: str) -> Tuple[int, Dict[str, Any]]:
        status = main([str(tmp_path), *arguments])
        reply: Dict[str, Any] = json.loads(capsys.readouterr().out)
        return status, reply

    content, id = zipped(FILES)
    path = sent(tmp_path, content, id)
    assert asked("unpack", str(path), sha256(content).hexdigest(), id) == (0, {})
    (tmp_path / "bundles" / f"{id}.partial" / "interpreter").write_text("/bin/python3\n")
    state = {"current": id, "previous": None, "interpreters": {id: "/bin/python3"}}
    assert asked("commit", id) == (0, state)
    assert asked("tidy") == (0, state)
    assert asked("verify", id) == (0, {"model": "m"})
    status, reply = asked("verify", "../..")
    assert (status, reply["error"]) == (1, "'../..': not the name of a bundle")
    status, reply = asked("unpack", str(path), "0", id)
    assert status == 1
    assert "No such file" in reply["error"]  # tidy has removed it

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    path = sent(tmp_path, content, id)
    status, reply = asked("unpack", str(path), sha256(content).hexdigest(), id)
    assert (status, reply["error"]) == (1, "the disk is full; make room and run again")
