"""`paths`: a name out of an untrusted set leads to a file below the root, or to a reason."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgeface.data.adapters.detect import ADAPTERS, list_dataset
from edgeface.data.adapters.paths import (
    image_files,
    locate,
    normal_name,
    picture_names,
    printable,
    shown,
)
from edgeface.errors import DataError

_done, _encoded = cv2.imencode(".png", np.zeros((4, 5, 3), np.uint8))
PNG = _encoded.tobytes()
_OPENED: list[str] = []
_WATCHING = [False]


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _WATCHING[0] and event in ("open", "os.scandir", "os.listdir"):
        _OPENED.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")


sys.addaudithook(_watch)  # cannot be taken away again; does nothing outside `opened`


@contextmanager
def opened() -> Iterator[list[str]]:
    _OPENED.clear()
    _WATCHING[0] = True
    try:
        yield _OPENED
    finally:
        _WATCHING[0] = False


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PNG)


def reason(root: Path, name: str) -> str:
    with pytest.raises(DataError) as info:
        locate(root, name)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with every kind of link, and a secret beside it."""
    top = tmp_path_factory.mktemp("hostile")
    save(top / "outside" / "secret.png")
    root = top / "root"
    save(root / "a" / "b.png")
    (root / "in.png").symlink_to("a/b.png")
    (root / "in_folder").symlink_to("a")
    (root / "out.png").symlink_to("../outside/secret.png")
    (root / "out_folder").symlink_to("../outside")
    (root / "by_way_of.png").symlink_to("in_folder/../../outside/secret.png")
    (root / "loop").symlink_to("loop")
    (root / "loop.png").symlink_to("loop.png")
    (root / "up").symlink_to(".")
    (root / "nothing.png").symlink_to("never/was.png")
    os.mkfifo(root / "pipe.png")
    return root


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.png", "a/b.png"),
        ("./a//b.png", "a/b.png"),
        ("a/./b.png", "a/b.png"),
        ("été/ 'x' \"y\".png", "été/ 'x' \"y\".png"),
        ("..a/b..c.png", "..a/b..c.png"),  # dots, but not the folder above
    ],
)
def test_names_take_the_form_of_an_id(name: str, expected: str) -> None:
    assert normal_name(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "no path in the row"),
        (".", "no path in the row"),
        ("/etc/passwd", "is absolute"),
        ("//server/share/x.png", "is absolute"),
        ("\\\\server\\share\\x.png", "is absolute"),
        ("\\x.png", "is absolute"),
        ("C:\\x.png", "is absolute"),
        ("C:/x.png", "is absolute"),
        ("C:x.png", "is absolute"),  # on Windows: the current folder of drive C
        ("..", "has '..' in it"),
        ("../x.png", "has '..' in it"),
        ("a/../../x.png", "has '..' in it"),
        ("a\\..\\..\\x.png", "has '..' in it"),
        ("a\nb.png", "has a control character in it"),
        ("a\x1b[2Jb.png", "has a control character in it"),
        ("a\0.png", "has a control character in it"),
        ("a\x85.png", "has a control character in it"),
        ("a\u2028.png", "has a line separator in it"),
        ("a\udcff.png", "is not UTF-8"),
    ],
)
def test_names_that_no_set_needs_are_refused(tmp_path: Path, name: str, expected: str) -> None:
    said = reason(tmp_path, name)
    assert expected in said
    assert said.isprintable()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("out.png", "is a symbolic link out of the folder"),
        ("out_folder/secret.png", "is a symbolic link out of the folder"),
        ("by_way_of.png", "is a symbolic link out of the folder"),
        ("loop", "cannot be looked up: Too many levels of symbolic links"),
        ("loop/x.png", "cannot be looked up: Too many levels of symbolic links"),
        ("loop.png", "cannot be looked up: Too many levels of symbolic links"),
        ("nothing.png", "no such file"),
        ("a/none.png", "no such file"),
        ("a/b.png/c.png", "no such file"),
        ("a\\b.png", "no such file: 'a\\\\b.png'; write it with forward slashes"),
        ("a", "is not an ordinary file"),
        ("up", "is not an ordinary file"),
        ("pipe.png", "is not an ordinary file"),
        ("x" * 300 + ".png", "cannot be looked up: File name too long"),
    ],
)
def test_links_and_what_is_no_file(hostile: Path, name: str, expected: str) -> None:
    said = reason(hostile, name)
    assert expected in said
    assert len(said) < 160, "a hostile name does not fill the screen"


def test_links_that_stay_inside_are_followed(hostile: Path) -> None:
    for name in ("a/b.png", "in.png", "in_folder/b.png", "up/up/a/b.png"):
        assert locate(hostile, name).read_bytes() == PNG
    by_link = hostile.parent / "root_by_link"
    by_link.symlink_to(hostile)
    assert locate(by_link, "in.png").read_bytes() == PNG  # the user named the link


