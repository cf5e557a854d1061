"""Check membranes and inputs of a population against the limits of the target.

`MembraneLoad` does so for all inputs, and for inputs within `calibrated_bounds`.
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
from qcompiler.ir.spiking.input_bounds import Bounds, Drive

from .output_pieces import Piece, digits, slices

# Membrane in units of sums: the least margin of calibrated bounds, and what clocks and levels
# beyond the ends take. With less, weights lose more than levels gain.
ROOM = 16.0


class Limits(NamedTuple):
    """Largest magnitudes of a weight, a membrane potential, and the input of one step.

    ``exact`` bounds the sums over all inputs, however unlikely: engines are exact up to it. For
    each number in ``pieces`` a population of more levels must fit in pieces of so many, too:
    slices or digits, or up to so many ``digits`` if that is not 0. Where precision is asked for,
    and in chains of products, small layers have ``fine`` weights, in parallel synapses. Where
    synapses are ``dear``, few are parallel, one of them in coarser units.
    """

    weight: int
    potential: int
    input: int
    exact: int
    pieces: tuple[int, ...] = ()
    digits: int = 0
    fine: bool = False
    dear: bool = False


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
        """What the whole exceeds its limits by, or its pieces if that is more."""
        for longest in (levels for levels in self.limits.pieces if levels < self.t_max):
            given = self.bias, self.slope, self.t_max, longest
            most = self.limits.digits
            ways = [digits(*given, most)] if most else [slices(*given), digits(*given)]
            found = (
                reduce(np.maximum, (self.piece_excess(piece, bounds) for piece in way))
                for way in ways
            )
            whole = np.maximum(whole, min(found, key=np.max))
        return whole

    def _proved(self) -> Array:
        potential: Array = self.reach / self.limits.potential
        if self.limits.input >= self.limits.potential:
            return potential
        return np.maximum(potential, self._extremes(self.drive)[0] / self.limits.input)

    def _within(self, bounds: Bounds) -> Array:
        drive = self.drive.bounded(bounds)
        given, state = self._extremes(drive)
        exact: Array = self.reach / self.limits.exact
        state = np.maximum(state, self._threshold(drive)) / self.limits.potential
        return np.maximum(np.maximum(given / self.limits.input, state), exact)

    @property
    def reach(self) -> Array:
        """What membranes reach for any input, and any order of its spikes."""
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


def per_slope(array: Array, shape: tuple[int, ...]) -> Array:
    """The maximum over the neurons that share a slope, in the shape of the slopes."""
    axes = tuple(axis for axis, length in enumerate(shape) if length == 1)
    worst: Array = array.max(axis=axes, keepdims=True)
    return worst
