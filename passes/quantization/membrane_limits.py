"""Check membranes and inputs of a population against the limits of the target.

`MembraneLoad` does so for all inputs, `CalibratedBounds` for inputs like those of the calibration
data, with a margin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
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

from .output_pieces import Piece, digits, slices

LEAST_MARGIN = 2.0  # least ratio of bounds to observed values
_ALL = float(1 << 24)  # widens any range to its proved bounds
_WIDER = (2.5, 3.0, 4.0, _ALL)  # wider margins, taken where the limits allow


class Limits(NamedTuple):
    """Largest magnitudes of a weight, a membrane potential, and the input of one step.

    ``exact`` bounds the sums over all inputs, however unlikely: engines are exact up to it. A
    population of more than ``longest`` levels, if that is given, must fit in pieces, too.
    """

    weight: int
    potential: int
    input: int
    exact: int
    longest: int = 0


@dataclass(frozen=True)
class MembraneLoad:
    """The worst case of neurons with bias B, slope D and t_max levels under their inputs.

    ``top`` is the highest level of the inputs; arrays broadcast over the population.
    """

    drive: Drive
    top: int
    bias: Array
    slope: Array
    t_max: int
    limits: Limits

    def excess(self) -> Array:
        """Factor by which each neuron exceeds its limits for the worst input; up to 1 is fine."""
        return self._with_pieces(self._proved(), None)

    def excess_within(self, calibrated: Bounds) -> Array:
        """The same for inputs within calibrated bounds."""
        bounds = self.drive.bounded(calibrated).bounds
        return self._with_pieces(self._within(bounds), bounds)

    def piece_excess(self, piece: Piece, bounds: Bounds | None) -> Array:
        """The same of a piece of the population, given calibrated bounds of the whole, if any."""
        top = max((self.top, *(inhibition.top for inhibition in piece.inhibitions)))
        load = replace(
            self,
            drive=piece.driven(self.drive),
            top=top,
            bias=piece.bias,
            slope=piece.slope,
            t_max=piece.t_max,
        )
        return load._proved() if bounds is None else load._within(piece.bounded(bounds))

    def _with_pieces(self, whole: Array, bounds: Bounds | None) -> Array:
        """What the whole exceeds its limits by, or its pieces if that is more: slices or digits."""
        longest = self.limits.longest
        if not longest or self.t_max <= longest:
            return whole
        given = self.bias, self.slope, self.t_max, longest
        ways = (
            reduce(np.maximum, (self.piece_excess(piece, bounds) for piece in way))
            for way in (slices(*given), digits(*given))
        )
        return np.maximum(whole, min(ways, key=np.max))

    def _proved(self) -> Array:
        potential: Array = self._reach / self.limits.potential
        if self.limits.input >= self.limits.potential:
            return potential
        return np.maximum(potential, self._extremes(self.drive)[0] / self.limits.input)

    def _within(self, bounds: Bounds) -> Array:
        drive = self.drive.bounded(bounds)
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
        """The largest input of one step, and the largest of current and negative membrane."""
        window = Window(0, self.top, self.top + self.t_max - 1)
        threshold = self._threshold(drive)
        weights = clock_weights(drive, self.bias, self.slope, self.t_max, threshold).items()
        lines = merge_control_lines(
            (arrival_step(role, window), role in PULSES, weight) for role, weight in weights
        )
        worst = Dynamics(drive, lines, window, threshold)
        found = worst.extremes(worst.silence())
        return found.input, np.maximum(found.current, -found.membrane)


@dataclass(frozen=True)
class CalibratedBounds:
    """Bounds of the inputs of a population, at least ``margin`` times those of ``images`` images.

    ``excess`` is the factor by which neurons exceed their limits within the bounds.
    """

    bounds: Bounds
    images: int
    margin: float
    excess: Array

    @classmethod
    def of(
        cls, seen: Bounds, images: int, load: MembraneLoad, shape: tuple[int, ...]
    ) -> CalibratedBounds:
        """Widen the observed bounds as far as the limits allow, by one factor per slope.

        ``shape`` is the shape of the slopes.
        """
        proved = Bounds(
            *(
                per_slope(row, shape) if name in ABOVE else -per_slope(-row, shape)
                for name, row in zip(Bounds._fields, load.drive.bounds, strict=True)
            )
        )

        def bounds(factor: Array | float) -> Bounds:
            return _widened(seen, factor).within(proved)

        factor = np.full(shape, LEAST_MARGIN)
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
        """The bounds as one integer array, the form that nodes hold."""
        rows: Array = np.stack(np.broadcast_arrays(*self.bounds)).astype(np.int64)
        return rows


def _widened(seen: Bounds, factor: Array | float) -> Bounds:
    """Bounds with ranges widened by a factor, symmetrically, and never empty.

    Those of the current at any step, which only bursts need, are widened by the least margin.
    """
    membrane, step, last, current = (
        (high - low + 1) * (wider - 1) / 2
        for low, high, wider in (
            (seen.lowest, seen.highest, factor),
            (seen.fall, seen.rise, factor),
            (seen.least, seen.most, factor),
            (seen.weakest, seen.strongest, LEAST_MARGIN),
        )
    )
    return Bounds(
        np.floor(seen.lowest - membrane),
        np.ceil(seen.highest + membrane),
        np.floor(seen.final - membrane),
        np.floor(seen.fall - step),
        np.ceil(seen.rise + step),
        np.floor(seen.least - last),
        np.ceil(seen.most + last),
        np.floor(seen.weakest - current),
        np.ceil(seen.strongest + current),
    )


def per_slope(array: Array, shape: tuple[int, ...]) -> Array:
    """The maximum over the neurons that share a slope, in the shape of the slopes."""
    axes = tuple(axis for axis, length in enumerate(shape) if length == 1)
    worst: Array = array.max(axis=axes, keepdims=True)
    return worst
