"""`folders` adapter: a folder per class, with edgeface's order for male and female."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.adapters.detect import list_dataset
from edgeface.data.adapters.folders import list_folders
from edgeface.data.labels import Attribute, Entry
from edgeface.errors import DataError

FACES = Path(__file__).parents[3] / "shared" / "data" / "eyes"


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def refusal(root: Path, attribute: str | None = None) -> str:
    with pytest.raises(DataError) as info:
        list_folders(root, attribute)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize(("female", "male"), [("female", "male"), ("Female", "Male")])
@pytest.mark.parametrize(
    ("attribute", "name"), [(None, "gender"), ("gender", "gender"), ("s", "s")]
)
def test_male_is_0_though_female_comes_first(
    tmp_path: Path, female: str, male: str, attribute: str | None, name: str
) -> None:
    touch(tmp_path, f"{female}/1.jpg", f"{male}/1.jpg", f"{male}/deep/er/2.jpg")
    listing = list_folders(tmp_path, attribute)
    assert listing.adapter == "folders"
    assert listing.attributes == (Attribute(name=name, classes=("male", "female")),)
    assert listing.entries == (
        Entry(id=f"{female}/1.jpg", classes={name: 1}),
        Entry(id=f"{male}/1.jpg", classes={name: 0}),
        Entry(id=f"{male}/deep/er/2.jpg", classes={name: 0}),
    )


def test_other_classes_are_in_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "none/1.jpg", "glasses/1.jpg", "sun 'glasses'/1.jpg", "empty/notes.txt")
    listing = list_folders(tmp_path)
    classes = ("glasses", "none", "sun 'glasses'")
    assert listing.attributes == (Attribute(name="class", classes=classes),)
    assert [entry.classes["class"] for entry in listing.entries] == [0, 1, 2]
    assert list_folders(tmp_path, "eyewear").attributes[0].name == "eyewear"


def test_folders_of_splits_are_no_classes(tmp_path: Path) -> None:
    touch(tmp_path, "Training/male/1.jpg", "Training/female/1.jpg", "Validation/male/2.jpg")
    touch(tmp_path, "test/female/3.jpg", "test/4.jpg")
    listing = list_dataset(tmp_path)
    assert listing.adapter == "folders"
    assert [(e.id, e.classes["gender"], e.split) for e in listing.entries] == [
        ("Training/female/1.jpg", 1, "train"),
        ("Training/male/1.jpg", 0, "train"),
        ("Validation/male/2.jpg", 0, "validation"),
        ("test/female/3.jpg", 1, "test"),
    ]
    assert listing.left_out == (("test/4.jpg", "not in the folder of a class"),)
    touch(tmp_path, "spare/male/5.jpg")
    assert refusal(tmp_path) == (
        f"{tmp_path}: 'Training' is named for a split and 'spare' is not; give a folder that has "
        "only splits or only classes in it"
    )


def test_what_is_in_no_class_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "stray.jpg", ".ipynb_checkpoints/1.jpg")
    touch(tmp_path, "__MACOSX/a/1.jpg", "a/.trash/2.jpg", "c\nd/1.jpg")
    (tmp_path / "e").symlink_to("a")
    listing = list_folders(tmp_path)
    assert [entry.id for entry in listing.entries] == ["a/1.jpg", "b/1.jpg"]
    assert dict(listing.left_out) == {
        ".ipynb_checkpoints/1.jpg": "in the hidden folder '.ipynb_checkpoints'",
        "__MACOSX/a/1.jpg": "in the hidden folder '__MACOSX'",
        "a/.trash/2.jpg": "in the hidden folder '.trash'",
        "c\\nd": "path 'c\\nd' has a control character in it",
        "e": "symbolic link to a folder, not followed",
        "stray.jpg": "not in the folder of a class",
    }


def test_folders_that_are_no_classes(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == (
        f"{tmp_path / 'none'}: no such folder; give a folder of labelled faces"
    )
    touch(tmp_path, "a/1.jpg")
    assert refusal(tmp_path) == (
        f"{tmp_path}: pictures in 1 folders, expected a folder per class, two or more"
    )
    touch(tmp_path, "b/1.jpg")
    assert refusal(tmp_path, "gender") == (
        f"{tmp_path}: gender has the classes male and female, found 'a, b'; "
        "rename the folders or name another attribute"
    )


names = st.text("abcXYZ é'\"_", min_size=1, max_size=6).filter(lambda name: name.strip() == name)


@settings(max_examples=25, deadline=None)
@given(st.sets(names, min_size=2, max_size=5))
def test_every_class_has_its_own_number(
    tmp_path_factory: pytest.TempPathFactory, classes: set[str]
) -> None:
    root = tmp_path_factory.mktemp("classes")
    touch(root, *(f"{name}/1.jpg" for name in classes))
    (attribute,) = list_folders(root).attributes
    assert attribute.classes == tuple(sorted(classes))
    for entry in list_folders(root).entries:
        assert attribute.classes[entry.classes["class"]] == entry.id.split("/")[0]


@pytest.mark.faces
def test_the_eyes_of_the_study() -> None:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    listing = list_dataset(FACES)
    assert listing.adapter == "folders"
    assert listing.attributes == (Attribute(name="gender", classes=("male", "female")),)
    count = Counter(entry.classes["gender"] for entry in listing.entries)
    assert count == {0: 1_251, 1: 1_430}
    assert listing.left_out == ()
    for entry in (listing.entries[0], listing.entries[-1]):
        assert entry.classes["gender"] == int(entry.id.startswith("female/"))
        assert listing.read(entry).ndim == 3
