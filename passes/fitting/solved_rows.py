"""Solve a layer's regression: step by step, or at once where outputs share a small system."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

from .gram import Gram, SplitGram
from .regression import LayerRegression
from .weight_update import WeightUpdate

_MOSTLY = 0.5  # share of outputs whose weights are all free: a few may have some that are not
_MANY = 1024  # inputs whose matrix is large
_FACTOR = 32  # outputs' products with a matrix that cost more than a factor, over its inputs


def solved(rows: LayerRegression, free: Array, grams: SplitGram) -> tuple[Gram, WeightUpdate]:
    """The Gram matrix with its ridge, and the least-squares change of weights and bias."""
    gram = ridged(rows, free, grams)
    return gram, fitted(rows, free, gram, grams)


def ridged(rows: LayerRegression, free: Array, grams: SplitGram) -> Gram:
    """The Gram matrix with its ridge."""
    whole = _at_once(free, grams)
    if grams.all.whole is not None or not whole.any():
        return grams.all.with_ridge(rows.ridge(free, grams))
    some = _of_rows(rows, grams).of_outputs(whole)
    return grams.all.with_ridge(some.ridge(free[:, whole], grams))


def fitted(rows: LayerRegression, free: Array, gram: Gram, grams: SplitGram) -> WeightUpdate:
    """The least-squares change of weights and bias, given the matrix with its ridge.

    With few rows, the change of outputs whose weights are all free is a combination of rows.
    """
    whole = _at_once(free, grams)
    if not whole.any():
        return rows.stepped(free, gram)
    if grams.all.whole is not None:
        factored = _Factored(rows.seen, rows.residuals)
        found = factored.of_outputs(whole).stepped(free[:, whole], gram)
    else:
        found = _of_rows(rows, grams).of_outputs(whole).stepped(free[:, whole], gram)
        found = found._replace(moved=found.moved @ rows.seen)
    if whole.all():
        return found
    return found.beside(rows.of_outputs(~whole).stepped(free[:, ~whole], gram), whole)


def _at_once(free: Array, grams: SplitGram) -> Array:
    """The outputs that are solved at once: those whose weights are all free.

    None unless these are most, and rows are few, or the factor of a large matrix costs less than
    steps.
    """
    outputs, inputs = free.shape[1:]
    pays = grams.all.whole is None or _MANY <= inputs <= _FACTOR * outputs
    whole: Array = free.all(axis=(0, 2))
    return whole & (pays and whole.mean() >= _MOSTLY)


def _of_rows(rows: LayerRegression, grams: SplitGram) -> _OfRows:
    return _OfRows(grams.all.kernel, rows.residuals)


class _Factored(LayerRegression):
    """The regression of weights that are all free, solved with the factor of the matrix."""

    def solution(self, gram: Gram, product: Array, free: Array, missing: Array) -> Array:
        """The change of weights whose product with the matrix is this."""
        return gram.factor.solve(product)


class _OfRows(LayerRegression):
    """The regression whose unknowns are the shares of rows in the weights' change.

    With few rows S it is small enough to be solved at once: for a change ``C S``, sums change by
    ``C S S'``. ``seen`` holds ``S S'``; ``moved`` holds C, ``groups x outputs x rows``.
    """

    def begin(self, free: Array) -> WeightUpdate:
        """No row has a share."""
        return super().begin(np.zeros((*free.shape[:2], self.seen.shape[2])))

    def better(self, found: WeightUpdate, gram: Gram, free: Array) -> WeightUpdate:
        """One step, as that of the weights."""
        wanted = self.residuals.missing(found.sums, found.bias)
        groups, rows, _ = self.seen.shape
        residual = wanted.reshape(rows, groups, -1).transpose(1, 0, 2) / rows
        residual -= gram.ridge[:, None, None] * found.moved.transpose(0, 2, 1)
        system = self.seen / rows
        system[:, range(rows), range(rows)] += gram.ridge[:, None]
        moved = found.moved + np.linalg.solve(system, residual).transpose(0, 2, 1)
        sums = self.sums(moved)
        return WeightUpdate(moved, sums, self.level(sums, found.bias))

    def _parts(self, cut: int) -> tuple[LayerRegression, LayerRegression]:
        kept = self.seen[:, :, cut:]
        return self._part(slice(cut), kept), self._part(slice(cut, None), kept)
