"""One small benchmark of a device: recorded on an emulated Pi, replayed everywhere.

Record it anew: python tests/support/recorded_session.py /var/lib/edgeface/arm64
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from edgeface.bench.plan import BenchPlan
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.remote.devices_file import read_devices
from edgeface.bench.remote.probes import device_probes
from edgeface.bench.remote.reach import reach
from edgeface.bench.remote.recorded import RecordingTransport
from edgeface.bench.remote.session import Interpreter, open_session
from edgeface.bench.remote.transport import Transport
from edgeface.bench.result import BenchResult
from edgeface.bench.run import bench
from edgeface.runtime.artifact import load_artifact
from edgeface.types import SilentReporter

FILE = Path(__file__).parent.parent / "bench" / "remote" / "session_arm64.json"
PLAN = BenchPlan(
    protocol=BenchProtocol(warmup_runs=0, min_runs=3, min_duration_s=0, repeats=2),
    sweep_threads=(1, 2),
)


def benchmark(transport: Transport, folder: Path) -> BenchResult:
    """Measure the tiny model of the tests on a device, from nothing."""
    from support.dense_artifact import write_dense_artifact

    artifact = load_artifact(write_dense_artifact(folder, "int8"))
    interpreter = Interpreter(runtime_version="2.3.0")
    with (
        patch("edgeface.bench.remote.session.session_name", lambda: "recorded"),
        open_session(transport, interpreter, reporter=SilentReporter()) as session,
    ):
        return bench(
            [artifact],
            plan=PLAN,
            held_out=None,
            reporter=SilentReporter(),
            probes=device_probes(session, "rpi", worker=session.worker),
        )


def main() -> None:
    """Record on a loopback Pi."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from support.loopback_pi import loopback_pi

    with (
        tempfile.TemporaryDirectory() as folder,
        loopback_pi(Path(sys.argv[1]), Path(folder)) as pi,
    ):
        devices = Path(folder) / "devices.toml"
        devices.write_text(pi.devices_toml("rpi"), "utf-8")
        inner = reach("rpi", read_devices([devices])["rpi"])
        inner.run(["rm", "-rf", ".edgeface"], timeout_s=60)  # from nothing
        benchmark(RecordingTransport(inner, FILE), Path(folder))


if __name__ == "__main__":
    main()
