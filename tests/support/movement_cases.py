"""Networks that move values: input, nodes, weights (see `model`) and populations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.onnx_models import ints

_IMAGE = "float[N,3,8,8] x"
_SAME = "pads=[1,1,1,1]"
_DOUBLE = np.array([1, 1, 2, 2], np.float32)
_TO_NCHW, _TO_NHWC = "Transpose<perm=[0,3,1,2]>", "Transpose<perm=[0,2,3,1]>"
_DOWN = f"""
    a = Conv<{_SAME}>(x, w1) ar = Relu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(ar)
    b = Conv<{_SAME}>(p, w2) br = Relu(b)
"""
_UP = f"k = Concat<axis=1>(u, ar) c = Conv<{_SAME}>(k, w3) cr = Relu(c) y = Conv(cr, w4)"

NETWORKS: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "U-Net with transposed convolution": (
        _IMAGE,
        f"{_DOWN} u = ConvTranspose<strides=[2,2]>(br, wu) {_UP}",
        {
            **{"w1": (4, 3, 3, 3), "w2": (6, 4, 3, 3), "wu": (6, 4, 2, 2)},
            **{"w3": (4, 8, 3, 3), "w4": (2, 4, 1, 1)},
        },
        ["ar", "br", "u.phases", "cr", "y"],
    ),
    "U-Net with nearest neighbours": (
        _IMAGE,
        f'{_DOWN} u = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
        f' nearest_mode="floor">(br, , s) {_UP}',
        {
            **{"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "s": _DOUBLE},
            **{"w3": (4, 8, 3, 3), "w4": (2, 4, 1, 1)},
        },
        ["ar", "br", "cr", "y"],
    ),
    "bilinear": (
        _IMAGE,
        f'a = Conv<{_SAME}>(x, w1) ar = Relu(a) u = Resize<mode="linear">(ar, , s)'
        f" c = Conv<{_SAME}>(u, w2) y = Relu(c)",
        {"w1": (4, 3, 3, 3), "w2": (2, 4, 3, 3), "s": _DOUBLE},
        ["ar", "y"],
    ),
    "autoencoder": (
        _IMAGE,
        f"a = Conv<strides=[2,2], {_SAME}>(x, w1) ar = Relu(a)"
        f" b = Conv<strides=[2,2], {_SAME}>(ar, w2) br = Relu(b)"
        f" c = ConvTranspose<strides=[2,2], {_SAME}, output_padding=[1,1]>(br, w3) cr = Relu(c)"
        f" y = ConvTranspose<strides=[2,2], {_SAME}, output_padding=[1,1]>(cr, w4)",
        {"w1": (4, 3, 3, 3), "w2": (6, 4, 3, 3), "w3": (6, 4, 3, 3), "w4": (4, 3, 3, 3)},
        ["ar", "br", "cr", "y.phases"],
    ),
    "pixel shuffle": (
        _IMAGE,
        f'a = Conv<{_SAME}>(x, w1) d = DepthToSpace<blocksize=2, mode="CRD">(a) r = Relu(d)'
        " y = Conv(r, w2)",
        {"w1": (8, 3, 3, 3), "w2": (2, 2, 3, 3)},
        ["r", "y"],
    ),
    "reflected borders": (
        _IMAGE,
        'q = Pad<mode="reflect">(x, p) a = Conv(q, w1) r = Relu(a) e = Pad<mode="edge">(r, p)'
        " y = Conv(e, w2)",
        {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "w1": (4, 3, 3, 3), "w2": (2, 4, 3, 3)},
        ["r", "y"],
    ),
    "running sum": (
        _IMAGE,
        "a = Conv(x, w1) r = Relu(a) c = CumSum(r, k) y = Conv(c, w2)",
        {"w1": (4, 3, 1, 1), "k": np.array(2), "w2": (2, 4, 1, 1)},
        ["r", "y"],
    ),
    "sums over indices": (
        "float[N,5,6] x",
        'a = Einsum<equation="bij,jk->bik">(x, w) r = Relu(a)'
        ' c = Einsum<equation="bik,ik->bi">(r, v) y = Gemm(c, z)',
        {"w": (6, 4), "v": (5, 4), "z": (5, 3)},
        ["r", "c.product", "y"],
    ),
    "triangle": (
        "float[N,5,5] x",
        "t = Trilu(x) f = Flatten(t) g = Gemm(f, w) r = Relu(g) y = Gemm(r, v)",
        {"w": (25, 8), "v": (8, 3)},
        ["r", "y"],
    ),
    "single elements": (
        "float[3,4,6] x",
        "t = GatherElements<axis=2>(x, i) r = Relu(t) f = Flatten(r) y = Gemm(f, w)",
        {"i": np.tile([[5, 0, 3], [1, 1, 2], [4, 0, 0], [2, 3, 5]], (3, 1, 1)), "w": (12, 3)},
        ["r", "y"],
    ),
    "channels last": (
        "float[N,6,6,4] x",
        f"t = {_TO_NCHW}(x) a = Conv<{_SAME}>(t, w) b = {_TO_NHWC}(a) m = Mul(b, s) n = Add(m, s)"
        f" r = Relu(n) e = Pad(r, p) t2 = {_TO_NCHW}(e) c = Conv(t2, w) d = {_TO_NHWC}(c)"
        " f = Add(d, r) g = Relu(f) h = ReduceMean<axes=[1,2], keepdims=0>(g) y = Gemm(h, v)",
        {
            **{"w": (4, 4, 3, 3), "s": np.arange(1, 5, dtype=np.float32) / 4, "v": (4, 3)},
            "p": ints(0, 1, 1, 0, 0, 1, 1, 0),
        },
        ["r", "g", "y"],
    ),
    "channels last, two layers in a sum": (
        "float[N,6,6,4] x",
        f"t = {_TO_NCHW}(x) a = Conv<{_SAME}>(t, w) b = {_TO_NHWC}(a) c = Conv(t, v)"
        f" d = {_TO_NHWC}(c) e = Add(b, d) y = Relu(e)",
        {"w": (4, 4, 3, 3), "v": (4, 4, 1, 1)},
        ["y"],
    ),
    "channel shuffle": (
        "float[N,4,6,6] x",
        "c = Conv(x, w) s = Reshape(c, i) t = Transpose<perm=[0,2,1,3,4]>(s) u = Reshape(t, j)"
        " r = Relu(u) y = Conv<group=2>(r, v)",
        {
            **{"w": (4, 4, 1, 1), "v": (4, 2, 1, 1)},
            **{"i": ints(0, 2, 2, 6, 6), "j": ints(0, 4, 6, 6)},
        },
        ["r", "y"],
    ),
    "inverted residual": (
        "float[N,4,6,6] x",
        f"a = Conv(x, w1) b = Clip(a, z, s) c = Conv<group=12, {_SAME}>(b, w2) d = Clip(c, z, s)"
        " e = Conv(d, w3) f = Add(e, x) g = Conv<strides=[2,2]>(f, w1) y = Clip(g, z, s)",
        {
            **{"w1": (12, 4, 1, 1), "w2": (12, 1, 3, 3), "w3": (4, 12, 1, 1)},
            **{"z": np.float32(0), "s": np.float32(6)},
        },
        ["b", "d", "f", "y"],
    ),
    "dilated": (
        _IMAGE,
        "a = Conv<dilations=[2,2], pads=[2,2,2,2]>(x, w1) r = Relu(a)"
        " b = Conv<dilations=[3,3], pads=[3,3,3,3]>(r, w2) y = Relu(b)",
        {"w1": (4, 3, 3, 3), "w2": (2, 4, 3, 3)},
        ["r", "y"],
    ),
    "one axis": (
        "float[N,2,20] x",
        "a = Conv<strides=[2]>(x, w1) r = Relu(a) p = AveragePool<kernel_shape=[2], strides=[2]>(r)"
        " u = ConvTranspose<strides=[2]>(p, w2) v = Relu(u) m = GlobalMaxPool(v) f = Flatten(m)"
        " y = Gemm(f, w3)",
        {"w1": (4, 2, 3), "w2": (4, 3, 4), "w3": (3, 2)},
        ["r", "p.sum", "v", "y"],
    ),
    "average at the end": (
        _IMAGE,
        "a = Conv(x, w1) r = Relu(a) m = GlobalAveragePool(r) y = Flatten(m)",
        {"w1": (4, 3, 3, 3)},
        ["r", "m"],
    ),
}
