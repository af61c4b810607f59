"""Notices pictures that come into a folder. In: a folder, looked at repeatedly. Out: paths.

A picture is given once, when two looks in a row have found it unchanged: a camera or a copy may
still be writing it. One that changes later is given again. Folders in the folder are not looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

from edgeface.errors import DataError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")

_Stamp = Tuple[int, int]  # size in bytes, time of the last change in ns


class WatchedFolder:
    """A folder and what of it was seen."""

    def __init__(self, folder: Path) -> None:
        """Take a folder; nothing of it counts as seen."""
        self._folder = folder
        self._last: Dict[Path, _Stamp] = {}
        self._given: Dict[Path, _Stamp] = {}

    def look(self) -> Tuple[Path, ...]:
        """Look once.

        Returns:
            Pictures that are new and at rest, in order of name.

        Raises:
            DataError: the folder cannot be listed.
        """
        now = self._stamps()
        # what is gone is forgotten, so that months of pictures do not fill the memory
        self._given = {path: stamp for path, stamp in self._given.items() if path in now}
        ready = [
            path
            for path, stamp in sorted(now.items())
            if self._last.get(path) == stamp and self._given.get(path) != stamp
        ]
        self._given.update((path, now[path]) for path in ready)
        self._last = now
        return tuple(ready)

    def _stamps(self) -> Dict[Path, _Stamp]:
        stamps = {}
        for path in list_pictures(self._folder):
            try:
                found = path.stat()
            except FileNotFoundError:  # moved away since the listing
                continue
            stamps[path] = (found.st_size, found.st_mtime_ns)
        return stamps


def list_pictures(folder: Path) -> List[Path]:
    """List the pictures of a folder by their suffixes, in order of name.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as err:
        raise DataError(f"{folder}: cannot be listed ({err.strerror}); give a folder") from err
