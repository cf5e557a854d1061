"""What a picture of one layer needs: counts of values, real ones against those of levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir.kernels import Array

BINS = 48


@dataclass(frozen=True)
class JointHistogram:
    """Counts in equal bins from ``low`` to ``high``, the same for both networks.

    ``pairs`` is real values x values of levels; its sums are the histograms. ``bottom`` and ``top``
    are what the lowest and the highest level stand for, of the channel with the widest range.
    """

    low: float
    high: float
    pairs: Array
    bottom: float
    top: float


def joint_histogram(real: Array, ours: Array, bottom: float, top: float) -> JointHistogram:
    """Count the values of one layer, ``frames x shape`` of both networks."""
    low = float(min(real.min(), ours.min()))
    high = float(max(real.max(), ours.max()))
    if not high > low:
        high = low + 1.0
    pairs = np.zeros(BINS * BINS, np.int64)
    for one, other in zip(real, ours, strict=True):
        places = [((x.reshape(-1) - low) * (BINS / (high - low))).astype(int) for x in (one, other)]
        across, up = (np.minimum(place, BINS - 1) for place in places)
        pairs += np.bincount(across * BINS + up, minlength=BINS * BINS)
    return JointHistogram(low, high, pairs.reshape(BINS, BINS), bottom, top)
