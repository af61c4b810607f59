"""The path to a phone, against stand-ins: for `adb`, a program that runs the phone's commands here;
for `benchmark_model`, one that prints recorded words. No phone was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeface.bench.latency import measure_latency, measure_memory
from edgeface.bench.plan import BenchPlan
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.remote import adb as adb_module
from edgeface.bench.remote import device as device_module
from edgeface.bench.remote.adb import AdbTransport
from edgeface.bench.remote.android import AndroidSession, open_android
from edgeface.bench.remote.benchmark_model import parse_report, tool_options
from edgeface.bench.remote.device import Request, open_device
from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.transport import ConnectionLostError
from edgeface.errors import BenchmarkError, DeviceError
from edgeface.runtime.artifact import Artifact
from edgeface.types import SilentReporter
from support.bars import Bars

# the form of LiteRT's tool of 2025, as its sources print it; the figures are made up
NEW = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [2]
INFO: Num threads: [4]
INFO: Min warmup runs: [11]
INFO: Graph: [edgeface/0123.tflite]
INFO: #threads used for CPU inference: [4]
INFO: Loaded model edgeface/0123.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 66 out of 67 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 partitions for subgraph 0.
INFO: The input model file size (MB): 2.83806
INFO: Initialized session in 12.345ms.
INFO: Running benchmark for at least 11 iterations and at least 0 seconds but terminate if exceeding 3600 seconds.
INFO: count=11 first=9001 curr=5003 min=4990 max=9001 avg=5401.5 std=1138 p5=4990 median=5004 p95=9001

INFO: Running benchmark for at least 2 iterations and at least 0 seconds but terminate if exceeding 3600 seconds.
INFO: count=2 first=5120 curr=5048 min=5048 max=5120 avg=5084 std=36 p5=5048 median=5120 p95=5120

INFO: Inference timings in us: Init: 12345, First inference: 9001, Warmup (avg): 5401.5, Inference (avg): 5084
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=5.5 overall=8.25
INFO: Overall peak memory footprint (MB) via periodic monitoring: 20.5
INFO: Memory status at the end of exeution:
INFO: - VmRSS              : 20 MB
"""  # noqa: E501
OLD = """STARTING!
Num threads: [1]
count=50 first=249042 curr=250889 min=247067 max=254474 avg=2.49684e+05 std=1442

count=1 curr=3512391

Inference timings in us: Init: 16242, First inference: 249042, Warmup (avg): 2.49684e+05, Inference (avg): 3.51239e+06
"""  # noqa: E501
SAME = NEW.replace(
    "count=2 first=5120 curr=5048 min=5048 max=5120 avg=5084 std=36 p5=5048 median=5120 p95=5120",
    "count=2 curr=5048(all same) p5=5048 median=5048 p95=5048",
)
THERMAL = """IsStatusOverride: false
Thermal Status: {status}
Cached temperatures:
	Temperature{{mValue=48.5, mType=0, mName=CPU0, mStatus=0}}
	Temperature{{mValue=51.25, mType=0, mName=CPU1, mStatus=0}}
	Temperature{{mValue=60.0, mType=2, mName=battery, mStatus=0}}
	Temperature{{mValue=33.0, mType=3, mName=skin, mStatus=0}}
"""
PROTOCOL = BenchProtocol(threads=4, warmup_runs=10, min_runs=3, min_duration_s=0, repeats=2)

