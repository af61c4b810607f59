"""Opens a `.tflite` with whichever TFLite runtime the device has, and runs it on one image.

In: the bytes of a `.tflite`; an image of exactly the input's size. Out: raw output tensors, not
dequantized, not decoded. Does not resize (`preprocess`), does not know heads (`decode`).

The bytes of a model are native code's input. Measured on garbled small int8 models, 1 to 64 random
bytes each: ai-edge-litert 2.1.0 and 2.3.0 refuse most with ValueError or RuntimeError, but abort
the process for about 1 in 1000, mostly in `allocate_tensors`. No truncated file did. So a model
from elsewhere is opened only after its SHA-256 was compared (`artifact.load_artifact` does that).

The first model opened in a process makes the runtime write one line to stderr, "INFO: Created
TensorFlow Lite XNNPACK delegate for CPU." It has no switch (TF_CPP_MIN_LOG_LEVEL does not reach
it), and redirecting the file descriptor would also hide what the runtime says before it aborts; so
the line stays.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ArtifactError, DataError, DeviceError
from edgeface.runtime.affine import quantize
from edgeface.types import TensorSpec

RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow", "tensorflow.lite.python.interpreter"),
)
"""Runtimes in order of preference: (name for pip, package, module with `Interpreter`).

Source: chosen: ai-edge-litert is the maintained one; tflite-runtime, last released in 2023, serves
32-bit Raspberry Pi OS, for which the first has no wheel; TensorFlow takes seconds to import.
"""

_Read = TypeVar("_Read")
_IDENTIFIER = b"TFL3"  # bytes 4 to 8. Source: file_identifier in tensorflow/lite/schema/schema.fbs


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A `.tflite` that is ready to run. Not for two threads at once: the interpreter has state.

    Attributes:
        interpreter: the runtime's own object, tensors allocated.
        where: the file, for messages.
        input: the one input tensor.
        outputs: the output tensors in the file's order.
        input_index: the runtime's handle of the input.
        output_indices: the runtime's handle of each output, by tensor name.
        pixel_table: [256], the input's dtype: what each pixel value 0..255 becomes.
    """

    interpreter: Any
    where: str
    input: TensorSpec
    outputs: Tuple[TensorSpec, ...]
    input_index: int
    output_indices: Dict[str, int]
    pixel_table: NDArray[Any]


def runtime_name_and_version() -> Tuple[str, str]:
    """Name the runtime that `open_model` uses.

    Returns:
        The name that pip knows it by, and its version, e.g. ("ai-edge-litert", "2.3.0").

    Raises:
        DeviceError: none is installed, or the one installed cannot be loaded.
    """
    _, name, version = _load_runtime()
    return name, version


def check_identifier(content: bytes, where: str) -> None:
    """Refuse bytes that do not start like a `.tflite`.

    Raises:
        ArtifactError: bytes 4 to 8 are not the TFL3 file identifier.
    """
    if content[4:8] != _IDENTIFIER:
        raise ArtifactError(
            f"{where}: not a .tflite: found {content[4:8]!r} at bytes 4 to 8, "
            f"expected {_IDENTIFIER!r}; export or copy the model again"
        )


def open_model(
    content: bytes, *, threads: int = 1, where: str, reference_kernels: bool = False
) -> LoadedModel:
    """Let the runtime verify a `.tflite` and allocate its tensors.

    Args:
        content: the whole file. Kept alive by the runtime, so it counts as memory.
        threads: CPU threads, 1 or more. Source of the default: the runtime's own.
        where: the file, for messages.
        reference_kernels: run TFLite's plain kernels, without a delegate: slow, and what a runtime
            without one computes, to the last step or nearly.

    Returns:
        A model that is ready to run.

    Raises:
        ArtifactError: not a `.tflite`, truncated, refused by the runtime, or not a model with one
            float32 or quantized input.
        DeviceError: no runtime is installed, it does not work with this numpy, or `threads` is
            below 1.
    """
    check_identifier(content, where)
    if threads < 1:
        raise DeviceError(f"threads: found {threads}, expected 1 or more")
    interpreter_class, _, _ = _load_runtime()
    try:
        how = _reference(interpreter_class) if reference_kernels else {}
        interpreter = interpreter_class(model_content=content, num_threads=threads, **how)
        interpreter.allocate_tensors()
        inputs = interpreter.get_input_details()
        outputs = interpreter.get_output_details()
    except SystemError as err:  # seen with tflite-runtime 2.14 under numpy 2
        raise DeviceError(
            f"the TFLite runtime does not work with numpy {np.__version__} "
            f"({one_line(err.__cause__ or err)}); "
            "tflite-runtime needs: pip install 'numpy<2'"
        ) from err
    except (ValueError, RuntimeError) as err:  # all that garbled files were seen to raise
        raise ArtifactError(
            f"{where}: the TFLite runtime refuses the file ({one_line(err)}); "
            "export or copy the model again"
        ) from err
    if len(inputs) != 1 or not outputs:
        raise ArtifactError(
            f"{where}: found {len(inputs)} inputs and {len(outputs)} outputs, "
            "expected 1 input and at least 1 output"
        )
    spec = _spec(inputs[0])
    return LoadedModel(
        interpreter=interpreter,
        where=where,
        input=spec,
        outputs=tuple(_spec(details) for details in outputs),
        input_index=int(inputs[0]["index"]),
        output_indices={details["name"]: int(details["index"]) for details in outputs},
        pixel_table=_pixel_table(spec, where),
    )


