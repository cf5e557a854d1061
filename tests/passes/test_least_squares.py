"""Least squares with real and with integer unknowns, for few and for many rows."""

from __future__ import annotations

import numpy as np
import pytest

from qcompiler.ir.kernels import Array
from qcompiler.passes.fitting.cholesky import Cholesky
from qcompiler.passes.fitting.gradient import Goal
from qcompiler.passes.fitting.gram import Gram, SplitGram
from qcompiler.passes.fitting.least_squares import Grid, conjugate_gradients, coordinate_descent
from qcompiler.passes.fitting.regression import LayerRegression
from qcompiler.passes.fitting.residuals import Residuals
from qcompiler.passes.fitting.row_products import sums_of
from qcompiler.passes.fitting.solved_rows import fitted, solved

WIDE, TALL = 40, 400  # rows: fewer than half the inputs, and more


def problem(seed: int, rows: int, outputs: int = 7) -> tuple[Gram, Array, Array]:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((1, rows, 90)) @ rng.standard_normal((90, 90)) / 9
    weights = rng.standard_normal((1, outputs, 90))
    free = rng.random(weights.shape) < 0.7
    return Gram.of(inputs).with_ridge(0.01), weights * free, free


def grids_of(weights: Array, unit: float, limit: int) -> list[Grid]:
    return [Grid(weights.shape[2], np.full(weights.shape[:2], unit), limit)]


def _regression(seen: Array, first: Array, target: Array, limit: float) -> LayerRegression:
    return LayerRegression(seen, Residuals.of(first, target, -limit, limit))


def test_few_rows_stand_for_their_matrix() -> None:
    gram, weights, _ = problem(2, WIDE)
    rows, last = gram.seen, Gram.of(gram.seen[:, 10:])
    whole = (rows[0].T @ rows[0] / WIDE + np.diag(np.repeat(gram.ridge, 90)))[None]
    assert gram.whole is None
    np.testing.assert_allclose(gram.times(weights), weights @ whole)
    np.testing.assert_allclose(gram.diagonal[0], np.diagonal(whole[0]))
    np.testing.assert_allclose(gram.block(slice(20, 50)), whole[:, 20:50, 20:50])
    np.testing.assert_allclose(Gram.of(rows, last).times(weights), Gram.of(rows).times(weights))


@pytest.mark.parametrize("known", [300, 30])
def test_the_matrix_of_some_rows_is_part_of_the_matrix_of_all(known: int) -> None:
    gram, weights, _ = problem(3, TALL)
    found = Gram.of(gram.seen, Gram.of(gram.seen[:, -known:]))
    np.testing.assert_allclose(found.times(weights), Gram.of(gram.seen).times(weights))


def test_conjugate_gradients_solve_least_squares() -> None:
    gram, weights, free = problem(0, TALL)
    product = gram.times(weights)
    found = conjugate_gradients(gram, product, free, 200)
    np.testing.assert_allclose(found, weights, atol=1e-2)
    assert not found[~free].any()


def test_steps_that_gain_too_little_are_left_out() -> None:
    """What is left of the objective is within what was enough, by the least eigenvalue."""
    gram, weights, free = problem(7, TALL)
    product, every = gram.times(weights) * free, np.ones_like(free)

    def left(found: Array) -> Array:
        apart = found - gram.factor.solve(product)
        return np.asarray((gram.times(apart) * apart).sum(axis=2, keepdims=True))

    enough = 1e-3 * left(np.zeros_like(weights))
    found = conjugate_gradients(gram, product, every, 300, gram.steepness[:, None, None] * enough)
    assert (left(found) <= enough).all()
    assert (left(found) > 1e-9 * enough).any()


@pytest.mark.parametrize("size", [1, 127, 300])
def test_a_factor_solves_its_matrix(size: int) -> None:
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((2, size + 9, size))
    whole = rows.transpose(0, 2, 1) @ rows / size
    wanted = rng.standard_normal((2, 3, size))
    np.testing.assert_allclose(Cholesky(whole.copy()).solve(wanted @ whole), wanted, atol=1e-9)


