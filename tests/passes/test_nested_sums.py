"""Scales of sums inside sums move to the innermost branches, however deep these are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Builder, Constant, Tensor, evaluate, rewrite
from qcompiler.ir.ann import Add, Affine, Clip
from qcompiler.ir.rewriting.draft import Draft
from qcompiler.ir.view import Take
from qcompiler.passes.folding.affine import SUMS
from qcompiler.passes.folding.inlined_graph import scale_before_views
from qcompiler.passes.folding.neighbours import is_ranged
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import compiled
from tests.support.rewrites import FOLDED


def nest(levels: int) -> onnx.ModelProto:
    """Scaled sums with a branch of their own on each level."""
    body = " ".join(
        f"m{at} = Mul(s{at}, {'ud'[at % 2]}) t{at} = Tanh(x) s{at + 1} = Add(m{at}, t{at})"
        for at in range(levels)
    )
    u, d = (np.array([*scale], np.float32) for scale in ((1.1, 0.9, 1, -1), (0.9, 1.1, -1, 1)))
    return model("float[N,4] x", f"s0 = Sin(x) {body} y = Relu(s{levels})", u=u, d=d)


@pytest.mark.parametrize("levels", [3, 30])
def test_nested_sums_become_one(levels: int) -> None:
    proto = nest(levels)
    graph = compiled(import_model(proto).graph, FOLDED)
    assert sum(isinstance(node.op, Add) for node in graph.nodes) == 1
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    np.testing.assert_allclose(evaluate(graph, x)[0], run_onnx(proto, {"x": x})[0], 1e-4, 1e-5)


def test_the_work_grows_as_the_nest_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each further level takes as many changes."""
    changes: list[object] = []

    def counted(draft: Draft, *given: Any, change: Any = Draft.replace) -> bool:
        changes.append(given)
        return bool(change(draft, *given))

    monkeypatch.setattr(Draft, "replace", counted)
    counts = []
    for levels in (20, 40, 60):
        changes.clear()
        compiled(import_model(nest(levels)).graph, FOLDED)
        counts.append(len(changes))
    assert counts[2] - counts[1] == counts[1] - counts[0]


def test_branches_of_sums_that_have_ranges_have_none() -> None:
    """The sum's range is not theirs: one that became a population of its own was cut to it."""
    build = Builder("ranged")
    x, u = (build.input(name, Tensor((2, 3))) for name in "xu")
    one, none = (Constant(name, np.full((1, 1), n, np.float32)) for name, n in (("s", 5), ("b", 0)))
    rows = build.add(Take(1, (0, 0, 2)), x, name="rows")
    unit, wide = Tensor((2, 3), range=(-1.0, 1.0)), Tensor((2, 3), range=(-5.0, 5.0))
    total = build.add(Add(), rows, u, rows, name="total", like=unit)
    scaled = build.add(Affine(), total, one, none, name="scaled", like=wide)
    y = build.add(Clip(0.0), scaled, name="y")
    graph = rewrite(build.build([y]), *SUMS, scale_before_views)
    (found,) = (node for node in graph.nodes if isinstance(node.op, Add))
    assert [is_ranged(operand) for operand in found.operands] == [False, False]
