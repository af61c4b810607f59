"""What a benchmark asks of a device in place of this host: `bench.run.Probes` for a session.

In: a session, and a worker that runs its processes. Out: `Probes`. The network runs on the device;
its outputs are decoded here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.delegation import Delegation, delegation_of
from edgeface.bench.device_outputs import DeviceOutputs, measure_outputs, predictions_of
from edgeface.bench.device_parity import RunThere
from edgeface.bench.latency import Worker
from edgeface.bench.model_parse import parse_model
from edgeface.bench.partitions import read_view
from edgeface.bench.quality import check_predictable, predict_in_chunks
from edgeface.bench.remote.files import FACES_SUFFIX
from edgeface.bench.remote.session import Session
from edgeface.bench.run import Probes
from edgeface.data.faces import Faces
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.types import Reporter

CHUNK_IMAGES = 256
"""Faces that are sent at once. Chosen: 12 MB at 128 px before compression; a Pi may take minutes
for so many with VGG16, and what a broken connection loses is one chunk."""


def device_probes(session: Session, name: str, *, worker: Worker, emulated: str = "") -> Probes:
    """Give the probes of a device.

    Args:
        session: to it.
        name: what the user calls it.
        worker: `session.worker`, or one that keeps what it answered.
        emulated: in words, how it is emulated; empty for a real device.
    """

    def describe() -> DeviceInfo:
        return as_emulated(session.identify(name), emulated)

    def delegation(artifact: Artifact) -> Delegation | None:
        graph = parse_model(artifact.content, str(artifact.path))
        return delegation_of(read_view(session.probe(artifact.path), graph))

    there = run_there(worker)
    return Probes(
        describe=describe,
        worker=worker,
        predict=predict_there(there),
        delegation=delegation,
        run_there=there,
    )


def as_emulated(info: DeviceInfo, emulated: str) -> DeviceInfo:
    """Take out of an emulated device's facts what is this host's; as it is if not emulated."""
    if not emulated:
        return info
    return replace(
        info, model=emulated, ram_bytes=None, clock_mhz=None, is_target=False, note=emulated
    )


def run_there(worker: Worker) -> RunThere:
    """Give a function that runs an artifact on the device.

    What was asked last is answered from memory: quality and parity of few faces are one run.
    """
    last: dict[tuple[str, str, int], DeviceOutputs] = {}

    def run(artifact: Artifact, images: NDArray[np.uint8], threads: int) -> DeviceOutputs:
        key = (artifact.sidecar.sha256, sha256(images.tobytes()).hexdigest(), threads)
        if key not in last:
            outputs = ask(artifact, images, threads)
            last.clear()
            last[key] = outputs
        return last[key]

    def ask(artifact: Artifact, images: NDArray[np.uint8], threads: int) -> DeviceOutputs:
        with tempfile.TemporaryDirectory() as folder:
            faces = Path(folder) / f"faces{FACES_SUFFIX}"
            np.savez_compressed(faces, images=images)
            return measure_outputs(
                artifact.path,
                faces,
                artifact.sidecar.contract,
                images=len(images),
                threads=threads,
                worker=worker,
                where=f"{artifact.sidecar.name} on the device",
            )

    return run


def predict_there(run: RunThere) -> Callable[..., dict[str, NDArray[np.float64]]]:
    """Give a stand-in for `bench.quality.predict_held_out` whose network runs on the device."""

    def predict(
        artifact: Artifact,
        faces: Faces,
        *,
        data: str,
        split: str,
        reporter: Reporter,
        threads: int = 1,
    ) -> dict[str, NDArray[np.float64]]:
        check_predictable(artifact, faces, data=data, split=split)
        where = f"{artifact.sidecar.name} on the device"
        contract = artifact.sidecar.contract
        return predict_in_chunks(
            lambda images: predictions_of(
                run(artifact, images, threads).outputs, contract, where=where
            ),
            faces.images,
            label=f"quality of {where}",
            reporter=reporter,
            chunk_images=CHUNK_IMAGES,
        )

    return predict