def tensor_specs(model: LoadedModel) -> Tuple[TensorSpec, Tuple[TensorSpec, ...]]:
    """Tell what the file's input and outputs are.

    Returns:
        The input, and the outputs in the file's order; scale and zero point as the runtime has
        them, None for float tensors.
    """
    return model.input, model.outputs


def run(
    model: LoadedModel, image: NDArray[np.uint8], outputs: Sequence[TensorSpec] = ()
) -> Tuple[NDArray[Any], ...]:
    """Run the model once.

    Args:
        model: from `open_model`.
        image: uint8 [H, W, 3], RGB, 0 to 255, exactly the input's height and width.
        outputs: the outputs wanted, found by tensor name, e.g. a contract's; the file's if empty.

    Returns:
        Raw output tensors with their batch of 1, in the order of `outputs`, dtype as in the file.

    Raises:
        DataError: the image is not what the input takes.
        ArtifactError: the runtime fails, or the file has no output of that name.
    """
    set_input(model, image)
    invoke(model)
    names = [spec.name for spec in outputs or model.outputs]
    missing = [name for name in names if name not in model.output_indices]
    if missing:
        found = ", ".join(model.output_indices)
        raise ArtifactError(
            f"{model.where}: no output tensor {', '.join(missing)}; the file has {found}"
        )
    return tuple(model.interpreter.get_tensor(model.output_indices[name]) for name in names)


def set_input(model: LoadedModel, image: NDArray[np.uint8]) -> None:
    """Put an image into the input tensor: as float32 0..255, or quantized with its own scale.

    Args:
        model: from `open_model`.
        image: uint8 [H, W, 3], RGB, 0 to 255, exactly the input's height and width.

    Raises:
        DataError: the image is not what the input takes.
    """
    if image.dtype != np.uint8 or (1, *image.shape) != model.input.shape:
        expected = list(model.input.shape[1:])
        raise DataError(
            f"image for {model.where}: found {image.dtype} {list(image.shape)}, "
            f"expected uint8 {expected}; use to_input first"
        )
    model.interpreter.set_tensor(model.input_index, np.take(model.pixel_table, image)[np.newaxis])


def invoke(model: LoadedModel) -> None:
    """Run the model on what its input holds.

    Raises:
        ArtifactError: the runtime fails.
    """
    try:
        model.interpreter.invoke()
    except (ValueError, RuntimeError) as err:
        raise ArtifactError(f"{model.where}: the model fails to run ({one_line(err)})") from err


def read_nodes(
    interpreter: Any, read: Callable[[Mapping[str, Any]], _Read]
) -> Optional[List[_Read]]:
    """Read what the runtime made of a model, node by node.

    Args:
        interpreter: the runtime's own object, tensors allocated.
        read: takes what the runtime says of a node: "op_name", "inputs", "outputs".

    Returns:
        One value a node: the operators in the file's order, and after them one "DELEGATE" a
        partition. None where this runtime does not tell them, or not so.
    """
    # private, but the only place where a runtime tells: in ai-edge-litert 2.3, tflite-runtime 2.14
    details = getattr(interpreter, "_get_ops_details", None)
    if details is None:
        return None
    try:
        return [read(each) for each in details()]
    # another release may lay them out otherwise
    except (KeyError, TypeError, ValueError, RuntimeError):
        return None


def one_line(err: BaseException) -> str:
    """Give an error's text without line breaks."""
    return " ".join(str(err).split())


def _load_runtime() -> Tuple[Any, str, str]:
    reasons = []
    for name, package, module in RUNTIMES:
        try:
            interpreter_class = importlib.import_module(module).Interpreter
        except ImportError as err:
            reasons.append(f"{name}: {one_line(err)}")
        except OSError as err:  # its shared library does not fit the system, e.g. an older glibc
            raise DeviceError(f"{name} is installed but does not load ({one_line(err)})") from err
        else:
            version = str(importlib.import_module(package).__version__)
            return interpreter_class, name, version
    raise DeviceError(
        f"no TFLite runtime ({'; '.join(reasons)}): pip install ai-edge-litert, "
        "or tflite-runtime with numpy below 2 on 32-bit Raspberry Pi OS"
    )


def _reference(interpreter_class: Any) -> Dict[str, Any]:
    module = importlib.import_module(interpreter_class.__module__)
    return {"experimental_op_resolver_type": module.OpResolverType.BUILTIN_REF}


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]  # (0.0, 0) without quantization
    return TensorSpec(
        name=details["name"],
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale) if scale else None,
        zero_point=int(zero_point) if scale else None,
    )


def _pixel_table(spec: TensorSpec, where: str) -> NDArray[Any]:
    # a pixel has 256 values: looking them up is exact and spares the device the arithmetic
    pixels = np.arange(256, dtype=np.float32)
    if spec.dtype == "float32":
        return pixels
    try:
        return quantize(pixels, spec)
    except ArtifactError as err:
        raise ArtifactError(f"{where}: {err}") from err
