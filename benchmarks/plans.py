"""What is measured: networks, images for them, and how they are compiled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import networks
import numpy as np

_ROOT = Path(__file__).parents[1]
_DIGITS = _ROOT / "examples" / "digits"
_TRAINED: tuple[tuple[str, str, str, int, Mapping[str, Any]], ...] = (
    (
        "resnet20",
        "cifar10/resnet20.onnx",
        "cifar10/cifar10_train_calib_1000.npz",
        64,
        {"mean_values": (123.675, 116.28, 103.53), "scale_values": (58.395, 57.12, 57.375)},
    ),
    (
        "squeezenet",
        "imagenet/squeezenet1_0.onnx",
        "imagenet/imagenet_samples_100.npz",
        16,
        {"mean_values": (104, 117, 123), "reverse_input_channels": True},
    ),
)


class Plan(NamedTuple):
    """A model, its images, where its weights come from, and how it is compiled."""

    model: Path
    images: Path
    weights: str = "random weights"
    divisor: float = 1.0
    target: str = "reference"
    effort: int = 1
    preprocessing: Mapping[str, Any] = MappingProxyType({})

    @property
    def options(self) -> dict[str, Any]:
        """What `qcompiler.compile` is told besides the images."""
        scale = {} if self.divisor == 1 else {"scale_values": (self.divisor,)}
        return {"target": self.target, "effort": self.effort, **scale, **self.preprocessing}

    def frames(self, count: int, shape: tuple[int, ...]) -> Any:
        """The first images, raw, in the shape of the network's input."""
        with np.load(self.images) as archive:
            raw = archive["images"][:count].astype(np.float32)
        return raw.reshape(len(raw), *shape)


def prepare(folder: Path) -> Mapping[str, Plan]:
    """Write the networks, but take trained ones that are there; digits always is."""
    networks.write(folder)
    plans = {n: Plan(folder / f"{n}.onnx", folder / f"{n}.npz") for n in networks.NAMES}
    data = Path(os.environ.get("QCOMPILER_DATA") or _ROOT / "../shared/data")
    mnist = data / "mnist"
    trained = Plan(mnist / "mnist_convnet.onnx", mnist / "mnist_train_2000.npz", "trained")
    found = trained if trained.model.is_file() and trained.images.is_file() else plans["mnist"]
    for name in ("resnet18", "mobilenet"):
        plans[name] = plans[name]._replace(effort=0)
    digits = _DIGITS / "digits.onnx", _DIGITS / "digits_calibration.npz"
    return {
        **plans,
        **_large_ones(data, folder),
        "mnist": found._replace(divisor=255.0, target="loihi"),
        "digits": Plan(*digits, "trained", 16.0, "loihi"),
    }


def _large_ones(data: Path, folder: Path) -> Mapping[str, Plan]:
    """Trained networks that are compiled with defaults, on a few of their images."""
    found = {}
    for name, model, images, count, preprocessing in _TRAINED:
        if (data / model).is_file() and (data / images).is_file():
            with np.load(data / images) as archive:
                few = archive["images"][:count].transpose(0, 3, 1, 2)
            np.savez(folder / f"{name}.npz", images=few)
            path = folder / f"{name}.npz"
            found[name] = Plan(data / model, path, "trained", 1.0, "loihi", 1, preprocessing)
    return found
