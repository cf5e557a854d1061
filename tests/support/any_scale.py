"""Random networks whose features, weights and biases have any scale, beside the same in levels.

``python -m tests.support.any_scale [FIRST [COUNT]]`` tells of each; 200 take a minute of a core.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import onnx

import qcompiler
from qcompiler.ir import CompileError
from tests.support.onnx_models import Array, model

LEVELS = 64
NETWORKS = 200
ACTIVATIONS = ("Relu", "Identity", "LeakyRelu<alpha=0.5>", "Tanh", "Sigmoid")
_SPREAD = 1e-3  # of an output, by which the error of a nearly constant element is measured
_WEIGHTS = 2.0  # times the error of levels: weights are rounded as well


def scales(rng: np.random.Generator, *shape: int) -> Array:
    """Log-uniform over eight decades."""
    found: Array = 10.0 ** rng.uniform(-4, 4, shape)
    return found


def applied(activation: str, x: Array) -> Array:
    name = activation.partition("<")[0]
    with np.errstate(over="ignore"):
        found: dict[str, Array] = {
            "Relu": np.maximum(x, 0),
            "Identity": x,
            "LeakyRelu": np.where(x > 0, x, x / 2),
            "Tanh": np.tanh(x),
            "Sigmoid": 1 / (1 + np.exp(-x)),
        }
    return found[name]


def rounded(x: Array, each: bool = False) -> Array:
    """Numbers in levels over the range of all, or of each feature."""
    axis = 0 if each else None
    low, high = x.min(axis=axis), x.max(axis=axis)
    step = np.where(high > low, (high - low) / (LEVELS - 1), 1)
    found: Array = np.rint((x - low) / step) * step + low
    return found


class Network:
    """A random perceptron and its data; the layers' weights suit the scales of what they read."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        features = int(rng.integers(2, 9))
        spread = scales(rng, features)
        centre = spread * rng.uniform(-100, 100, features) * rng.integers(0, 2, features)
        self.x = (centre + spread * rng.normal(size=(300, features))).astype(np.float32)
        self.layers: list[tuple[Array, Array, str]] = []
        x = self.x.astype(np.float64)
        for last in [False] * int(rng.integers(0, 3)) + [True]:
            width = int(rng.integers(1, 5) if last else rng.integers(4, 17))
            reach = np.maximum(x.std(axis=0), 1e-2 * x.std(axis=0).max() + 1e-30)
            weight = rng.normal(size=(width, x.shape[1])) / reach * scales(rng, 1)
            sums = x @ weight.T
            bias = sums.std(axis=0) * rng.normal(size=width) * scales(rng, 1)[0] ** 0.25
            if rng.random() < 0.5:
                bias = bias - sums.mean(axis=0)
            with np.errstate(over="ignore"):
                weight, bias = weight.astype(np.float32), bias.astype(np.float32)
            activation = "Identity" if last else str(rng.choice(ACTIVATIONS))
            self.layers.append((weight, bias, activation))
            x = applied(activation, x @ weight.T.astype(np.float64) + bias)

    def outputs(self, levels: bool = False) -> Array:
        """In real numbers, or with all values in levels: inputs and outputs each feature by itself.

        The halves of a LeakyReLU are values of their own.
        """
        x: Array = self.x.astype(np.float64)
        x = rounded(x, each=True) if levels else x
        for index, (weight, bias, activation) in enumerate(self.layers):
            x = x @ weight.T.astype(np.float64) + bias
            if levels and activation.startswith("Leaky"):
                x = rounded(np.maximum(x, 0)) + rounded(np.minimum(x, 0)) / 2
            else:
                x = applied(activation, x)
                x = rounded(x, each=index == len(self.layers) - 1) if levels else x
        return x

    def proto(self) -> onnx.ModelProto:
        arrays: dict[str, Any] = {}
        body, source = "", "x"
        for index, (weight, bias, activation) in enumerate(self.layers):
            arrays |= {f"w{index}": weight, f"b{index}": bias}
            result = "y" if index == len(self.layers) - 1 else f"r{index}"
            body += f"s{index} = Gemm<transB=1>({source}, w{index}, b{index}) "
            name, _, attributes = activation.partition("<")
            call = f"{name}<{attributes}" if attributes else name
            body += f"{result} = {call}(s{index}) "
            source = result
        return model(f"float[N,{self.x.shape[1]}] x", body, **arrays)


def errors(found: Array, exact: Array) -> Array:
    """Root mean square error of each output, by its spread."""
    spread = np.maximum(exact.std(axis=0), _SPREAD * exact.std() + 1e-30)
    result: Array = np.sqrt(np.mean((found - exact) ** 2, axis=0)) / spread
    return result


class Outcome(NamedTuple):
    """How far the outputs of a program are off, what levels alone explain, and what was told."""

    found: Array
    levels: Array
    told: str

    @property
    def exact(self) -> bool:
        """Whether levels and the rounding of weights explain the error."""
        return bool((self.found <= _WEIGHTS * self.levels + 1 / LEVELS).all())


def outcome(seed: int) -> Outcome:
    """Compile one network and compare its outputs."""
    network = Network(seed)
    exact = network.outputs()
    assert np.isfinite(exact).all()
    levels = errors(network.outputs(levels=True), exact)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            program = qcompiler.compile(
                network.proto(), target="reference", calibration=network.x, t_max=LEVELS
            )
        except CompileError as error:
            return Outcome(np.full(len(levels), np.inf), levels, str(error))
    found = errors(np.asarray(program.run(network.x)), exact)
    return Outcome(found, levels, "".join(str(one.message) for one in caught))


def main() -> int:
    """Print what is not exact; 1 if anything is silent."""
    first, count = (*map(int, sys.argv[1:3]), *(0, NETWORKS)[len(sys.argv) - 1 :])
    silent = 0
    for seed in range(first, first + count):
        if not np.isfinite(Network(seed).outputs()).all():
            continue  # its numbers leave single precision
        one = outcome(seed)
        if not one.exact:
            silent += not one.told
            told = one.told.partition("\n")[0] or "SILENT"
            print(seed, np.round(one.found, 3), np.round(one.levels, 3), told, flush=True)
    print(f"{silent} of {count} are silent")
    return int(silent > 0)


if __name__ == "__main__":
    sys.exit(main())
