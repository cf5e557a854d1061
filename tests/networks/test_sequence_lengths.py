"""Recurrent layers over sequences whose lengths are an input, and the sorting in front of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import qcompiler
from qcompiler.frontend.import_model import check_model, import_model
from qcompiler.ir import evaluate
from tests.support.onnx_models import ints, model, run_onnx

SIZE, STEPS, FEATURES, FRAMES = 4, 6, 3, 24
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
Array = np.ndarray[Any, Any]


def layer(kind: str, way: str, results: str, state: str = "", **more: Any) -> onnx.ModelProto:
    """A layer over x of N x 6 x 3, whose lengths are n; all its results are outputs."""
    ways, gates = 1 + (way == "bidirectional"), GATES[kind]
    body = (
        f"s = Transpose<perm=[1,0,2]>(x) k = Cast<to=6>(n) "
        f'{results} = {kind}<direction="{way}", hidden_size={SIZE}>(s, W, R, B, k{state})'
    )
    shapes = (ways, gates * SIZE, FEATURES), (ways, gates * SIZE, SIZE), (ways, 2 * gates * SIZE)
    weights: dict[str, Any] = dict(zip("WRB", shapes, strict=True))
    inputs = f"float[N,{STEPS},{FEATURES}] x, int64[N] n"
    names = " ".join(name for name in results.replace(",", " ").split())
    return model(inputs, body, outputs=names, **weights, **more)


def sequences() -> tuple[Array, Array]:
    """Numbers, and lengths of all kinds."""
    x = np.random.default_rng(5).standard_normal((FRAMES, STEPS, FEATURES)).astype(np.float32)
    return x, np.arange(FRAMES) % STEPS + 1


def close(proto: onnx.ModelProto, *batch: Array) -> None:
    """The imported graph gives the numbers of onnxruntime."""
    imported = import_model(proto, allow_products=True)
    names = [value.name for value in proto.graph.input]
    wanted = run_onnx(proto, dict(zip(names, batch, strict=True)))
    for found, right in zip(evaluate(imported.graph, *batch), wanted, strict=True):
        samples_first = np.moveaxis(right, right.shape.index(FRAMES), 0)
        np.testing.assert_allclose(found, samples_first, 1e-4, 1e-5)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("way", ["forward", "reverse", "bidirectional"])
def test_lengths_that_are_an_input(kind: str, way: str) -> None:
    results = "y, h, c" if kind == "LSTM" else "y, h"
    close(layer(kind, way, results), *sequences())


@pytest.mark.parametrize("way", ["forward", "reverse"])
def test_lengths_of_cells_that_start_elsewhere(way: str) -> None:
    start = np.tile(np.linspace(-1, 1, SIZE, dtype=np.float32), (1, FRAMES, 1))
    close(layer("GRU", way, "y, h", ", h0", h0=start), *sequences())


def test_a_network_of_short_and_long_sequences() -> None:
    proto, (x, n) = layer("RNN", "reverse", "y"), sequences()
    batch = {"x": x, "n": n}
    program = qcompiler.compile(
        proto, target="reference", calibration=batch, t_max=64, allow_products=True
    )
    (wanted,) = run_onnx(proto, batch)
    found = np.asarray(program.run(batch)).reshape(FRAMES, STEPS, SIZE)
    wanted = np.moveaxis(wanted, 2, 0).reshape(found.shape)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.15 * wanted.std()
    there = np.arange(STEPS) < n[:, None]
    assert np.abs(found[~there]).max() < 0.02


PACKED = (
    "c = Shape(n) lengths, order = TopK<axis=-1>(n, c) k = Cast<to=6>(lengths) "
    "sorted = Gather<axis=0>(x, order) s = Transpose<perm=[1,0,2]>(sorted) "
    "one = Shape(order) none = ConstantOfShape<value=int64[1] {0}>(one) "
    "count = ReduceProd<keepdims=0>(one) places = Range(zero, count, step) "
    "back = ScatterElements<axis=0>(none, order, places) "
    f"r = RNN<hidden_size={SIZE}>(s, W, R, B, k) t = Squeeze(r, first) "
    "u = Transpose<perm=[1,0,2]>(t) y = Gather<axis=0>(u, back)"
)
PACKING: dict[str, Any] = {
    "W": (1, SIZE, FEATURES),
    "R": (1, SIZE, SIZE),
    "B": (1, 2 * SIZE),
    "zero": np.array(0),
    "step": np.array(1),
    "first": ints(1),
}


def test_sorting_the_lengths_of_one_sample_is_nothing() -> None:
    proto = model(f"float[1,{STEPS},{FEATURES}] x, int64[1] n", PACKED, **PACKING)
    imported = import_model(proto, allow_products=True)
    x, lengths = sequences()
    for one in range(STEPS):
        (wanted,) = run_onnx(proto, {"x": x[one : one + 1], "n": lengths[one : one + 1]})
        (found,) = evaluate(imported.graph, x[one : one + 1], lengths[one : one + 1, None])
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, 1e-4, 1e-5)


def test_sorting_the_lengths_of_a_batch_says_how_to_fix_it() -> None:
    proto = model(f"float[N,{STEPS},{FEATURES}] x, int64[N] n", PACKED, **PACKING)
    (refused,) = [found for found in check_model(proto) if found.kind == "refused"]
    assert refused.op_type == "TopK"
    assert "mixes the batch axis" in (refused.reason or "") and "NAME=1" in (refused.help or "")
    shapes = {"x": (1, STEPS, FEATURES), "n": (1,)}
    assert import_model(proto, allow_products=True, input_shapes=shapes)
