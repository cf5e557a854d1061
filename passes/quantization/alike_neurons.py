"""Neurons whose weights add up alike have the same worst case: one of them tells it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import Bounds, Drive


def distinct(drive: Drive, *others: Array) -> Drive:
    """A proved drive without planes of neurons that are driven as those of the plane before.

    Behind a convolution these are all but some near the borders. ``others`` are what neurons of a
    population have, too: where these differ along an axis, all of them stay.
    """
    arrays = [drive.excite, drive.inhibit, drive.lift, drive.depth, drive.net]
    rank = max(array.ndim for array in arrays)
    if any(array.ndim != rank for array in (*arrays, *others)):
        return drive
    for axis in range(1, rank):
        if all(array.shape[axis] == 1 for array in others):
            arrays = _without_repeats(arrays, axis)
    excite, inhibit, lift, depth, net = arrays
    bounds = Bounds(-depth, lift, -depth, *(-inhibit, excite) * 3)
    return replace(
        drive, excite=excite, inhibit=inhibit, lift=lift, depth=depth, net=net, bounds=bounds
    )


def _without_repeats(arrays: list[Array], axis: int) -> list[Array]:
    """Arrays without what equals its neighbour along an axis, in all of them."""
    planes = [np.moveaxis(array, axis, 0) for array in arrays if array.shape[axis] > 1]
    if not planes:
        return arrays
    apart = [(one[1:] != one[:-1]).reshape(len(one) - 1, -1).any(axis=1) for one in planes]
    kept = np.flatnonzero([True, *np.logical_or.reduce(apart)])
    return [array.take(kept, axis) if array.shape[axis] > 1 else array for array in arrays]
