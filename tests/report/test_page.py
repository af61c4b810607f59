"""The page is one file that asks for nothing, trusts no name, and says what was not measured."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgeface.bench.result import write_result
from edgeface.errors import BenchmarkError
from edgeface.report.page.content import PageContent, find_results
from edgeface.report.page.history import Training
from edgeface.report.page.page import report_page
from support.report_results import (
    EPOCHS,
    FLOAT,
    INT8,
    VGG,
    drawn_faces,
    entry,
    file_of,
    full_content,
    full_result,
    quality,
    result,
)

EVIL = "<script>alert(1)</script>\"'&amp;<img src=x onerror=y>$x_"
VOID = frozenset({"meta", "img", "br", "link"})


class Reader(HTMLParser):
    """Collects tags with attributes and the text, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all_with(self, attribute: str) -> list[str]:
        return [given[attribute] or "" for _, given in self.tags if attribute in given]


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def full_page() -> str:
    return report_page(full_content())


def test_the_page_is_whole_and_asks_for_nothing(full_page: str) -> None:
    reader = read(full_page)
    assert full_page.startswith("<!DOCTYPE html>")
    assert not {"script", "iframe", "object", "base"} & {tag for tag, _ in reader.tags}
    for tag, given in reader.tags:
        assert not any(name.startswith("on") for name in given)
        if "src" in given:
            assert tag == "img"
            assert (given["src"] or "").startswith("data:image/jpeg;base64,")
        if "href" in given:  # sections, parts of a drawing, and no icon
            assert (given["href"] or "").startswith("#") or given["href"] == "data:,"
    assert "//" not in re.sub(r'src="data:[^"]*"', "", full_page)
    assert "@import" not in full_page
    assert not re.search(r"url\((?!#)", full_page)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert policy in reader.all_with("content")
    assert len(full_page.encode()) < 6_000_000


def test_pictures_have_alternative_texts_and_links_have_targets(full_page: str) -> None:
    reader = read(full_page)
    images = [given for tag, given in reader.tags if tag == "img"]
    drawings = [given for tag, given in reader.tags if tag == "svg"]
    assert len(images) > 40
    assert len(drawings) > 15
    assert all(given.get("alt") for given in images)
    assert all(given.get("role") == "img" and given.get("aria-label") for given in drawings)
    ids = reader.all_with("id")
    assert len(set(ids)) == len(ids), "an id stands twice"
    targets = {href[1:] for href in reader.all_with("href") if href.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]+)\)", full_page))
    assert targets <= set(ids)


def test_drawings_have_the_colours_of_the_page_only(full_page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", full_page, re.DOTALL))
    assert "var(--m0)" in drawings
    assert "var(--ink)" in drawings
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawings)) <= {"#000000"}, "not readable in the dark"


def test_every_part_is_there(full_page: str) -> None:
    text = re.sub(r"\s+", " ", read(full_page).text)
    for expected in (
        "At a glance",
        "Quality against cost",
        "Classification report",
        "Age report",
        "By gender",
        "Verdicts, on the same faces",
        "Predicted against true age: mobilenetv2-int8",
        "Gender: 6 right before, wrong after",
        "darker: -1, -2, -3 stops",
        "Distribution of all timed runs",
        "Soak: latency over minutes",
        "Where the time of a frame goes",
        "Parity: does the device compute what this host computes?",
        "Temperature while it ran",
        "Gender accuracy, %",
        "Channels of each layer: mobilenetv2-int8",
        "cut most: last 40 to 20, stem 32 to 24, expand 96 to 96",
        "What was not measured",
        "each layer's sensitivity to int8: not measured",
        "UTC: older, on local",
        "91.82 % (InceptionV3)",
        "S3: expression, age and gender in real time",
        "slowest run is 55 % off the median",
    ):
        assert expected in text, expected
    for unexpected in (
        "a Raspberry Pi or a phone: not measured",
        "(soak): not measured",
        "pruning layer by layer: not measured",
    ):
        assert unexpected not in text


def test_figures_of_the_headline_are_those_of_the_entries(full_page: str) -> None:
    text = re.sub(r"\s+", " ", read(full_page).text)
    glance = text[text.index("At a glance", 500) : text.index("All models")]
    for expected in (
        "3.00 MB",
        "25.0× smaller",  # 75 / 3
        "2.00 ms",
        "40.0× faster",  # 80 / 2
        "500 FPS",  # 1000 / 2
        "60.0 MB",
        "20.0 MB of it for the model",  # 60 - 40
        "94.0 %",
        "4.70 years",
        # of 60 faces every tenth is flipped, and before all were right
        "worse than reference",
        "paired: -10.00 points",
        # 0, 4, 8 and 12 years too old are 6 years in the mean; before it was 1
        "paired: +5.00 years",
    ):
        assert expected in glance, expected


def test_a_baseline_with_random_weights_gives_no_verdict() -> None:
    page = report_page(PageContent(files=[file_of(result())]))
    text = re.sub(r"\s+", " ", read(page).text)
    assert text.count("the baseline has random weights, so it has no quality") == 2
    assert "x86 host, not a device" in text
    for absent in (
        "a Raspberry Pi or a phone",
        "quality of the baseline",
        "spoiled faces (light, blur, noise, JPEG, rotation)",
        "training curves",
        "pruning layer by layer",
        "the faces themselves: predicted against true, gallery",
        "paired verdicts, and cases flipped by compression",
    ):
        assert f"{absent}: not measured" in text
    assert "edgeface report --html FILE --data MANIFEST --before MODEL --after MODEL" in text


