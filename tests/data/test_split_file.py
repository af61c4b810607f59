"""`split_file`: the user's own splits, from a table or lists, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.manifest import SPLITS, Split
from edgeface.data.split_file import read_splits
from edgeface.errors import DataError

BOM = b"\xef\xbb\xbf"


def written(path: Path, content: bytes | str) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def refusal(*given: str) -> str:
    with pytest.raises(DataError) as info:
        read_splits(given)
    text = str(info.value)
    assert text.isprintable(), "one line"
    assert len(text) < 600
    return text


@pytest.mark.parametrize(
    "content",
    [
        b"path,split\na.jpg,train\nb/c.jpg,test\nd.jpg,validation\n",
        BOM + b"path,split\na.jpg,train\nb/c.jpg,test\nd.jpg,validation",
        b"Path;Split\r\na.jpg;Training\r\nb/c.jpg;TEST\r\n\r\nd.jpg;val\r\n",
        b"split\tage\timage\ntrain\t3\ta.jpg\ntesting\t4\tb/c.jpg\nvalid\t5\td.jpg\n",
        b'path,split\n"a.jpg", train\n./b//c.jpg,test\n d.jpg ,validation\n',
        b"path,split\na.jpg,train\nb/c.jpg,test\nd.jpg,validation\ne.jpg,\nf.jpg,none\n",
        b"path,split\na.jpg,train\nb/c.jpg,test\nd.jpg,validation\na.jpg,train\n",
    ],
    ids=["plain", "bom", "semicolons", "tabs", "blanks", "no split", "twice alike"],
)
def test_a_table(tmp_path: Path, content: bytes) -> None:
    assert read_splits([written(tmp_path / "my.csv", content)]) == {
        "a.jpg": "train",
        "b/c.jpg": "test",
        "d.jpg": "validation",
    }


def test_lists(tmp_path: Path) -> None:
    train = written(tmp_path / "a", BOM + "a.jpg\r\n\r\n  b/ü#1.jpg  \r\n./c//d.jpg".encode())
    test = written(tmp_path / "b=c.txt", "e.csv#2\n\n\n")
    more = written(tmp_path / "c", "f.jpg\nf.jpg\n")
    empty = written(tmp_path / "d", "\n \n")
    assert read_splits(
        [f"train={train}", f"Test={test}", f"val={more}", f"validation={empty}", f"test={empty}"]
    ) == {
        "a.jpg": "train",
        "b/ü#1.jpg": "train",
        "c/d.jpg": "train",
        "e.csv#2": "test",
        "f.jpg": "validation",
    }
    assert read_splits([]) == {}


def test_a_table_beside_lists(tmp_path: Path) -> None:
    table = written(tmp_path / "odd=name.csv", "path,split\na.jpg,train\n")
    listed = written(tmp_path / "test.txt", "b.jpg\n")
    assert read_splits([table, f"test={listed}"]) == {"a.jpg": "train", "b.jpg": "test"}


def test_a_link_that_the_user_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    written(tmp_path / "there" / "my.csv", "path,split\na.jpg,train\n")
    (tmp_path / "here" / "link.csv").symlink_to("../there/my.csv")
    assert read_splits([str(tmp_path / "here" / "link.csv")]) == {"a.jpg": "train"}


names = st.from_regex(r"[a-zé][a-zé0-9 _.-]{0,5}(/[a-z#]{1,3})?\.jpg", fullmatch=True)


@settings(max_examples=30)
@given(found=st.dictionaries(names, st.sampled_from(SPLITS), max_size=12))
def test_a_table_and_lists_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, Split]
) -> None:
    folder = tmp_path_factory.mktemp("splits")
    table = "".join(f"{name},{split}\n" for name, split in found.items())
    lists = [
        f"{split}="
        + written(folder / split, "\n".join(name for name, its in found.items() if its == split))
        for split in SPLITS
    ]
    assert read_splits([written(folder / "t.csv", f"path,split\n{table}")]) == found
    assert read_splits(lists) == found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../a.jpg", "path '../a.jpg' has '..' in it, expected one below the folder"),
        ("b/../../a.jpg", "path 'b/../../a.jpg' has '..' in it"),
        ("/etc/passwd", "path '/etc/passwd' is absolute, expected one below the folder"),
        ("C:\\a.jpg", "path 'C:\\\\a.jpg' is absolute"),
        ("a\x1b.jpg", "path 'a\\x1b.jpg' has a control character in it"),
        ("a\x85b.jpg", "path 'a\\x85b.jpg' has a control character in it"),
        ("a\u2028b.jpg", "path 'a\\u2028b.jpg' has a line separator in it"),
        ("x" * 9999 + "/../b.jpg", "xxx…' has '..' in it"),
    ],
)
def test_a_path_that_cannot_be_an_id(tmp_path: Path, name: str, expected: str) -> None:
    listed = written(tmp_path / "train.txt", f"a.jpg\n\n{name}\n")
    text = refusal(f"train={listed}")
    assert text.startswith(f"{listed}, line 3: ")
    assert expected in text
    table = written(tmp_path / "t.csv", f"path,split\na.jpg,test\n{name},train\n")
    text = refusal(table)
    assert text.startswith(f"{table}, row 3: ")
    assert expected in text


def test_two_splits_of_one_image(tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "path,split\na.jpg,train\n./a.jpg,test\n")
    assert refusal(table) == (
        f"{table}, row 3: 'a.jpg' is in test, and in train already; expected one split an image"
    )
    table = written(tmp_path / "t.csv", "path,split\na.jpg,train\n")
    listed = written(tmp_path / "l", "b.jpg\na.jpg\n")
    assert refusal(table, f"val={listed}").startswith(
        f"{listed}, line 2: 'a.jpg' is in validation, and in train already"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("path,split\na.jpg,dev\n", ", row 2: split 'dev', expected train, validation or test"),
        ("path,split\n,train\n", ", row 2: no path in the row"),
        ("path,split\na.jpg\n", ", row 2: found 1 cells, expected 2"),
        ("path,split\na.jpg,train,x\n", ", row 2: found 3 cells, expected 2"),
        ("path,age\na.jpg,3\n", ": no column split, found 'path, age'; expected path and split"),
        ("name,split\na.jpg,train\n", ": no column with paths, expected one of path, file,"),
        ("a.jpg\nb.jpg\n", ": no column with paths, expected one of path"),
        ("", ": the file is empty, expected a table"),
        ('path,split\n"a.jpg,train\n', ": row 2: unexpected end of data"),
        (b"path,split\n\xff.jpg,train\n", ", row 2: the row is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", ": the header is not UTF-8; save it again"),
        (b"path,split\0\n", ": NUL bytes in the header, expected UTF-8"),
        ("path,split,Split\na,b,c\n", ": columns stand twice: 'split'"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, content: bytes | str, expected: str) -> None:
    table = written(tmp_path / "t.csv", content)
    text = refusal(table)
    assert text.startswith(f"{table}{expected}"), text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file: 'none.csv'" in refusal(str(tmp_path / "none.csv"))
    assert "is not an ordinary file" in refusal(str(tmp_path))
    missing = tmp_path / "none.txt"
    assert refusal(f"train={missing}").startswith(f"{missing}: cannot be read (")
    assert refusal(f"train={tmp_path}").startswith(f"{tmp_path}: cannot be read (")
    latin = written(tmp_path / "latin.txt", "ü.jpg".encode("latin-1"))
    assert refusal(f"train={latin}").startswith(f"{latin}: cannot be read ('utf-8' codec")
    # a misspelled split is taken for a table's name, and the message shows it
    assert "no such file: 'trian=x'" in refusal("trian=x")
