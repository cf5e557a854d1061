"""Random networks at the tensor level, for property tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import Phase

from qcompiler.ir import Builder, Constant, Graph, InvalidGraph, Tensor, Value, ann
from qcompiler.ir.view import Reshape, Take, Transpose
from qcompiler.passes import Pipeline

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a smaller seed is no smaller network
Array = np.ndarray[Any, Any]
REFERENCE = (
    "fold-batchnorm,fold-linear,split-inputs,normalize,quantize,assign-windows,insert-readout"
)
CALIBRATED = REFERENCE.replace("quantize", "quantize{potential=131071 input=32512}")
LOIHI = CALIBRATED.replace("input=32512", "input=32512 proved=true")  # holds for every input


class Random:
    """Grows a network layer by layer; ``rng`` decides everything."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = Builder("random")
        self.count = 0

    def network(self, depth: int, branches: bool, functions: bool = False) -> Graph:
        rng = self.rng
        space = tuple(int(n) for n in rng.integers(5, 9, rng.integers(1, 3)))
        value = self.builder.input("input", Tensor((int(rng.integers(1, 5)), *space)))
        layers: tuple[Callable[[Value], Value], ...] = (
            *(self.conv, self.conv, self.depthwise, self.maximum, self.average),
            *(self.batchnorm, self.affine, self.pad, self.clip, self.views),
        )
        joins: tuple[Callable[[Value], Value], ...] = ()
        if branches:
            joins = (self.residual, self.residual, self.concat, self.halves, self.embedded)
        if functions:
            joins = (*joins, self.function, self.product)
        for _ in range(depth):
            chosen = joins if joins and rng.random() < 0.5 else layers
            value = chosen[rng.integers(len(chosen))](value)
        if rng.random() < 0.7:
            value = self.dense(value)
        return self.builder.build([value], ["output"])

    def add(self, op: Any, *operands: Any) -> Value:
        self.count += 1
        name = f"{op.mnemonic.split('.')[1]}{self.count}"
        return self.builder.add(op, *operands, name=name, origin=(name,))

    def constant(self, *shape: int, offset: float = 0.0, scale: float = 1.0) -> Constant:
        self.count += 1
        data = self.rng.standard_normal(shape) * scale + offset
        return Constant(f"c{self.count}", data.astype(np.float32))

    def sliding(self, space: tuple[int, ...]) -> tuple[tuple[int, ...], dict[str, Any]]:
        """A kernel and its attributes that fit the space."""
        rng, rank = self.rng, len(space)
        dilations = tuple(int(d) for d in rng.integers(1, 3, rank))
        kernel = tuple(
            int(rng.integers(1, max(2, min(4, (n - 1) // d + 2))))
            for n, d in zip(space, dilations, strict=True)
        )
        pads = tuple(
            int(rng.integers(0, (k - 1) * d + 1) if k > 1 else 0)
            for _ in range(2)
            for k, d in zip(kernel, dilations, strict=True)
        )
        strides = tuple(int(s) for s in rng.integers(1, 3, rank))
        return kernel, {"strides": strides, "pads": pads, "dilations": dilations}

    def conv(self, x: Value, groups: int = 1) -> Value:
        shape = x.type.shape
        outputs = groups * int(self.rng.integers(1, 4))
        kernel, attributes = self.sliding(shape[1:])
        weight = self.constant(outputs, shape[0] // groups, *kernel, scale=0.5)
        bias = self.constant(outputs, *(1,) * len(kernel), scale=0.3)
        found = self.add(ann.Conv(groups=groups, **attributes), x, weight, bias)
        return self.clip(found) if self.rng.random() < 0.7 else found

    def depthwise(self, x: Value) -> Value:
        return self.conv(x, groups=x.type.shape[0])

    def maximum(self, x: Value) -> Value:
        kernel, attributes = self.sliding(x.type.shape[1:])
        try:
            return self.add(ann.MaxPool(kernel=kernel, **attributes), x)
        except InvalidGraph:  # a dilated window that sees only padding
            return x

    def average(self, x: Value) -> Value:
        kernel, attributes = self.sliding(x.type.shape[1:])
        pooled = self.add(ann.SumPool(kernel=kernel, **attributes), x)
        share = np.full((1,) * len(x.type.shape), 1 / np.prod(kernel), np.float32)
        self.count += 1
        zero = Constant(f"z{self.count}", np.zeros_like(share))
        return self.add(ann.Affine(), pooled, Constant(f"s{self.count}", share), zero)

    def batchnorm(self, x: Value) -> Value:
        channels = x.type.shape[0]
        scale, shift, mean = (self.constant(channels, offset=0.5) for _ in range(3))
        variance = Constant(f"v{self.count}", np.abs(self.constant(channels).data) + 0.1)
        return self.add(ann.BatchNorm(), x, scale, shift, mean, variance)

    def affine(self, x: Value) -> Value:
        shape = tuple(n if self.rng.random() < 0.5 else 1 for n in x.type.shape)
        ones = (1,) * len(shape)
        return self.add(
            ann.Affine(),
            x,
            self.constant(*(shape if self.rng.random() < 0.3 else ones), offset=1),
            self.constant(*shape, scale=0.3),
        )

    def pad(self, x: Value) -> Value:
        rank = len(x.type.shape) - 1
        pads = tuple(int(n) for n in self.rng.integers(0, 2, 2 * rank))
        value = float(self.rng.choice([0.0, 0.5]))
        return self.add(ann.Pad((0, *pads[:rank], 0, *pads[rank:]), value), x)

    def clip(self, x: Value) -> Value:
        bounds = ((0.0, None), (0.0, None), (0.0, 1.5), (-1.0, 1.0), (None, 0.5), (0.2, 2.0))
        return self.add(ann.Clip(*bounds[self.rng.integers(len(bounds))]), x)

    def views(self, x: Value) -> Value:
        shape = x.type.shape
        if len(shape) == 3 and self.rng.random() < 0.5:
            return self.add(Transpose((0, 2, 1)), x)
        if self.rng.random() < 0.5:
            order = tuple(int(i) for i in self.rng.permutation(shape[0]))
            return self.add(Take(0, order), x)
        return self.add(Reshape((shape[0], *shape[:0:-1])), x)

    def same_size(self, x: Value, channels: int, groups: int = 1) -> Value:
        """A convolution that keeps the space of its input."""
        rank = len(x.type.shape) - 1
        kernel = tuple(int(self.rng.choice([1, 3])) for _ in range(rank))
        pads = tuple(k // 2 for k in kernel) * 2
        weight = self.constant(channels, x.type.shape[0] // groups, *kernel, scale=0.4)
        bias = self.constant(channels, *(1,) * rank, scale=0.3)
        op = ann.Conv((1,) * rank, pads, (1,) * rank, groups)
        return self.add(op, x, weight, bias)

    def function(self, x: Value) -> Value:
        """Smooth, with a kink, or the same for all values."""
        formulas = ("x sigmoid", "x tanh", "x x *", "x x sigmoid *", "x abs", "x 0 * 0.5 +")
        return self.add(ann.Function(formulas[self.rng.integers(len(formulas))]), x)

    def product(self, x: Value) -> Value:
        """Of a value and its convolution, its function, or itself."""
        kind = self.rng.integers(3)
        other = self.function(x) if kind else x
        if kind == 2:
            channels, *space = x.type.shape
            ones = (1,) * len(space)
            weight = self.constant(channels, channels, *ones, scale=0.5)
            op = ann.Conv(ones, (0,) * 2 * len(space), ones)
            other = self.add(op, x, weight, self.constant(channels, *ones, scale=0.3))
        return self.add(ann.Multiply(), x, other)

    def residual(self, x: Value) -> Value:
        """A sum of one to three branches and their source, which may have another reader."""
        operands = [x] if self.rng.random() < 0.7 else []
        channels = x.type.shape[0]
        while len(operands) < 2 or self.rng.random() < 0.3:
            branch = x
            for _ in range(int(self.rng.integers(1, 3))):
                if self.rng.random() < 0.4:
                    branch = self.clip(branch)
                branch = self.same_size(branch, channels)
            operands.append(self.affine(branch) if self.rng.random() < 0.3 else branch)
        found = self.add(ann.Add(), *operands)
        if self.rng.random() < 0.3:
            found = self.affine(found)
        return self.clip(found) if self.rng.random() < 0.7 else found

    def concat(self, x: Value) -> Value:
        """Parts of different make along any axis, and something that reads them."""
        rng = self.rng
        parts = [x] if rng.random() < 0.6 else []
        while len(parts) < 2 or rng.random() < 0.3:
            part = self.same_size(x, x.type.shape[0])
            parts.append(self.clip(part) if rng.random() < 0.6 else part)
        axis = int(rng.integers(len(x.type.shape))) if rng.random() < 0.4 else 0
        found = self.add(ann.Concat(axis), *parts)
        reader = int(rng.integers(6))
        if reader == 0:
            return self.clip(self.same_size(found, found.type.shape[0], groups=x.type.shape[0]))
        if reader == 1:
            return self.clip(self.same_size(found, 3))
        return (self.maximum, self.average, self.views, self.batchnorm)[reader - 2](found)

    def halves(self, x: Value) -> Value:
        """Two slices of one axis that go their own ways and meet again."""
        axis = int(self.rng.integers(len(x.type.shape)))
        length = x.type.shape[axis]
        if length < 2:
            return self.clip(x)
        x = self.same_size(x, x.type.shape[0]) if self.rng.random() < 0.5 else x
        step = int(self.rng.choice([-1, 1]))
        halves = range(length)[: length // 2], range(length)[length - length // 2 :][::step]
        first, second = (self.add(Take(axis, tuple(half)), x) for half in halves)
        if self.rng.random() < 0.5:
            first = self.clip(first)
        return self.add(ann.Add(), self.same_size(first, first.type.shape[0]), second)

    def embedded(self, x: Value) -> Value:
        """Every other pixel among channels of zeros, added to a convolution with strides."""
        shape, rank = x.type.shape, len(x.type.shape) - 1
        y = x
        for axis in range(1, rank + 1):
            y = self.add(Take(axis, tuple(range(0, shape[axis], 2))), y)
        before, behind = (int(n) for n in self.rng.integers(0, 3, 2))
        y = self.add(ann.Pad((before, *(0,) * rank, behind, *(0,) * rank)), y)
        weight = self.constant(before + shape[0] + behind, shape[0], *(3,) * rank, scale=0.3)
        bias = self.constant(len(weight.data), *(1,) * rank, scale=0.2)
        conv = self.add(ann.Conv((2,) * rank, (1,) * 2 * rank, (1,) * rank), x, weight, bias)
        return self.clip(self.add(ann.Add(), conv, y))

    def dense(self, x: Value) -> Value:
        inputs, outputs = int(np.prod(x.type.shape)), int(self.rng.integers(2, 6))
        weight = self.constant(outputs, inputs, scale=1 / np.sqrt(inputs))
        return self.add(ann.Dense(), x, weight, self.constant(outputs))


def random_network(
    seed: int, depth: int = 5, branches: bool = False, functions: bool = False
) -> Graph:
    """A network of about this many layers, always the same for a seed."""
    return Random(seed).network(depth, branches, functions)


def random_batch(graph: Graph, seed: int, frames: int = 6) -> Array:
    """Inputs, of both signs for odd seeds."""
    rng = np.random.default_rng(seed)
    shape = (frames, *graph.inputs[0].type.shape)
    data = rng.standard_normal(shape) if seed % 2 else rng.random(shape)
    return data.astype(np.float32)


def compiled(graph: Graph, text: str = REFERENCE, **options: Any) -> Graph:
    """Run a pipeline; options fill what its text leaves open."""
    return Pipeline.parse(text, defaults=options).run(graph)
