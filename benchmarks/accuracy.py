"""Accuracy of compiled networks by levels and effort, as a table: needs the folder of real data.

    python benchmarks/accuracy.py [mnist] [resnet20] [--t-max 4,8,16]

Columns: effort 1, effort 0 (ranges of least squared error, weights to the nearest
integer), and ranges that cut 0.1 % of the values at effort 0. No test image is calibrated with.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qcompiler

DATA = Path(os.environ.get("QCOMPILER_DATA", Path(__file__).parents[1] / "../shared/data"))
PERCENTILE = (
    "fold-batchnorm,fold-linear,normalize{method=percentile},quantize{effort=0},"
    "assign-windows,insert-readout"
)
WAYS: dict[str, dict[str, Any]] = {
    "effort 1": {"effort": 1},
    "effort 0": {"effort": 0},
    "percentile": {"passes": PERCENTILE},
}
BATCH = 200


class Network(NamedTuple):
    """Files of a network and its images, its preprocessing, and the levels worth measuring."""

    model: str
    calibration: str
    test: str
    options: dict[str, Any]
    t_max: tuple[int, ...]


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
}


def main() -> None:
    """Print one row a network and t_max."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help=f"out of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--t-max", type=str, default="", help="numbers of levels, with commas")
    given = parser.parse_args()
    print("| network | t_max |", *(f"{way} |" for way in WAYS), "seconds to compile |")
    print("|---|---|---|" + "---|" * len(WAYS))
    for name in given.networks or NETWORKS:
        network = NETWORKS[name]
        levels = map(int, given.t_max.split(",")) if given.t_max else network.t_max
        for t_max in levels:
            print(row(name, network, t_max), flush=True)


def row(name: str, network: Network, t_max: int) -> str:
    """Accuracy in percent each way, and how long compiling with effort 1 takes."""
    images, labels = test_set(DATA / network.test)
    found, seconds = [], []
    for way in WAYS.values():
        begin = time.perf_counter()
        program = qcompiler.compile(
            DATA / network.model,
            target="reference",
            calibration=DATA / network.calibration,
            t_max=t_max,
            **network.options,
            **way,
        )
        seconds.append(time.perf_counter() - begin)
        parts = [program.run(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
        answers = np.concatenate([np.asarray(part).argmax(axis=1) for part in parts])
        found.append(f"{100 * np.mean(answers == labels):.2f}")
    return f"| {name} | {t_max} | {' | '.join(found)} | {seconds[0]:.0f} |"


def test_set(path: Path) -> tuple[Any, Any]:
    """Images, channels first, and labels."""
    with np.load(path) as data:
        images = data["images"].astype(np.float32)
        labels = data["labels"]
    return (images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)), labels


if __name__ == "__main__":
    main()
