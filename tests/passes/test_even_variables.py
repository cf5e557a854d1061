"""Channels of what a function reads have scales of their own, where layers take these in."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Builder, Constant, Graph, Tensor, evaluate
from qcompiler.ir.ann import Add, Affine, Clip, Conv, Function
from qcompiler.ir.kernels import Array
from qcompiler.passes.tensor.even_variables import with_even_variables

SHAPE = (4, 3, 3)
RANGE = (-8.0, 8.0)
SIZES = np.array([1, 0.3, 0.1, 0.02], np.float32).reshape(4, 1, 1, 1)


def graphs(sizes: Array) -> tuple[Graph, Graph]:
    """A layer and a function of it, and the same with two clips that stand for the function."""
    made = []
    for lowered in (False, True):
        build = Builder("variable")
        x = build.input("x", Tensor(SHAPE))
        weight, bias = Constant("w", sizes), Constant("b", np.zeros((4, 1, 1), np.float32))
        conv = Conv((1, 1), (0, 0, 0, 0), (1, 1), groups=4)
        c = build.add(conv, x, weight, bias, name="c", like=Tensor(SHAPE, range=RANGE))
        if not lowered:
            made.append(build.build([build.add(Function("x x sigmoid *"), c, name="y")]))
            continue
        clips = []
        for at, (scale, shift) in enumerate(((1.0, 0.0), (-0.5, 0.25))):
            ends = Constant(f"s{at}", np.full((1, 1, 1), scale, np.float32))
            begin = Constant(f"t{at}", np.full((1, 1, 1), shift, np.float32))
            piece = build.add(Affine(), c, ends, begin, name=f"piece{at}")
            clips.append(build.add(Clip(0.0), piece, name=f"clip{at}"))
        made.append(build.build([build.add(Add(), *clips, name="y")]))
    return made[0], made[1]


def test_quiet_channels_reach_as_far_as_the_largest() -> None:
    graph, lowered = graphs(SIZES)
    x = np.random.default_rng(0).uniform(-8, 8, (300, *SHAPE)).astype(np.float32)
    even = with_even_variables(lowered, graph, (x,))
    np.testing.assert_allclose(evaluate(even, x)[0], evaluate(lowered, x)[0], 1e-5, 1e-5)
    (layer,) = (node for node in even.nodes if isinstance(node.op, Conv))
    assert layer.result.name == "c:even" and layer.result.type == Tensor(SHAPE, range=RANGE)
    reached = np.abs(layer.arrays[0].ravel()) * 8
    np.testing.assert_allclose(reached, [8, 8, 8, 8 * 0.02 * 16], 0.02)  # at most 16 times as far


def test_channels_that_are_alike_stay() -> None:
    x = np.random.default_rng(0).uniform(-8, 8, (300, *SHAPE)).astype(np.float32)
    alike = np.array([1, 1, 0.8, 0.6], np.float32).reshape(4, 1, 1, 1)
    graph, lowered = graphs(alike)
    assert with_even_variables(lowered, graph, (x,)) is lowered
