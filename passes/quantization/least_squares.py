"""Least squares for many outputs at once, with real and with integer unknowns.

For each group of outputs, of which all have the same inputs, the unknown weights w minimise

    (w - w0)' H (w - w0) / 2 - c' (w - w0)

with the Gram matrix H of the inputs and c their products with what is missing at w0. Weights that
are zero stay zero (``free`` is 0 there, or their ``limit``), so that no synapse is added. Arrays
are ``groups x outputs x inputs``, and ``groups x inputs x inputs`` for H.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_BLOCK = 64


def conjugate_gradients(
    gram: Array, product: Array, start: Array, free: Array, steps: int
) -> Array:
    """Minimise over real ``w - w0``, from a start, by preconditioned conjugate gradients."""
    over = 1 / np.maximum(np.diagonal(gram, axis1=1, axis2=2), 1e-20)[:, None]
    found, residual = start, (product - start @ gram) * free
    direction = scaled = residual * over
    size = (residual * scaled).sum(axis=2, keepdims=True)
    for _ in range(steps):
        image = (direction @ gram) * free
        bend = (direction * image).sum(axis=2, keepdims=True)
        pace = size / np.maximum(bend, 1e-30)
        found, residual = found + pace * direction, residual - pace * image
        scaled, last = residual * over, size
        size = (residual * scaled).sum(axis=2, keepdims=True)
        direction = scaled + size / np.maximum(last, 1e-30) * direction
    return found


def coordinate_descent(
    gram: Array, gradient: Array, weights: Array, unit: Array, limit: Array, sweeps: int
) -> Array:
    """Minimise over integers times ``unit``, one input after the other, from integer weights.

    ``gradient`` is that of the objective at these weights. Each step takes the best integer in
    ``+-limit`` for one weight while the others stay, so the objective never grows.
    """
    weights, gradient = weights.copy(), gradient.copy()
    curve = np.maximum(np.diagonal(gram, axis1=1, axis2=2), 1e-20)[:, None]
    for _ in range(sweeps):
        moved = np.zeros_like(gradient)
        for begin in range(0, weights.shape[2], _BLOCK):
            block = slice(begin, begin + _BLOCK)
            slope = gradient[:, :, block].copy()
            for at in range(slope.shape[2]):
                column = begin + at
                steps = slope[..., at] / (curve[..., column] * unit[..., column])
                best = np.rint(weights[..., column] - steps)
                best = best.clip(-limit[..., column], limit[..., column])
                moved[..., column] = (best - weights[..., column]) * unit[..., column]
                weights[..., column] = best
                slope += moved[..., column, None] * gram[:, None, column, block]
            gradient += moved[:, :, block] @ gram[:, block]
        if not moved.any():
            break
    return weights
