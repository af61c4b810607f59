"""Channel ids, and which of them are the same channel.

In: the walk over a network's graph, which makes ids and unites them. Out: for each id the smallest
id of its class (a class can only be removed whole), and whether it must stay.

Source: union by index with path halving, Tarjan & van Leeuwen 1984.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Role = Literal["writes", "passes", "reads"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slot:
    """One axis of one weight, which runs over channels.

    Attributes:
        layer: its name.
        weight: number of the weight in `layer.get_weights()`.
        axis: of that weight, 0 or more.
        role: "writes" makes the channels, "passes" works on each alone, "reads" mixes them into
            others.
        ids: int64 [length of the axis].
    """

    layer: str
    weight: int
    axis: int
    role: Role
    ids: Ids


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """What a walk has found so far; its containers grow.

    Attributes:
        parent: by id, another id of its class, or itself.
        fixed: ids that must stay.
        slots: by (layer, weight, axis).
    """

    parent: list[int] = field(default_factory=list)
    fixed: set[int] = field(default_factory=set)
    slots: dict[tuple[str, int, int], Slot] = field(default_factory=dict)


def fresh(draft: Draft, count: int, *, fixed: bool = False) -> Ids:
    """Make ids that no other tensor has."""
    start = len(draft.parent)
    draft.parent.extend(range(start, start + count))
    ids = np.arange(start, start + count, dtype=np.int64)
    if fixed:
        fix(draft, ids)
    return ids


def fix(draft: Draft, ids: Ids) -> None:
    """Say that these channels, and all united with them, must stay."""
    draft.fixed.update(ids.tolist())


def unite(draft: Draft, first: Ids, second: Ids) -> None:
    """Say that two tensors of the same width share their channels, element by element."""
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        a, b = _root(draft, one), _root(draft, other)
        draft.parent[max(a, b)] = min(a, b)


def claim(draft: Draft, layer: str, weight: int, axis: int, role: Role, ids: Ids) -> Ids:
    """Say that an axis of a weight runs over these channels, and get the ids it has.

    A layer that is called twice has one set of weights: the channels of both calls are united.
    """
    key = (layer, weight, axis)
    if key in draft.slots:
        unite(draft, draft.slots[key].ids, ids)
    else:
        draft.slots[key] = Slot(layer=layer, weight=weight, axis=axis, role=role, ids=ids)
    return draft.slots[key].ids


def resolved(draft: Draft) -> tuple[Ids, NDArray[np.bool_]]:
    """Give for each id the smallest of its class, and whether the class is fixed."""
    roots = np.array([_root(draft, one) for one in range(len(draft.parent))], np.int64)
    fixed = np.zeros(len(roots), np.bool_)
    fixed[roots[sorted(draft.fixed)]] = True
    return roots, fixed[roots]


def _root(draft: Draft, one: int) -> int:
    parent = draft.parent
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one
