"""Dataclass to and from plain TOML/JSON values, strict, with every problem reported at once.

In: a mapping that a file was parsed into. Out: a frozen dataclass, or one `RecordError` that lists
each unknown key, missing key, wrong type and bad value with its dotted path. Nothing is repaired.
Runs on a device too (Python 3.9).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import types
from functools import cache
from pathlib import Path
from typing import (
    Any,
    Dict,
    List,
    Literal,
    Mapping,
    Tuple,
    Type,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from edgeface.errors import EdgefaceError

T = TypeVar("T")
_UNION_KINDS = (Union, getattr(types, "UnionType", Union))
# a list of numbers alone, as `json.dumps` breaks it over lines; inside a text a line break is "\n"
_NUMBERS = re.compile(r"\[\n *(-?\d[^\[\]{}\"]*?)\n *\]")


class RecordError(EdgefaceError):
    """A record does not have the form that was expected.

    Attributes:
        problems: one line each, starting with the dotted key.
    """

    def __init__(self, problems: List[str]) -> None:
        """Keep the problems and join them into one line."""
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


class RangeError(ValueError):
    """Values of one record are out of range; raised by its own `__post_init__`.

    Attributes:
        problems: one line each, starting with the field's name.
    """

    def __init__(self, problems: List[str]) -> None:
        """Keep the problems and join them into one line."""
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


def from_mapping(cls: Type[T], mapping: Mapping[str, Any]) -> T:
    """Build a dataclass from parsed TOML or JSON.

    Args:
        cls: the dataclass. Fields may be bool, int, float, str, Literal, Optional, tuple[X, ...],
            dict[str, X], Any, and dataclasses of these.
        mapping: what the file holds. An int is taken where a float is expected, nothing else is
            converted.

    Returns:
        The record.

    Raises:
        RecordError: listing every problem.
    """
    problems: List[str] = []
    record = _build(cls, mapping, "", problems)
    if problems:
        raise RecordError(problems)
    return record  # type: ignore[no-any-return]  # _build returned a cls: no problem was listed


def to_mapping(record: Any) -> Dict[str, Any]:
    """Turn a dataclass into nested dicts and lists that JSON can hold."""
    return json.loads(json.dumps(dataclasses.asdict(record), allow_nan=False))  # type: ignore[no-any-return]  # a dataclass becomes an object


def write_json(path: Path, record: Any) -> None:
    """Write a dataclass as JSON, to a temporary name first, then renamed.

    A list of numbers stands on one line: a benchmark's samples are 100,000 and more.

    Args:
        path: where to.
        record: a dataclass without NaN or infinity.

    Raises:
        OSError: the folder cannot be written.
    """
    text = json.dumps(to_mapping(record), indent=1, ensure_ascii=False) + "\n"
    text = _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    # a byte of a file name that is not UTF-8 is "\udcff" to Python; JSON's escape reads the same
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _build(cls: Any, value: Any, where: str, problems: List[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{where or 'top level'}: found {_kind(value)}, expected a table of keys")
        return None
    hints, fields = _fields_of(cls)
    for key in value:
        if key not in fields:
            expected = ", ".join(fields)
            problems.append(f"{_join(where, key)}: unknown key, expected one of {expected}")
    arguments, complete = {}, True
    for name, field in fields.items():
        before = len(problems)
        required = field.default is field.default_factory is dataclasses.MISSING
        if name in value:
            converted = _convert(hints[name], value[name], _join(where, name), problems)
            if len(problems) == before:
                arguments[name] = converted
        elif required:
            problems.append(f"{_join(where, name)}: missing")
        complete = complete and (name in arguments or not required)
    # Ranges are checked beside other problems too, as far as defaults can stand in for bad values.
    return _make(cls, arguments, where, problems) if complete else None


@cache
def _fields_of(cls: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    # a manifest has a record an image: asking Python anew each time would take seconds
    return get_type_hints(cls), {field.name: field for field in dataclasses.fields(cls)}


def _make(cls: Any, arguments: Dict[str, Any], where: str, problems: List[str]) -> Any:
    try:
        return cls(**arguments)
    except RangeError as err:
        problems += [_join(where, problem) for problem in err.problems]
    except ValueError as err:  # what else the dataclass's own __post_init__ refuses
        problems.append(f"{where}: {err}" if where else str(err))
    return None


def _convert(hint: Any, value: Any, where: str, problems: List[str]) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where, problems)
    if origin is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            allowed = ", ".join(map(repr, get_args(hint)))
            problems.append(f"{where}: found {value!r}, expected one of {allowed}")
        return value
    if origin in _UNION_KINDS:
        inner = [option for option in get_args(hint) if option is not type(None)]
        if value is None and len(inner) < len(get_args(hint)):
            return None
        return _convert(inner[0], value, where, problems)
    if origin is tuple:
        return _convert_tuple(hint, value, where, problems)
    if origin is dict:
        if not isinstance(value, Mapping):
            problems.append(f"{where}: found {_kind(value)}, expected a table of keys")
            return None
        inner_hint = get_args(hint)[1]
        return {
            key: _convert(inner_hint, item, _join(where, key), problems)
            for key, item in value.items()
        }
    return _convert_plain(hint, value, where, problems)


def _convert_tuple(
    hint: Any, value: Any, where: str, problems: List[str]
) -> Union[Tuple[Any, ...], None]:
    inner = get_args(hint)
    if not isinstance(value, (list, tuple)):
        problems.append(f"{where}: found {_kind(value)}, expected a list")
        return None
    if inner[-1] is not Ellipsis and len(inner) != len(value):
        problems.append(f"{where}: found {len(value)} values, expected {len(inner)}")
        return None
    hints = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
    return tuple(
        _convert(hints[i], item, f"{where}[{i}]", problems) for i, item in enumerate(value)
    )


def _convert_plain(hint: Any, value: Any, where: str, problems: List[str]) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            problems.append(f"{where}: found an int beyond every float, expected float")
            return value
    # bool is an int to Python; a user who writes true for a count made a mistake
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        problems.append(f"{where}: found {_kind(value)}, expected {hint.__name__}")
    return value


def _kind(value: Any) -> str:
    names = {dict: "a table", list: "a list", type(None): "nothing"}
    return names.get(type(value), f"{value!r} ({type(value).__name__})")


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
