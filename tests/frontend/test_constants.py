"""Constants of any operator are folded, for every opset, within bounds of size and time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.onnx_models import agrees, model
from tests.support.operator_cases import FLAT

Array = NDArray[Any]

RNG = np.random.default_rng(0)
CODES = RNG.integers(-127, 128, (6, 4)).astype(np.int8)
SCALES = RNG.uniform(0.001, 0.01, 4).astype(np.float32)
DEQUANTIZED = "w = DequantizeLinear<axis=1>(q, s) y = MatMul(x, w)"

# name: nodes, weights
FOLDED: dict[str, tuple[str, dict[str, Any]]] = {
    "softplus": ("c = Softplus(w) y = Mul(x, c)", {"w": (6,)}),
    "einsum": (
        'c = Einsum<equation="ij,jk->ik">(v, w) y = MatMul(x, c)',
        {"v": (6, 3), "w": (3, 2)},
    ),
    "conv": (
        "a = Conv(v, w) c = Flatten<axis=0>(a) y = Add(x, c)",
        {"v": (1, 2, 6), "w": (1, 2, 1)},
    ),
    "normalised": ("c = LpNormalization(w) y = MatMul(x, c)", {"w": (6, 2)}),
    # onnx's own evaluator chooses among up to 32 elements only
    "gathered from a long axis": (
        "c = GatherElements<axis=1>(w, i) y = MatMul(x, c)",
        {"w": (6, 40), "i": RNG.integers(0, 40, (6, 3))},
    ),
    "gathered from some rows": (
        "c = GatherElements<axis=-1>(w, i) y = Add(x, c)",
        {"w": (3, 40), "i": RNG.integers(-40, 40, (1, 6))},
    ),
    "resized": (
        "a = Resize(w, , f) c = Flatten<axis=0>(a) y = Add(x, c)",
        {"w": (1, 1, 3), "f": np.array([1, 1, 2], np.float32)},
    ),
}


@pytest.mark.parametrize("opset", [10, 11, 12, 13, 17, 18, 19, 21])
def test_dequantized_weights_fold_for_every_opset(opset: int) -> None:
    if opset < 13:  # one scale for all
        body, scale = DEQUANTIZED.replace("<axis=1>", ""), SCALES[0]
        agrees(model(FLAT, body, opset, q=CODES, s=scale))
    else:
        agrees(model(FLAT, DEQUANTIZED, opset, q=CODES, s=SCALES))


@pytest.mark.parametrize("opset", [8, 9, 10, 11])
def test_axes_of_old_opsets_may_count_from_the_end(opset: int) -> None:
    """As in shapes that some exporters join, though onnx infers no type then."""
    body = "c = Concat<axis=-1>(one, two) a = Reshape(x, c) y = MatMul(a, w)"
    shape: dict[str, Any] = {"one": np.array([0], np.int64), "two": np.array([6], np.int64)}
    agrees(model("float[N,6,1] x", body, opset, w=(6, 4), **shape))


@pytest.mark.parametrize("like", ["x", "one"])
def test_a_constant_takes_the_type_of_other_values(like: str) -> None:
    """As PyTorch's exporter of functions has each number do that it adds."""
    given: dict[str, Any] = {"k": np.array([3], np.int64), "one": np.ones(1, np.float32)}
    agrees(model(FLAT, f"c = CastLike(k, {like}) y = Mul(x, c)", 18, **given))


@pytest.mark.parametrize("name", FOLDED)
def test_constants_of_any_operator_fold(name: str) -> None:
    body, weights = FOLDED[name]
    agrees(model(FLAT, body, 17, **weights))
