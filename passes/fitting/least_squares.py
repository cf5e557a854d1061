"""Least squares for many outputs at once, with real and with integer unknowns.

For each group of outputs, of which all have the same inputs, the unknown weights w minimise

    (w - w0)' H (w - w0) / 2 - c' (w - w0)

with the Gram matrix H of the inputs and c their products with what is missing at w0. Weights that
are zero stay zero (``free`` is 0 there, or their ``limit``), so that no synapse is added. Arrays
are ``groups x outputs x inputs``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from qcompiler.ir.kernels import Array

from .gradient import Goal, Gradient
from .gram import Gram

_BLOCK = 64
_NEAR = 16  # inputs of a block that see each other's steps at once, the others after all of them
_SOLVED = 1e-12  # squared, a millionth of the first residual


def conjugate_gradients(
    gram: Gram, product: Array, free: Array, steps: int, enough: Array | float = 0.0
) -> Array:
    """Minimise over real ``w - w0``, from zero, by preconditioned conjugate gradients.

    Takes so many steps, or fewer if these solve it for all outputs: if the squared gradient, each
    input's over its diagonal, is 1e-12 of the first, or at most ``enough``, which broadcasts over
    ``groups x outputs x 1``.
    """
    over = 1 / np.maximum(gram.diagonal, 1e-20)[:, None]
    found: Array = np.zeros_like(product)
    residual: Array = product * free
    direction = scaled = residual * over
    size = (residual * scaled).sum(axis=2, keepdims=True)
    enough = np.maximum(_SOLVED * size, enough)
    for _ in range(steps):
        if np.all(size <= enough):
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
        """Some inputs."""
        ...


class WritableBlocks(Blocks, Protocol):
    """One whose numbers change."""

    def __setitem__(self, at: Any, numbers: Array, /) -> None:
        """Write those of some inputs."""
        ...


class Grid(NamedTuple):
    """What the weights of so many ``inputs`` may be: integers in ``+-limit`` times the unit.

    Each output has a ``unit``, ``groups x outputs``.
    """

    inputs: int
    unit: Array
    limit: int


def coordinate_descent(
    gram: Gram,
    goal: Goal,
    origin: Blocks,
    weights: WritableBlocks,
    free: Array,
    grids: Sequence[Grid],
    sweeps: int,
) -> Array:
    """Minimise over the ``grids`` of all inputs, one input after the other, from integer weights.

    ``origin`` is w0; c follows from the ``goal``. Each step takes the best integer for one weight
    while the others stay, so the objective never grows. The ``weights`` become those found; returns
    the change of the sums.
    """
    gradient = Gradient(gram, goal)
    for some, grid in blocks(grids):
        gradient.move(some, _by_input(weights, some) * grid.unit - _by_input(origin, some))
    known = [(some, grid, _Curve.of(gram, some)) for some, grid in blocks(grids, _BLOCK)]
    for _ in range(sweeps):
        steps = 0
        for some, grid, curve in known:
            old = _by_input(weights, some)
            slope = gradient.at(some, old * grid.unit - _by_input(origin, some))
            slope /= grid.unit
            slope /= curve.own
            alone = np.subtract(old, slope, out=slope)
            new = _best(curve, alone, old, _limits(free[:, :, some], grid.limit))
            if np.any(change := new - old):
                gradient.move(some, change * grid.unit)
                weights[:, :, some] = new.transpose(1, 2, 0)
                steps += 1
        if not steps:
            break
    return gradient.sums()


def blocks(grids: Sequence[Grid], size: int = 1024) -> Iterator[tuple[slice, Grid]]:
    """Ranges of so many inputs, or fewer, of one grid each."""
    first = 0
    for grid in grids:
        end = first + grid.inputs
        yield from ((slice(at, min(at + size, end)), grid) for at in range(first, end, size))
        first = end


def _by_input(array: Blocks, inputs: slice) -> Array:
    """Some inputs as ``inputs x groups x outputs``, so that a step reads and writes rows."""
    return np.array(array[:, :, inputs].transpose(2, 0, 1), np.float64, order="C")


def _limits(free: Array, limit: int) -> Array:
    """The largest integers of some inputs, of each weight or of all."""
    if free.all():
        return np.full((free.shape[2], 1, 1), float(limit))
    return np.array(free.transpose(2, 0, 1), np.float64, order="C") * limit


class _Curve(NamedTuple):
    """How a step of an input moves the best integers of others, ``groups x other x own``.

    ``near`` holds the same as ``own x other x groups x 1``; ``own`` is the second derivative of
    each input, ``inputs x groups x 1``.
    """

    moves: Array
    near: Array
    own: Array

    @classmethod
    def of(cls, gram: Gram, inputs: slice) -> _Curve:
        """Those of a block of inputs."""
        block = gram.block(inputs)
        own = np.maximum(np.diagonal(block, axis1=1, axis2=2), 1e-20)
        block /= own[:, :, None]
        near = np.ascontiguousarray(block.transpose(2, 1, 0)[..., None])
        return cls(block, near, own.T[:, :, None])


def _best(curve: _Curve, goal: Array, old: Array, limit: Array) -> Array:
    """The weights after one step for each input of a block; ``goal`` is where each would go alone.

    Arrays are ``inputs x groups x outputs``.
    """
    found, lowest, moves = np.empty_like(goal), -limit, np.empty((_NEAR, *goal.shape[1:]))
    later = np.empty_like(moves)
    for begin in range(0, len(found), _NEAR):
        end = min(begin + _NEAR, len(found))
        rows = zip(*(a[begin:end] for a in (goal, found, old, lowest, limit)), moves, strict=False)
        for at, (best, new, last, low, high, move) in enumerate(rows, begin):
            np.rint(best, out=new)
            np.maximum(new, low, out=new)
            np.minimum(new, high, out=new)
            np.subtract(new, last, out=move)
            rest = goal[at + 1 : end]
            rest -= np.multiply(curve.near[at, at + 1 : end], move, out=later[: end - at - 1])
        others = curve.moves[:, end:, begin:end] @ moves[: end - begin].transpose(1, 0, 2)
        goal[end:] -= others.transpose(1, 0, 2)
    return found