# What `adb` does, done here: the phone's shell is this machine's.
ADB = """#!/bin/sh
[ "$1" != -s ] || shift 2
[ ! -e {folder}/fault ] || . {folder}/fault
[ "$1" != push ] || exec cp "$2" "$3"
sh -c "$3"
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("prefix", ["INFO: ", "", "I tflite  : "])
def test_a_report_is_read(prefix: str, line_end: str) -> None:
    text = NEW.replace("INFO: ", prefix).replace("\n", line_end)
    report = parse_report(text, "phone")
    assert (report.init_ms, report.first_inference_ms) == (12.345, 9.001)
    assert (report.warmup.count, report.warmup.median_ms) == (11, 5.004)
    assert report.runs.runs_ms() == (5.120, 5.048)
    assert report.peak_bytes == 20.5 * 2**20
    assert report.baseline_bytes == (20.5 - 8.25) * 2**20
    assert report.delegated == (66, 67, "TfLiteXNNPackDelegate", 2)


def test_an_old_tools_report_is_read() -> None:
    report = parse_report(OLD, "phone")
    assert report.threads == 1
    assert (report.warmup.mean_ms, report.warmup.p95_ms) == (249.684, None)
    assert report.runs.runs_ms() == (3512.391,)
    assert report.peak_bytes is None
    assert report.delegated is None


def test_equal_runs_are_printed_in_another_form() -> None:
    report = parse_report(SAME, "phone")
    assert report.runs.runs_ms() == (5.048, 5.048)
    assert report.runs.stddev_ms == 0


def test_the_runs_of_a_long_process_are_not_made_up() -> None:
    with pytest.raises(BenchmarkError, match="statistics of 11 runs and not the runs"):
        parse_report(NEW, "phone").warmup.runs_ms()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it said: nothing"),
        ("STARTING!\nERROR: Failed to load model x\nmore", "Failed to load model x"),
        (NEW[: NEW.index("INFO: Inference timings")], "it said: "),
        (NEW.replace("INFO: count=2 first", "INFO: cnt=2 first"), "it said: "),
        (NEW.replace("count=2 first=5120 curr=5048", "count=0"), "it said: "),
        (NEW.replace(" max=5120", ""), "it said: "),
    ],
)
def test_a_report_without_a_result_is_refused(text: str, said: str) -> None:
    with pytest.raises(BenchmarkError, match=f"phone: benchmark_model gave no result.*{said}"):
        parse_report(text, "phone")


def test_the_first_inference_counts_as_warm_up_in_the_tool() -> None:
    options = tool_options("m", threads=2, warmup_runs=10, runs=200, min_duration_s=10.0)
    assert {"--warmup_runs=11", "--num_runs=200", "--min_secs=10", "--num_threads=2"} < set(options)


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is a phone's, with its programs first in the path, and `adb` beside it."""
    home = tmp_path / "phone"
    home.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "dumpsys", f"cat <<'EOF'\n{THERMAL.format(status=0)}EOF\n")
    _program(
        programs / "getprop",
        'case $1 in *manufacturer) echo Maker;; *model) echo "Phone 9";; *release) echo 15;; esac',
    )
    (tmp_path / "adb").write_text(ADB.format(folder=tmp_path))
    (tmp_path / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(adb_module, "HOME", str(home))
    return home


@pytest.fixture
def transport(phone: Path) -> AdbTransport:
    return AdbTransport("android", serial="S1", adb=str(phone.parent / "adb"))


@pytest.fixture
def make_session(transport: AdbTransport, tmp_path: Path) -> Callable[..., AndroidSession]:
    """Puts a tool on the phone that prints a text, whatever it is asked."""

    def make(text: str, status: int = 0) -> AndroidSession:
        script = tmp_path / "benchmark_model"
        _program(script, f"echo \"$0 $*\" >>asked\ncat <<'EOF'\n{text}EOF\nexit {status}\n")
        transport.put(script, "edgeface/tool")
        transport.run(["chmod", "755", "edgeface/tool"], timeout_s=10)
        return AndroidSession(transport=transport, tool="./edgeface/tool", tool_version="abc")

    return make


def _fault(phone: Path, status: int, text: str, kind: str = "*") -> None:
    """Let the client fail from now on, in its own words."""
    (phone.parent / "fault").write_text(
        f"case $1 in {kind}) cat >&2 <<'EOF'\n{text}EOF\nexit {status};; esac\n"
    )


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)


def test_words_arrive_as_they_were(transport: AdbTransport) -> None:
    words = ["a b", "it's", '"x"', "$HOME", "line\nline", "", "*"]
    done = transport.run(["printf", "%s|", *words], timeout_s=10)
    assert done.stdout.decode() == "".join(f"{word}|" for word in words)
    assert transport.run(["cat"], stdin=b"\x00\r\n\xff", timeout_s=10).stdout == b"\x00\r\n\xff"


def test_the_commands_own_end_is_told(transport: AdbTransport) -> None:
    assert transport.run(["sh", "-c", "exit 3"], timeout_s=10).status == 3
    assert transport.run(["sh", "-c", "kill -9 $$"], timeout_s=10).status == -9
    with pytest.raises(DeviceError, match="sleep did not end within 1 s, killed"):
        transport.run(["sleep", "60"], timeout_s=1)


