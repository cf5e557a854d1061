"""Nodes of onnxruntime's optimiser for which those of ONNX come in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import UnsupportedModel, evaluate
from tests.support.onnx_models import (
    Array,
    agrees,
    batches,
    ints,
    model,
    run_onnx,
    run_reference,
)

IMAGE, TOKENS = "float[N,3,5,5] x", "float[N,2,4,4] x"
PIXELS: dict[str, Any] = {"w": (6, 3, 3, 3), "b": (6,)}
TABLES: dict[str, Any] = {"w": (9, 6), "p": (7, 6), "s": (2, 6), "g": (6,), "b": (6,)}
CHANNELS: dict[str, Any] = {"g": (6,), "b": (6,)}
CAUSAL: dict[str, Any] = {"b": np.triu(np.full((4, 4), -1e4, np.float32), 1)}
CONV = "MS.FusedConv<pads=[1,1,1,1], kernel_shape=[3,3], activation="
DOMAIN = "com.microsoft"
EMBED = "n, m, z = MS.EmbedLayerNormalization"


def fused(inputs: str, body: str, opset: int = 17, **weights: Any) -> onnx.ModelProto:
    """A model with operators of onnxruntime."""
    proto = model(inputs, body.replace("MS.", "com.microsoft."), opset, **weights)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return proto


@pytest.mark.parametrize("opset", [10, 17])
@pytest.mark.parametrize(
    "activation",
    [
        *('"Relu"', '"Sigmoid"', '"LeakyRelu", activation_params=[0.2]'),
        *('"Clip", activation_params=[-0.2,0.7]', '"HardSigmoid", activation_params=[0.3,0.4]'),
    ],
)
def test_convolutions(activation: str, opset: int) -> None:
    agrees(fused(IMAGE, f"y = {CONV}{activation}>(x, w, b)", opset, **PIXELS))


def test_convolutions_with_a_summand_and_no_activation() -> None:
    body = f'z = Conv(x, v) s = {CONV}"Relu">(x, w, b, z) y = MS.FusedConv(s, u)'
    agrees(fused(IMAGE, body, v=(6, 3, 1, 1), u=(2, 6, 1, 1), **PIXELS))


@pytest.mark.parametrize(
    "activation",
    [
        *('"Tanh"', '"Softsign"', '"LeakyRelu", activation_alpha=0.2'),
        '"HardSigmoid", activation_alpha=0.3, activation_beta=0.4',
        '"Selu", activation_alpha=1.5, activation_gamma=1.1',
    ],
)
def test_matrices(activation: str) -> None:
    body = f"y = MS.FusedGemm<transB=1, alpha=0.5, activation={activation}>(x, w, b)"
    agrees(fused("float[N,6] x", body, w=(4, 6), b=(4,)))


EMBEDDINGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "kinds": ("int32[N,4] x, int32[N,4] t", f"{EMBED}(x, t, w, p, s, g, b)", {}),
    "words": ("int32[N,4] x", f"{EMBED}<epsilon=0.1>(x, , w, p, , g, b)", {}),
    "places": (
        "int32[N,4] x",
        f"{EMBED}(x, , w, p, , g, b, , q)",
        {"q": np.array([[0, 3, 1, 5]], np.int32)},
    ),
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(name: str) -> None:
    inputs, body, more = EMBEDDINGS[name]
    rng = np.random.default_rng(0)
    proto = fused(inputs, f"{body} y = Add(n, z)", **TABLES, **more)
    feeds = {"x": rng.integers(0, 9, (3, 4), np.int32), "t": rng.integers(0, 2, (3, 4), np.int32)}
    given = [feeds[value.name] for value in proto.graph.input]
    graph = import_model(proto, None, allow_products=True).graph
    (found,) = evaluate(graph, *given)
    wanted = run_onnx(proto, {value.name: feeds[value.name] for value in proto.graph.input})[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


# Operators that onnxruntime has no kernel for on CPUs, and nodes of ONNX that are the same.
SAME: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "softmax": (
        TOKENS,
        "s = MS.BiasSoftmax<axis=3, is_inner_broadcast=0>(x, b) y = Mul(s, s)",
        "a = Add(x, b) s = Softmax<axis=-1>(a) y = Mul(s, s)",
        CAUSAL,
    ),
    "softmax of two axes": (
        TOKENS,
        "y = MS.BiasSoftmax<axis=2, is_inner_broadcast=0>(x, b)",
        "a = Add(x, b) r = Reshape(a, i) s = Softmax<axis=-1>(r) y = Reshape(s, j)",
        {"b": (2, 1, 4), "i": ints(0, 2, 16), "j": ints(0, 2, 4, 4)},
    ),
    "norm": (
        "float[N,6,4,4] x",
        "y = MS.GroupNorm<groups=2, activation=0, channels_last=0, epsilon=0.01>(x, g, b)",
        "y = GroupNormalization<num_groups=2, epsilon=0.01>(x, g, b)",
        CHANNELS,
    ),
    "norm of channels at the end, and swish": (
        "float[N,4,4,6] x",
        "y = MS.GroupNorm<groups=3, activation=1>(x, g, b)",
        "t = Transpose<perm=[0,3,1,2]>(x) n = GroupNormalization<num_groups=3>(t, g, b)"
        " s = Sigmoid(n) m = Mul(n, s) y = Transpose<perm=[0,2,3,1]>(m)",
        CHANNELS,
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_what_onnxruntime_has_no_kernel_for(name: str) -> None:
    inputs, body, same, weights = SAME[name]
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {
        key: rng.standard_normal(one, np.float32) if isinstance(one, tuple) else one
        for key, one in weights.items()
    }
    found = import_model(fused(inputs, body, **given), None, allow_products=True)
    feeds = batches(found)
    wanted: Array = run_reference(model(inputs, same, 21, **given), feeds)[0]
    np.testing.assert_allclose(evaluate(found.graph, *feeds.values())[0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        (IMAGE, f'y = {CONV}"Gelu">(x, w, b)'),
        (IMAGE, f"y = {CONV}3>(x, w, b)"),
        (IMAGE, "y = MS.GroupNorm<groups=0, activation=0, channels_last=0>(x, b, b)"),
        (IMAGE, "y = MS.BiasSoftmax<axis=1000, is_inner_broadcast=0>(x, b)"),
        ("int32[N,3] x", "n, m = MS.EmbedLayerNormalization(x, , b, b, , b, b, x) y = Relu(m)"),
    ],
)
def test_others_are_refused(inputs: str, body: str) -> None:
    with pytest.raises(UnsupportedModel, match=r"com\.microsoft\..*\n.*_node.*\n.*optimisation"):
        import_model(fused(inputs, body, **PIXELS))


def test_bodies() -> None:
    body = helper.make_graph(
        [
            helper.make_node("FusedGemm", ["s", "w", "b"], ["r"], domain=DOMAIN, activation="Relu"),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("r", TensorProto.FLOAT, None),
        ],
    )
    proto = fused("float[N,4] x", "y = Neg(x)", n=np.array(2), w=(4, 4), b=(4,))
    proto.graph.node[0].CopyFrom(helper.make_node("Loop", ["n", "", "x"], ["y"], body=body))
    agrees(proto)
    assert proto.graph.node[0].attribute[0].g == body  # the model stays as it is
