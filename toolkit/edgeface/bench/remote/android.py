"""A benchmark on an Android phone, with LiteRT's `benchmark_model` in place of Python.

In: a `Transport` to the phone, and the tool built for it. Out: a `Worker` as `bench.latency` takes
it. Raw samples come from many short processes of two timed runs each, after the protocol's warm-up,
because the tool does not print the runs of a longer one. No phone was at hand when this was
written: what is made of the tool's text is tested, what a phone does is not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.remote.benchmark_model import ToolReport, parse_report, tool_options
from edgeface.bench.remote.sending import put_all
from edgeface.bench.remote.transport import ConnectionLostError, Transport
from edgeface.errors import BenchmarkError, DeviceError
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.runtime.telemetry import DeviceSample
from edgeface.types import Reporter, SilentReporter

RUNTIME = "benchmark_model"
"""What a result names as its runtime; its version is the start of the tool's SHA-256, because the
tool does not tell its own."""

RUNS_PER_PROCESS = 2  # see `Phase.runs_ms`
FOLDER = "edgeface"
"""Of all that is written on the phone, under the transport's home."""

THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""From light on, the system slows itself.

Source: Android's android.os.PowerManager: THERMAL_STATUS_NONE, 0, to THERMAL_STATUS_SHUTDOWN, 6."""

_CPUFREQ = "/sys/devices/system/cpu/cpu0/cpufreq"
_QUICK_S = 60.0
_EMULATORS = ("goldfish", "ranchu", "cutf_cvm")  # Source: AOSP, ro.hardware of its emulators
# Source: dumpsys thermalservice; Temperature.aidl: type 0 is the processor, 3 the skin
_STATUS = re.compile(r"^\s*Thermal Status: (\d+)", re.MULTILINE)
_TEMPERATURE = re.compile(r"Temperature\{mValue=(-?[0-9.]+), mType=([03]),")


