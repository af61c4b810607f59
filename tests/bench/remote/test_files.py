"""Which arguments of the runner are files that a device needs."""

from __future__ import annotations

from pathlib import Path

from edgeface.bench.remote.files import names_a_file


def test_only_files_that_are_there_and_that_a_device_reads(tmp_path: Path) -> None:
    for name in ("m.tflite", "IMG_1.JPG", "a.jpeg", "b.webp", "faces.npz"):
        (tmp_path / name).touch()
        assert names_a_file(str(tmp_path / name))
    (tmp_path / "notes.txt").touch()
    assert not names_a_file(str(tmp_path / "notes.txt"))
    assert not names_a_file(str(tmp_path / "none.jpg"))
    assert not names_a_file("--threads")
