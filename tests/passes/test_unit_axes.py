"""Pads in front of reshapes that add or drop axes of one element are pads of the convolution."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate
from qcompiler.ir.ann import Conv, Pad
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.random_networks import compiled
from tests.support.rewrites import FOLDED


@pytest.mark.parametrize(
    ("shape", "pads", "to", "left"),
    [
        ("N,8,6,1", (0, 0, 1, 0, 0, 0, 2, 0), (0, 1, 8, 9), 0),
        ("N,8,6,1", (0, 1, 0, 0, 0, 1, 3, 0), (0, 1, 10, 9), 0),
        ("N,8,6", (0, 0, 1, 0, 2, 0), (0, 1, 10, 7), 0),
        ("N,1,8,1,6", (0, 0, 0, 0, 2, 0, 0, 1, 0, 1), (0, 1, 9, 9), 0),
        ("N,8,6,1", (0, 0, 1, 0, 0, 0, 1, 0), (0, 1, 16, 4), 1),  # which mixes both axes
        ("N,8,6,1", (0, 0, 0, 1, 0, 0, 0, 0), (0, 2, 8, 6), 1),  # a pad of what becomes channels
    ],
)
def test_pads_move_behind_reshapes(
    shape: str, pads: tuple[int, ...], to: tuple[int, ...], left: int
) -> None:
    proto = model(
        f"float[{shape}] x",
        "p = Pad(x, pads) r = Reshape(p, to) a = Conv(r, W) y = Relu(a)",
        W=(3, to[1], 3, 2),
        pads=ints(*pads),
        to=ints(*to),
    )
    graph = import_model(proto).graph
    folded = compiled(graph, FOLDED)
    assert sum(isinstance(node.op, Pad) for node in folded.nodes) == left
    (conv,) = (node.op for node in folded.nodes if isinstance(node.op, Conv))
    assert isinstance(conv, Conv) and any(conv.pads) == (not left)
    x = np.random.default_rng(0).standard_normal((4, *graph.inputs[0].type.shape))
    (real,) = run_onnx(proto, {"x": x.astype(np.float32)})
    np.testing.assert_allclose(evaluate(folded, x.astype(np.float32))[0], real, 1e-5, 1e-5)
