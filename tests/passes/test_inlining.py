"""Sums that only layers, other sums and clips read: their readers sum the parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir.snn import Neuron
from qcompiler.passes.activations import inlining
from tests.support.onnx_models import model, run_onnx

RNG = np.random.default_rng(5)
NORM = "n = LayerNormalization<axis=-1>(x, gain, shift) y = MatMul(n, w)"
RESIDUAL = "a = MatMul(x, v) b = Relu(a) c = MatMul(b, v) s = Add(a, c) y = MatMul(s, w)"
MATRIX = "p = MatMul(x, v) t = Transpose<perm=[0,2,1]>(p) m = MatMul(p, t) y = Relu(m)"
WEIGHTS = {
    "gain": np.linspace(0.5, 1.5, 4, dtype=np.float32),
    "shift": np.linspace(-0.2, 0.3, 4, dtype=np.float32),
    "v": RNG.standard_normal((4, 4)).astype(np.float32),
    "w": RNG.standard_normal((4, 3)).astype(np.float32),
}


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        (NORM, ".variance"),
        (RESIDUAL, "s"),
        (MATRIX, ".products"),
    ],
    ids=["norm", "residual", "products"],
)
def test_sums_have_no_population_and_the_function_stays(
    body: str, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inlining, "_SMALL", 0)  # small networks stay as they are
    used: dict[str, Any] = {name: array for name, array in WEIGHTS.items() if f", {name}" in body}
    proto = model("float[N,3,4] x", body, 17, **used)
    x = RNG.standard_normal((64, 3, 4)).astype(np.float32)
    program = qcompiler.compile(
        proto, calibration=x, target="reference", t_max=32, allow_products=True
    )
    names = [node.result.name for node in program.graph.nodes if isinstance(node.op, Neuron)]
    assert not any(name == gone or name.endswith(gone) for name in names)
    found = program.run(x)
    (wanted,) = run_onnx(proto, {"x": x})
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.15 * wanted.std()
    np.testing.assert_array_equal(program.run(x[:2], engine="steps"), found[:2])
