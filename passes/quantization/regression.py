"""Ridge regression of a layer's weights and bias on sampled inputs and target sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

from .gram import Gram
from .least_squares import conjugate_gradients

_RIDGES = (30.0, 3.0, 0.3, 0.03)  # relative to the mean square of an input
_HELD_OUT = 4  # one row in four is held out to choose the ridge
_ENOUGH = 64  # outputs, of each group, that choose the ridge of all
_ROUNDS, _STEPS = 3, 10
_ROUNDING = 1e-12  # squared, a millionth: coarser than the single precision of targets


class WeightUpdate(NamedTuple):
    """Changes of the weights, the resulting changes of the sums, and biases."""

    moved: Array
    sums: Array
    bias: Array


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
        np.minimum(self.low - present, 0, out=missing, where=self.target <= self.low)
        np.maximum(self.high - present, 0, out=missing, where=self.target >= self.high)
        return missing

    def sums(self, moved: Array) -> Array:
        """The change of the sums by a change of the weights, ``rows x outputs``."""
        found = self.seen @ moved.transpose(0, 2, 1)
        return found.transpose(1, 0, 2).reshape(self.first.shape)

    def product(self, wanted: Array) -> Array:
        """Products of the inputs with a residual, in the shape of the weights."""
        blocks = wanted.reshape(len(wanted), len(self.seen), -1).transpose(1, 2, 0)
        result: Array = blocks @ self.seen / len(wanted)
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
        product = self.product(self.missing(found.sums, found.bias))
        product -= gram.ridge[:, None, None] * found.moved
        moved = found.moved + conjugate_gradients(gram, product, free, _STEPS)
        sums = self.sums(moved)
        return WeightUpdate(moved, sums, self.level(sums, found.bias))

    def solved(self, free: Array, grams: SplitGram) -> tuple[Gram, WeightUpdate]:
        """The Gram matrix with its ridge, and the least-squares change of weights and bias.

        With few rows, and if all weights are free, the change is a combination of rows.
        """
        if grams.all.whole is not None or not np.all(free):
            return self._solved(free, grams)
        rows = _OfRows(grams.all.kernel, *self._sums)
        gram, found = rows._solved(free, grams)
        return gram, found._replace(moved=found.moved @ self.seen)

    def _solved(self, free: Array, grams: SplitGram) -> tuple[Gram, WeightUpdate]:
        gram = grams.all.with_ridge(self._ridge(free, grams))
        found = self.begin(free)
        for _ in range(_ROUNDS):
            found = self.better(found, gram, free)
        return gram, found

    def _ridge(self, free: Array, grams: SplitGram) -> float:
        """The ridge whose solution on three quarters of the rows fits the others best.

        Many outputs are sampled. Among ridges that are equal up to rounding errors, the largest.
        """
        step = max(1, free.shape[1] // _ENOUGH)
        free = free[:, ::step]
        others, some = self._of_outputs(free.shape, step)._parts(grams.cut)
        found, errors = some.begin(free), []
        for ridge in _RIDGES:
            found = some.better(found, grams.some.with_ridge(ridge), free)
            missing = others.missing(others.sums(found.moved), found.bias)
            errors.append(float((missing**2).sum()))
        rounding = _ROUNDING * float(np.square(others.target).sum())
        alike = np.array(errors) <= min(errors) * (1 + _ROUNDING) + rounding
        return _RIDGES[int(np.argmax(alike))]

    def _of_outputs(self, shape: tuple[int, ...], step: int) -> LayerRegression:
        """Every ``step``-th output of each group; ``shape`` is that of their weights."""
        if step == 1:
            return self
        first, target = (
            sums.reshape(len(sums), shape[0], -1)[:, :, ::step].reshape(len(sums), -1)
            for sums in (self.first, self.target)
        )
        return replace(self, first=first, target=target)

    def _parts(self, cut: int) -> tuple[LayerRegression, LayerRegression]:
        """The first rows, which are held out, and the others."""
        return self._part(slice(cut), self.seen), self._part(slice(cut, None), self.seen)

    def _part(self, rows: slice, seen: Array) -> LayerRegression:
        return replace(self, seen=seen[:, rows], first=self.first[rows], target=self.target[rows])

    @property
    def _sums(self) -> tuple[Array, Array, float, float]:
        return self.first, self.target, self.low, self.high


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


class SplitGram:
    """The Gram matrices of all rows, and of those that are not held out."""

    def __init__(self, seen: Array) -> None:
        self.cut = seen.shape[1] // _HELD_OUT
        self.some = Gram.of(seen[:, self.cut :])
        self.all = Gram.of(seen, self.some)
