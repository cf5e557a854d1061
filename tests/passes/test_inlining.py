"""Sums that only layers, other sums and clips read: their readers sum the parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir.snn import Neuron
from qcompiler.passes.activations import inlining
from qcompiler.passes.activations.steep_sums import Chosen, Judge, Steep, too_steep, without
from tests.support.onnx_models import ints, model, run_onnx
from tests.support.random_networks import compiled

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


@pytest.mark.parametrize(("hidden", "inputs"), [(4, 4), (3, 1)], ids=["more", "fewer"])
def test_what_is_judged_again_is_what_all_of_the_graph_has(
    hidden: int, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without data, the sums of a GRU get too steep one step after the other."""
    monkeypatch.setattr(inlining, "_SMALL", 0)
    judged = []

    def checked(
        judge: Judge, steep: Steep, last: Chosen, chosen: Chosen, again: Any = Judge.again
    ) -> Steep:
        found: Steep = again(judge, steep, last, chosen)
        judged.append(found)
        assert found == judge.beyond(too_steep(without(judge.graph, chosen), judge.limits))
        return found

    monkeypatch.setattr(Judge, "again", checked)
    gates = 3 * hidden
    body = f"s, h = GRU<hidden_size={hidden}, linear_before_reset=1>(t, w, r, b)"
    shapes = {"w": (1, gates, inputs), "r": (1, gates, hidden), "b": (1, 2 * gates)}
    shapes["v"] = hidden, 3
    rng = np.random.default_rng(0)
    weights: dict[str, Any] = {
        name: rng.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in shapes.items()
    }
    proto = model(
        f"float[N,4,{inputs}] x",
        f"t = Transpose<perm=[1,0,2]>(x) {body} last = Squeeze(h, first) y = MatMul(last, v)",
        first=ints(0),
        **weights,
    )
    graph = import_model(proto, allow_products=True).graph
    compiled(graph, "fold-batchnorm,fold-linear,normalize,lower-activations")
    assert any(judged)
