"""The 8-bit kernels of the fast engine: stacked, packed and unrolled, they give the same levels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from qcompiler.backends.reference.fast.closed_form import ClosedForm
from qcompiler.backends.reference.fast.fast_engine import FastEngine
from qcompiler.backends.reference.steps_engine import StepsEngine
from qcompiler.ir import Builder, Constant, Graph, Tensor, Value
from qcompiler.ir.snn import Connect, Convolve, Decode, Encode, First, Neuron, Relay
from tests.support.random_networks import compiled

POINT = Convolve((1, 1), (0,) * 4, (1, 1))
SAME = Convolve((1, 1), (1,) * 4, (1, 1))


class Network:
    """A network of given integers, at random."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.build, self.rng, self.count = Builder("bytes"), np.random.default_rng(seed), 0
        self.input = self.build.input("input", Tensor(shape))

    def encoded(self, t_max: int, digits: int = 1) -> list[Value]:
        return [
            self.build.add(
                Encode(t_max, 1.0, digits=digits, digit=digit), self.input, name=f"digit{digit}"
            )
            for digit in range(digits)
        ]

    def layer(self, *synapses: tuple[Any, Value, Any], bias: Any = None, top: int = 15) -> Value:
        """A population that sums up synapses: operation, source, weights or their shape."""
        self.count += 1
        name, currents = f"layer{self.count}", []
        for index, (op, source, weight) in enumerate(synapses):
            if isinstance(weight, tuple):
                weight = self.rng.integers(-100, 128, weight)
            data = Constant(f"{name}.W{index}", np.asarray(weight).astype(np.int32))
            currents.append(self.build.add(op, source, data, name=f"{name}.current{index}"))
        shape = currents[0].type.shape
        spread = (*shape[:1], *(1,) * (len(shape) - 1))
        given = self.rng.integers(-300, 900, spread) if bias is None else np.asarray(bias)
        slope = self.rng.integers(150, 400, spread)
        constants = (
            Constant(f"{name}.{k}", v.astype(np.int32)) for k, v in (("B", given), ("D", slope))
        )
        return self.build.add(Neuron(top + 1), *currents, *constants, name=name)

    def checked(self, value: Value, images: np.ndarray[Any, Any]) -> Counter[str]:
        """Compile, hold the engines to each other, and count the kernels."""
        built = self.build.build([self.build.add(Decode(), value, name="levels")])
        return checked(compiled(built, "assign-windows,insert-readout"), images)


def checked(graph: Graph, images: np.ndarray[Any, Any]) -> Counter[str]:
    golden, fast = StepsEngine(graph)(images, record=True), FastEngine(graph)
    recorded, bare = fast(images, record=True), fast(images, count=False)
    for name, levels in golden.levels.items():
        np.testing.assert_array_equal(levels, recorded.levels[name], err_msg=name)
    assert golden.counters == recorded.counters
    np.testing.assert_array_equal(golden.outputs[0], bare.outputs[0])
    return Counter(node.op_type for node in ClosedForm(graph, False, False).writer.nodes)


@pytest.mark.parametrize(("t_max", "channels"), [(8, 1), (16, 1), (11, 2)])
def test_neighbours_are_computed_and_pooled_at_once(t_max: int, channels: int) -> None:
    """Digits of an input, of 16 x 16 levels at most; then few channels, and a max pool."""
    net = Network((channels, 20, 20), t_max)
    low, high = net.encoded(t_max, digits=2)
    fine = net.rng.integers(-9, 10, (6, channels, 5, 5))
    rough = t_max * fine + net.rng.integers(-5, 6, fine.shape)
    op = Convolve((1, 1), (0,) * 4, (1, 1))
    value = net.layer((op, high, rough), (op, low, fine))
    value = net.build.add(First((2, 2), (0,) * 4, (1, 1), (2, 2)), value, name="pool")
    value = net.layer((SAME, value, (12, 6, 3, 3)))
    kernels = net.checked(value, net.rng.integers(0, t_max**2, (5, channels, 20, 20)))
    assert kernels["Conv"] == 0
    assert kernels["QLinearConv"] == 2
    assert kernels["Transpose"] >= 3


