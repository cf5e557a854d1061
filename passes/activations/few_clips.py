"""Fits of so few segments that each may have a copy of the layer that computes the variable.

With more, the variable is a population of its own. Its levels then round it before the function,
which is often the larger error.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Range

from .duplication import most_clips
from .piecewise import PiecewiseLinear
from .segments import fit

_COARSER = (1.25, 1.5, 2.0, 3.0)  # times the error of the segments


def clips(found: PiecewiseLinear) -> int:
    """The populations of a fit."""
    return int(np.count_nonzero(found.slopes))


def of_few_clips(
    found: PiecewiseLinear, formula: str, domain: Range, width: float, levels: int
) -> PiecewiseLinear:
    """The fit as found, or a coarser one where a variable in ``levels`` adds more error.

    No segment is narrower than ``width``.
    """
    few = most_clips(levels)
    if clips(found) <= few:
        return found
    step = (domain[1] - domain[0]) / (levels - 1)
    most = found.error + np.abs(found.slopes).max() * step / 2
    fits = (fit(formula, domain, times * found.error, width) for times in _COARSER)
    return next((one for one in fits if clips(one) <= few and one.error < most), found)
