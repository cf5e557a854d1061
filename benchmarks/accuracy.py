"""Accuracy of compiled networks by t_max and effort, as a table. Needs the data folder.

    python benchmarks/accuracy.py [mnist] [resnet20] [squeezenet] [--t-max 4,8,16]

Columns: effort 1, the default; the same for Loihi 2; effort 0 (ranges of least squared error,
weights to the nearest integer); ranges that clip 0.1 % of the values at effort 0. The last two use
inputs of t_max levels. Further columns: neurons, last output step and compile time of the first.
Calibration uses no test images. For SqueezeNet the accuracy is the share of predictions that equal
those of the trained network; its calibration images must be unpacked to
imagenet/imagenet_calib_256.npz or to the path given by --packed.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qcompiler
from qcompiler import api
from qcompiler.data import Data
from qcompiler.explain.measure.onnx_reference import run_onnx

DATA = Path(os.environ.get("QCOMPILER_DATA", Path(__file__).parents[1] / "../shared/data"))
BEFORE, BEHIND = "fold-batchnorm,fold-linear,normalize", "assign-windows,insert-readout"
WAYS: dict[str, dict[str, Any]] = {
    "effort 1": {},
    "for Loihi": {"target": "loihi"},
    "effort 0": {"passes": f"{BEFORE},quantize{{effort=0}},{BEHIND}"},
    "percentile": {"passes": f"{BEFORE}{{method=percentile}},quantize{{effort=0}},{BEHIND}"},
}
BATCH = 50


class Network(NamedTuple):
    """Files of a network and its images, its preprocessing, and the levels worth measuring."""

    model: str
    calibration: str
    test: str
    options: dict[str, Any]
    t_max: tuple[int, ...]
    agreement: bool = False

    def at(self, packed: Path | None) -> Network:
        """The same with unpacked calibration images, if it needs them."""
        if not self.agreement or packed is None:
            return self
        return self._replace(calibration=str(packed.resolve()))


NETWORKS = {
    "mnist": Network(
        "mnist/mnist_convnet.onnx",
        "mnist/mnist_train_2000.npz",
        "mnist/mnist_test_first5000.npz",
        {"scale_values": (255,)},
        (2, 4, 8, 16, 32),
    ),
    "resnet20": Network(
        "cifar10/resnet20.onnx",
        "cifar10/cifar10_train_calib_1000.npz",
        "cifar10/cifar10_test_jpeg_2000.npz",
        {"mean_values": (123.675, 116.28, 103.53), "scale_values": (58.395, 57.12, 57.375)},
        (8, 16, 32),
    ),
    "squeezenet": Network(
        "imagenet/squeezenet1_0.onnx",
        "imagenet/imagenet_calib_256.npz",
        "imagenet/imagenet_samples_100.npz",
        {"mean_values": (104, 117, 123), "reverse_input_channels": True},
        (16, 32),
        agreement=True,
    ),
}


def main() -> None:
    """Print one row per network and t_max."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help=f"out of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--t-max", type=str, default="", help="numbers of levels, with commas")
    parser.add_argument("--packed", type=Path, help="SqueezeNet's unpacked calibration images")
    given = parser.parse_args()
    print("| network | t_max |", *(f"{way} |" for way in WAYS), "neurons | last spike | seconds |")
    print("|---|---|---|---|---|" + "---|" * len(WAYS))
    for name in given.networks or NETWORKS:
        network = NETWORKS[name].at(given.packed)
        levels = map(int, given.t_max.split(",")) if given.t_max else network.t_max
        for t_max in levels:
            print(row(name, network, t_max), flush=True)


def row(name: str, network: Network, t_max: int) -> str:
    """A row: accuracy in percent per variant; neurons, last step and time of effort 1."""
    images, answers = known_answers(network)
    found, reports, seconds = [], [], []
    for way in WAYS.values():
        program, took = compiled(network, t_max, way)
        seconds.append(took)
        reports.append(program.report())
        found.append(f"{answers_right(program, images, answers):.2f}")
    costs = f"{reports[0].neurons:,} | {reports[0].latency_steps} | {seconds[0]:.0f}"
    return f"| {name} | {t_max} | {' | '.join(found)} | {costs} |"


def compiled(network: Network, t_max: int, way: dict[str, Any]) -> tuple[qcompiler.Program, float]:
    """A program, for the reference unless the way says otherwise, and the seconds it took."""
    begin = time.process_time()
    options = {"target": "reference"} | network.options | way
    program = qcompiler.compile(
        DATA / network.model, calibration=DATA / network.calibration, t_max=t_max, **options
    )
    return program, time.process_time() - begin


def answers_right(program: qcompiler.Program, images: Any, answers: Any) -> float:
    """Percent of images whose largest output is the known answer."""
    parts = [program.run(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
    found = np.concatenate([np.asarray(part).argmax(axis=1) for part in parts])
    return float(100 * np.mean(found == answers))


def known_answers(network: Network) -> tuple[Any, Any]:
    """Test images, channels first, and their labels, or the trained network's answers."""
    with np.load(DATA / network.test) as data:
        images = data["images"].astype(np.float32)
        labels = data["labels"]
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    if network.agreement:
        raw = {"preprocessing": asdict(api.preprocessing(**network.options))}
        labels = run_onnx(DATA / network.model, Data((images,)), raw).argmax(axis=1)
    return images, labels


if __name__ == "__main__":
    main()
