"""Kernels lose what only meets padding, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcompiler.ir import Builder, Constant, Graph, Tensor
from qcompiler.ir.ann import Conv
from qcompiler.ir.execution.evaluate import evaluate
from qcompiler.ir.kernels import Array
from qcompiler.passes.tensor.fold_linear import FoldLinear


def network(size: int, taps: int, pads: tuple[int, int], stride: int, dilation: int) -> Graph:
    rng = np.random.default_rng(0)
    builder = Builder("net")
    x = builder.input("x", Tensor((2, size)))
    weight = Constant("w", rng.standard_normal((3, 2, taps)).astype(np.float32))
    bias = Constant("b", rng.standard_normal((3, 1)).astype(np.float32))
    y = builder.add(Conv((stride,), pads, (dilation,)), x, weight, bias, name="y")
    return builder.build([y])


@given(
    st.integers(1, 6),
    st.integers(1, 7),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_numbers_stay(
    size: int, taps: int, pads: tuple[int, int], stride: int, dilation: int
) -> None:
    if size + sum(pads) < (taps - 1) * dilation + 1:
        return
    graph = network(size, taps, pads, stride, dilation)
    folded = FoldLinear()(graph)
    x = np.random.default_rng(1).standard_normal((5, 2, size)).astype(np.float32)
    (expected,), (found,) = evaluate(graph, x), evaluate(folded, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    weight = np.array(folded.nodes[-1].arrays[0])
    alive = _alive(folded)
    assert not weight[:, :, ~alive].any()
    assert FoldLinear()(folded) == folded


def _alive(graph: Graph) -> Array:
    """Taps whose weight, if it were 1 alone, could be seen in the output for ones."""
    (node,) = graph.nodes
    assert isinstance(node.op, Conv)
    taps = node.operands[1].type.shape[2]
    size, outs = node.operands[0].type.shape[1], node.result.type.shape[1]
    at = [
        any(
            0 <= p * node.op.strides[0] + k * node.op.dilations[0] - node.op.pads[0] < size
            for p in range(outs)
        )
        for k in range(taps)
    ]
    return np.array(at)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_kernels_on_small_images_get_small(size: int) -> None:
    (node,) = FoldLinear()(network(size, 7, (3, 3), 1, 1)).nodes
    assert node.operands[1].type.shape[2] == min(7, 2 * size - 1)
