"""Blocks of known architectures: what they become, and that it is the same network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import check_model
from qcompiler.ir import UnsupportedModel, evaluate
from qcompiler.ir.snn import Population
from qcompiler.passes import Pipeline
from tests.backends.test_engines import same
from tests.support.onnx_models import agrees, ints, model
from tests.support.random_networks import LOIHI, compiled

IMAGE = "float[N,4,6,6] x"

# name: input, nodes, weights, populations
BLOCKS: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "residual": (
        IMAGE,
        "a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, w)"
        " d = Add(c, x) y = Relu(d)",
        {"w": (4, 4, 3, 3)},
        ["b", "y"],
    ),
    "residual with normalisation behind": (
        IMAGE,
        "a = Conv(x, w) d = Add(a, x) e = BatchNormalization(d, s, s, s, s) y = Relu(e)",
        {"w": (4, 4, 1, 1), "s": np.arange(1, 5, dtype=np.float32)},
        ["y"],
    ),
    "inception": (
        IMAGE,
        "a = Conv(x, w) ar = Relu(a) b = Conv<pads=[1,1,1,1]>(x, v) br = Relu(b)"
        " c = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) k = Concat<axis=1>(ar, br, c)"
        " d = AveragePool<kernel_shape=[2,2], strides=[2,2]>(k) f = Flatten(d) y = Gemm(f, z)",
        {"w": (2, 4, 1, 1), "v": (3, 4, 3, 3), "z": (81, 5)},
        ["ar", "br", "y"],
    ),
    "depthwise behind a concatenation": (
        IMAGE,
        "a = Conv(x, w) b = Relu(a) k = Concat<axis=1>(b, x) y = Conv<group=6>(k, v)",
        {"w": (2, 4, 1, 1), "v": (6, 1, 3, 3)},
        ["b", "y:part1", "y:part2"],
    ),
    "groups across parts": (
        IMAGE,
        "a = Conv(x, w) b = Relu(a) k = Concat<axis=1>(b, x) c = Conv<group=2>(k, v) d = Relu(c)"
        " y = Add(d, x)",
        {"w": (2, 4, 1, 1), "v": (4, 3, 1, 1)},
        ["b", "d", "y"],
    ),
    "split": (
        IMAGE,
        "a = Conv(x, w) b, c = Split<axis=1>(a) d = Relu(b) e = Conv(c, v) y = Add(d, e)",
        {"w": (4, 4, 1, 1), "v": (2, 2, 1, 1)},
        ["c", "d", "y"],
    ),
    "in space": (
        IMAGE,
        "a = Relu(x) k = Concat<axis=2>(a, x) y = Conv<pads=[1,1,1,1], strides=[2,2]>(k, w)",
        {"w": (2, 4, 3, 3)},
        ["a", "y"],
    ),
    "shuffle": (
        IMAGE,
        "a, b = Split<axis=1>(x) c = Conv(b, w) d = Relu(c) j = Concat<axis=1>(a, d)"
        " s = Reshape(j, s1) t = Transpose<perm=[0,2,1,3,4]>(s) u = Reshape(t, s2)"
        " y = Conv(u, v)",
        {"w": (2, 2, 1, 1), "s1": ints(0, 2, 2, 6, 6), "s2": ints(0, 4, 6, 6), "v": (3, 4, 1, 1)},
        ["d", "u:part3", "y"],
    ),
    "heads": (
        IMAGE,
        "a = Conv(x, w) b = Relu(a) c = Conv(b, v) p = MaxPool<kernel_shape=[2,2]>(b)"
        " d = Conv(p, v) e = Reshape(c, s) f = Reshape(d, s) y = Concat<axis=2>(e, f)",
        {"w": (3, 4, 1, 1), "v": (3, 3, 1, 1), "s": ints(0, 3, -1)},
        ["b", "c", "d"],
    ),
    "input beside its function": (
        "float[N,6] x",
        "a = Gemm(x, w) b = Relu(a) y = Concat<axis=1>(x, b)",
        {"w": (6, 3)},
        ["b"],
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_block(name: str) -> None:
    inputs, body, weights, populations = BLOCKS[name]
    proto = model(inputs, body, 13, **weights)
    graph = agrees(proto).graph
    assert {fate.kind for fate in check_model(proto)} <= {"compiled", "removed"}
    shape = (6, *graph.inputs[0].type.shape)
    batch = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    folded = Pipeline.parse("fold-batchnorm,fold-linear").run(graph)
    np.testing.assert_allclose(evaluate(folded, batch)[0], evaluate(graph, batch)[0], 1e-4, 1e-4)
    for delay in (63, 5):
        text = LOIHI.replace("assign-windows", f"assign-windows{{delay={delay}}}")
        spiking = compiled(graph, text, calibration=(batch,), t_max=16)
        same(spiking, batch)
        found = [n.result.name for n in spiking.nodes if isinstance(n.op, Population)]
        assert sorted(n for n in found if ":relay" not in n) == sorted(populations)
        assert delay < 16 or len(found) == len(populations)


def test_without_delays_branches_may_never_meet() -> None:
    body = "a = Relu(x) p = MaxPool<kernel_shape=[1,1]>(a) y = Add(p, a)"
    graph = agrees(model(IMAGE, body)).graph
    text = LOIHI.replace("assign-windows", "assign-windows{delay=0}")
    with pytest.raises(UnsupportedModel, match="branches never meet"):
        compiled(graph, text, t_max=16)
    same(compiled(graph, text.replace("delay=0", "delay=1"), t_max=16), np.ones((2, 4, 6, 6)))
