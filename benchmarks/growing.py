"""Networks of one shape and any length, with random weights: what compile time grows with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from networks import Writer

Family = Callable[[Writer, int], "list[str]"]

_CHANNELS, _SIDE, _GROWTH = 4, 6, 4
SHAPE = (_CHANNELS, _SIDE, _SIDE)


def network(family: str, size: int) -> onnx.ModelProto:
    """The network of a family with so many layers, sums, branches or outputs."""
    writer = Writer()
    return writer.model(family, SHAPE, FAMILIES[family](writer, size))


def chain(writer: Writer, size: int) -> list[str]:
    """Convolutions, each with batch normalisation and ReLU6.

    Each nearly passes its input on: values neither fade nor grow, however many layers there are.
    """
    x, ends = "input", (writer.constant(0), writer.constant(6))
    for _ in range(size):
        weight = 0.002 * writer.rng.standard_normal((_CHANNELS, _CHANNELS, 3, 3))
        weight[range(_CHANNELS), range(_CHANNELS), 1, 1] += 1
        x = writer.add("Conv", x, writer.constant(weight), pads=[1] * 4)
        scale = writer.rng.uniform(0.98, 1.02, _CHANNELS)
        statistics = scale, np.zeros(_CHANNELS), np.zeros(_CHANNELS), np.ones(_CHANNELS)
        x = writer.add("BatchNormalization", x, *map(writer.constant, statistics))
        x = writer.add("Clip", x, *ends)
    return [x]


def products(writer: Writer, size: int) -> list[str]:
    """A chain of products with constants, near one lest the last is zero."""
    x = "input"
    for factor in np.exp(writer.rng.uniform(-0.1, 0.1, (size, _CHANNELS, 1, 1))):
        x = writer.add("Mul", x, writer.constant(factor))
    return [writer.add("Relu", x)]


def reshapes(writer: Writer, size: int) -> list[str]:
    """One reshape after the other, back and forth."""
    x, shapes = "input", [(0, -1), (0, *SHAPE)]
    for index in range(size):
        x = writer.add("Reshape", x, writer.integers(shapes[index % 2]))
    x = writer.add("Reshape", x, writer.integers(shapes[1]))
    return [writer.conv(x, _CHANNELS, _CHANNELS, 3)]


def sums(writer: Writer, size: int) -> list[str]:
    """Layers of the input, added in pairs, and these in pairs again, to the last."""
    values = [writer.conv("input", _CHANNELS, _CHANNELS, 1) for _ in range(size)]
    while len(values) > 1:
        left = values[len(values) // 2 * 2 :]
        pairs = zip(values[::2], values[1::2], strict=False)
        values = [writer.add("Add", *pair) for pair in pairs] + left
    return [writer.add("Relu", values[0])]


def running_sum(writer: Writer, size: int) -> list[str]:
    """Layers of the input, added one after the other."""
    total = writer.conv("input", _CHANNELS, _CHANNELS, 1)
    for _ in range(size - 1):
        total = writer.add("Add", total, writer.conv("input", _CHANNELS, _CHANNELS, 1))
    return [writer.add("Relu", total)]


def concatenation(writer: Writer, size: int) -> list[str]:
    """One concatenation of layers of the input, and a layer of it."""
    values = [writer.conv("input", _CHANNELS, 1, 1) for _ in range(size)]
    return [writer.conv(writer.add("Concat", *values, axis=1), size, _CHANNELS, 1)]


def dense_block(writer: Writer, size: int) -> list[str]:
    """As in DenseNet: each layer reads what all before it have computed, normalised anew."""
    x, channels, ends = "input", _CHANNELS, (writer.constant(0), writer.constant(6))
    for _ in range(size):
        y = writer.add("BatchNormalization", x, *writer.statistics(channels))
        y = writer.conv(writer.add("Clip", y, *ends), channels, _GROWTH, 3, relu=False)
        x, channels = writer.add("Concat", x, y, axis=1), channels + _GROWTH
    return [writer.add("Relu", x)]


def outputs(writer: Writer, size: int) -> list[str]:
    """As many outputs, one layer each."""
    return [writer.conv("input", _CHANNELS, 1, 1) for _ in range(size)]


_ALL = (chain, products, reshapes, sums, running_sum, concatenation, dense_block, outputs)
FAMILIES: Mapping[str, Family] = {made.__name__: made for made in _ALL}
