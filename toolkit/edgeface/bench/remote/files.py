"""Which arguments of the device's runner name a file here, which must be pushed first."""

from __future__ import annotations

from pathlib import Path

FACES_SUFFIX = ".npz"
"""Of faces, packed by `outputs`."""

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Of pictures that are timed whole, in small or capital letters."""

_SUFFIXES = (".tflite", FACES_SUFFIX, *PICTURE_SUFFIXES)


def names_a_file(argument: str) -> bool:
    """Whether the argument is the path of a file here that the device needs."""
    return argument.lower().endswith(_SUFFIXES) and Path(argument).is_file()
