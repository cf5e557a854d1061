"""Whether a population keeps to its limits: for all inputs, or for those that were seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Window
from qcompiler.ir.spiking.dynamics import (
    PULSES,
    Dynamics,
    arrival_step,
    clock_weights,
    merge_control_lines,
    threshold_of,
)
from qcompiler.ir.spiking.input_bounds import ABOVE, Bounds, Drive

_MARGIN = 2.0  # least factor by which bounds are wider than what was seen
_ALL = float(1 << 24)  # makes any range as wide as a proof says that it can be
_WIDER = (2.5, 3.0, 4.0, _ALL)  # tried as well: what room is left costs nothing


class Limits(NamedTuple):
    """What a weight, a potential, and the input of one step may reach in absolute value.

    ``exact`` bounds sums over all inputs, however unlikely: engines compute up to it exactly.
    """

    weight: int
    potential: int
    input: int
    exact: int


@dataclass(frozen=True)
class MembraneLoad:
    """What a neuron of bias B and slope D, and t_max levels, has to bear of its inputs.

    ``top`` is the highest level of the inputs; arrays spread over the population.
    """

    drive: Drive
    top: int
    bias: Array
    slope: Array
    t_max: int
    limits: Limits

    def excess(self) -> Array:
        """How far neurons go beyond their limits for some inputs, as a factor."""
        potential: Array = self._reach / self.limits.potential
        if self.limits.input >= self.limits.potential:
            return potential
        return np.maximum(potential, self._extremes(self.drive)[0] / self.limits.input)

    def excess_within(self, calibrated: Bounds) -> Array:
        """The same for inputs that keep to bounds."""
        drive = self.drive.bounded(calibrated)
        given, state = self._extremes(drive)
        exact: Array = self._reach / self.limits.exact
        state = np.maximum(state, self._threshold(drive)) / self.limits.potential
        return np.maximum(np.maximum(given / self.limits.input, state), exact)

    @property
    def _reach(self) -> Array:
        drive = self.drive
        reach: Array = drive.lift + drive.depth + np.abs(self.bias) + self.slope * (self.t_max + 1)
        return reach

    def _threshold(self, drive: Drive) -> int:
        return threshold_of(drive, self.bias, self.slope, self.t_max)

    def _extremes(self, drive: Drive) -> tuple[Array, Array]:
        """The largest input of one step, and the largest current or depth of the membrane."""
        window = Window(0, self.top, self.top + self.t_max - 1)
        weights = clock_weights(drive, self.bias, self.slope, self.t_max).items()
        lines = merge_control_lines(
            (arrival_step(role, window), role in PULSES, weight) for role, weight in weights
        )
        worst = Dynamics(drive, lines, window, self._threshold(drive))
        found = worst.extremes(worst.silence())
        return found.input, np.maximum(found.current, -found.membrane)


@dataclass(frozen=True)
class CalibratedBounds:
    """Bounds of what inputs do to a population: ``margin`` times what ``images`` did, or more.

    ``excess`` says how far neurons go beyond their limits for inputs that keep to the bounds.
    """

    bounds: Bounds
    images: int
    margin: float
    excess: Array

    @classmethod
    def of(
        cls, seen: Bounds, images: int, load: MembraneLoad, shape: tuple[int, ...]
    ) -> CalibratedBounds:
        """Bounds around what images have shown, as wide as limits allow; a factor for each slope.

        ``shape`` is that of the slopes.
        """
        proved = Bounds(
            *(
                per_slope(row, shape) if name in ABOVE else -per_slope(-row, shape)
                for name, row in zip(Bounds._fields, load.drive.bounds, strict=True)
            )
        )

        def bounds(factor: Array | float) -> Bounds:
            return _widened(seen, factor).within(proved)

        factor = np.full(shape, _MARGIN)
        excess = load.excess_within(bounds(factor))
        if np.all(excess <= 1):
            for wider in _WIDER:
                fits = per_slope(load.excess_within(bounds(wider)), shape) <= 1
                tried = np.where(fits, wider, factor)
                if np.all(load.excess_within(bounds(tried)) <= 1):  # all share a threshold
                    factor = tried
        return cls(bounds(factor), images, float(factor.min()), excess)

    @property
    def rows(self) -> Array:
        """The bounds as one array of whole numbers, as nodes hold them."""
        rows: Array = np.stack(np.broadcast_arrays(*self.bounds)).astype(np.int64)
        return rows


def _widened(seen: Bounds, factor: Array | float) -> Bounds:
    """Bounds whose ranges are wider by a factor, by as much at either end, and never empty."""
    membrane, step, current = (
        (high - low + 1) * (factor - 1) / 2
        for low, high in (
            (seen.lowest, seen.highest),
            (seen.fall, seen.rise),
            (seen.least, seen.most),
        )
    )
    return Bounds(
        np.floor(seen.lowest - membrane),
        np.ceil(seen.highest + membrane),
        np.floor(seen.final - membrane),
        np.floor(seen.fall - step),
        np.ceil(seen.rise + step),
        np.floor(seen.least - current),
        np.ceil(seen.most + current),
    )


def per_slope(array: Array, shape: tuple[int, ...]) -> Array:
    """Largest over the neurons that share a slope, shaped as the slopes are."""
    axes = tuple(axis for axis, length in enumerate(shape) if length == 1)
    worst: Array = array.max(axis=axes, keepdims=True)
    return worst
