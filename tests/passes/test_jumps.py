"""Functions that jump, and conditions on several values: exact where their variable is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

import qcompiler
from qcompiler.ir import CompileWarning, UnsupportedModel
from tests.support.onnx_models import ints, model, run_onnx

TWO = "a, b = Split<axis=1>(x)"
EXACT = {  # of whole numbers from 0 to 15, which 16 levels hold
    "floor": "h = Mul(x, quarter) t = Floor(h)",
    "ceil": "h = Mul(x, quarter) t = Ceil(h)",
    "round": "h = Mul(x, half) t = Round(h)",
    "modulo": "t = Mod<fmod=1>(x, three)",
    "negative modulo": "s = Sub(x, seven) t = Mod<fmod=1>(s, three)",
    "equal to a rounded value": "h = Mul(x, quarter) f = Floor(h) e = Equal(f, two)"
    " t = Cast<to=1>(e)",
    "equal to zero": "s = Sub(x, seven) r = Relu(s) e = Equal(r, zero) t = Cast<to=1>(e)",
    "between": "g = Greater(x, three) l = LessOrEqual(x, seven) c = And(g, l) t = Cast<to=1>(c)",
    "greater of two": f"{TWO} g = GreaterOrEqual(a, b) t = Cast<to=1>(g)",
    "equal of two": f"{TWO} c = Round(a) d = Round(b) e = Equal(c, d) t = Cast<to=1>(e)",
    "and": f"{TWO} g = Greater(a, three) l = Less(b, seven) c = And(g, l) t = Cast<to=1>(c)",
    "or": f"{TWO} g = Greater(a, three) l = Less(b, seven) c = Or(g, l) t = Where(c, two, three)",
    "xor": f"{TWO} g = Greater(a, three) l = Less(b, seven) c = Xor(g, l) d = Not(c) "
    "t = Cast<to=1>(d)",
}
# A slope of 1 beside jumps of 3 is a small weight beside a large one.
FINE = {"modulo": 12, "negative modulo": 12}  # bits
NUMBERS: dict[str, Any] = {
    **{"zero": 0, "two": 2, "three": 3, "seven": 7, "quarter": 0.25, "half": 0.5}
}


def proto_of(body: str, inputs: str = "float[N,4] x") -> Any:
    weights: dict[str, Any] = {
        name: np.float32(number) for name, number in NUMBERS.items() if name in body
    }
    return model(inputs, f"{body} y = Mul(t, two)", 17, **{"two": np.float32(2)} | weights)


@pytest.mark.parametrize("name", EXACT)
def test_exact_on_levels(name: str) -> None:
    proto = proto_of(EXACT[name])
    data = np.random.default_rng(0).integers(0, 16, (200, 4)).astype(np.float32)
    data[:16] = np.arange(16)[:, None]
    (wanted,) = run_onnx(proto, {"x": data})
    options: dict[str, Any] = {"calibration": data, "t_max": 16, "weight_bits": FINE.get(name, 8)}
    program = qcompiler.compile(proto, target="reference", **options)
    found = program.run(data)
    np.testing.assert_allclose(found, wanted, 0, np.ptp(wanted) / 30)  # half a level of outputs
    np.testing.assert_array_equal(found[:20], program.run(data[:20], engine="steps"))


ON_A_GRID = {  # jumps lie at the numbers of the data
    "floor": ("h = Mul(x, c) y = Floor(h)", 10, 0.1),
    "ceil": ("h = Div(x, c) y = Ceil(h)", 0.1, 0.1),
    "negative": ("h = Mul(x, c) y = Floor(h)", -2, 0.25),
    "greater": ("g = Greater(x, c) y = Cast<to=1>(g)", 0.3, 0.1),
    "less or equal": ("g = LessOrEqual(x, c) y = Cast<to=1>(g)", 0.7, 0.1),
}


@pytest.mark.parametrize("name", ON_A_GRID)
def test_exact_on_multiples_of_other_numbers(name: str) -> None:
    body, number, step = ON_A_GRID[name]
    data = (np.random.default_rng(0).integers(0, 11, (200, 4)) * step).astype(np.float32)
    proto = model("float[N,4] x", body, 17, c=np.float32(number))
    (wanted,) = run_onnx(proto, {"x": data})
    for t_max in (8, 16):
        program = qcompiler.compile(proto, target="reference", calibration=data, t_max=t_max)
        np.testing.assert_allclose(program.run(data), wanted, 0, np.ptp(wanted) / 100)


SIGNS = {
    "input": "y = Sign(x)",
    "scaled": "h = Mul(x, half) y = Sign(h)",
    "clipped": "h = Clip(x, low, two) y = Sign(h)",
    "sums": "h = MatMul(x, w) t = Sign(h) y = Mul(t, two)",
    "in front of a layer": "t = Sign(x) y = MatMul(t, w)",
}


@pytest.mark.parametrize("target", ["reference", "loihi"])
@pytest.mark.parametrize("t_max", [16, 64])
@pytest.mark.parametrize("name", SIGNS)
def test_the_sign_of_zero_is_zero(name: str, t_max: int, target: str) -> None:
    numbers: dict[str, Any] = {"half": np.float32(0.5), "low": np.float32(-2), "two": np.float32(2)}
    rng = np.random.default_rng(0)
    numbers["w"] = rng.integers(-1, 2, (6, 6)).astype(np.float32)
    used = {key: one for key, one in numbers.items() if key in SIGNS[name].replace("MatMul", "")}
    proto = model("float[N,6] x", SIGNS[name], 17, **used)
    data = rng.integers(-3, 4, (200, 6)).astype(np.float32)
    (wanted,) = run_onnx(proto, {"x": data})
    program = qcompiler.compile(proto, target=target, calibration=data, t_max=t_max)
    found = program.run(data)
    assert np.abs(found - wanted).max() < 1 / 2  # of what a wrong sign moves at least
    np.testing.assert_array_equal(found[:50], program.run(data[:50], engine="steps"))


def told(body: str, data: Any, t_max: int, **weights: Any) -> tuple[str, ...]:
    proto = model("float[N,4] x", body, 17, **weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)
        program = qcompiler.compile(proto, target="reference", calibration=data, t_max=t_max)
    return program.warnings


def test_values_on_another_side_of_a_jump_are_told() -> None:
    """Numbers on jumps, on a grid finer than levels; with more levels they are exact."""
    rng = np.random.default_rng(0)
    on_jumps = (rng.integers(0, 100, (300, 4)) / 10).astype(np.float32)
    (text,) = told("h = Mul(x, c) y = Floor(h)", on_jumps, 16, c=np.float32(2.5))
    assert 'of the values at "y_node" on another side of a jump, on 300 calibration' in text
    assert "help: move the thresholds" in text
    assert not told("y = Floor(x)", on_jumps, 64)
    assert not told("y = Floor(x)", rng.uniform(0, 4, (300, 4)).astype(np.float32), 16)


@pytest.mark.parametrize("operator", ["And", "Or", "Xor"])
def test_the_cause_of_wrong_conditions_is_told(operator: str) -> None:
    rng = np.random.default_rng(0)
    body = "q = Gemm(x, W) h = Relu(q) a, b = Split<axis=1>(h) g = Greater(a, k) l = Less(b, m)"
    numbers: dict[str, Any] = {"W": rng.normal(size=(4, 8)), "k": 0.3, "m": 0.8}
    weights = {name: np.float32(number) for name, number in numbers.items()}
    data = rng.normal(size=(300, 4)).astype(np.float32)
    (text,) = told(f"{body} c = {operator}(g, l) y = Cast<to=1>(c)", data, 8, **weights)
    assert 'of the values at "g_node" on another side of a jump' in text


@pytest.mark.parametrize(
    "end", ["y = Squeeze(k, one)", "l = ArrayFeatureExtractor(n, k) y = Reshape(l, flat)"]
)
def test_classes_behind_a_jump_are_rearranged(end: str) -> None:
    """Those in levels are computed as well: the cause of an error is sought in the whole model."""
    weights: dict[str, Any] = {"one": ints(1), "n": ints(4, 5, 6), "flat": ints(-1)}
    known = {name: array for name, array in weights.items() if name in end.replace("=", "(")}
    body = f"b = Sign(x) s = Gemm(b, W) k = ArgMax<axis=1>(s) {end}"
    proto = model("float[N,4] x", body, 17, W=(4, 3), **known)
    proto.opset_import.add(domain="ai.onnx.ml", version=3)
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    for node in proto.graph.node:
        node.domain = "ai.onnx.ml" if node.op_type == "ArrayFeatureExtractor" else ""
    data = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", calibration=data)
    (wanted,) = run_onnx(proto, {"x": data})
    assert np.mean(program.run(data) == wanted) > 0.8  # values near 0 are on its other side


@pytest.mark.parametrize("kind", ["uint8", "int64"])
def test_equal_of_integers(kind: str) -> None:
    body = "e = Equal(x, c) f = Equal(x, d) o = Or(e, f) t = Cast<to=1>(o) y = Mul(t, two)"
    number: dict[str, Any] = {
        "c": np.array(3, kind),
        "d": np.array([0, 1, 2, 15], kind),
        "two": np.float32(2),
    }
    proto = model(f"{kind}[N,4] x", body, 17, **number)
    data = np.random.default_rng(0).integers(0, 16, (200, 4)).astype(kind)
    (wanted,) = run_onnx(proto, {"x": data})
    program = qcompiler.compile(proto, target="reference", calibration=data, t_max=16)
    np.testing.assert_allclose(program.run(data), wanted, 0, 1e-3)


def test_too_many_jumps_are_told() -> None:
    proto = model("float[N,4] x", "y = Floor(x)", 17)
    data = np.linspace(0, 400, 400, dtype=np.float32).reshape(100, 4)
    with pytest.raises(UnsupportedModel, match="chooses between formulas at 400 places"):
        qcompiler.compile(proto, target="reference", calibration=data)
