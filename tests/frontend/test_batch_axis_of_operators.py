"""Operators along some axes, wherever the batch axis stands: second, last, joined, or nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel
from tests.support.onnx_models import agrees_in_place, ints, model

SECOND, LAST, NONE = "float[4,N,5] x", "float[4,5,N] x", "float[4,5] x"
CHOSEN = np.array([[True], [False], [True], [True]])
NORM: dict[str, Any] = {"s": (3,), "b": (3,)}

# Inputs, nodes, opset, and weights.
CASES: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "smallest": (SECOND, "y = ArgMin<axis=2, keepdims=0>(x)", 17, {}),
    "smallest of one sample": (NONE, "y = ArgMin<axis=0, keepdims=0>(x)", 17, {}),
    "largest elements": (SECOND, "y, i = TopK(x, k)", 17, {"k": ints(2)}),
    "the largest element": (LAST, "y, i = TopK<axis=1>(x, k)", 17, {"k": ints(1)}),
    "running sum": (SECOND, "y = CumSum(x, a)", 17, {"a": np.array(-1)}),
    "running sum of one sample": (NONE, "y = CumSum(x, a)", 17, {"a": np.array(0)}),
    "length": ("float[4,2,N,5] x", "y = LpNormalization(x)", 11, {}),
    "mean and variance": (LAST, "y = MeanVarianceNormalization<axes=[0,1]>(x)", 17, {}),
    "indices": (SECOND, 'y = Einsum<equation="abc,cd->dab">(x, w)', 17, {"w": (5, 3)}),
    "indices, batch last": (LAST, 'y = Einsum<equation="abc,ab->c">(x, w)', 17, {"w": (4, 5)}),
    "indices of one sample": (NONE, 'y = Einsum<equation="ab,cb->ca">(x, w)', 17, {"w": (3, 5)}),
    "indices of two": (
        f"{SECOND}, float[4,N,5] v",
        'y = Einsum<equation="abc,abc->ba">(x, v)',
        17,
        {},
    ),
    "other indices": (SECOND, 'y = Einsum<equation="...j,jk->...k">(x, w)', 17, {"w": (5, 3)}),
    "other indices, batch first": (
        "float[N,4,5] x",
        'y = Einsum<equation="jk,...ij">(w, x)',
        17,
        {"w": (5, 3)},
    ),
    "other indices summed": ("float[N,4,5] x", 'y = Einsum<equation="...ij->...">(x)', 17, {}),
    "other indices of both": (
        "float[N,4,5] x",
        'y = Einsum<equation="...j,...j->...">(x, x)',
        17,
        {},
    ),
    "other indices of one sample": (
        NONE,
        'y = Einsum<equation="i...,ik->...k">(x, w)',
        17,
        {"w": (4, 3)},
    ),
    "images of frames": (
        "float[N,4,3,5] x",
        "r = Reshape(x, f) n = InstanceNormalization(r, s, b) y = Reshape(n, t)",
        17,
        {**NORM, "f": ints(-1, 3, 5), "t": ints(-1, 4, 3, 5)},
    ),
    "groups of frames": (
        "float[N,4,6,5] x",
        "r = Reshape(x, f) n = GroupNormalization<num_groups=3>(r, s, b) y = Reshape(n, t)",
        18,
        {**NORM, "f": ints(-1, 6, 5), "t": ints(-1, 4, 6, 5)},
    ),
    "pixels of frames": (
        "float[N,4,3,1] x",
        "r = Reshape(x, f) n = InstanceNormalization(r, s, b) m = Add(n, r) y = Reshape(m, t)",
        17,
        {**NORM, "f": ints(-1, 3, 1), "t": ints(-1, 4, 3, 1)},
    ),
    "pools of frames": (
        "float[N,4,3,6] x",
        "r = Reshape(x, f) p = LpPool<kernel_shape=[2]>(r) g = GlobalLpPool(p) y = Reshape(g, t)",
        17,
        {"f": ints(-1, 3, 6), "t": ints(-1, 4, 3)},
    ),
    "chosen": (SECOND, "u = Unsqueeze(c, a) y = Where(u, x, z)", 17, {"z": np.float32(2)}),
    "chosen of two": (SECOND, "u = Unsqueeze(c, a) v = Neg(x) y = Where(u, x, v)", 17, {}),
    "chosen of one sample": (NONE, "y = Where(c, x, z)", 17, {"z": (5,)}),
    "a vector times matrices": ("float[N,4,5] x", "y = MatMul(w, x)", 17, {"w": (4,)}),
    "a vector times images": ("float[N,2,4,5] x", "y = MatMul(w, x)", 17, {"w": (4,)}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_batch_axis_anywhere(name: str) -> None:
    inputs, body, opset, weights = CASES[name]
    weights = {"c": CHOSEN, "a": ints(1), **weights}
    outputs = "y i" if "i =" in body else "y"
    proto = model(inputs, body, opset, outputs, **weights)
    for output in proto.graph.output:
        if "Arg" in body or output.name == "i":
            output.type.tensor_type.elem_type = 7
    agrees_in_place(proto, allow_products=True)


@pytest.mark.parametrize("equation", ["abc,abc->ac", "abc,adc->ba"])
def test_indices_that_mix_samples(equation: str) -> None:
    proto = model(f"{SECOND}, float[4,N,5] v", f'y = Einsum<equation="{equation}">(x, v)')
    with pytest.raises(UnsupportedModel, match="Einsum mixes the batch axis"):
        import_model(proto, allow_products=True)


def test_an_ellipsis_that_repeats_axes() -> None:
    equation = '<equation="...ij,...jk->...ik">'
    proto = model("float[N,2,4,5] x", f"y = Einsum{equation}(x, w)", w=(1, 5, 3))
    with pytest.raises(UnsupportedModel, match=r"repeats axes of length 1 .*\n.*\n.*by Expand"):
        import_model(proto)
    body = f"u = Expand(w, e) y = Einsum{equation}(x, u)"
    assert import_model(model("float[N,2,4,5] x", body, w=(1, 5, 3), e=ints(2, 1, 1))).graph.nodes


def test_an_open_axis_behind_one_of_length_1_may_be_the_batch() -> None:
    proto = model("float[1,N,5] x", "y = Relu(x)")
    with pytest.raises(
        UnsupportedModel, match=r"or N for the batch axis: --input-shape x=1,\.\.,5"
    ):
        import_model(proto)
    found = import_model(proto, input_shapes={"x": (1, "N", 5)})
    assert found.batch_axes == {"x": 1, "y": 1}
