"""Matrix products of two quantised values, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

import qcompiler
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import evaluate
from tests.support.onnx_models import run_onnx
from tests.support.quantised_models import operator

TURNED = "k = Transpose<perm=[0,2,1]>(q) "
CODED = TURNED + "r = QLinearMatMul(q,xs,xz,k,xs,xz,rs,rz)"
INTEGERS = TURNED + (
    "m = MatMulInteger(q,k,xz,xz) f = Cast<to=1>(m) s = Mul(f,u) r = QuantizeLinear(s,rs,rz)"
)


@pytest.mark.parametrize("body", [CODED, INTEGERS])
def test_products_of_two_quantised_values(body: str) -> None:
    proto = operator(body, "4,5", u=np.float32(0.02**2))
    levels = np.random.default_rng(0).integers(60, 160, (20, 4, 5))
    x = (levels.astype(np.float32) - 110) * np.float32(0.02)  # what codes hold
    (wanted,) = run_onnx(proto, {"x": x})
    (found,) = evaluate(import_model(proto, allow_products=True).graph, x)
    np.testing.assert_allclose(found, wanted, 0, 0.501 * 0.03)  # half a level


def test_they_compile() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (50, 4, 5)).astype(np.float32)
    proto = operator(CODED, "4,5")
    program = qcompiler.compile(
        proto, target="reference", calibration=x, t_max=256, allow_products=True
    )
    (wanted,) = run_onnx(proto, {"x": x})
    assert np.abs(program.run(x) - wanted).max() < 0.1


def test_they_are_refused_as_other_products_are() -> None:
    proto = operator(CODED, "4,5")
    proto.graph.node[2].name = "r_node"
    with pytest.raises(qcompiler.CompileError, match=r'(?s)two values .*"r_node".*--allow-prod'):
        import_model(proto)
