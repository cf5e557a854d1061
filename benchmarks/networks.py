"""Networks to measure with: the shapes of trained ones, and random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# A convolution is (channels, kernel, padding); "M" is a 2x2 max pool.
Layer: TypeAlias = "tuple[int, int, int] | str"

NAMES = ("mnist", "vgg11", "resnet18", "mobilenet", "large")

_VGG11 = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512)
_LARGE = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", *(512,) * 5, "M", 896, 1088)


def write(folder: Path) -> None:
    """Write all networks, and images for each: ``<network>.onnx``, ``<network>.npz``."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (2000, 28, 28), np.uint8)
    for network, images in (
        (mnist(), pixels),
        (vgg11(), rng.random((32, 3, 32, 32), np.float32)),
        (resnet18(), rng.random((8, 3, 224, 224), np.float32)),
        (mobilenet(), rng.random((8, 3, 224, 224), np.float32)),
        (large(), rng.random((8, 3, 64, 64), np.float32)),
    ):
        path = folder / network.graph.name
        onnx.save(network, path.with_suffix(".onnx"))
        np.savez(path.with_suffix(".npz"), images=images)


def mnist() -> onnx.ModelProto:
    """6C5-P2-12C5-P2-120C4-10 on 1x28x28: 26,000 parameters."""
    return _network("mnist", (1, 28, 28), ((6, 5, 0), "M", (12, 5, 0), "M", (120, 4, 0)))


def vgg11() -> onnx.ModelProto:
    """VGG11 for 3x32x32, with one dense layer: 9.2 million parameters."""
    return _network("vgg11", (3, 32, 32), _same(_VGG11))


def resnet18() -> onnx.ModelProto:
    """ResNet-18 for 3x224x224, batch normalisation merged: 11 million parameters."""
    writer = Writer()
    x = writer.conv("input", 3, 64, 7, stride=2)
    x = writer.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for width in (64, 128, 256, 512):
        for stride in (1 if width == 64 else 2, 1):
            y = writer.conv(x, channels, width, 3, stride=stride)
            y = writer.conv(y, width, width, 3, relu=False)
            if channels != width:
                x = writer.conv(x, channels, width, 1, stride=stride, relu=False)
            x, channels = writer.add("Relu", writer.add("Add", y, x)), width
    return _classified(writer, "resnet18", x, channels)


def mobilenet() -> onnx.ModelProto:
    """MobileNetV1 for 3x224x224 and ten classes: 3.2 million parameters."""
    writer = Writer()
    x, channels = writer.conv("input", 3, 32, 3, stride=2), 32
    widths = (64, 128, 128, 256, 256, 512, *(512,) * 5, 1024, 1024)
    for index, width in enumerate(widths):
        stride = 2 if index in (1, 3, 5, 11) else 1
        x = writer.conv(x, channels, channels, 3, stride=stride, group=channels)
        x, channels = writer.conv(x, channels, width, 1), width
    return _classified(writer, "mobilenet", x, channels)


def _classified(writer: Writer, name: str, x: str, channels: int) -> onnx.ModelProto:
    x = writer.add("Flatten", writer.add("GlobalAveragePool", x))
    writer.add("Gemm", x, *writer.linear(10, channels), transB=1)
    return writer.model(name, (3, 224, 224))


def large(narrower: int = 1) -> onnx.ModelProto:
    """Convolutions with batch normalisation on 3x64x64: 100 MB of parameters, if not narrower."""
    widths = (width if isinstance(width, str) else width // narrower for width in _LARGE)
    return _network("large", (3, 64, 64), _same(tuple(widths)), batchnorm=True)


def _same(widths: Sequence[int | str]) -> tuple[Layer, ...]:
    return tuple(width if isinstance(width, str) else (width, 3, 1) for width in widths)


def _network(
    name: str, shape: tuple[int, int, int], layers: Sequence[Layer], batchnorm: bool = False
) -> onnx.ModelProto:
    """Convolutions with ReLU, pools, then a dense layer to ten outputs."""
    writer = Writer()
    value, (channels, space, _) = "input", shape
    for layer in layers:
        if isinstance(layer, str):
            value, space = (
                writer.add("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2]),
                space // 2,
            )
            continue
        wide, kernel, pad = layer
        weights = writer.linear(wide, channels, kernel, kernel)
        value = writer.add("Conv", value, *weights, pads=[pad] * 4)
        if batchnorm:
            value = writer.add("BatchNormalization", value, *writer.statistics(wide))
        value = writer.add("Relu", value)
        channels, space = wide, space + 2 * pad - kernel + 1
    value = writer.add("Flatten", value)
    writer.add("Gemm", value, *writer.linear(10, channels * space * space), transB=1)
    return writer.model(name, shape)


class Writer:
    """Collects nodes and initialisers; the last node's result is the network's output."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, data: Any) -> str:
        return self._initializer(np.asarray(data, np.float32))

    def integers(self, data: Any) -> str:
        return self._initializer(np.asarray(data, np.int64))

    def _initializer(self, data: Any) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(data, name))
        return name

    def linear(self, *shape: int) -> tuple[str, str]:
        """A He-scaled weight and a small bias."""
        weight = self.rng.standard_normal(shape, np.float32)
        weight *= np.sqrt(2 * shape[0] / weight.size)
        return self.constant(weight), self.constant(0.05 * self.rng.standard_normal(shape[0]))

    def conv(
        self,
        x: str,
        channels: int,
        wide: int,
        kernel: int,
        stride: int = 1,
        group: int = 1,
        relu: bool = True,
    ) -> str:
        """A convolution that keeps the size of the image, or takes every other place."""
        weights = self.linear(wide, channels // group, kernel, kernel)
        sliding = {"pads": [kernel // 2] * 4, "strides": [stride] * 2, "group": group}
        x = self.add("Conv", x, *weights, **sliding)
        return self.add("Relu", x) if relu else x

    def statistics(self, channels: int) -> tuple[str, ...]:
        """Scale, shift, mean and variance."""
        spread, offset = (0.9, 1.1), (-0.1, 0.1)
        bounds = (spread, offset, offset, spread)
        return tuple(self.constant(self.rng.uniform(*ends, channels)) for ends in bounds)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        result = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [result], name=result, **attributes))
        return result

    def model(
        self, name: str, shape: tuple[int, ...], outputs: Sequence[str] = ()
    ) -> onnx.ModelProto:
        """The network of all nodes; its output is the last one's result, if none are named."""
        first = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *shape])
        ends = [
            helper.make_tensor_value_info(end, TensorProto.FLOAT, None)
            for end in outputs or [self.nodes[-1].output[0]]
        ]
        graph = helper.make_graph(self.nodes, name, [first], ends, self.weights)
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)
