"""A resolved recipe as the short TOML that gives it again. In: the mapping of a sidecar. Out: text.

Only what differs from edgeface's defaults is written, as a person would write a recipe. A recipe of
an older edgeface lacks the keys that came later; those have their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from edgeface.config import Recipe
from edgeface.records import to_mapping


def recipe_toml(recipe: Mapping[str, Any], *, leave_out: tuple[str, ...] = ()) -> str:
    """Write a recipe as TOML without a last newline; empty where all is default.

    Args:
        recipe: resolved, as `Provenance.recipe` has it.
        leave_out: keys and tables of the top level that are not written, e.g. "description".

    Returns:
        TOML that `config.load_recipe` reads as the same recipe, apart from `leave_out`.
    """
    kept = {key: value for key, value in recipe.items() if key not in leave_out}
    return "\n".join(_lines(_differing(kept, Recipe), "")).strip("\n")


def _differing(mapping: Mapping[str, Any], cls: Any) -> dict[str, Any]:
    """What of a record is not as its class has it; a table is compared with its own class.

    A table that is given in TOML starts from the defaults of its class, not from those that the
    table above has for it (`prune.fine_tune` is one with defaults of its own).
    """
    defaults, hints = to_mapping(cls()), get_type_hints(cls)
    found = {}
    for key, value in mapping.items():
        inner = hints.get(key)
        if is_dataclass(inner) and isinstance(value, Mapping):
            if _filled(value, inner) != defaults[key]:
                found[key] = _differing(value, inner)
        elif key not in defaults or value != defaults[key]:
            found[key] = value
    return found


def _filled(mapping: Mapping[str, Any], cls: Any) -> dict[str, Any]:
    defaults, hints = to_mapping(cls()), get_type_hints(cls)
    return defaults | {
        key: _filled(value, hints[key])
        if is_dataclass(hints.get(key)) and isinstance(value, Mapping)
        else value
        for key, value in mapping.items()
    }


def _lines(mapping: Mapping[str, Any], above: str) -> Iterator[str]:
    tables = {key: value for key, value in mapping.items() if isinstance(value, Mapping)}
    for key, value in mapping.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        name = f"{above}{_key(key)}"
        if not value or any(not isinstance(each, Mapping) for each in value.values()):
            yield f"\n[{name}]"
        yield from _lines(value, f"{name}.")


def _key(key: str) -> str:
    return key if key.isascii() and key.replace("_", "").isalnum() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    # JSON's strings, numbers and truth values are TOML's; a name must not steer a terminal
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
