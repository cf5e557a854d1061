"""Least squares for many outputs at once, with real and with integer unknowns.

For each group of outputs, of which all have the same inputs, the unknown weights w minimise

    (w - w0)' H (w - w0) / 2 - c' (w - w0)

with the Gram matrix H of the inputs and c their products with what is missing at w0. Weights that
are zero stay zero (``free`` is 0 there, or their ``limit``), so that no synapse is added. Arrays
are ``groups x outputs x inputs``.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

from .gram import Gradient, Gram

_BLOCK = 64
_NEAR = 16  # inputs of a block that see each other's steps at once, the others after all of them
_SOLVED = 1e-12  # squared, a millionth of the first residual


def conjugate_gradients(gram: Gram, product: Array, free: Array, steps: int) -> Array:
    """Minimise over real ``w - w0``, from zero, by preconditioned conjugate gradients.

    Takes so many steps, or fewer if these solve it for all outputs.
    """
    over = 1 / np.maximum(gram.diagonal, 1e-20)[:, None]
    found: Array = np.zeros_like(product)
    residual: Array = product * free
    direction = scaled = residual * over
    size = first = (residual * scaled).sum(axis=2, keepdims=True)
    for _ in range(steps):
        if np.all(size <= _SOLVED * first):
            break
        image = gram.times(direction)
        image *= free
        bend = (direction * image).sum(axis=2, keepdims=True)
        pace = size / np.maximum(bend, 1e-30)
        found += pace * direction
        image *= pace
        residual -= image
        scaled, last = residual * over, size
        size = (residual * scaled).sum(axis=2, keepdims=True)
        direction = scaled + size / np.maximum(last, 1e-30) * direction
    return found


def coordinate_descent(
    gram: Gram,
    product: Array,
    origin: Array,
    weights: Array,
    unit: Array,
    limit: Array,
    sweeps: int,
) -> Array:
    """Minimise over integers times ``unit``, one input after the other, from integer weights.

    ``origin`` is w0. Each step takes the best integer in ``+-limit`` for one weight while the
    others stay, so the objective never grows.
    """
    weights = weights.copy()
    gradient = Gradient(gram, weights * unit - origin, product)
    for _ in range(sweeps):
        moved = False
        for begin in range(0, weights.shape[2], _BLOCK):
            some = slice(begin, begin + _BLOCK)
            old, units = weights[:, :, some], unit[:, :, some]
            new = _best(gram.block(some), gradient.at(some), old, units, limit[:, :, some])
            if np.any(change := (new - old) * units):
                gradient.move(some, change)
                weights[:, :, some] = new
                moved = True
        if not moved:
            break
    return weights


def _best(gram: Array, gradient: Array, weights: Array, unit: Array, limit: Array) -> Array:
    """The weights after one step for each input of a block.

    Inside, arrays are ``inputs x groups x outputs``, so that a step reads and writes rows.
    """
    slope, found, unit, limit = (
        np.array(array.transpose(2, 0, 1), order="C") for array in (gradient, weights, unit, limit)
    )
    curve = np.maximum(np.diagonal(gram, axis1=1, axis2=2).T[:, :, None], 1e-20) * unit
    near = np.ascontiguousarray(gram.transpose(1, 2, 0)[..., None])
    for begin in range(0, len(found), _NEAR):
        end = min(begin + _NEAR, len(found))
        change = np.empty((end - begin, *found.shape[1:]))
        for at in range(begin, end):
            best = np.rint(found[at] - slope[at] / curve[at])
            best = np.minimum(np.maximum(best, -limit[at]), limit[at])
            moved = np.multiply(best - found[at], unit[at], out=change[at - begin])
            slope[at + 1 : end] += near[at, at + 1 : end] * moved
            found[at] = best
        others = gram[:, end:, begin:end] @ change.transpose(1, 0, 2)
        slope[end:] += others.transpose(1, 0, 2)
    return found.transpose(1, 2, 0)