parts = st.sampled_from(
    ["..", ".", "", "a", "b.png", "in_folder", "out_folder", "up", "loop", "out.png", "in.png"]
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(parts, max_size=6), lead=st.sampled_from(["", "/", "\\", "C:\\"]))
@example(steps=["in_folder", "..", "..", "outside", "secret.png"], lead="")
def test_whatever_is_located_is_below_the_root(hostile: Path, steps: list[str], lead: str) -> None:
    try:
        path = locate(hostile, lead + "/".join(steps))
    except DataError as err:
        assert "\n" not in str(err)  # noqa: PT017  # both ends are right
    else:
        assert path.resolve().is_relative_to(hostile.resolve())
        assert path.is_file()


def test_the_walk_names_what_it_does_not_give(hostile: Path, tmp_path: Path) -> None:
    names, left_out = picture_names(hostile)
    assert names == ["a/b.png", "in.png"]
    assert dict(left_out) == {
        "by_way_of.png": "'by_way_of.png' is a symbolic link out of the folder",
        "in_folder": "symbolic link to a folder, not followed",
        "loop.png": "'loop.png' cannot be looked up: Too many levels of symbolic links",
        "nothing.png": "no such file: 'nothing.png'",
        "out.png": "'out.png' is a symbolic link out of the folder",
        "out_folder": "symbolic link to a folder, not followed",
        "pipe.png": "not an ordinary file",
        "up": "symbolic link to a folder, not followed",
    }


def test_the_walk_over_names_that_no_message_could_print(tmp_path: Path) -> None:
    for name in (b"a\nb.png", b"\xff.JPG", b"quote'\".webp", b"f\xfe/x.png", b"notes\n.txt"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        save(path)
    names, left_out = picture_names(tmp_path)
    assert names == ["quote'\".webp"]
    assert left_out == [
        ("\\udcff.JPG", "path '\\udcff.JPG' is not UTF-8"),
        ("a\\nb.png", "path 'a\\nb.png' has a control character in it"),
        ("f\\udcfe", "path 'f\\udcfe' is not UTF-8"),  # and nothing in it is looked at
    ]


@given(st.text(max_size=200))
def test_what_is_shown_is_one_short_printable_line(text: str) -> None:
    line = shown(text)
    assert line.isprintable()
    assert ast.literal_eval(line) == (text if len(text) <= 80 else f"{text[:80]}…")
    assert "\n" not in printable(text)
    assert printable(text) == text or any(not char.isprintable() for char in text)


def test_reading_checks_the_name_again(hostile: Path) -> None:
    read = image_files(hostile).read
    np.testing.assert_array_equal(read("in.png"), np.zeros((4, 5, 3), np.uint8))
    for name in ("../outside/secret.png", "out.png", str(hostile / "a" / "b.png")):
        with pytest.raises(DataError) as info:
            read(name)
        assert str(info.value).startswith(f"{hostile}: ")


@pytest.mark.parametrize("adapter", [None, *ADAPTERS])
def test_no_adapter_opens_what_is_outside(tmp_path: Path, adapter: str | None) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    save(outside / "20_0_0_20170101000000000.png")
    save(root / "male" / "21_0_0_20170101000000000.png")
    save(root / "female" / "22_1_0_20170101000000000.png")
    (root / "male" / "out.png").symlink_to(outside / "20_0_0_20170101000000000.png")
    (root / "other").symlink_to(outside)
    (root / "train").symlink_to(outside)
    (root / "img_align_celeba").symlink_to(outside)
    tables = {
        "list_attr_celeba.txt": "1\nMale\n20_0_0_20170101000000000.png 1\n",
        "fairface_label_train.csv": "file,age,gender,race\n../outside/x.png,3-9,Male,White\n",
        "faces.csv": "path,age\n../outside/20_0_0_20170101000000000.png,20\nother/x.png,3\n",
        "fer2013.csv": "emotion,pixels,Usage\n0,1 2,Training\n",
    }
    for name, text in tables.items():
        (outside / name).write_text(text)
        (root / name).symlink_to(outside / name)
    with opened() as files:
        assert os.listdir(root / "female"), "the watch sees something"  # noqa: PTH208
        try:
            listing = list_dataset(root, adapter=adapter)
        except DataError as err:
            assert "\n" not in str(err)  # noqa: PT017  # both ends are right, opening is not
        else:
            for entry in listing.entries:
                listing.read(entry)
    assert len(files) > 0
    real = os.path.realpath(outside)
    assert [file for file in files if os.path.realpath(file).startswith(real)] == []
