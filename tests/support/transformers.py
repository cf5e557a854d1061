"""Transformer encoders as the exporters of PyTorch write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.support.onnx_models import ints, model

TOKENS, WIDTH, HEADS, HIDDEN = 3, 4, 2, 8

# Post-norm, as nn.TransformerEncoderLayer is by default: time first, heads joined with samples.
TORCHSCRIPT = """
    packed = MatMul(h0, w_in) biased = Add(b_in, packed)
    size = Shape(h0) one = Constant<value = int64[1] {1}>() n = Gather(size, one)
    t = Constant<value = int64[1] {3}>() three = Constant<value = int64[1] {3}>()
    width = Constant<value = int64[1] {4}>() parts = Concat<axis=0>(t, n, three, width)
    apart = Reshape(biased, parts) first = Unsqueeze(apart, zero)
    moved = Transpose<perm=[3,1,2,0,4]>(first) qkv = Squeeze(moved, minus_two)
    q = Gather<axis=0>(qkv, i0) k = Gather<axis=0>(qkv, i1) v = Gather<axis=0>(qkv, i2)
    heads = Constant<value = int64[3] {3,-1,2}>()
    q1 = Reshape(q, heads) q2 = Transpose<perm=[1,0,2]>(q1)
    k1 = Reshape(k, heads) k2 = Transpose<perm=[1,2,0]>(k1)
    v1 = Reshape(v, heads) v2 = Transpose<perm=[1,0,2]>(v1)
    q3 = Mul(q2, scale) scores = MatMul(q3, k2) shares = Softmax<axis=-1>(scores)
    mixed = MatMul(shares, v2) back = Transpose<perm=[1,0,2]>(mixed)
    rows = Constant<value = int64[2] {-1,4}>() flat = Reshape(back, rows)
    projected = Gemm<transB=1>(flat, w_out, b_out)
    whole = Concat<axis=0>(t, n, width) attended = Reshape(projected, whole)
    r1 = Add(h0, attended) n1 = LayerNormalization<axis=-1>(r1, g1, b1)
    f1 = MatMul(n1, w1) f2 = Add(c1, f1) f3 = Relu(f2) f4 = MatMul(f3, w2) f5 = Add(c2, f4)
    r2 = Add(n1, f5) h1 = LayerNormalization<axis=-1>(r2, g2, b2)
"""

# Pre-norm, as models of vision are: batch first, attention by scaled_dot_product_attention.
DYNAMO = """
    n1 = LayerNormalization<axis=-1>(h0, g1, b1)
    packed = MatMul(n1, w_in) biased = Add(packed, b_in) q, k, v = Split<axis=-1>(biased, thirds)
    heads = Constant<value = int64[4] {0,0,2,2}>()
    q1 = Reshape(q, heads) q2 = Transpose<perm=[0,2,1,3]>(q1)
    k1 = Reshape(k, heads) k2 = Transpose<perm=[0,2,3,1]>(k1)
    v1 = Reshape(v, heads) v2 = Transpose<perm=[0,2,1,3]>(v1)
    q3 = Mul(q2, root) k3 = Mul(k2, root) scores = MatMul(q3, k3)
    shares = Softmax<axis=-1>(scores) nan = IsNaN(shares) safe = Where(nan, nothing, shares)
    mixed = MatMul(safe, v2) back = Transpose<perm=[0,2,1,3]>(mixed)
    rows = Constant<value = int64[3] {0,0,4}>() flat = Reshape(back, rows)
    projected = MatMul(flat, w_turned) attended = Add(projected, b_out)
    r1 = Add(h0, attended) n2 = LayerNormalization<axis=-1>(r1, g2, b2)
    f1 = MatMul(n2, w1) f2 = Add(f1, c1) d = Div(f2, root_two) e = Erf(d) e1 = Add(e, ones)
    m = Mul(f2, e1) f3 = Mul(m, half) f4 = MatMul(f3, w2) f5 = Add(f4, c2)
    h1 = Add(r1, f5)
"""


# Patches of two by two pixels as tokens, as models of vision have them.
PATCHES = """
    p0 = Conv<strides=[2,2]>(x, patches) p1 = Reshape(p0, columns) h0 = Transpose<perm=[0,2,1]>(p1)
"""


def encoder(style: str) -> onnx.ModelProto:
    """A small encoder layer between an embedding and a head.

    ``style`` is that of an exporter, or ``vision``: tokens are patches of an image.
    """
    rng = np.random.default_rng(4)

    def normal(*shape: int) -> Any:
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    def near(middle: float) -> Any:
        return (middle + rng.standard_normal(WIDTH) / 5).astype(np.float32)

    w_out, body, number = normal(WIDTH, WIDTH), DYNAMO, np.float32
    weights: dict[str, Any] = {
        **{"w_in": normal(WIDTH, 3 * WIDTH), "b_in": normal(3 * WIDTH) / 2, "b_out": near(0)},
        **{"g1": near(1), "b1": near(0), "g2": near(1), "b2": near(0)},
        **{"w1": normal(WIDTH, HIDDEN), "c1": normal(HIDDEN), "w2": normal(HIDDEN, WIDTH)},
        **{"c2": near(0), "embed": normal(5, WIDTH), "head": normal(WIDTH, 3)},
    }
    if style == "torchscript":
        body, given, axis = TORCHSCRIPT, "float[3,N,5] x", 0
        weights |= {"w_out": w_out, "zero": ints(0), "minus_two": ints(-2)}
        weights |= {f"i{n}": np.array(n) for n in range(3)}
        weights["scale"] = number((WIDTH / HEADS) ** -0.5)
    else:
        given, axis = "float[N,3,5] x", 1
        weights |= {"w_turned": w_out.T.copy(), "thirds": ints(WIDTH, WIDTH, WIDTH)}
        weights |= {"root": number((WIDTH / HEADS) ** -0.25), "nothing": number(0)}
        weights |= {"root_two": number(2**0.5), "ones": number(1), "half": number(0.5)}
    front = "h0 = MatMul(x, embed)"
    if style == "vision":
        given, front = "float[N,1,2,6] x", PATCHES
        weights |= {"patches": normal(WIDTH, 1, 2, 2), "columns": ints(0, WIDTH, TOKENS)}
    ends = f"m0 = ReduceMean<axes=[{axis}], keepdims=0>(h1) y = MatMul(m0, head)"
    return model(given, f"{front} {body} {ends}", 17, **weights)