def test_a_file_arrives_whole(transport: AdbTransport, phone: Path) -> None:
    content = bytes(range(256)) * 100
    transport.put(content, "folder/file")
    assert transport.get("folder/file") == content
    assert [path.name for path in (phone / "folder").iterdir()] == ["file"]
    with pytest.raises(DeviceError, match="No such file"):
        transport.get("absent")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("adb: no devices/emulators found\n", "no devices/emulators found; plug it in"),
        ("error: device unauthorized.\nThis adb server's\n", "unauthorized.; unlock it"),
        ("error: device offline\n", "offline; plug it in again"),
        ("adb: device 'S1' not found\n", "not found; plug it in"),
        ("error: more than one device/emulator\n", "more than one device/emulator; name one"),
        ("* daemon not running; starting now\nerror: closed\n", "closed; `adb devices`"),
    ],
)
def test_the_clients_errors_say_what_to_do(
    transport: AdbTransport, phone: Path, text: str, said: str
) -> None:
    _fault(phone, 1, text)
    with pytest.raises(DeviceError, match=said) as unreachable:
        transport.run(["true"], timeout_s=10)
    assert not isinstance(unreachable.value, ConnectionLostError)
    (phone.parent / "fault").unlink()
    transport.run(["true"], timeout_s=10)
    _fault(phone, 1, text)
    with pytest.raises(ConnectionLostError, match=said):
        transport.run(["true"], timeout_s=10)


def test_a_connection_that_ends_without_a_word_is_lost(
    transport: AdbTransport, phone: Path
) -> None:
    transport.run(["true"], timeout_s=10)
    _fault(phone, 255, "")
    with pytest.raises(ConnectionLostError, match="the connection ended"):
        transport.run(["true"], timeout_s=10)


def test_a_full_phone_is_named_and_keeps_nothing(transport: AdbTransport, phone: Path) -> None:
    text = "adb: error: failed to copy 'a' to 'b': remote No space left on device\n"
    _fault(phone, 1, text, kind="push")
    with pytest.raises(DeviceError, match=r"no room for .*file, 3 bytes"):
        transport.put(b"abc", "file")
    assert list(phone.iterdir()) == []


def test_no_client_says_what_to_install(phone: Path) -> None:
    with pytest.raises(DeviceError, match="sudo apt install adb"):
        AdbTransport("android", adb=str(phone / "absent")).run(["true"], timeout_s=10)


def test_raw_samples_come_from_processes_of_two_runs(
    make_session: Callable[..., AndroidSession], phone: Path, tmp_path: Path
) -> None:
    session = make_session(NEW)
    models = {}
    for name in ("a", "b"):
        models[name] = tmp_path / f"{name}.tflite"
        models[name].write_bytes(name.encode())
    measured = measure_latency(models, PROTOCOL, worker=session.worker, reporter=SilentReporter())
    samples = measured.latency
    assert (measured.runtime.name, measured.runtime.version) == ("benchmark_model", "abc")
    # 3 runs at least, 2 a process: 2 processes, in each of 2 repeats
    assert samples["a"].repeats == ((5.120, 5.048) * 2,) * 2
    assert samples["a"].load_ms == (12.345,) * 2
    asked = (phone / "asked").read_text().splitlines()
    assert len(asked) == 2 * 2 * 2
    graphs = [line.split()[1] for line in asked]
    assert [graphs[i] for i in (0, 2, 4, 6)] == [graphs[0], graphs[2]] * 2  # in turns
    assert "--warmup_runs=11" in asked[0]
    memory = measure_memory(models, PROTOCOL, worker=session.worker, reporter=SilentReporter())
    assert memory["a"].model_rss_bytes == 8.25 * 2**20
    assert session.invalid_reasons() == ()


def test_models_are_sent_once_and_before_they_are_asked_for(
    make_session: Callable[..., AndroidSession], phone: Path, tmp_path: Path
) -> None:
    session = make_session(NEW)
    models = [tmp_path / f"{name}.tflite" for name in ("a", "b")]
    for path in models:
        path.write_bytes(path.name.encode() * 1000)
    bars = Bars()
    session.send_models(models, reporter=bars)
    assert bars.totals == [("android (adb S1): sending models, kB", 16)]
    there = sorted(path.read_bytes() for path in (phone / "edgeface").glob("*.tflite"))
    assert there == [path.read_bytes() for path in models]
    session.send_models(models, reporter=bars)
    assert len(bars.totals) == 1


