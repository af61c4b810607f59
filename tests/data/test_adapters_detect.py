"""`detect`: the format is found by what is there, and doubt is an error of one line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeface.data.adapters.detect import ADAPTERS, list_dataset
from edgeface.errors import DataError

UTK = "25_0_2_20170116174525125.jpg"
# what a folder must hold to be taken for a format; every file besides the tables is empty
SETS = {
    "celeba": {"list_attr_celeba.txt": f"1\nMale\n{UTK} 1\n", UTK: ""},
    "fairface": {"fairface_label_val.csv": f"file,age,gender,race\n{UTK},3-9,,\n", UTK: ""},
    "fer2013": {"train/angry/1.jpg": "", "train/sad/2.jpg": ""},
    "table": {"faces.csv": f"path,age\n{UTK},3\n", UTK: ""},
    "utkface": {UTK: "", f"sub/{UTK}": ""},
    "folders": {"one/1.jpg": "", "two/2.jpg": ""},
}


def make(root: Path, *adapters: str) -> Path:
    for adapter in adapters:
        for name, text in SETS[adapter].items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def refusal(root: Path, adapter: str | None = None, attribute: str | None = None) -> str:
    with pytest.raises(DataError) as info:
        list_dataset(root, adapter=adapter, attribute=attribute)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_each_format_is_found_and_may_be_named(tmp_path: Path, adapter: str) -> None:
    make(tmp_path, adapter)
    found, named = list_dataset(tmp_path), list_dataset(tmp_path, adapter=adapter)
    assert found.adapter == named.adapter == adapter
    assert found.entries == named.entries
    assert found.root == tmp_path


@pytest.mark.parametrize(
    ("adapters", "taken"),
    [
        (("celeba", "table", "utkface", "folders"), "celeba"),
        (("fairface", "utkface", "folders"), "fairface"),
        (("fer2013", "utkface"), "fer2013"),
        (("table", "utkface", "folders"), "table"),
        (("utkface", "folders"), "folders"),  # 2 UTKFace names of 4 are not most of them
    ],
)
def test_the_more_certain_sign_is_taken(
    tmp_path: Path, adapters: tuple[str, ...], taken: str
) -> None:
    assert list_dataset(make(tmp_path, *adapters)).adapter == taken


def test_most_names_decide_between_utkface_and_folders(tmp_path: Path) -> None:
    for part in ("part1", "part2"):
        (tmp_path / part).mkdir()
        (tmp_path / part / UTK).touch()
    assert list_dataset(tmp_path).adapter == "utkface"
    assert list_dataset(tmp_path, adapter="folders").attributes[0].classes == ("part1", "part2")


def test_two_that_fit_equally_are_an_error(tmp_path: Path) -> None:
    make(tmp_path, "celeba", "fairface")
    assert refusal(tmp_path) == (
        f"{tmp_path}: several formats fit equally: list_attr_celeba.txt (celeba) and "
        "fairface_label_val.csv (fairface); say which adapter to use, or give the one table "
        "instead of the folder"
    )
    assert list_dataset(tmp_path, adapter="celeba").adapter == "celeba"
    assert list_dataset(tmp_path / "fairface_label_val.csv").adapter == "fairface"


def test_two_tables_fit_equally(tmp_path: Path) -> None:
    make(tmp_path, "table")
    (tmp_path / "more.csv").write_text(f"file;gender\n{UTK};f\n")
    assert "faces.csv (table) and more.csv (table)" in refusal(tmp_path)
    assert list_dataset(tmp_path / "more.csv").entries[0].classes == {"gender": 1}


def test_none_that_fits_names_what_was_looked_for(tmp_path: Path) -> None:
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path}: no labelled face set found; looked for ")
    for adapter in ADAPTERS:
        assert f"({adapter})" in said
    (tmp_path / "faces.csv").touch()
    (tmp_path / "photo.jpg").touch()
    assert refusal(tmp_path) == (
        f"{said}; and of the tables there: {tmp_path / 'faces.csv'}: the file is empty, expected "
        "a table"
    )


def test_a_table_that_is_no_set_does_not_stop_another_format(tmp_path: Path) -> None:
    make(tmp_path, "utkface")
    (tmp_path / "split.csv").write_text(f"path,split\n{UTK},train\n")  # says nothing of faces
    (tmp_path / "broken.csv").write_bytes(b"\0\0\0")
    assert list_dataset(tmp_path).adapter == "utkface"


def test_roots_that_are_none(tmp_path: Path) -> None:
    missing = f"{tmp_path / 'none'}: no such folder; give a folder of labelled faces"
    assert refusal(tmp_path / "none") == missing
    for adapter in ADAPTERS:
        assert refusal(tmp_path / "none", adapter) == missing
    assert "File name too long" in refusal(tmp_path / ("x" * 300))
    (tmp_path / "note.txt").write_text("hello\n")
    assert "no labelled face set found" in refusal(tmp_path / "note.txt")
    for adapter in ADAPTERS:
        assert str(tmp_path) in refusal(tmp_path / "note.txt", adapter)


def test_words_that_name_nothing(tmp_path: Path) -> None:
    make(tmp_path, "utkface")
    assert refusal(tmp_path, "utk") == (
        "adapter 'utk', expected one of celeba, fairface, fer2013, table, utkface, folders"
    )
    assert refusal(tmp_path, attribute="hair") == (
        f"{tmp_path}: utkface has no attribute 'hair', expected gender or race"
    )
    assert list_dataset(tmp_path, attribute="race").adapter == "utkface"
    for attribute in ("", "race,", "race, race"):
        assert "a name is empty or stands twice" in refusal(tmp_path, attribute=attribute)
    make(tmp_path / "f", "folders")
    assert refusal(tmp_path / "f", attribute="a,b") == (
        f"{tmp_path / 'f'}: folders are classes of one attribute"
    )


def test_an_attribute_makes_a_table_fit(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "t.csv").write_text("path,Hair\na.jpg,red\nb.jpg,grey\n")
    assert "no label column" in refusal(tmp_path)
    listing = list_dataset(tmp_path, attribute="hair")
    assert (listing.adapter, listing.attributes[0].name) == ("table", "Hair")
    assert [entry.classes["Hair"] for entry in listing.entries] == [1, 0]


def test_a_root_with_a_newline_in_its_name_is_still_one_line(tmp_path: Path) -> None:
    root = tmp_path / "a\nb"
    root.mkdir()
    refusal(root)  # asserts that it is one line
    for adapter in ADAPTERS:
        refusal(root, adapter)
    (root / "faces.csv").write_text("path,age,age\n")
    (root / "list_attr_celeba.txt").write_text("x")
    (root / "fairface_label_val.csv").write_text("x")
    for adapter in ADAPTERS:
        refusal(root, adapter)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=200)
    | st.lists(
        st.sampled_from([b"path", b"age", b",", b";", b"\t", b'"', b"\n", b"\r", b"\0", b"a.jpg"]),
        max_size=30,
    ).map(b"".join),
    name=st.sampled_from(
        ["t.csv", "t.tsv", "fer2013.csv", "fairface_label_train.csv", "list_attr_celeba.txt"]
    ),
)
def test_any_bytes_are_a_listing_or_one_line(tmp_path: Path, content: bytes, name: str) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / "a.jpg").touch()
    (tmp_path / name).write_bytes(content)
    for adapter in (None, "celeba", "fairface", "fer2013", "table"):
        try:
            listing = list_dataset(tmp_path, adapter=adapter)
        except DataError as err:
            assert "\n" not in str(err)  # noqa: PT017  # both ends are right
        else:
            ids = [entry.id for entry in listing.entries]
            assert ids == sorted(set(ids))
            assert all(one.isprintable() for pair in listing.left_out for one in pair)


def test_the_order_in_which_a_folder_is_listed_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "fer2013")
    for i in range(20):
        (tmp_path / "train" / "sad" / f"{i}.jpg").touch()
    before = list_dataset(tmp_path)
    import edgeface.data.adapters.paths as paths

    real = paths._items

    def shuffled(folder: Path) -> list[object]:
        return random.Random(3).sample(real(folder), k=len(real(folder)))

    monkeypatch.setattr(paths, "_items", shuffled)
    after = list_dataset(tmp_path)
    assert after.entries == before.entries
    assert after.left_out == before.left_out
