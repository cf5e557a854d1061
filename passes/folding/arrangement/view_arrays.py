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
    return spread[0] if spread.ndim > 1 else spread


def before_view(array: Array, places: Array, shape: tuple[int, ...]) -> Array | None:
    """The array of this shape that is ``array`` behind a view; None if there is none."""
    if array.size == 1:
        return array.reshape(())
    spread = np.broadcast_to(array, places.shape)
    found = np.zeros(int(np.prod(shape)), array.dtype)
    found[places] = spread
    if not np.array_equal(found[places], spread):
        return None
    return squeeze_constant_axes(found.reshape(shape))


def squeeze_constant_axes(array: Array) -> Array:
    """Reduce axes along which the array is constant to length 1."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if np.array_equal(np.broadcast_to(first, array.shape), array):
            array = first
    return array