@dataclass
class AndroidSession:
    """A phone that is ready. Made by `open_android`.

    Attributes:
        transport: to it.
        tool: path of `benchmark_model` there.
        tool_version: start of the tool's SHA-256.
        clock: seconds, never backwards.
        pushed: paths there of this run, each named by its content.
        thermal: Android's thermal status before and after each measurement, where it tells.
    """

    transport: Transport
    tool: str
    tool_version: str
    clock: Callable[[], float] = time.monotonic
    pushed: set[str] = field(default_factory=set)
    thermal: list[int] = field(default_factory=list)

    def identify(self, name: str) -> DeviceInfo:
        """Ask the phone what it is and in what state.

        Raises:
            DeviceError: it does not answer.
        """
        maker, model = self._property("ro.product.manufacturer"), self._property("ro.product.model")
        emulated = self._property("ro.hardware") in _EMULATORS
        kib = re.search(r"MemTotal:\s+(\d+) kB", self._said("cat", "/proc/meminfo"))
        sample = self._sample(0.0)
        cores = self._said("nproc").strip()
        return DeviceInfo(
            name=name,
            model=f"{maker} {model}".strip() or "unknown",
            arch=self._said("uname", "-m").strip() or "unknown",
            cores=int(cores) if cores.isdigit() else 1,
            ram_bytes=int(kib[1]) * 1024 if kib else None,
            os=f"Android {self._property('ro.build.version.release') or 'unknown'}",
            python="none",
            governor=sample.governor,
            clock_mhz=sample.clock_mhz,
            temperature_c=sample.temperature_c,
            throttle_bits=None,
            is_target=not emulated,
            note="emulated phone: its latency says nothing about a real one" if emulated else "",
            soc=self._property("ro.soc.model") or self._property("ro.board.platform") or None,
            runtime=RUNTIME,
            runtime_version=self.tool_version,
        )

    def send_models(self, paths: Iterable[Path], *, reporter: Reporter) -> None:
        """Push models before a process asks for them, so that a bar shows it.

        Raises:
            DeviceError: the phone does not answer, or is full.
        """
        files = [file for path in paths for file in self._files(path)]
        put_all(self.transport, files, "models", reporter=reporter, there=self.pushed)

    def worker(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        """Answer as `edgeface.runtime.runner` does, for `latency` and `memory`.

        Args:
            arguments: of the runner; the second is a `.tflite` on this machine.
            timeout_s: for all processes of it together.

        Raises:
            BenchmarkError: the tool failed, or was asked what it cannot do.
            DeviceError: the phone does not answer.
        """
        command, model, *rest = arguments
        options = dict(zip(rest[::2], rest[1::2], strict=True))
        known = {
            "latency": {
                *("--threads", "--warmup-runs", "--min-runs", "--min-duration-s"),
                *("--cores", "--sample-interval-s"),
            },
            "memory": {"--threads", "--runs"},
        }
        if command not in known or set(options) - known[command]:
            asked = " ".join((command, *(set(options) - known.get(command, set()))))
            raise BenchmarkError(
                f"{self.transport.where}: benchmark_model cannot do '{asked}': it measures latency "
                "and memory; parity, quality and frames need a device with Python"
            )
        return (self._latency if command == "latency" else self._memory)(model, options, timeout_s)

    def long_run(self, model: Path, protocol: BenchProtocol, *, timeout_s: float) -> ToolReport:
        """Run one process of the protocol's length, of which the tool gives statistics only.

        Raises:
            BenchmarkError: the tool failed.
            DeviceError: the phone does not answer.
        """
        return self._process(
            str(model),
            timeout_s,
            threads=protocol.threads,
            warmup_runs=protocol.warmup_runs,
            runs=protocol.min_runs,
            min_duration_s=protocol.min_duration_s,
        )

    def invalid_reasons(self) -> tuple[str, ...]:
        """Say in words why what was measured must not be used; empty where nothing is known."""
        worst = max(self.thermal, default=0)
        if not worst:
            return ()
        word = THERMAL_STATUS[worst] if worst < len(THERMAL_STATUS) else str(worst)
        return (f"Android's thermal status was {word}: the phone slowed itself",)

    def close(self) -> None:
        """Remove what was pushed, as far as the phone still answers."""
        try:
            self.transport.run(["rm", "-rf", FOLDER], timeout_s=_QUICK_S)
        except ConnectionLostError:
            pass  # a few files in the shell's folder for temporary ones
        finally:
            self.transport.close()

    def _latency(self, model: str, options: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
        threads, least = int(options["--threads"]), int(options["--min-runs"])
        cores = [int(core) for core in options.get("--cores", "").split(",") if core]
        interval_s = float(options.get("--sample-interval-s", "0"))
        start_s = self.clock()
        wall_s = self._wall_s()
        samples = [self._sample(0.0)]
        reports: list[ToolReport] = []
        latency_ms: list[float] = []
        while len(latency_ms) < least or self.clock() - start_s < float(
            options["--min-duration-s"]
        ):
            left_s = timeout_s - (self.clock() - start_s)
            if left_s <= 0:
                raise BenchmarkError(
                    f"{self.transport.where}: {len(latency_ms)} of {least} runs within "
                    f"{timeout_s:.0f} s; try fewer runs"
                )
            reports.append(
                self._process(
                    model,
                    left_s,
                    cores=cores,
                    threads=threads,
                    warmup_runs=int(options["--warmup-runs"]),
                    runs=RUNS_PER_PROCESS,
                )
            )
            latency_ms += reports[-1].runs.runs_ms()
            now_s = self.clock() - start_s
            if interval_s and now_s - samples[-1].t_s >= interval_s:
                samples.append(self._sample(now_s))
        self._sample(0.0)  # for the thermal status after the last run
        return {
            "runtime": RUNTIME,
            "runtime_version": self.tool_version,
            "threads": threads,
            "load_ms": reports[0].init_ms,
            "first_inference_ms": reports[0].first_inference_ms,
            "warmup_ms": [],  # the tool does not print them
            "latency_ms": latency_ms,
            "cores": cores or None,
            "samples": [asdict(sample) for sample in samples] if interval_s else [],
            # the tool takes the time from the clock that can be set
            "clock_jump_s": self._wall_s() - wall_s - (self.clock() - start_s),
        }

    def _memory(self, model: str, options: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
        report = self._process(
            model,
            timeout_s,
            threads=int(options["--threads"]),
            warmup_runs=0,
            runs=int(options["--runs"]),
            watch_memory=True,
        )
        if report.peak_bytes is None or report.baseline_bytes is None:
            raise BenchmarkError(f"{self.transport.where}: benchmark_model did not tell its memory")
        return {
            "peak_rss_bytes": report.peak_bytes,
            "baseline_rss_bytes": report.baseline_bytes,
        }

    def _process(
        self, model: str, timeout_s: float, *, cores: list[int] | None = None, **asked: Any
    ) -> ToolReport:
        there = self._pushed(Path(model))
        # Source: taskset(1): a hexadecimal mask, bit n for core n
        pin = ["taskset", f"{sum(1 << core for core in set(cores)):x}"] if cores else []
        done = self.transport.run(
            [*pin, self.tool, *tool_options(there, **asked)], timeout_s=timeout_s
        )
        where = f"{self.transport.where}, {Path(model).stem}"
        text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
        if done.status < 0:
            raise BenchmarkError(f"{where}: benchmark_model was killed by signal {-done.status}")
        report = parse_report(text, where)
        if done.status:
            raise BenchmarkError(f"{where}: benchmark_model ended with exit status {done.status}")
        if report.threads not in (None, asked["threads"]):
            raise BenchmarkError(
                f"{where}: benchmark_model used {report.threads} threads, expected "
                f"{asked['threads']}"
            )
        return report

    def _pushed(self, path: Path) -> str:
        files = self._files(path)
        put_all(self.transport, files, "files", reporter=SilentReporter(), there=self.pushed)
        return files[-1][1]

    def _files(self, path: Path) -> list[tuple[bytes | Path, str]]:
        """What belongs to a file, itself last, and where each goes."""
        content = path.read_bytes()
        return [(content, f"{FOLDER}/{sha256(content).hexdigest()[:16]}{path.suffix}")]

    def _sample(self, t_s: float) -> DeviceSample:
        heat = self._said("dumpsys", "thermalservice")
        status = _STATUS.search(heat)
        if status:
            self.thermal.append(int(status[1]))
        # the processor's sensor if the phone shows one, otherwise the skin's
        by_kind: dict[str, list[float]] = {"0": [], "3": []}
        for value, kind in _TEMPERATURE.findall(heat):
            by_kind[kind].append(float(value))
        khz = self._said("cat", f"{_CPUFREQ}/scaling_cur_freq").strip()
        return DeviceSample(
            t_s=t_s,
            temperature_c=max(by_kind["0"] or by_kind["3"], default=None),
            clock_mhz=int(khz) / 1000 if khz.isdigit() else None,
            governor=self._said("cat", f"{_CPUFREQ}/scaling_governor").strip() or None,
        )

    def _wall_s(self) -> float:
        found = re.match(r"\d+(\.\d+)?", self._said("date", "+%s.%N"))  # some know no %N
        if not found:
            raise DeviceError(f"{self.transport.where}: does not tell the time")
        return float(found[0])

    def _property(self, name: str) -> str:
        return self._said("getprop", name).strip()

    def _said(self, *command: str) -> str:
        """What a command writes; "" where the phone does not have it or does not allow it."""
        done = self.transport.run(command, timeout_s=_QUICK_S)
        return "" if done.status else done.stdout.decode("utf-8", "replace")


@contextmanager
def open_android(transport: Transport, tool: Path) -> Iterator[AndroidSession]:
    """Push the tool, and clean up at the end.

    Args:
        transport: to the phone; closed at the end.
        tool: `benchmark_model` on this machine, built for the phone's processor.

    Raises:
        DeviceError: no such file, it does not start there, or the phone does not answer.
    """
    session = None
    try:
        try:
            content = tool.read_bytes()
        except OSError as err:
            raise DeviceError(
                f"{transport.where}: benchmark_model {tool}: {err.strerror}; build it from "
                "LiteRT's tools/benchmark (bazel --config=android_arm64), name it in devices.toml"
            ) from err
        version = sha256(content).hexdigest()[:12]
        there = f"{FOLDER}/benchmark_model-{version}"
        transport.put(content, there)
        session = AndroidSession(transport=transport, tool=f"./{there}", tool_version=version)
        for command in (["chmod", "755", there], [session.tool, "--help"]):
            done = transport.run(command, timeout_s=_QUICK_S)
            # the tool's --help may end with 1; what cannot be started ends with 126 or 127
            if done.status in (126, 127) or (done.status and command[0] == "chmod"):
                said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
                raise DeviceError(
                    f"{transport.where}: {tool.name} does not start there "
                    f"({' '.join(said.split())[-200:]}); build it for the phone's processor"
                )
        yield session
    finally:
        if session is not None:
            session.close()
        else:
            transport.close()
