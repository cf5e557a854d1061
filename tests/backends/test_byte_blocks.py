"""Kernels of the fast engine that read columns, or zeros, as further channels."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.backends.reference.fast.closed_form import ClosedForm
from qcompiler.ir import Graph
from qcompiler.ir.snn import Connect, Convolve, Decode, First
from tests.backends.test_byte_kernels import Network, checked
from tests.support.random_networks import compiled

POOL = First((2, 2), (0,) * 4, (1, 1), (2, 2))


def weights_of(graph: Graph) -> list[tuple[int, ...]]:
    """The shapes of the 8-bit kernels of a graph, in order."""
    writer = ClosedForm(graph, False, False).writer
    kernels = (node for node in writer.nodes if node.op_type == "QLinearConv")
    return [writer.constants[node.input[3]].shape for node in kernels]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "stride", "pads", "dilation", "width"),
    [
        (5, 1, (0, 0, 0, 0), 1, 20),
        (5, 1, (2, 2, 2, 2), 1, 16),
        (7, 2, (3, 3, 3, 3), 1, 20),
        (3, 2, (0, 1, 1, 0), 1, 21),
        (3, 1, (1, 3, 1, 0), 2, 12),
        (4, 3, (1, 2, 1, 1), 1, 28),
    ],
)
def test_columns_are_channels(
    channels: int, size: int, stride: int, pads: tuple[int, ...], dilation: int, width: int
) -> None:
    """With pads that are no multiple of the columns, strides, rows apart, and a stack of digits."""
    net = Network((channels, 12, width), size)
    low, high = net.encoded(6, digits=2)
    op = Convolve((1, stride), pads, (dilation, 1))
    shape = (18, channels, size, size)
    value = net.layer((op, high, shape), (op, low, net.rng.integers(-9, 10, shape)))
    built = net.build.build([net.build.add(Decode(), value, name="levels")])
    graph = compiled(built, "assign-windows,insert-readout")
    images = net.rng.integers(0, 36, (3, channels, 12, width)).astype(np.float32)
    checked(graph, images)
    if channels == 1 and width % 2 == 0:  # of more channels, zeros may cost what fours save
        assert all(inputs % 4 == 0 for _, inputs, *_ in weights_of(graph))


def test_pooled_levels_stay_with_channels_last() -> None:
    """From one kernel of blocks to the next, and to a product, in one shape if these have one."""
    net = Network((1, 28, 28), 1)
    low, high = net.encoded(8, digits=2)
    op = Convolve((1, 1), (0,) * 4, (1, 1))
    value = net.layer((op, high, (6, 1, 5, 5)), (op, low, (6, 1, 5, 5)))
    value = net.build.add(POOL, value, name="pool1")
    value = net.build.add(POOL, net.layer((op, value, (12, 6, 5, 5))), name="pool2")
    value = net.layer((Convolve((1, 1), (0,) * 4, (1, 1)), value, (20, 12, 4, 4)))
    built = net.build.build([net.build.add(Decode(), value, name="levels")])
    graph = compiled(built, "assign-windows,insert-readout")
    checked(graph, net.rng.integers(0, 64, (4, 1, 28, 28)).astype(np.float32))
    assert all(inputs % 4 == 0 for _, inputs, *_ in weights_of(graph))
    form = ClosedForm(graph, False, False)
    end = form.pieces[value.name].whole.flat
    assert end is not None
    nodes = form.writer.model({end: np.uint8}).graph.node
    reshapes = sum(node.op_type == "Reshape" for node in nodes)
    assert reshapes == 4  # columns of inputs as channels, what is pooled beside each other, a row


def test_channels_are_filled_up_to_a_multiple_of_four() -> None:
    """Behind a source alone, and behind the channels of one of several."""
    net = Network((30, 9, 9), 2)
    (source,) = net.encoded(16)
    op = Convolve((1, 1), (1,) * 4, (1, 1))
    first = net.layer((op, source, (29, 30, 3, 3)))
    weight = net.rng.integers(-100, 128, (32, 30, 3, 3))
    weight[:, 3] *= 2
    second = net.layer((op, source, weight), (op, first, (32, 29, 3, 3)))
    built = net.build.build([net.build.add(Decode(), second, name="levels")])
    graph = compiled(built, "assign-windows,insert-readout")
    checked(graph, net.rng.integers(0, 17, (3, 30, 9, 9)).astype(np.float32))
    assert weights_of(graph)[-1][:2] == (32, 60)


def test_outputs_beyond_the_highest_level_are_decoded_as_it() -> None:
    """A table clips what the last kernel gives, up to 255."""
    net = Network((20,), 4)
    (source,) = net.encoded(16)
    value = net.layer((Connect(), source, net.rng.integers(60, 128, (8, 20))))
    levels = net.checked(value, net.rng.integers(0, 17, (9, 20)).astype(np.float32))
    assert levels["QGemm"] == 1
