"""Fourier transforms wherever the batch axis stands, against onnxruntime, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import InvalidModel, UnsupportedModel
from tests.support.onnx_models import agrees_alone, agrees_in_place, ints, model

IMAGE = "float[N,6,4,1] x"
OF_AXIS = {17: "y = DFT<axis={}>(x)", 20: "y = DFT(x, , a)"}


def dft(shape: str, axis: int, opset: int) -> Any:
    weights: dict[str, Any] = {} if opset == 17 else {"a": np.array(axis)}
    return model(f"float[{shape}] x", OF_AXIS[opset].format(axis), opset, **weights)


@pytest.mark.parametrize("opset", OF_AXIS)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [("6,N,4,1", 0), ("6,N,4,1", 2), ("6,N,4,2", -4), ("6,4,N,2", 1), ("6,4,N,1", -4)],
)
def test_a_batch_axis_that_is_not_first(shape: str, axis: int, opset: int) -> None:
    agrees_in_place(dft(shape, axis, opset))


@pytest.mark.parametrize("opset", OF_AXIS)
def test_the_axis_of_a_batch_of_one(opset: int) -> None:
    agrees_alone(dft("1,6,4,1", 0, opset))


@pytest.mark.parametrize("opset", OF_AXIS)
@pytest.mark.parametrize(("shape", "axis"), [("N,6,4,1", 0), ("6,N,4,1", -3), ("6,4,N", 0)])
def test_the_batch_axis_itself_is_not_transformed(shape: str, axis: int, opset: int) -> None:
    with pytest.raises(UnsupportedModel, match=r"mixes the batch axis .*\n.*y_node"):
        import_model(dft(shape, axis, opset))


@pytest.mark.parametrize(
    ("body", "opset", "weights", "message"),
    [
        ("y = DFT<axis=1>(x, l)", 17, {"l": np.float32(5)}, "has length in float32, not integers"),
        ("y = DFT<axis=1>(x, l)", 17, {"l": ints(5, 6)}, r"has length \(5, 6\), not one integer"),
        ("y = DFT(x, , a)", 20, {"a": ints(1, 2)}, r"has axis \(1, 2\), not one integer"),
        ("y = DFT(x, , a)", 20, {"a": ints()}, r"has axis \(\), not one integer"),
        ("y = CumSum(x, a)", 17, {"a": ints()}, r"has axis \(\), not one integer"),
    ],
)
def test_operands_that_are_not_one_integer(
    body: str, opset: int, weights: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidModel, match=f'node "y_node": .* {message}'):
        import_model(model(IMAGE, body, opset, **weights))
