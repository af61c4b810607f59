"""The front of size and latency against MAE and accuracy: its marks, its picture, its checks."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgeface.bench.result import BenchEntry, BenchResult, write_result
from edgeface.cli_results import report
from edgeface.errors import BenchmarkError
from edgeface.report.heads import AGE_MAE, GENDER_ACCURACY, MainFigure
from edgeface.report.points import COSTS, Point, best_line
from edgeface.report.results_page import ResultFile, report_files, results_page
from edgeface.report.size_front import Panel, SizeFront, front_markdown, leading_front
from edgeface.report.size_front_plot import front_svg
from support.records import PI
from support.report_results import entry, quality, result

SVG = "{http://www.w3.org/2000/svg}"
# p50 ms, size MB, age MAE years, gender accuracy
MODELS = {
    "a": (1.0, 4.0, 5.0, 0.90),
    "b": (2.0, 1.0, 4.5, 0.95),
    "c": (3.0, 2.0, 4.5, 0.925),
    "d": (1.0, 3.0, 5.0, 0.92),
    "e": (9.0, 9.0, 4.0, 0.95),
}
# by hand, from the table above
ON_FRONT = {
    # a and d are equal in both; c has b's MAE and is slower
    "age MAE by p50": "adbe",
    # b is the smallest; only e has a lower MAE
    "age MAE by size": "be",
    # d is as fast as a and better; e has b's accuracy and is slower
    "gender accuracy by p50": "db",
    # b is the smallest, and none is better
    "gender accuracy by size": "b",
}
figures = st.integers(1, 4).map(float)


def model(name: str, p50_ms: float, size_mb: float, mae: float, accuracy: float) -> BenchEntry:
    return entry(name, p50_ms, round(size_mb * 1e6), quality=quality(accuracy, mae))


def made(**changes: object) -> BenchResult:
    models = [model(name, *figures) for name, figures in MODELS.items()]
    bare = [
        entry("untrained", 0.1, 1, trained=False),
        entry("not-timed", quality=quality(0.97, 1.0), latency=None),
    ]
    return replace(result(*models, *bare), **changes)  # type: ignore[arg-type]  # fields by name


def front_of(found: BenchResult) -> SizeFront:
    front = leading_front([found])
    assert front is not None
    return front


FRONT = front_of(made())


def test_the_marks_are_those_found_by_hand() -> None:
    marks = {
        panel.words: {p.entry.name for p in panel.points if panel.is_on_front(p)}
        for panel in FRONT.panels
    }
    assert marks == {words: set(names) for words, names in ON_FRONT.items()}


def test_models_without_all_figures_are_left_out_and_the_fastest_comes_first() -> None:
    # d is as fast as a, and smaller
    assert [each.name for each in FRONT.models] == ["d", "a", "b", "c", "e"]


@pytest.mark.parametrize("figure", [AGE_MAE, GENDER_ACCURACY])
@given(pairs=st.lists(st.tuples(figures, figures), min_size=1, max_size=8))
def test_a_model_is_on_the_front_unless_another_one_beats_it(
    pairs: list[tuple[float, float]], figure: MainFigure
) -> None:
    points = tuple(Point(entry=entry("m"), x=x, y=y, low=y, high=y) for x, y in pairs)
    line = best_line(points, figure)
    panel = Panel(cost=COSTS[0], quality=figure, points=points, line=line)

    def is_beaten(x: float, y: float) -> bool:
        lower_is_better = figure is AGE_MAE
        return any(
            u <= x and (v <= y if lower_is_better else v >= y) and (u, v) != (x, y)
            for u, v in pairs
        )

    assert [panel.is_on_front(each) for each in points] == [not is_beaten(*each) for each in pairs]


def test_the_newest_result_with_most_whole_models_is_taken() -> None:
    three = result(*(model(name, *MODELS[name]) for name in "abc"))
    two = result(*(model(name, *MODELS[name]) for name in "ab"), entry("untrained", trained=False))
    invalid = made(invalid_reasons=("too hot",))
    newest, older = made(commit="1"), made(commit="2")
    front = leading_front([three, two, invalid, newest, older])
    assert front is not None
    assert front.result is newest
    assert front_of(three).result is three
    assert leading_front([two, invalid]) is None
    assert leading_front([]) is None


def test_a_board_goes_before_a_host_with_more_models() -> None:
    three = result(*(model(name, *MODELS[name]) for name in "abc"))
    board = replace(three, device_before=replace(three.device_before, is_target=True))
    front = leading_front([made(), board])
    assert front is not None
    assert front.result is board


def test_the_table_has_the_figures_and_the_marks() -> None:
    text = front_markdown(FRONT, "[the file](x.json)", "front.svg")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    assert rows[0][-4:] == list(ON_FRONT)
    assert [row[0] for row in rows[2:]] == ["d", "a", "b", "c", "e"]
    # the intervals of the made figures are 2 % below and above
    assert rows[4] == ["b", "1.00", "2.00", "4.50 (4.41–4.59)", "95.0 (93.1–96.9)", *["yes"] * 4]
    assert rows[3][-4:] == ["yes", "–", "–", "–"]
    assert f"![{FRONT.alt_text}](front.svg)" in text
    for words in ("[the file](x.json)", "x86 host, not a device", "2026-01-02", "utkface, test"):
        assert words in text


def test_the_picture_is_described_in_words() -> None:
    assert FRONT.alt_text == (
        "Four plots of 5 models with 95 % intervals: age MAE and gender accuracy, each against p50 "
        "latency and file size. On the front of one plot or more: d, a, b, e."
    )


def test_the_section_is_the_first_and_links_the_file_it_is_of() -> None:
    bare = ResultFile(path=Path("b/results/new.json"), result=result())
    whole = ResultFile(path=Path("b/results/old.json"), result=made())
    text = results_page([bare, whole], Path("b/RESULTS.md"))
    section = text.partition("\n## ")[2].partition("\n## ")[0]
    assert section.startswith("Front:")
    assert "](front.svg)" in section
    assert "[old.json](results/old.json)" in section
    assert "Front:" not in results_page([bare], Path("b/RESULTS.md"))


def markers(svg: str) -> dict[str, tuple[float, float, bool]]:
    """Of each point: where it is, and whether it is filled."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        mark = group.find(f".//{SVG}use")
        if group.get("id", "").startswith(("mae-", "accuracy-")) and mark is not None:
            is_filled = "fill-opacity: 0" not in mark.attrib["style"]
            at = float(mark.attrib["x"]), float(mark.attrib["y"])
            found[group.attrib["id"]] = (*at, is_filled)
    return found


