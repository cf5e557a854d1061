"""What is measured: networks, images for them, and how they are compiled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import networks
import numpy as np

_ROOT = Path(__file__).parents[1]
_DIGITS = _ROOT / "examples" / "digits"


class Plan(NamedTuple):
    """A model, images for it, where its weights come from, divisor of its inputs, target."""

    model: Path
    images: Path
    weights: str = "random weights"
    divisor: float = 1.0
    target: str = "reference"
    effort: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """What `qcompiler.compile` is told besides the images."""
        scale = {} if self.divisor == 1 else {"scale_values": (self.divisor,)}
        return {"target": self.target, "effort": self.effort, **scale}

    def frames(self, count: int, shape: tuple[int, ...]) -> Any:
        """The first images, raw, in the shape of the network's input."""
        with np.load(self.images) as archive:
            raw = archive["images"][:count].astype(np.float32)
        return raw.reshape(len(raw), *shape)


def prepare(folder: Path) -> Mapping[str, Plan]:
    """Write the networks, but take the trained one for MNIST if it is there; digits always is."""
    networks.write(folder)
    plans = {n: Plan(folder / f"{n}.onnx", folder / f"{n}.npz") for n in networks.NAMES}
    data = Path(os.environ.get("QCOMPILER_DATA") or _ROOT / "../shared/data") / "mnist"
    trained = Plan(data / "mnist_convnet.onnx", data / "mnist_train_2000.npz", "trained")
    found = trained if trained.model.is_file() and trained.images.is_file() else plans["mnist"]
    for name in ("resnet18", "mobilenet"):
        plans[name] = plans[name]._replace(effort=0)
    digits = _DIGITS / "digits.onnx", _DIGITS / "digits_calibration.npz"
    return {
        **plans,
        "mnist": found._replace(divisor=255.0, target="loihi"),
        "digits": Plan(*digits, "trained", 16.0, "loihi"),
    }
