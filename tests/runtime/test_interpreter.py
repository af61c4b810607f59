"""`interpreter` against numpy: what goes into the model, what comes out, what is refused."""

from __future__ import annotations

import importlib
from functools import partial
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import ArtifactError, DataError, DeviceError
from edgeface.runtime.interpreter import (
    RUNTIMES,
    LoadedModel,
    invoke,
    open_model,
    run,
    runtime_name_and_version,
    set_input,
    tensor_specs,
)
from edgeface.types import TensorSpec

IMAGE = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def test_specs_are_those_written_into_the_file(int8_model: Any, float_model: Any) -> None:
    input_spec, outputs = tensor_specs(open_model(int8_model.content, where="m"))
    assert input_spec == TensorSpec("image", (1, 8, 8, 3), "int8", 1.0, -128)
    scale = float(np.float32(0.04))
    assert outputs == (
        TensorSpec("age", (1, 5), "int8", scale, 5),
        TensorSpec("gender", (1, 1), "int8", scale, 5),
    )
    input_spec, outputs = tensor_specs(open_model(float_model.content, where="m"))
    assert input_spec == TensorSpec("image", (1, 8, 8, 3), "float32", None, None)
    assert outputs == (
        TensorSpec("age", (1, 5), "float32"),
        TensorSpec("gender", (1, 1), "float32"),
    )


