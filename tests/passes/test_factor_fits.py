"""The segments of factors of products: what lies beyond their reach may be off by more."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, Value
from qcompiler.ir.ann import Function
from qcompiler.ir.ann.formula import values
from qcompiler.passes.activations.products import factor_of
from qcompiler.passes.activations.segments import fit
from tests.support.onnx_models import Array, model
from tests.support.random_networks import compiled

ROOT, DOMAIN = "1 x 1e-06 + sqrt /", (1e-6, 0.04)  # factors from 5 to 700
FEATURES = 16
CONSTANTS: dict[str, Any] = {"s": np.ones(FEATURES, np.float32), "eps": np.float32(1e-6)}


def rows() -> Array:
    """Rows of which the deviations differ by up to 100."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, FEATURES)) * 10 ** rng.uniform(-2, 0, (300, 1))
    return x.astype(np.float32)


@pytest.mark.parametrize("narrowest", [DOMAIN[1] / 16, DOMAIN[1] / 64])
def test_few_wide_segments_follow_where_the_other_factor_is_large(narrowest: float) -> None:
    variances = np.geomspace(1e-4, DOMAIN[1], 1000)
    exact = values(ROOT, variances)
    errors = []
    for reach in (inf, 30.0):
        found = fit(ROOT, DOMAIN, reach / 30 if reach < inf else 17.0, narrowest, reach)
        off = np.interp(variances, found.knots, found.values) - exact
        errors.append(float(np.sqrt(np.mean((off * np.sqrt(variances)) ** 2))))
    assert errors[1] < errors[0] / 2


def factors(body: str) -> list[object]:
    """How the roots of a network are read."""
    text = "fold-linear,normalize"
    proto = model(f"float[N,{FEATURES}] x", body, opset=17, **CONSTANTS)
    imported = import_model(proto, allow_products=True).graph
    graph: Graph = compiled(imported, text, calibration=(rows(),), t_max=16)
    roots = [n for n in graph.nodes if isinstance(n.op, Function) and "sqrt" in n.op.formula]
    return [factor_of(graph, node.result) for node in roots if isinstance(node.result, Value)]


def test_a_layer_norm_reads_its_factor_by_its_reach() -> None:
    (found,) = factors("y = LayerNormalization(x, s)")
    assert found is not None


def test_what_others_read_has_no_reach() -> None:
    root = "q = Mul(x, x) v = ReduceMean<axes=[1]>(q) e = Add(v, eps) d = Sqrt(e) r = Reciprocal(d)"
    (alone,) = factors(f"{root} y = Mul(x, r)")
    (read,) = factors(f"{root} n = Mul(x, r) y = Sub(n, r)")
    assert alone is not None and read is None
