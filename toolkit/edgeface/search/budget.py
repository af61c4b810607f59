"""What the user may spend and lose: `--budget "size<=1.0MB, mae<=+0.15, gender>=-0.5pp"`.

In: text. Out: a `Budget`, or one `ConfigError` that lists every problem with its place.

**Grammar.** Terms with commas between them; each is a quantity, `<=` (`>=` for gender), a number, a
unit, and for latency `@DEVICE` (this host where it is left out):

| term | means |
| --- | --- |
| `size<=1.0MB` | bytes of the `.tflite`; B, kB, MB (10^6), MiB (2^20) |
| `gzip<=700kB` | the same, compressed with gzip: what is downloaded |
| `params<=1.2M`, `macs<=60M` | parameters, multiply-and-adds; k, M, G or none |
| `p50<=8ms`, `p90<=9ms@local` | latency, median or 90th percentile |
| `mae<=4.9` | age MAE in years |
| `mae<=+0.15` | with a sign: years above that of the unpruned float model |
| `gender>=93.5%` | gender accuracy |
| `gender>=-0.5pp` | percentage points above (here: below) that of the unpruned float model |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast, get_args

from edgeface.errors import ConfigError, DeviceError

Quantity = Literal["size", "gzip", "params", "macs", "p50", "p90", "mae", "gender"]
LOCAL = "local"
"""Name of the machine that edgeface runs on, as `runtime.device_facts` calls it."""

_LATENCIES = ("p50", "p90")
# Source: docs/design.md, Words: MB is 10^6 bytes
_BYTES = {"MiB": 2**20, "MB": 10**6, "kB": 10**3, "B": 1}
_COUNTS = {"G": 10**9, "M": 10**6, "k": 10**3, "": 1}
_UNITS: Mapping[Quantity, Mapping[str, int]] = {
    "size": _BYTES,
    "gzip": _BYTES,
    "params": _COUNTS,
    "macs": _COUNTS,
    "p50": {"ms": 1},
    "p90": {"ms": 1},
    "mae": {"": 1, "years": 1},
    "gender": {"%": 1, "pp": 1},
}
# chosen: beyond any model, age or machine; a larger number is a slip of the finger
_HIGHEST: Mapping[Quantity, int] = {
    "size": 10**12,
    "gzip": 10**12,
    "params": 10**12,
    "macs": 10**15,
    "p50": 10**7,
    "p90": 10**7,
    "mae": 120,
    "gender": 100,
}
_TERM = re.compile(
    r"(?P<quantity>[A-Za-z_]\w*)\s*(?P<operator>[<>=]+)\s*(?P<sign>[+-]?)\s*"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z%]*)\s*(?:@\s*(?P<device>\S*))?",
    re.ASCII,
)
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)
_SHOWN = 40  # characters of a term that a message repeats


@dataclass(frozen=True, kw_only=True)
class Term:
    """One limit, as asked.

    Attributes:
        quantity: what is limited; gender accuracy from below, all else from above.
        limit: in bytes, a count, milliseconds, years, or per cent; if relative, years or percentage
            points above the figure of the unpruned float model.
        relative: whether `limit` is a difference; "mae" and "gender" only.
        device: where latency is measured; empty for all else.
    """

    quantity: Quantity
    limit: float
    relative: bool = False
    device: str = ""

    def __str__(self) -> str:
        """Write the term as `parse_budget` reads it."""
        if self.quantity == "gender":
            return f"gender>={_number(self.limit, self.relative)}{'pp' if self.relative else '%'}"
        unit, factor = "", 1
        if self.quantity not in ("mae", *_LATENCIES):
            whole = (each for each in _UNITS[self.quantity].items() if each[0] != "MiB")
            unit, factor = next((u, f) for u, f in whole if f <= self.limit or f == 1)
        elif self.quantity in _LATENCIES:
            unit = "ms"
        place = f"@{self.device}" if self.device not in ("", LOCAL) else ""
        number = _number(self.limit, self.relative, factor)
        return f"{self.quantity}<={number}{unit}{place}"

    @property
    def is_cost(self) -> bool:
        """Whether it limits what a model costs, not how good it is."""
        return self.quantity not in ("mae", "gender")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """All limits, in the order they were asked."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        """Write the budget as `parse_budget` reads it."""
        return ", ".join(map(str, self.terms))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that latency is limited on, each once."""
        return tuple(dict.fromkeys(term.device for term in self.terms if term.device))


def parse_budget(text: str) -> Budget:
    """Read a budget.

    Args:
        text: see the module.

    Raises:
        ConfigError: listing every problem, each with the character it begins at.
    """
    terms: dict[tuple[str, bool, str], Term] = {}
    problems: list[str] = []
    for place, piece in _pieces(text):
        shown = piece if len(piece) <= _SHOWN else f"{piece[:_SHOWN]}…"
        where = f"character {place}, {shown!r}" if piece else f"character {place}"
        found = _term(piece)
        if isinstance(found, Term):
            name = (found.quantity, found.relative, found.device)
            if name in terms:
                problems.append(f"{where}: a second limit beside {terms[name]}, expected one")
            terms.setdefault(name, found)
        else:
            problems += [f"{where}: {problem}" for problem in found]
    if problems:
        raise ConfigError("--budget", problems)
    return Budget(terms=tuple(terms.values()))


