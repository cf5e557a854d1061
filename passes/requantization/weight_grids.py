"""Weights that are integers times one number: those of a quantised model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.real_layer import LinearSynapse

_MOST = 255  # largest integer weight to look for
_TOLERANCE = 2e-4  # of an integer, as weights are kept in single precision
_SAMPLE = 64
_BLOCK = 1 << 22  # elements at a time


class Grid(NamedTuple):
    """The weights of each output, ``unit * integers``; both hold one row an output."""

    integers: Array
    unit: Array


def grid_of(rows: Array) -> Grid | None:
    """The coarsest grid of each row, ``outputs x inputs``; None if a row has none."""
    peak = np.abs(rows).max(axis=1)
    largest = np.where(peak > 0, peak, 1.0)
    share = rows / largest[:, None]
    sample = share[:, :: max(1, rows.shape[1] // _SAMPLE)]
    found = np.zeros(len(rows))
    left = np.arange(len(rows))
    for most in range(1, _MOST + 1):
        near = left[_on_grid(sample[left], most)]
        near = near[_on_grid(share[near], most)]
        found[near] = most
        left = left[found[left] == 0]
        if not len(left):
            break
    if len(left):
        return None
    integers = np.rint(share * found[:, None])
    power = (integers**2).sum(axis=1)
    fitted = (integers * rows).sum(axis=1) / np.where(power > 0, power, 1)
    return Grid(integers, np.where(power > 0, fitted, largest))


def _on_grid(share: Array, most: int) -> Array:
    scaled = share * most
    found: Array = np.abs(scaled - np.rint(scaled)).max(axis=1, initial=0.0) <= _TOLERANCE
    return found


def joint_grid(
    branches: tuple[LinearSynapse, ...], factors: list[float], outputs: int
) -> tuple[list[Array], Array] | None:
    """Integer weights of every branch, and the unit that they share for each output.

    ``factors`` scale the weights of the branches. None if there is no such unit.
    """
    grids = []
    for branch, factor in zip(branches, factors, strict=True):
        spread = np.broadcast_to(branch.weight, (outputs, *branch.weight.shape[1:]))
        rows = spread.reshape(outputs, -1).astype(np.float64) * factor
        if rows.size > _BLOCK or (grid := grid_of(rows)) is None:
            return None
        grids.append(grid)
    least = np.min([grid.unit for grid in grids], axis=0)
    weights = []
    for branch, grid in zip(branches, grids, strict=True):
        times = grid.unit / least
        whole = np.rint(times)
        if np.abs(times / whole - 1).max() > _TOLERANCE:
            return None
        shape = (outputs, *branch.weight.shape[1:])
        weights.append((grid.integers * whole[:, None]).reshape(shape))
    return weights, least


def coarser_weights(
    integers: list[Array], unit: Array, sources: tuple[Spikes, ...], steepest: int
) -> tuple[list[Array], Array, Array]:
    """Weights whose slope would exceed ``steepest``, in fewer bits; with the unit of each channel.

    The last array bounds what this changes in any sum, in levels: little, as these sums are small.
    """
    coarser = np.maximum(1 / (unit * (steepest - 1)), 1)
    kept, missed = [], np.zeros(len(unit))
    for weight, source in zip(integers, sources, strict=True):
        rows = weight.reshape(len(unit), -1)
        rounded = np.rint(rows / coarser[:, None])
        reach = max(source.zero, source.top - source.zero)
        missed += np.abs(rows - rounded * coarser[:, None]).sum(axis=1) * reach * unit
        kept.append(rounded.reshape(weight.shape))
    return kept, unit * coarser, missed