def test_every_model_is_a_point_at_its_figures_in_each_panel() -> None:
    points = markers(front_svg(FRONT))
    assert len(points) == 4 * len(MODELS)
    for panel, names in zip(FRONT.panels, ON_FRONT.values(), strict=True):
        at = {name: points[f"{panel.quality.name}-{panel.cost.word}-{name}"] for name in MODELS}
        assert {name for name, (_, _, is_filled) in at.items() if is_filled} == set(names)
        column = ("p50", "size").index(panel.cost.word)
        row = 2 if panel.quality is AGE_MAE else 3
        xs = np.log([MODELS[name][column] for name in MODELS])
        ys = np.array([MODELS[name][row] for name in MODELS])
        for values, place, sign in ((xs, 0, 1), (ys, 1, -1)):  # in an SVG, down is more
            places = np.array([point[place] for point in at.values()])
            scale, zero = np.polyfit(values, places, 1)
            assert sign * scale > 0
            # a straight axis; six decimals are written
            np.testing.assert_allclose(zero + scale * values, places, atol=1e-4)


def test_the_picture_says_what_it_is_of_on_a_white_ground() -> None:
    svg = front_svg(FRONT)
    root = ElementTree.fromstring(svg)
    assert root.findtext(f"{SVG}title") == FRONT.alt_text
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert set(MODELS) <= set(texts)
    for words in (
        "Some CPU (x86_64, 2 cores)",
        "2026-01-02 03:04 UTC",
        "NOTE: x86 host, not a device.",
        "utkface, test split",
        "400 images",
        "95 %",
        "p50 latency, ms (less is better)",
        "file size, MB (less is better)",
        "age MAE, years (less is better)",
        "gender accuracy, % (more is better)",
    ):
        assert any(words in (text or "") for text in texts), words
    _, _, width, height = root.attrib["viewBox"].split()
    ground = next(root.iter(f"{SVG}path"))
    assert "fill: #ffffff" in ground.attrib["style"]
    assert (
        ground.attrib["d"].split() == f"M 0 {height} L {width} {height} L {width} 0 L 0 0 z".split()
    )


