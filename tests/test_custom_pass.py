"""The example of a user's pass: examples/custom_pass.py."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qcompiler.ir import Builder, Constant, Graph, PipelineError, Tensor, Value, evaluate, verify
from qcompiler.ir.ann import Clip, Conv, Dense, MaxPool
from qcompiler.ir.integer import neuron_count, synapse_count
from qcompiler.ir.view import Reshape
from qcompiler.passes import Pipeline

EXAMPLES = Path(__file__).parents[1] / "examples"
NAME = "custom_pass:DropDeadChannels"
TO_SPIKES = "normalize,quantize,assign-windows,insert-readout"


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


class Net:
    """A chain of layers whose parameters are small integers, so that any sum is exact."""

    def __init__(self, *shape: int) -> None:
        self.rng = np.random.default_rng(5)
        self.builder = Builder()
        self.value: Value = self.builder.input("x", Tensor(shape))
        self.weights: list[np.ndarray[Any, Any]] = []

    def linear(self, op: Conv | Dense, name: str, *shape: int) -> "Net":
        weight = self.rng.integers(1, 4, shape) * self.rng.choice([-1, 1], shape)
        bias = self.rng.integers(1, 4, (shape[0], *(1,) * (len(shape) - 2)))
        arrays = weight.astype(np.float32), bias.astype(np.float32)
        self.weights.append(arrays[0])
        self.weights.append(arrays[1])
        w, b = (Constant(f"{name}.{k}", a) for k, a in zip("wb", arrays, strict=True))
        self.value = self.builder.add(op, self.value, w, b, name=name, origin=(name,))
        return self

    def conv(self, name: str, outs: int, kernel: int = 3, groups: int = 1) -> "Net":
        op = Conv((1, 1), (1, 1, 1, 1), (1, 1), groups)
        return self.linear(op, name, outs, self.value.type.shape[0] // groups, kernel, kernel)

    def dense(self, name: str, outs: int) -> "Net":
        return self.linear(Dense(), name, outs, int(np.prod(self.value.type.shape)))

    def relu(self) -> "Net":
        self.value = self.builder.add(Clip(0.0), self.value, name="relu")
        return self

    def pool(self) -> "Net":
        op = MaxPool((2, 2), (0,) * 4, (1, 1), (2, 2))
        self.value = self.builder.add(op, self.value, name="pool")
        return self

    def flat(self) -> "Net":
        op = Reshape((int(np.prod(self.value.type.shape)),))
        self.value = self.builder.add(op, self.value, name="flat")
        return self

    def graph(self) -> Graph:
        return self.builder.build([self.value])
