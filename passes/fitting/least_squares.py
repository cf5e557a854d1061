"""Least squares for many outputs at once, with real and with integer unknowns.

For each group of outputs, of which all have the same inputs, the unknown weights w minimise

    (w - w0)' H (w - w0) / 2 - c' (w - w0)

with the Gram matrix H of the inputs and c their products with what is missing at w0. Weights that
are zero stay zero (``free`` is 0 there, or their ``limit``), so that no synapse is added. Arrays
are ``groups x outputs x inputs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

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


class Blocks(Protocol):
    """An array, ``groups x outputs x inputs``, of which some inputs are read or written at once."""

    def __getitem__(self, at: Any, /) -> Array:
        """Some inputs, in double precision."""
        ...


class WritableBlocks(Blocks, Protocol):
    """One whose numbers change."""

    def __setitem__(self, at: Any, numbers: Array, /) -> None:
        """Write those of some inputs."""
        ...


def coordinate_descent(
    gram: Gram,
    wanted: Array,
    origin: Blocks,
    weights: WritableBlocks,
    unit: Blocks,
    limit: Blocks,
    sweeps: int,
) -> Array:
    """Minimise over integers times ``unit``, one input after the other, from integer weights.

    ``origin`` is w0; c follows from what is ``wanted`` of the sums, ``groups x outputs x rows``.
    Each step takes the best integer in ``+-limit`` for one weight while the others stay, so the
    objective never grows. The ``weights`` become those found; returns the change of the sums.
    """
    gradient, inputs = Gradient(gram, wanted), gram.seen.shape[2]
    for some in blocks(inputs):
        gradient.move(some, weights[:, :, some] * unit[:, :, some] - origin[:, :, some])
    known = [(some, gram.block(some)) for some in blocks(inputs, _BLOCK)]
    for _ in range(sweeps):
        steps = 0
        for some, block in known:
            old, units = weights[:, :, some], unit[:, :, some]
            slope = gradient.at(some, old * units - origin[:, :, some])
            new = _best(block, slope, old, units, limit[:, :, some])
            if np.any(change := (new - old) * units):
                gradient.move(some, change)
                weights[:, :, some] = new
                steps += 1
        if not steps:
            break
    return gradient.sums()


def blocks(inputs: int, size: int = 1024) -> Iterator[slice]:
    """Ranges of so many inputs; the last may reach beyond the end."""
    return (slice(begin, begin + size) for begin in range(0, inputs, size))


def _best(gram: Array, gradient: Array, weights: Array, unit: Array, limit: Array) -> Array:
    """The weights after one step for each input of a block.

    Inside, arrays are ``inputs x groups x outputs``, so that a step reads and writes rows.
    """
    slope, found, unit, limit = (
        np.array(array.transpose(2, 0, 1), order="C") for array in (gradient, weights, unit, limit)
    )
    curve = np.maximum(np.diagonal(gram, axis1=1, axis2=2).T[:, :, None], 1e-20) * unit
    near = np.ascontiguousarray(gram.transpose(1, 2, 0)[..., None])
    lowest, moves = -limit, np.empty((_NEAR, *found.shape[1:]))
    later = np.empty_like(moves)
    for begin in range(0, len(found), _NEAR):
        end = min(begin + _NEAR, len(found))
        arrays = slope, curve, found, lowest, limit, unit
        rows = zip(*(array[begin:end] for array in arrays), moves, strict=False)
        for at, (sloped, curved, old, low, high, units, move) in enumerate(rows, begin):
            np.divide(sloped, curved, out=move)
            np.subtract(old, move, out=move)
            np.rint(move, out=move)
            np.maximum(move, low, out=move)
            np.minimum(move, high, out=move)
            np.subtract(move, old, out=sloped)  # its slope is not needed again
            old[:] = move
            np.multiply(sloped, units, out=move)
            seen = np.multiply(near[at, at + 1 : end], move, out=later[: end - at - 1])
            slope[at + 1 : end] += seen
        others = gram[:, end:, begin:end] @ moves[: end - begin].transpose(1, 0, 2)
        slope[end:] += others.transpose(1, 0, 2)
    return found.transpose(1, 2, 0)
