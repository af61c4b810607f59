"""Names from untrusted sets to files that are surely below the root, and the walk over a folder.

In: a root, and names out of tables or folders. Out: paths that may be opened, or the reason why
not. Hard links cannot be told from files, and a folder that is exchanged for a link between the
check and the opening is not noticed.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from edgeface.data.labels import Pictures
from edgeface.errors import DataError
from edgeface.runtime.preprocess import decode_image, read_content

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LeftOut = tuple[str, str]
"""(id, reason), as in `Listing.left_out`."""

_SHOWN_CHARACTERS = 80  # chosen: a terminal's width; the row is named besides
# Source: Unicode general categories. Control characters and line separators would break lines of
# messages and tables (and steer a terminal); a surrogate stands for a byte that is not UTF-8.
_REFUSED_CATEGORIES = {
    "Cc": "has a control character in it",
    "Zl": "has a line separator in it",
    "Zp": "has a paragraph separator in it",
    "Cs": "is not UTF-8",
}
# What needs no closer look: almost all names, so that a large set is read fast.
_PLAIN = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*", re.ASCII)


def shown(text: str) -> str:
    """Quote untrusted text for a message: one line, at most some 80 characters, all printable."""
    short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return repr(short)


def printable(name: str) -> str:
    """Escape what `name_fault` refuses, so that a name can stand as an id or in a message."""
    return "".join(
        repr(char)[1:-1] if unicodedata.category(char) in _REFUSED_CATEGORIES else char
        for char in name
    )


def name_fault(name: str) -> str:
    """Say why a name cannot be an id, e.g. "is not UTF-8"; empty if it can."""
    if name.isascii() and name.isprintable():
        return ""
    faults = (_REFUSED_CATEGORIES.get(unicodedata.category(char)) for char in name)
    return next((fault for fault in faults if fault), "")


def normal_name(name: str) -> str:
    """Bring a path out of a table to the form of an id: below the root, forward slashes.

    Raises:
        DataError: empty, absolute (also in Windows' manner), with "..", or not printable. The
            message does not name the table.
    """
    if _PLAIN.fullmatch(name):
        return name
    fault = name_fault(name)
    if fault:
        raise DataError(f"path {shown(name)} {fault}")
    path = PurePosixPath(name)
    # also C:\x, C:x and \x, which Windows does not join to the folder
    if path.anchor or PureWindowsPath(name).anchor:
        raise DataError(f"path {shown(name)} is absolute, expected one below the folder")
    if ".." in path.parts or ".." in PureWindowsPath(name).parts:
        raise DataError(f"path {shown(name)} has '..' in it, expected one below the folder")
    if not path.parts:
        raise DataError("no path in the row")
    return path.as_posix()


def locate(root: Path, name: str) -> Path:
    """Join a name to the root and make sure that the file is there and below the root.

    A link that stays below the root is followed. Nothing is opened.

    Args:
        root: the set's folder; may itself be a link, since the user named it.
        name: relative, with forward slashes.

    Returns:
        Path of an ordinary file.

    Raises:
        DataError: what `normal_name` refuses; no such file; not an ordinary file; a link out of
            the root, to nothing, or in a loop. The message does not name the root.
    """
    path, mode = _below(root, name)
    if not stat.S_ISREG(mode):
        raise DataError(f"{shown(name)} is not an ordinary file")
    return path


def locate_folder(root: Path, name: str) -> Path:
    """Do what `locate` does, for a folder."""
    path, mode = _below(root, name)
    if not stat.S_ISDIR(mode):
        raise DataError(f"{shown(name)} is not a folder")
    return path


def image_files(root: Path) -> Pictures:
    """Make the `Pictures` of a set whose ids are files below the root.

    The name is checked again at every reading: an id may come from a file that somebody edited.
    """

    def content(id: str) -> bytes:
        try:
            path = locate(root, id)
        except DataError as err:
            raise DataError(f"{printable(str(root))}: {err}") from err
        return read_content(path)

    def decode(id: str, content: bytes) -> NDArray[np.uint8]:
        return decode_image(content, str(root / id))

    return Pictures(content=content, decode=decode)


def picture_names(root: Path) -> tuple[list[str], list[LeftOut]]:
    """Find the pictures below a folder by their suffixes, without opening one.

    Returns:
        Names below the root in order, and what is left out with the reason: names that cannot be
        an id, links to folders (not followed, so a loop does no harm), links that `locate`
        refuses, and what is not an ordinary file.

    Raises:
        DataError: no such folder, or a folder in it that cannot be listed.
    """
    check_folder(root)
    names: list[str] = []
    left_out: list[LeftOut] = []
    pending = [""]
    while pending:
        above = pending.pop()
        for item in _items(root / above):
            name = above + item.name
            linked = item.is_symlink()
            folder = os.path.isdir(item.path) if linked else item.is_dir()  # noqa: PTH112  # a Path an item is slow
            picture = item.name.lower().endswith(IMAGE_SUFFIXES)
            if not folder and not picture:
                continue
            reason = _item_fault(root, item, name, linked_folder=linked and folder)
            if reason:
                left_out.append((printable(name), reason))
            elif folder:
                pending.append(f"{name}/")
            else:
                names.append(name)
    return sorted(names), sorted(left_out)


def is_folder(path: Path) -> bool:
    """Tell whether a folder is there; False also where it cannot be looked up."""
    return os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises for names that are too long


def present(root: Path, names: Iterable[str]) -> list[str]:
    """Give those of the names that are there, links that lead nowhere included."""
    return [name for name in names if os.path.lexists(root / name)]


def check_folder(root: Path) -> None:
    """Make sure that a folder is there.

    Raises:
        DataError: it is not.
    """
    try:
        found = root.is_dir()
    except OSError as err:
        raise DataError(f"{printable(str(root))}: cannot be looked up: {err.strerror}") from err
    if not found:
        raise DataError(f"{printable(str(root))}: no such folder; give a folder of labelled faces")


def _below(root: Path, name: str) -> tuple[Path, int]:
    path = root
    mode = 0
    try:
        for part in PurePosixPath(normal_name(name)).parts:
            path = path / part
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                mode = _followed(root, path, name)
    except (FileNotFoundError, NotADirectoryError) as err:
        hint = "; write it with forward slashes" if "\\" in name else ""
        raise DataError(f"no such file: {shown(name)}{hint}") from err
    except OSError as err:  # ELOOP, ENAMETOOLONG, EACCES
        raise DataError(f"{shown(name)} cannot be looked up: {err.strerror}") from err
    return path, mode


def _followed(root: Path, link: Path, name: str) -> int:
    # not Path.resolve: up to Python 3.12 it raises RuntimeError for a loop
    target = Path(os.path.realpath(link, strict=True))
    if not target.is_relative_to(os.path.realpath(root)):
        raise DataError(f"{shown(name)} is a symbolic link out of the folder")
    return target.stat().st_mode


def _items(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            return list(items)
    except OSError as err:
        where = printable(str(folder))
        raise DataError(f"{where}: cannot be listed: {err.strerror}; check its rights") from err


def _item_fault(root: Path, item: os.DirEntry[str], name: str, *, linked_folder: bool) -> str:
    try:
        normal_name(name)
        if linked_folder:
            return "symbolic link to a folder, not followed"
        if item.is_symlink():
            locate(root, name)
            return ""
    except DataError as err:
        return str(err)
    if not item.is_dir() and not item.is_file():
        return "not an ordinary file"
    return ""