def test_a_figure_of_fewer_images_says_how_many() -> None:
    whole = quality(0.94, 4.7)
    fewer = tuple(replace(m, n=300) if m.task == "gender" else m for m in whole.metrics)
    made = result(entry(INT8, 2.0, 3_000_000, quality=replace(whole, metrics=fewer)), baseline=None)
    older = replace(made, started_utc="2025-01-02T03:04:05.000000+00:00")
    page = report_page(PageContent(files=[file_of(made), file_of(older, "a_local_older.json")]))
    # 0.98 and 1.02 times 94: among all models, and in the table of the other run
    assert page.count("<small>92.1–95.9; n = 300</small>") == 2
    assert "<small>4.61–4.79</small>" in page, "of all 400"


def test_drawn_faces_are_said_loudly_before_any_figure() -> None:
    drawn = result(entry(INT8, 2.0, 3_000_000, quality=quality(0.9, 5.0, "drawn faces")))
    page = report_page(PageContent(files=[file_of(drawn)]))
    loud = "Drawn faces, not photographs: accuracy and MAE say nothing about people."
    assert loud in page
    assert page.index(loud) < page.index("<main>")


def test_an_invalid_result_has_no_figures_and_a_valid_one_goes_before_it() -> None:
    invalid = replace(full_result(), invalid_reasons=("throttled now, 12 s into the soak",))
    alone = report_page(PageContent(files=[file_of(invalid)]))
    assert "<b>Not valid:</b> throttled now, 12 s into the soak" in alone
    assert "At a glance" not in alone
    assert "40.0× faster" not in alone
    both = report_page(PageContent(files=[file_of(invalid), file_of(result(), "a_b_older.json")]))
    assert "<h1>older</h1>" in both
    assert "INVALID: throttled now, 12 s into the soak" in both


def test_untrusted_names_are_text() -> None:
    evil = result(
        entry(f"{VGG}{EVIL}", 80.0, 75_000_000, trained=False),
        entry(f"{EVIL}1", 4.0, 9_000_000, quality=quality(0.95, 4.6, f"set {EVIL}")),
        entry(f"{EVIL}2\u2028", 2.0, 3_000_000, quality=quality(0.94, 4.7, f"set {EVIL}")),
        baseline=f"{VGG}{EVIL}",
        warnings=(f"warning {EVIL}",),
        runtime=f"runtime {EVIL}",
    )
    evil = replace(
        evil, device_before=replace(evil.device_before, model=f"board {EVIL}", note=EVIL)
    )
    shown = drawn_faces(4)
    shown = replace(
        shown,
        faces=replace(shown.faces, ids=(EVIL, "b", "c", "d")),
        what=EVIL,
        after=replace(shown.after, name=f"after {EVIL}"),
    )
    page = report_page(
        PageContent(
            files=[file_of(evil, f"time_device_{EVIL.replace('/', '')}.json")],
            trainings=[Training(name=f"training {EVIL}", run_id="1", epochs=EPOCHS)],
            shown=shown,
        )
    )
    reader = read(page)
    assert not any(tag == "script" or "onerror" in given for tag, given in reader.tags)
    assert all(source.startswith("data:") for source in reader.all_with("src"))
    assert EVIL in reader.all_with("title")
    for expected in (
        f"{EVIL}1",
        f"{EVIL}2\\u2028",
        f"warning {EVIL}",
        f"runtime {EVIL}",
        f"board {EVIL}",
        f"training {EVIL}",
        f"after {EVIL}",
    ):
        assert expected in reader.text, expected


def test_the_same_content_gives_the_same_page() -> None:
    content = PageContent(files=[file_of(result())])
    assert report_page(content) == report_page(content)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        ({"candidate": "vgg19"}, "report: no model 'vgg19' in the result, expected one of"),
        ({"reference": "vgg19"}, "report: no model 'vgg19' in the result, expected one of"),
        ({"files": []}, "report: no result file, expected one or more; run edgeface bench"),
    ],
)
def test_what_cannot_be_shown_is_refused(problem: dict[str, object], text: str) -> None:
    with pytest.raises(BenchmarkError, match=re.escape(text)):
        report_page(PageContent(**({"files": [file_of(result())]} | problem)))  # type: ignore[arg-type]  # on purpose


def test_the_candidate_and_the_reference_can_be_named() -> None:
    page = report_page(PageContent(files=[file_of(result())], candidate=FLOAT, reference=INT8))
    assert f"{FLOAT} against {VGG}, the baseline." in page


def test_results_are_found_in_a_file_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="holds no result file"):
        find_results(tmp_path)
    older = replace(result(), started_utc="2025-01-02T03:04:05.000000+00:00")
    write_result(tmp_path / "a_local_old.json", older)
    write_result(tmp_path / "b_local_new.json", result())
    assert [file.name for file in find_results(tmp_path)] == ["new", "old"]
    assert [file.name for file in find_results(tmp_path / "a_local_old.json")] == ["old"]


def test_a_result_without_any_model_still_gives_a_page() -> None:
    bare = replace(result(), entries=(), baseline=None, data=None, warnings=())
    text = read(report_page(PageContent(files=[file_of(bare)]))).text
    assert "No model was measured." in text
    assert "Latency: not measured." in text
