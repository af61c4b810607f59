"""The commands that measure: `bench`, `bench compare` and `devices`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from edgeface.cli_compress import DataOption
from edgeface.console import print_line, reporter_of, table_console
from edgeface.errors import BenchmarkError, ConfigError, EdgefaceError
from edgeface.stopping import kept_if_stopped

if TYPE_CHECKING:
    from edgeface.bench.plan import BenchPlan
    from edgeface.bench.protocol import BenchProtocol
    from edgeface.bench.quality import HeldOut
    from edgeface.bench.remote.device import ReadyDevice
    from edgeface.bench.remote.devices_file import DeviceSpec
    from edgeface.bench.result import BenchResult
    from edgeface.report.device_tables import DeviceAnswer
    from edgeface.runtime.artifact import Artifact
    from edgeface.types import Reporter

RESULTS = Path("benchmarks/results")


class _BenchGroup(TyperGroup):
    """`edgeface bench MODELS` is `edgeface bench run MODELS`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


bench_app = typer.Typer(
    cls=_BenchGroup, help="Measure models beside VGG16; compare two measurements."
)
DevicesOption = Annotated[
    Path | None,
    typer.Option(
        "--devices",
        help="File of devices. Default: ~/.config/edgeface/devices.toml, benchmarks/devices.toml.",
    ),
]


@bench_app.command("run")
def bench(
    context: typer.Context,
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Artifacts (.tflite), or folders of them. Default: exported"),
    ] = None,
    data: DataOption = None,
    device: Annotated[
        str, typer.Option(help="Where to measure: local, or a name of devices.toml.")
    ] = "local",
    devices_file: DevicesOption = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Baseline artifact. Default: the VGG16 given. Repeat it for verdicts on quality "
            "against further ones; speed-up is against the first."
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Result file. Default: one in benchmarks/results."),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the runtime.")] = 1,
    repeats: Annotated[int, typer.Option(help="Fresh processes a model.")] = 3,
    min_duration_s: Annotated[float, typer.Option(help="Seconds a process, at least.")] = 10.0,
    cores: Annotated[str, typer.Option(help="Cores to pin to, e.g. 2,3.")] = "",
    sweep: Annotated[bool, typer.Option("--sweep", help="Also with 1, 2 and 4 threads.")] = False,
    soak: Annotated[
        float, typer.Option(metavar="MINUTES", help="Also run each model so long without a pause.")
    ] = 0.0,
    frames: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PICTURE",
            help="Also time whole frames: read, detect, crop, infer, decode. Repeat it.",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Quality on so many of the held-out faces. Default: all.")
    ] = None,
    corruptions: Annotated[
        bool,
        typer.Option(
            "--corruptions",
            help="Also on 1,000 faces made darker, brighter, blurred, noisy, JPEG, turned.",
        ),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Send the device its wheels from here.")
    ] = False,
) -> None:
    """Measure accuracy, MAE, latency, FPS, size and memory beside VGG16.

    `edgeface bench compare A B` says which of two result files is faster.
    """
    from edgeface.bench.result import default_result_path, refuse_existing, write_result
    from edgeface.bench.run import bench as run
    from edgeface.runtime.artifact import load_artifact

    reporter = reporter_of(context)
    spec = _device(device, devices_file)
    protocol = _protocol(threads, repeats, min_duration_s, cores)
    if corruptions and spec.kind != "local":
        raise ConfigError("--corruptions", [f"is measured on this host only, not on {device}"])
    if json_file:
        refuse_existing(json_file)
    paths = _model_paths([*(models or [Path("exported")]), *(against or [])])
    artifacts = [load_artifact(path) for path in paths]
    plan = _plan(
        protocol=protocol,
        against=[path.stem for path in against or ()] or _vgg16(artifacts),
        sweep=sweep,
        soak=soak,
        frames=frames or [],
    )
    held_out = _held_out(artifacts, data or [], images, reporter, corruptions=corruptions)
    unfinished = (json_file.parent if json_file else RESULTS) / ".unfinished"
    asked = (artifacts, plan, unfinished)
    with _ready(device, spec, asked, reporter, offline=offline) as ready:
        if ready is None:
            result = run(artifacts, plan=plan, held_out=held_out, reporter=reporter)
        else:
            plan, held_out = _on_device(device, ready, plan, held_out, reporter)
            result = run(
                artifacts, plan=plan, held_out=held_out, reporter=reporter, probes=ready.probes
            )
            result = replace(
                result,
                invalid_reasons=(*result.invalid_reasons, *ready.invalid_reasons()),
                warnings=(*result.warnings, *ready.warnings()),
            )
        path = json_file or default_result_path(RESULTS, result.started_utc, device, "bench")
        write_result(path, result)
        if ready and ready.journal:
            ready.journal.remove()
    _show(result, corruptions=corruptions)
    reporter.say(f"result file: {path}")
    if result.invalid_reasons:
        raise BenchmarkError(f"this run does not count: {'; '.join(result.invalid_reasons)}")


