"""Chains of products: slices of both signs, wider weights, and copies of layers for many clips."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import qcompiler
from qcompiler.backends.loihi.target import LOIHI
from qcompiler.backends.program.program import Program
from qcompiler.backends.reference.target import REFERENCE
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, Tensor, evaluate
from qcompiler.passes.activations.fine_values import FineValues, needs_fine_values
from qcompiler.passes.slicing.slices import slice_name, unsliced_name
from tests.support.onnx_models import Array, model, run_onnx
from tests.support.random_networks import compiled

CHAIN = (
    "h = MatMul(x, v) g = Sigmoid(h) k = MatMul(x, w) p = Mul(g, k) q = Add(p, h)"
    " t = Tanh(q) r = MatMul(t, v) s = Mul(g, r) y = MatMul(s, w)"
)
ALONE = "h = MatMul(x, v) g = Sigmoid(h) k = MatMul(x, w) p = Mul(g, k) y = MatMul(p, w)"


def network(body: str) -> tuple[Any, Array]:
    rng = np.random.default_rng(2)
    weights: dict[str, Any] = {n: rng.standard_normal((6, 6)).astype(np.float32) / 2 for n in "vw"}
    return model("float[N,6] x", body, **weights), rng.uniform(-2, 2, (200, 6)).astype(np.float32)


@cache
def program_of(body: str, **options: Any) -> Program:
    proto, x = network(body)
    given = {"target": "reference", "t_max": 64, "allow_products": True, **options}
    return qcompiler.compile(proto, calibration=x, **given)


def sliced(program: Program) -> set[str]:
    names = {row.name for row in program.report().populations}
    return {unsliced_name(name) for name in names if slice_name(unsliced_name(name), 2) in names}


def error(program: Program) -> float:
    proto, x = network(CHAIN)
    (wanted,) = run_onnx(proto, {"x": x})
    return float(np.sqrt(np.mean((program.run(x) - wanted) ** 2)) / wanted.std())


def ranged(body: str) -> tuple[Graph, Array]:
    proto, x = network(body)
    graph = import_model(proto, allow_products=True).graph
    return compiled(graph, "fold-linear,normalize", calibration=(x,), t_max=64), x


def test_slices_keep_the_function() -> None:
    """Where no slice is clipped: data are those that ranges are of, which cut their tails."""
    graph, x = ranged(CHAIN)
    fine = FineValues(graph, 64, 16)
    made = fine.sliced()
    assert {"g", "k", "t", "r"} <= fine.found.keys()
    inner = x / 4  # within all ranges
    (found,), (exact,) = evaluate(made, inner), evaluate(graph, inner)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5)


def test_slices_hold_the_levels_of_their_value() -> None:
    graph, _ = ranged(CHAIN)
    fine = FineValues(graph, 64, 16)
    fine.sliced()
    for one in fine.found.values():
        assert one.levels == len(one.slices) * 63 + 1
        for value in one.slices:
            assert isinstance(value.type, Tensor)
            assert value.type.range == (0.0, one.step * 63)


def test_only_chains_of_products_are_fine() -> None:
    chain, alone = ranged(CHAIN)[0], ranged(ALONE)[0]
    assert needs_fine_values(chain, 64) and not needs_fine_values(chain, 63)
    assert not needs_fine_values(alone, 64)
    assert FineValues(chain, 64, 8).sliced() == chain
    assert FineValues(alone, 64, 16).sliced() == alone
    assert "k" not in FineValues(chain, 64, 16, frozenset({"k"})).found
    assert sliced(program_of(CHAIN)) and not sliced(program_of(ALONE))


def test_weights_have_all_bits_where_values_are_fine() -> None:
    assert REFERENCE.weight_bits(64) == 10
    assert REFERENCE.weight_bits(64, fine=True) == 16
    assert LOIHI.weight_bits(64, fine=True) == 8
    assert "weight_bits=16" in program_of(CHAIN).manifest["pipeline"]
    assert "weight_bits=10" in program_of(ALONE).manifest["pipeline"]


def test_three_slices_have_about_a_third_of_the_error() -> None:
    """At most 0.6: weights, and the levels of outputs and inputs, are the same."""
    assert error(program_of(CHAIN)) <= 0.6 * error(program_of(CHAIN, weight_bits=10))


def test_what_is_sliced_takes_no_window_of_its_own() -> None:
    """So the program takes no more steps: slices and functions have copies of its layer."""
    fine, plain = (program_of(CHAIN, weight_bits=bits).report() for bits in (16, 10))
    assert fine.latency_steps <= plain.latency_steps
    assert not [row for row in fine.populations if row.name.endswith(":whole")]


def test_engines_agree_on_slices() -> None:
    x = network(CHAIN)[1][:5]
    program = program_of(CHAIN)
    np.testing.assert_array_equal(program.run(x), program.run(x, engine="steps"))


def test_a_function_of_many_clips_has_copies_of_its_layer() -> None:
    """Of the layer's own sums, and no population of it, where precision is asked for."""
    rng = np.random.default_rng(4)
    body = "h = MatMul(x, a) t = Tanh(h) y = MatMul(t, b)"
    a, b = rng.standard_normal((24, 48)) / 3, rng.standard_normal((48, 4)) / 6
    proto = model("float[N,24] x", body, a=a.astype(np.float32), b=b.astype(np.float32))
    x = rng.uniform(-1, 1, (100, 24)).astype(np.float32)
    program = qcompiler.compile(proto, target="reference", t_max=64, calibration=x)
    names = {row.name for row in program.report().populations}
    assert "h" not in names and sum(name.startswith("t:piece") for name in names) > 8
