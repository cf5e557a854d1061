"""States of recurrent cells: sums that lowering leaves no population, and more levels as bits."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import qcompiler
from qcompiler.backends.program.program import Program
from qcompiler.frontend.import_model import import_model
from qcompiler.ir import Graph
from qcompiler.passes.activations import inlining
from qcompiler.passes.activations.products import are_chained, states
from qcompiler.passes.tensor.lower_activations import LowerActivations
from tests.support.onnx_models import Array, model, run_onnx
from tests.support.random_networks import compiled
from tests.support.spiking import same_spikes

STEPS = 4
GATED = (
    "h{k} = MatMul(x{k}, v) g{k} = Sigmoid(h{k}) n{k} = MatMul(x{k}, w) t{k} = Tanh(n{k})"
    " kept{k} = Mul(g{k}, c{before}) new{k} = Mul(h{k}, t{k}) c{k} = Add(kept{k}, new{k})"
)


POLYNOMIAL = "h{k} = MatMul(x{k}, v) kept{k} = Mul(c{before}, share) c{k} = Add(kept{k}, h{k})"


def network(steps: int = STEPS, cell: str = GATED) -> tuple[Any, Array]:
    """A cell, unrolled, whose last state is the result."""
    rng = np.random.default_rng(3)
    weights: dict[str, Any] = {n: rng.standard_normal((6, 6)).astype(np.float32) / 2 for n in "vw"}
    if cell == POLYNOMIAL:
        weights["u"] = rng.standard_normal((6, 1)).astype(np.float32)
    places = " ".join(f"x{k}" for k in range(steps))
    parts = [f"{places.replace(' ', ', ')} = Split<axis = 1, num_outputs = {steps}>(x)"]
    parts.append("c0 = MatMul(x0, w)")
    if cell == POLYNOMIAL:
        parts.append("s = MatMul(x0, u) share = Sigmoid(s)")
    parts += [cell.format(k=k, before=k - 1) for k in range(1, steps)]
    body = " ".join([*parts, f"y = MatMul(c{steps - 1}, v)"])
    x = rng.uniform(-2, 2, (200, 6 * steps)).astype(np.float32)
    return model(f"float[N,{6 * steps}] x", body, opset=18, **weights), x


@cache
def ranged(cell: str = GATED, t_max: int = 16) -> Graph:
    proto, x = network(cell=cell)
    graph = import_model(proto, allow_products=True).graph
    return compiled(graph, "fold-linear,normalize", calibration=(x,), t_max=t_max)


def program_of(t_max: int, target: str = "reference") -> Program:
    proto, x = network()
    return qcompiler.compile(proto, target=target, calibration=x, t_max=t_max, allow_products=True)


def error(program: Program) -> float:
    proto, x = network()
    (wanted,) = run_onnx(proto, {"x": x})
    return float(np.sqrt(np.mean((program.run(x) - wanted) ** 2)) / wanted.std())


def bits(graph: Graph) -> dict[str, int]:
    found = LowerActivations(t_max=16).products(graph)
    return {node.result.name: count for node, count, _ in found}


def populations(program: Program) -> set[str]:
    return {row.name for row in program.report().populations}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of any size are treated as large ones."""
    monkeypatch.setattr(inlining, "_SMALL", 0)


def test_states_are_sums_that_products_read() -> None:
    assert are_chained(ranged()) and states(ranged()) == {"c1", "c2"}


def test_states_of_small_networks_keep_usual_bits() -> None:
    assert bits(ranged())["kept3"] == 4


def test_states_have_four_times_the_levels(large: None) -> None:
    """Two bits more; the first state is no sum of products."""
    found = bits(ranged())
    assert (found["kept1"], found["kept2"], found["kept3"]) == (4, 6, 6)
    assert found["new3"] == 4


def test_bits_of_a_factor_that_all_share_stay_those_of_its_levels(large: None) -> None:
    """All products share the bits of the smaller factor, which is no state."""
    assert states(ranged(POLYNOMIAL)) == {"c1", "c2"}
    assert bits(ranged(POLYNOMIAL)) == {"kept1": 4, "kept2": 4, "kept3": 4}


def test_states_of_many_levels_are_two_digits(large: None) -> None:
    """Gates and bits read them: only layers sum the parts of such states."""
    found = inlining.populations(LowerActivations(t_max=64)(ranged(t_max=64)))
    assert {f"c{k}:fine:digit{digit}" for k in (1, 2) for digit in (0, 1)} <= found


@pytest.mark.long
def test_states_have_no_population_and_hardly_more_error(monkeypatch: pytest.MonkeyPatch) -> None:
    small = program_of(16)
    monkeypatch.setattr(inlining, "_SMALL", 0)
    fine = program_of(16)
    assert {"c1", "c2"} <= populations(small) and not {"c1", "c2"} & populations(fine)
    assert error(fine) < 1.1 * error(small)
    assert fine.report().latency_steps < small.report().latency_steps


@pytest.mark.long
@pytest.mark.parametrize("target", ["reference", "loihi"])
def test_engines_agree_on_states(target: str, large: None) -> None:
    x = network()[1][:5]
    for t_max in (8, 16):
        program = program_of(t_max, target)
        np.testing.assert_array_equal(program.run(x), program.run(x, engine="steps"))


@pytest.mark.lava
def test_states_on_lava(large: None) -> None:
    same_spikes(program_of(8, "loihi"), "lava", network()[1][:3])
