"""Operators in every spelling: input, nodes, oldest and newest opset, weights (see `model`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tests.support.onnx_models import ints

IMAGE = "float[N,3,9,8] x"
FLAT = "float[N,6] x"
ROWS = "float[N,4,5] x"
LEAKY: dict[str, Any] = {"z": np.float32(0), "s": np.float32(0.1)}


class Case(NamedTuple):
    """A model of one operator, for opsets from the oldest to the newest."""

    inputs: str
    body: str
    oldest: int
    newest: int
    weights: dict[str, Any]


def case(inputs: str, body: str, *, oldest: int = 7, newest: int = 99, **weights: Any) -> Case:
    """A case of all opsets but those it leaves out."""
    return Case(inputs, body, oldest, newest, weights)


CASES = {
    "minimum": case(IMAGE, "y = ReduceMin<axes=[2,3]>(x)", oldest=11, newest=17),
    "minimum of one axis": case(
        ROWS, "y = ReduceMin<axes=[1], keepdims=0>(x)", oldest=11, newest=17
    ),
    "arc tangent": case(FLAT, "a = Atan(x) b = Asinh(a) y = Cosh(b)", oldest=9),
    "quotient": case(FLAT, "a = Abs(x) b = Add(a, o) y = Div(x, b)", oldest=14, o=np.float32(1)),
    "divided by the data": case(
        FLAT, "a = Exp(x) y = Div(o, a)", oldest=14, o=np.array([2], np.float32)
    ),
    "time first": case(
        ROWS,
        "t = Transpose<perm=[1,0,2]>(x) a = Add(t, b) r = Relu(a) m = MatMul(r, w)"
        " s = Slice(m, f, l, z) p, q = Split<axis=0>(s) v = Sub(p, q) u = Squeeze(v, z)"
        " n = Unsqueeze(u, z) c = Concat<axis=0>(n, n, m) d = ReduceMean<axes=[0], keepdims=0>(c)"
        " y = Mul(d, k)",
        oldest=13,
        newest=17,
        b=(4, 1, 5),
        w=(5, 3),
        f=ints(1),
        l=ints(3),
        z=ints(0),
        k=(1, 3),
    ),
    "sizes of time first": case(
        ROWS,
        "t = Transpose<perm=[1,0,2]>(x) s = Shape(t) i = Gather(s, o) c = Concat<axis=0>(i, m)"
        " y = Reshape(x, c)",
        oldest=13,
        o=ints(1),
        m=ints(20),
    ),
    "a constant of more axes": case(
        FLAT, "a = Add(x, c) y = Squeeze(a, z)", oldest=13, c=(1, 1, 6), z=ints(0)
    ),
    "zero state": case(
        FLAT,
        "s = Shape(x) e = Expand(o, s) a = MatMul(e, w) y = Add(x, a)",
        oldest=9,
        o=np.zeros(1, np.float32),
        w=(6, 6),
    ),
    "power of a whole number": case(FLAT, "y = Pow(x, e)", oldest=12, e=ints(2)),
    "conv": case(IMAGE, "y = Conv(x, w, b)", w=(4, 3, 3, 2), b=(4,)),
    "conv no bias": case(IMAGE, "y = Conv(x, w)", w=(4, 3, 1, 1)),
    "conv all attributes": case(
        "float[N,4,9,8] x",
        "y = Conv<kernel_shape=[3,2], group=2, dilations=[2,1], strides=[1,3], pads=[0,1,2,3]>"
        "(x, w, b)",
        w=(6, 2, 3, 2),
        b=(6,),
    ),
    "conv depthwise": case(IMAGE, "y = Conv<group=3>(x, w)", w=(6, 1, 3, 3)),
    "conv same upper": case(
        IMAGE, 'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', w=(2, 3, 4, 3)
    ),
    "conv same lower": case(IMAGE, 'y = Conv<auto_pad="SAME_LOWER">(x, w)', w=(2, 3, 4, 2)),
    "conv valid": case(IMAGE, 'y = Conv<auto_pad="VALID">(x, w)', w=(2, 3, 4, 2)),
    "conv 1d": case("float[N,2,9] x", "y = Conv<pads=[1,2]>(x, w)", w=(3, 2, 4)),
    "conv 3d": case("float[N,2,4,5,6] x", "y = Conv<strides=[1,2,1]>(x, w)", w=(3, 2, 2, 3, 2)),
    "gemm": case(FLAT, "y = Gemm(x, w, b)", w=(6, 3), b=(3,)),
    "gemm factors": case(
        FLAT, "y = Gemm<alpha=0.5, beta=2.0, transB=1>(x, w, b)", w=(3, 6), b=(1, 3)
    ),
    "gemm scalar": case(FLAT, "y = Gemm<transB=1>(x, w, b)", w=(3, 6), b=(1,)),
    "gemm no bias": case(FLAT, "y = Gemm<transB=1>(x, w)", oldest=11, w=(3, 6)),
    "gemm beside squares": case(
        FLAT,
        "q = ReduceSumSquare<axes=[1]>(x) y = Gemm<alpha=-2.0, beta=0.5, transB=1>(x, w, q)",
        newest=17,
        w=(3, 6),
    ),
    "matmul": case(FLAT, "t = MatMul(x, w) y = Add(t, b)", w=(6, 3), b=(3,)),
    "matmul vector": case(FLAT, "y = MatMul(x, w)", w=(6,)),
    "matmul rows": case(ROWS, "y = MatMul(x, w)", w=(5, 3)),
    "matmul rows vector": case(ROWS, "y = MatMul(x, w)", w=(5,)),
    "matmul image": case(IMAGE, "y = MatMul(x, w)", w=(8, 3)),
    "matmul stacked": case(IMAGE, "y = MatMul(x, w)", w=(1, 1, 8, 3)),
    "matmul first": case(ROWS, "y = MatMul(w, x)", w=(3, 4)),
    "batchnorm": case(
        IMAGE,
        "y = BatchNormalization<epsilon=0.01>(x, s, b, m, v)",
        oldest=9,
        s=(3,),
        b=(3,),
        m=(3,),
        v=np.array([0.5, 1, 2], np.float32),
    ),
    "batchnorm flat": case(
        FLAT,
        "y = BatchNormalization(x, s, b, m, v)",
        oldest=9,
        s=(6,),
        b=(6,),
        m=(6,),
        v=np.arange(1, 7, dtype=np.float32),
    ),
    "relu": case(IMAGE, "y = Relu(x)"),
    "neg": case(IMAGE, "y = Neg(x)"),
    "clip attributes": case(IMAGE, "y = Clip<min=-0.5, max=0.7>(x)", newest=10),
    "clip attribute": case(IMAGE, "y = Clip<max=0.7>(x)", newest=10),
    "clip inputs": case(
        IMAGE, "y = Clip(x, l, h)", oldest=11, l=np.float32(-0.5), h=np.float32(0.7)
    ),
    "clip max": case(IMAGE, "y = Clip(x, , h)", oldest=11, h=np.float32(0.7)),
    "clip nothing": case(IMAGE, "y = Clip(x)", oldest=11),
    "clip reversed": case(
        IMAGE, "y = Clip(x, l, h)", oldest=12, l=np.float32(0.5), h=np.float32(-0.5)
    ),
    "max pool": case(IMAGE, "y = MaxPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,2,1]>(x)"),
    "max pool ceil": case(
        IMAGE,
        "y = MaxPool<kernel_shape=[3,3], strides=[2,3], ceil_mode=1, dilations=[1,2]>(x)",
        oldest=11,
    ),
    "max pool ceil padded": case(
        IMAGE,
        "y = MaxPool<kernel_shape=[2,2], strides=[3,3], ceil_mode=1, pads=[0,1,1,1]>(x)",
        oldest=11,
    ),
    "max pool same": case(
        IMAGE, 'y = MaxPool<kernel_shape=[2,3], strides=[2,2], auto_pad="SAME_LOWER">(x)'
    ),
    "average pool": case(IMAGE, "y = AveragePool<kernel_shape=[3,2], strides=[2,2]>(x)"),
    "average pool excluding": case(IMAGE, "y = AveragePool<kernel_shape=[3,2], pads=[1,0,2,1]>(x)"),
    "average pool including": case(
        IMAGE, "y = AveragePool<kernel_shape=[3,2], pads=[1,0,2,1], count_include_pad=1>(x)"
    ),
    "average pool ceil": case(
        IMAGE,
        "y = AveragePool<kernel_shape=[2,3], strides=[2,2], ceil_mode=1, pads=[1,1,1,1]>(x)",
        oldest=11,
    ),
    "average pool ceil including": case(
        IMAGE,
        "y = AveragePool<kernel_shape=[2,3], strides=[2,2], ceil_mode=1, pads=[0,1,0,1],"
        " count_include_pad=1>(x)",
        oldest=19,
    ),
    "average pool dilated": case(
        IMAGE, "y = AveragePool<kernel_shape=[2,3], dilations=[3,2], pads=[1,1,1,1]>(x)", oldest=19
    ),
    "average pool same": case(
        IMAGE, 'y = AveragePool<kernel_shape=[2,3], strides=[2,2], auto_pad="SAME_UPPER">(x)'
    ),
    "global average": case(IMAGE, "y = GlobalAveragePool(x)"),
    "global max": case(IMAGE, "y = GlobalMaxPool(x)"),
    "mean of pixels": case(IMAGE, "y = ReduceMean<axes=[2,3], keepdims=0>(x)", newest=17),
    "mean of pixels 18": case(IMAGE, "y = ReduceMean<keepdims=0>(x, a)", oldest=18, a=ints(-1, -2)),
    "mean of channels": case(IMAGE, "y = ReduceMean<axes=[1]>(x)", newest=17),
    "mean of all": case(IMAGE, "y = ReduceMean<axes=[1,2,3], keepdims=0>(x)", newest=17),
    "mean of features": case(FLAT, "y = ReduceMean<axes=[1]>(x)", newest=17),
    "max of some": case(IMAGE, "y = ReduceMax<axes=[1,3], keepdims=0>(x)", newest=17),
    "max of columns": case(IMAGE, "y = ReduceMax(x, a)", oldest=18, a=ints(3)),
    "sum of rows": case(ROWS, "y = ReduceSum(x, a)", oldest=13, a=ints(1)),
    "sum of rows 7": case(ROWS, "y = ReduceSum<axes=[1]>(x)", newest=12),
    "sum of nothing": case(ROWS, "y = ReduceSum<noop_with_empty_axes=1>(x)", oldest=13),
    "absolute sum": case(IMAGE, "y = ReduceL1<axes=[1,3]>(x)", newest=17),
    "absolute sum of all": case(ROWS, "y = ReduceL1<keepdims=0>(x, a)", oldest=18, a=ints(1, -1)),
    "length": case(ROWS, "y = ReduceL2<axes=[2], keepdims=0>(x)", newest=17),
    "sum of squares": case(ROWS, "y = ReduceSumSquare<axes=[1]>(x)", newest=17),
    "log sum": case(ROWS, "e = Exp(x) y = ReduceLogSum<axes=[-1]>(e)", oldest=11, newest=17),
    "log sum exp": case(ROWS, "y = ReduceLogSumExp<axes=[2]>(x)", newest=17),
    "log sum exp of all": case(
        IMAGE, "y = ReduceLogSumExp<keepdims=0>(x, a)", oldest=18, a=ints(1, 3)
    ),
    "lengths of time first": case(
        ROWS, "t = Transpose<perm=[1,0,2]>(x) y = ReduceL2<axes=[0], keepdims=0>(t)", newest=17
    ),
    "flatten": case(IMAGE, "y = Flatten(x)"),
    "flatten negative": case(IMAGE, "y = Flatten<axis=-3>(x)", oldest=11),
    "reshape": case(IMAGE, "y = Reshape(x, s)", s=ints(0, -1, 8)),
    "reshape batch": case(IMAGE, "y = Reshape(x, s)", s=ints(-1, 8, 27)),
    "squeeze": case("float[N,1,3,1] x", "y = Squeeze<axes=[1,3]>(x)", newest=12),
    "squeeze 13": case("float[N,1,3,1] x", "y = Squeeze(x, a)", oldest=13, a=ints(-1)),
    "squeeze all": case("float[N,1,3,1] x", "y = Squeeze(x)"),
    "unsqueeze": case(FLAT, "y = Unsqueeze<axes=[1,3]>(x)", newest=12),
    "unsqueeze 13": case(FLAT, "y = Unsqueeze(x, a)", oldest=13, a=ints(-1, 1)),
    "transpose": case(IMAGE, "y = Transpose<perm=[0,2,3,1]>(x)"),
    "identity": case(IMAGE, "t = Relu(x) y = Identity(t)"),
    "dropout": case(IMAGE, "y = Dropout<ratio=0.5>(x)", newest=11),
    "dropout 12": case(IMAGE, "y = Dropout(x, r)", oldest=12, r=np.float32(0.5)),
    "cast": case(IMAGE, "y = Cast<to=1>(x)", oldest=9),
    "pad": case(IMAGE, "y = Pad<pads=[0,1,0,2,0,0,3,1], value=0.5>(x)", newest=10),
    "pad 11": case(
        IMAGE, "y = Pad(x, p, v)", oldest=11, p=ints(0, 1, 0, 2, 0, 0, 3, 1), v=np.float32(0.5)
    ),
    "pad axes": case(IMAGE, "y = Pad(x, p, , a)", oldest=18, p=ints(1, 2, 3, 4), a=ints(3, -2)),
    "add": case(IMAGE, "y = Add(x, c)", c=(3, 1, 1)),
    "add full": case(IMAGE, "y = Add(c, x)", c=(1, 3, 9, 8)),
    "sub": case(IMAGE, "y = Sub(x, c)", c=(8,)),
    "sub from": case(IMAGE, "y = Sub(c, x)", c=(9, 1)),
    "mul": case(IMAGE, "y = Mul(x, c)", c=np.float32(2)),
    "mul enlarges": case("float[N,1] x", "y = Mul(x, c)", c=(1, 4)),
    "mul enlarges some": case("float[N,3,1,8] x", "r = Relu(x) y = Mul(c, r)", c=(5, 1)),
    "div enlarges": case("float[N,1,8] x", "y = Div(x, c)", c=(1, 4, 1)),
    "add enlarges": case("float[N,1] x", "y = Add(x, c)", c=(4,)),
    "max enlarges": case("float[N,1,8] x", "y = Max(x, c)", oldest=8, c=(4, 1)),
    "prelu enlarges nothing": case("float[N,4,8] x", "y = PRelu(x, c)", oldest=9, c=(4, 1)),
    "where enlarges": case(
        "float[N,1] x", "g = Greater(x, z) y = Where(g, c, x)", oldest=9, c=(1, 4), z=np.float32(0)
    ),
    "where enlarges to one number": case(
        "float[N,1] x",
        "g = Greater(x, z) y = Where(g, c, x)",
        oldest=9,
        c=np.ones((1, 4), np.float32),
        z=np.float32(0),
    ),
    "greater than one number enlarges": case(
        "float[N,1] x",
        "g = Greater(x, c) a = And(g, d) y = Cast<to=1>(a)",
        oldest=9,
        c=np.zeros((1, 4), np.float32),
        d=np.ones((3, 1, 4), bool)[0],
    ),
    "equal to one number enlarges": case(
        "float[N,1] x",
        "b = Floor(x) e = Equal(b, c) y = Cast<to=1>(e)",
        oldest=11,
        c=np.zeros((1, 4), np.float32),
    ),
    "modulo of the divisor": case(FLAT, "y = Mod(x, c)", oldest=10, c=np.float32(0.75)),
    "power enlarges": case(
        "float[N,1] x", "y = Pow(x, e)", oldest=7, e=np.full((1, 4), 3, np.float32)
    ),
    "greater enlarges": case(
        "float[N,1] x", "g = Greater(x, c) y = Cast<to=1>(g)", oldest=9, c=(1, 4)
    ),
    "div": case(IMAGE, "y = Div(x, c)", c=np.array([[[1]], [[-2]], [[3]]], np.float32)),
    "add spreading": case(
        ROWS, "v = ReduceMean<axes=[1]>(x) y = Add(v, c)", newest=17, c=(1, 4, 5)
    ),
    "add branches": case(IMAGE, "v = Relu(x) y = Add(v, x)"),
    "add twice": case(IMAGE, "y = Add(x, x)"),
    "add spread": case(IMAGE, "v = GlobalAveragePool(x) y = Add(v, x)"),
    "sub branches": case(IMAGE, "v = Relu(x) y = Sub(v, x)"),
    "sub itself": case(IMAGE, "y = Sub(x, x)"),
    "sum": case(IMAGE, "v = Relu(x) w = Neg(x) y = Sum(v, c, w, v)", oldest=8, c=(3, 1, 1)),
    "sum of one": case(IMAGE, "y = Sum(x)", oldest=8),
    "mean of branches": case(IMAGE, "v = Relu(x) y = Mean(v, x, x)", oldest=8),
    "concat": case(IMAGE, "v = Relu(x) y = Concat<axis=1>(v, x, v)"),
    "concat in space": case(IMAGE, "v = Relu(x) y = Concat<axis=-1>(v, x)", oldest=11),
    "concat flat": case(FLAT, "v = Relu(x) y = Concat<axis=1>(v, x)"),
    "concat constants": case(
        FLAT,
        "s = Shape(x) i = Constant<value_int=0>() n = Gather<axis=0>(s, i) z = Constant<value ="
        " int64[1] {0}>() m = Unsqueeze(n, z) k = Constant<value = int64[1] {2}>() t = Concat"
        "<axis=0>(m, k) e = Expand(c, t) v = Relu(x) y = Concat<axis=1>(e, v, e, x, e)",
        oldest=13,
        c=(1, 2),
    ),
    "slice attributes": case(
        IMAGE, "y = Slice<axes=[1,3], starts=[1,-5], ends=[9,7]>(x)", newest=9
    ),
    "slice": case(
        IMAGE,
        "y = Slice(x, s, e, a, t)",
        oldest=10,
        s=ints(0, 1, -1),
        e=ints(99, 9, -99),
        a=ints(0, 2, 3),
        t=ints(1, 3, -2),
    ),
    "slice axes": case(IMAGE, "y = Slice(x, s, e)", oldest=10, s=ints(0, 1), e=ints(2**62, 3)),
    "split": case(
        IMAGE, "a, b = Split<axis=2, split=[4,5]>(x) y = ReduceSum<axes=[2]>(b)", newest=12
    ),
    "split equal": case(IMAGE, "a, b = Split<axis=-1>(x) y = Sub(b, a)", newest=17),
    "split 13": case(
        IMAGE,
        "a, b, c = Split<axis=1>(x, s) d = Add(a, b) y = Add(d, c)",
        oldest=13,
        s=ints(1, 1, 1),
    ),
    "gather": case(IMAGE, "y = Gather<axis=2>(x, i)", i=ints(3, 0, 3)),
    "gather scalar": case(IMAGE, "y = Gather<axis=1>(x, i)", i=np.array(2)),
    "gather matrix": case(
        IMAGE, "y = Gather<axis=-1>(x, i)", oldest=11, i=np.array([[0, -1], [2, 3], [1, 1]])
    ),
    "pad crops": case(IMAGE, "y = Pad<pads=[0,-1,2,-3,0,0,-4,1], value=0.5>(x)", newest=10),
    "softmax": case(ROWS, "y = Softmax<axis=1>(x)"),
    "softmax last": case(ROWS, "y = Softmax<axis=-1>(x)", oldest=11),
    "softmax default": case(ROWS, "y = Softmax(x)"),
    "log softmax": case(ROWS, "y = LogSoftmax<axis=2>(x)"),
    "arg max": case(ROWS, "y = ArgMax<axis=2, keepdims=0>(x)"),
    "arg max last": case(ROWS, "y = ArgMax<axis=-2, select_last_index=1>(x)", oldest=12),
    "depth to space": case("float[N,8,3,2] x", "y = DepthToSpace<blocksize=2>(x)"),
    "depth to space columns": case(
        "float[N,8,3,2] x", 'y = DepthToSpace<blocksize=2, mode="CRD">(x)', oldest=11
    ),
    "space to depth": case("float[N,3,4,6] x", "y = SpaceToDepth<blocksize=2>(x)"),
    "tile": case(IMAGE, "y = Tile(x, r)", r=ints(1, 2, 1, 3)),
    "expand": case("float[N,3,1,4] x", "y = Expand(x, s)", oldest=8, s=ints(3, 5, 1)),
    "gather elements": case(
        "float[3,3] x",
        "y = GatherElements<axis=1>(x, i)",
        oldest=11,
        i=np.array([[2, 0], [2, 0], [2, 0]]),
    ),
    "pad reflect": case(
        IMAGE, 'y = Pad<mode="reflect">(x, p)', oldest=11, p=ints(0, 0, 1, 2, 0, 0, 3, 1)
    ),
    "pad edge": case(IMAGE, 'y = Pad<mode="edge", pads=[0,0,1,2,0,0,3,1]>(x)', newest=10),
    "pad wrap": case(
        IMAGE, 'y = Pad<mode="wrap">(x, p)', oldest=19, p=ints(0, 0, 1, 2, 0, 0, 3, 1)
    ),
    "compress": case(
        IMAGE, "y = Compress<axis=3>(x, c)", oldest=11, c=np.array([True, False, True, True, False])
    ),
    "where": case(
        ROWS, "y = Where(c, x, v)", oldest=9, c=np.arange(20).reshape(4, 5) % 3 > 0, v=(5,)
    ),
    "where not": case(ROWS, "y = Where(c, v, x)", oldest=9, c=np.eye(4, 5) > 0, v=(1, 4, 5)),
    "scatter elements": case(
        "float[3,6] x",
        "y = ScatterElements<axis=1>(x, i, u)",
        oldest=11,
        i=np.tile([4, 1], (3, 1)),
        u=np.tile(np.array([0.5, 2], np.float32), (3, 1)),
    ),
    "where both": case(
        ROWS,
        "r = Relu(x) y = Where(c, r, x)",
        oldest=9,
        c=np.arange(20).reshape(1, 4, 5) % 3 > 0,
    ),
    "leaky by where": case(
        FLAT, "g = Greater(x, z) m = Mul(x, s) y = Where(g, x, m)", oldest=9, **LEAKY
    ),
    "leaky by where of one side": case(
        FLAT, "g = Less(z, x) m = Mul(x, s) n = Not(g) y = Where(n, m, x)", oldest=9, **LEAKY
    ),
    "prelu by where": case(
        IMAGE,
        "g = Greater(x, z) m = Mul(x, s) y = Where(g, x, m)",
        oldest=9,
        z=np.float32(0),
        s=(3, 1, 1),
    ),
    "relu by product": case(
        FLAT, "g = Greater(x, z) c = Cast<to=1>(g) y = Mul(x, c)", oldest=9, z=np.float32(0)
    ),
    "prelu by product": case(
        IMAGE,
        "g = Greater(x, z) c = Cast<to=1>(g) n = Not(g) d = Cast<to=1>(n) m = Mul(x, s)"
        " a = Mul(x, c) b = Mul(m, d) y = Add(a, b)",
        oldest=9,
        z=np.float32(0),
        s=(3, 1, 1),
    ),
    "leaky behind scales": case(
        FLAT,
        "h = Mul(x, s) g = Greater(h, z) m = Mul(h, s) y = Where(g, h, m)",
        oldest=9,
        z=np.float32(0),
        s=(6,),
    ),
    "square of elements": case(FLAT, "m = Mul(x, s) a = Add(m, s2) y = Mul(a, m)", s=(6,), s2=(6,)),
    "threshold by where": case(
        FLAT, "g = GreaterOrEqual(x, z) y = Where(g, x, s)", oldest=16, **LEAKY
    ),
    "thresholds of elements": case(
        FLAT, "g = LessOrEqual(x, z) y = Where(g, s, s2)", oldest=16, z=(6,), s=(6,), s2=(6,)
    ),
    "soft shrink by where": case(
        FLAT,
        "g = Greater(x, h) a = Sub(x, h) u = Where(g, a, z) n = Neg(h) l = Less(x, n)"
        " b = Add(x, h) v = Where(l, b, z) y = Add(u, v)",
        oldest=9,
        h=np.float32(0.5),
        z=np.float32(0),
    ),
    "shrink": case(FLAT, "y = Shrink<lambd=0.25>(x)", oldest=9),
    "shrink softly": case(FLAT, "y = Shrink<lambd=0.25, bias=0.25>(x)", oldest=9),
    "shrink by more": case(FLAT, "y = Shrink<lambd=-0.25, bias=0.5>(x)", oldest=9),
    "thresholded relu": case(FLAT, "y = ThresholdedRelu<alpha=0.5>(x)", oldest=10),
    "sign": case(FLAT, "y = Sign(x)", oldest=9),
    "floor": case(FLAT, "y = Floor(x)"),
    "ceil": case(FLAT, "y = Ceil(x)"),
    "round": case(FLAT, "y = Round(x)", oldest=11),
    "modulo": case(FLAT, "y = Mod<fmod=1>(x, c)", oldest=10, c=np.float32(0.75)),
    "equal": case(
        FLAT,
        "r = Relu(x) e = Equal(r, z) y = Where(e, c, x)",
        oldest=11,
        z=np.float32(0),
        c=np.float32(3),
    ),
    "conditions on two values": case(
        IMAGE,
        "k = Conv(x, w) a = Greater(x, z) b = Less(k, z) c = And(a, b) d = Xor(a, c) e = Or(d, b)"
        " y = Cast<to=1>(e)",
        oldest=9,
        w=(3, 3, 1, 1),
        z=np.float32(0.1),
    ),
    "hard shrink by where": case(
        FLAT,
        "g = Greater(x, h) n = Neg(h) l = Less(x, n) o = Or(g, l) y = Where(o, x, z)",
        oldest=9,
        h=np.float32(0.5),
        z=np.float32(0),
    ),
    "between": case(
        FLAT,
        "n = Neg(h) g = Greater(x, n) l = Less(x, h) o = And(g, l) t = Xor(o, l) e = Or(o, t)"
        " y = Where(e, x, z)",
        oldest=9,
        h=np.float32(0.5),
        z=np.float32(0),
    ),
    "softplus by where": case(
        FLAT,
        "e = Exp(x) a = Add(e, o) l = Log(a) g = Greater(x, h) y = Where(g, x, l)",
        oldest=9,
        h=np.float32(20),
        o=np.float32(1),
    ),
    "larger by where": case(
        IMAGE, "k = Conv(x, w) g = Greater(k, x) y = Where(g, k, x)", oldest=9, w=(3, 3, 1, 1)
    ),
    "smaller by where": case(
        IMAGE, "k = Conv(x, w) g = Less(x, k) y = Where(g, x, k)", oldest=9, w=(3, 3, 1, 1)
    ),
    "not a number": case(
        IMAGE, "r = Relu(x) n = IsNaN(r) y = Where(n, z, r)", oldest=9, z=np.float32(0)
    ),
    "infinite": case(
        IMAGE, "n = IsInf(x) m = Not(n) y = Where(m, x, z)", oldest=10, z=np.zeros((1,), np.float32)
    ),
    "nan to num": case(
        FLAT,
        "n = IsNaN(x) a = Where(n, z, x) e = Equal(x, i) b = Where(e, t, a) g = Neg(i)"
        " f = Equal(x, g) y = Where(f, z, b)",
        oldest=11,
        z=np.float32(0),
        t=np.float32(9),
        i=np.float32(np.inf),
    ),
    "zeros like by where": case(
        FLAT,
        "s = Shape(x) o = ConstantOfShape(s) g = Greater(x, o) y = Where(g, x, o)",
        oldest=9,
    ),
    "integers by where": case(
        FLAT,
        "g = Greater(x, z) i = Where(g, a, b) y = Cast<to=1>(i)",
        oldest=9,
        z=np.float32(0),
        a=ints(3),
        b=ints(-2),
    ),
    "exponential by masks": case(
        FLAT,
        "g = Greater(x, z) m = Cast<to=1>(g) n = Not(g) o = Cast<to=1>(n) e = Exp(x)"
        " f = Add(x, s) a = Mul(m, f) b = Mul(o, e) y = Add(a, b)",
        oldest=9,
        z=np.float32(0),
        s=np.float32(1),
    ),
    "lower triangle": case(IMAGE, "y = Trilu<upper=0>(x, k)", oldest=14, k=np.array(1)),
    "crop": case(IMAGE, "y = CenterCropPad<axes=[2,3]>(x, s)", oldest=18, s=ints(12, 5)),
    "upsample": case(
        IMAGE, "y = Upsample(x, s)", oldest=9, newest=9, s=np.array([1, 1, 2, 3], np.float32)
    ),
    "upsample linear": case(
        IMAGE, 'y = Upsample<mode="linear", scales=[1.0,1.0,2.0,2.0]>(x)', newest=8
    ),
    "resize nearest": case(
        IMAGE,
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
        ' nearest_mode="floor">(x, , s)',
        oldest=13,
        s=np.array([1, 1, 2, 1.5], np.float32),
    ),
    "resize to sizes": case(
        "float[3,3,9,8] x", 'y = Resize<mode="linear">(x, , , s)', oldest=13, s=ints(3, 3, 18, 5)
    ),
    "resize aligned": case(
        IMAGE,
        'y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , s)',
        oldest=13,
        s=np.array([1, 1, 2, 3], np.float32),
    ),
    "resize cubic": case(
        IMAGE,
        'y = Resize<mode="cubic", cubic_coeff_a=-0.5>(x, , s)',
        oldest=13,
        s=np.array([1, 1, 2, 0.5], np.float32),
    ),
    "conv transpose": case(IMAGE, "y = ConvTranspose(x, w, b)", w=(3, 4, 3, 2), b=(4,)),
    "conv transpose strides": case(
        IMAGE,
        "y = ConvTranspose<strides=[2,3], pads=[1,0,2,1], output_padding=[1,0]>(x, w)",
        w=(3, 4, 4, 3),
    ),
    "conv transpose groups": case(
        "float[N,4,5,6] x",
        "y = ConvTranspose<strides=[2,2], group=2, dilations=[2,3]>(x, w)",
        w=(4, 3, 3, 2),
    ),
    "conv transpose gaps": case(IMAGE, "y = ConvTranspose<strides=[3,3]>(x, w)", w=(3, 2, 2, 1)),
    "conv transpose same": case(
        IMAGE, 'y = ConvTranspose<strides=[2,2], auto_pad="SAME_UPPER">(x, w)', w=(3, 2, 3, 3)
    ),
    "conv transpose shape": case(
        IMAGE, "y = ConvTranspose<strides=[2,2], output_shape=[18,17]>(x, w)", w=(3, 2, 3, 3)
    ),
    "conv transpose 1d": case(
        "float[N,2,9] x", "y = ConvTranspose<strides=[2], pads=[3,2]>(x, w)", w=(2, 3, 5)
    ),
    "running sum": case(IMAGE, "y = CumSum(x, a)", oldest=11, a=np.array(2)),
    "running sum backwards": case(
        IMAGE, "y = CumSum<exclusive=1, reverse=1>(x, a)", oldest=11, a=np.array(-1)
    ),
    "einsum": case(IMAGE, 'y = Einsum<equation="nchw,dc->ndhw">(x, w)', oldest=12, w=(5, 3)),
    "einsum heads": case(
        "float[N,4,3,5] x", 'y = Einsum<equation="bihd,hde->bihe">(x, w)', oldest=12, w=(3, 5, 2)
    ),
    "einsum constant first": case(
        ROWS, 'y = Einsum<equation="ij,bjk->bki">(w, x)', oldest=12, w=(3, 4)
    ),
    "einsum alone": case(ROWS, 'y = Einsum<equation="bij->bj">(x)', oldest=12),
    "matmul batch": case(IMAGE, "y = MatMul(x, w)", w=(3, 8, 2)),
    "matmul batch first": case(IMAGE, "y = MatMul(w, x)", w=(1, 3, 2, 9)),
    "pool of squares": case(
        IMAGE, "y = LpPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(x)", oldest=11
    ),
    "pool of cubes": case(IMAGE, "y = LpPool<kernel_shape=[2,2], p=3>(x)", oldest=11),
    "pool of magnitudes": case(IMAGE, "y = GlobalLpPool<p=1>(x)"),
    "windows added up": case(
        "float[N,12,8] x",
        "y = Col2Im<pads=[0,1,1,0], strides=[2,1], dilations=[1,2]>(x, image, block)",
        oldest=18,
        image=ints(4, 5),
        block=ints(2, 2),
    ),
    "fourier": case("float[N,6,1] x", "y = DFT<axis=1, onesided=1>(x)", oldest=17, newest=19),
    "fourier and back": case(
        "float[N,2,6,2] x",
        "a = DFT(x, length, axis) y = DFT<inverse=1>(a, length, axis)",
        oldest=20,
        length=np.array(5, np.int64),
        axis=np.array(-2, np.int64),
    ),
    "spectrogram": case(
        "float[N,20] x",
        "s = STFT(x, step, window) q = Mul(s, s) y = ReduceSum<keepdims=0>(q, last)",
        oldest=17,
        step=np.array(4, np.int64),
        window=(8,),
        last=ints(-1),
    ),
}
