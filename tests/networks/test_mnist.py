"""Real networks on real images: accuracy, engines against each other, and Lava."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.loihi.lava.lava_engine import LavaEngine
from qcompiler.backends.program.program import Program
from tests.support.onnx_models import run_onnx
from tests.support.spiking import equal_neurons, same_spikes

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
BOUNDS = {2: 0.965, 4: 0.985, 8: 0.987, 16: 0.988, 32: 0.9885}


@cache
def mnist(folder: Path, name: str = "mnist_convnet", **options: Any) -> Program:
    """Compiled once; several tests run the same program."""
    return qcompiler.compile(
        folder / "mnist" / f"{name}.onnx",
        calibration=folder / "mnist" / "mnist_train_2000.npz",
        scale_values=(255,),
        **options,
    )


def images(path: Path, count: int | None = None) -> tuple[Any, Any]:
    with np.load(path) as data:
        return data["images"][:count, None].astype(np.float32), data["labels"][:count]


@pytest.mark.data
@pytest.mark.parametrize("t_max", BOUNDS)
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_mnist_accuracy(data_dir: Path, t_max: int, target: str) -> None:
    batch, labels = images(data_dir / "mnist" / "mnist_test_first5000.npz")
    program = mnist(data_dir, target=target, t_max=t_max)
    assert program.warnings == ()
    outputs = program.run(batch)
    assert isinstance(outputs, np.ndarray)
    assert np.mean(outputs.argmax(axis=1) == labels) >= BOUNDS[t_max]


@pytest.mark.data
@pytest.mark.parametrize("t_max", [2, 16])
def test_mnist_engines_agree_on_every_neuron(data_dir: Path, t_max: int) -> None:
    batch, _ = images(data_dir / "mnist" / "mnist_test_first5000.npz", 200)
    for engine in ("fast", "events"):
        same_spikes(mnist(data_dir, target="loihi", t_max=t_max), engine, batch)


@pytest.mark.data
def test_exporters_make_the_same_network(data_dir: Path) -> None:
    batch, _ = images(data_dir / "mnist" / "mnist_test_first5000.npz", 500)
    one, other = (
        mnist(data_dir, name, target="reference").run(batch)
        for name in ("mnist_convnet", "mnist_convnet_dynamo")
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.data
@pytest.mark.lava
@pytest.mark.parametrize("t_max", [8, 16])
@pytest.mark.parametrize(("engine", "frames"), [("lava-single", 60), ("lava-processes", 2)])
def test_mnist_on_lava(data_dir: Path, engine: str, frames: int, t_max: int) -> None:
    batch, _ = images(data_dir / "mnist" / "mnist_test_first5000.npz", frames)
    same_spikes(mnist(data_dir, target="loihi", t_max=t_max), engine, batch)


def digits(**options: Any) -> Program:
    return qcompiler.compile(
        DIGITS / "digits.onnx",
        calibration=DIGITS / "digits_calibration.npz",
        scale_values=(16,),
        **options,
    )


@pytest.mark.parametrize("t_max", [4, 16])
def test_digits(t_max: int) -> None:
    batch, labels = images(DIGITS / "digits_test.npz")
    program = digits(t_max=t_max)
    outputs = program.run(batch)
    assert isinstance(outputs, np.ndarray)
    assert np.mean(outputs.argmax(axis=1) == labels) >= 0.95
    for engine in ("fast", "events"):
        same_spikes(program, engine, batch[:100])


@pytest.mark.lava
def test_digits_on_lava() -> None:
    batch, _ = images(DIGITS / "digits_test.npz", 100)
    same_spikes(digits(), "lava-single", batch)
    same_spikes(digits(t_max=8), "lava-processes", batch[:5])


@pytest.mark.lava
def test_digits_on_lava_in_floating_point() -> None:
    batch, _ = images(DIGITS / "digits_test.npz", 200)
    program = digits()
    found = LavaEngine(program.graph, "floating_pt", "single").spikes(batch)
    equal_neurons(program.spikes(batch), found)


@pytest.mark.data
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_mnist_quantised_by_onnxruntime(data_dir: Path, tmp_path: Path, form: str) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    given, _ = images(data_dir / "mnist" / "mnist_train_2000.npz", 200)
    batches = [{"input": part / 255} for part in np.array_split(given, 10)]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.left = iter(batches)

        def get_next(self) -> Any:
            return next(self.left, None)

    whole, path = data_dir / "mnist" / "mnist_convnet.onnx", tmp_path / "int8.onnx"
    quantization.quantize_static(
        whole,
        path,
        Reader(),
        quant_format=quantization.QuantFormat[form],
        per_channel=form == "QDQ",
    )
    batch, labels = images(data_dir / "mnist" / "mnist_test_first5000.npz", 1000)
    (expected,) = run_onnx(str(path), {"input": batch / 255})
    program = qcompiler.compile(path, target="reference")
    found = np.asarray(program.run(batch / 255))
    assert not any(layer.get("apart") for layer in program.manifest["rounding"])
    assert np.mean(found.argmax(axis=1) == expected.argmax(axis=1)) >= 0.995
    few = qcompiler.compile(path, target="reference", t_max=16, calibration=given / 255)
    assert np.mean(np.asarray(few.run(batch / 255)).argmax(axis=1) == labels) >= BOUNDS[16]