def test_affinity_and_samples_are_taken_where_asked_for(
    make_session: Callable[..., AndroidSession], tmp_path: Path
) -> None:
    session = make_session(NEW)
    ticks = iter(range(1000))
    session.clock = lambda: float(next(ticks))
    _program(tmp_path / "bin" / "date", "echo 1000.5\n")
    _program(tmp_path / "bin" / "taskset", 'echo "$1" >>masks\nshift\nexec "$@"\n')
    model = tmp_path / "m.tflite"
    model.write_bytes(b"m")
    reply = session.worker(
        (
            *("latency", str(model), "--threads", "4", "--warmup-runs", "10", "--min-runs", "4"),
            *("--min-duration-s", "0", "--cores", "0,2", "--sample-interval-s", "1"),
        ),
        1000.0,
    )
    assert reply["cores"] == [0, 2]
    assert (tmp_path / "phone" / "masks").read_text().split() == ["5", "5"]
    assert len(reply["samples"]) == 3  # before, and after each process
    # the phone's clock stood still while each look at this one's took a second
    assert reply["clock_jump_s"] == -(next(ticks) - 1.0)
    assert reply["samples"][0]["temperature_c"] == 51.25  # of the processor, not of the battery


def test_a_phone_that_slows_itself_makes_the_run_invalid(
    make_session: Callable[..., AndroidSession], tmp_path: Path
) -> None:
    session = make_session(NEW)
    _program(tmp_path / "bin" / "dumpsys", f"cat <<'EOF'\n{THERMAL.format(status=2)}EOF\n")
    session.identify("android")
    assert session.invalid_reasons() == (
        "Android's thermal status was moderate: the phone slowed itself",
    )


def test_a_phone_says_who_it_is(make_session: Callable[..., AndroidSession]) -> None:
    info = make_session(NEW).identify("android")
    assert (info.name, info.model, info.os) == ("android", "Maker Phone 9", "Android 15")
    assert (info.temperature_c, info.runtime) == (51.25, "benchmark_model")
    assert info.is_target


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("ERROR: Failed to load model\n", 1, "Failed to load model"),
        (NEW, 1, "exit status 1"),
        (NEW.replace("Num threads: [4]", "Num threads: [1]"), 0, "used 1 threads, expected 4"),
    ],
)
def test_a_tool_that_fails_is_told(
    make_session: Callable[..., AndroidSession],
    tmp_path: Path,
    text: str,
    status: int,
    said: str,
) -> None:
    session = make_session(text, status)
    model = tmp_path / "m.tflite"
    model.write_bytes(b"m")
    with pytest.raises(BenchmarkError, match=f"m: .*{said}"):
        session.long_run(model, PROTOCOL, timeout_s=10)


def test_what_the_tool_cannot_do_is_refused(make_session: Callable[..., AndroidSession]) -> None:
    with pytest.raises(BenchmarkError, match="cannot do 'outputs'"):
        make_session(NEW).worker(("outputs", "m.tflite"), 10.0)


def test_a_session_leaves_nothing_behind(
    transport: AdbTransport, phone: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "benchmark_model"
    _program(tool, "exit 1\n")
    with open_android(transport, tool) as session:
        assert (phone / session.tool).stat().st_mode & 0o111
    assert list(phone.iterdir()) == []


def test_a_phone_has_the_models_before_it_is_measured(
    transport: AdbTransport,
    make_artifact: Callable[..., Artifact],
    phone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool = tmp_path / "benchmark_model"
    _program(tool, "exit 1\n")
    monkeypatch.setattr(device_module, "AdbTransport", lambda name, serial: transport)
    artifact = make_artifact("tiny")
    request = Request(
        artifacts=[artifact], plan=BenchPlan(protocol=PROTOCOL), unfinished=tmp_path / "kept"
    )
    spec = DeviceSpec(kind="adb", benchmark_model=str(tool))
    bars = Bars()
    with open_device("android", spec, request, reporter=bars):
        (there,) = (phone / "edgeface").glob("*.tflite")
        assert there.read_bytes() == artifact.content
    assert [label for label, _ in bars.totals] == ["android (adb S1): sending models, kB"]


def test_a_tool_for_another_processor_is_refused(
    transport: AdbTransport, phone: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "benchmark_model"
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    with pytest.raises(DeviceError, match="does not start there"), open_android(transport, tool):
        pass
    assert list(phone.iterdir()) == []


def test_no_tool_says_how_to_get_one(transport: AdbTransport, tmp_path: Path) -> None:
    with (
        pytest.raises(DeviceError, match="build it from LiteRT's"),
        open_android(transport, tmp_path / "absent"),
    ):
        pass
