"""A residual network on real images: accuracy, and the engines against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.utils
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from tests.support.spiking import same_spikes

# t_max and effort: least accuracy on 2000 images, of which the trained network gets 80.85 %
BOUNDS = {(8, 1): 0.78, (64, 0): 0.803}

NARROW = (
    "fold-batchnorm,fold-linear,normalize{output_t_max=4},"
    "quantize{output_t_max=4 potential=131071 input=900},"
    "assign-windows{delay=63},insert-readout"
)


def resnet20(
    data_dir: Path, model: Any = None, frames: int | None = None, **options: Any
) -> Program:
    folder = data_dir / "cifar10"
    with np.load(folder / "cifar10_train_calib_1000.npz") as data:
        calibration = data["images"][:frames].astype(np.float32).transpose(0, 3, 1, 2)
    return qcompiler.compile(
        folder / "resnet20.onnx" if model is None else model,
        calibration=calibration,
        mean_values=(123.675, 116.28, 103.53),
        scale_values=(58.395, 57.12, 57.375),
        **options,
    )


def images(data_dir: Path, count: int | None = None) -> tuple[Any, Any]:
    with np.load(data_dir / "cifar10" / "cifar10_test_jpeg_2000.npz") as data:
        pixels = data["images"][:count].astype(np.float32)
        return pixels.transpose(0, 3, 1, 2), data["labels"][:count]


@pytest.mark.data
@pytest.mark.parametrize(("t_max", "effort"), BOUNDS)
def test_resnet20_is_accurate_and_engines_agree(data_dir: Path, t_max: int, effort: int) -> None:
    batch, labels = images(data_dir)
    program = resnet20(data_dir, target="reference", t_max=t_max, effort=effort)
    assert program.warnings == ()
    outputs = program.run(batch)
    assert isinstance(outputs, np.ndarray)
    assert np.mean(outputs.argmax(axis=1) == labels) >= BOUNDS[t_max, effort]
    same_spikes(program, "fast", batch[:2])  # of every neuron


@pytest.mark.data
@pytest.mark.lava
def test_calibrated_bounds_hold_on_lava(data_dir: Path) -> None:
    """The first residual block, on a chip so narrow that its proofs would cost many bits."""
    whole = onnx.load(data_dir / "cifar10" / "resnet20.onnx")
    block = onnx.utils.Extractor(whole).extract_model([whole.graph.input[0].name], ["relu_2"])
    program = resnet20(data_dir, block, t_max=4, passes=NARROW)
    batch, _ = images(data_dir, 3)
    measured = program.measure(batch, engine="steps")
    assert measured.counters.exceeded_by_population == dict.fromkeys(("relu_1", "relu_2"), 0)
    same_spikes(program, "lava-single", batch)


@pytest.mark.data
def test_resnet20_on_loihi(data_dir: Path) -> None:
    """The slopes of its logits exceed a limit by little, and come to keep it; engines agree."""
    program = resnet20(data_dir, target="loihi", t_max=10, frames=250)
    batch, labels = images(data_dir, 200)
    same_spikes(program, "fast", batch[:1])
    outputs = program.run(batch)
    assert isinstance(outputs, np.ndarray)
    assert np.mean(outputs.argmax(axis=1) == labels) >= 0.7
