"""Arrays that are spread over a value, as they are behind a view or before it."""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Node, Type
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View, arrange


def arranged(view: Node, array: Array, type_: Type) -> Array:
    """An array that is spread over this type, as it is behind a view."""
    if array.size == 1:
        return array.reshape(())
    assert isinstance(view.op, View)
    spread: Array = arrange(view.op, np.broadcast_to(array, type_.shape)[None], *view.arrays)
    return squeeze_constant_axes(spread[0]) if spread.ndim > 1 else spread


def before_view(array: Array, places: Array, shape: tuple[int, ...]) -> Array | None:
    """The array of this shape that is ``array`` behind a view; None if there is none.

    What the view leaves out is as the rest of its channel.
    """
    if array.size == 1:
        return array.reshape(())
    spread = np.broadcast_to(array, places.shape)
    found = np.full(int(np.prod(shape)), spread.flat[0], array.dtype)
    seen = np.zeros(found.shape, bool)
    found[places], seen[places] = spread, True
    if not np.array_equal(found[places], spread):
        return None
    rows, known = found.reshape(shape[0], -1), seen.reshape(shape[0], -1)
    first = np.take_along_axis(rows, known.argmax(axis=1)[:, None], axis=1)
    return squeeze_constant_axes(np.where(known, rows, first).reshape(shape))


def squeeze_constant_axes(array: Array) -> Array:
    """Reduce axes along which the array is constant to length 1."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if np.array_equal(np.broadcast_to(first, array.shape), array):
            array = first
    return array
