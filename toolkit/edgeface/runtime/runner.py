"""Does one measurement in a process of its own: what `bench` starts on a device.

In: `python -m edgeface.runtime.runner COMMAND ...`. Out: one JSON object on stdout; `{"error":
TEXT}` and exit status 1 for an `EdgefaceError`, 2 for wrong usage. Computes no statistics over a
whole run (`bench` does). The commands' work is in `runner_measure`, `runner_outputs`, `frames` and
`runner_identify`; each is imported only where it is asked for, because a device may lack what
another one needs, and OpenCV would count as a model's memory. Uses argparse, and not Typer, because
only the standard library is sure to be there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from edgeface.errors import DeviceError, EdgefaceError

# what to install where an import fails; numpy's own error, for a broken numpy, names no module
_PACKAGES = {"": "numpy", "numpy": "numpy", "cv2": "'opencv-python-headless<5'"}
# of a latency reply: only where the call asks to watch the device
_WATCHED = ("cores", "samples", "clock_jump_s")
_MAX_S = 3600.0  # an hour is surely a mistake
_MAX_MINUTES = 24 * 60.0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one measurement and print it.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit status: 0, or 1 for an `EdgefaceError`.
    """
    options = _parse(arguments)
    try:
        result = _work(options)
    except EdgefaceError as err:
        print(json.dumps({"error": str(err)}))
        return 1
    print(json.dumps(result))
    return 0


def _work(options: argparse.Namespace) -> Dict[str, Any]:
    work: Callable[[argparse.Namespace], Dict[str, Any]] = options.work
    try:
        return work(options)
    except ImportError as err:
        package = _PACKAGES.get((err.name or "").partition(".")[0])
        if package is None:  # a fault of edgeface's own
            raise
        raise DeviceError(
            f"this Python lacks what {options.command} needs ({' '.join(str(err).split())}): "
            f"pip install {package}"
        ) from err


def _latency(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.runner_measure import RunLimits, measure_latency

    limits = RunLimits(
        warmup_runs=options.warmup_runs,
        min_runs=options.min_runs,
        min_duration_s=options.min_duration_s,
        max_runs=options.max_runs,
    )
    reply = measure_latency(_how(options), limits)
    if options.sample_interval_s is not None or options.cores:
        return reply
    # an edgeface that knows neither option reads strictly, and does not know these keys either
    return {key: value for key, value in reply.items() if key not in _WATCHED}


def _soak(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.runner_measure import measure_soak

    return measure_soak(_how(options), minutes=options.minutes, window_s=options.window_s)


def _memory(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.runner_measure import measure_memory

    return measure_memory(options.model, threads=options.threads, runs=options.runs)


def _frames(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.frames import FrameRules, measure_frames

    rules = FrameRules(
        seconds=options.seconds, reuse=options.reuse_decoded, min_face_px=options.min_face_px
    )
    return measure_frames(_how(options), options.pictures, rules)


def _outputs(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.runner_outputs import model_outputs

    return model_outputs(options.model, options.faces, threads=options.threads)


def _partitions(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.runner_outputs import model_partitions

    return model_partitions(options.model)


def _identify(options: argparse.Namespace) -> Dict[str, Any]:
    from edgeface.runtime.runner_identify import identify

    return identify(options.name)


def _how(options: argparse.Namespace) -> Any:
    from edgeface.runtime.runner_measure import HowToRun

    return HowToRun(
        path=options.model,
        threads=options.threads,
        cores=options.cores,
        sample_interval_s=options.sample_interval_s or 0.0,
    )


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m edgeface.runtime.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    identify = commands.add_parser("identify", help="who this device is, and what it lacks")
    identify.add_argument("--name", default="local", help="what the user calls it")
    identify.set_defaults(work=_identify)

    latency = _with_model(commands, "latency", "wall time of every inference", _latency)
    latency.add_argument("--warmup-runs", type=_count(0), default=10)
    latency.add_argument("--min-runs", type=_count(1), default=200)
    latency.add_argument("--min-duration-s", type=_up_to(_MAX_S, "seconds"), default=10.0)
    latency.add_argument("--max-runs", type=_count(1), default=100_000)
    _add_watch(latency, None)

    soak = _with_model(commands, "soak", "latency over a long time", _soak)
    soak.add_argument("--minutes", type=_above_0(_MAX_MINUTES, "minutes"), required=True)
    soak.add_argument("--window-s", type=_above_0(_MAX_S, "seconds"), default=1.0)
    _add_watch(soak, 1.0)

    memory = _with_model(commands, "memory", "peak resident set", _memory)
    memory.add_argument("--runs", type=_count(1), default=20)

    outputs = _with_model(commands, "outputs", "raw outputs for images", _outputs)
    outputs.add_argument("faces", type=Path, metavar="FACES.npz")

    frames = _with_model(commands, "frames", "wall time of each stage of a picture", _frames)
    frames.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    frames.add_argument("--seconds", type=_up_to(_MAX_S, "seconds"), default=10.0)
    frames.add_argument("--min-face-px", type=_count(1), default=None)
    frames.add_argument("--reuse-decoded", action="store_true", help="decode each file once only")
    _add_watch(frames, 0.0)

    partitions = commands.add_parser("partitions", help="the nodes that the runtime makes")
    partitions.add_argument("model", type=Path, metavar="MODEL.tflite")
    partitions.set_defaults(work=_partitions)

    options = parser.parse_args(arguments)
    if options.command == "latency" and options.max_runs < options.min_runs:
        parser.error(f"--max-runs {options.max_runs} is below --min-runs {options.min_runs}")
    return options


def _with_model(
    commands: Any, name: str, text: str, work: Callable[[argparse.Namespace], Dict[str, Any]]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text)
    command.add_argument("model", type=Path, metavar="MODEL.tflite")
    command.add_argument("--threads", type=_count(1), default=1)
    command.set_defaults(work=work)
    return command


def _add_watch(command: argparse.ArgumentParser, sample_interval_s: Optional[float]) -> None:
    command.add_argument("--cores", type=_cores, default=(), help="e.g. 0,1; any if left out")
    command.add_argument(
        "--sample-interval-s",
        type=_up_to(_MAX_S, "seconds"),
        default=sample_interval_s,
        help="of temperature, clock, governor, throttle bits and power; 0 takes none",
    )


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"found {value}, expected {least} or more")
        return value

    return count


def _up_to(most: float, unit: str) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not 0 <= value <= most:  # also refuses nan
            raise argparse.ArgumentTypeError(f"found {value}, expected 0 to {most:g} {unit}")
        return value

    return number


def _above_0(most: float, unit: str) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:  # also refuses nan
            raise argparse.ArgumentTypeError(
                f"found {value}, expected above 0 and at most {most:g} {unit}"
            )
        return value

    return number


def _cores(text: str) -> Tuple[int, ...]:
    cores = tuple(int(each) for each in text.split(","))
    if min(cores) < 0 or len(set(cores)) < len(cores):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected different numbers, e.g. 0,1")
    return cores


if __name__ == "__main__":
    sys.exit(main())
