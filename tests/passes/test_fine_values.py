"""Chains of products: digits of both signs, and copies of layers for many clips."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.explain.measure.pairing import match_layers
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph, Tensor, evaluate
from qcompiler.passes.activations.fine_values import FineValues, needs_fine_values
from qcompiler.passes.slicing.slices import digit_name, unsliced_name
from tests.support.onnx_models import Array, model, run_onnx
from tests.support.random_networks import compiled
from tests.support.spiking import same_spikes

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


def divided(program: Program) -> set[str]:
    names = {row.name for row in program.report().populations}
    inner = {unsliced_name(name) for name in names}
    fine = {name for name in inner if {digit_name(name, place) for place in (0, 1)} <= names}
    return {name.removesuffix(":fine") for name in fine if name.endswith(":fine")}


def error(program: Program) -> float:
    proto, x = network(CHAIN)
    (wanted,) = run_onnx(proto, {"x": x})
    return float(np.sqrt(np.mean((program.run(x) - wanted) ** 2)) / wanted.std())


def ranged(body: str) -> tuple[Graph, Array]:
    proto, x = network(body)
    graph = import_model(proto, allow_products=True).graph
    return compiled(graph, "fold-linear,normalize", calibration=(x,), t_max=64), x


def test_digits_keep_the_function() -> None:
    """Where no digit is clipped: data are those that ranges are of, which cut their tails."""
    graph, x = ranged(CHAIN)
    fine = FineValues(graph, 64)
    made = fine.divided()
    assert {"g", "k", "t", "r"} <= fine.found.keys()
    inner = x / 4  # within all ranges
    (found,), (exact,) = evaluate(made, inner), evaluate(graph, inner)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5)


def test_digits_hold_the_levels_of_their_value() -> None:
    graph, _ = ranged(CHAIN)
    fine = FineValues(graph, 64)
    fine.divided()
    for one in fine.found.values():
        coarse, finer = (digit.type for digit in one.digits)
        assert isinstance(coarse, Tensor) and isinstance(finer, Tensor)
        assert coarse.t_max == finer.t_max == 16
        assert one.levels == 15 * 15 + 15 + 1
        assert finer.range == pytest.approx((0.0, 15 * one.step))
        assert coarse.range == pytest.approx((0.0, 15 * 15 * one.step))


def test_only_chains_of_products_are_fine() -> None:
    chain, alone = ranged(CHAIN)[0], ranged(ALONE)[0]
    assert needs_fine_values(chain, 64) and not needs_fine_values(chain, 63)
    assert not needs_fine_values(alone, 64)
    assert FineValues(alone, 64).divided() == alone
    assert "k" not in FineValues(chain, 64, frozenset({"k"})).found
    assert divided(program_of(CHAIN)) and not divided(program_of(ALONE))


@pytest.mark.long
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_digits_have_about_a_third_of_the_error(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most half: the levels of outputs and inputs are the same."""
    fine = program_of(CHAIN, target=target)
    monkeypatch.setattr(FineValues, "_values", lambda self: iter(()))
    plain = program_of.__wrapped__(CHAIN, target=target)
    assert divided(fine) and not divided(plain)
    assert error(fine) <= error(plain) / 2
    assert fine.report().latency_steps <= plain.report().latency_steps


def test_weights_of_chains_are_fine_with_few_levels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parallel synapses: the weights of bits and gates are from one level to all of them."""
    fine = program_of(CHAIN, t_max=16)
    monkeypatch.setattr("qcompiler.passes.integers.group_integers.are_chained", lambda graph: False)
    plain = program_of.__wrapped__(CHAIN, t_max=16)
    assert fine.report().neurons == plain.report().neurons
    assert fine.report().synapses != plain.report().synapses
    x = network(CHAIN)[1][:5]
    np.testing.assert_array_equal(fine.run(x), fine.run(x, engine="steps"))


def test_what_has_digits_takes_no_window_of_its_own() -> None:
    """Digits and functions have copies of its layer."""
    populations = program_of(CHAIN).report().populations
    assert not [row for row in populations if row.name.endswith(":whole")]


def test_explanations_leave_out_digits_of_another_offset() -> None:
    program = program_of(CHAIN)
    real = import_model(network(CHAIN)[0], allow_products=True).graph
    names = {layer.name for layer in match_layers(program, real, Path("m.onnx"))}
    assert {"x", "y"} <= names and not names & divided(program)


@pytest.mark.long
def test_engines_agree_on_digits() -> None:
    x = network(CHAIN)[1][:5]
    for target in ("reference", "loihi"):
        program = program_of(CHAIN, target=target)
        np.testing.assert_array_equal(program.run(x), program.run(x, engine="steps"))


@pytest.mark.lava
def test_digits_on_lava() -> None:
    same_spikes(program_of(CHAIN, target="loihi"), "lava", network(CHAIN)[1][:3])


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


def test_a_padded_value_with_offsets_keeps_its_population() -> None:
    """Its copies would stand in a sum, in which the parts have no offsets of their own."""
    fixed: dict[str, Any] = {
        "chosen": np.array([[True, False]]),
        "others": np.array([[-0.1, 0.36]], np.float32),
    }
    rng = np.random.default_rng(5)
    weights: dict[str, Any] = {n: rng.standard_normal((2, 2)).astype(np.float32) for n in "vw"}
    body = (
        "t = Where(chosen, x, others) g = MatMul(t, v) h = MatMul(t, w) s = Sigmoid(h)"
        " u = Mul(g, s) y = Mul(u, h)"
    )
    proto = model("float[N,2] x", body, **fixed, **weights)
    x = rng.standard_normal((64, 2)).astype(np.float32)
    given: dict[str, Any] = {"target": "reference", "t_max": 64, "allow_products": True}
    program = qcompiler.compile(proto, calibration=x, **given)
    (wanted,) = run_onnx(proto, {"x": x})
    assert np.sqrt(np.mean((program.run(x) - wanted) ** 2)) <= 0.1 * wanted.std()
    np.testing.assert_array_equal(program.run(x[:3]), program.run(x[:3], engine="steps"))
