"""Whether predictions are better than guesses."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array
from qcompiler.passes.calibration.answers import predictions

__all__ = ["near_guessing", "predictions"]

_FEWEST = 50  # frames
_SIGMAS = 3
_GAIN = 0.1  # of what there is to gain over guessing


def near_guessing(accuracy: float, classes: int, labels: Array) -> bool:
    """Whether enough labelled frames show that predictions are hardly better than guesses."""
    if len(labels) < _FEWEST or classes < 2 or len(np.unique(labels)) < 2:
        return False
    chance = 1 / classes
    noise = _SIGMAS * np.sqrt(chance * (1 - chance) / len(labels))
    return bool(accuracy <= chance + max(noise, _GAIN * (1 - chance)))
