"""Sums that are constant but for rounding: probabilities, and the squares of normalised vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.ir import ann
from qcompiler.passes.tensor.lower_activations import LowerActivations
from tests.support.onnx_models import Array, ints, model, run_onnx

NETWORKS = {
    "softmax": "m = Softmax<axis=1>(x) q = ReduceSum<keepdims=1>(m, one) y = Div(m, q)",
    "layers": "m = LayerNormalization(x, ones) y = LayerNormalization(m, gains)",
    "scaled": "n = LayerNormalization(x, ones) m = Mul(n, half) y = LayerNormalization(m, gains)",
    "lengths": "m = LpNormalization(x) y = LpNormalization(m)",
}
WEIGHTS: dict[str, Any] = {
    **{"one": ints(1), "ones": np.ones(4, np.float32), "half": np.float32(0.5)},
    "gains": np.array([1.1, 0.9, 1.2, 0.8], np.float32),
}
pytestmark = pytest.mark.filterwarnings("ignore::qcompiler.CompileWarning")


def network(name: str) -> tuple[Any, Array]:
    used = {key: value for key, value in WEIGHTS.items() if f"{key})" in NETWORKS[name]}
    x = np.random.default_rng(5).standard_normal((300, 4)).astype(np.float32)
    return model("float[N,4] x", NETWORKS[name], opset=17, **used), x


def program_of(name: str, t_max: int, target: str = "reference", **options: Any) -> Program:
    proto, x = network(name)
    given: dict[str, Any] = {"calibration": x, "t_max": t_max, "target": target, **options}
    return qcompiler.compile(proto, allow_products=True, **given)


def error(name: str, program: Program) -> float:
    proto, x = network(name)
    (wanted,) = run_onnx(proto, {"x": x})
    return float(np.sqrt(np.mean((program.run(x) - wanted) ** 2)) / wanted.std())


@pytest.mark.parametrize("name", NETWORKS)
def test_levels_lessen_the_error(name: str) -> None:
    coarse, fine = (program_of(name, t_max) for t_max in (16, 64))
    assert error(name, fine) < 0.5 * error(name, coarse) < 0.2


@pytest.mark.parametrize("name", ["softmax", "layers"])
def test_engines_agree(name: str) -> None:
    program, (_, x) = program_of(name, 16, "loihi"), network(name)
    np.testing.assert_array_equal(program.run(x[:5]), program.run(x[:5], engine="steps"))


def test_functions_of_a_constant_take_no_neurons() -> None:
    """The second division of a softmax by its sum is none."""
    seen = []

    def watch(step: Any, graph: Any) -> None:
        if isinstance(step, LowerActivations):
            seen.append(graph)

    program_of("softmax", 16, watch=watch)
    sums = [node.result.name for node in seen[0].nodes if isinstance(node.op, ann.SumPool)]
    assert sums and not [name for name in sums if name.startswith("q")]


def test_a_comparison_of_what_is_lost_is_told() -> None:
    body = f"{NETWORKS['softmax']} g = Greater(q, k) z = Cast<to=1>(g)"
    proto = model("float[N,4] x", body, outputs="y z", opset=17, one=ints(1), k=np.float32(1))
    x = network("softmax")[1]
    given: dict[str, Any] = {"t_max": 16, "target": "reference", "allow_products": True}
    program = qcompiler.compile(proto, calibration=x, **given)
    assert any('output "z"' in text for text in program.warnings)
