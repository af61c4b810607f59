"""`manifest_file`: what is written is read, and what was doctored is refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data import manifest_file
from edgeface.data.labels import MAX_AGE_YEARS, AgeInterval
from edgeface.data.manifest import SPLITS, Row, Source
from edgeface.data.manifest_file import read_manifest, write_manifest
from edgeface.errors import DataError
from support.manifests import BASE, GENDER, digest, manifest_of, mapping_of, refusal, row


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good manifest, of a folder beside it."""
    path = tmp_path / "faces.manifest.json"
    write_manifest(path, manifest_of(tmp_path / "faces", BASE))
    return path


# names as they may come out of a file system: any character but NUL, and bytes that are not UTF-8
characters = st.characters(min_codepoint=1, exclude_categories=["Cs"])
odd_characters = st.sampled_from(list("\"'\\,#/\n\x1b\u2028é🙂\udc80\udcff"))
names = st.lists(odd_characters | characters, min_size=1, max_size=12).map("".join)
ages = st.none() | st.tuples(st.integers(0, MAX_AGE_YEARS), st.integers(0, MAX_AGE_YEARS)).map(
    lambda ends: AgeInterval(low_years=min(ends), high_years=max(ends))
)
rows = st.builds(
    row,
    names,
    st.sampled_from([*SPLITS, None]),
    age=ages,
    classes=st.sampled_from([{}, {"gender": 0}, {"gender": 1}]),
)


@settings(max_examples=25)
@given(found=st.lists(rows, max_size=8, unique_by=lambda one: one.id), root=names, label=names)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, found: list[Row], root: str, label: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "m.json"
    named = {one.id for one in BASE}
    manifest = manifest_of(folder, BASE + [one for one in found if one.id not in named])
    root = f"/{root.replace('/', '|')}" if root.strip("./") else "/x"
    source = replace(manifest.sources[0], root=root, label=label)
    manifest = replace(manifest, sources=(source,))
    write_manifest(path, manifest)
    assert read_manifest(path) == manifest
    assert [one.name for one in folder.iterdir()] == ["m.json"], "no temporary file is left"
    again = folder / "again.json"
    write_manifest(again, read_manifest(path))
    assert again.read_bytes() == path.read_bytes()


def test_one_image_a_line_and_plain_json(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    assert sum('"id": ' in line for line in lines) == len(BASE)
    mapping = mapping_of(file)
    assert mapping["schema_version"] == 1
    assert mapping["seed"] == 7
    assert mapping["rows"][0] == {
        "id": "a.jpg",
        "path": "a.jpg",
        "sha256": digest("content a.jpg"),
        "perceptual_hash": digest("look a.jpg"),
        "age": {"low_years": 30, "high_years": 30},
        "classes": {"gender": 1},
        "group": "a.jpg",
        "split": "train",
        "left_out": "",
    }
    assert mapping["rows"][4]["split"] is None
    assert mapping["rows"][4]["left_out"] == "no label"


def test_rows_of_several_sets_and_drawn_faces_survive(tmp_path: Path) -> None:
    drawn = Source(
        kind="drawn", label="drawn", attributes=(GENDER,), seed=5, side_px=64, version="1"
    )
    names = [f"drawn-1-5-{i:06d}" for i in range(3)]
    faces = [
        Row(id=name, group=f"1:{name}", split=split, source=1, classes={"gender": 0})
        for name, split in zip(names, SPLITS, strict=True)
    ]
    manifest = manifest_of(tmp_path, BASE)
    manifest = replace(manifest, sources=(*manifest.sources, drawn), rows=(*manifest.rows, *faces))
    write_manifest(tmp_path / "m.json", manifest)
    assert read_manifest(tmp_path / "m.json") == manifest


def test_the_order_of_the_lines_does_not_matter(file: Path) -> None:
    good = read_manifest(file)
    mapping = mapping_of(file)
    mapping["rows"].reverse()
    file.write_text(json.dumps(mapping))
    assert read_manifest(file) == good


@pytest.mark.parametrize("relative", [False, True])
def test_a_root_beside_the_file_moves_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, relative: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path("work") if relative else tmp_path / "work"
    (here / "sets" / "faces").mkdir(parents=True)
    write_manifest(here / "m.json", manifest_of(here / "sets" / "faces", BASE))
    assert mapping_of(here / "m.json")["sources"][0]["root"] == "sets/faces"
    moved = tmp_path / "elsewhere"
    here.rename(moved)
    assert read_manifest(moved / "m.json").sources[0].root == str(moved / "sets" / "faces")


def test_a_root_elsewhere_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    # not below the folder of the file, though it was named relative to this one
    write_manifest(Path("out/m.json"), manifest_of(Path("faces"), BASE))
    monkeypatch.chdir("/")
    assert read_manifest(tmp_path / "out" / "m.json").sources[0].root == str(tmp_path / "faces")
    # the folder of the file itself
    write_manifest(tmp_path / "m.json", manifest_of(tmp_path, BASE))
    assert mapping_of(tmp_path / "m.json")["sources"][0]["root"] == "."
    assert read_manifest(tmp_path / "m.json").sources[0].root == str(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"id,path\n1,2\n",
        b"{} {}",
        b"\xff\xfe\xfa",
        b"\x89PNG\r\n\x1a\n",
        b'{"schema_version": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_json(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert "not a manifest: not JSON (" in refusal(file)


@pytest.mark.parametrize("content", [b"[]", b"null", b"3", b'"text"', b"{}", b"NaN"])
def test_json_that_is_no_table(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert "schema_version is missing, expected 1" in refusal(file)


def test_a_file_cut_off_anywhere(file: Path) -> None:
    content = file.read_bytes().rstrip()
    for end in range(0, len(content), 97):
        file.write_bytes(content[:end])
        assert "not a manifest: not JSON (" in refusal(file)


def test_a_byte_order_mark_changes_nothing(file: Path) -> None:
    """Editors of Windows write one; an absolute `sources.root` may be edited."""
    good = read_manifest(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_manifest(file) == good


def test_a_file_too_large_for_a_manifest_is_not_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = file.stat().st_size
    monkeypatch.setattr(manifest_file, "MAX_BYTES", size)
    read_manifest(file)
    monkeypatch.setattr(manifest_file, "MAX_BYTES", size - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    assert f"over {size - 1} bytes, expected a manifest" in refusal(file)


def test_what_is_no_file(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file; make it with: edgeface data prepare" in refusal(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    assert "not a file; make it with: edgeface data prepare" in refusal(tmp_path / "folder.json")
    assert "cannot be read: File name too long" in refusal(tmp_path / ("x" * 300))
    assert "no such file" in refusal(file / "below.json")

    def deny(path: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", deny)  # chmod does not stop root
    assert "cannot be read: Permission denied" in refusal(file)


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwritten(path: Path) -> str:
        with pytest.raises(DataError) as info:
            write_manifest(path, manifest_of(tmp_path, BASE[:4]))
        assert str(info.value).isprintable()
        assert str(info.value).startswith(f"{path}: ")
        return str(info.value)

    before = file.read_bytes()
    assert "No such file or directory; give another --out" in unwritten(tmp_path / "no" / "m.json")
    assert "Not a directory; give another --out" in unwritten(file / "m.json")
    assert "is a folder; give --out the name of a file" in unwritten(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "is a folder" in unwritten(Path())

    def deny(path: Path, *_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", deny)  # chmod does not stop root
        assert "Permission denied" in unwritten(file)

    def full(path: Path, content: bytes) -> NoReturn:
        with path.open("wb") as half:
            half.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert "cannot be written: No space left on device" in unwritten(file)
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == before
