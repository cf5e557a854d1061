"""Integers of a layer that is fitted in real numbers, found anew for outputs whose unit changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.ir.kernels import Array

from .gradient import Goal
from .gram import Gram
from .joined_weights import JoinedBlocks, JoinedWeights
from .least_squares import Grid, blocks, coordinate_descent
from .regression import LayerRegression

_SWEEPS = 3

Outputs: TypeAlias = "slice | Array"  # of each group


class RealFit(NamedTuple):
    """A layer fitted in real numbers.

    ``start`` holds the weights of each branch before, ``free`` which of them may be other than
    zero; ``sums`` and ``bias`` are the changes by the fit, and ``middle`` the mean inputs.
    """

    all: JoinedWeights
    start: Sequence[Array]
    free: Array
    rows: LayerRegression
    gram: Gram
    sums: Array
    bias: Array
    middle: Array


class _Found(NamedTuple):
    """Integer weights of each branch, and changes of the bias, for these grids."""

    grids: Sequence[Grid]
    weights: Sequence[Array]
    change: Array


class IntegerFit:
    """Finds integers by coordinate descent, each output for itself; keeps the last."""

    def __init__(self, fit: RealFit) -> None:
        self._fit = fit
        self._goal: Goal | None = None  # of all outputs, if they are found at once
        self._last: _Found | None = None

    def of(self, weights: Sequence[Array], grids: Sequence[Grid]) -> Array:
        """Change ``weights``, the nearest integers of each branch, to those that fit best.

        Returns the change of the fitted bias.
        """
        change, which = np.empty_like(self._fit.bias), self._changed(grids)
        if self._last is None or which.all():
            for at in self._parts():
                self._write(change, at, self._descended(at, weights, grids))
        else:
            change[:] = self._last.change
            for new, old in zip(weights, self._last.weights, strict=True):
                self._by_output(new)[:, ~which] = self._by_output(old)[:, ~which]
            if which.any():
                self._write(change, which, self._descended(which, weights, grids))
        self._last = _Found(grids, weights, change)
        return change

    def _changed(self, grids: Sequence[Grid]) -> Array:
        """The outputs of each group whose grids differ from the last."""
        found = np.zeros(self._fit.all.outputs, bool)
        for one, other in zip(grids, self._last.grids if self._last else (), strict=False):
            found |= (one.unit != other.unit).any(axis=0) | (one.limit != other.limit)
        return found

    def _parts(self) -> Sequence[Outputs]:
        """Outputs whose integers are found at once: all, if no product takes all their weights."""
        return [*self._fit.all.parts()] if self._fit.gram.whole is not None else [slice(None)]

    def _descended(self, at: Outputs, found: Sequence[Array], grids: Sequence[Grid]) -> Array:
        """Find integers of some outputs from nearest ones; the change of the fitted bias."""
        fit, groups = self._fit, self._fit.all.groups
        free, bias = fit.free[:, at], self._read(fit.bias, at)
        start, some = ([self._by_output(w)[:, at] for w in ws] for ws in (fit.start, found))
        joined = JoinedWeights([(groups * w.shape[1], w.shape[2]) for w in some], groups)
        origin, weights = (JoinedBlocks(joined, ws, slice(None)) for ws in (start, some))
        grids = [grid._replace(unit=grid.unit[:, at]) for grid in grids]
        goal, rows = self._goal_of(at), self._rows_of(at)
        moved = coordinate_descent(fit.gram, goal, origin, weights, free, grids, _SWEEPS)
        level = rows.level(rows.by_output(moved), bias)
        for inputs, grid in blocks(grids):
            change = weights[:, :, inputs] * grid.unit[..., None] - origin[:, :, inputs]
            level -= at_middle(change, fit.middle[:, :, inputs])
        for whole, part in zip(found, some, strict=True):
            self._by_output(whole)[:, at] = part
        return level - bias

    def _goal_of(self, at: Outputs) -> Goal:
        if self._goal is not None:
            return self._goal.of_outputs(at)
        rows, sums = self._rows_of(at), self._read(self._fit.sums, at)
        missing = rows.residuals.missing(sums, self._read(self._fit.bias, at)) + sums
        found = Goal.of(self._fit.gram, rows.by_group(missing))
        if rows is self._fit.rows:
            self._goal = found
        return found

    def _rows_of(self, at: Outputs) -> LayerRegression:
        which = np.zeros(self._fit.all.outputs, bool)
        which[at] = True
        return self._fit.rows.of_outputs(which)

    def _read(self, array: Array, at: Outputs) -> Array:
        """The columns of some outputs of each group."""
        return self._fit.all.columns(array)[..., at].reshape(*array.shape[:-1], -1)

    def _write(self, array: Array, at: Outputs, part: Array) -> None:
        columns = self._fit.all.columns(array)
        columns[..., at] = part.reshape(columns[..., at].shape)

    def _by_output(self, weight: Array) -> Array:
        return self._fit.all.by_output(weight)


def at_middle(moved: Array, middle: Array) -> Array:
    """The change of each output at the mean input, for a change of weights."""
    found: Array = (moved @ middle.transpose(0, 2, 1)).reshape(-1)
    return found
