"""Integer weights of a value's finer digit, given those of the coarse one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.passes.quantization.slopes import ScaledWeights


class FinerInputs(NamedTuple):
    """Mean and variance of what each weight reads, ``groups x inputs``."""

    mean: Array
    variance: Array

    def weights(
        self, whole: Array, coarse: ScaledWeights, ratio: ScaledWeights, slope: Array, worth: float
    ) -> tuple[Array, Array]:
        """Integers beside the coarse digit's, ``whole``; what outputs lose by them at the mean.

        Weights go whose squared errors are below ``worth``: others hardly make up for them, as
        remainders are unlike each other.
        """
        share = ratio.factor / coarse.factor
        exact = whole.astype(np.float64)
        unit = _like(1 / (coarse.factor * slope), whole)
        found = np.rint(exact * share)
        if np.isfinite(worth):
            errors = np.square(self._blocks(exact * unit)) * self.variance[:, None]
            found = np.where(errors.reshape(whole.shape) < worth, 0, found)
        lost = self._blocks((exact - found / share) * unit)
        at_mean: Array = np.einsum("goi,gi->go", lost, self.mean).reshape(-1)
        return found.astype(whole.dtype), at_mean

    def _blocks(self, weights: Array) -> Array:
        """Weights as ``groups x outputs x inputs``."""
        return weights.reshape(len(self.mean), -1, self.mean.shape[1])


def _like(array: Array, weight: Array) -> Array:
    """One number per output, broadcast to the shape of a weight."""
    return np.broadcast_to(array.reshape(-1, *(1,) * (weight.ndim - 1)), weight.shape)