def test_the_same_result_gives_the_same_bytes_with_no_date_and_no_version_of_a_library() -> None:
    one = front_svg(FRONT)
    assert one == front_svg(front_of(made()))
    assert "Matplotlib" not in one
    assert "dc:date" not in one
    assert one != front_svg(front_of(made(entries=made().entries[:4])))


def test_drawn_faces_are_announced_loudly_and_a_device_is_named() -> None:
    drawn = [
        replace(each, quality=replace(each.quality, data="drawn faces"))
        for each in made().entries
        if each.quality is not None
    ]
    board = replace(PI, model="Raspberry Pi 4")
    svg = front_svg(front_of(made(entries=tuple(drawn), data="drawn faces", device_before=board)))
    assert "DRAWN FACES, NOT PHOTOGRAPHS" in svg
    assert "Raspberry Pi 4" in svg
    assert "not a device" not in svg


def test_names_are_shown_as_they_are() -> None:
    names = ("$x^2$-int8", "<b>&amp;", "m" * 120, *(f"model-{number}" for number in range(20)))
    models = [model(name, 1 + number, 1, 4.5, 0.9) for number, name in enumerate(names)]
    root = ElementTree.fromstring(front_svg(front_of(result(*models))))
    assert set(names) <= {element.text for element in root.iter(f"{SVG}text")}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with results that give a front."""
    write_result(tmp_path / "results" / "2026_local_made.json", made())
    return tmp_path


def run(folder: Path, *options: str) -> tuple[str, BaseException | None]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(report)
    where = ["--results", str(folder / "results"), "--out", str(folder / "RESULTS.md")]
    ran = CliRunner().invoke(app, [*where, *options])
    return ran.stderr, ran.exception


def test_report_writes_page_and_picture_and_checks_both(written: Path) -> None:
    picture = written / "front.svg"
    said, problem = run(written)
    assert problem is None
    assert f"picture: {picture}" in said.replace("\n", "")
    assert {path.name for path in written.iterdir()} == {"results", "RESULTS.md", "front.svg"}
    assert picture.read_text("utf-8") == front_svg(FRONT)
    assert run(written, "--check")[1] is None

    picture.write_text(picture.read_text("utf-8").replace("#ffffff", "#fffffe"), "utf-8")
    problem = run(written, "--check")[1]
    assert isinstance(problem, BenchmarkError)
    assert "front.svg: is not what the result files give" in str(problem)
    picture.unlink()
    problem = run(written, "--check")[1]
    assert isinstance(problem, BenchmarkError)
    assert "front.svg: cannot be read" in str(problem)
    assert not picture.exists(), "a check writes nothing"


def test_where_no_result_gives_a_front_there_is_no_picture(tmp_path: Path) -> None:
    write_result(tmp_path / "results" / "2026_local_made.json", result())
    assert run(tmp_path)[1] is None
    assert not (tmp_path / "front.svg").exists()
    assert run(tmp_path, "--check")[1] is None

    (tmp_path / "front.svg").write_text("an older one")
    said, problem = run(tmp_path)
    assert problem is None
    assert "no result file gives a front, expected no picture; remove it" in said.replace("\n", " ")
    assert (tmp_path / "front.svg").read_text() == "an older one", "it may be someone's own"
    problem = run(tmp_path, "--check")[1]
    assert isinstance(problem, BenchmarkError)
    assert "front.svg: no result file gives a front" in str(problem)


def test_without_matplotlib_the_page_still_is_text_and_the_picture_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "edgeface.report.size_front_plot")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    file = ResultFile(path=Path("results/made.json"), result=made())
    assert "](front.svg)" in results_page([file], Path("RESULTS.md"))
    with pytest.raises(BenchmarkError, match="matplotlib is not installed, the picture needs it"):
        report_files([file], Path("RESULTS.md"))
    none = ResultFile(path=Path("results/none.json"), result=result())
    assert list(report_files([none], Path("RESULTS.md"))) == [Path("RESULTS.md")]