@pytest.mark.parametrize(
    ("pool", "strides", "height", "dilation"),
    [
        ((2, 2), (2, 2), 20, 1),
        ((2, 2), (2, 2), 21, 1),
        ((2, 2), (1, 2), 20, 1),
        ((3, 2), (3, 2), 22, 1),
        ((1, 2), (1, 2), 20, 1),
        ((2, 2), (2, 2), 20, 2),
    ],
)
def test_pools_take_rows_that_are_computed_at_once(
    pool: tuple[int, int], strides: tuple[int, int], height: int, dilation: int
) -> None:
    """Blocks of rows, where these lie apart and the pool takes all; else rows one by one."""
    net = Network((2, height, 20), 4)
    (source,) = net.encoded(16)
    op = Convolve((1, 1), (1, 1, dilation - 1, 2), (dilation, 1))
    value = net.layer((op, source, (6, 2, 4, 4)))
    value = net.build.add(First(strides, (0,) * 4, (1, 1), pool), value, name="pool")
    built = net.build.build([net.build.add(Decode(), value, name="levels")])
    graph = compiled(built, "assign-windows,insert-readout")
    checked(graph, net.rng.integers(0, 17, (3, 2, height, 20)).astype(np.float32))
    writer = ClosedForm(graph, False, False).writer
    (kernel,) = (node for node in writer.nodes if node.op_type == "QLinearConv")
    (steps,) = (list(a.ints) for a in kernel.attribute if a.name == "strides")
    apart = strides == pool and value.type.shape[1] * pool[0] == height - 2 * dilation
    assert steps[0] == (pool[0] if apart and dilation == 1 else 1)
    assert steps[1] > 1


@pytest.mark.parametrize("wide", [False, True])
def test_kernels_as_large_as_their_sources_are_products_of_matrices(wide: bool) -> None:
    """Alone and beside a source of other weights, in channels of 8 bits and of more."""
    net = Network((16, 6, 6), 6)
    (source,) = net.encoded(16)
    value = net.layer((SAME, source, (24, 16, 3, 3)))
    weight = net.rng.integers(-100, 101, (32, 24, 6, 6)) * (4 if wide else 1)
    whole = Convolve((1, 1), (0,) * 4, (1, 1))
    value = net.layer((whole, value, weight), (whole, source, (32, 16, 6, 6)))
    value = net.layer((POINT, value, (20, 32, 1, 1)))
    kernels = net.checked(value, net.rng.integers(0, 17, (4, 16, 6, 6)).astype(np.float32))
    assert (kernels["QLinearConv"], kernels["QGemm"]) == (1, 2)


def test_branches_of_wide_weights_and_strides_are_one_kernel() -> None:
    net = Network((16, 8, 8), 0)
    (source,) = net.encoded(16)
    value = net.layer((SAME, source, (24, 16, 3, 3)))
    value = net.layer(
        (Convolve((2, 2), (1,) * 4, (1, 1)), value, (32, 24, 3, 3)),
        (Convolve((2, 2), (0,) * 4, (1, 1)), source, net.rng.integers(0, 1500, (32, 16, 1, 1))),
    )
    relayed = net.layer((SAME, value, (32, 32, 3, 3)), (Relay(), value, np.full((32, 1, 1), 700)))
    kernels = net.checked(relayed, net.rng.integers(0, 16, (4, 16, 8, 8)))
    assert kernels["Conv"] == 0
    assert kernels["QLinearConv"] == 3
    assert kernels["QLinearLeakyRelu"] >= 1  # multiples of levels


