"""Ridge regression of a layer's weights and bias on sampled inputs and target sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from qcompiler.ir.kernels import Array

from .gram import Gram, SplitGram
from .least_squares import conjugate_gradients
from .residuals import Residuals
from .row_products import sums_of
from .weight_update import WeightUpdate

_RIDGES = (30.0, 3.0, 0.3, 0.03)  # relative to the mean square of an input
_ENOUGH = 16  # outputs, of each group, that choose the ridge of all, if more take many products:
_CHEAP = 1 << 24  # of a step
_ROUNDS, _STEPS = 3, 10
_LEVELLED = 2  # steps of the bias
_LITTLE = 1e-4  # of the squared residual: steps that gain less are left out
_ROUNDING = 1e-12  # squared, a millionth: coarser than the single precision of targets

_Rows = TypeVar("_Rows", bound="LayerRegression")


@dataclass(frozen=True)
class LayerRegression:
    """Inputs and sums of a layer at sampled images and positions, one per row.

    ``seen`` holds the inputs, ``groups x rows x inputs``; ``residuals``, ``rows x outputs``, are
    what sums with the initial weights miss of their targets. Arrays are in double precision, where
    sums hardly depend on the machine. Changes of weights are ``groups x outputs x inputs``.
    """

    seen: Array
    residuals: Residuals

    @property
    def shape(self) -> tuple[int, ...]:
        """``rows x outputs``."""
        return self.residuals.first.shape

    def sums(self, moved: Array) -> Array:
        """The change of the sums by a change of the weights, ``rows x outputs``."""
        found = sums_of(self.seen, moved.transpose(0, 2, 1))
        return found.transpose(1, 0, 2).reshape(self.shape)

    def by_output(self, sums: Array) -> Array:
        """Sums, ``groups x outputs x rows``, as ``rows x outputs``."""
        return sums.transpose(2, 0, 1).reshape(self.shape)

    def by_group(self, sums: Array) -> Array:
        """Sums, ``rows x outputs``, as ``groups x outputs x rows``."""
        return sums.reshape(len(sums), len(self.seen), -1).transpose(1, 2, 0)

    def product(self, wanted: Array) -> Array:
        """Products of the inputs with a residual, in the shape of the weights."""
        result: Array = self.by_group(wanted) @ self.seen / len(wanted)
        return result

    def level(self, sums: Array, bias: Array) -> Array:
        """The bias that makes the mean residual nearly zero."""
        for _ in range(_LEVELLED):
            bias = bias + self.residuals.step(sums, bias)
        return bias

    def begin(self, free: Array) -> WeightUpdate:
        """The initial weights, with the bias that makes the mean residual zero."""
        sums = np.zeros(self.shape)
        return WeightUpdate(np.zeros(free.shape), sums, self.level(sums, np.zeros(sums.shape[1])))

    def better(self, found: WeightUpdate, gram: Gram, free: Array) -> WeightUpdate:
        """One step: least squares of what the last solution misses behind the clip."""
        missing = self.residuals.missing(found.sums, found.bias)
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

    def stepped(self, free: Array, gram: Gram) -> WeightUpdate:
        """The least-squares change of weights and bias after some steps."""
        found = self.begin(free)
        for _ in range(_ROUNDS):
            found = self.better(found, gram, free)
        return found

    def ridge(self, free: Array, grams: SplitGram) -> float:
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
        rounding = _ROUNDING * others.residuals.square * others.residuals.first.size
        for ridge in _RIDGES:
            found = some.better(found, grams.some.with_ridge(ridge), free)
            missing = others.residuals.missing(others.sums(found.moved), found.bias)
            errors.append(float((missing**2).sum()))
            if errors[-1] > min(errors) * (1 + _ROUNDING) + rounding:
                break
        alike = np.array(errors) <= min(errors) * (1 + _ROUNDING) + rounding
        return _RIDGES[int(np.argmax(alike))]

    def of_outputs(self: _Rows, which: Array) -> _Rows:
        """These outputs of each group."""
        if which.all():
            return self
        columns = np.tile(which, len(self.seen))
        return replace(self, residuals=self.residuals.of_outputs(columns))

    def _parts(self, cut: int) -> tuple[LayerRegression, LayerRegression]:
        """The first rows, which are held out, and the others."""
        return self._part(slice(cut), self.seen), self._part(slice(cut, None), self.seen)

    def _part(self, rows: slice, seen: Array) -> LayerRegression:
        return replace(self, seen=seen[:, rows], residuals=self.residuals.of_rows(rows))
