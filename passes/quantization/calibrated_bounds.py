"""Bounds of inputs that calibration data show, widened by a margin as far as the limits allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.input_bounds import ABOVE, Bounds

from .membrane_limits import MembraneLoad, per_slope

LEAST_MARGIN = 2.0  # least ratio of bounds to observed values
_FEW = 8  # images, below which the ratio grows: the next image may well be twice as far out
_ALL = float(1 << 24)  # widens any range to its proved bounds
_WIDER = (2.5, 3.0, 4.0, _ALL)  # wider margins, taken where the limits allow


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

        least = LEAST_MARGIN * max(1.0, _FEW / images)

        def bounds(factor: Array | float) -> Bounds:
            return _widened(seen, factor, least).within(proved)

        factor = np.full(shape, least)
        excess = load.excess_within(bounds(factor))
        if np.all(excess <= 1):
            for wider in (wider for wider in _WIDER if wider > least):
                fits = per_slope(load.excess_within(bounds(wider)), shape) <= 1
                tried = np.where(fits, wider, factor)
                if fits.all() or (fits.any() and _fit(load.excess_within(bounds(tried)))):
                    factor = tried
        return cls(bounds(factor), images, float(factor.min()), excess)

    @property
    def rows(self) -> Array:
        """The bounds as one integer array, the form that nodes hold."""
        rows: Array = np.stack(np.broadcast_arrays(*self.bounds)).astype(np.int64)
        return rows


def _fit(excess: Array) -> bool:
    """Whether neurons that share a threshold fit, of which each would with another."""
    return bool(np.all(excess <= 1))


def _widened(seen: Bounds, factor: Array | float, least: float) -> Bounds:
    """Bounds with ranges widened by a factor, symmetrically, and never empty.

    Those of the current at any step, which only bursts need, are widened by the ``least`` factor.
    """
    membrane, step, last, current = (
        (high - low + 1) * (wider - 1) / 2
        for low, high, wider in (
            (seen.lowest, seen.highest, factor),
            (seen.fall, seen.rise, factor),
            (seen.least, seen.most, factor),
            (seen.weakest, seen.strongest, least),
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