def test_float_outputs_are_kernel_times_pixels_plus_bias(float_model: Any) -> None:
    age, gender = run(open_model(float_model.content, where="m"), IMAGE)
    np.testing.assert_allclose(age[0], float_model.real(IMAGE, "age"), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gender[0], float_model.real(IMAGE, "gender"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantized_outputs_are_the_raw_steps(tiny_model: Callable[..., Any], dtype: str) -> None:
    model = tiny_model(dtype, seed=3)
    age, gender = run(open_model(model.content, where="m"), IMAGE)
    for raw, name in ((age, "age"), (gender, "gender")):
        assert raw.dtype == dtype
        scale, zero_point = model.scales[name]
        limits = np.iinfo(dtype)
        # the input scale is 1, so pixels are exact and only the output is rounded
        exact = np.clip(model.real(IMAGE, name) / scale + zero_point, limits.min, limits.max)
        np.testing.assert_allclose(raw[0], exact, atol=0.5 + 1e-3)
    assert np.ptp(age.astype(int)) > 50  # not all clipped to one value


def test_the_input_tensor_holds_the_pixels(any_model: Any) -> None:
    model = open_model(any_model.content, where="m")
    set_input(model, IMAGE)
    held = model.interpreter.get_tensor(model.input_index)
    offset = -128 if model.input.dtype == "int8" else 0
    np.testing.assert_array_equal(held[0].astype(int), IMAGE.astype(int) + offset)
    assert held.dtype == model.input.dtype


def test_outputs_come_in_the_order_asked_for(int8_model: Any) -> None:
    model = open_model(int8_model.content, where="m")
    age, gender = run(model, IMAGE)
    swapped = run(model, IMAGE, model.outputs[::-1])
    np.testing.assert_array_equal(swapped[0], gender)
    np.testing.assert_array_equal(swapped[1], age)


def test_outputs_survive_the_next_run(float_model: Any) -> None:
    model = open_model(float_model.content, where="m")
    first = run(model, IMAGE)[0]
    kept = first.copy()
    run(model, 255 - IMAGE)
    np.testing.assert_array_equal(first, kept)


def test_views_with_negative_strides_run(float_model: Any) -> None:
    model = open_model(float_model.content, where="m")
    flipped = IMAGE[:, ::-1]
    np.testing.assert_array_equal(run(model, flipped)[0], run(model, flipped.copy())[0])


def test_a_missing_output_is_named(float_model: Any) -> None:
    model = open_model(float_model.content, where="m")
    with pytest.raises(ArtifactError, match=r"no output tensor pose; the file has age, gender"):
        run(model, IMAGE, [TensorSpec("pose", (1, 1), "float32")])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((9, 8, 3), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
    ],
)
def test_an_image_of_another_form_is_refused(image: NDArray[Any], float_model: Any) -> None:
    with pytest.raises(DataError, match=r"expected uint8 \[8, 8, 3\]"):
        run(open_model(float_model.content, where="m"), image)


def test_truncated_files_are_refused_in_one_line(int8_model: Any) -> None:
    content = int8_model.content
    for length in range(0, len(content) - 8, 41):
        with pytest.raises(ArtifactError, match=r"^m: (not a \.tflite|the TFLite runtime)") as info:
            open_model(content[:length], where="m")
        assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a .tflite"),
        (b"GIF89a, not a model", "not a .tflite"),
        (b"TFL3\x1c\x00\x00\x00TFL3", "found b'\\x1c\\x00\\x00\\x00' at bytes 4 to 8"),
        (b"\x1c\x00\x00\x00TFL4" + bytes(64), "expected b'TFL3'"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(64), "the TFLite runtime refuses the file"),
        (b"\xff\xff\xff\xffTFL3" + b"\xff" * 64, "the TFLite runtime refuses the file"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(ArtifactError) as info:
        open_model(content, where="some.tflite")
    assert text in str(info.value)
    assert str(info.value).startswith("some.tflite: ")
    assert "\n" not in str(info.value)


def test_threads_below_one_are_refused(float_model: Any) -> None:
    with pytest.raises(DeviceError, match="threads: found 0, expected 1 or more"):
        open_model(float_model.content, threads=0, where="m")


def _importer(modules: Dict[str, Any]) -> Callable[[str], Any]:
    def import_module(name: str) -> Any:
        found = modules.get(name, ModuleNotFoundError(f"No module named {name!r}"))
        if isinstance(found, BaseException):
            raise found
        return found

    return import_module


def _runtime(i: int) -> Dict[str, Any]:
    _, package, module = RUNTIMES[i]
    return {
        package: SimpleNamespace(__version__=f"{i}.0"),
        module: SimpleNamespace(Interpreter=object),
    }


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ([0, 1, 2], ("ai-edge-litert", "0.0")),
        ([1, 2], ("tflite-runtime", "1.0")),
        ([2], ("tensorflow", "2.0")),
    ],
)
def test_the_first_runtime_installed_is_chosen(
    installed: List[int], expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules: Dict[str, Any] = {}
    for i in installed:
        modules.update(_runtime(i))
    monkeypatch.setattr(importlib, "import_module", _importer(modules))
    assert runtime_name_and_version() == expected


def test_no_runtime_says_what_to_install(float_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", _importer({}))
    with pytest.raises(DeviceError, match="pip install ai-edge-litert") as info:
        open_model(float_model.content, where="m")
    assert "tflite-runtime: No module named" in str(info.value)
    assert "\n" not in str(info.value)


def test_a_runtime_that_does_not_load_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"ai_edge_litert.interpreter": OSError("GLIBC_2.34 not found\n(required by x)")}
    monkeypatch.setattr(importlib, "import_module", _importer({**_runtime(1), **broken}))
    with pytest.raises(DeviceError, match=r"does not load \(GLIBC_2.34 not found \(required"):
        runtime_name_and_version()


def test_a_runtime_built_for_another_numpy_is_a_device_error(
    float_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what tflite-runtime 2.14 does under numpy 2.0
    def construct(**_: Any) -> None:
        raise SystemError("returned a result with an error set") from ImportError("numpy.core")

    modules = {**_runtime(1), "tflite_runtime.interpreter": SimpleNamespace(Interpreter=construct)}
    monkeypatch.setattr(importlib, "import_module", _importer(modules))
    with pytest.raises(DeviceError, match=r"\(numpy.core\).*pip install 'numpy<2'"):
        open_model(float_model.content, where="m")


class FakeInterpreter:
    """Holds what it was made with, and has as many inputs and outputs as asked."""

    def __init__(self, inputs: int, outputs: int, **arguments: Any) -> None:
        self.arguments = arguments
        self.inputs, self.outputs = inputs, outputs

    def allocate_tensors(self) -> None:
        pass

    def _details(self, number: int) -> List[Dict[str, Any]]:
        shape: NDArray[np.int32] = np.array([1, 8, 8, 3], np.int32)
        quantization = {"dtype": np.float32, "quantization": (0.0, 0)}
        return [
            {"name": f"t{i}", "index": i, "shape": shape, **quantization} for i in range(number)
        ]

    def get_input_details(self) -> List[Dict[str, Any]]:
        return self._details(self.inputs)

    def get_output_details(self) -> List[Dict[str, Any]]:
        return self._details(self.outputs)


def open_fake(
    inputs: int, outputs: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> LoadedModel:
    fake = SimpleNamespace(Interpreter=partial(FakeInterpreter, inputs, outputs))
    modules = {**_runtime(0), "ai_edge_litert.interpreter": fake}
    monkeypatch.setattr(importlib, "import_module", _importer(modules))
    return open_model(b"\0\0\0\0TFL3", threads=threads, where="m")


@pytest.mark.parametrize("threads", [1, 4])
def test_the_runtime_gets_the_threads_and_the_bytes(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_fake(1, 1, threads, monkeypatch)
    expected = {"model_content": b"\0\0\0\0TFL3", "num_threads": threads}
    assert model.interpreter.arguments == expected


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 1), (2, 1), (1, 0)])
def test_one_input_and_some_output_are_needed(
    inputs: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArtifactError, match=f"found {inputs} inputs and {outputs} outputs"):
        open_fake(inputs, outputs, 1, monkeypatch)


def test_a_failing_run_is_an_artifact_error(float_model: Any) -> None:
    model = open_model(float_model.content, where="m")
    model.interpreter.resize_tensor_input(model.input_index, [2, 8, 8, 3])  # not allocated again
    with pytest.raises(ArtifactError, match=r"^m: the model fails to run") as info:
        invoke(model)
    assert "\n" not in str(info.value)
