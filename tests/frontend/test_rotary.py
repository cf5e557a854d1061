"""Rotary embeddings with constant angles, against complex numbers and onnxruntime."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import helper

from qcompiler.frontend.import_model import import_model
from qcompiler.ir import CompileError, InvalidModel, evaluate
from qcompiler.ir.ann import Multiply
from tests.support.onnx_models import Array, agrees, ints, model, run_onnx

HEADS, ROWS = "float[N,2,5,8] x", "float[N,5,16] x"
ANGLES = np.random.default_rng(1).uniform(-3, 3, (9, 4))
CACHES = {"c": np.cos(ANGLES).astype(np.float32), "s": np.sin(ANGLES).astype(np.float32)}
TOKENS = {name: cache[None, :5] for name, cache in CACHES.items()}
PLACES = np.array([[3, 0, 8, 1, 1]])


class Case(NamedTuple):
    """A model; operators of com.microsoft are written without their domain.

    ``places`` are the positions of its tokens.
    """

    inputs: str
    body: str
    weights: dict[str, Any]
    places: Any = range(5)


CASES = {
    "positions": Case(HEADS, "y = RotaryEmbedding(x, c, s, p)", {**CACHES, "p": PLACES}, PLACES[0]),
    "tokens": Case(HEADS, "y = RotaryEmbedding(x, c, s)", TOKENS),
    "neighbours": Case(HEADS, "y = RotaryEmbedding<interleaved=1>(x, c, s)", TOKENS),
    "joined heads": Case(ROWS, "y = RotaryEmbedding<num_heads=2>(x, c, s)", TOKENS),
    "part of a head": Case(
        ROWS,
        "y = RotaryEmbedding<num_heads=1, rotary_embedding_dim=8, interleaved=1>(x, c, s)",
        TOKENS,
    ),
    "onnxruntime": Case(
        ROWS, "y = MS.RotaryEmbedding(x, p, c, s)", {**CACHES, "p": PLACES}, PLACES[0]
    ),
    "onnxruntime from a position on": Case(
        HEADS,
        "y = MS.RotaryEmbedding<interleaved=1>(x, p, c, s)",
        {**CACHES, "p": ints(2)},
        range(2, 7),
    ),
}


def rotary(case: Case) -> Any:
    proto = model(case.inputs, case.body.replace("MS.", ""), 23, **case.weights)
    if "MS." in case.body:
        proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        for node in proto.graph.node:
            node.domain = "com.microsoft"
    return proto


def turned(x: Array, case: Case) -> Array:
    """What a case gives, in complex numbers."""
    features = 16 if "dim=8" in case.body else 8
    heads = x if x.ndim == 4 else x.reshape(len(x), 5, -1, features).swapaxes(1, 2)
    some, rest = heads[..., :8], heads[..., 8:]
    axis = -1 if "interleaved=1" in case.body else -2  # of the two numbers of a pair
    pairs = some.reshape(*some.shape[:-1], *((4, 2) if axis == -1 else (2, 4)))
    a, b = (pairs.take(n, axis) for n in range(2))
    found = (a + 1j * b) * np.exp(1j * ANGLES[case.places])
    parts = np.stack([found.real, found.imag], axis).reshape(some.shape)
    whole: Array = np.concatenate([parts, rest], axis=-1)
    return whole if x.ndim == 4 else whole.swapaxes(1, 2).reshape(x.shape)


@pytest.mark.parametrize("name", CASES)
def test_rotary_embedding(name: str) -> None:
    case = CASES[name]
    graph = import_model(rotary(case)).graph
    assert not any(isinstance(node.op, Multiply) for node in graph.nodes)
    x = np.random.default_rng(2).standard_normal((3, *graph.inputs[0].type.shape))
    (found,) = evaluate(graph, x)
    np.testing.assert_allclose(found, turned(x, case), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("onnxruntime")])
def test_onnxruntime_turns_so(name: str) -> None:
    case = CASES[name]
    shape = (1, 2, 5, 8) if case.inputs == HEADS else (1, 5, 16)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    (wanted,) = run_onnx(rotary(case), {"x": x})
    np.testing.assert_allclose(turned(x, case), wanted, rtol=0, atol=1e-5)


ALIKE = {
    "positions": ("y = RotaryEmbedding(x, c, s, p)", {**CACHES, "p": np.repeat(PLACES, 3, axis=0)}),
    "tokens": ("y = RotaryEmbedding(x, c, s)", {n: np.repeat(a, 3, 0) for n, a in TOKENS.items()}),
    "onnxruntime": ("y = MS.RotaryEmbedding(x, p, c, s)", {**CACHES, "p": np.tile(PLACES, (3, 1))}),
}


@pytest.mark.parametrize("batch", ["N", "3"])
@pytest.mark.parametrize("name", ALIKE)
def test_three_samples_that_turn_alike(name: str, batch: str) -> None:
    body, weights = ALIKE[name]
    agrees(rotary(Case(HEADS.replace("N", batch), body, weights)))


@pytest.mark.parametrize("batch", ["N", "3"])
def test_samples_that_turn_differently(batch: str) -> None:
    body, weights = ALIKE["positions"]
    weights = {**weights, "p": weights["p"] + np.arange(3)[:, None] % 2}
    with pytest.raises(CompileError, match=r"differs between samples .*\n.*y_node.*\n.*one row"):
        import_model(rotary(Case(HEADS.replace("N", batch), body, weights)))


@pytest.mark.parametrize("operand", ["p", "c"])
@pytest.mark.parametrize("name", ["positions", "onnxruntime"])
def test_angles_of_an_input(name: str, operand: str) -> None:
    body, weights = ALIKE[name][0], {**CACHES, "p": PLACES}
    shape = {"p": "int64[N,5] p", "c": "float[9,4] c"}[operand]
    given = {key: array for key, array in weights.items() if key != operand}
    with pytest.raises(CompileError, match=r"depend on the data\n.*y_node.*\n.*constant positions"):
        import_model(rotary(Case(f"{HEADS}, {shape}", body, given)))


@pytest.mark.parametrize("op", ["Mul", "Add"])
def test_constants_of_positions_outside_of_the_operator(op: str) -> None:
    body = f"g = Gather<axis=0>(c, p) u = Unsqueeze(g, a) y = {op}(x, u)"
    weights = {"c": np.tile(CACHES["c"], 2), "p": np.repeat(PLACES, 3, axis=0), "a": ints(1)}
    agrees(rotary(Case(HEADS, body, weights)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("batch", ["N", "3"])
@pytest.mark.parametrize("name", ["positions", "tokens"])
def test_angles_that_are_not_finite(name: str, batch: str, wrong: float) -> None:
    body, weights = ALIKE[name]
    weights = {**weights, "s": np.where(weights["s"] > 0, np.float32(wrong), weights["s"])}
    message = '"y_node": RotaryEmbedding reads tensor "s", which holds NaN or infinite'
    with pytest.raises(InvalidModel, match=message):
        import_model(rotary(Case(HEADS.replace("N", batch), body, weights)))


@pytest.mark.parametrize(
    ("body", "weights", "message"),
    [
        ("y = RotaryEmbedding(x, c, s, p)", {**CACHES, "p": PLACES + 2}, "positions that"),
        ("y = RotaryEmbedding(x, c, s)", CACHES, "tokens"),
        ("y = RotaryEmbedding<rotary_embedding_dim=6>(x, c, s)", TOKENS, "4 pairs of 6 features"),
        ("y = MS.RotaryEmbedding<scale=2.0>(x, p, c, s)", {**CACHES, "p": PLACES}, "a scale"),
        ("y = RotaryEmbedding(x, x, s)", TOKENS, "depend on the data"),
    ],
)
def test_other_angles_are_refused(body: str, weights: dict[str, Any], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        import_model(rotary(Case(HEADS, body, weights)))
