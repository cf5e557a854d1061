"""Ridge regression of a layer's weights and bias on sampled inputs and target sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from qcompiler.ir.kernels import Array

from .gram import Gram, SplitGram
from .least_squares import conjugate_gradients
from .weight_update import WeightUpdate

_RIDGES = (30.0, 3.0, 0.3, 0.03)  # relative to the mean square of an input
_ENOUGH = 16  # outputs, of each group, that choose the ridge of all, if more take many products:
_CHEAP = 1 << 24  # of a step
_MOSTLY = 0.5  # share of outputs whose weights are all free: a few may have some that are not
_ROUNDS, _STEPS = 3, 10
_MANY = 1024  # inputs whose matrix is large
_FACTOR = 32  # outputs' products with a matrix that cost more than a factor, over its inputs
_LITTLE = 1e-4  # of the squared residual: steps that gain less are left out
_ROUNDING = 1e-12  # squared, a millionth: coarser than the single precision of targets

_Rows = TypeVar("_Rows", bound="LayerRegression")


@dataclass(frozen=True)
class LayerRegression:
    """Inputs and sums of a layer at sampled images and positions, one per row.

    ``seen`` holds the inputs, ``groups x rows x inputs``; ``target`` and ``first``, ``rows x
    outputs``, hold the target sums and the sums with the initial weights. Clipping removes
    differences below ``low`` and above ``high``, so these are not counted. Arrays are in double
    precision, where sums hardly depend on the machine. Changes of weights are ``groups x outputs x
    inputs``.
    """

    seen: Array
    first: Array
    target: Array
    low: float
    high: float

    def missing(self, sums: Array, bias: Array) -> Array:
        """The residual after a change of the sums and a bias, ``rows x outputs``."""
        present = self.first + sums
        present += bias
        missing: Array = self.target - present
        below, above = self._clipped
        np.minimum(self.low - present, 0, out=missing, where=below)
        np.maximum(np.subtract(self.high, present, out=present), 0, out=missing, where=above)
        return missing

    @cached_property
    def _clipped(self) -> tuple[Array, Array]:
        """Where targets are not above ``low``, and not below ``high``."""
        return self.target <= self.low, self.target >= self.high

    def sums(self, moved: Array) -> Array:
        """The change of the sums by a change of the weights, ``rows x outputs``."""
        found = self.seen @ moved.transpose(0, 2, 1)
        return found.transpose(1, 0, 2).reshape(self.first.shape)

    def by_output(self, sums: Array) -> Array:
        """Sums, ``groups x outputs x rows``, as ``rows x outputs``."""
        return sums.transpose(2, 0, 1).reshape(self.first.shape)

    def by_group(self, sums: Array) -> Array:
        """Sums, ``rows x outputs``, as ``groups x outputs x rows``."""
        return sums.reshape(len(sums), len(self.seen), -1).transpose(1, 2, 0)

    def product(self, wanted: Array) -> Array:
        """Products of the inputs with a residual, in the shape of the weights."""
        result: Array = self.by_group(wanted) @ self.seen / len(wanted)
        return result

    def level(self, sums: Array, bias: Array) -> Array:
        """The bias that makes the mean residual zero."""
        result: Array = bias + self.missing(sums, bias).mean(axis=0)
        return result

    def begin(self, free: Array) -> WeightUpdate:
        """The initial weights, with the bias that makes the mean residual zero."""
        sums = np.zeros_like(self.first)
        return WeightUpdate(np.zeros(free.shape), sums, self.level(sums, np.zeros(sums.shape[1])))

    def better(self, found: WeightUpdate, gram: Gram, free: Array) -> WeightUpdate:
        """One step: least squares, with the clipped residuals of the last solution ignored."""
        missing = self.missing(found.sums, found.bias)
        product = self.product(missing)
        product -= gram.ridge[:, None, None] * found.moved
        moved = found.moved + self.solution(gram, product, free, missing)
        sums = self.sums(moved)
        return WeightUpdate(moved, sums, self.level(sums, found.bias))

    def solution(self, gram: Gram, product: Array, free: Array, missing: Array) -> Array:
        """The change of weights whose product with the matrix is this, step by step."""
        squares = np.einsum("ro,ro->o", missing, missing).reshape(*product.shape[:2], 1)
        enough = _LITTLE * gram.steepness[:, None, None] * squares / len(missing)
        return conjugate_gradients(gram, product, free, _STEPS, enough)

    def solved(self, free: Array, grams: SplitGram) -> tuple[Gram, WeightUpdate]:
        """The Gram matrix with its ridge, and the least-squares change of weights and bias."""
        gram = self.ridged(free, grams)
        return gram, self.fitted(free, gram, grams)

    def ridged(self, free: Array, grams: SplitGram) -> Gram:
        """The Gram matrix with its ridge."""
        whole = _at_once(free, grams)
        if grams.all.whole is not None or not whole.any():
            return grams.all.with_ridge(self._ridge(free, grams))
        rows = _OfRows(grams.all.kernel, *self._sums).of_outputs(whole)
        return grams.all.with_ridge(rows._ridge(free[:, whole], grams))

    def fitted(self, free: Array, gram: Gram, grams: SplitGram) -> WeightUpdate:
        """The least-squares change of weights and bias, given the matrix with its ridge.

        With few rows, the change of outputs whose weights are all free is a combination of rows.
        """
        whole = _at_once(free, grams)
        if not whole.any():
            return self._fitted(free, gram)
        if grams.all.whole is not None:
            factored = _Factored(self.seen, *self._sums).of_outputs(whole)
            found = factored._fitted(free[:, whole], gram)
        else:
            rows = _OfRows(grams.all.kernel, *self._sums).of_outputs(whole)
            found = rows._fitted(free[:, whole], gram)
            found = found._replace(moved=found.moved @ self.seen)
        if whole.all():
            return found
        return found.beside(self.of_outputs(~whole)._fitted(free[:, ~whole], gram), whole)

    def _fitted(self, free: Array, gram: Gram) -> WeightUpdate:
        found = self.begin(free)
        for _ in range(_ROUNDS):
            found = self.better(found, gram, free)
        return found

    def _ridge(self, free: Array, grams: SplitGram) -> float:
        """The ridge whose solution on three quarters of the rows fits the others best.

        Many outputs are sampled. Among ridges that are equal up to rounding errors, the largest.
        Below one that fits worse than those before, none fits better.
        """
        outputs = free.shape[1]
        enough = max(_ENOUGH, _CHEAP // grams.all.products)
        sampled = np.arange(outputs) % max(1, outputs // enough) == 0
        free = free[:, sampled]
        others, some = self.of_outputs(sampled)._parts(grams.cut)
        found, errors = some.begin(free), []
        rounding = _ROUNDING * float(np.square(others.target).sum())
        for ridge in _RIDGES:
            found = some.better(found, grams.some.with_ridge(ridge), free)
            missing = others.missing(others.sums(found.moved), found.bias)
            errors.append(float((missing**2).sum()))
            if errors[-1] > min(errors) * (1 + _ROUNDING) + rounding:
                break
        alike = np.array(errors) <= min(errors) * (1 + _ROUNDING) + rounding
        return _RIDGES[int(np.argmax(alike))]

    def of_outputs(self: _Rows, which: Array) -> _Rows:
        """These outputs of each group."""
        columns = np.tile(which, len(self.seen))
        first, target = self.first[:, columns], self.target[:, columns]
        return self if which.all() else replace(self, first=first, target=target)

    def _parts(self, cut: int) -> tuple[LayerRegression, LayerRegression]:
        """The first rows, which are held out, and the others."""
        return self._part(slice(cut), self.seen), self._part(slice(cut, None), self.seen)

    def _part(self, rows: slice, seen: Array) -> LayerRegression:
        return replace(self, seen=seen[:, rows], first=self.first[rows], target=self.target[rows])

    @property
    def _sums(self) -> tuple[Array, Array, float, float]:
        return self.first, self.target, self.low, self.high


def _at_once(free: Array, grams: SplitGram) -> Array:
    """The outputs that are solved at once: those whose weights are all free.

    None unless these are most, and rows are few, or the factor of a large matrix costs less than
    steps.
    """
    outputs, inputs = free.shape[1:]
    pays = grams.all.whole is None or _MANY <= inputs <= _FACTOR * outputs
    whole: Array = free.all(axis=(0, 2))
    return whole & (pays and whole.mean() >= _MOSTLY)


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
        wanted, (groups, rows, _) = self.missing(found.sums, found.bias), self.seen.shape
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
