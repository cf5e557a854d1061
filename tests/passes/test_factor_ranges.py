"""Ranges of what products multiply: errors count as many times as the other factor is large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Tensor
from qcompiler.passes.calibration.histogram import Histogram
from tests.support.onnx_models import model, run_onnx
from tests.support.random_networks import compiled

RNG = np.random.default_rng(0)
# Every tenth value is large, and what it is multiplied with is nearly zero.
LARGE = RNG.random((400, 8)) < 0.1
A = (RNG.uniform(0, 1, (400, 8)) + 7 * LARGE).astype(np.float32)
B = np.where(LARGE, 1e-3, RNG.uniform(0.5, 1, (400, 8))).astype(np.float32)


def test_weighted_values_decide_on_the_range() -> None:
    plain, weighted = Histogram(), Histogram()
    for part in (slice(200), slice(200, 400)):  # the reach of the second is larger
        plain.add(A[part])
        weighted.add(A[part], np.square(B[part]))
    assert plain.least_squares(16)[1] > 6
    assert weighted.least_squares(16)[1] < 1.2
    assert weighted.percentile(99) == plain.percentile(99)
    np.testing.assert_array_equal(weighted.counts, plain.counts)


def test_without_any_weight_all_values_count() -> None:
    plain, weightless = Histogram(), Histogram()
    plain.add(A)
    weightless.add(A, np.zeros_like(A))
    assert weightless.least_squares(16) == plain.least_squares(16)


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ("r = Relu(a) p = Mul(r, b) y = Relu(p)", True),
        ("r = Relu(a) f = Gather<axis=1>(r, i) p = Mul(f, b) y = Relu(p)", True),
        ("r = Relu(a) p = Mul(r, b) z = Gemm(r, w) y = Add(p, z)", False),
    ],
)
def test_a_factor_has_the_range_that_its_product_needs(body: str, cut: bool) -> None:
    """Behind views, too; not where a layer reads the values as well."""
    weights: dict[str, Any] = {"i": np.arange(8)[::-1].copy(), "w": (8, 8)}
    used = {name: one for name, one in weights.items() if f"{name})" in body}
    proto = model("float[N,8] a, float[N,8] b", body, **used)
    graph = import_model(proto, allow_products=True).graph
    data = A, B[:, ::-1].copy() if "i" in used else B
    found = compiled(graph, "fold-linear,normalize", calibration=data, t_max=16)
    (ranged,) = (node.result.type for node in found.nodes if node.result.name == "r")
    assert isinstance(ranged, Tensor) and ranged.range is not None
    assert (ranged.range[1] < 1.2) == cut


def test_products_lose_less() -> None:
    proto = model("float[N,8] a, float[N,8] b", "r = Relu(a) p = Mul(r, b) y = Relu(p)")
    program = qcompiler.compile(proto, target="reference", calibration=(A, B), allow_products=True)
    found, (wanted,) = np.asarray(program.run(A, B)), run_onnx(proto, {"a": A, "b": B})
    assert np.sqrt(np.mean(np.square(found - wanted))) < 0.1 * wanted.std()
