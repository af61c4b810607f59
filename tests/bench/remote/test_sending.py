"""Files onto a device with a bar that counts the bytes which have left."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgeface.bench.remote.sending import put_all
from edgeface.bench.remote.transport import Sent, uncounted
from support.bars import Bars
from support.folder_transport import FolderTransport


class Pieces(FolderTransport):
    """Sends in pieces of given sizes, and writes nothing."""

    def __init__(self, sizes: list[list[int]]) -> None:
        super().__init__(Path())
        self.sizes = iter(sizes)

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        for size_bytes in next(self.sizes):
            sent(size_bytes)


def test_files_arrive_and_the_bar_counts_kilobytes_and_names_them(tmp_path: Path) -> None:
    here = tmp_path / "a.tflite"
    here.write_bytes(b"a" * 2600)
    home = tmp_path / "home"
    bars = Bars()
    files: list[tuple[bytes | Path, str]] = [(here, "x/a.tflite"), (b"b" * 1500, "x/b.json")]
    put_all(FolderTransport(home), files, "models", reporter=bars)
    assert (home / "x" / "a.tflite").read_bytes() == b"a" * 2600
    assert (home / "x" / "b.json").read_bytes() == b"b" * 1500
    assert bars.totals == [("folder: sending models, kB", 4)]
    assert [each for each in bars.steps if each] == [2, 2]  # 2.6 kB, then 4.1 in all
    assert bars.notes == ["a.tflite", "b.json"]


def test_nothing_to_send_shows_nothing(tmp_path: Path) -> None:
    bars = Bars()
    put_all(FolderTransport(tmp_path), [], "models", reporter=bars)
    assert bars.totals == []


@given(st.lists(st.lists(st.integers(1, 5000), max_size=9), min_size=1, max_size=4))
def test_the_bar_ends_full_whatever_the_pieces(sizes: list[list[int]]) -> None:
    bars = Bars()
    files = [(bytes(sum(each)), str(number)) for number, each in enumerate(sizes)]
    put_all(Pieces(sizes), files, "models", reporter=bars)
    ((_, total),) = bars.totals
    assert sum(bars.steps) == total == sum(map(sum, sizes)) // 1000
