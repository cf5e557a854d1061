"""Sums that no code makes small enough for the membranes of a chip: refused, and what helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.ir import UnsupportedModel
from qcompiler.ir.kernels import Array
from tests.support.onnx_models import model, run_onnx

STEEP = 100.0  # 64 levels of an input move the result by that many of its ranges


def steep_step(inputs: int) -> tuple[Any, Array]:
    """A narrow clip of a large sum, whose weights have one sign: membranes reach all of it."""
    rng = np.random.default_rng(0)
    x = rng.random((100, inputs)).astype(np.float32)
    w = rng.uniform(STEEP / 2, STEEP, (inputs, 4)).astype(np.float32)
    given: dict[str, Any] = {"w": w, "b": -(x @ w).mean(axis=0), "lo": np.float32(0)}
    given |= {"hi": np.float32(1), "v": (4, 3)}
    body = "a = Gemm(x, w, b) r = Clip(a, lo, hi) y = MatMul(r, v)"
    return model(f"float[N,{inputs}] x", body, **given), x


def test_membranes_that_exceed_are_refused() -> None:
    proto, x = steep_step(400)
    with pytest.raises(UnsupportedModel, match="the membrane potentials") as caught:
        qcompiler.compile(proto, target="loihi", calibration=x, t_max=64)
    (fault,) = caught.value.diagnostics
    assert fault.nodes == ("a_node", "r_node")
    assert fault.help == "use a smaller --t-max, or --target reference"


@pytest.mark.parametrize(("target", "t_max"), [("reference", 64), ("loihi", 16)])
@pytest.mark.filterwarnings("ignore:the error of output")  # a level of an input is the whole range
def test_what_is_told_helps(target: str, t_max: int) -> None:
    proto, x = steep_step(400)
    program = qcompiler.compile(proto, target=target, calibration=x, t_max=t_max)
    (exact,) = run_onnx(proto, {"x": x})
    found = np.asarray(program.run(x))
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.9
    np.testing.assert_array_equal(found[:2], program.run(x[:2], engine="steps"))
