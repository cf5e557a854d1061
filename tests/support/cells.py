"""Recurrent cells with explicit state, as exporters write them, and sequences for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime

import qcompiler
from qcompiler import Program

from .onnx_models import ints, model

Array = np.ndarray[Any, Any]

_ELMAN = """
    xw = Gemm(x, W, b)
    hu = Gemm(h_in, U)
    sum = Add(xw, hu)
    h_out = Tanh(sum)
    y = Gemm(h_out, V)
"""
_GRU = """
    gx = Gemm(x, W, b)
    gh = Gemm(h_in, U, c)
    rx, zx, nx = Split<axis = 1>(gx)
    rh, zh, nh = Split<axis = 1>(gh)
    ra = Add(rx, rh)
    r = Sigmoid(ra)
    za = Add(zx, zh)
    z = Sigmoid(za)
    rn = Mul(r, nh)
    na = Add(nx, rn)
    n = Tanh(na)
    d = Sub(h_in, n)
    zd = Mul(z, d)
    h_out = Add(n, zd)
    y = Gemm(h_out, V)
"""
_LSTM = """
    gx = Gemm(x, W, b)
    gh = Gemm(h_in, U)
    g = Add(gx, gh)
    ia, oa, fa, ca = Split<axis = 1>(g)
    i = Sigmoid(ia)
    o = Sigmoid(oa)
    f = Sigmoid(fa)
    new = Tanh(ca)
    kept = Mul(f, c_in)
    added = Mul(i, new)
    c_out = Add(kept, added)
    tc = Tanh(c_out)
    h_out = Mul(o, tc)
    y = Gemm(h_out, V)
"""
_RING = """
    x1 = Unsqueeze(x, two)
    whole = Concat<axis = 2>(cache_in, x1)
    z = Conv(whole, W)
    zr = Relu(z)
    zs = Squeeze(zr, two)
    y = Gemm(zs, V)
    cache_out = Slice(whole, one, five, two)
"""
FEATURES = 4


def cell(kind: str, hidden: int = 8, readout: Array | None = None) -> onnx.ModelProto:
    """A cell named elman, gru, lstm or ring, with random weights and any readout."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Array:
        found: Array = rng.normal(size=shape) / np.sqrt(shape[0])
        return found.astype(np.float32)

    x, gates = f"float[N,{FEATURES}] x", {"elman": 1, "gru": 3, "lstm": 4, "ring": 0}[kind]
    if kind == "ring":
        given: dict[str, Any] = {"W": weight(8, FEATURES, 5), "V": weight(8, 2)}
        given |= {"one": ints(1), "two": ints(2), "five": ints(5)}
        cache = f"{x}, float[N,{FEATURES},4] cache_in"
        return model(cache, _RING, outputs="y cache_out", **given)
    given = {"W": weight(FEATURES, gates * hidden), "b": weight(gates * hidden) / 10}
    given |= {"U": 0.8 * weight(hidden, gates * hidden), "V": weight(hidden, 3)}
    given["V"] = given["V"] if readout is None else readout.astype(np.float32)
    inputs, body, outputs = f"{x}, float[N,{hidden}] h_in", _ELMAN, "y h_out"
    if kind == "gru":
        body, given["c"] = _GRU, weight(gates * hidden) / 10
    if kind == "lstm":
        inputs, body = f"{inputs}, float[N,{hidden}] c_in", _LSTM
        outputs = f"{outputs} c_out"
    return model(inputs, body, outputs=outputs, **given)


def sequences(count: int, frames: int, seed: int = 0) -> Array:
    """Slowly changing noise, ``count x frames x features``."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, frames, FEATURES), np.float32)
    now = rng.normal(size=(count, FEATURES))
    for at in range(frames):
        now = 0.9 * now + 0.44 * rng.normal(size=now.shape)
        found[:, at] = now
    return found


def compiled(kind: str, **options: Any) -> Program:
    """The program of a cell for ``reference``, states included, with any options."""
    given = {"target": "reference", "calibration": sequences(16, 60), "states": "auto"}
    return qcompiler.compile(cell(kind), **(given | options))


def run_recurrently(proto: onnx.ModelProto, x: Array) -> dict[str, Array]:
    """Outputs of a cell, ``sequences x frames x shape``: onnxruntime, states fed back by name."""
    inputs = {value.name: value.type.tensor_type.shape.dim for value in proto.graph.input}
    now = {
        name: np.zeros((len(x), *(axis.dim_value for axis in axes[1:])), np.float32)
        for name, axes in inputs.items()
        if name.endswith("_in")
    }
    names, found = [output.name for output in proto.graph.output], []
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for at in range(x.shape[1]):
        results = session.run(None, {"x": x[:, at], **now})
        found.append(dict(zip(names, results, strict=True)))
        now = {name: found[-1][name.replace("_in", "_out")] for name in now}
    return {name: np.stack([one[name] for one in found], axis=1) for name in names}
