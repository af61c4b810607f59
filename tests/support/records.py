"""Devices and origins of models, made by hand. A test gives what it is about as changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgeface.runtime.device_facts import DeviceInfo
from edgeface.types import Provenance

HOST = DeviceInfo(
    name="local",
    model="Some CPU",
    arch="x86_64",
    cores=2,
    ram_bytes=8_000_000_000,
    os="Linux-6",
    python="3.11.2 (64-bit)",
    governor=None,
    clock_mhz=2000.0,
    temperature_c=None,
    throttle_bits=None,
    is_target=False,
    note="x86 host, not a device",
)
PI = replace(
    HOST,
    name="rpi",
    model="Raspberry Pi 4",
    arch="aarch64",
    cores=4,
    governor="performance",
    temperature_c=50.0,
    throttle_bits=0,
    is_target=True,
    note="",
)


def provenance(**changes: Any) -> Provenance:
    """Of a model trained on a folder, not pruned."""
    made = Provenance(
        run_id="1",
        recipe={},
        seed=1,
        data="utkface",
        data_kind="folder",
        manifest_sha256="abcdef0123456789",
        calibration_ids=(),
        weights="none",
        trained=True,
        pruning_ratio=0.0,
        parameters=1,
        macs=1,
        versions={},
        commit="unknown",
        created_utc="2025-01-01T00:00:00+00:00",
    )
    return replace(made, **changes)