@bench_app.command()
def compare(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(metavar="A", help="Result file.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Result file to hold against it.")],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on", help="e.g. p50:+5%: exit status 1 where B is slower by more. Repeat it."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this one. Repeat it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """Say from the raw samples of two benchmarks which is faster, or that it is undecided."""
    from edgeface.bench.compare import compare_results, failures, parse_fail_on
    from edgeface.bench.result import read_result
    from edgeface.report.compare_table import compare_section, comparison_mapping
    from edgeface.report.sections import section_table

    rules = [parse_fail_on(text) for text in fail_on or []]
    reporter = reporter_of(context)
    found = compare_results(
        read_result(first), read_result(second), names=model or (), reporter=reporter
    )
    if as_json:
        for each in found:
            print_line(json.dumps(comparison_mapping(each), ensure_ascii=False))
    else:
        table_console().print(section_table(compare_section(found)))
    broken = failures(found, rules)
    for line in broken:
        reporter.error(line, 1)
    if broken:
        raise typer.Exit(1)


def devices(context: typer.Context, devices_file: DevicesOption = None) -> None:
    """List the devices that are known, and ask each who it is."""
    from edgeface.bench.remote.devices_file import device_files, read_devices
    from edgeface.report.device_tables import devices_section
    from edgeface.report.sections import section_table

    known = read_devices(device_files(devices_file))
    with reporter_of(context).track("devices", len(known)) as advance:
        answers = []
        for name, spec in known.items():
            answers.append(_ask(name, spec))
            advance(1, name)
    table_console().print(section_table(devices_section(answers)))


def _ask(name: str, spec: DeviceSpec) -> DeviceAnswer:
    from edgeface.bench.remote.device import identify_device
    from edgeface.report.device_tables import DeviceAnswer

    by = " ".join(part for part in (spec.kind, spec.host or spec.root or spec.serial) if part)
    try:
        found = identify_device(name, spec)
    except EdgefaceError as err:
        return DeviceAnswer(name=name, reached_by=by, info=None, problem=str(err))
    return DeviceAnswer(name=name, reached_by=by, info=found.device, problem=found.problem or "")


def _device(name: str, file: Path | None) -> DeviceSpec:
    from edgeface.bench.remote.devices_file import device_files, find_device, read_devices

    return find_device(name, read_devices(device_files(file)))


@contextmanager
def _ready(
    name: str,
    spec: DeviceSpec,
    asked: tuple[Sequence[Artifact], BenchPlan, Path],
    reporter: Reporter,
    *,
    offline: bool,
) -> Iterator[ReadyDevice | None]:
    if spec.kind == "local":
        yield None
        return
    from edgeface.bench.remote.device import Request, open_device

    artifacts, plan, unfinished = asked
    request = Request(artifacts=artifacts, plan=plan, unfinished=unfinished, offline=offline)
    with (
        open_device(name, spec, request, reporter=reporter) as ready,
        kept_if_stopped() if ready.journal else nullcontext(),
    ):
        yield ready


def _on_device(
    name: str,
    ready: ReadyDevice,
    plan: BenchPlan,
    held_out: HeldOut | None,
    reporter: Reporter,
) -> tuple[BenchPlan, HeldOut | None]:
    """Leave out what a device cannot do, and say so."""
    from edgeface.bench.plan import PARITY_IMAGES

    if ready.emulated:
        reporter.say(f"{name}: {ready.emulated}")
        plan = replace(plan, timed=False, sweep_threads=(), soak_minutes=0.0, frames=None)
    if not ready.has_python:
        reporter.say(f"{name}: has no Python: only latency and memory are measured")
        return replace(plan, frames=None, soak_minutes=0.0), None
    return replace(plan, parity_images=PARITY_IMAGES), held_out


def _protocol(threads: int, repeats: int, min_duration_s: float, cores: str) -> BenchProtocol:
    from edgeface.bench.protocol import BenchProtocol

    try:
        pinned = tuple(sorted(int(core) for core in cores.split(","))) if cores else None
        return BenchProtocol(
            threads=threads, repeats=repeats, min_duration_s=min_duration_s, cores=pinned
        )
    except ValueError as err:
        raise ConfigError("bench", [str(err)]) from err


def _plan(
    *,
    protocol: BenchProtocol,
    against: Sequence[str],
    sweep: bool,
    soak: float,
    frames: Sequence[Path],
) -> BenchPlan:
    from edgeface.bench.frames import FrameRules
    from edgeface.bench.plan import BenchPlan
    from edgeface.bench.remote.files import PICTURE_SUFFIXES, names_a_file
    from edgeface.bench.thread_sweep import SWEEP_THREADS

    if not 0 <= soak <= 24 * 60:
        raise ConfigError("--soak", [f"found {soak:g}, expected 0 to 1440 minutes"])
    unfit = [path for path in frames if not (path.is_file() and names_a_file(str(path)))]
    if unfit:
        endings = ", ".join(PICTURE_SUFFIXES)
        raise ConfigError(
            "--frames", [f"{path}: no such picture, expected one of {endings}" for path in unfit]
        )
    return BenchPlan(
        protocol=protocol,
        references=tuple(against),
        sweep_threads=SWEEP_THREADS if sweep else (),
        soak_minutes=soak,
        frames=FrameRules(pictures=tuple(frames)) if frames else None,
    )


def _held_out(
    artifacts: Sequence[Artifact],
    data: Sequence[Path],
    images: int | None,
    reporter: Reporter,
    *,
    corruptions: bool,
) -> HeldOut | None:
    from edgeface.bench.corruption import CORRUPTION_IMAGES
    from edgeface.bench.device_parity import evenly_spread
    from edgeface.bench.held_out import find_held_out

    held_out = find_held_out(artifacts, data, reporter)
    if held_out is None:
        if corruptions or images is not None:
            option = "--corruptions" if corruptions else "--images"
            raise ConfigError(option, ["no held-out faces; give --data"])
        return None
    if images is not None:
        if images < 1:
            raise ConfigError("--images", [f"found {images}, expected 1 or more"])
        load = held_out.load
        held_out = replace(held_out, load=lambda side_px: evenly_spread(load(side_px), images))
    return replace(held_out, corruption_images=CORRUPTION_IMAGES if corruptions else 0)


def _show(result: BenchResult, *, corruptions: bool) -> None:
    from edgeface.report.attribute_tables import attribute_table
    from edgeface.report.device_tables import device_tables
    from edgeface.report.quality_tables import corruption_table
    from edgeface.report.tables import bench_table, class_table
    from edgeface.report.verdict_tables import verdict_table

    console = table_console()
    console.print(bench_table(result))
    console.print(class_table(result))
    if (others := attribute_table(result)) is not None:
        console.print(others)
    for table in device_tables(result):
        console.print(table)
    if corruptions:
        console.print(corruption_table(result))
    if result.comparisons:
        console.print(verdict_table(result.comparisons))


def _model_paths(given: Sequence[Path]) -> list[Path]:
    paths = []
    for path in given:
        if path.is_dir() or not path.suffix:
            inside = sorted(path.glob("*.tflite"))
            if not inside:
                raise ConfigError(
                    f"{path}", ["holds no .tflite; make some with: edgeface compress --out DIR"]
                )
            paths += inside
        else:
            paths.append(path)
    return list(dict.fromkeys(paths))


def _vgg16(artifacts: Sequence[Artifact]) -> Sequence[str]:
    """Name the baseline if there is one: a VGG16 in float32, else one with float16 weights."""
    for scheme in ("float32", "float16"):
        names = [
            each.sidecar.name
            for each in artifacts
            if (each.sidecar.backbone, each.sidecar.scheme) == ("vgg16", scheme)
        ]
        if names:
            return names if len(names) == 1 else []
    return []