def check_devices(budget: Budget, available: Collection[str]) -> None:
    """Refuse a device that cannot be measured on; this host never stands in for it.

    Args:
        budget: whose latency terms name devices.
        available: names of the devices that can be measured on.

    Raises:
        DeviceError: naming those that are not there.
    """
    missing = [device for device in budget.devices if device not in available]
    if missing:
        raise DeviceError(
            f"--budget: no device {', '.join(missing)}, expected one of "
            f"{', '.join(sorted(available))}; leave @{missing[0]} out to limit the latency on this "
            "host, which says nothing about another device"
        )


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Each term without the spaces round it, and the number of its first character, from 1."""
    start = 0
    for piece in text.split(","):
        inside = len(piece) - len(piece.lstrip())
        yield start + inside + 1, piece.strip()
        start += len(piece) + 1


def _term(piece: str) -> Term | list[str]:
    """Read one term, or say all that is wrong with it."""
    if not piece:
        return ["nothing here, expected a limit such as size<=1.0MB"]
    match = _TERM.fullmatch(piece)
    if not match:
        return ["not a limit, expected a quantity, <= and a number, such as size<=1.0MB"]
    part = match.groupdict()
    if part["quantity"] not in get_args(Quantity):
        known = ", ".join(get_args(Quantity))
        return [f"unknown quantity {part['quantity']!r}, expected one of {known}"]
    quantity = cast(Quantity, part["quantity"])
    unit, sign, device = part["unit"], part["sign"], part["device"]
    relative = unit == "pp" if quantity == "gender" else bool(sign) and quantity == "mae"
    problems = [
        *_operator_problems(quantity, part["operator"]),
        *_unit_problems(quantity, unit),
        *_sign_problems(quantity, sign, unit),
        *_device_problems(quantity, device),
    ]
    value = Decimal(sign + part["number"]) * _UNITS[quantity].get(unit, 1)
    if not problems:
        problems = _range_problems(quantity, value, relative)
    if problems:
        return problems
    if quantity in ("size", "gzip", "params", "macs"):
        value = Decimal(int(value))  # of things that are counted, the last whole one
    place = (device or LOCAL) if quantity in _LATENCIES else ""
    return Term(quantity=quantity, limit=float(value), relative=relative, device=place)


def _operator_problems(quantity: Quantity, operator: str) -> list[str]:
    expected = ">=" if quantity == "gender" else "<="
    return [] if operator == expected else [f"found {operator}, expected {expected}"]


def _unit_problems(quantity: Quantity, unit: str) -> list[str]:
    units = _UNITS[quantity]
    if unit in units:
        return []
    expected = ", ".join(filter(None, units)) + (" or none" if "" in units else "")
    return [f"unit is {unit!r}, expected {expected}" if unit else f"no unit, expected {expected}"]


def _sign_problems(quantity: Quantity, sign: str, unit: str) -> list[str]:
    if quantity == "gender" and unit == "pp":
        missing = "no sign, expected + or -: points against the unpruned float model"
        return [] if sign else [missing]
    if quantity == "gender" and unit == "%" and sign:
        return [f"sign {sign} with %, expected pp for points against the unpruned float model"]
    if sign and quantity not in ("mae", "gender"):
        return [f"sign {sign}, expected none: only mae and gender are compared with a model"]
    return []


def _device_problems(quantity: Quantity, device: str | None) -> list[str]:
    if device is None:
        return []
    if quantity not in _LATENCIES:
        return [f"@{device}, expected no device: only p50 and p90 depend on it"]
    if not _DEVICE.fullmatch(device):
        return [f"device is {device!r}, expected letters, digits, dots and hyphens"]
    return []


def _range_problems(quantity: Quantity, value: Decimal, relative: bool) -> list[str]:
    highest = _HIGHEST[quantity]
    if relative:
        problem = f"found {value:.6g}, expected {-highest} to {highest}"
        return [] if -highest <= value <= highest else [problem]
    counted = quantity in ("size", "gzip", "params", "macs")
    lowest = "1 or more" if counted else "above 0"
    problem = f"found {value:.6g}, expected {lowest} and at most {highest}"
    return [] if (1 if counted else 0) <= value <= highest and value > 0 else [problem]


def _number(value: float, signed: bool, factor: int = 1) -> str:
    """The shortest decimal that reads back as the same number, never with an exponent."""
    decimal = (Decimal(repr(value)) / factor).normalize()
    return f"{decimal:+f}" if signed else f"{decimal:f}"