@pytest.mark.parametrize("free", [1.0, 0.999])
def test_large_matrices_are_factored(free: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs whose weights are all free are solved at once, as by many steps; others are not."""
    rng = np.random.default_rng(9)
    seen, first = rng.standard_normal((1, TALL, 90)), np.zeros((TALL, 8))
    rows = _regression(seen, first, rng.standard_normal((TALL, 8)), 9)
    which = np.ones((1, 8, 90), bool)
    which[0, 3, 7] = free == 1
    grams = SplitGram(seen)
    monkeypatch.setattr("qcompiler.passes.fitting.regression._LITTLE", 0)  # takes every step
    gram, stepwise = solved(rows, which, grams)
    monkeypatch.setattr("qcompiler.passes.fitting.solved_rows._MANY", 90)
    found = fitted(rows, which, gram, grams)
    assert "factor" in vars(gram)
    for one, other in zip(found, stepwise, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert not found.moved[~which].any()


@pytest.mark.parametrize("rows", [WIDE, TALL])
def test_rounding_with_feedback_beats_the_nearest_integers(rows: int) -> None:
    gram, weights, free = problem(1, rows)
    unit, limit = np.full_like(weights, 0.5), np.full_like(weights, 3) * free
    grids = grids_of(weights, 0.5, 3)
    nearest = np.rint(weights / unit).clip(-limit, limit)

    def loss(integers: Array) -> float:
        apart: Array = integers * unit - weights
        return float((gram.times(apart) * apart).sum())

    wanted, found = np.zeros((1, len(weights[0]), rows)), nearest.copy()
    sums = coordinate_descent(gram, Goal.of(gram, wanted), weights, found, free, grids, 4)
    np.testing.assert_allclose(sums, (found * unit - weights) @ gram.seen.transpose(0, 2, 1))
    assert np.array_equal(found, np.rint(found)) and (np.abs(found) <= limit).all()
    assert loss(found) < 0.7 * loss(nearest)


@pytest.mark.parametrize("outputs", [1, 7])
@pytest.mark.parametrize("rows", [WIDE, TALL])
def test_coordinate_descent_follows_the_gradient(rows: int, outputs: int) -> None:
    """As if the gradient were computed anew for every input."""
    gram, weights, free = problem(4, rows, outputs)
    unit, limit = np.full_like(weights, 0.5), np.full_like(weights, 3) * free
    unit[..., 30:], limit[..., 30:] = 0.25, 5 * free[..., 30:]
    grids = [*grids_of(weights[..., :30], 0.5, 3), *grids_of(weights[..., 30:], 0.25, 5)]
    start = np.rint(weights / unit).clip(-limit, limit)
    wanted = 0.1 * weights @ gram.seen.transpose(0, 2, 1)
    product, known = wanted @ gram.seen / rows, start.copy()
    for at in [*range(90)] * 2:
        slope = (gram.times(known * unit - weights) - product)[..., at]
        step = slope / (gram.diagonal[:, at, None] * unit[..., at])
        known[..., at] = np.rint(known[..., at] - step).clip(-limit[..., at], limit[..., at])
    coordinate_descent(gram, Goal.of(gram, wanted), weights, start, free, grids, 2)
    np.testing.assert_array_equal(start, known)


def test_few_rows_are_solved_as_the_weights_are() -> None:
    """The shares of rows, solved at once, give what many steps on the weights give."""
    rng = np.random.default_rng(5)
    seen = rng.standard_normal((2, WIDE, 90)) @ rng.standard_normal((90, 90)) / 9
    seen -= seen.mean(axis=1, keepdims=True)
    target, first = rng.standard_normal((2, WIDE, 6))
    rows, free = _regression(seen, first, target, 9), np.ones((2, 3, 90), bool)
    gram, found = solved(rows, free, SplitGram(seen))
    wanted = rows.product(rows.residuals.missing(found.sums, found.bias))
    wanted -= gram.ridge[:, None, None] * found.moved
    more = conjugate_gradients(gram, wanted, free, 300)
    np.testing.assert_allclose(found.sums, rows.sums(found.moved), atol=1e-9)
    assert np.abs(more).max() < 1e-9 * np.abs(found.moved).max()


@pytest.mark.parametrize("groups", [1, 3])
def test_a_few_weights_that_are_not_free_cost_no_other_output(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qcompiler.passes.fitting.regression._LITTLE", 0)  # takes every step
    rng = np.random.default_rng(6)
    seen, first = rng.standard_normal((groups, WIDE, 90)), np.zeros((WIDE, 8 * groups))
    rows = _regression(seen, first, 3 * rng.standard_normal(first.shape), 50)
    free = np.ones((groups, 8, 90), bool)
    free[0, 2, 5] = free[-1, 6, 7] = False
    gram, found = solved(rows, free, SplitGram(seen))
    for one, other in zip(found, rows.stepped(free, gram), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert not found.moved[~free].any()
    assert np.count_nonzero(found.moved) == free.sum()


@pytest.mark.parametrize("outputs", [1, 5, 40])
def test_rows_times_few_outputs_are_their_product(
    outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of rows that are no whole number of blocks, here 16, and of some of an array's rows."""
    monkeypatch.setattr("qcompiler.passes.fitting.row_products._SMALL", 16 * 90 * outputs)
    rng = np.random.default_rng(7)
    seen, weights = rng.standard_normal((2, TALL, 90)), rng.standard_normal((2, outputs, 90))
    for rows in (seen, seen[:, 3:88], seen[:, :10]):
        product = np.einsum("gri,goi->gro", rows, weights)
        np.testing.assert_allclose(sums_of(rows, weights.transpose(0, 2, 1)), product, atol=1e-12)