@pytest.mark.parametrize("odd", [False, True])
def test_biases_that_differ_near_borders_are_kernels_of_ones(odd: bool) -> None:
    """What padding leaves out; another bias takes float32."""
    net = Network((3, 9, 9), 1)
    (source,) = net.encoded(16)
    outside = np.pad(np.zeros((1, 9, 9), int), ((0, 0), (1, 1), (1, 1)), constant_values=1)
    weight = net.rng.integers(-100, 128, (16, 3, 3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(outside[0], (3, 3))
    bias = 200 + np.einsum("yxij,oij->oyx", windows, 7 * weight.sum(axis=1))
    bias[3, 4, 4] += odd
    value = net.layer((SAME, source, weight), bias=bias)
    kernels = net.checked(value, net.rng.integers(0, 16, (4, 3, 9, 9)))
    assert (kernels["Conv"] > 0) == odd


def test_populations_with_the_same_sources_are_one_kernel() -> None:
    """Readers of all read the stack; a reader of one, its channels."""
    net = Network((24, 6, 6), 2)
    (source,) = net.encoded(16)
    parts = [net.layer((SAME, source, (count, 24, 3, 3))) for count in (5, 16)]
    both = net.layer(*((SAME, part, (16, part.type.shape[0], 3, 3)) for part in parts))
    one = net.layer((POINT, both, (20, 16, 1, 1)), (POINT, parts[1], (20, 16, 1, 1)))
    end = net.layer((Connect(), one, (16, 720)))
    kernels = net.checked(end, net.rng.integers(0, 16, (4, 24, 6, 6)))
    assert (kernels["QLinearConv"], kernels["QGemm"]) == (3, 1)
    assert kernels["Slice"] == 1


def test_levels_above_127_keep_pairs_of_products_within_16_bits() -> None:
    """Without VNNI, kernels add two products of 8 bits in 16 bits."""
    net = Network((64,), 3)
    (source,) = net.encoded(256)
    value = net.layer((Connect(), source, net.rng.integers(60, 128, (48, 64))), bias=np.zeros(48))
    net.checked(value, net.rng.integers(0, 256, (8, 64)).astype(np.float32))
    built = net.build.build([net.build.add(Decode(), value, name="levels")])
    form = ClosedForm(compiled(built, "assign-windows,insert-readout"), False, False)
    (kernel,) = (node for node in form.writer.nodes if node.op_type == "QGemm")
    weight = form.writer.constants[kernel.input[3]]
    assert 2 * 255 * np.abs(weight.astype(int)).max() <= 32767


@pytest.mark.parametrize(("small", "large"), [(1, 2), (2, 3)])
def test_kernels_of_different_sizes_lie_apart(small: int, large: int) -> None:
    """In one sum, and in two populations with one source: their operations may be equal."""
    halved = Convolve((2, 2), (0,) * 4, (1, 1))
    images = np.random.default_rng(5).uniform(0, 15, (6, 4, 9, 9))
    weights = ((6, 4, small, small), (6, 4, large, large))
    if (9 - small) // 2 == (9 - large) // 2:
        network = Network((4, 9, 9), 3)
        (source,) = network.encoded(16)
        network.checked(network.layer(*((halved, source, weight) for weight in weights)), images)
    network = Network((4, 9, 9), 4)
    (source,) = network.encoded(16)
    ends = [network.layer((halved, source, weight)) for weight in weights]
    outputs = [network.build.add(Decode(), end, name=f"levels{i}") for i, end in enumerate(ends)]
    checked(compiled(network.build.build(outputs), "assign-windows,insert-readout"), images)


def test_only_channels_with_large_weights_are_copied() -> None:
    """Weights beyond 127 take a second copy of their channels, and not of the others."""
    net = Network((48, 8, 8), 5)
    (source,) = net.encoded(16)
    weight = net.rng.integers(-120, 121, (64, 48, 3, 3))
    weight[:, [4, 9, 20]] *= 2
    weight[:, 1] *= 3
    value = net.layer((SAME, source, weight))
    built = net.build.build([net.build.add(Decode(), value, name="levels")])
    graph = compiled(built, "assign-windows,insert-readout")
    checked(graph, net.rng.integers(0, 17, (3, 48, 8, 8)).astype(np.float32))
    writer = ClosedForm(graph, False, False).writer
    (kernel,) = (node for node in writer.nodes if node.op_type == "QLinearConv")
    assert writer.constants[kernel.input[3]].shape[1] == 48 + 3 + 1


def test_populations_that_end_at_different_levels_are_one_kernel() -> None:
    """Of 16 outputs: as many as 8 alone take."""
    net = Network((512, 8, 8), 9)
    (source,) = net.encoded(16)
    low, high = (net.layer((POINT, source, (8, 512, 1, 1)), top=top) for top in (7, 15))
    value = net.layer((SAME, low, (32, 8, 3, 3)), (SAME, high, (32, 8, 3, 3)))
    kernels = net.checked(value, net.rng.integers(0, 17, (3, 512, 8, 8)).astype(np.float32))
    assert kernels["QLinearConv"] == 2
