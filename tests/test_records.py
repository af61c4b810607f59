"""`records`: what goes in comes out, all problems are named at once, files are whole or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.records import (
    RangeError,
    RecordError,
    from_mapping,
    to_mapping,
    write_bytes,
    write_json,
)
from edgeface.types import HeadSpec, Metric, Quality, TensorSpec

# Lone surrogates stand for the bytes of file names that are not UTF-8.
texts = st.text(max_size=8) | st.sampled_from(["", "a.b", "zwölf\n", "\udcff.jpg"])
floats = st.floats(allow_nan=False, allow_infinity=False)
tensors = st.builds(
    TensorSpec,
    name=texts,
    shape=st.lists(st.integers()).map(tuple),
    dtype=texts,
    scale=st.none() | floats,
    zero_point=st.none() | st.integers(),
)
heads = st.builds(
    HeadSpec,
    name=texts,
    kind=st.sampled_from(["binary", "expectation", "regression"]),
    tensor=texts,
    classes=st.lists(texts).map(tuple),
    bins=st.lists(floats).map(tuple),
    unit=texts,
)
metrics = st.builds(
    Metric,
    task=texts,
    name=texts,
    value=floats,
    low=floats,
    high=floats,
    unit=texts,
    n=st.integers(),
)
qualities = st.builds(
    Quality,
    data=texts,
    split=texts,
    manifest_sha256=texts,
    n=st.integers(),
    metrics=st.lists(metrics, max_size=3).map(tuple),
)


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """What `Cart` nests."""

    spokes: int
    size_ratio: float = 1.0
    width_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        problems = [
            f"{name} is {getattr(self, name)}, expected below 2"
            for name in ("size_ratio", "width_ratio")
            if getattr(self, name) >= 2
        ]
        if problems:
            raise RangeError(problems)


@dataclass(frozen=True, kw_only=True)
class Cart:
    """A record of every kind of field."""

    name: str
    covered: bool = False
    load: int = 0
    colour: Literal["red", "blue"] = "red"
    owner: str | None = None
    pair: tuple[int, str] = (0, "")
    tags: tuple[str, ...] = ()
    prices: dict[str, float] | None = None
    anything: Any = None
    wheel: Wheel = Wheel(spokes=8)
    wheels: tuple[Wheel, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no field says by itself."""
        if self.load < 0:
            raise ValueError("pulls itself")


def problems_of(mapping: Any) -> tuple[str, ...]:
    with pytest.raises(RecordError) as info:
        from_mapping(Cart, mapping)
    assert str(info.value) == "; ".join(info.value.problems)
    return info.value.problems


@given(record=tensors | heads | qualities)
def test_what_goes_out_comes_back(record: TensorSpec | HeadSpec | Quality) -> None:
    plain = to_mapping(record)
    assert from_mapping(type(record), plain) == record
    assert json.loads(json.dumps(plain)) == plain, "a mapping holds what JSON can hold"


