"""A manifest to and from its file: JSON, one image a line.

In: a `Manifest`, or a file that anybody may have edited. Out: the other. What is read is checked
each time; nothing in it is believed because it was right when it was written.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeface import __version__
from edgeface.data.adapters.paths import printable, shown
from edgeface.data.manifest import Manifest, Row, Source, check_manifest
from edgeface.errors import DataError
from edgeface.records import RecordError, from_mapping, to_mapping, write_bytes

SCHEMA_VERSION = 1
SUFFIX = ".json"
MAX_BYTES = 1_000_000_000
"""Largest file read. Chosen: some 2 million images; a larger one would fill the memory."""

# What every file begins with that `write_manifest` wrote, and edgeface's other records do not.
_HEAD = re.compile(rb'\{\n "schema_version": \d+,\n "edgeface": "')
_PROBLEM_CHARACTERS = 200  # chosen: a problem quotes what it found, which may be a book


@dataclass(frozen=True, kw_only=True)
class _File:
    schema_version: int
    edgeface: str
    sha256: str
    seed: int
    validation_ratio: float
    test_ratio: float
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; roots below the file's folder are written relative to it.

    Raises:
        DataError: what `check_replaceable` refuses, or the file cannot be written.
    """
    head = to_mapping(
        _File(
            schema_version=SCHEMA_VERSION,
            edgeface=__version__,
            sha256=manifest.sha256,
            seed=manifest.seed,
            validation_ratio=manifest.validation_ratio,
            test_ratio=manifest.test_ratio,
            sources=tuple(_relative(source, path) for source in manifest.sources),
            rows=(),
        )
    )
    rows = ",\n".join("  " + _line(row) for row in manifest.rows)
    text = json.dumps(head, indent=1, ensure_ascii=False)
    text = text.removesuffix('"rows": []\n}') + f'"rows": [\n{rows}\n ]\n}}\n'
    where = printable(str(path))
    check_replaceable(path)
    try:
        # a byte of a name that is not UTF-8 is "\udcff" to Python; JSON's escape reads the same
        write_bytes(path, text.encode("utf-8", "backslashreplace"))
    except OSError as err:
        raise DataError(f"{where}: cannot be written: {err.strerror}; give another --out") from err


def check_replaceable(path: Path) -> None:
    """Refuse a name that a manifest must not be written to, before time is spent on making it.

    Raises:
        DataError: a folder; a name that is not read as a manifest; a folder that is not there; or
            a file that is no manifest, e.g. the table that the labels are in.
    """
    where = printable(str(path))
    try:
        if path.is_dir():
            raise DataError(f"{where}: is a folder; give --out the name of a file")
        if path.suffix.lower() != SUFFIX:
            raise DataError(
                f"{where}: a manifest is known by its suffix, found {shown(path.suffix)}, expected "
                f"'{SUFFIX}'; give another --out"
            )
        with path.open("rb") as file:
            head = file.read(80)
    except FileNotFoundError as err:
        if not path.parent.is_dir():
            raise DataError(
                f"{where}: cannot be written: {err.strerror}; give another --out"
            ) from err
        return
    except OSError as err:
        raise DataError(f"{where}: cannot be written: {err.strerror}; give another --out") from err
    if not _HEAD.match(head):
        raise DataError(
            f"{where}: is there already and is no manifest; give another --out, nothing is replaced"
        )


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and check it.

    Raises:
        DataError: missing, not a manifest, edited by hand without the digest, or what
            `check_manifest` refuses.
    """
    where = printable(str(path))
    record = _record(path, where)
    manifest = Manifest(
        sources=tuple(_absolute(source, path) for source in record.sources),
        seed=record.seed,
        validation_ratio=record.validation_ratio,
        test_ratio=record.test_ratio,
        rows=tuple(sorted(record.rows, key=lambda row: (row.source, row.id))),
    )
    check_manifest(manifest, where)
    if manifest.sha256 != record.sha256:
        raise DataError(
            f"{where}: its rows have the digest {manifest.sha256[:12]}, expected "
            f"{record.sha256[:12]!r} as it says: it was edited; make it anew with: edgeface data "
            "prepare (own splits are given with --split)"
        )
    return manifest


def _record(path: Path, where: str) -> _File:
    try:
        if not path.is_file():
            found = "not a file" if path.exists() else "no such file"
            raise DataError(f"{where}: {found}; make it with: edgeface data prepare")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(
                f"{where}: over {MAX_BYTES} bytes, expected a manifest; make it with: edgeface "
                "data prepare"
            )
        mapping = json.loads(path.read_bytes())
    except OSError as err:
        raise DataError(f"{where}: cannot be read: {err.strerror}") from err
    except (ValueError, RecursionError) as err:  # also bytes that are not UTF-8
        raise DataError(f"{where}: not a manifest: not JSON ({err})") from err
    version = mapping.get("schema_version") if isinstance(mapping, dict) else None
    if version != SCHEMA_VERSION:
        found = shown(str(version)) if isinstance(version, str | int | float) else "missing"
        raise DataError(
            f"{where}: not a manifest of this edgeface: schema_version is {found}, expected "
            f"{SCHEMA_VERSION}; make it with: edgeface data prepare"
        )
    try:
        return from_mapping(_File, mapping)
    except RecordError as err:
        problems = err.problems
        told = "; ".join(printable(problem[:_PROBLEM_CHARACTERS]) for problem in problems[:3])
        more = f" and {len(problems) - 3} more problems" if len(problems) > 3 else ""
        raise DataError(f"{where}: not a manifest: {told}{more}") from err
    except RecursionError as err:  # in quoting what was found
        raise DataError(f"{where}: not a manifest: nested too deeply") from err


def _line(row: Row) -> str:
    facts: dict[str, Any] = {
        "id": row.id,
        "path": row.path,
        "sha256": row.sha256,
        "perceptual_hash": row.perceptual_hash,
        "age": {"low_years": row.age.low_years, "high_years": row.age.high_years}
        if row.age
        else None,
        "classes": row.classes,
        "group": row.group,
        "split": row.split,
        "left_out": row.left_out,
    }
    if row.source:
        facts["source"] = row.source
    return json.dumps(facts, ensure_ascii=False)


def _relative(source: Source, path: Path) -> Source:
    if source.kind != "folder":
        return source
    root, folder = Path(source.root).resolve(), path.parent.resolve()
    inside = root.is_relative_to(folder)
    return replace(source, root=root.relative_to(folder).as_posix() if inside else str(root))


def _absolute(source: Source, path: Path) -> Source:
    if source.kind != "folder":
        return source
    return replace(source, root=str(path.parent / source.root))