@given(record=tensors | heads | qualities)
def test_a_written_file_comes_back(
    record: TensorSpec | HeadSpec | Quality, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "record.json"
    write_json(path, record)
    assert from_mapping(type(record), json.loads(path.read_text("utf-8"))) == record


def test_numbers_of_one_list_stand_on_one_line_and_texts_are_left_alone(tmp_path: Path) -> None:
    tensor = TensorSpec(
        name="[\n 1,\n 2\n]", shape=(1, -2, 3), dtype="int8", scale=1e-05, zero_point=None
    )
    write_json(tmp_path / "tensor.json", tensor)
    assert (tmp_path / "tensor.json").read_text("utf-8").splitlines() == [
        "{",
        r' "name": "[\n 1,\n 2\n]",',
        ' "shape": [1, -2, 3],',
        ' "dtype": "int8",',
        ' "scale": 1e-05,',
        ' "zero_point": null',
        "}",
    ]


def test_every_kind_of_field_is_read() -> None:
    mapping = {
        "name": "hay",
        "covered": True,
        "load": 3,
        "colour": "blue",
        "owner": "Ada",
        "pair": [1, "x"],
        "tags": ["a", "b"],
        "prices": {"hay": 2},
        "anything": {"free": [1, None]},
        "wheel": {"spokes": 6, "size_ratio": 1},
        "wheels": [{"spokes": 4}],
    }
    cart = from_mapping(Cart, mapping)
    assert cart == Cart(
        name="hay",
        covered=True,
        load=3,
        colour="blue",
        owner="Ada",
        pair=(1, "x"),
        tags=("a", "b"),
        prices={"hay": 2.0},
        anything={"free": [1, None]},
        wheel=Wheel(spokes=6),
        wheels=(Wheel(spokes=4),),
    )
    assert isinstance(cart.wheel.size_ratio, float), "an int where a float is meant becomes one"
    assert from_mapping(Cart, {"name": "hay", "owner": None}) == Cart(name="hay")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"nane": 1}, "nane: unknown key, expected one of name, covered, load, colour, owner, "),
        ({"wheel": {"spokes": 1, "spoke": 2}}, "wheel.spoke: unknown key, expected one of spokes"),
        ({"name": 3}, "name: found 3 (int), expected str"),
        ({"name": None}, "name: found nothing, expected str"),
        ({"load": "3"}, "load: found '3' (str), expected int"),
        ({"load": True}, "load: found True (bool), expected int"),
        ({"load": 3.0}, "load: found 3.0 (float), expected int"),
        ({"load": [1]}, "load: found a list, expected int"),
        ({"covered": 1}, "covered: found 1 (int), expected bool"),
        ({"colour": "green"}, "colour: found 'green', expected one of 'red', 'blue'"),
        ({"colour": ["red"]}, "colour: found ['red'], expected one of 'red', 'blue'"),
        ({"owner": 3}, "owner: found 3 (int), expected str"),
        ({"pair": [1]}, "pair: found 1 values, expected 2"),
        ({"pair": [1, 2]}, "pair[1]: found 2 (int), expected str"),
        ({"pair": "1x"}, "pair: found '1x' (str), expected a list"),
        ({"tags": "ab"}, "tags: found 'ab' (str), expected a list"),
        ({"tags": ["a", False]}, "tags[1]: found False (bool), expected str"),
        ({"prices": {"hay": True}}, "prices.hay: found True (bool), expected float"),
        ({"prices": [2]}, "prices: found a list, expected a table of keys"),
        ({"wheel": 4}, "wheel: found 4 (int), expected a table of keys"),
        ({"wheel": {}}, "wheel.spokes: missing"),
        ({"wheel": {"spokes": 1, "size_ratio": 2}}, "wheel.size_ratio is 2.0, expected below 2"),
        ({"wheel": {"spokes": 1, "size_ratio": "x"}}, "wheel.size_ratio: found 'x' (str), expec"),
        (
            {"wheel": {"spokes": 1, "size_ratio": 10**400}},
            "wheel.size_ratio: found an int beyond every float, expected float",
        ),
        ({"wheels": [{"spokes": 1}, {}]}, "wheels[1].spokes: missing"),
        ({"load": -1}, "pulls itself"),
    ],
)
def test_one_wrong_value_is_one_problem(change: dict[str, Any], problem: str) -> None:
    (found,) = problems_of({"name": "hay", **change})
    assert found.startswith(problem)


def test_what_is_no_table_at_all() -> None:
    assert problems_of([]) == ("top level: found a list, expected a table of keys",)


def test_all_problems_are_named_at_once() -> None:
    found = problems_of(
        {
            "lode": 1,
            "covered": 0,
            "load": True,
            "tags": [1, "b", 2],
            "wheel": {"spokes": 1, "hub": 1, "size_ratio": 3, "width_ratio": 4},
            "wheels": [{"size_ratio": 5, "width_ratio": "wide"}, {"spokes": 1, "size_ratio": 6}],
        }
    )
    assert [problem.split(" is ")[0].split(":")[0] for problem in found] == [
        "lode",  # unknown
        "name",  # missing
        "covered",
        "load",
        "tags[0]",
        "tags[2]",
        "wheel.hub",
        "wheel.size_ratio",  # out of range, found beside an unknown key
        "wheel.width_ratio",
        "wheels[0].spokes",  # missing, so that ranges of this one cannot be checked
        "wheels[0].width_ratio",
        "wheels[1].size_ratio",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_written(value: float, tmp_path: Path) -> None:
    metric = Metric(task="age", name="mae", value=value, low=0.0, high=0.0, unit="years", n=1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "metric.json", metric)
    assert list(tmp_path.iterdir()) == []


def test_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    for content in (b"first", b"second", b""):
        write_bytes(path, content)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")

    def fill_the_disk(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new and longer")
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {path.name: b"old"}


def test_a_failed_rename_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "model.tflite", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.tflite"]
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "none" / "model.tflite", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.tflite"]
